import datetime as dt
from pathlib import Path

import pytest

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.replay import compare, own_settings
from reelhouse.run import Services
from tests.jobs.small_lake import SmallLake

DAY = dt.date(2026, 1, 2)


def refused(key, job="extract", rule="vanished", reason="gone", video=None):
    return {"job": job, "table": "silver.videos", "rule": rule, "row_key": key, "reason": reason, "video_id": video}


def test_a_replay_has_vectors_of_its_own_below_its_root(tmp_path: Path):
    live = tmp_path / "live.db"
    settings = settings_module.load(values={"storage.root": str(tmp_path / "w"), "vectors.uri": str(live), "vectors.token": "secret"})
    own = own_settings(settings, tmp_path / "replayed")
    assert (own.storage.root, own.vectors.uri, own.vectors.token) == (str(tmp_path / "replayed"), "", "")
    told = {"deadline_hours": 30, "on_late": "page", "on_failure": "page"}
    loud = settings.model_copy(update={"alerts": settings.alerts.model_copy(update=told)})
    alerts = own_settings(loud, tmp_path / "replayed").alerts
    assert (alerts.deadline_hours, alerts.on_late, alerts.on_failure) == (0, "", "")
    assert own.vectors.batch_rows == settings.vectors.batch_rows
    assert settings.vectors.uri == str(live)
    vectors = Services(own, own.storage.root).vectors
    vectors.ensure("video_hash", "v1", 128)
    vectors.close()
    assert not live.exists()
    assert (tmp_path / "replayed" / "milvus" / "milvus.db").is_file()


def test_refused_rows_are_compared_by_rule_and_key(spark, tmp_path: Path):
    one, other = SmallLake(spark, tmp_path / "one"), SmallLake(spark, tmp_path / "other")
    one.write(tables.QUARANTINE, [refused("a", reason="score 0.71"), refused("x", video="x")], DAY, job="extract")
    other.write(tables.QUARANTINE, [refused("a", reason="score 0.72")], DAY, job="extract")
    for lake in (one, other):
        lake.write(tables.DELETIONS, [{"video_id": "x", "requested_at": dt.datetime(2026, 1, 3)}], DAY)
    found = {c.table: (c.rows, c.replayed, c.same) for c in compare(one.lake, other.lake, DAY, DAY)}
    assert found == {"bronze.deletions": (1, 1, True), "ops.quarantine": (1, 1, True)}
    other.write(tables.QUARANTINE, [refused("a", rule="unreadable")], DAY, job="extract")
    assert [c.table for c in compare(one.lake, other.lake, DAY, DAY) if not c.same] == ["ops.quarantine"]


@pytest.mark.parametrize(
    ("vector", "same"),
    [([0.6, 0.8], True), ([0.6004, 0.8], True), ([0.6, 0.803], False), ([0.6], False), ([0.6, 0.8, 0.0], False)],
)
def test_vectors_may_differ_by_the_tolerance_and_no_more(spark, tmp_path: Path, vector, same: bool):
    one, other = SmallLake(spark, tmp_path / "one"), SmallLake(spark, tmp_path / "other")
    for lake, second in ((one, [0.6, 0.8]), (other, vector)):
        rows = [{"video_id": "a", "vector": [1.0, 0.0]}, {"video_id": "b", "vector": second}]
        lake.write(tables.EMBEDDINGS, rows, DAY, model_version="m")
    (found,) = compare(one.lake, other.lake, DAY, DAY)
    assert (found.table, found.rows, found.replayed, found.exact, found.same) == ("gold.embeddings", 2, 2, True, same)
    if same:
        assert found.largest_difference == pytest.approx(0.0 if vector == [0.6, 0.8] else 4e-4, abs=1e-6)


def label(name="pets", path="Pets", probability=0.7):
    return {"label_id": name, "path": path, "probability": probability}


@pytest.mark.parametrize(
    ("top", "same"),
    [
        ([label(probability=0.7 + 1e-8), label("food")], True),
        ([label(probability=0.7009), label("food")], True),
        ([label(probability=0.702), label("food")], False),
        ([label(path="Animals"), label("food")], False),
        ([label()], False),
        ([label(probability=None), label("food")], False),
        (None, False),
    ],
)
def test_numbers_in_structs_may_differ_by_the_tolerance_and_what_is_beside_them_not_at_all(spark, tmp_path: Path, top, same: bool):
    one, other = SmallLake(spark, tmp_path / "one"), SmallLake(spark, tmp_path / "other")
    for lake, said in ((one, [label(), label("food")]), (other, top)):
        rows = [{"video_id": "a", "task": "category", "top": None}, {"video_id": "b", "task": "category", "top": said}]
        lake.write(tables.PREDICTIONS, rows, DAY, model_version="m")
    (found,) = compare(one.lake, other.lake, DAY, DAY)
    assert (found.exact, found.unlike_share, found.same) == (True, 0.0 if same else 0.5, same)


@pytest.mark.parametrize(("unlike", "same"), [(0, True), (1, True), (2, False)])
def test_of_a_hundred_hashes_one_may_differ(spark, tmp_path: Path, unlike: int, same: bool):
    one, other = SmallLake(spark, tmp_path / "one"), SmallLake(spark, tmp_path / "other")
    for lake, changed in ((one, 0), (other, unlike)):
        rows = [{"video_id": f"{n:03d}", "hash": bytes([n < changed] * 16)} for n in range(100)]
        lake.write(tables.HASHES, rows, DAY, model_version="m")
    (found,) = compare(one.lake, other.lake, DAY, DAY)
    assert (found.rows, found.exact, found.unlike_share, found.same) == (100, True, unlike / 100, same)


def test_a_row_more_or_another_key_is_not_the_same(spark, tmp_path: Path):
    lakes = [SmallLake(spark, tmp_path / name) for name in ("one", "more", "other")]
    for lake, ids in zip(lakes, ("a", "ab", "b"), strict=True):
        lake.write(tables.HASHES, [{"video_id": i, "hash": bytes(16)} for i in ids], DAY, model_version="m")
    for lake, rows in zip(lakes[1:], (2, 1), strict=True):
        (found,) = compare(lakes[0].lake, lake.lake, DAY, DAY)
        assert (found.rows, found.replayed, found.exact, found.same) == (1, rows, False, False)
