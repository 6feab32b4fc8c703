"""A folder of videos and nothing else: no metadata, no label, and still vectors to search and a list of what to label."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake, catalog
from reelhouse.pipeline import Pipeline
from reelhouse.similar import similar_videos
from tests.clips import clip_files
from tests.pipeline.whole_run import DAY

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


def test_a_bare_folder_comes_out_with_vectors_and_a_queue_of_what_to_label(spark: SparkSession, folder: Path):
    values = {"storage.root": str(folder / "w"), "sources.videos": str(folder / "videos"), "spark.master": "local[2]"}
    lake = Lake(spark, str(folder / "w"))
    pipeline = Pipeline(settings_module.load(values=values), lake, lambda text: None)
    try:
        outcomes = {o.job: o for o in pipeline.run_day(DAY)}
        assert {name: o.words for name, o in outcomes.items() if o.error} == {}
        assert {name for name, o in outcomes.items() if o.status == "stepped aside"} == WITHOUT_LABELS
        videos = {r.video_id for r in lake.read(tables.VIDEOS).collect()}
        assert len(videos) == 6  # the same bytes are one video
        (serving,) = lake.read(tables.SERVING).collect()
        assert serving.model_version.startswith("encoder-")
        vectors = pipeline.services.vectors
        for kind in ("video_embedding", "video_hash"):
            assert {i for i, _ in vectors.ids_and_checksums(kind, serving.model_version)} == videos
        one = min(videos)
        found = similar_videos(lake, vectors, one, 10)
        assert {i for i, *_ in found} == videos - {one}
        assert [score for _, score, *_ in found] == sorted((score for _, score, *_ in found), reverse=True)
        assert all(Path(file.removeprefix("file://")).is_file() for *_, file in found)
    finally:
        pipeline.close()
    question = "select video_id, rank from gold.label_queue order by rank"
    catalog.register(lake, question)
    queue = lake.spark.sql(question).collect()
    assert {r.video_id for r in queue} == videos
    assert [r.rank for r in queue] == sorted(r.rank for r in queue)
