"""A run that kills itself (SIGKILL) at the n-th phase: python -m tests.faults.killed_run ROOT DELIVERIES DATE N JOB...

A phase begins or ends at each of: marking a job as begun, each commit of a table, the ledger's commit, unmarking. With N = 0
nothing is killed and the number of phases is printed.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from reelhouse import settings as settings_module
from reelhouse.lake import Lake, start_session
from reelhouse.pipeline import Pipeline


class Phases:
    """Counts phases and ends the process, without any chance to clean up, at the one asked for."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.count = fatal, 0

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._step()
            result = action(*args, **kwargs)
            self._step()
            return result

        return wrapped

    def _step(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def main(root: str, deliveries: str, date: str, fatal: int, jobs: list[str]) -> None:
    settings = settings_module.load(
        values={
            "storage.root": root,
            "sources.deliveries": deliveries,
            "spark.master": "local[2]",
            "spark.jobs_at_once": 1,  # phases in one order
            "training.epochs": 3,
            "tags.minimum_count": 3,
        }
    )
    lake = Lake(start_session(settings.spark), root)
    phases = Phases(fatal)
    for name in ("mark", "replace", "append", "unmark"):
        setattr(lake, name, phases.around(getattr(lake, name)))
    pipeline = Pipeline(settings, lake, lambda text: None)
    try:
        failed = [o for o in pipeline.run_day(dt.date.fromisoformat(date), jobs) if o.error]
    finally:
        pipeline.close()
    if failed:
        raise failed[0].error  # type: ignore[misc]
    print(phases.count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:])
