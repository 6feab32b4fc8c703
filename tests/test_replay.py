import datetime as dt
from pathlib import Path

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
