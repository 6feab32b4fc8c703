"""Takedowns that were cut off, that come at once, or while a run is at work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from reelhouse import tables
from reelhouse.errors import LockedError
from reelhouse.lake import Lake
from reelhouse.takedown import purge, take_down
from tests.jobs.small_lake import DAY, NEXT, SmallLake


@pytest.fixture
def small(spark, tmp_path):
    small = SmallLake(spark, tmp_path / "w")
    small.write(tables.VIDEO_ARRIVALS, [{"video_id": v, "batch": "b", "title": f"title of {v}"} for v in ("a", "b", "c")], DAY)
    yield small
    small.services.close()


def arrivals(lake: Lake) -> list[str]:
    return sorted(r.video_id for r in lake.spark.read.format("delta").load(lake.path(tables.VIDEO_ARRIVALS)).collect())


def test_asking_again_takes_the_vectors_that_a_takedown_left_when_it_was_cut_off(small):
    vectors = small.services.vectors
    vectors.ensure("video_embedding", "m", 2)
    vectors.upsert("video_embedding", "m", [(v, [0.6, 0.8], 1, str(DAY)) for v in ("a", "b")])
    small.write(tables.DELETIONS, [{"video_id": "a"}], DAY)  # recorded, and then the process was killed
    take_down(small.lake, vectors, "a", NEXT, "asked again", "desk")
    assert list(vectors.ids_and_checksums("video_embedding", "m")) == [("b", 1)]
    assert [(r.video_id, r.data_date) for r in small.lake.read(tables.DELETIONS).collect()] == [("a", DAY)]


def test_of_two_takedowns_at_once_none_is_lost(small):
    lakes = [Lake(small.lake.spark, small.lake.root) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(take_down, lake, small.services.vectors, v, DAY, "", "") for lake, v in zip(lakes, "ab", strict=True)]
        for one in asked:
            one.result()
    assert small.lake.taken_down == ["a", "b"]


def test_a_purge_leaves_a_day_alone_that_a_run_is_at_work_on(small):
    take_down(small.lake, small.services.vectors, "a", DAY, "", "")
    with small.lake.lock(f"run-{DAY}"), pytest.raises(LockedError, match=f"a run is at work on {DAY}"):
        purge(Lake(small.lake.spark, small.lake.root), small.services.vectors)
    assert arrivals(small.lake) == ["a", "b", "c"]
    assert purge(small.lake, small.services.vectors)["bronze.video_arrivals"] == 1
    assert arrivals(small.lake) == ["b", "c"]
