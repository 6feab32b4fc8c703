"""Whether a statement only reads: what people ask must not change a table behind the lock, the ledger and the audit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reelhouse.errors import ReadOnlyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

_LOGICAL = "org.apache.spark.sql.catalyst.plans.logical"
_BLANK = r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
_QUESTION = re.compile(_BLANK + r"(select|with|values|table|from|show|describe|desc|explain)\b", re.IGNORECASE | re.DOTALL)
# `with` and `from` may end in an insert. These are what Spark does not answer with rows of a query; of them only such names ask
_DOING = tuple(f"{_LOGICAL}.{name}" for name in ("Command", "ParsedStatement", "InsertIntoDir"))
_ASKING = ("Show", "Describe", "Explain")


def check_reads(spark: SparkSession, statement: str) -> None:
    """ReadOnlyError unless the statement begins as a question does and Spark's parser sees nothing else in it.

    PySparkException if it is not one whole statement.
    """
    from py4j.java_gateway import is_instance_of

    gateway: Any = spark.sparkContext._gateway
    plan = spark._jsparkSession.sessionState().sqlParser().parsePlan(statement)
    doing = [n for n in _nodes(plan) if any(is_instance_of(gateway, n, kind) for kind in _DOING)]
    names = [node.getClass().getSimpleName() for node in doing]
    if not _QUESTION.match(statement) or not all(name.startswith(_ASKING) for name in names):
        raise ReadOnlyError(
            "`reelhouse sql` only reads: select, with, values, table, show, describe, explain. Tables are written by the jobs of "
            "`reelhouse daily`; labels and reviews are taken from the inbox, `reelhouse delete VIDEO_ID` removes a video, "
            "`reelhouse maintain` compacts files."
        )


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    children = plan.children()
    for at in range(children.size()):
        yield from _nodes(children.apply(at))
