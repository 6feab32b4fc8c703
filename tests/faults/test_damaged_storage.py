"""Storage that loses or changes bytes, or takes no more: what the user is told, and that one more run leaves what a calm one does."""

from __future__ import annotations

import datetime as dt
import errno
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import DamagedTableError, StorageError
from reelhouse.lake import Lake
from reelhouse.pipeline import Pipeline
from tests.deliveries import deliver, text_rows
from tests.faults.killing import rows_of, run_jobs
from tests.faults.survived import survives
from tests.turns import FAULTS, in_turn
from tests.typed import typing_in

DAYS = [dt.date(2026, 1, day) for day in (1, 2)]
JOBS = ["ingest", "extract", "clean_text", "import_labels", "fold_labels"]
TEXTS = "silver/video_text"


@pytest.fixture(scope="module")
def calm(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with deliveries of two days of six texts, and `calm`, the lake of both."""
    folder = tmp_path_factory.mktemp("damaged")
    for day in DAYS:
        deliver(folder / "deliveries", day, text_rows(day, 6))
        run_jobs(spark, folder / "calm", folder / "deliveries", day, JOBS)
    return folder


@pytest.fixture
def copy(calm: Path, tmp_path: Path) -> Iterator[Path]:
    root = shutil.copytree(calm / "calm", tmp_path / "w")
    yield root
    shutil.rmtree(root)


def log_of(root: Path, table: str) -> list[Path]:
    return sorted((root / "tables" / table / "_delta_log").glob("*.json"))


def run_both(spark: SparkSession, calm: Path, root: Path) -> None:
    for day in DAYS:
        run_jobs(spark, root, calm / "deliveries", day, JOBS)


def reading(spark: SparkSession, root: Path, table: tables.Table = tables.VIDEO_TEXT) -> None:
    """Rows as a person reads them who asks in SQL."""
    from reelhouse.lake.trouble import damage_errors

    with damage_errors():
        Lake(spark, str(root)).read(table).collect()


@survives(
    "bytes of a table's Parquet file change",
    seconds=10,
    sees="`silver.video_text: its file … is damaged`, from the job or the query that reads it",
    mends="the command that the message names",
)
def test_a_parquet_file_with_other_bytes_is_named_with_the_command_that_writes_it_again(spark: SparkSession, calm: Path, copy: Path):
    (file,) = (copy / "tables" / TEXTS / "data_date=2026-01-01").glob("*.parquet")
    content = bytearray(file.read_bytes())
    for at in range(len(content) // 3, len(content) // 3 + 40):
        content[at] ^= 0xFF
    file.write_bytes(content)
    told = f"silver.video_text: its file {file} is damaged: .*`reelhouse job clean_text --date 2026-01-01 --force` writes it again"
    with pytest.raises(DamagedTableError, match=told):
        reading(spark, copy)
    values = {"storage.root": str(copy), "sources.deliveries": str(calm / "deliveries"), "spark.master": "local[2]"}
    pipeline = Pipeline(settings_module.load(values=values), Lake(spark, str(copy)), lambda text: None)
    (failed,) = pipeline.run_day(DAYS[0], ["embed_text"])  # it reads the file
    assert re.search(told, failed.words)
    assert [o.status for o in pipeline.run_day(DAYS[0], ["clean_text"], force=True)] == ["succeeded"]
    assert rows_of(Lake(spark, str(copy))) == rows_of(Lake(spark, str(calm / "calm")))


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.7)])


def cut_at_a_line(path: Path) -> None:
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@survives(
    "the last entry of a Delta log is cut short or empty (a power cut)",
    seconds=10,
    sees="`silver.video_text: …json, a part of its log, is damaged` (or `is empty`), never fewer rows without a word",
    mends="`reelhouse repair`, then the day that it names",
)
@pytest.mark.parametrize(
    ("damage", "told"), [(cut, "is damaged"), (cut_at_a_line, "is damaged"), (empty, "is empty: its rows would be missing")]
)
def test_a_log_entry_that_was_cut_short_is_named_and_taken_out_and_its_day_repeated(
    spark: SparkSession, calm: Path, copy: Path, damage: Callable[[Path], None], told: str, monkeypatch: pytest.MonkeyPatch
):
    entry = log_of(copy, TEXTS)[-1]
    damage(entry)
    with pytest.raises(DamagedTableError, match=rf"silver.video_text: {entry}, a part of its log, {told}.*`reelhouse repair`"):
        reading(spark, copy)
    said = typing_in(copy, spark, monkeypatch)("repair", "--root", str(copy)).output
    assert "silver.video_text: a damaged entry of its log was taken out" in said
    assert re.findall(r"daily --date (\S+)`", said) == [str(DAYS[1])]
    run_both(spark, calm, copy)
    assert rows_of(Lake(spark, str(copy))) == rows_of(Lake(spark, str(calm / "calm")))
    assert "no entry of any table's log is damaged" in typing_in(copy, spark, monkeypatch)("repair", "--root", str(copy)).output


@in_turn(FAULTS, seconds=20)
@pytest.mark.parametrize("damage", [cut, empty])
def test_what_an_archived_delivery_brought_is_brought_back_from_the_files_of_the_lost_commit(
    spark: SparkSession, calm: Path, copy: Path, tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
):
    damage(log_of(copy, "bronze/video_arrivals")[-1])
    damage(log_of(copy, "bronze/label_events")[-1])
    said = typing_in(copy, spark, monkeypatch)("repair", "--root", str(copy)).output
    assert re.findall(r"(\S+): (\d+) rows were brought back from the files of the lost commit", said) == [
        ("bronze.video_arrivals", "6"), ("bronze.label_events", "4"),
    ]  # fmt: skip
    assert "daily --date" not in said
    (tmp_path / "deliveries").mkdir()  # where nothing is left of either day
    for day in DAYS:
        run_jobs(spark, copy, tmp_path / "deliveries", day, JOBS)
    assert rows_of(Lake(spark, str(copy))) == rows_of(Lake(spark, str(calm / "calm")))


@in_turn(FAULTS, seconds=20)
def test_where_the_files_of_the_lost_commit_are_damaged_too_the_delivery_is_asked_for(
    spark: SparkSession, calm: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    empty(log_of(copy, "bronze/video_arrivals")[-1])
    for file in (copy / "tables/bronze/video_arrivals" / f"data_date={DAYS[1]}").rglob("*.parquet"):
        empty(file)
    said = " ".join(typing_in(copy, spark, monkeypatch)("repair", "--root", str(copy)).output.split())
    assert f"rows of {DAYS[1]} came from files: put back first what was delivered for {DAYS[1]} and is archived" in said
    assert f"daily --date {DAYS[1]}`: it repeats what was lost" in said
    assert "brought back" not in said
    run_both(spark, calm, copy)
    assert rows_of(Lake(spark, str(copy))) == rows_of(Lake(spark, str(calm / "calm")))


@survives(
    "the last entry of the ledger's log is empty",
    seconds=15,
    sees="`ops.runs: …json, a part of its log, is empty`",
    mends="`reelhouse repair`, then the day once more",
)
def test_an_empty_log_entry_of_the_ledger_costs_one_more_run_of_its_job(spark: SparkSession, calm: Path, copy: Path, monkeypatch):
    entry = log_of(copy, "ops/runs")[-1]
    empty(entry)
    with pytest.raises(DamagedTableError, match=f"ops.runs: {entry}, a part of its log, is empty"):
        run_both(spark, calm, copy)
    typing_in(copy, spark, monkeypatch)("repair", "--root", str(copy))
    run_both(spark, calm, copy)
    lake = Lake(spark, str(copy))
    assert rows_of(lake) == rows_of(Lake(spark, str(calm / "calm")))
    assert lake.read(tables.RUNS).count() == 2 * len(JOBS)


@survives(
    "a Delta checkpoint that `_last_checkpoint` names is lost",
    seconds=60,
    sees="nothing: Delta reads the log's entries instead",
    mends="nothing is needed",
)
def test_a_lost_checkpoint_costs_nothing(spark: SparkSession, tmp_path: Path):
    deliver(tmp_path / "deliveries", DAYS[0], text_rows(DAYS[0], 6))
    root, runs = tmp_path / "w", 12  # Delta makes a checkpoint at the tenth commit
    for _ in range(runs):
        lake = Lake(spark, str(root))
        values = {"storage.root": str(root), "sources.deliveries": str(tmp_path / "deliveries"), "spark.master": "local[2]"}
        Pipeline(settings_module.load(values=values), lake, lambda text: None).run_day(DAYS[0], ["ingest"], force=True)
    before = rows_of(lake)
    log = root / "tables" / "ops" / "runs" / "_delta_log"
    assert "version" in (log / "_last_checkpoint").read_text()
    (lost,) = log.glob("*.checkpoint*.parquet")
    moved = shutil.copytree(root, tmp_path / "moved")  # Delta keeps in mind what it read at a place
    (moved / lost.relative_to(root)).unlink()
    again = Lake(spark, str(moved))
    assert again.read(tables.RUNS).count() == runs
    run_jobs(spark, moved, tmp_path / "deliveries", DAYS[0], ["ingest"])
    assert (rows_of(again), again.read(tables.RUNS).count()) == (before, runs)


def fill(path: Path) -> None:
    """Write to a file until its disk takes no more."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB. Only root may make one; without that right the disk is tested by tests/pipeline/test_storage_trouble.py."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"this user may make no file system: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@survives(
    "the disk is full",
    seconds=30,
    sees="`writing silver.video_text at … failed: the disk is full`",
    mends="free space, then the same command",
)
def test_a_full_disk_is_named_and_the_same_command_goes_on_once_there_is_room(spark: SparkSession, calm: Path, small_disk: Path):
    root, filler = small_disk / "w", small_disk / "filler"
    run_jobs(spark, root, calm / "deliveries", DAYS[0], JOBS)
    fill(filler)
    with pytest.raises(StorageError, match=r"failed: (the disk is full|.*No space left on device).*mend that and run again"):
        run_jobs(spark, root, calm / "deliveries", DAYS[1], JOBS)
    filler.unlink()
    run_both(spark, calm, root)
    assert rows_of(Lake(spark, str(root))) == rows_of(Lake(spark, str(calm / "calm")))


@survives(
    "the warehouse becomes read-only",
    seconds=25,
    sees="`writing to the storage root … failed: the file system is read-only`, before any work",
    mends="make it writable, then the same command",
)
def test_a_read_only_warehouse_is_named_can_be_read_and_goes_on_once_it_is_writable(spark: SparkSession, calm: Path, small_disk: Path):
    root = small_disk / "w"
    run_jobs(spark, root, calm / "deliveries", DAYS[0], JOBS)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    declared = test_a_read_only_warehouse_is_named_can_be_read_and_goes_on_once_it_is_writable.fault.words  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match=rf"{declared}.*mend that and run again"):
        run_jobs(spark, root, calm / "deliveries", DAYS[1], JOBS)
    assert Lake(spark, str(root)).read(tables.VIDEO_TEXT).count() == 6
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    run_both(spark, calm, root)
    assert rows_of(Lake(spark, str(root))) == rows_of(Lake(spark, str(calm / "calm")))
