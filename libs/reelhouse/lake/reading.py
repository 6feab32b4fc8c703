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
# questions by their form, which run a program or Java; IDENTIFIER makes the name of a function when it is too late to look
_RUNNING = ("ScriptTransformation", "PlanWithUnresolvedIdentifier", "ExpressionWithUnresolvedIdentifier")
_JAVA = ("reflect", "java_method", "try_reflect")


def check_reads(spark: SparkSession, statement: str) -> None:
    """ReadOnlyError unless the statement begins as a question does and Spark's parser sees nothing else in it, nor what runs a program.

    PySparkException if it is not one whole statement.
    """
    gateway: Any = spark.sparkContext._gateway
    plan = spark._jsparkSession.sessionState().sqlParser().parsePlan(statement)
    if not _QUESTION.match(statement) or any(_does(gateway, part) for part in _parts(gateway, plan)):
        raise ReadOnlyError(
            "`reelhouse sql` only reads: select, with, values, table, show, describe, explain; no transform, reflect, java_method or "
            "identifier. Tables are written by the jobs of `reelhouse daily`; labels and reviews are taken from the inbox, "
            "`reelhouse delete VIDEO_ID` removes a video, `reelhouse maintain` compacts files."
        )


def _does(gateway: Any, part: Any) -> bool:
    from py4j.java_gateway import is_instance_of

    name = part.getClass().getSimpleName()
    if name == "UnresolvedFunction":
        return part.nameParts().last().lower() in _JAVA
    return name in _RUNNING or (not name.startswith(_ASKING) and any(is_instance_of(gateway, part, kind) for kind in _DOING))


def _parts(gateway: Any, part: Any) -> Iterator[Any]:
    """All that a statement is made of, not the children alone: queries lie in expressions and in lists of names, too."""
    from py4j.java_gateway import JavaObject, is_instance_of

    if not isinstance(part, JavaObject):
        return
    yield part
    if is_instance_of(gateway, part, "scala.collection.Iterable"):
        inner = part.iterator()
    elif is_instance_of(gateway, part, "scala.Product"):
        inner = part.productIterator()
    else:
        return
    while inner.hasNext():
        yield from _parts(gateway, inner.next())
