from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.errors import DamagedTableError
from reelhouse.lake import Lake, conform
from reelhouse.lake.repair import damaged_entries, entries, has_bytes_of_its_sum, void
from reelhouse.lake.trouble import damage, written_again
from reelhouse.mending import repair
from reelhouse.pipeline import load_jobs
from reelhouse.takedown import take_down
from tests.jobs.small_lake import SmallLake

T = tables.VIDEO_TAGS
DAY = dt.date(2026, 1, 1)
SPARK = "An error occurred.\n: SparkException: [FAILED_READ_FILE.{}] Encountered error while reading file {}.  SQLSTATE: KD001\n\tat x"


@pytest.fixture
def log(spark: SparkSession, lake: Lake) -> Path:
    """The log of a table that Spark wrote twice."""
    for position in (0, 1):
        frame = spark.createDataFrame(
            [("v", "t", "T", position, 1)], "video_id string, tag_id string, tag string, position int, matches int"
        )
        lake.replace(
            T, conform(T, frame, {"data_date": DAY}), {"data_date": DAY}, count=1, metadata={"job": "tag_videos", "date": str(DAY)}
        )
    return Path(lake.path(T)) / "_delta_log"


def test_entries_that_are_whole_are_left_alone_and_each_kind_of_damage_is_found(log: Path):
    assert damaged_entries(log) == []
    last = entries(log)[-1]
    content = last.read_bytes()
    said = {"job": "tag_videos", "date": "2026-01-01"}
    flipped = bytearray(content)
    flipped[content.index(b"tag_videos")] ^= 1  # still JSON
    for damaged, run in [
        (b"", {}),
        (content[:40], {}),
        (content[: len(content) // 2 + 200], said),
        (content.split(b"\n")[0] + b"\n", said),
        (bytes(flipped), {"job": "uag_videos", "date": "2026-01-01"}),
    ]:
        last.write_bytes(damaged)
        assert [(entry.path, entry.run) for entry in damaged_entries(log)] == [(last, run)]
    last.write_bytes(content)
    assert damaged_entries(log) == []


@pytest.mark.parametrize("content", [b"", b'{"commitInfo"'])
def test_what_people_said_is_brought_back_from_the_files_of_the_lost_commit(spark: SparkSession, tmp_path: Path, content: bytes):
    small = SmallLake(spark, tmp_path)
    lake, later = small.lake, DAY + dt.timedelta(days=1)
    video = {"video_id": "v", "title": "t"}
    small.write(tables.VIDEO_ARRIVALS, [video | {"video_id": name} for name in ("a", "b", "c")], DAY, batch="b")
    for name, day in (("a", DAY), ("b", later), ("c", later)):
        take_down(lake, small.services.vectors, name, day, "asked", "desk")
    decided = {"snapshot_id": "s", "decision": "rejected", "reason": "no"}
    for by, count in (("gates", 1), ("007", 1), ("007", 2)):
        rows = [decided | {"model_version": f"m{n}", "decided_at": dt.datetime(2026, 1, 1, n)} for n in range(count)]
        small.write(tables.PROMOTIONS, rows, DAY, decided_by=by)
    before = {table: sorted(lake.read(table).collect()) for table in (tables.DELETIONS, tables.PROMOTIONS)}
    for table in before:
        entries(Path(lake.path(table)) / "_delta_log")[-1].write_bytes(content)
    if not content:
        with pytest.raises(DamagedTableError, match=r"bronze\.deletions: .* is empty"):
            Lake(spark, lake.root).taken_down  # noqa: B018 - asking is what fails
    mended = {one.table: (one.again, one.restored) for one in repair(Lake(spark, lake.root), load_jobs())}
    assert mended == {"bronze.deletions": ((), 1), "ops.promotions": ((), 1)}
    fresh = Lake(spark, lake.root)
    assert fresh.taken_down == ["a", "b", "c"]
    assert {table: sorted(fresh.read(table).collect()) for table in before} == before


def test_a_voided_entry_is_kept_and_what_it_replaced_is_there_again(lake: Lake, log: Path):
    last = entries(log)[-1]
    last.write_bytes(last.read_bytes()[:300])
    (entry,) = damaged_entries(log)
    kept = void(entry)
    assert kept.read_bytes() == kept.with_name(f"{last.name}.damaged").read_bytes()
    assert len(kept.read_bytes()) == 300
    assert [json.loads(line)["commitInfo"]["operation"] for line in last.read_text().splitlines()] == ["VOID"]
    assert damaged_entries(log) == []
    moved = Path(lake.root).rename(Path(lake.root).with_name("moved"))  # Delta keeps in mind what it read at a place
    assert [r.position for r in Lake(lake.spark, str(moved)).read(T).collect()] == [0]


def test_the_job_whose_commit_was_lost_is_marked_and_without_its_first_entry_nothing_can_be_said(lake: Lake, log: Path):
    last = entries(log)[-1]
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2 + 200])  # what its writer said of itself is whole
    ((table, days),) = [(mended.table, mended.again) for mended in repair(lake, load_jobs())]
    assert (table, days) == (T.name, (DAY,))
    assert lake.is_marked(f"{DAY}-tag_videos")
    entries(log)[0].write_bytes(b"")
    with pytest.raises(
        DamagedTableError, match=r"the first entry of its log, .*0\.json, is damaged\. Bring it back from a copy, or remove"
    ):
        list(repair(lake, load_jobs()))


def test_bytes_are_compared_with_hadoops_sums_to_the_last(log: Path):
    (file,) = [Path(path.removeprefix("file:")) for path in map(str, log.parent.glob("data_date=*/*.parquet"))][:1]
    content = file.read_bytes()
    assert has_bytes_of_its_sum(file)
    for damaged in (content[:-1], content + b"x", bytes([content[0] ^ 1]) + content[1:], content[:-1] + bytes([content[-1] ^ 1]), b""):
        file.write_bytes(damaged)
        assert not has_bytes_of_its_sum(file)
    file.write_bytes(content)
    assert has_bytes_of_its_sum(file)


def test_what_spark_says_of_a_file_becomes_a_sentence_with_the_command_that_mends_it():
    file = "/data/w/tables/silver/video_text/data_date=2026-01-02/part-0.c000.snappy.parquet"
    assert str(damage(SPARK.format("NO_HINT", f"file:{file}"))) == (
        f"silver.video_text: its file {file} is damaged: its bytes are not those that were written. "
        "`reelhouse job clean_text --date 2026-01-02 --force` writes it again"
    )
    lost = damage(SPARK.format("FILE_NOT_EXIST", f"file://{file}"))
    assert str(lost).startswith(f"silver.video_text: its file {file} is lost. `reelhouse job clean_text")
    away = damage(SPARK.format("NO_HINT", "s3a://bucket/w/tables/ops/runs/_delta_log/00000000000000000002.json"))
    assert str(away).startswith(
        "ops.runs: s3a://bucket/w/tables/ops/runs/_delta_log/00000000000000000002.json, a part of its log, is damaged"
    )
    assert damage("Column x is not there") is None


@pytest.mark.parametrize(
    ("folder", "mend", "delivered"),
    [
        ("bronze/video_arrivals/data_date=2026-01-02/batch=manifest.jsonl", "ingest", "manifest.jsonl"),
        ("bronze/video_arrivals/data_date=2026-01-02/batch=videos", None, None),  # the job reads what it took in before
        ("bronze/label_events/data_date=2026-01-02/batch=labels%2Fann.jsonl", "import_labels", "labels/ann.jsonl"),
        ("bronze/label_events/data_date=2026-01-02/batch=inbox%2Flabels%2Fann.jsonl", None, None),
        ("bronze/label_events/data_date=2026-01-02/batch=manifest.jsonl", None, None),
        ("bronze/deletions/data_date=2026-01-02", None, None),
        ("ops/runs/data_date=2026-01-02", None, None),
        ("ops/promotions/data_date=2026-01-02/decided_by=gates", "evaluate", None),
        ("ops/promotions/data_date=2026-01-02/decided_by=ann", None, None),
        ("silver/text_encoders", None, None),
    ],
)
def test_a_lost_file_comes_back_by_its_job_or_from_a_copy(folder: str, mend: str | None, delivered: str | None):
    again = f"`reelhouse job {mend} --date 2026-01-02 --force` writes it again" if mend else "Bring it back from a copy"
    if mend and delivered:
        again += f" while {delivered} is delivered; else bring it back from a copy"
    for path in (folder, folder.replace("%", "%25")):  # as it lies there, and as an address
        assert written_again(f"/w/tables/{path}/part-0.parquet") == again
