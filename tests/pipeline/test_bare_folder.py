"""A folder of videos and nothing else: no metadata, no label, and still vectors to search and a list of what to label."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.pipeline import load_jobs
from reelhouse.similar import similar_videos
from reelhouse.vectors import VectorStore
from tests.clips import clip_files
from tests.pipeline.whole_run import DAY
from tests.typed import typing_in

RECORDINGS = (
    "cotracker/cat", "imageio/realshort", "moviepy/example3", "ucf101_mini/ApplyEyeMakeup", "ucf101_mini/BenchPress", "violentflows/",
)  # fmt: skip
WITHOUT_LABELS = {"detect_label_noise", "build_training_set", "train", "evaluate", "select_for_labeling"}


@pytest.fixture(scope="module")
def folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of six recordings, one of them twice under another name, and a file that is no video."""
    folder = tmp_path_factory.mktemp("bare")
    names = clip_files(shared_data / "clips")
    chosen = [next(n for n in names if n.startswith(start)) for start in RECORDINGS]
    (folder / "videos" / "deeper").mkdir(parents=True)
    for number, name in enumerate(chosen):
        shutil.copyfile(shared_data / "clips" / name, folder / "videos" / ("deeper" if number % 2 else "") / f"{number}{Path(name).suffix}")
    shutil.copyfile(folder / "videos" / "0.mp4", folder / "videos" / "the same.mp4")
    (folder / "videos" / "notes.txt").write_text("no video")
    return folder


def test_a_bare_folder_comes_out_with_vectors_and_a_queue_of_what_to_label(spark: SparkSession, folder: Path, monkeypatch):
    typed = typing_in(folder, spark, monkeypatch)
    said = typed("daily", "--videos", "videos", "--date", str(DAY), "--root", "w").stdout
    lake = Lake(spark, str(folder / "w"))
    runs = {r.job: r.status for r in lake.read(tables.RUNS).collect()}
    assert runs == {job.name: "stepped_aside" if job.name in WITHOUT_LABELS else "succeeded" for job in load_jobs()}
    videos = {r.video_id for r in lake.read(tables.VIDEOS).collect()}
    assert len(videos) == 6  # the same bytes are one video
    (serving,) = lake.read(tables.SERVING).collect()
    assert serving.model_version.startswith("encoder-")
    vectors = VectorStore("", "", folder / "w", 1000)
    try:
        for kind in ("video_embedding", "video_hash"):
            assert {i for i, _ in vectors.ids_and_checksums(kind, serving.model_version)} == videos
        one = min(videos)
        found = similar_videos(lake, vectors, one, 10)
    finally:
        vectors.close()
    assert {i for i, *_ in found} == videos - {one}
    assert [score for _, score, *_ in found] == sorted((score for _, score, *_ in found), reverse=True)
    assert all(Path(file.removeprefix("file://")).is_file() for *_, file in found)
    # what it ends with is what to type next
    assert f"reelhouse similar {one} --root w" in said
    shown = typed("similar", one, "--root", "w").stdout
    assert all(video in shown for video in videos - {one})
    question = re.search(r'reelhouse sql "(select \* from gold\.label_queue[^"]*)" --root w', said)
    assert question
    shown = typed("sql", question[1], "--root", "w").stdout
    assert all(video in shown for video in videos)
    queue = lake.spark.sql(question[1]).collect()
    assert {r.video_id for r in queue} == videos
    assert [r.rank for r in queue] == sorted(r.rank for r in queue)
