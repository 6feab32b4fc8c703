"""Paths stay inside their folders, secrets stay out of everything that is kept, and no file may take more than its time."""

from __future__ import annotations

import datetime as dt
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import SettingsError, VideoError
from reelhouse.lake import Lake
from reelhouse.pipeline import Pipeline
from reelhouse.video.opening import Deadline
from reelhouse.video.reading import Reader
from tests.deliveries import deliver, text_rows
from tests.newcomer import REELHOUSE
from tests.typed import typing_in
from tests.video.made_videos import level, tone, write_video

DAY = dt.date(2026, 1, 1)
SECRET = "x7Qm-never-to-be-seen-9ZkT"


def taken_in(spark: SparkSession, folder: Path, **values: object) -> Lake:
    lake = Lake(spark, str(folder / "w"))
    given = {"storage.root": lake.root, "sources.deliveries": str(folder / "deliveries"), "spark.master": "local[2]"}
    settings = settings_module.load(values=given | {name.replace("__", "."): value for name, value in values.items()})
    assert [o.error for o in Pipeline(settings, lake, lambda text: None).run_day(DAY, ["ingest"])] == [None]
    return lake


def test_a_manifest_reaches_files_below_its_folder_and_the_roots_that_are_set_and_no_others(spark: SparkSession, tmp_path: Path):
    day, allowed, other = tmp_path / "deliveries" / str(DAY), tmp_path / "allowed", tmp_path / "other"
    for place in (day / "media", allowed, other):
        place.mkdir(parents=True)
        (place / "v.mp4").write_bytes(f"bytes of {place}".encode())
    (day / "media" / "link.mp4").symlink_to(other / "v.mp4")
    (allowed / "link.mp4").symlink_to("/etc/hostname")
    files = {
        "relative": "media/v.mp4", "absolute": str(day / "media/v.mp4"), "allowed": str(allowed / "v.mp4"),
        "climbs": "../../other/v.mp4", "other": str(other / "v.mp4"), "passwd": "/etc/passwd", "link": "media/link.mp4",
        "allowed-link": str(allowed / "link.mp4"), "allowed-climbs": f"{allowed}/../other/v.mp4", "beside": f"{allowed}-not/v.mp4",
        "file": f"file://{day}/media/v.mp4", "plain-file": f"file:{other}/v.mp4", "http": "http://127.0.0.1/v.mp4", "s3": "s3://bucket/v.mp4",
    }  # fmt: skip
    deliver(tmp_path / "deliveries", DAY, [{"video_id": video, "file": file, "title": video} for video, file in files.items()])
    lake = taken_in(spark, tmp_path, sources__roots=[str(allowed)])
    arrived = {r.video_id: r.uri for r in lake.read(tables.VIDEO_ARRIVALS).collect()}
    assert arrived == {"relative": f"{day}/media/v.mp4", "absolute": f"{day}/media/v.mp4", "allowed": f"{allowed}/v.mp4"}
    refused = {r.video_id: (r.rule, r.reason) for r in lake.read(tables.QUARANTINE).collect()}
    assert {video: rule for video, (rule, _) in refused.items()} == dict.fromkeys(files.keys() - arrived.keys(), "path_outside")
    assert refused["other"][1].endswith("put the file below that folder, or name its folder in sources.roots")
    assert refused["http"][1].startswith("http://127.0.0.1/v.mp4 is an address: fetch the file")


OVERLAY = """
vectors: {token: '${MY_TOKEN}'}
spark: {master: 'local[1]', extra: {spark.hadoop.fs.s3a.secret.key: '${MY_TOKEN}', spark.x: seen}}
"""
ASKING_SPARK = """
import sys
from pathlib import Path
from reelhouse import settings
from reelhouse.lake import start_session
context = start_session(settings.load([sys.argv[1]]).spark, scratch=Path(sys.argv[2])).sparkContext
print(context._jsc.hadoopConfiguration().get("fs.s3a.secret.key"))
"""


def watched(folder: Path, cache: Path, *command: str) -> tuple[str, set[str]]:
    """Run a command as a process that finds the secret in its environment: what it says, and the command lines of all that it starts."""
    environ = os.environ | {"MY_TOKEN": SECRET, "REELHOUSE_CACHE": str(cache)}
    environ.pop("TMPDIR", None)
    screen, lines = folder / "screen", set()
    with screen.open("wb") as file, psutil.Popen(command, cwd=folder, env=environ, stdout=file, stderr=file) as run:
        while run.poll() is None:
            for process in (run, *run.children(recursive=True)):
                with suppress(psutil.Error):  # it ended meanwhile
                    lines.add(" ".join(process.cmdline()))
            time.sleep(0.05)
    assert run.returncode == 0, screen.read_text()
    return screen.read_text(), lines


def test_a_secret_from_the_environment_is_in_no_file_that_a_run_leaves_on_no_screen_and_no_command_line(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    overlay, root = tmp_path / "own.yml", tmp_path / "w"
    overlay.write_text(OVERLAY)
    deliver(tmp_path / "deliveries", DAY, text_rows(DAY, 3))
    ingest = ("job", "ingest", "--date", str(DAY), "--root", str(root), "--set", f"sources.deliveries={tmp_path / 'deliveries'}")
    with tempfile.TemporaryDirectory(prefix="rc") as cache:  # with a short path: a socket's address must fit
        said, lines = watched(tmp_path, Path(cache), str(REELHOUSE), *ingest, "--conf", str(overlay))
        kept = [path for folder in (root, Path(cache)) for path in folder.rglob("*") if path.is_file()]
        assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []
    assert len([path for path in kept if root in path.parents]) > 5
    assert "succeeded" in said
    assert SECRET not in said
    assert any("org.apache.spark.deploy.SparkSubmit" in line and "spark.x=seen" in line for line in lines)
    assert [line for line in lines if SECRET in line] == []
    runs = Lake(spark, str(root)).read(tables.RUNS).collect()
    assert len(runs) == 1
    assert SECRET not in str([r.asDict(recursive=True) for r in runs])
    monkeypatch.setenv("MY_TOKEN", SECRET)
    said = typing_in(tmp_path, spark, monkeypatch)("settings", "--conf", str(overlay)).output
    assert SECRET not in said
    assert "seen" in said
    assert "********" in said


def test_spark_knows_a_secret_that_is_on_no_command_line(tmp_path: Path):
    overlay = tmp_path / "own.yml"
    overlay.write_text(OVERLAY)
    said, lines = watched(tmp_path, tmp_path / "c", sys.executable, "-c", ASKING_SPARK, str(overlay), str(tmp_path / "scratch"))
    assert said.strip() == SECRET
    assert [line for line in lines if SECRET in line] == []


def test_a_secret_changes_no_hash_and_one_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_TOKEN", SECRET)
    with_token = settings_module.load(values={"vectors.token": "${MY_TOKEN}", "models.uri": "http://${MY_TOKEN}.example"})
    assert with_token.vectors.token == SECRET
    assert with_token.models.uri == f"http://{SECRET}.example"
    assert with_token.hash_of(["vectors"]) == settings_module.load().hash_of(["vectors"])
    assert with_token.hash_of(["models"]) != settings_module.load().hash_of(["models"])
    monkeypatch.delenv("MY_TOKEN")
    with pytest.raises(SettingsError, match=r"^vectors\.token: the environment has no variable MY_TOKEN, which \$\{MY_TOKEN\} asks for$"):
        settings_module.load(values={"vectors.token": "${MY_TOKEN}"})
    with pytest.raises(SettingsError) as error:
        settings_module.load(values={"vectors.token": [SECRET]})
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("kind", ["picture", "sound"])
def test_a_file_that_takes_longer_than_its_time_is_refused(tmp_path: Path, kind: str):
    path = tmp_path / "v.mp4"
    if kind == "picture":
        write_video(path, [level(20 * k) for k in range(12)])
    else:
        write_video(path, sound=tone(1.2))
    settings = settings_module.load(values={"video.ocr_frames": 0}).video
    assert "rule" not in Reader(settings).read("v", str(path), None).columns
    hurried = settings.model_copy(update={"file_timeout_seconds": 1e-6})
    refused = Reader(hurried).read("v", str(path), None).columns
    assert refused.keys() == {"rule", "reason"}
    assert refused["rule"] == "too_slow"
    assert "video.file_timeout_seconds" in refused["reason"]


def test_time_that_is_not_over_raises_nothing():
    Deadline(60).check()
    with pytest.raises(VideoError, match="longer than 0 s to look at"):
        Deadline(0).check()


def test_a_pipe_that_never_ends_is_no_video(tmp_path: Path):
    os.mkfifo(tmp_path / "v.mp4")
    assert Reader(settings_module.load().video).read("v", str(tmp_path / "v.mp4"), None).columns["rule"] == "empty_file"
