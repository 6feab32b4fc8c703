"""Every kind of bad input in one delivery: each costs its own row, is told with its reason, and nothing else is lost."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.pipeline import Pipeline
from tests.video.made_videos import level, tone, write_video

DAY = dt.date(2026, 1, 1)
PICTURES = [level(20 * k) for k in range(12)]
# video_id -> rule in ops.quarantine
REFUSED_ROWS = {
    "climbs": "path_outside", "bad-type": "bad_type", "no-time": "bad_timestamp", "empty": "empty_row", "twice": "duplicate_id",
    "odd-column": "unknown_column",
}  # fmt: skip
REFUSED_VIDEOS = {"zero": "empty_file", "gone": "missing_file", "stub": None, "not-video": None}
USED = {
    "plain", "one-frame", "variable", "rotated", "ten-bit", "odd-size", "sound-only", "silent", "words", "huge", "untitled", "odd-class",
    "twice", "cut",
}  # fmt: skip


def make_media(folder: Path) -> None:
    folder.mkdir(parents=True)
    sound = tone(1.2)
    write_video(folder / "plain.mp4", PICTURES, sound=sound)
    whole = write_video(folder / "cut.mp4", PICTURES * 8, gop=5, sound=tone(9.0), options={"movflags": "faststart"}).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: int(len(whole) * 0.6)])
    (folder / "stub.mp4").write_bytes(whole[:200])
    (folder / "zero.mp4").write_bytes(b"")
    (folder / "not-video.mp4").write_text("this is no video")
    write_video(folder / "gone.mp4", PICTURES[:3])
    write_video(folder / "one-frame.mp4", PICTURES[5:6])
    write_video(folder / "variable.mp4", PICTURES, times=[0, 0.1, 0.15, 0.5, 0.9, 1.0, 1.7, 2.0, 2.05, 2.1, 3.0, 3.3])
    write_video(folder / "rotated.mp4", PICTURES, rotation=90)
    write_video(folder / "ten-bit.mp4", PICTURES, pixel_format="yuv420p10le")
    write_video(folder / "odd-size.avi", [level(90, 63, 47)] * 4, codec="mpeg4")
    write_video(folder / "sound-only.m4a", sound=sound)
    (folder / "sound-only.m4a").rename(folder / "sound-only.mp4")
    write_video(folder / "silent.mp4", PICTURES)


def manifest_rows() -> list[dict]:
    files = [
        "plain.mp4", "cut.mp4", "stub.mp4", "zero.mp4", "not-video.mp4", "gone.mp4", "one-frame.mp4", "variable.mp4", "rotated.mp4",
        "ten-bit.mp4", "odd-size.avi", "sound-only.mp4", "silent.mp4",
    ]  # fmt: skip
    rows = [{"video_id": name.split(".")[0], "file": f"media/{name}"} for name in files]
    return [
        *rows,
        {"video_id": "climbs", "file": "../../../../etc/passwd", "title": "一个视频"},
        {"video_id": "bad-type", "title": ["a", "list"]},
        {"video_id": "no-time", "title": "一个视频", "published_at": "yesterday"},
        {"video_id": "odd-column", "title": "一个视频", "tittle": "?"},
        {"video_id": "empty", "title": "", "caption": "   ", "hashtags": []},
        {"video_id": "twice", "title": "第一个"},
        {"video_id": "twice", "title": "第二个"},
        {"video_id": "words", "title": "只有文字的视频"},
        {"video_id": "untitled", "title": "NaN", "caption": "标题缺失的视频"},
        {"video_id": "huge", "title": "一兆字节", "caption": "手冲咖啡 " * 80_000},
        {"video_id": "odd-class", "title": "没有这个类", "category": "no/such/class"},
    ]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The delivery taken in; one file vanishes before the videos are opened."""
    folder = tmp_path_factory.mktemp("bad")
    day = folder / "deliveries" / str(DAY)
    make_media(day / "media")
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in manifest_rows()]
    lines += ['{"video_id": "latin", "title": "caf\xe9"}'.encode("latin-1"), b'{"video_id": "broken", ']
    (day / "manifest.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    root = str(folder / "w")
    values = {"storage.root": root, "sources.deliveries": str(folder / "deliveries"), "spark.master": "local[2]"}
    pipeline = Pipeline(settings_module.load(values=values), Lake(spark, root), lambda text: None)
    for jobs in (["ingest"], ["extract", "clean_text", "import_labels", "fold_labels"]):
        failed = [o.error for o in pipeline.run_day(DAY, jobs) if o.error]
        assert not failed, failed
        (day / "media" / "gone.mp4").unlink(missing_ok=True)
    return pipeline.lake


def quarantine(lake: Lake, job: str) -> dict[str | None, tuple[str, str]]:
    return {r.video_id: (r.rule, r.reason) for r in lake.read(tables.QUARANTINE).where(f"job = '{job}'").collect()}


def test_rows_that_cannot_be_taken_are_told_with_their_rule_and_the_rest_arrives(lake: Lake):
    refused = quarantine(lake, "ingest")
    assert {video: refused[video][0] for video in REFUSED_ROWS} == REFUSED_ROWS
    rows = {(r.rule, r.row_key) for r in lake.read(tables.QUARANTINE).where("job = 'ingest'").collect()}
    last = len(manifest_rows())
    assert {("bad_encoding", f"manifest.jsonl:{last + 1}"), ("bad_json", f"manifest.jsonl:{last + 2}")} <= rows
    arrived = {r.video_id: r for r in lake.read(tables.VIDEO_ARRIVALS).collect()}
    told_only = {video for video, (rule, _) in refused.items() if rule in ("text_too_long", "duplicate_id")}
    assert arrived.keys() | (refused.keys() - told_only - {None}) >= {row["video_id"] for row in manifest_rows()}
    assert arrived["twice"].title == "第一个"
    assert arrived["untitled"].title is None


def test_a_text_of_a_megabyte_is_cut_and_says_so(lake: Lake):
    assert quarantine(lake, "ingest")["huge"][0] == "text_too_long"
    caption = lake.read(tables.VIDEO_ARRIVALS).where("video_id = 'huge'").first().caption  # type: ignore[union-attr]
    assert 19_000 < len(caption.encode()) <= 20_000
    assert caption.startswith("手冲咖啡 手冲咖啡")


def test_each_video_is_used_as_far_as_it_goes_or_refused_with_its_reason(lake: Lake):
    refused = quarantine(lake, "extract")
    ingest_refused = quarantine(lake, "ingest")
    for video, rule in REFUSED_VIDEOS.items():
        found = refused.get(video) or ingest_refused.get(video)
        assert found, video
        assert rule is None or found[0] == rule, (video, found)
        assert len(found[1]) > 10
    videos = {r.video_id: r for r in lake.read(tables.VIDEOS).collect()}
    assert videos.keys() >= USED
    assert not videos.keys() & REFUSED_VIDEOS.keys()
    assert videos["sound-only"].status == "audio_only"
    assert videos["words"].status == "text_only"
    assert not videos["silent"].has_audio
    assert (videos["rotated"].width, videos["rotated"].height) == (48, 64)
    assert (videos["odd-size"].width, videos["odd-size"].height) == (63, 47)
    frames = {r.video_id: r["count"] for r in lake.read(tables.FRAMES).groupBy("video_id").count().collect()}
    assert frames["one-frame"] == 1
    assert frames["ten-bit"] >= 2
    assert frames["variable"] >= 2
    assert "sound-only" not in frames


def test_a_class_outside_the_tree_is_refused_and_the_video_stays(lake: Lake):
    rule, reason = quarantine(lake, "import_labels")["odd-class"]
    assert rule == "unknown_label"
    assert "no/such/class" in reason
    assert lake.read(tables.LABELS).isEmpty()
    assert lake.read(tables.VIDEO_TEXT).where("video_id = 'odd-class'").count() == 1
