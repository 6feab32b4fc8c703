"""Clients' sessions take nothing but questions: a parser in front of Spark's own, and a look at what their addresses set
(ReadOnlyParser.java).

Compiled at start by Janino, by which Spark compiles its own queries, so that no Java compiler is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SOURCE = Path(__file__).with_name("ReadOnlyParser.java")
_CLASS = "reelhouse.ReadOnlyParser"


def take_questions_only(spark: SparkSession) -> Callable[[Any], None]:
    """Sessions made from this one refuse all but questions to the databases that are known now; this one itself goes on as it was.

    Returns what makes a started Thrift server refuse its clients' addresses the settings that statements are refused.
    """
    context = spark.sparkContext
    jvm: Any = context._jvm
    gateway: Any = context._gateway
    own: Any = spark._jsparkSession
    own.sessionState()  # made now, with its own parser
    databases = jvm.java.util.HashSet()
    for name in ("spark_catalog", *(database.name.lower() for database in spark.catalog.listDatabases())):
        databases.add(name)
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(jvm.java.lang.Thread.currentThread().getContextClassLoader())
    compiler.cook(_SOURCE.read_text(encoding="utf-8"))
    parts = gateway.new_array(jvm.java.lang.Object, 2)  # no parser yet: each session gives its own
    parts[1] = databases
    parser = compiler.getClassLoader().loadClass(_CLASS).getConstructors()[0].newInstance(parts)
    own.extensions().injectParser(parser)
    sessions = compiler.getClassLoader().loadClass(f"{_CLASS}$Sessions").getConstructors()[0]

    def hold_settings(server: Any) -> None:
        started = gateway.new_array(jvm.java.lang.Object, 1)
        started[0] = server
        sessions.newInstance(started)

    return hold_settings
