"""What `reelhouse status` says, from rows of the ledger and the lake that are written out here."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from pyspark.sql import Row
from rich.console import Console

from reelhouse import show, tables
from reelhouse.errors import LateError, NotFoundError
from reelhouse.lake import Ledger, RunRecord
from reelhouse.pipeline import load_jobs, marker
from reelhouse.status import RULES_SHOWN, Freshness, Status, Trouble, status_of
from tests.jobs.small_lake import SmallLake
from tests.typed import typing_in

DAY, NEXT, LATER = dt.date(2026, 1, 1), dt.date(2026, 1, 2), dt.date(2026, 1, 5)
JOBS = ["ingest", "extract", "predict", "serve"]
GOOD = {
    "table": "silver.videos", "check": "c", "column": "fps", "passed": True, "failed_rows": 0, "total_rows": 9, "details": "fps is there",
}  # fmt: skip
BAD = GOOD | {"passed": False, "failed_rows": 2, "details": "fps must be at most 240"}


@pytest.fixture
def small(spark, tmp_path):
    """A day that went well, and one on which extract failed twice, the second time because too much was refused."""
    made = SmallLake(spark, tmp_path / "w")
    for n, job in enumerate(JOBS):
        ran(made, job, DAY, n, "succeeded")
    ran(made, "ingest", NEXT, 10, "stepped_aside", note="nothing was delivered")
    ran(made, "extract", NEXT, 11, "failed", note="StorageError: the disk is full")
    ran(made, "extract", NEXT, 12, "failed", note="QuarantineLimitError: 3 of 4 rows were refused", checks=[GOOD, BAD])
    made.write(tables.LABELS, [label("a"), label("b")], DAY)
    made.write(tables.LABELS, [label("a")], NEXT)
    made.write(tables.SERVING, [serving("m1", 7)], DAY)
    made.write(tables.VECTOR_LOADS, [load("video_embedding__m1", 5)], DAY)
    made.write(tables.VECTOR_LOADS, [load("video_embedding__m1", 7), load("video_hash__m1", 6)], NEXT)
    for job, rule, keys in (("extract", "no_frames", "xyz"), ("ingest", "bad_time", "q")):
        made.write(tables.QUARANTINE, [refused(rule, key) for key in keys], NEXT, job=job)
    return made


def ran(made, job, date, minute, status, **more):
    record = RunRecord(f"{date}-{job}-{minute}", job, date, dt.datetime(2026, 1, 3, 2, minute), status=status, seconds=1.5, **more)
    ledger = Ledger(made.lake)
    ledger.append(record, ledger.row(record))


def label(video):
    facts = {"agreement": 1.0, "annotators": 1, "source": "people", "taxonomy_version": "t"}
    return {"video_id": video, "task": "category", "label_id": "pets", "answer": 1, **facts}


def serving(version, videos):
    return {"model_version": version, "embedding_collection": "e", "hash_collection": "h", "videos": videos}


def load(collection, total):
    return {"collection": collection, "model_version": "m1", "kind": "k", "loaded": 1, "deleted": 0, "total": total}


def refused(rule, key):
    return {"table": "silver.videos", "rule": rule, "row_key": key, "reason": f"because of {key}"}


def test_the_newest_day_is_told_with_the_job_the_cause_and_the_next_step(small):
    found = status_of(small.lake, JOBS)
    assert (found.day, found.started_at, found.seconds) == (NEXT, dt.datetime(2026, 1, 3, 2, 10), 3.0)
    assert found.outcomes == {"stepped aside": 1, "failed": 1, "not run": 2}
    first, *rest = found.troubles
    assert (first.job, first.cause) == ("extract", "QuarantineLimitError: 3 of 4 rows were refused")
    assert first.next_step == (
        "see `reelhouse sql \"select rule, row_key, reason from ops.quarantine where data_date = '2026-01-02'\"`, "
        "mend the source or raise the limit, then `reelhouse daily --date 2026-01-02` goes on from here"
    )
    assert rest == [Trouble(job, "not run: waits for extract", "it runs by itself once that is done") for job in ("predict", "serve")]
    assert found.failed_checks == [("extract", "silver.videos", "fps must be at most 240", 2, "fps")]
    assert [(r.job, r.table, r.rule, r.rows, r.example) for r in found.refused] == [
        ("extract", "silver.videos", "no_frames", 3, "because of x"),
        ("ingest", "silver.videos", "bad_time", 1, "because of q"),
    ]
    assert [(r.collection, r.total) for r in found.collections] == [("video_embedding__m1", 7), ("video_hash__m1", 6)]
    assert (found.served.model_version, found.served.videos, found.served.data_date) == ("m1", 7, DAY)
    assert found.decided is None


def test_a_job_that_was_killed_is_told_though_the_ledger_does_not_know_of_it(small):
    small.lake.mark(marker("predict", DAY))  # run before, then begun again
    (found,) = status_of(small.lake, JOBS, DAY).troubles
    assert found == Trouble(
        "predict", "it is at work now, or was cut off", "if no run is at work, `reelhouse daily --date 2026-01-01` goes on from here"
    )


def test_a_day_of_which_no_job_has_ended_is_the_newest_once_it_has_begun(small):
    small.lake.mark(marker("ingest", LATER))
    small.lake.mark("schema-0123")  # a mark of another kind
    found = status_of(small.lake, JOBS)
    assert (found.day, found.started_at, found.outcomes) == (LATER, None, {"not run": 4})
    assert [(t.job, t.cause) for t in found.troubles][:2] == [
        ("ingest", "it is at work now, or was cut off"), ("extract", "not run: waits for ingest"),
    ]  # fmt: skip
    show.status(found)


def test_since_when_a_model_is_served_is_told(small):
    assert status_of(small.lake, JOBS).served_since == DAY
    for day, version in ((NEXT, "m1"), (LATER, "m2"), (LATER + dt.timedelta(days=1), "m1"), (LATER + dt.timedelta(days=2), "m1")):
        small.write(tables.SERVING, [serving(version, 7)], day)
        ran(small, "ingest", day, 20, "succeeded")
    assert status_of(small.lake, JOBS, NEXT).served_since == DAY
    assert status_of(small.lake, JOBS, LATER).served_since == LATER
    assert status_of(small.lake, JOBS).served_since == LATER + dt.timedelta(days=1)


def test_a_monitor_is_told_of_a_job_that_was_cut_off_after_it_had_succeeded(small, spark, tmp_path, monkeypatch):
    small.lake.mark(marker("predict", DAY))
    typed = typing_in(tmp_path, spark, monkeypatch)
    monkeypatch.setattr("reelhouse.pipeline.load_jobs", lambda: [job for job in load_jobs() if job.name in JOBS])
    with pytest.raises(LateError, match=rf"{DAY} is not done: predict: it is at work now, or was cut off"):
        typed("status", "--check", "--date", str(DAY), "--root", small.lake.root)
    small.lake.unmark(marker("predict", DAY))
    typed("status", "--check", "--date", str(DAY), "--root", small.lake.root)


def test_every_table_is_told_with_its_newest_day_and_rows(small):
    fresh = {f.table: f for f in status_of(small.lake, JOBS).freshness}
    assert list(fresh) == list(tables.ALL)
    assert fresh["silver.labels"] == Freshness("silver.labels", NEXT, 3)
    assert fresh["ops.runs"] == Freshness("ops.runs", NEXT, 7)
    assert fresh["ops.serving"] == Freshness("ops.serving", DAY, 1)
    assert fresh["silver.videos"] == Freshness("silver.videos", None, 0)


def test_a_day_that_is_asked_for_is_told_as_of_that_day(small):
    found = status_of(small.lake, JOBS, DAY)
    assert (found.day, found.outcomes, found.troubles, found.refused) == (DAY, {"succeeded": 4}, [], [])
    assert [(r.collection, r.total) for r in found.collections] == [("video_embedding__m1", 5)]
    assert next(f for f in found.freshness if f.table == "silver.labels") == Freshness("silver.labels", DAY, 2)


def test_a_lake_in_which_nothing_was_run_says_so(spark, tmp_path):
    with pytest.raises(NotFoundError, match=r"nothing was run yet in .*; `reelhouse daily` runs a day"):
        status_of(SmallLake(spark, tmp_path / "w").lake, JOBS)
    with pytest.raises(NotFoundError, match=r"nothing was run for 2026-01-02 in "):
        status_of(SmallLake(spark, tmp_path / "w").lake, JOBS, NEXT)


def test_the_command_prints_one_screen(small, spark, tmp_path, monkeypatch):
    said = typing_in(tmp_path, spark, monkeypatch)("status", "--root", "w").stdout
    assert said.startswith("2026-01-02  1 stepped aside, 1 failed, 17 not run  started 2026-01-03 02:10 UTC, 3 s of jobs\n")
    assert "  extract  QuarantineLimitError: 3 of 4 rows were refused\n    next: see `reelhouse sql" in said
    assert "  not run  clean_text, embed_text, " in said
    assert "served  m1 on 7 videos since 2026-01-01\n" in said
    assert "vectors  video_hash__m1: 6, loaded 2026-01-02\n" in said
    assert "Checks of the day that found something\n  extract  silver.videos.fps: fps must be at most 240: 2 rows at fault\n" in said
    assert "Refused on the day: 4 rows by 2 rules\n       3  extract  silver.videos  no_frames: because of x\n" in said
    assert re.search(r"(^| ) labels {14}2026-01-02       3\b", said, re.MULTILINE)
    assert re.search(r"(^| ) videos {14}-                0\b", said, re.MULTILINE)
    layers = [line.split()[0] for line in said.splitlines() if line.split()[0] in ("bronze", "silver", "gold", "ops")]
    assert layers[0] == "bronze"
    for name in tables.ALL:
        assert re.search(rf"\b{name.partition('.')[2]} +(-|\d{{4}}-)", said), name


def test_a_bad_day_of_a_full_lake_still_fits_one_screen(capsys, monkeypatch):
    monkeypatch.setattr(show, "console", Console(highlight=False, width=120))
    stopped = [Trouble(f"job{n}", "QuarantineLimitError: " + "many words " * 90, "mend it") for n in range(9)]
    waiting = [Trouble(f"later{n}", "not run: waits for job0", "it runs by itself once that is done") for n in range(8)]
    bad = Row(job="extract", table="silver.videos", rule="r", rows=3, example="because " * 60)
    loads = [Row(collection=f"video_embedding__m{n}", total=1_234_567, data_date=DAY) for n in range(12)]
    show.status(
        Status(
            DAY,
            dt.datetime(2026, 1, 3),
            9.0,
            {"failed": 9},
            stopped + waiting,
            [Freshness(t, NEXT, 12_345_678) for t in tables.ALL],
            [("extract", "silver.videos", "fps must be at most 240", 2, "fps")] * 30,
            None,
            None,
            None,
            loads,
            [bad] * RULES_SHOWN,
            25,
            12_345,
        )
    )
    said = capsys.readouterr().out
    drawn = said.splitlines()
    assert sum(-(-len(line) // 120) for line in drawn) <= 48, "on a terminal of 120 characters"
    assert "and 10 more collections: " in said
    assert 'sql "select * from ops.checks where not passed' in said
    assert "and 22 more rules: " in said
    assert "in full: " in said
    assert "12.3 M" in said
    assert max(len(line) for line in drawn if "12.3 M" in line) <= 80
