"""sample_by_density on a real lake, and its builder by hand."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs import sample_by_density
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.run import StepAside
from tests.jobs.small_lake import DAY, NEXT, SmallLake

LATER = dt.date(2026, 1, 4)
GROUPS = {"sampling__minimum_cluster_size": 3, "sampling__budget": 15, "sampling__random_share": 0.2}


def test_the_builder_names_clusters_by_their_densest_video_and_says_why() -> None:
    settings = settings_module.load(
        values={"sampling.budget": 5, "sampling.random_share": 0.2, "sampling.minimum_cluster_size": 3, "sampling.task": "category"}
    ).sampling
    ids = np.array(list("abcdefghi"))
    vectors = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2], [9.3], [40.0], [70.0]])
    covered = np.array([True, *[False] * 8])
    clusters, batch = sample_by_density.build(ids, vectors, np.arange(9), covered, settings, seed=2)
    assert clusters["cluster_id"].tolist() == ["b"] * 3 + ["e"] * 4 + [None] * 2
    assert clusters["is_noise"].tolist() == [False] * 7 + [True] * 2
    assert clusters["density"].round(3).tolist() == [0.833, 0.909, 0.833, 0.833, 0.909, 0.909, 0.833, 0.032, 0.016]
    assert batch["rank"].tolist() == [1, 2, 3, 4, 5]
    assert batch["is_random"].tolist() == [False, False, True, False, False]
    said = dict(zip(batch["video_id"], batch["reason"], strict=True))
    assert "a" not in said
    drawn = batch["video_id"][2]
    assert said.pop(drawn) == "drawn at random, for unbiased evaluation"
    region = {**dict.fromkeys("abc", "typical of a dense region of 3 videos, 1 labelled or handed out before"),
              **dict.fromkeys("defg", "typical of a dense region of 4 videos, none labelled yet"),
              **dict.fromkeys("hi", "the long tail: in no dense region")}  # fmt: skip
    assert said == {video: region[video] for video in said}
    assert batch["video_id"][0] in set("defg") or drawn in set("defg")


def test_a_batch_is_of_videos_that_need_a_label_and_never_twice_the_same(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path, **GROUPS).plant(40, labelled=False)
    done = {
        "video_id": "v000",
        "task": "category",
        "label_id": "pets",
        "answer": 1,
        "annotators": 1,
        "source": "people",
        "taxonomy_version": "t",
    }
    lake.write(tables.LABELS, [done, {**done, "video_id": "v001", "answer": -1}])
    lake.write(tables.LABEL_EXPORTS, [{"event_id": "x", "video_id": "v002", "task": "category", "batch": "b"}], batch="b")
    copies = [{"video_id": f"v{i:03d}", "copy_group": "v003" if i in (3, 7) else "v000" if i == 4 else f"v{i:03d}"} for i in range(40)]
    lake.write(tables.COPIES, copies)

    lake.do(sample_by_density)

    clusters = {r.video_id: r for r in lake.rows(tables.CLUSTERS)}
    assert sorted(clusters) == [f"v{i:03d}" for i in range(40)]
    assert all(r.is_noise == (r.cluster_id is None) for r in clusters.values())
    assert {r.cluster_id for r in clusters.values()} - {None} <= set(clusters)
    first = sorted(lake.rows(tables.SAMPLE_BATCH), key=lambda r: r.rank)
    assert [r.rank for r in first] == list(range(1, 16))
    assert [r.is_random for r in first].count(True) == 3
    assert not {r.video_id for r in first} & {"v000", "v002", "v004"}, "labelled, handed out, copy of a labelled one"
    assert len({copies[int(r.video_id[1:])]["copy_group"] for r in first}) == 15

    lake.do(sample_by_density, NEXT)
    lake.do(sample_by_density, LATER)
    days = {DAY: first, NEXT: lake.rows(tables.SAMPLE_BATCH, NEXT), LATER: lake.rows(tables.SAMPLE_BATCH, LATER)}
    chosen = [r.video_id for rows in days.values() for r in rows]
    assert len(chosen) == len(set(chosen))
    assert len({"v003", "v007"} & set(chosen)) == 1, "one of two copies"
    assert len(chosen) == 36, "every copy group but the two that are settled"

    again = lake.rows(tables.SAMPLE_BATCH, NEXT)
    lake.do(sample_by_density, NEXT)
    assert sorted(lake.rows(tables.SAMPLE_BATCH, NEXT)) == sorted(again)


def test_of_too_many_videos_the_others_join_the_cluster_of_their_nearest_neighbour(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path, sampling__rows_max=24, **GROUPS).plant(40, labelled=False)
    record = lake.do(sample_by_density)
    assert record.note == "sampling.rows_max is 24: 16 more videos joined the cluster of their nearest neighbour"
    clusters = {r.video_id: r for r in lake.rows(tables.CLUSTERS)}
    assert sorted(clusters) == [f"v{i:03d}" for i in range(40)]
    names = [f"v{i:03d}" for i in range(40)]
    hashed = spark.createDataFrame([(v,) for v in names], "video_id string").selectExpr("video_id", "xxhash64(video_id) h").collect()
    clustered = {r.video_id for r in sorted(hashed, key=lambda r: r.h)[:24]}
    # a cluster's name is a video that was clustered, and all videos of a cluster are of one of the four planted kinds
    found = {r.video_id: r.cluster_id for r in clusters.values() if r.cluster_id is not None}
    assert set(found.values()) <= clustered
    assert {r.video_id for r in lake.rows(tables.SAMPLE_BATCH)} <= clustered
    joined = set(found) - clustered
    assert len(joined) >= 8
    assert all(int(video[1:]) % 4 == int(name[1:]) % 4 for video, name in found.items())
    again = sorted(lake.rows(tables.CLUSTERS))
    lake.do(sample_by_density)
    assert sorted(lake.rows(tables.CLUSTERS)) == again


def test_without_any_vector_the_job_steps_aside(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(StepAside, match="no video has a vector yet"):
        sample_by_density.main(SmallLake(spark, tmp_path).run("sample_by_density"))
