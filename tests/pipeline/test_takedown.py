"""Takedowns that were cut off, that come at once, or while a run is at work."""

from __future__ import annotations

import datetime as dt
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.errors import LockedError
from reelhouse.lake import Lake
from reelhouse.report.content import anchor_of, mention_of
from reelhouse.schedule import nightly
from reelhouse.takedown import pseudonym, purge, take_down
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


def test_a_purge_puts_one_pseudonym_wherever_another_videos_row_names_the_gone_one(small):
    no_hashes = {"frame_hashes": []}
    copies = [("a", "a", None), ("b", "a", "a"), ("c", "c", None)]
    small.write(tables.COPIES, [{"video_id": v, "copy_group": g, "matched_video_id": m, **no_hashes} for v, g, m in copies], DAY)
    small.write(tables.COPIES, [{"video_id": "later", "copy_group": "c", "matched_video_id": "c", **no_hashes}], NEXT)
    facts = {"phrase": "cat", "score": 1.0, "count": 3, "document_count": 3, "miner": "phrases", "pattern": "p"}
    small.write(tables.TAG_CANDIDATES, [{**facts, "example_video_ids": ["b", "a", "c"]}], DAY)
    refused = {"job": "ingest", "table": "bronze.video_arrivals", "rule": "r", "reason": "x"}
    small.write(tables.QUARANTINE, [{**refused, "row_key": "a", "video_id": None}], DAY, job="ingest")
    note = "it lacks 2 videos (a, b); of abc: a. Run it again"
    ran = {"job": "serve", "status": "failed", "started_at": dt.datetime(2026, 1, 2), "settings_hash": "s", "code_version": "c"}
    ran |= dict.fromkeys(("rows_in", "rows_out", "quarantined"), 0)
    small.write(tables.RUNS, [{**ran, "run_id": run_id, "note": said} for run_id, said in (("1", note), ("2", "b"))], DAY)
    versions = {t.name: DeltaTable(small.lake.path(t)).version() for t in (tables.COPIES, tables.TAG_CANDIDATES)}
    take_down(small.lake, small.services.vectors, "a", NEXT, "", "")
    purged = purge(small.lake, small.services.vectors)
    assert purged["silver.copies"] == 1
    name = pseudonym("a")
    found = {(r.video_id, r.copy_group, r.matched_video_id) for r in small.lake.read(tables.COPIES).collect()}
    assert found == {("b", name, name), ("c", "c", None), ("later", "c", "c")}
    (candidate,) = small.lake.read(tables.TAG_CANDIDATES).collect()
    assert candidate.example_video_ids == ["b", name, "c"]
    notes = [r.note for r in small.lake.read(tables.RUNS).orderBy("run_id").collect()]
    assert notes == ["it lacks 2 videos ((removed), b); of abc: (removed). Run it again", "b"]
    assert [r.row_key for r in small.lake.read(tables.QUARANTINE).collect()] == [name]
    days = {action["partitionValues"]["data_date"] for action in added_since(small.lake.path(tables.COPIES), versions["silver.copies"])}
    assert days == {str(DAY)}  # what names nobody is left as it is


@pytest.mark.parametrize(
    ("video_id", "named", "others"),
    [
        ("12", ["lacks 2 videos (11, 12), which", "(12, 13)", "'12' is missing", "/in/12.mp4 is no video", "row \"12\"", "[12]"],
         ["12 videos", "trained in 12 s", "accuracy 0.12 (12 s)", "2026-01-12", "(1, 212)", "112", "12.5", "at 12:30"]),
        ("123456789", ["123456789 is missing", "of 123456789: x"], ["1234567890", "x123456789"]),
        ("a.b", ["a.b is missing", "(a.b)", "/in/a.b.mp4"], ["aXb", "ba.b", "a.bc"]),
    ],
)  # fmt: skip
def test_an_id_is_found_in_a_text_and_a_figure_is_none(spark: SparkSession, video_id: str, named: list[str], others: list[str]):
    pattern = mention_of(["zzz", video_id])
    assert [text for text in (*named, *others) if re.search(pattern, text)] == named
    rows = spark.createDataFrame([(text,) for text in (*named, *others)], "text string").where(F.col("text").rlike(pattern))
    assert [row.text for row in rows.collect()] == named


def test_a_takedown_and_a_purge_remove_the_reports_that_show_or_name_the_video(small):
    folder = Path(small.lake.root) / "reports"
    folder.mkdir(parents=True)

    def write(day: str, words: str) -> None:
        (folder / f"{day}.html").write_text(f"<!-- days --><!-- /days -->{words}", encoding="utf-8")

    write("2026-01-01", f'<li id="arrived-{anchor_of("a")}">')
    write("2026-01-02", "/videos/a.mp4 is not a video")
    write("2026-01-03", "banana, and nothing of it")
    take_down(small.lake, small.services.vectors, "a", NEXT, "", "")
    assert sorted(path.name for path in folder.iterdir()) == ["2026-01-03.html", "index.html"]
    write("2026-01-04", f"written while it was taken down: {anchor_of('a')}")
    assert purge(small.lake, small.services.vectors)["reports"] == 1
    assert sorted(path.name for path in folder.iterdir()) == ["2026-01-03.html", "index.html"]
    assert "2026-01-04" not in (folder / "index.html").read_text(encoding="utf-8")


def test_a_purge_takes_the_names_out_of_the_logs_of_scheduled_runs_unless_one_is_at_work(small):
    folder = Path(small.lake.root) / "logs"
    folder.mkdir(parents=True)
    named = b"[bad_timestamp] manifest.csv:3: a\r\n/in/a.mp4 is no video; banana \xff stays\n"
    (folder / f"{DAY}.log").write_bytes(named)
    (folder / f"{NEXT}.log").write_bytes(b"banana\n")
    old = (folder / f"{NEXT}.log").stat().st_mtime_ns
    take_down(small.lake, small.services.vectors, "a", NEXT, "", "")
    with (
        nightly.only_one(folder / "schedule.lock", NEXT),
        pytest.raises(LockedError, match=r"a scheduled run is at work in .*; purge again when it has ended"),
    ):
        purge(Lake(small.lake.spark, small.lake.root), small.services.vectors)
    assert (folder / f"{DAY}.log").read_bytes() == named
    assert purge(small.lake, small.services.vectors)["logs"] == 1
    assert (folder / f"{DAY}.log").read_bytes() == (
        b"[bad_timestamp] manifest.csv:3: (removed)\r\n/in/(removed).mp4 is no video; banana \xff stays\n"
    )
    assert ((folder / f"{NEXT}.log").read_bytes(), (folder / f"{NEXT}.log").stat().st_mtime_ns) == (b"banana\n", old)
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") == [f"{DAY}.log", f"{NEXT}.log"]
    assert "logs" not in purge(small.lake, small.services.vectors)


def test_where_no_lock_is_known_nothing_is_purged_while_a_job_may_be_at_work(small):
    take_down(small.lake, small.services.vectors, "a", DAY, "", "")
    lake = Lake(small.lake.spark, small.lake.root)
    lake.is_local = False  # as an object store, where no file can be locked
    lake.mark(f"{NEXT}-extract")
    with pytest.raises(LockedError, match=rf"nothing was purged in .*: a job is at work there, .* \(extract of {NEXT}\)\. Wait"):
        purge(lake, small.services.vectors)
    assert arrivals(lake) == ["a", "b", "c"]
    lake.unmark(f"{NEXT}-extract")
    assert purge(lake, small.services.vectors)["bronze.video_arrivals"] == 1
    assert arrivals(lake) == ["b", "c"]


def added_since(path: str, version: int) -> list[dict]:
    """Files that later commits of a Delta table added."""
    logs = sorted(Path(path, "_delta_log").glob("*.json"))[version + 1 :]
    actions = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return [action["add"] for action in actions if "add" in action]
