"""The daily pipeline as a whole: what is up to date, retries, days out of order, the ledger, replay, takedowns."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import LockedError, NotFoundError, SettingsError, StorageError
from reelhouse.explain import facts
from reelhouse.lake import ROWS_TO_COMPILE, Lake, RunRecord, Slice, catalog
from reelhouse.pipeline import Outcome, Pipeline, load_jobs
from reelhouse.replay import compare
from reelhouse.settings import CONF, Settings
from reelhouse.takedown import pseudonym
from reelhouse.vectors import KINDS
from tests.deliveries import deliver, text_rows
from tests.turns import WHOLE_DAYS, in_turn
from tests.typed import Type, typing_in

DAY1, DAY2, DAY3 = dt.date(2026, 1, 1), dt.date(2026, 1, 2), dt.date(2026, 1, 3)
DAYS = (DAY1, DAY2, DAY3)
GONE = "the-gone-video"
# The jobs that need neither training nor vectors: fast enough to run many days.
TEXT_JOBS = ("ingest", "extract", "clean_text", "embed_text", "import_labels", "fold_labels", "mine_tags", "tag_videos")
STATEFUL_JOBS = ("ingest", "extract", "clean_text", "embed_text", "import_labels", "mine_tags")


def settings_for(root: Path, deliveries: Path) -> Settings:
    values = {
        "storage.root": str(root), "sources.deliveries": str(deliveries), "spark.master": "local[2]",
        "training.epochs": 3, "tags.minimum_count": 3,
    }  # fmt: skip
    return settings_module.load(values=values)


@pytest.fixture
def deliveries(tmp_path: Path) -> Path:
    for day in DAYS:
        deliver(tmp_path / "deliveries", day, text_rows(day, 24))
    return tmp_path / "deliveries"


@pytest.fixture(scope="module")
def whole_days(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(root, deliveries) of two days run with every job, one of day 1's videos easy to tell; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("whole")
    for day in DAYS[:2]:
        rows = text_rows(day, 24)
        if day == DAY1:
            rows[5] |= {"video_id": GONE, "title": "unmistakable-title 手冲咖啡教程"}
        deliver(folder / "deliveries", day, rows)
    settings = settings_for(folder / "w", folder / "deliveries")
    pipeline = Pipeline(settings, Lake(spark, settings.storage.root), lambda text: None)
    try:
        for day in DAYS[:2]:
            statuses(pipeline.run_day(day))
    finally:
        pipeline.close()
    return folder / "w", folder / "deliveries"


@pytest.fixture
def typed(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Type:
    return typing_in(tmp_path, spark, monkeypatch)


@pytest.fixture
def opened(spark: SparkSession) -> Iterator:
    pipelines = []

    def open_at(root: Path, deliveries: Path) -> Pipeline:
        settings = settings_for(root, deliveries)
        pipelines.append(Pipeline(settings, Lake(spark, settings.storage.root), lambda text: None))
        return pipelines[-1]

    yield open_at
    for pipeline in pipelines:
        pipeline.close()


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    return {o.job: o.status for o in outcomes}


def differences(one: Lake, other: Lake) -> list:
    return [c for c in compare(one, other, DAY1, DAY3) if not c.same]


def test_queries_are_compiled_once_a_job_reads_a_large_table_and_the_rows_stay_the_same(opened, deliveries: Path, tmp_path: Path, spark):
    names = ("spark.sql.codegen.factoryMode", "spark.sql.codegen.wholeStage")
    before = {name: spark.conf.get(name) for name in names}
    pipeline = opened(tmp_path / "w", deliveries)
    statuses(pipeline.run_day(DAY1, ["ingest", "extract", "clean_text"]))
    assert {name: spark.conf.get(name) for name in names} == before == dict(zip(names, ("NO_CODEGEN", "false"), strict=True))
    few = pipeline.ledger.latest("clean_text", DAY1)
    many = RunRecord("many", "extract", DAY1, dt.datetime(2026, 1, 1), "succeeded", writes=[Slice("silver.ocr", "", ROWS_TO_COMPILE, "x")])
    pipeline.ledger.append(many, pipeline.ledger.row(many))
    try:
        assert statuses(pipeline.run_day(DAY1, ["clean_text"])) == {"clean_text": "succeeded"}
        assert {name: spark.conf.get(name) for name in names} == dict(zip(names, ("FALLBACK", "true"), strict=True))
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)
    again = pipeline.ledger.latest("clean_text", DAY1)
    assert again.run_id != few.run_id
    assert again.writes == few.writes
    assert few.writes[0].rows == 24


@in_turn(WHOLE_DAYS, seconds=100)
def test_a_second_run_of_a_date_does_nothing_and_a_changed_file_reruns_what_it_touches(opened, deliveries: Path, tmp_path: Path):
    pipeline = opened(tmp_path / "w", deliveries)
    assert set(statuses(pipeline.run_day(DAY1, TEXT_JOBS)).values()) == {"succeeded"}
    assert set(statuses(pipeline.run_day(DAY1, TEXT_JOBS)).values()) == {"up to date"}
    # another process sees the same ledger
    other = opened(tmp_path / "w", deliveries)
    assert set(statuses(other.run_day(DAY1, TEXT_JOBS)).values()) == {"up to date"}
    fewer = other.settings.tags.model_copy(update={"minimum_count": 4})
    other.settings = other.settings.model_copy(update={"tags": fewer})
    other.job("clean_text").__dict__["code_version"] = "another"
    reasons = dict(other.plan(DAY1))
    assert {reasons[name] for name in ("mine_tags", "tag_videos")} == {"settings changed"}
    assert {name: reasons[name] for name in ("ingest", "clean_text", "embed_text")} == {
        "ingest": None, "clean_text": "code changed", "embed_text": None,
    }  # fmt: skip
    rows = text_rows(DAY1, 24)
    rows[0]["title"] = "完全不同的标题"
    deliver(deliveries, DAY1, rows)
    after = statuses(pipeline.run_day(DAY1, TEXT_JOBS))
    assert after["ingest"] == after["clean_text"] == "succeeded"
    titles = pipeline.lake.read(tables.VIDEO_TEXT).where(F.col("video_id") == "0101-000").select("title").collect()
    assert [r.title for r in titles] == ["完全不同的标题"]


@in_turn(WHOLE_DAYS, seconds=240)
def test_three_days_delivered_out_of_order_equal_the_days_done_in_order_once_the_stale_ones_are_recomputed(
    opened, deliveries: Path, tmp_path: Path
):
    in_order, out_of_order = opened(tmp_path / "a", deliveries), opened(tmp_path / "b", deliveries)
    for day in DAYS:
        statuses(in_order.run_day(day, STATEFUL_JOBS))
    for day in (DAY3, DAY1, DAY2):
        statuses(out_of_order.run_day(day, STATEFUL_JOBS))
    assert differences(in_order.lake, out_of_order.lake)  # day 3 was mined before days 1 and 2 had come
    again = {day: statuses(out_of_order.run_day(day, STATEFUL_JOBS)) for day in DAYS}
    assert again[DAY1] == dict.fromkeys(STATEFUL_JOBS, "up to date")
    assert again[DAY3]["mine_tags"] == "succeeded"
    assert differences(in_order.lake, out_of_order.lake) == []
    assert set(statuses(out_of_order.run_day(DAY3, STATEFUL_JOBS)).values()) == {"up to date"}


@in_turn(WHOLE_DAYS, seconds=340)
def test_a_replay_gives_the_same_rows_and_names_the_one_that_was_tampered_with(whole_days, tmp_path: Path, typed: Type, spark):
    root = tmp_path / "w"
    shutil.copytree(whole_days[0], root)
    lake = Lake(spark, str(root))
    text = lake.read(tables.VIDEO_TEXT, f"data_date = date'{DAY2}'")
    title = F.when(F.col("video_id") == "0102-003", F.lit("x")).otherwise(F.col("title"))
    lake.replace(tables.VIDEO_TEXT, text.withColumn("title", title).localCheckpoint(), {"data_date": DAY2}, count=24, metadata={})
    into = tmp_path / "replayed"
    places = ("--into", str(into), "--root", str(root), "--set", "training.epochs=3", "--set", "tags.minimum_count=3")
    said = typed("replay", "--from", str(DAY2), "--to", str(DAY2), *places, code=1).output
    compared = {line.split("│")[0].strip(): "NOT THE SAME" in line for line in said.splitlines() if f"│ {DAY2} │" in line}
    assert {table for table, differs in compared.items() if differs} == {"silver.video_text"}
    assert f"{len(compared) - 1} of {len(compared)} slices are the same; not: silver.video_text of {DAY2}" in said
    wanted = {"silver.labels", "gold.predictions", "gold.embeddings", "gold.hashes", "gold.tag_library", "gold.video_tags", "ops.serving"}
    assert wanted <= compared.keys()
    assert {c.table: not c.same for c in compare(lake, Lake(spark, str(into)), DAY2, DAY2)} == compared


@in_turn(WHOLE_DAYS, seconds=340)
def test_a_takedown_hides_a_video_at_once_and_a_purge_removes_its_bytes(opened, whole_days, tmp_path: Path, typed: Type):
    root, deliveries = tmp_path / "w", whole_days[1]
    shutil.copytree(whole_days[0], root)
    lake = Lake(opened(root, deliveries).lake.spark, str(root))
    assert any(f.table is tables.EMBEDDINGS for f in facts(lake, GONE))
    for reason in ("asked by the author", "asked again"):
        words = typed("delete", GONE, "--reason", reason, "--by", "desk", "--date", str(DAY2), "--root", str(root)).output
        assert f"{GONE} is gone from every current view and from Milvus" in words
    with pytest.raises(NotFoundError, match="was taken down"):
        list(facts(lake, GONE))
    for table in tables.ALL.values():
        if table.has_video and table not in (tables.DELETIONS, tables.QUARANTINE):
            assert lake.read(table).where(F.col("video_id") == GONE).isEmpty(), table.name
    catalog.register(lake)
    for name in catalog.names().keys() - tables.ALL.keys() - {"bronze.deletions_current"}:
        if "video_id" in lake.spark.table(name).columns:
            assert lake.spark.table(name).where(F.col("video_id") == GONE).isEmpty(), name
    pipeline = opened(root, deliveries)
    served = lake.read(tables.SERVING, f"data_date = date'{DAY2}'").first()
    for kind in KINDS:
        held = dict(pipeline.services.vectors.ids_and_checksums(kind.name, served.model_version))
        assert GONE not in held
        assert len(held) == 47
    pipeline.close()
    with pytest.raises(NotFoundError, match="no video 'nobody' ever arrived"):
        typed("delete", "nobody", "--root", str(root))

    assert _bytes_hold(root, b"unmistakable-title")
    assert "bronze.video_arrivals: 1 rows removed" in typed("purge", "--root", str(root)).output
    assert not _bytes_hold(root, b"unmistakable-title")
    deletions = root / "tables" / "bronze" / "deletions"
    assert [f for f in _files_with(root, GONE.encode()) if deletions not in f.parents] == []
    assert lake.read(tables.VIDEO_ARRIVALS).count() == 47
    # running the day again brings nothing back
    again = opened(root, deliveries)
    statuses(again.run_day(DAY1))
    assert again.lake.read(tables.EMBEDDINGS, f"data_date = date'{DAY1}'").select("video_id").distinct().count() == 23
    assert not _bytes_hold(root, b"unmistakable-title")


def _files_with(root: Path, needle: bytes) -> list[Path]:
    # not the locks: a process that closes one lets it go, and Milvus Lite's server ends with its lock
    return [f for f in root.rglob("*") if f.is_file() and f.suffix != ".lock" and needle in f.read_bytes()]


def _bytes_hold(root: Path, needle: bytes) -> bool:
    """Whether any file holds the bytes: as they are, or inside a Parquet file whose pages are compressed."""
    import pyarrow.parquet as pq

    if _files_with(root, needle):
        return True
    return any(needle.decode() in str(pq.ParquetFile(f).read().to_pydict()) for f in root.rglob("*.parquet"))


def test_a_purged_name_in_another_videos_row_is_a_pseudonym():
    assert pseudonym(GONE) == pseudonym(GONE)
    assert pseudonym(GONE).startswith("removed-")
    assert "gone" not in pseudonym(GONE)


def test_two_runs_of_one_date_at_once_one_says_so(opened, deliveries: Path, tmp_path: Path):
    pipeline = opened(tmp_path / "w", deliveries)
    with pipeline.lake.lock(f"run-{DAY1}"), pytest.raises(LockedError, match="another run is at work on 2026-01-01"):
        # a lock of the same process on the same path: another object, as another process has
        pipeline.run_day(DAY1, ["ingest"])


@in_turn(WHOLE_DAYS, seconds=110)
def test_dates_without_data_run_to_the_end_and_a_backfill_is_typed_in_one_line(deliveries: Path, tmp_path: Path, typed: Type, spark):
    (tmp_path / "own.yml").write_text(f"sources:\n  deliveries: {deliveries}\nstorage:\n  root: {tmp_path / 'w'}\n")
    line = ("daily", "--from", "2025-12-30", "--to", "2025-12-31", "--conf", str(tmp_path / "own.yml"))
    lake = Lake(spark, str(tmp_path / "w"))
    ran = "(succeeded|stepped aside)"
    for words, status, runs in ((line, ran, 1), (line, "up to date", 1), ((*line, "--force"), ran, 2)):
        said = typed(*words).output
        for job, day in product(load_jobs(), ("2025-12-30", "2025-12-31")):
            assert re.search(rf"{day} │ {job.name} +│ {status} +│", said), (day, job.name)
        done = lake.read(tables.RUNS).groupBy("job", "data_date").count().collect()
        assert {(r.job, str(r.data_date)): r["count"] for r in done} == dict.fromkeys(
            product([j.name for j in load_jobs()], ("2025-12-30", "2025-12-31")), runs
        )
    assert {r.status for r in lake.read(tables.RUNS).collect()} <= {"succeeded", "stepped_aside"}
    assert lake.read(tables.VIDEO_ARRIVALS).isEmpty()


def test_an_unknown_job_is_named_with_the_known_ones(opened, deliveries: Path, tmp_path: Path):
    with pytest.raises(NotFoundError, match="there is no job 'trian'; there are: ingest, extract"):
        opened(tmp_path / "w", deliveries).run_day(DAY1, ["trian"])


def test_a_failed_job_blocks_what_depends_on_it_and_is_in_the_ledger(opened, deliveries: Path, tmp_path: Path, monkeypatch):
    pipeline = opened(tmp_path / "w", deliveries)

    def broken(run) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(pipeline.job("clean_text").module, "main", broken)
    outcomes = {o.job: o for o in pipeline.run_day(DAY1, TEXT_JOBS)}
    assert outcomes["clean_text"].status == "failed"
    assert outcomes["embed_text"].status == outcomes["tag_videos"].status == "blocked"
    assert outcomes["import_labels"].status == "succeeded"
    note = pipeline.lake.read(tables.RUNS).where("job = 'clean_text'").select("status", "note").distinct().collect()
    assert [(r.status, r.note) for r in note] == [("failed", "ZeroDivisionError: planted")]


def test_a_job_that_fails_once_is_tried_again_and_what_a_user_must_mend_is_not(opened, deliveries: Path, tmp_path: Path, monkeypatch):
    pipeline = opened(tmp_path / "w", deliveries)
    said: list[str] = []
    pipeline.say = said.append
    real, calls = pipeline.job("ingest").module.main, []

    def fails_once(run) -> None:
        calls.append(run)
        if len(calls) == 1:
            raise ConnectionError("planted")
        real(run)

    monkeypatch.setattr(pipeline.job("ingest").module, "main", fails_once)
    assert statuses(pipeline.run_day(DAY1, ["ingest"])) == {"ingest": "succeeded"}
    assert [r.status for r in pipeline.lake.read(tables.RUNS).orderBy("started_at").collect()] == ["failed", "succeeded"]
    first, last = (line for line in said if "ingest" in line and "..." not in line)
    assert first.startswith("ingest 2026-01-01 failed (planted); trying again")
    assert last.startswith(" 1/19  2026-01-01  ingest: succeeded")


def test_a_scheduler_that_tries_again_itself_has_one_try(spark, deliveries: Path, tmp_path: Path, monkeypatch):
    typed, calls = typing_in(tmp_path, spark, monkeypatch), []

    def fails(run) -> None:
        calls.append(run)
        raise ConnectionError("planted")

    ingest = next(job for job in load_jobs() if job.name == "ingest")
    assert ingest.retries
    monkeypatch.setattr(ingest.module, "main", fails)
    words = ("job", "ingest", "--date", str(DAY1), "--root", "w", "--set", f"sources.deliveries={deliveries}")
    typed(*words, "--no-retry", code=1)
    assert len(calls) == 1
    typed(*words, code=1)
    assert len(calls) == 1 + 1 + ingest.retries


def test_a_job_whose_inputs_cannot_be_told_fails_in_the_ledger_and_the_rest_goes_on(opened, deliveries: Path, tmp_path: Path, monkeypatch):
    pipeline = opened(tmp_path / "w", deliveries)
    statuses(pipeline.run_day(DAY1, ["ingest", "extract"]))

    def unreachable(run) -> dict[str, str]:
        raise ConnectionError("the registry does not answer")

    monkeypatch.setattr(pipeline.job("fold_labels").module, "inputs", unreachable)
    outcomes = {o.job: o for o in pipeline.run_day(DAY1, ["import_labels", "fold_labels", "sample_by_density"])}
    assert {name: o.status for name, o in outcomes.items()} == {
        "import_labels": "succeeded", "fold_labels": "failed", "sample_by_density": "blocked",
    }  # fmt: skip
    (row,) = pipeline.lake.read(tables.RUNS).where("job = 'fold_labels'").collect()
    assert (row.status, row.note) == ("failed", "ConnectionError: the registry does not answer")


def test_a_ledger_that_cannot_be_written_is_said_and_the_day_still_ends_with_its_outcomes(
    opened, deliveries: Path, tmp_path: Path, monkeypatch
):
    pipeline = opened(tmp_path / "w", deliveries)
    said: list[str] = []
    pipeline.say = said.append

    def full(record, row) -> None:
        raise StorageError("writing ops.runs failed: the disk is full")

    monkeypatch.setattr(pipeline.ledger, "append", full)
    outcome, *rest = pipeline.run_day(DAY1, ["ingest", "extract"])
    assert (outcome.status, outcome.record, outcome.words) == ("failed", None, "writing ops.runs failed: the disk is full")
    assert [o.status for o in rest] == ["blocked"]
    assert "the ledger could not be written: writing ops.runs failed: the disk is full" in said


def test_a_pipeline_file_in_the_wrong_order_is_refused(tmp_path: Path):
    jobs = yaml.safe_load((CONF / "pipeline.yml").read_text(encoding="utf-8"))["jobs"]
    path = tmp_path / "pipeline.yml"
    path.write_text(yaml.safe_dump({"jobs": jobs[1:]}), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"job extract: .* in `after` that doesn't come before"):
        load_jobs(path)


def test_every_table_has_one_writer():
    writers = [name for job in load_jobs() for name in job.writes]
    assert len(writers) == len(set(writers))
    assert set(tables.ALL) - set(writers) == {"bronze.deletions", "ops.runs", "ops.quarantine"}
