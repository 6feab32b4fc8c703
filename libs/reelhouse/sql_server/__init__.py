"""The tables over JDBC: Spark's Thrift server in a process that can't write to the lake."""

from reelhouse.sql_server.server import serve

__all__ = ["serve"]
