"""One of several processes that commit to the same tables: python -m tests.faults.racing_writer ROOT NAME COMMITS APPENDS.

It waits for ROOT/go before it begins. A commit is Delta's own transaction without files, which costs hundredths of a second; then it
writes so many times as jobs do: a slice of its own of a table that all write to, and a row of ops.runs.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from pathlib import Path
from typing import Any

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake, Ledger, RunRecord, conform, start_session


def commit(lake: Lake, log: Any, name: str, number: int) -> None:
    """One Delta commit of a marker of its own, under the table's lock as every commit of a lake."""
    jvm: Any = lake.spark.sparkContext._jvm
    delta = jvm.org.apache.spark.sql.delta
    marker = delta.actions.SetTransaction(f"{name}-{number}", number, jvm.scala.Option.empty())
    actions = jvm.scala.jdk.javaapi.CollectionConverters.asScala([marker]).toSeq()
    operation = delta.DeltaOperations.TestOperation("race", jvm.scala.Option.empty())  # after a "manual update" Delta counts all anew
    with lake.lock(tables.VIDEO_TAGS.name):
        log.startTransaction().commit(actions, operation)


def replace(lake: Lake, name: str, number: int) -> None:
    """A day of the table, which is this writer's alone; each time with one more row."""
    day = dt.date(2026, 2, 1) + dt.timedelta(days=int(name[1:]))
    rows = [(f"{name}-{n}", "t", "T", 0, 1, day) for n in range(number + 1)]
    names = "video_id string, tag_id string, tag string, position int, matches int, data_date date"
    frame = conform(tables.VIDEO_TAGS, lake.spark.createDataFrame(rows, names), {"data_date": day})
    lake.replace(tables.VIDEO_TAGS, frame, {"data_date": day}, count=len(rows), metadata={"job": "race", "date": str(day)})


if __name__ == "__main__":
    root, name, commits, appends = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    values = {"spark.master": "local[1]", "spark.driver_memory": "512m"}
    session = start_session(settings_module.load(values=values).spark)
    lake = Lake(session, str(root))
    ledger = Ledger(lake)
    log = session.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(session._jsparkSession, lake.path(tables.VIDEO_TAGS))  # type: ignore[union-attr]
    (root / f"ready-{name}").touch()
    while not (root / "go").exists():
        time.sleep(0.05)
    for number in range(commits):
        commit(lake, log, name, number)
    for number in range(appends):
        record = RunRecord(f"{name}-{number}", "race", dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), status="succeeded")
        ledger.append(record, ledger.row(record))
        replace(lake, name, number)
    session.stop()
