"""The whole pipeline on the 7,470 text-only videos of KuaiRec."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.pipeline import Pipeline
from reelhouse.sources.values import is_missing
from tests.kuairec import write_manifest
from tests.pipeline.whole_run import run_whole
from tests.turns import WHOLE_DAYS

TURN = (WHOLE_DAYS, 200)


@pytest.fixture(scope="module")
def kuairec(spark: SparkSession, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("kuairec")
    pipeline = run_whole(spark, folder, write_manifest(shared_data / "kuairec" / "videos.csv", folder / "manifest.csv"))
    yield pipeline
    pipeline.close()


def test_every_video_of_kuairec_arrives_and_gets_its_label(kuairec: Pipeline, shared_data: Path):
    with (shared_data / "kuairec" / "videos.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7470
    words = ("manual_cover_text", "caption", "topic_tag")
    texts = [r for r in rows if not all(is_missing(r[w]) or r[w] in ("UNKNOWN", "[]") for w in words)]
    has_text: dict[str, dict[str, str]] = {}
    for row in texts:  # of the rows whose id a line break cut off, the first counts
        has_text.setdefault(f"kuairec-{row['video_id'].strip()}", row)
    assert {r.video_id for r in kuairec.lake.read(tables.VIDEO_ARRIVALS).select("video_id").collect()} == has_text.keys()
    refused = Counter(r.rule for r in kuairec.lake.read(tables.QUARANTINE).where("job = 'ingest'").select("rule").collect())
    assert refused == {"empty_row": len(rows) - len(texts), "duplicate_id": len(texts) - len(has_text)}
    assert kuairec.lake.read(tables.VIDEOS).where("status = 'text_only'").count() == len(has_text)
    classed = {video for video, r in has_text.items() if r["first_level_category_name"] != "UNKNOWN"}
    labelled = {
        r.video_id for r in kuairec.lake.read(tables.LABELS).where("source = 'manifest' AND answer = 1").select("video_id").collect()
    }
    refused_labels = kuairec.lake.read(tables.QUARANTINE).where("job = 'import_labels'").select("video_id", "rule").collect()
    # a line break in the caption cut their rows off, so that their category reads "//"
    cut_off = ("kuairec-1378", "kuairec-1613", "kuairec-6331")
    assert sorted((r.video_id, r.rule) for r in refused_labels) == [(video, "unknown_label") for video in cut_off]
    assert labelled == classed - set(cut_off)


def test_kuairecs_model_beats_the_most_frequent_class_on_videos_it_did_not_see(kuairec: Pipeline):
    held_out = kuairec.lake.read(tables.EVALUATIONS).where("slice = 'all' AND metric = 'accuracy'").first()
    assert held_out is not None
    targets = kuairec.lake.read(tables.TRAINING_EXAMPLES).where("split = 'evaluation'").select("targets").collect()
    counts = Counter(k for row in targets for k, value in enumerate(row.targets) if value == 1)
    assert held_out.rows == len(targets) > 500
    assert held_out.value > 1.5 * max(counts.values()) / len(targets)
    serving = kuairec.lake.read(tables.SERVING).first()
    assert serving is not None
    assert kuairec.services.vectors.count("video_embedding", serving.model_version) == kuairec.lake.read(tables.EMBEDDINGS).count()


def test_kuairecs_tags_are_real_phrases_on_real_videos(kuairec: Pipeline):
    active = {r.tag for r in kuairec.lake.read(tables.TAG_LIBRARY).where("state = 'active'").select("tag").collect()}
    assert len(active) > 100
    assert {"美食", "搞笑", "舞蹈"} <= active
    assert not active & {"热门", "fyp", "同城热点", "上热门", "感谢快手"}  # platform noise
    tagged = kuairec.lake.read(tables.VIDEO_TAGS).join(kuairec.lake.read(tables.VIDEO_TEXT).select("video_id", "tokens"), "video_id")
    row = tagged.where("position >= 0").orderBy("video_id", "tag_id").first()
    assert row is not None
    assert "".join(row.tokens[row.position :]).lower().replace(" ", "").startswith(row.tag.lower().replace(" ", ""))
