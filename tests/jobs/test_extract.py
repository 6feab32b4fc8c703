"""The job around reelhouse.video: what it reads, publishes and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import extract
from reelhouse import settings as settings_module
from reelhouse import tables
from tests.video.made_videos import level, write_video

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ARRIVALS = "video_id string, uri string, content_sha256 string, batch string"


class Recorder:
    """Stands in the place of Run and remembers what the job hands to it."""

    def __init__(self, arrivals: DataFrame) -> None:
        loaded = settings_module.load(values={"video.ocr_frames": 0})
        self.arrivals, self.settings = arrivals, loaded
        self.published: dict[str, list[dict[str, Any]]] = {}
        self.refused: list[dict[str, Any]] = []
        self.metrics: dict[str, float] = {}
        self.notes: list[str] = []

    def day(self, table: tables.Table) -> DataFrame:
        assert table is tables.VIDEO_ARRIVALS
        return self.arrivals

    def keep(self, rows: DataFrame) -> DataFrame:
        return rows.persist()

    def publish(self, table: tables.Table, rows: DataFrame) -> None:
        self.published[table.name] = [r.asDict() for r in rows.collect()]

    def refuse(self, table: tables.Table, rows: DataFrame) -> None:
        assert table is tables.VIDEOS
        self.refused += [r.asDict() for r in rows.collect()]

    def metric(self, name: str, value: float) -> None:
        self.metrics[name] = value

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, text: str) -> None:
        pass


def noisy(seed: int):
    import numpy as np

    return np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_one_row_a_video_goes_on_a_file_first_then_the_last_batch_by_name(spark: SparkSession):
    rows = [
        ("a", "/1", "s1", "m1.csv"),
        ("a", "/2", "s2", "m2.csv"),
        ("b", "/3", "s3", "m1.csv"),
        ("b", None, None, "m2.csv"),
        ("c", None, None, "m1.csv"),
    ]
    newest = extract.newest(spark.createDataFrame(rows, ARRIVALS))
    assert sorted((r.video_id, r.uri, r.batch) for r in newest.collect()) == [
        ("a", "/2", "m2.csv"),
        ("b", "/3", "m1.csv"),
        ("c", None, "m1.csv"),
    ]
    assert newest.columns == ["video_id", "uri", "content_sha256", "batch"]


@pytest.mark.data
def test_the_job_publishes_four_tables_and_refuses_the_broken(spark: SparkSession, tmp_path: Path, shared_data: Path):
    whole = write_video(tmp_path / "w.mp4", [noisy(i) for i in range(60)], gop=10, options={"movflags": "faststart"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    write_video(tmp_path / "ok.mp4", [level(40), level(160)])
    rows = [
        ("ok", str(tmp_path / "ok.mp4"), "s", "b"),
        ("cut", str(tmp_path / "cut.mp4"), "s", "b"),
        ("text", None, None, "b"),
        ("corrupt", str(shared_data / "clips/decord/corrupted.mp4"), "s", "b"),
    ]
    run = Recorder(spark.createDataFrame(rows, ARRIVALS))
    extract.main(run)  # type: ignore[arg-type]
    assert list(run.published) == ["silver.videos", "silver.frames", "silver.features", "silver.ocr"]
    assert {r["video_id"]: r["status"] for r in run.published["silver.videos"]} == {"ok": "ok", "cut": "ok", "text": "text_only"}
    assert {r["video_id"] for r in run.published["silver.frames"]} == {"ok", "cut"}
    assert run.published["silver.ocr"] == []
    assert [(r["rule"], r["row_key"], r["video_id"]) for r in run.refused] == [("corrupt_data", "corrupt", "corrupt")]
    assert run.metrics == {"damaged_videos": 1}
    assert run.notes == ["1 videos are damaged and were used as far as they can be read"]


def test_a_day_without_data_publishes_empty_tables(spark: SparkSession):
    run = Recorder(spark.createDataFrame([], ARRIVALS))
    extract.main(run)  # type: ignore[arg-type]
    assert run.published == {"silver.videos": [], "silver.frames": [], "silver.features": [], "silver.ocr": []}
    assert run.refused == []
    assert run.notes == []


def test_the_encoder_is_kept_in_the_cache_folder_that_the_environment_names(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REELHOUSE_CACHE", "~/x")  # as the set-up understands it
    extract.build(spark.createDataFrame([], ARRIVALS), settings_module.load().video)
    assert [p.suffix for p in (tmp_path / "x" / "encoders").iterdir()] == [".onnx"]
