"""The whole step on Spark executors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pyarrow
import pytest
from pyspark import StorageLevel

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.video import audio, encoders, extract, extract_videos, features_of, frames_of, ocr_of, refused_of, videos_of
from reelhouse.video.encoders import DEFAULT, encode, encoder_file, session_of
from reelhouse.video.reading import Reader
from tests.video.made_videos import level, tone, write_video

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ARRIVALS = "video_id string, uri string, content_sha256 string"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="module")
def wide(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> DataFrame:
    folder = tmp_path_factory.mktemp("videos")
    good = write_video(folder / "good clip.mp4", [level(20 * i) for i in range(1, 11)], sound=tone(2.0))
    mute = write_video(folder / "mute.mp4", [level(90)])
    sound = write_video(folder / "sound.m4a", sound=tone(1.0))
    (folder / "empty.mp4").touch()
    rows = [
        ("good", good.as_uri(), "sha-good"),
        ("mute", str(mute), "sha-mute"),
        ("sound", str(sound), "sha-sound"),
        ("text", None, None),
        ("empty", str(folder / "empty.mp4"), "sha-empty"),
        ("gone", str(folder / "gone.mp4"), "sha-gone"),
    ]
    video = settings_module.load().video.model_copy(update={"partition_videos": 2})
    return extract_videos(spark.createDataFrame(rows, ARRIVALS), video, cache).persist(StorageLevel.MEMORY_AND_DISK)


@pytest.mark.parametrize(
    ("select", "table"),
    [(videos_of, tables.VIDEOS), (frames_of, tables.FRAMES), (features_of, tables.FEATURES), (ocr_of, tables.OCR)],
)
def test_each_part_has_the_columns_and_types_of_its_table(wide: DataFrame, select, table: tables.Table):
    expected = [(f.name, f.dataType) for f in table.spark_schema("data_date")]
    assert [(f.name, f.dataType) for f in select(wide).schema] == expected


def test_every_video_is_probed_or_refused_and_none_is_lost(wide: DataFrame):
    status = {r.video_id: (r.status, r.has_audio, r.content_sha256) for r in videos_of(wide).collect()}
    assert status == {
        "good": ("ok", True, "sha-good"),
        "mute": ("ok", False, "sha-mute"),
        "sound": ("audio_only", True, "sha-sound"),
        "text": ("text_only", False, None),
    }
    refused = {r.video_id: (r.rule, r.row_key) for r in refused_of(wide).collect()}
    assert refused == {"empty": ("empty_file", "empty"), "gone": ("missing_file", "gone")}
    gone = refused_of(wide).where("video_id = 'gone'").first()
    assert '"content_sha256":"sha-gone"' in gone.row
    assert gone.reason.endswith("was moved or removed after ingest; deliver it again")


def test_vectors_are_those_of_the_videos_own_frames(wide: DataFrame, cache: Path):
    encoder = encoder_file(DEFAULT, cache)
    rows = {(r.video_id, r.modality): r for r in features_of(wide).collect()}
    assert set(rows) == {("good", "visual"), ("good", "audio"), ("mute", "visual"), ("sound", "audio")}
    video = settings_module.load().video.model_copy(update={"ocr_frames": 0})
    session = session_of(encoder.path.read_bytes())
    for video_id in ("good", "mute"):
        uri = videos_of(wide).where(f"video_id = '{video_id}'").first().uri
        expected = encode(session, np.stack(Reader(video).read(video_id, uri, None).pictures))
        row = rows[(video_id, "visual")]
        assert (row.steps, row.dimension, row.encoder_id) == (*expected.shape, encoder.encoder_id)
        np.testing.assert_allclose(np.array(row["values"]).reshape(expected.shape), expected, atol=1e-4)
    sound = rows[("good", "audio")]
    sources = {key: row.source_sha256 for key, row in rows.items()}
    assert (sources["good", "audio"], sources["sound", "audio"]) == ("sha-good", "sha-sound")
    times = {
        v: [r.timestamp_seconds for r in frames_of(wide).where(f"video_id = '{v}'").orderBy("frame_index").collect()]
        for v in ("good", "mute")
    }
    for video_id, chosen in times.items():
        whole = " ".join([f"sha-{video_id}", *(f"{t:.3f}" for t in chosen)])
        assert sources[video_id, "visual"] == hashlib.sha256(whole.encode()).hexdigest()
    assert (sound.steps, sound.dimension, sound.encoder_id, len(sound["values"])) == (2, 192, audio.ENCODER_ID, 384)


def test_frames_are_numbered_in_order_of_time(wide: DataFrame):
    rows = frames_of(wide).where("video_id = 'good'").orderBy("frame_index").collect()
    assert [r.frame_index for r in rows] == [0, 1, 2, 3]
    assert [r.timestamp_seconds for r in rows] == sorted(r.timestamp_seconds for r in rows)
    assert all(r.jpeg[:2] == b"\xff\xd8" for r in rows)


def test_another_division_into_tasks_gives_the_same_rows(spark: SparkSession, wide: DataFrame, cache: Path):
    arrivals = wide.select("video_id", "uri", "content_sha256").localCheckpoint()
    video = settings_module.load().video.model_copy(update={"partition_videos": 100})
    again = extract_videos(arrivals.repartition(3), video, cache)
    for select in (videos_of, frames_of):
        key = lambda r: (r["video_id"], r.asDict().get("frame_index", 0))  # noqa: E731
        assert sorted(select(again).collect(), key=key) == sorted(select(wide).collect(), key=key)


def test_each_video_is_opened_once_and_the_encoder_loaded_once_by_a_worker(tmp_path: Path, cache: Path, monkeypatch):
    """Counted in this process by what a worker does with two tasks: looking at each real call, and letting it through."""
    opened, loaded = [], []
    av_open, make_session = av.open, encoders.session_of
    files = [
        write_video(tmp_path / f"{n}.mp4", [level(20 * i + n) for i in range(1, 11)], sound=tone(1.0)) for n in range(2 * extract.GROUP)
    ]
    monkeypatch.setattr(av, "open", lambda file, **options: opened.append(str(file)) or av_open(file, **options))
    monkeypatch.setattr(encoders, "session_of", lambda model: loaded.append(len(model)) or make_session(model))
    monkeypatch.setattr(extract, "_sessions", {})
    monkeypatch.setattr(extract, "_reader", Reader)
    encoder = encoder_file(DEFAULT, cache)
    task = extract._extractor(settings_module.load().video, encoder.encoder_id, encoder.path.read_bytes)
    rows = [{"video_id": file.stem, "uri": str(file), "content_sha256": "sha"} for file in files]
    read = [row for half in (rows[::2], rows[1::2]) for batch in task([pyarrow.RecordBatch.from_pylist(half)]) for row in batch.to_pylist()]
    assert sorted(row["video_id"] for row in read) == sorted(file.stem for file in files)
    assert all(row["rule"] is None and {f["modality"] for f in row["features"]} == {"visual", "audio"} for row in read)
    assert sorted(opened) == sorted(f"file:{file}" for file in files)
    assert loaded == [len(encoder.path.read_bytes())]


def test_a_day_without_videos_gives_empty_tables(spark: SparkSession, cache: Path):
    nothing = extract_videos(spark.createDataFrame([], ARRIVALS), settings_module.load().video, cache)
    assert videos_of(nothing).collect() == []
    assert refused_of(nothing).collect() == []


@pytest.mark.data
def test_an_own_encoder_is_shipped_and_named_by_its_content(spark: SparkSession, tmp_path: Path, shared_data: Path):
    from tests.video.test_frame_encoders import means_model

    model = means_model(tmp_path / "means.onnx", outputs=2)
    video = settings_module.load().video.model_copy(update={"encoder": str(model), "ocr_frames": 0, "audio": False})
    clip = shared_data / "clips/mmaction2/demo.mp4"
    rows = features_of(extract_videos(spark.createDataFrame([("v", str(clip), "s")], ARRIVALS), video, tmp_path)).collect()
    assert [(r.modality, r.dimension, r.steps) for r in rows] == [("visual", 3, 4)]
    assert rows[0].encoder_id == encoder_file(str(model), tmp_path).encoder_id
