"""How far the jobs at work are: said every so often, so that a long step is not silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark import SparkContext

SECONDS = 30.0


class Heartbeat:
    """Says, for each job that has been at work for a while, for how long and how many of Spark's tasks of its step are done."""

    def __init__(self, context: SparkContext, say: Callable[[str], None], every: float = SECONDS) -> None:
        """every: seconds between two lines of a job."""
        self._context, self._say, self._every = context, say, every

    @contextmanager
    def of(self, job: str) -> Iterator[None]:
        """While the block runs. Spark's jobs that this thread starts are counted as the job's."""
        over = threading.Event()
        self._context.setLocalProperty("spark.jobGroup.id", job)
        thread = threading.Thread(target=self._beat, args=(job, over), name=f"heartbeat-{job}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _beat(self, job: str, over: threading.Event) -> None:
        start = time.monotonic()
        while not over.wait(self._every):
            done, tasks = self.tasks(job)
            minutes, seconds = divmod(round(time.monotonic() - start), 60)
            step = f", {done} of {tasks} tasks of this step done" if tasks else ""
            self._say(f"{job}: at work for {minutes} min {seconds:02} s{step}")

    def tasks(self, job: str) -> tuple[int, int]:
        """Done tasks and all tasks of the stages that run for a job now."""
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(number) for number in tracker.getJobIdsForGroup(job)]
        own = {number for found in jobs if found for number in found.stageIds}
        stages = [stage for number in own.intersection(tracker.getActiveStageIds()) if (stage := tracker.getStageInfo(number))]
        return sum(s.numCompletedTasks for s in stages), sum(s.numTasks for s in stages)
