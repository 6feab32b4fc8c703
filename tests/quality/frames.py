"""Frames as jobs hand them to an audit."""

from typing import Any

from pyspark.sql.types import StructField, StructType

from reelhouse.settings import CONF
from reelhouse.tables import Table

SUITES = CONF / "expectations"


def frame(spark, table: Table, rows: list[dict[str, Any]]):
    """A frame of the table's columns that lets nulls in everywhere, as rows that Python code made do."""
    schema = StructType([StructField(f.name, f.dataType, True) for f in table.spark_schema()])
    return spark.createDataFrame([tuple(row.get(c) for c in table.names) for row in rows], schema).coalesce(1)
