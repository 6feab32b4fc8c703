"""sample_by_density on a real lake, day after day, and its builder by hand."""

import datetime as dt
import re
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs import sample_by_density, select_for_labeling
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import catalog
from reelhouse.run import StepAside
from reelhouse.sampling import density_clusters
from reelhouse.sampling.drift import change_of_size
from reelhouse.sampling.places import Quota
from tests.jobs.small_lake import DAY, NEXT, SmallLake, _features, _label
from tests.turns import JOBS, in_turn

LATER = dt.date(2026, 1, 4)
LAST = dt.date(2026, 1, 5)
GROUPS = {"sampling__minimum_cluster_size": 3, "sampling__budget": 15, "sampling__random_share": 0.2}
# what stands for each planted cluster: where it lies, and a word that its videos share
KINDS = {"a": (0, "cat"), "b": (1, "soup"), "c": (2, "goal"), "n": (3, "news")}


def test_the_builder_says_why_and_keeps_to_the_quotas() -> None:
    settings = settings_module.load(values={"sampling.budget": 5, "sampling.random_share": 0.2, "sampling.task": "category"}).sampling
    ids = np.array(list("abcdefghi"))
    vectors = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2], [9.3], [40.0], [70.0]])
    covered = np.array([True, *[False] * 8])
    clusters = density_clusters(vectors, minimum_size=3)
    assert clusters.labels.tolist() == [0] * 3 + [1] * 4 + [-1] * 2
    batch = sample_by_density.build(ids, vectors, clusters, np.arange(9), covered, [], settings, seed=2)
    assert batch["rank"].tolist() == [1, 2, 3, 4, 5]
    assert batch["is_random"].tolist() == [False, False, True, False, False]
    assert batch["score"].isna().tolist() == batch["is_random"].tolist()
    gains = batch["score"][~batch["is_random"]].astype(float).tolist()
    assert gains == sorted(gains, reverse=True), "ranked by what each adds"
    assert 1 < gains[0] <= 4, "the first stands for most of the four that nothing was labelled of"
    said = dict(zip(batch["video_id"], batch["reason"], strict=True))
    assert "a" not in said
    drawn = batch["video_id"][2]
    assert said.pop(drawn) == "drawn at random, for unbiased evaluation"
    region = {**dict.fromkeys("abc", "typical of a dense region of 3 videos, 1 labelled or handed out before"),
              **dict.fromkeys("defg", "typical of a dense region of 4 videos, none labelled yet"),
              **dict.fromkeys("hi", "the long tail: in no dense region")}  # fmt: skip
    assert said == {video: region[video] for video in said}
    assert batch["video_id"][0] in set("defg") or drawn in set("defg")
    strays = Quota(np.array([0] * 7 + [1] * 2), np.array([9, 0]))
    kept = sample_by_density.build(ids, vectors, clusters, np.arange(9), covered, [strays], settings, seed=2)
    assert not set(kept["video_id"]) & set("hi")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_builder_takes_one_of_videos_of_one_vector_and_none_if_one_is_settled(share: float) -> None:
    values = {"sampling.budget": 9, "sampling.random_share": share, "sampling.task": "category"}
    vectors = np.eye(6, dtype=np.float32)[[0, 0, 1, 1, 2, 3, 4, 5, 5]]  # of titles, without frames: each a copy group of its own
    vectors[1] += np.float32(1e-7)
    covered = np.array([False] * 8 + [True])
    clusters, settings = density_clusters(vectors, minimum_size=3), settings_module.load(values=values).sampling
    batch = sample_by_density.build(np.array(list("abcdefghi")), vectors, clusters, np.arange(9), covered, [], settings, seed=2)
    chosen = set(batch["video_id"])
    assert len(batch) == len(chosen) == 5
    assert chosen >= set("efg")
    assert len(chosen & set("ab")) == len(chosen & set("cd")) == 1


def test_a_batch_is_of_videos_that_need_a_label_and_never_twice_the_same(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path, **GROUPS).plant(40, labelled=False)
    lake.write(tables.LABELS, [_label("v000", "pets"), _label("v001", "pets", -1)])
    lake.write(tables.LABEL_EXPORTS, [{"event_id": "x", "video_id": "v002", "task": "category", "batch": "b"}], batch="b")
    copies = [{"video_id": f"v{i:03d}", "copy_group": "v003" if i in (3, 7) else "v000" if i == 4 else f"v{i:03d}"} for i in range(40)]
    lake.write(tables.COPIES, copies)

    record = lake.do(sample_by_density)
    assert record.note == "all 40 videos were clustered: there are no earlier clusters"

    clusters = {r.video_id: r for r in lake.rows(tables.CLUSTERS)}
    assert sorted(clusters) == [f"v{i:03d}" for i in range(40)]
    assert all(r.is_noise == (r.cluster_id is None) for r in clusters.values())
    assert {r.cluster_id for r in clusters.values()} - {None} == {r.cluster_id for r in lake.rows(tables.CLUSTER_DAYS)}
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


def deliver(lake: SmallLake, day: dt.date, encoder: str = "v1", **counts: range) -> None:
    """Videos a000, a001, ...: a letter is a place where videos lie dense, and a word in their texts. Those of x lie alone and far off."""
    features, texts = [], []
    for kind, numbers in counts.items():
        axis, word = KINDS.get(kind, (9, ""))
        for number in numbers:
            noise = 0.05 * np.random.default_rng([axis, number]).standard_normal(6)
            place = np.eye(6)[axis] + 2 * np.eye(6)[5] + noise if word else np.eye(6)[number] - np.eye(6)[5]
            name = f"{kind}{number:03d}"
            features.append(_features(name, "visual", encoder, place[None, :]))
            tokens = ["the", "video", *([word] if word else []), f"only{number}"]
            texts.append({"video_id": name, "text": "t", "language": "en", "is_meaningful": True, "tokens": tokens})
    lake.write(tables.FEATURES, features, day)
    lake.write(tables.VIDEOS, [{"video_id": r["video_id"], "status": "ok", "has_audio": False} for r in features], day)
    lake.write(tables.VIDEO_TEXT, texts, day)


def state(lake: SmallLake, day: dt.date) -> dict[str, str | None]:
    return {r.video_id: r.cluster_id for r in lake.rows(tables.CLUSTERS, day)}


def told(lake: SmallLake, day: dt.date) -> dict[str, tuple[str, int, int, str]]:
    """Name -> change, size before, size now, exemplar's kind."""
    rows = lake.rows(tables.CLUSTER_DAYS, day)
    assert len({r.cluster_id for r in rows}) == len(rows)
    return {r.name: (r.change, r.previous_size, r["size"], (r.exemplar_video_id or "-")[0]) for r in rows}


def test_over_four_days_a_cluster_grows_one_is_born_and_one_dies_and_all_others_are_what_they_were(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = SmallLake(spark, tmp_path, sampling__minimum_cluster_size=4, sampling__recluster_share=0.4)
    deliver(lake, DAY, a=range(12), b=range(10), c=range(5), x=range(2))
    lake.do(sample_by_density)
    assert told(lake, DAY) == {"cat": ("born", 0, 12, "a"), "soup": ("born", 0, 10, "b"), "goal": ("born", 0, 5, "c")}
    first = state(lake, DAY)
    assert {first["a000"], first["b000"], first["c000"]} == {f"20260102-000{n}" for n in (1, 2, 3)}
    assert (first["a000"], first["c000"]) == ("20260102-0001", "20260102-0003"), "the largest first"

    deliver(lake, NEXT, a=range(12, 15), x=range(2, 3))
    record = lake.do(sample_by_density, NEXT)
    assert record.note == "the clusters were carried over; of 4 new videos 3 are in one"
    assert record.metrics["clusters grown"] == 1
    assert told(lake, NEXT) == {"cat": ("grown", 12, 15, "a"), "soup": ("kept", 10, 10, "b"), "goal": ("kept", 5, 5, "c")}
    second = state(lake, NEXT)
    assert {video: second[video] for video in first} == first
    assert {second[f"a{n:03d}"] for n in (12, 13, 14)} == {first["a000"]}
    placed = {r.video_id: r.placed_on for r in lake.rows(tables.CLUSTERS, NEXT)}
    assert {video for video, day in placed.items() if day == NEXT} == {"a012", "a013", "a014", "x002"}

    # videos that fit nowhere lie dense together; all of c are taken down
    deliver(lake, LATER, n=range(5))
    lake.write(tables.DELETIONS, [{"video_id": v} for v in second if v[0] == "c"], LATER)
    lake.do(sample_by_density, LATER)
    born = {"news": ("born", 0, 5, "n")}
    assert told(lake, LATER) == {"cat": ("kept", 15, 15, "a"), "soup": ("kept", 10, 10, "b"), "goal": ("dying", 5, 0, "-"), **born}
    third = state(lake, LATER)
    assert {third[f"n{n:03d}"] for n in range(5)} == {"20260104-0001"}
    assert {video: third.get(video) for video in second if video[0] != "c"} == {v: c for v, c in second.items() if v[0] != "c"}
    seen = {r.name: r.first_seen for r in lake.rows(tables.CLUSTER_DAYS, LATER)}
    assert seen == {"cat": DAY, "soup": DAY, "goal": DAY, "news": LATER}

    # another encoder: all are clustered anew and keep their ids; what died is not told again
    everything = {kind: range(n) for kind, n in (("a", 15), ("b", 10), ("n", 5), ("x", 3))}
    deliver(lake, LAST, "v2", **everything)
    record = lake.do(sample_by_density, LAST)
    assert record.note == "all 33 videos were clustered: the vectors are of other encoders"
    assert told(lake, LAST) == {"cat": ("kept", 15, 15, "a"), "soup": ("kept", 10, 10, "b"), "news": ("kept", 5, 5, "n")}
    assert {v: c for v, c in state(lake, LAST).items() if v[0] != "x"} == {v: c for v, c in third.items() if v[0] != "x"}

    again = {table: sorted(lake.rows(table, LATER)) for table in (tables.CLUSTERS, tables.CLUSTER_DAYS, tables.SAMPLE_BATCH)}
    lake.do(sample_by_density, LATER)
    assert {table: sorted(lake.rows(table, LATER)) for table in again} == again


def test_neither_the_order_of_rows_nor_the_number_of_partitions_changes_a_batch(spark: SparkSession, tmp_path: Path) -> None:
    shape = {"sampling__minimum_cluster_size": 3, "sampling__budget": 8, "sampling__active_budget": 5, "sampling__random_share": 0.25}
    straight, turned = (SmallLake(spark, tmp_path / name, **shape) for name in ("straight", "turned"))
    kinds = {"a": range(9), "b": range(7), "c": range(5), "x": range(4)}
    deliver(straight, DAY, **kinds)
    deliver(turned, DAY, **{kind: numbers[::-1] for kind, numbers in reversed(kinds.items())})
    jobs = {sample_by_density: (tables.CLUSTERS, tables.CLUSTER_DAYS, tables.SAMPLE_BATCH), select_for_labeling: (tables.ACTIVE_BATCH,)}
    others = {"spark.sql.shuffle.partitions": "5", "spark.sql.adaptive.enabled": "false"}
    before = {name: spark.conf.get(name) for name in others}
    for job, written in jobs.items():
        straight.do(job)
        try:
            for name, value in others.items():
                spark.conf.set(name, value)
            turned.do(job)
        finally:
            for name, value in before.items():
                spark.conf.set(name, value)
        for table in written:
            rows = sorted(straight.rows(table), key=str)
            assert rows
            assert sorted(turned.rows(table), key=str) == rows


def test_a_quota_bounds_what_a_day_of_delivery_and_a_root_of_the_label_tree_may_take(spark: SparkSession, tmp_path: Path) -> None:
    shares = {"sampling__day_share_max": 0.5, "sampling__domain_share_max": 0.25}
    lake = SmallLake(spark, tmp_path, **shares, sampling__minimum_cluster_size=3, sampling__budget=8, sampling__random_share=0)
    deliver(lake, DAY, a=range(4))
    deliver(lake, NEXT, a=range(4, 20), b=range(16))
    names = [(name, None, "food", f"/{name}", [], 0, False) for name in ("food", "pets")]
    names.append(("food.cake", "food", "cake", "/food/cake", ["food"], 1, True))
    columns = ("label_id", "parent_id", "name", "path", "ancestors", "depth", "is_leaf")
    tree = [dict(zip(columns, one, strict=True)) | {"task": "category", "taxonomy_version": "t"} for one in names]
    lake.write(tables.TAXONOMY, tree, NEXT)
    lake.write(tables.SERVING, [{"model_version": "m", "embedding_collection": "e", "hash_collection": "h", "videos": 4}], DAY)
    said = [(f"a{n:03d}", "food.cake" if n % 2 else "food") for n in range(4)] + [("b000", "pets")]
    top = [{"video_id": v, "task": "category", "entropy": 0.1, "top": [(label, "", 1.0)]} for v, label in said]
    lake.write(tables.PREDICTIONS, top, DAY, model_version="m")
    lake.do(sample_by_density, NEXT)
    chosen = [r.video_id for r in lake.rows(tables.SAMPLE_BATCH, NEXT)]
    assert len([v for v in chosen if v in {f"a{n:03d}" for n in range(4)}]) == 2, "a quarter of 8 are below food, whatever the label"
    assert len(chosen) == 6, "4 of the second day, and of the first no more than food may have"
    free = SmallLake(spark, tmp_path, **GROUPS)
    record = free.do(sample_by_density, NEXT)
    assert not {s.table for s in record.reads} & {"gold.predictions", "ops.serving", "silver.taxonomy"}, (
        "what no quota asks for is not read"
    )


def held(spark: SparkSession, lake: SmallLake, day: dt.date, rows_max: int) -> set[str]:
    """The videos that one process holds: those of least hash."""
    rows = (
        spark.createDataFrame([(v,) for v in state(lake, day)], "video_id string").selectExpr("video_id", "xxhash64(video_id) h").collect()
    )
    return {r.video_id for r in sorted(rows, key=lambda r: r.h)[:rows_max]}


@in_turn(JOBS, seconds=130)
def test_more_videos_than_one_process_holds_have_the_same_clusters(spark: SparkSession, tmp_path: Path) -> None:
    first, then = (
        {"a": range(14), "b": range(12), "c": range(10), "x": range(2)},
        {"a": range(14, 17), "c": range(10, 12), "x": range(2, 3)},
    )
    shape = {"sampling__minimum_cluster_size": 8, "sampling__budget": 12, "sampling__recluster_share": 0.6}
    few, all_ = SmallLake(spark, tmp_path / "few", sampling__rows_max=10, **shape), SmallLake(spark, tmp_path / "all", **shape)
    for lake in (few, all_):
        deliver(lake, DAY, **first)
    record = few.do(sample_by_density)
    all_.do(sample_by_density)
    assert record.note == ("all videos were clustered on Spark: there are no earlier clusters; 28 could not be chosen (sampling.rows_max)")
    inside = held(spark, few, DAY, 10)
    assert {v[0] for v in inside} == {"a", "b", "c"}
    assert sum(v[0] == "c" for v in inside) < 8, "too few to be a cluster by themselves"
    assert told(few, DAY) == told(all_, DAY) == {"cat": ("born", 0, 14, "a"), "soup": ("born", 0, 12, "b"), "goal": ("born", 0, 10, "c")}
    assert state(few, DAY) == state(all_, DAY)
    rows = [{r.video_id: (r.is_noise, round(r.density, 5), r.placed_on) for r in lake.rows(tables.CLUSTERS)} for lake in (few, all_)]
    assert rows[0] == rows[1]
    batch = {r.video_id for r in few.rows(tables.SAMPLE_BATCH)}
    assert batch
    assert batch <= inside

    # carried over: each keeps its place, and what is new joins; a cluster goes on though none of its videos is held any more
    gone = {v for v in inside if v[0] == "c"}
    for lake in (few, all_):
        deliver(lake, NEXT, **then)
        lake.write(tables.DELETIONS, [{"video_id": v} for v in gone], NEXT)
    record = few.do(sample_by_density, NEXT)
    assert re.fullmatch(
        r"the clusters were carried over; of \d new videos that could be chosen \d are in one; \d\d could not .*", record.note
    )
    before, after = state(few, DAY), state(few, NEXT)
    assert {v: c for v, c in after.items() if v in before} == {v: c for v, c in before.items() if v not in gone}
    assert {after[f"a{n:03d}"] for n in then["a"]} == {before["a000"]}
    assert {after[f"c{n:03d}"] for n in then["c"]} == {before["c000"]}
    assert not {v for v in before if v[0] == "c"} & held(spark, few, NEXT, 10)
    goal = 12 - len(gone)
    assert told(few, NEXT) == {
        "cat": ("grown", 14, 17, "a"),
        "soup": ("kept", 12, 12, "b"),
        "goal": (change_of_size(goal, 10), 10, goal, "c"),
    }
    placed = {r.video_id: r.placed_on for r in few.rows(tables.CLUSTERS, NEXT)}
    assert {v for v, day in placed.items() if day == NEXT} == {f"{kind}{n:03d}" for kind, numbers in then.items() for n in numbers}

    # of goal seven are left: it is a cluster no more
    left = sorted(v for v in after if v[0] == "c")
    few.write(tables.DELETIONS, [{"video_id": v} for v in left[7:]], LATER)
    few.do(sample_by_density, LATER)
    assert {v: c for v, c in state(few, LATER).items() if v[0] == "c"} == dict.fromkeys(left[:7])
    assert told(few, LATER)["goal"] == ("dying", goal, 0, "-")

    # another encoder: anew, on Spark, and the ids are kept
    deliver(few, LAST, "v2", a=range(17), b=range(12), x=range(3))
    record = few.do(sample_by_density, LAST)
    assert record.note.startswith("all videos were clustered on Spark: the vectors are of other encoders; 29 could not be chosen")
    assert {v: c for v, c in state(few, LAST).items() if v[0] in "ab"} == {v: c for v, c in after.items() if v[0] in "ab"}
    again = {table: sorted(few.rows(table, LAST)) for table in (tables.CLUSTERS, tables.CLUSTER_DAYS, tables.SAMPLE_BATCH)}
    few.do(sample_by_density, LAST)
    assert {table: sorted(few.rows(table, LAST)) for table in again} == again
    fewer = SmallLake(spark, tmp_path / "few", sampling__rows_max=10, sampling__spark_rows_max=24, **shape)
    record = fewer.do(sample_by_density, LAST)
    assert "clustered on Spark, but for 15 that joined theirs (sampling.spark_rows_max)" in record.note
    assert {v: c for v, c in state(few, LAST).items() if v[0] in "ab"} == {v: c for v, c in after.items() if v[0] in "ab"}
    assert len(state(few, LAST)) == 32


def test_what_is_labelled_but_not_held_counts_as_covered(spark: SparkSession, tmp_path: Path) -> None:
    shape = {"sampling__minimum_cluster_size": 4, "sampling__budget": 2, "sampling__random_share": 0}
    lake = SmallLake(spark, tmp_path, sampling__rows_max=10, **shape)
    deliver(lake, DAY, a=range(20), b=range(10), c=range(10))
    lake.do(sample_by_density)
    inside = held(spark, lake, DAY, 10)
    assert {v[0] for v in inside} == {"a", "b", "c"}
    assert "a" in {r.video_id[0] for r in lake.rows(tables.SAMPLE_BATCH)}, "of which there are most"
    lake.write(tables.LABELS, [_label(v, "pets") for v in state(lake, DAY) if v[0] == "a" and v not in inside])
    lake.do(sample_by_density)
    batch = lake.rows(tables.SAMPLE_BATCH)
    assert {r.video_id[0] for r in batch} == {"b", "c"}
    assert {r.video_id for r in batch} <= inside
    assert all(r.reason.endswith("none labelled yet") for r in batch)


def test_a_day_that_was_cut_off_between_its_tables_does_not_cost_the_history_of_clusters(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path, sampling__minimum_cluster_size=4, sampling__recluster_share=0.4)
    deliver(lake, DAY, a=range(12), b=range(10))
    lake.do(sample_by_density)
    written = [r.asDict() | {"data_date": NEXT} for r in lake.rows(tables.CLUSTER_DAYS)]
    lake.write(tables.CLUSTER_DAYS, written, NEXT)  # the first of the day's commits
    asked = "SELECT name, count(*) FROM gold.clusters_named GROUP BY name"
    catalog.register(lake.lake, asked)
    assert sorted(map(tuple, spark.sql(asked).collect())) == [("cat", 12), ("soup", 10)], "the day that is whole"
    deliver(lake, LATER, a=range(12, 13))
    lake.do(sample_by_density, LATER)
    assert told(lake, LATER) == {"cat": ("kept", 12, 13, "a"), "soup": ("kept", 10, 10, "b")}
    assert {r.first_seen for r in lake.rows(tables.CLUSTER_DAYS, LATER)} == {DAY}


def test_rows_of_before_clusters_had_ids_do_not_count(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path, **GROUPS)
    deliver(lake, DAY, a=range(6), b=range(6))
    lake.write(tables.CLUSTERS, [{"video_id": f"a{n:03d}", "cluster_id": "a000", "is_noise": False, "density": 0.5} for n in range(6)], DAY)
    lake.do(sample_by_density, NEXT)
    assert {c for c in state(lake, NEXT).values() if c} == {"20260103-0001", "20260103-0002"}
    assert {r.change for r in lake.rows(tables.CLUSTER_DAYS, NEXT)} == {"born"}


def test_without_any_vector_the_job_steps_aside(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(StepAside, match="no video has a vector yet"):
        sample_by_density.main(SmallLake(spark, tmp_path).run("sample_by_density"))
