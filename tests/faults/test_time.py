"""Days that come again, in another order, by a wrong clock, or thirty at a time: the rows are the same."""

from __future__ import annotations

import datetime as dt
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake, ledger
from reelhouse.pipeline import Pipeline, days
from reelhouse.replay import replay_days
from tests.deliveries import deliver, text_rows
from tests.faults.killing import late_jobs, opened, rows_of, run_jobs
from tests.faults.survived import survives

DAYS = [dt.date(2026, 1, day) for day in (1, 2, 3)]
JOBS = ["ingest", "extract", "clean_text", "import_labels", "fold_labels"]
MONTH = 30
GROWTH_MAX = 300 * 2**20  # bytes that Python and Java together may take more at a month's end than after its first third


class Clock(dt.datetime):
    """A clock that somebody set back."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
        return dt.datetime.now(tz) - dt.timedelta(hours=30)


@survives(
    "the clock is set back between two runs of a day",
    seconds=40,
    sees="nothing: of two runs the later counts",
    mends="nothing is needed",
)
def test_a_run_after_the_clock_was_set_back_counts_as_the_later_one(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    day, deliveries = DAYS[0], tmp_path / "deliveries"
    first, second = text_rows(day, 6), text_rows(day, 9)
    deliver(deliveries, day, first)
    run_jobs(spark, tmp_path / "w", deliveries, day, JOBS)
    lake = Lake(spark, str(tmp_path / "w"))
    before = began(lake)
    deliver(deliveries, day, second)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "dt", SimpleNamespace(datetime=Clock, timedelta=dt.timedelta, UTC=dt.UTC))
        run_jobs(spark, tmp_path / "w", deliveries, day, JOBS)
    # as soon after the first as can be told: by the clock alone it would be thirty hours older
    assert began(lake) == {job: at + dt.timedelta(microseconds=1) for job, at in before.items()}
    assert lake.read(tables.VIDEO_TEXT).count() == 9
    with opened(spark, tmp_path / "w", deliveries) as pipeline:
        outcomes = pipeline.run_day(day, JOBS)
    assert {o.status for o in outcomes} == {"up to date"}
    deliver(deliveries, day, first)  # what the first run saw: the tables hold other rows now, so it must run
    run_jobs(spark, tmp_path / "w", deliveries, day, JOBS)
    assert lake.read(tables.VIDEO_TEXT).count() == 6


def began(lake: Lake) -> dict[str, dt.datetime]:
    """When the latest run of each job began."""
    return {row.job: row["max(started_at)"] for row in lake.read(tables.RUNS).groupBy("job").agg({"started_at": "max"}).collect()}


@survives(
    "days are delivered twice, with other rows, and out of order",
    seconds=120,
    sees="the days run again; later days are marked stale",
    mends="the days once more, in order",
)
def test_days_delivered_again_and_out_of_order_leave_what_the_last_deliveries_in_order_do(spark: SparkSession, tmp_path: Path):
    deliveries = tmp_path / "deliveries"
    wanted = {day: text_rows(day, 4) for day in DAYS}
    early = {day: [*text_rows(day, 3), {"video_id": "moves", "title": f"一个视频 {day}"}] for day in DAYS}
    wanted[DAYS[1]].append({"video_id": "moves", "title": "搬家的视频"})
    for day in (DAYS[2], DAYS[0], DAYS[1]):
        deliver(deliveries, day, early[day])
        run_jobs(spark, tmp_path / "w", deliveries, day, JOBS)
    for day in (DAYS[1], DAYS[2], DAYS[0]):
        deliver(deliveries, day, wanted[day])
        run_jobs(spark, tmp_path / "w", deliveries, day, JOBS)
    late = partial(late_jobs, spark, tmp_path / "w", deliveries, of=JOBS)
    assert late(DAYS[0]) == {}
    for day in DAYS[1:]:
        assert late(day)["ingest"] == "bronze.video_arrivals changed (the days before)"
    for day in DAYS:
        run_jobs(spark, tmp_path / "w", deliveries, day, JOBS)
        run_jobs(spark, tmp_path / "calm", deliveries, day, JOBS)
    assert [late(day) for day in DAYS] == [{}, {}, {}]
    found = rows_of(Lake(spark, str(tmp_path / "w")))
    assert found == rows_of(Lake(spark, str(tmp_path / "calm")))
    assert found["silver.video_text"][0] == 13


@survives(
    "a month of days is replayed in one session",
    seconds=1200,
    sees="every slice is the same; memory and open files stay level",
    mends="nothing is needed",
)
def test_a_month_replayed_in_one_session_gives_the_same_rows_and_takes_no_more_and_more(spark: SparkSession, tmp_path: Path):
    month = list(days(DAYS[0], DAYS[0] + dt.timedelta(days=MONTH - 1)))
    values = {
        "storage.root": str(tmp_path / "w"), "sources.deliveries": str(tmp_path / "deliveries"), "spark.master": "local[2]",
        "training.minimum_labels": 1000, "noise.minimum_labels": 1000,
    }  # fmt: skip
    settings = settings_module.load(values=values)
    lake = Lake(spark, str(tmp_path / "w"))
    pipeline = Pipeline(settings, lake, lambda text: None)
    held: list[tuple[int, int]] = []
    for day in month:
        deliver(tmp_path / "deliveries", day, text_rows(day, 4))
        assert [o for o in pipeline.run_day(day) if o.error] == []
        held.append(_held())
        print(day, held[-1], flush=True)
    pipeline.close()
    compared = replay_days(lake, settings, month[0], month[-1], tmp_path / "again", lambda text: None)
    assert [c for c in compared if not c.same] == []
    assert len({c.date for c in compared}) == MONTH
    memory, files = zip(*held, strict=True)
    assert max(memory[-5:]) - max(memory[: MONTH // 3]) < GROWTH_MAX
    assert max(files[-5:]) <= max(files[: MONTH // 3]) + 10


def _held() -> tuple[int, int]:
    """Bytes in memory and open files of this process and its Java."""
    family = [psutil.Process(os.getpid()), *(p for p in psutil.Process().children() if p.name() == "java")]
    return sum(p.memory_info().rss for p in family), sum(p.num_fds() for p in family)
