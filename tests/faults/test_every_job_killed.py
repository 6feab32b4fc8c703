"""`make faults`: every job of a day, killed at every phase and run again (about two hours)."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.pipeline import load_jobs
from reelhouse.promotion import promote
from reelhouse.status import status_of
from tests.deliveries import deliver, text_rows
from tests.faults.killing import kill, opened, phases_of, rows_of, run_jobs, services_hold
from tests.faults.survived import survives
from tests.turns import FAULTS, in_turn
from tests.video.made_videos import tone, write_video

DAY1, DAY2 = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
JOBS = {job.name: job for job in load_jobs()}
NAMES = list(JOBS)
WITH_SERVICES = ["train", "evaluate", "predict", "load_vectors", "reconcile", "serve"]
RARE = {"silver.text_encoders", "gold.tag_patterns"}  # written on days that bring much more than before
# what comes besides a manifest, lines of each day, with ids and times of the day
ANSWER = {"event_id": "e", "video_id": "v", "label": "sports.yoga", "answer": 1, "answered_at": ""}
SENT = {
    "interactions.jsonl": [{"event_id": "i", "user_id": "u", "video_id": "v", "kind": "click"}],
    "items.jsonl": [{"item_id": "i", "title": "杯子", "category_path": "home/cups"}],
    "labels": [ANSWER | {"annotator_id": person} for person in ("ann", "bob")],
    "exports": [{"event_id": "x", "video_id": "v", "task": "category", "exported_at": ""}],
    "tag_reviews": [{"phrase": "手冲咖啡", "decision": "accept", "reviewer_id": "ann", "reviewed_at": ""}],
}


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Deliveries of two days, and a lake in which the first was run: a trained model is served."""
    folder = tmp_path_factory.mktemp("faults")
    for day in (DAY1, DAY2):
        place = folder / "deliveries" / str(day)
        video = {"video_id": f"{day:%m%d}-v", "title": "手冲咖啡教程", "category": "food.coffee", "file": "videos/v.mp4"}
        texts = [row | ({"item_ids": [f"{day:%m%d}-000"]} if row.get("category") == "food.coffee" else {}) for row in text_rows(day, 11)]
        deliver(folder / "deliveries", day, [*texts, video])
        (place / "videos").mkdir()
        write_video(place / "videos" / "v.mp4", [with_words(f"SALE {day:%d}")] * 12, sound=tone(1.5, 300 + 100 * day.day))
        for name, lines in SENT.items():
            file = place / name if name.endswith(".jsonl") else place / name / "lines.jsonl"
            file.parent.mkdir(exist_ok=True)
            told = [dated(line, day, n) for n, line in enumerate(lines)]
            file.write_text("".join(json.dumps(line) + "\n" for line in told), encoding="utf-8")
    calm, deliveries = folder / "calm", folder / "deliveries"
    run_jobs(spark, calm, deliveries, DAY1, [])
    with opened(spark, calm, deliveries) as pipeline, pipeline.by_hand("models", DAY1) as run:
        promote(run, run.registry.version_of_alias("candidate"), "ann", "whatever the gates say of so few videos", force=True)
        run.finish("succeeded")
    run_jobs(spark, calm, deliveries, DAY1, [])
    return folder


def dated(line: dict[str, Any], day: dt.date, n: int) -> dict[str, Any]:
    own = {"event_id": f"{day:%m%d}-{n:03d}", "video_id": f"{day:%m%d}-001", "item_id": f"{day:%m%d}-000"}
    own |= {key: f"{day}T09:00:00Z" for key in line if key.endswith("_at")}
    return line | {key: value for key, value in own.items() if key in line}


def left_by(job: str, lake: Lake) -> tuple[Any, Any]:
    """Rows of the tables that the job writes (a run can write no others), and what it leaves in MLflow and Milvus."""
    return rows_of(lake, [*JOBS[job].writes, tables.QUARANTINE.name]), services_hold(lake) if job in WITH_SERVICES else None


def with_words(words: str) -> np.ndarray:
    picture = Image.new("RGB", (320, 240), "white")
    ImageDraw.Draw(picture).text((40, 90), words, "black", ImageFont.load_default(60))
    return np.asarray(picture)


@survives(
    "a job is killed (SIGKILL) at any commit step",
    seconds=170,
    sees="the day is unfinished; `reelhouse status` names the job that was cut off",
    mends="the same command",
)
@pytest.mark.parametrize("job", [job for job in NAMES if job not in WITH_SERVICES])
def test_a_job_killed_at_any_phase_and_run_again_leaves_what_an_undisturbed_run_does(spark: SparkSession, folder: Path, job: str):
    kill_everywhere(spark, folder, job)


@in_turn(FAULTS, seconds=700)
@pytest.mark.parametrize("job", WITH_SERVICES)
def test_a_job_that_asks_mlflow_or_milvus_leaves_the_same_there_too(spark: SparkSession, folder: Path, job: str):
    kill_everywhere(spark, folder, job)


def kill_everywhere(spark: SparkSession, folder: Path, job: str) -> None:
    calm, deliveries = folder / "calm", folder / "deliveries"
    # of this job only: this process' MLflow keeps an earlier job's database open, and SQLite refuses one whose file was replaced
    before, killed = folder / f"before-{job}", {}
    for earlier in NAMES[: NAMES.index(job)]:  # up to date unless this job was asked for by name
        run_jobs(spark, calm, deliveries, DAY2, [earlier])
    shutil.copytree(calm, before)
    phases = phases_of(spark, calm, deliveries, DAY2, [job])
    lake = Lake(spark, str(calm))
    (ran,) = lake.read(tables.RUNS).where((F.col("job") == job) & (F.col("data_date") == F.lit(DAY2))).collect()
    assert ran.status == "succeeded", ran.note
    empty = [name for name in {*JOBS[job].writes} - RARE if lake.read(tables.ALL[name]).where(F.col("data_date") == F.lit(DAY2)).isEmpty()]
    assert empty == [], "the job is not seen to write all that it writes"
    wanted = left_by(job, lake)
    fatal = range(2, phases + 1, 2)  # the end of one is the beginning of the next
    for n in fatal:
        killed[n] = shutil.copytree(before, folder / f"killed-{job}-{n}")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: kill(killed[n], deliveries, DAY2, n, [job]), fatal))
    for n, root in killed.items():
        told = {trouble.job: trouble.cause for trouble in status_of(Lake(spark, str(root)), NAMES, DAY2).troubles}
        assert n == phases or told.get(job) == "it is at work now, or was cut off", f"killed at phase {n} of {phases}: {told}"
        run_jobs(spark, root, deliveries, DAY2, [job])
        assert left_by(job, Lake(spark, str(root))) == wanted, f"killed at phase {n} of {phases}"
        shutil.rmtree(root)
        # Delta keeps 2 MB of each table that it saw, of lakes that are gone too
        spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    shutil.rmtree(before)
