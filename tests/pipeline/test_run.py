"""Run: what it empties, refuses, records and calls stale, on a real lake."""

from __future__ import annotations

import datetime as dt
import shutil

import pytest

from reelhouse import tables
from reelhouse.errors import AuditError
from reelhouse.lake import Lake, Ledger
from reelhouse.run import Run
from reelhouse.settings import CONF
from reelhouse.takedown import take_down
from tests.jobs.small_lake import SmallLake

DAY, NEXT = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
PREDICT = ["gold.hashes", "gold.embeddings"]
REFUSED = {"rule": "r", "reason": "because", "row": '{"title": "words"}'}


class NoVectors:
    def forget(self, ids: list[str]) -> int:
        return len(ids)


@pytest.fixture
def begin(spark, tmp_path):
    """Start a run as the pipeline does; each reads the ledger anew, as another process would."""
    small = SmallLake(spark, tmp_path / "w")

    def start(job: str = "predict", writes: list[str] = PREDICT, day: dt.date = DAY) -> Run:
        return Run(job, day, small.settings, small.lake, Ledger(small.lake), small.services, small.said.append, writes)

    start.small, start.lake = small, small.lake
    return start


def hashes(run: Run, model: str, *videos: str, value: bytes = bytes(16)) -> None:
    rows = [(v, value) for v in videos]
    run.publish(tables.HASHES, run.spark.createDataFrame(rows, "video_id string, hash binary"), model_version=model)


def vectors(run: Run, *values: float) -> None:
    rows = run.spark.createDataFrame([("v", list(values))], "video_id string, vector array<float>")
    run.publish(tables.EMBEDDINGS, rows, model_version="m")


def there(lake: Lake, table: tables.Table = tables.HASHES) -> set[tuple[str, str]]:
    return {(r.model_version, r.video_id) for r in lake.read(table).collect()}


def test_what_runs_that_failed_or_were_killed_left_of_the_day_is_emptied_by_the_next_that_succeeds(begin):
    first, failed, killed = begin(), begin(), begin()
    hashes(first, "a", "v1")
    first.finish("succeeded")
    hashes(failed, "b", "v1")
    failed.finish("failed")
    hashes(killed, "c", "v1")  # and no more of it
    tomorrow = begin(day=NEXT)
    hashes(tomorrow, "a", "v2")
    tomorrow.finish("succeeded")
    assert {model for model, _ in there(begin.lake)} == {"a", "b", "c"}
    last = begin()
    hashes(last, "d", "v1")
    record = last.finish("succeeded")
    assert there(begin.lake) == {("d", "v1"), ("a", "v2")}
    assert {s.slice: s.rows for s in record.writes} == {"model_version=d": 1} | dict.fromkeys(
        ["model_version=a", "model_version=b", "model_version=c"], 0
    )
    # stepping aside leaves nothing of the day
    begin().finish("stepped_aside")
    assert there(begin.lake) == {("a", "v2")}


def test_what_readers_see_outlives_the_run_that_no_longer_writes_it_until_they_see_another(begin):
    first, again = begin(), begin()
    hashes(first, "a", "v1")
    hashes(first, "x", "v1")
    first.finish("succeeded")
    again.spare(model_version="a")
    hashes(again, "b", "v1")
    record = again.finish("succeeded")
    assert there(begin.lake) == {("a", "v1"), ("b", "v1")}
    assert {s.slice: s.rows for s in record.writes} == {"model_version=b": 1, "model_version=a": 0, "model_version=x": 0}
    assert Ledger(begin.lake).written("gold.hashes", "day", DAY)[0] == 1  # so that nothing is stale once it is gone
    later = begin("serve", ["ops.serving"], day=NEXT)
    later.sweep("predict", model_version="a")
    assert there(begin.lake) == {("a", "v1"), ("b", "v1")}
    later.sweep("predict", model_version="b")
    assert there(begin.lake) == {("b", "v1")}
    assert later.finish("succeeded").writes == []


def test_what_people_decided_on_the_day_is_not_a_leftover(begin):
    at = dt.datetime(2026, 1, 1, 9)
    decision = {"model_version": "m", "snapshot_id": "s", "decision": "promoted", "decided_at": at, "reason": "good"}
    for who in ("gates", "alice"):
        begin.small.write(tables.PROMOTIONS, [decision], DAY, decided_by=who)
    begin("evaluate", ["gold.evaluations", "ops.promotions"]).finish("stepped_aside")
    assert [r.decided_by for r in begin.lake.read(tables.PROMOTIONS).collect()] == ["alice"]


def test_vectors_that_change_under_the_same_keys_are_a_change(begin):
    marks = []
    for values in [(0.6, 0.8), (0.6, 0.8), (0.8, 0.6)]:
        run = begin()
        vectors(run, *values)
        run.finish("succeeded")
        marks.append(Ledger(begin.lake).written("gold.embeddings", "day", DAY))
    assert marks[0] == marks[1]
    assert marks[1][0] == marks[2][0] == 1
    assert marks[1][1] != marks[2][1]


def test_a_refused_row_of_a_video_that_was_taken_down_is_not_kept(begin):
    lake = begin.lake
    arrived = begin("ingest", ["bronze.video_arrivals"])
    begin.small.write(tables.VIDEO_ARRIVALS, [{"video_id": "gone", "batch": "b"}], DAY)
    take_down(lake, NoVectors(), "gone", DAY, "", "")
    arrived.refuse(
        tables.VIDEO_ARRIVALS, [{**REFUSED, "row_key": k, "video_id": v} for k, v in [("1", "gone"), ("2", "kept"), ("3", None)]]
    )
    record = arrived.finish("succeeded")
    kept = {(r.row_key, r.video_id) for r in lake.spark.read.format("delta").load(lake.path(tables.QUARANTINE)).collect()}
    assert kept == {("2", "kept"), ("3", None)}
    assert record.quarantined == 2
    assert {c["table"] for c in record.checks} == {"ops.quarantine"}
    assert all(c["passed"] for c in record.checks)


def test_a_run_that_fails_before_it_refuses_anything_leaves_the_quarantine_alone(begin):
    run = begin("extract", [])
    run.refuse(tables.VIDEOS, [{**REFUSED, "row_key": "1", "video_id": "v"}])
    run.finish("succeeded")
    begin("extract", []).finish("failed")
    assert begin.lake.read(tables.QUARANTINE).count() == 1
    begin("extract", []).finish("succeeded")
    assert begin.lake.read(tables.QUARANTINE).count() == 0


def test_a_record_that_breaks_the_suite_of_the_ledger_is_not_written_and_the_job_is_not_done(begin):
    run = begin()
    run.record.rows_out = -1
    with pytest.raises(AuditError, match=r"the record of 2026-01-01-predict-\w+ can't be kept: rows_out must be at least 0, got -1"):
        run.finish("succeeded")
    assert begin.lake.read(tables.RUNS).count() == 0
    assert Ledger(begin.lake).latest("predict", DAY) is None


def test_a_check_of_the_record_as_a_whole_counts_too(begin, tmp_path, monkeypatch):
    shutil.copytree(CONF / "expectations", tmp_path / "expectations")
    with (tmp_path / "expectations" / "ops.runs.yml").open("a") as suite:
        suite.write("  - {type: expect_column_max_to_be_between, kwargs: {column: rows_in, min_value: 1}, description: a run reads rows}\n")
    monkeypatch.setattr("reelhouse.run.CONF", tmp_path)
    with pytest.raises(AuditError, match=r"can't be kept: ops\.runs: a run reads rows, but it is 0"):
        begin().finish("succeeded")
    assert begin.lake.read(tables.RUNS).count() == 0


def test_a_clock_that_was_set_back_during_a_run_does_not_change_how_long_it_took(begin):
    run = begin()
    run.record.started_at += dt.timedelta(hours=1)
    run.finish("succeeded")
    ((job, seconds),) = [(r.job, r.seconds) for r in begin.lake.read(tables.RUNS).collect()]
    assert job == "predict"
    assert 0 < seconds < 60


def test_of_runs_of_a_job_and_date_the_later_is_the_latest_also_where_the_clock_was_set_back_between_them(begin):
    ahead = begin()
    ahead.record.started_at += dt.timedelta(days=400)  # the clock was wrong, and is mended after this run
    hashes(ahead, "m", "v1")
    ahead.finish("succeeded")
    after = begin()
    hashes(after, "m", "v1", "v2")
    after.finish("succeeded")
    ledger = Ledger(begin.lake)
    assert ledger.latest("predict", DAY).run_id == after.record.run_id
    assert ledger.written("gold.hashes", "day", DAY)[0] == 2
    other = begin("extract", [])
    assert other.record.started_at < ahead.record.started_at  # one mistake does not spread to other jobs
