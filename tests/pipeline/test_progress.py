"""What a person who waits is told."""

import re
import time

from reelhouse.progress import Heartbeat


def test_a_long_step_says_how_long_and_how_many_tasks_are_done(spark):
    said: list[str] = []

    def slow(batches):
        time.sleep(1.0)
        yield from batches

    with Heartbeat(spark.sparkContext, said.append, every=0.4).of("extract"):
        spark.range(6, numPartitions=6).mapInPandas(slow, "id long").collect()
    lines = [re.fullmatch(r"extract: at work for 0 min (\d\d) s, (\d) of 6 tasks of this step done", line) for line in said]
    counted = [(int(found[1]), int(found[2])) for found in lines if found]
    assert len(counted) >= 3
    assert counted == sorted(counted)
    assert {done for _, done in counted} & {2, 3, 4, 5}
    told = len(said)
    time.sleep(0.6)
    assert len(said) == told  # nothing once the step is over


def test_work_of_another_job_is_not_counted(spark):
    assert Heartbeat(spark.sparkContext, print).tasks("no job of this name") == (0, 0)
