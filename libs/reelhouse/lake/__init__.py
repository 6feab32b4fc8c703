"""Delta Lake behind one class: sessions, reading as of a day, replacing a slice, the ledger, row hashes."""

from reelhouse.lake.evolution import add_missing_columns
from reelhouse.lake.lake import Lake, conform
from reelhouse.lake.ledger import Ledger, RunRecord, Slice
from reelhouse.lake.opening import opened
from reelhouse.lake.session import ROWS_TO_COMPILE, compile_queries, spark_errors, start_session

__all__ = [
    "ROWS_TO_COMPILE",
    "Lake",
    "Ledger",
    "RunRecord",
    "Slice",
    "add_missing_columns",
    "compile_queries",
    "conform",
    "opened",
    "spark_errors",
    "start_session",
]
