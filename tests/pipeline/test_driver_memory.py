"""No job brings a table to the driver: the jobs of a day on tables of which not even the ids may come over in one piece.

Spark itself is the guard: an action whose results are larger than spark.driver.maxResultSize fails. The limit is less than a quarter
of the ids of the videos, so that it also holds for a stream of partitions; what a job may collect is bounded by settings that fit.
"""

import datetime as dt
import hashlib
import io

import numpy as np
import pytest
from PIL import Image
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from jobs import (
    build_training_set,
    clean_text,
    detect_label_noise,
    embed_text,
    evaluate,
    extract,
    find_copies,
    fold_labels,
    import_labels,
    ingest,
    load_vectors,
    mine_tags,
    predict,
    reconcile,
    sample_by_density,
    select_for_labeling,
    serve,
    tag_videos,
    train,
)
from reelhouse import tables
from reelhouse.pipeline import load_jobs
from reelhouse.training.version import version_of
from tests.deliveries import deliver
from tests.jobs.small_lake import DAY, LEAVES, NEXT, SmallLake, _features
from tests.turns import WHOLE_DAYS

TURN = (WHOLE_DAYS, 200)

VIDEOS = 2000
BYTES_MAX = 30_000
IDS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(VIDEOS)]
WORDS = ["小猫", "火锅", "street", "dance", "guitar", "早餐", "旅行"]
FITTING = {
    "sampling__rows_max": 100, "sampling__budget": 3, "sampling__active_budget": 3,
    "noise__rows_max": 100, "copies__rows_max": 100, "gates__rows_max": 100, "tags__texts_max": 100,
    "text__fit_rows_max": 100, "text__hash_buckets": 256, "text__vector_dimension": 8, "vectors__batch_rows": 25,
}  # fmt: skip


@pytest.fixture(scope="module")
def limited(spark):
    """The session with the limit, which Spark looks up for each job."""
    conf, name = spark.sparkContext._jsc.sc().conf(), "spark.driver.maxResultSize"
    bounded = {
        "spark.sql.autoBroadcastJoinThreshold": "-1",  # small tables go over the driver to the executors
        "spark.sql.execution.rangeExchange.sampleSizePerPartition": "3",  # and so do samples of what is put in order
    }
    before = {option: spark.conf.get(option) for option in bounded}
    conf.set(name, str(BYTES_MAX))
    for option, value in bounded.items():
        spark.conf.set(option, value)
    yield spark
    conf.remove(name)
    for option, value in before.items():
        spark.conf.set(option, value)


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """Every video has a text, a frame and picture features, three in four a label; one in ten is a copy of the one before it."""
    made = SmallLake(spark, tmp_path_factory.mktemp("lake"), **FITTING)
    draw = np.random.default_rng(3)
    words = draw.integers(0, len(WORDS), (VIDEOS, 4))
    texts = [" ".join(WORDS[w] for w in row) for row in words]
    arrived = {"source_file": "b.csv", "ingested_at": dt.datetime(2026, 1, 2)}
    arrivals = [{"video_id": v, "title": t, "hashtags": [WORDS[i % 7]], **arrived} for i, (v, t) in enumerate(zip(IDS, texts, strict=True))]
    made.write(tables.VIDEO_ARRIVALS, arrivals, batch="b")
    made.write(tables.VIDEOS, [{"video_id": v, "status": "ok", "has_audio": False} for v in IDS])
    hashes = draw.integers(-(2**62), 2**62, VIDEOS)
    hashes[1::10] = hashes[0::10]
    frame = {"frame_index": 0, "timestamp_seconds": 0.0, "jpeg": picture()}
    made.write(tables.FRAMES, [{"video_id": v, "perceptual_hash": int(h), **frame} for v, h in zip(IDS, hashes, strict=True)])
    pictures = draw.standard_normal((VIDEOS, 1, 6)) + 4 * np.eye(6)[np.arange(VIDEOS) % 4][:, None, :]
    made.write(tables.FEATURES, [_features(v, "visual", "v1", p) for v, p in zip(IDS, pictures, strict=True)])
    event = {"task": "category", "answer": 1, "annotator_id": "a", "taxonomy_version": "t", **arrived}
    events = [{"event_id": f"e{i}", "video_id": v, "label_id": LEAVES[i % 4], **event} for i, v in enumerate(IDS) if i % 8 < 6]
    made.write(tables.LABEL_EVENTS, events, batch="b")
    yield made
    made.services.close()


def picture():
    """A JPEG that is black on the left and grey on the right: not flat, so that it counts."""
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(np.array([[0, 200]], np.uint8), 32, axis=1).repeat(64, axis=0)).save(buffer, "JPEG")
    return buffer.getvalue()


def approve(lake):
    """A person makes champion what was trained on the day's snapshot."""
    (snapshot,) = lake.rows(tables.SNAPSHOTS)
    version = version_of(snapshot.snapshot_id, lake.settings.training)
    facts = {"snapshot_id": snapshot.snapshot_id, "decision": "promoted", "decided_by": "anna", "reason": "to see what it says"}
    decided = {"model_version": version, "decided_at": dt.datetime(2026, 1, 1), **facts}
    lake.write(tables.PROMOTIONS, [decided], decided_by="anna")


def test_the_guard_stops_a_job_that_collects_more(limited, lake):
    everything = SmallLake(limited, lake.lake.root, **FITTING | {"copies__rows_max": VIDEOS})
    with pytest.raises((PySparkException, Py4JJavaError), match="maxResultSize"):
        everything.do(find_copies)


def test_a_group_of_copies_of_any_size_gets_another_name_without_going_over_the_driver(limited, tmp_path):
    lake = SmallLake(limited, tmp_path, **FITTING)
    first, rest, shown = IDS[0], sorted(IDS[1:]), 0x0F0F_0F0F_0F0F_0F0F
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "ok", "has_audio": False} for v in rest])  # the first was taken down
    lake.write(tables.COPIES, [{"video_id": v, "copy_group": first, "matched_video_id": first, "frame_hashes": [shown]} for v in IDS])
    lake.write(tables.VIDEOS, [{"video_id": "new", "status": "ok", "has_audio": False}], NEXT)
    frame = {"frame_index": 0, "timestamp_seconds": 0.0, "jpeg": picture(), "perceptual_hash": shown}
    lake.write(tables.FRAMES, [{"video_id": "new", **frame}], NEXT)
    lake.write(tables.FEATURES, [_features(v, "visual", "v1", np.ones((1, 6))) for v in rest])
    lake.write(tables.FEATURES, [_features("new", "visual", "v1", np.ones((1, 6)))], NEXT)
    lake.do(find_copies, NEXT)
    written = limited.read.format("delta").load(lake.lake.path(tables.COPIES)).where(f"data_date = '{NEXT}'")
    by_name = {r.copy_group: r["count"] for r in written.groupBy("copy_group").count().collect()}
    assert by_name == {rest[0]: VIDEOS}, "all that are left, and the new one"
    assert written.where(f"video_id = 'new' AND matched_video_id = '{rest[-99]}'").count() == 1, "the first of those compared"
    assert written.where(f"matched_video_id = '{first}'").count() == 0
    lake.services.close()


TAKEN_IN = (ingest, import_labels, extract)
OF_PLANTED = (
    clean_text, embed_text, find_copies, fold_labels, sample_by_density, detect_label_noise, mine_tags, tag_videos, build_training_set,
    train, evaluate, predict, load_vectors, reconcile, serve,
)  # fmt: skip


def test_every_job_is_looked_at():
    looked_at = {job.__name__.removeprefix("jobs.") for job in (*TAKEN_IN, *OF_PLANTED, select_for_labeling)}
    assert looked_at == {job.name for job in load_jobs()}


def test_what_is_delivered_does_not_go_through_the_driver(limited, tmp_path):
    deliver(tmp_path / "in", DAY, [{"video_id": v, "title": f"{WORDS[i % 7]} {i}", "category": LEAVES[i % 4]} for i, v in enumerate(IDS)])
    lake = SmallLake(limited, tmp_path / "lake", sources__deliveries=str(tmp_path / "in"), **FITTING)
    for job in TAKEN_IN:
        lake.do(job)
    taken_in = {table.name: lake.lake.read(table).count() for table in (tables.VIDEO_ARRIVALS, tables.LABEL_EVENTS)}
    assert taken_in == {"bronze.video_arrivals": VIDEOS, "bronze.label_events": VIDEOS}


def test_no_job_of_a_day_brings_a_table_to_the_driver(limited, lake):
    for job in OF_PLANTED:
        lake.do(job)
        if job is train:
            approve(lake)
    (judged,) = {r.rows for r in lake.rows(tables.EVALUATIONS) if r.slice == "all"}
    assert judged == lake.settings.gates.rows_max
    record = lake.do(select_for_labeling, NEXT)
    count = {table.name: limited.read.format("delta").load(lake.lake.path(table)).count() for table in (tables.CLUSTERS, tables.COPIES)}
    assert count == {"gold.clusters": VIDEOS, "silver.copies": VIDEOS}
    assert record.rows_out == lake.settings.sampling.active_budget
    (held,) = [r.total for r in lake.rows(tables.VECTOR_LOADS) if r.kind == "video_embedding"]
    assert held == VIDEOS
