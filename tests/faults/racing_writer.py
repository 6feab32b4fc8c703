"""One of several processes that commit to the same tables: python -m tests.faults.racing_writer ROOT NAME COMMITS APPENDS.

It waits for ROOT/go before it begins. A commit is Delta's own transaction without files, which costs hundredths of a second; an append
writes a row of ops.runs as the ledger does.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from pathlib import Path
from typing import Any

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake, Ledger, RunRecord, start_session


def commit(lake: Lake, log: Any, name: str, number: int) -> None:
    """One Delta commit of a marker of its own, under the table's lock as every commit of a lake."""
    jvm: Any = lake.spark.sparkContext._jvm
    marker = jvm.org.apache.spark.sql.delta.actions.SetTransaction(f"{name}-{number}", number, jvm.scala.Option.empty())
    actions = jvm.scala.jdk.javaapi.CollectionConverters.asScala([marker]).toSeq()
    with lake.lock(tables.VIDEO_TAGS.name):
        log.startTransaction(jvm.scala.Option.empty()).commit(actions, jvm.org.apache.spark.sql.delta.DeltaOperations.ManualUpdate())


if __name__ == "__main__":
    root, name, commits, appends = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    values = {"spark.master": "local[1]", "spark.driver_memory": "300m"}
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
    session.stop()
