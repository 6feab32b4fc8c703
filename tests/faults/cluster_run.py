"""A run on two executor processes that are all killed (SIGKILL) as the n-th table is committed: python -m tests.faults.cluster_run
ROOT DELIVERIES DATE N JOB...; prints the ids of the processes that it killed."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import psutil

from reelhouse import settings as settings_module
from reelhouse.lake import Lake, start_session
from tests.faults.killing import run_jobs

EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


def executors() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if any(EXECUTOR in word for word in p.cmdline())]


if __name__ == "__main__":
    root, deliveries, date, fatal, *jobs = sys.argv[1:]
    session = start_session(settings_module.load(values={"spark.master": "local-cluster[2,1,1024]"}).spark)
    commit, commits = Lake.replace, []

    def killing(*args: Any, **kwargs: Any) -> None:
        commits.append(1)
        if len(commits) == int(fatal):
            for executor in executors():
                executor.kill()
                print("killed", executor.pid, flush=True)
        commit(*args, **kwargs)

    Lake.replace = killing  # type: ignore[method-assign]
    run_jobs(session, Path(root), Path(deliveries), dt.date.fromisoformat(date), jobs)
    session.stop()
