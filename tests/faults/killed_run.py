"""A run that kills itself (SIGKILL) at the n-th phase: python -m tests.faults.killed_run ROOT DELIVERIES DATE N JOB..."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

from reelhouse import settings as settings_module
from reelhouse.lake import start_session
from tests.faults.killing import counted, run_jobs

if __name__ == "__main__":
    root, deliveries, date, fatal, *jobs = sys.argv[1:]
    session = start_session(settings_module.load(values={"spark.master": "local[2]"}).spark)
    with counted(int(fatal)):
        run_jobs(session, Path(root), Path(deliveries), dt.date.fromisoformat(date), jobs)
