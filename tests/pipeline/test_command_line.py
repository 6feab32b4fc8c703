"""The commands as a newcomer types them, each in a process of its own, on a small sample; and the README's promises."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.errors import NotFoundError, SettingsError
from reelhouse.explain import chain, facts, made_by
from reelhouse.lake import Lake, catalog
from reelhouse.lake.ledger import Ledger
from reelhouse.pipeline import flow_chart, load_jobs
from reelhouse.sources.records import records
from tests.newcomer import CHECKOUT, reelhouse, said
from tests.notebooks import FOUND, NOTEBOOKS, cells, execute
from tests.typed import Type, typing_in

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DAY = dt.date(2026, 1, 1)


@pytest.fixture(scope="module")
def folder(newcomer: Path) -> Path:
    return newcomer


@pytest.fixture
def typed(folder: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Type:
    return typing_in(folder, spark, monkeypatch)


@pytest.fixture(scope="module")
def lake(spark: SparkSession, folder: Path) -> Lake:
    return Lake(spark, str(folder / "warehouse-sample"))


def test_daily_ends_with_what_each_step_did_what_was_found_and_what_to_do_next(folder: Path, lake: Lake):
    text = (folder / "daily.txt").read_text(encoding="utf-8")
    for job in load_jobs():
        assert re.search(rf"2026-01-01 │ {job.name} +│ (succeeded|stepped aside)", text), job.name
    arrived = lake.read(tables.VIDEO_ARRIVALS).count() + lake.read(tables.INTERACTIONS).count() + lake.read(tables.ITEMS).count()
    delivered = (folder / "sample" / "deliveries" / str(DAY)).glob("*.*")
    read = sum(1 for file in delivered for _ in records(str(file)))
    assert re.search(rf"│ ingest +│ succeeded +│ +{read:,} │ +{arrived:,} │", text)
    assert re.search(r"broken files refused +│ +(\d+) │ +\1 │ 100%", text)
    for what in ("meaningless titles", "pairs of near-copies", "wrong labels", "class of unlabelled videos"):
        assert re.search(rf"{what} +│ +\d+ │ +\d+ │", text), what
    video = re.search(r"reelhouse similar (\S+) --root warehouse-sample", text)
    assert video
    assert 'reelhouse sql "select * from gold.label_queue order by rank" --root warehouse-sample' in text
    assert "reelhouse daily --videos FOLDER" in text


def test_only_declared_tables_are_read_and_written(lake: Lake):
    """The order of the jobs, the DAG and the diagram are made from pipeline.yml, so it must tell the truth."""
    ledger = Ledger(lake)
    for job in load_jobs():
        record = ledger.latest(job.name, DAY)
        assert record is not None
        assert {s.table for s in record.reads} <= {*job.reads, *job.previous, *job.writes}, job.name
        assert {s.table for s in record.writes} <= set(job.writes), job.name
        assert {s.table for s in record.reads if s.slice == "before"} <= {*job.previous, *job.writes}, job.name


def test_a_run_writes_into_its_folder_and_the_cache_folder_only_and_asks_no_other_machine(folder: Path):
    assert list((folder / "home").iterdir()) == []
    assert (folder / "elsewhere.txt").read_text() == ""
    assert (folder / "asked.txt").read_text() == ""
    used = (folder / "scratch.txt").read_text()
    assert re.search(r"^/tmp/reelhouse-\w+/spark\.log$", used, re.MULTILINE)
    assert re.search(r"^/tmp/tmp\w+_milvus\.db\.sock$", used, re.MULTILINE)


def test_similar_lists_titles_scores_and_files(folder: Path, lake: Lake, typed: Type):
    video = re.search(r"reelhouse similar (\S+)", (folder / "daily.txt").read_text(encoding="utf-8"))[1]  # type: ignore[index]
    rows = [
        line.split("│") for line in said(folder, "similar", video, "-k", "3", "--root", "warehouse-sample").splitlines() if ".mp4" in line
    ]
    assert 1 <= len(rows) <= 3
    known = {r.video_id: r for r in lake.read(tables.VIDEO_ARRIVALS).collect()}
    for found, score, title, file in rows:
        assert found.strip() in known
        assert found.strip() != video
        assert -1 <= float(score) <= 1.001
        assert (known[found.strip()].title or known[found.strip()].caption or "").startswith(title.strip()[:4])
        assert file.strip().endswith(".mp4")
    with pytest.raises(NotFoundError, match="'nobody' has no vector of the served model"):
        typed("similar", "nobody", "--root", "warehouse-sample")


def test_sql_answers_by_name_alone_and_line_by_line(folder: Path, lake: Lake, typed: Type):
    count = lake.read(tables.VIDEO_ARRIVALS).count()
    answer = typed("sql", "select count(*) videos from bronze.video_arrivals", "--root", "warehouse-sample").stdout
    assert answer.split() == ["videos", *answer.split()[1:-1], f"{count}"]
    lines = ["select count(*) from silver.videos_current;", "select nonsense from nowhere", "delete from silver.videos"]
    asked = reelhouse(folder, "sql", "--root", "warehouse-sample", given="\n".join([*lines, "select 41 + 1 answer", "exit", ""]))
    assert asked.returncode == 0
    found = [part.split() for part in asked.stdout.split("sql> ")]
    newest = lake.current(tables.VIDEOS, "true").count()
    assert (found[1][0], found[1][-1]) == ("count(1)", str(newest))
    assert (found[4][0], found[4][-1]) == ("answer", "42")
    assert "TABLE_OR_VIEW_NOT_FOUND" in asked.stderr
    assert "`nowhere`" in asked.stderr
    assert "`reelhouse sql` only reads" in " ".join(asked.stderr.split())
    assert "Traceback" not in asked.stderr


def test_tables_settings_plan_runs_and_explain_tell_what_they_are_for(folder: Path, lake: Lake, typed: Type):
    def said(*words: str) -> str:
        return typed(*words).stdout

    assert re.search(r"gold\.predictions +│ What the model says of a video", said("tables"))
    columns = said("tables", "gold.predictions")
    assert "entropy of all classes' probabilities, in nats" in columns
    assert "partitions: data_date, model_version" in columns
    view = said("tables", "gold.label_queue")
    (queue,) = [v for v in tables.VIEWS if v.name == "gold.label_queue"]
    assert f"{queue.name}  {queue.comment}" in view
    assert "FROM bronze.label_exports e LEFT ANTI JOIN silver.labels_current u" in view
    assert re.search(r"^rank +│ int +│ \w+", view, re.MULTILINE)
    assert re.search(r"^chosen_by +│ string +│", view, re.MULTILINE)
    with pytest.raises(NotFoundError, match=r"there is no table 'gold\.nothing'"):
        typed("tables", "gold.nothing")
    assert re.search(r"training\.epochs +│ 9 +│ changed", said("settings", "--set", "training.epochs=9"))
    assert re.search(r"published_at", formats := said("manifest"))
    assert re.search(r"^tag_reviews/\*\.jsonl +│ decision +│ choice +│ yes +│ what is decided: accept", formats, re.MULTILINE)
    root = ("--root", "warehouse-sample", "--set", f"sources.deliveries={folder / 'sample' / 'deliveries'}")
    plan = said("plan", "--date", "2026-01-01", *root)
    assert len(re.findall("up to date", plan)) == len(load_jobs())
    assert len(re.findall("never run", said("plan", "--date", "2026-01-02", *root))) == len(load_jobs())
    assert re.search(r"2026-01-01 │ +serve +│ succeeded", said("runs", "--date", "2026-01-01", *root))
    run = lake.read(tables.RUNS).where("job = 'train'").first()
    assert run is not None
    shown = said("runs", run.run_id, *root)
    for value in (run.run_id, run.settings_hash, run.code_version, run.inputs["model"], f"{run.metrics['train_accuracy']:,.3f}"):
        assert re.search(rf"│ {re.escape(value)}\b", shown), value
    for read in run.reads:
        assert re.search(rf"reads +│ {read.table} +│ {read.slice} +│ +{read.rows} +│ {read.fingerprint}", shown), read
    ingested = lake.read(tables.RUNS).where("job = 'ingest'").first()
    assert ingested is not None
    explained = said("explain", "v0001", *root)
    for name in ("bronze.video_arrivals", "silver.video_text", "gold.embeddings", "ops.promotions", "gold.training_snapshots"):
        assert name in explained, name
    assert f"made by ingest  run {ingested.run_id}  code {ingested.code_version}  settings {ingested.settings_hash}" in explained
    for name, value in ingested.inputs.items():
        assert name == "taken down" or f"with {name} = {value}" in explained


def test_an_embedding_is_traced_to_the_labels_the_people_and_the_files(folder: Path, lake: Lake):
    example = lake.read(tables.TRAINING_EXAMPLES).join(lake.read(tables.LABEL_EVENTS), "video_id", "left_semi").orderBy("video_id").first()
    assert example is not None
    runs = {r.job: r for r in lake.read(tables.RUNS).collect()}
    known = list(facts(lake, example.video_id))
    made = {fact.table.name: fact for fact in known}
    (embedding,) = [fact for fact in known if fact.table is tables.EMBEDDINGS]
    version = embedding.row["model_version"]
    assert embedding.run_id == runs["predict"].run_id
    assert runs["train"].inputs["model"] == version
    assert made["ops.promotions"].row["snapshot_id"] == example.snapshot_id
    writers = {"silver.features": "extract", "silver.labels": "fold_labels", "bronze.label_events": "import_labels"}
    writers |= {"gold.evaluations": "evaluate"}
    assert {name: made[name].run_id for name in writers} == {name: runs[job].run_id for name, job in writers.items()}
    answers = [fact.row for fact in known if fact.table is tables.LABEL_EVENTS]
    assert answers
    assert all(re.fullmatch(r"annotator\d|manifest", answer["annotator_id"]) for answer in answers)
    lines = list(chain(lake, known))
    assert lines[:2] == [
        f"embedding of 2026-01-01, made by run {embedding.run_id}",
        f"  <- model {version}, trained by run {runs['train'].run_id}",
    ]
    assert lines[2].startswith(f"  <- snapshot {example.snapshot_id} of ")
    for answer in answers:
        assert any(line.endswith(f"labels by {answer['annotator_id']}, from {answer['source_file']}") for line in lines[3:])
    ours, of_model = made_by(embedding.run), made_by(made["silver.labels"].run)
    assert re.search(r"gold\.|silver\.features \(up to the day, \d+ rows\)", ours[1])
    assert "bronze.label_events (up to the day" in of_model[1]


def test_of_a_refused_row_the_quarantine_is_shown_and_who_refused_it(lake: Lake):
    (fact,) = facts(lake, "bad-time")
    assert (fact.table.name, fact.row["rule"]) == ("ops.quarantine", "bad_timestamp")
    assert "yesterday" in fact.row["reason"] + (fact.row["row"] or "")
    assert fact.run_id == lake.read(tables.RUNS).where("job = 'ingest'").collect()[0].run_id


def test_an_unknown_setting_and_a_missing_source_are_one_sentence(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch):
    wrong = reelhouse(tmp_path, "daily", "--set", "training.epoch=3", "--set", "nonsense.key=1")
    assert wrong.returncode == 2
    assert "training.epoch" in wrong.stderr
    assert "nonsense" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    typed = typing_in(tmp_path, spark, monkeypatch)
    assert "no source is set" in typed("daily", "--date", "2026-01-01", code=SettingsError.exit_code).output


def test_the_questions_of_the_readme_have_answers(lake: Lake):
    block = re.search(r"```sql\n(.*?)```", README, re.DOTALL)
    assert block
    questions = [q.strip() for q in block[1].split(";") if q.strip()]
    assert len(questions) == 6
    answers = []
    for question in questions:
        catalog.register(lake, question)
        answers.append(lake.spark.sql(question).collect())
    queue, wrong, served, regions, tags, refused = answers
    exported = {r.video_id for r in lake.read(tables.LABEL_EXPORTS).collect()}
    labelled = {r.video_id for r in lake.read(tables.LABELS).collect()}
    assert queue
    assert not {r.video_id for r in queue} & (exported | labelled)
    judged = {(r.video_id, r.label_id) for r in lake.read(tables.LABEL_NOISE).where("verdict = 'wrong'").collect()}
    assert {(r.video_id, r.label_id) for r in wrong} == judged
    assert sum(r.videos for r in served) == lake.read(tables.PREDICTIONS).count() > 0
    inside = lake.current(tables.CLUSTERS, "data_date is not null").where("cluster_id is not null")
    assert sum(r["size"] for r in regions) == inside.count() > 0
    assert {r.exemplar_video_id for r in regions} <= {r.video_id for r in inside.collect()}
    counted = {r.tag: r["count"] for r in lake.read(tables.VIDEO_TAGS).groupBy("tag").count().collect()}
    assert tags
    assert all(counted[r.tag] == r.videos for r in tags)
    assert sum(r.refused for r in refused) == lake.read(tables.QUARANTINE).count() > 0


@pytest.mark.parametrize("view", [v for v in tables.VIEWS if v.columns], ids=lambda view: view.name)
def test_each_view_for_peoples_questions_has_rows(lake: Lake, view: tables.View):
    catalog.register(lake, f"select * from {view.name}")
    assert lake.spark.sql(f"select * from {view.name}").count() > 0


def test_the_report_of_the_day_tells_the_numbers_of_the_tables(folder: Path, lake: Lake, typed: Type):
    told = typed("report", "--date", "2026-01-01", "--root", "warehouse-sample").stdout
    path = folder / "warehouse-sample" / "reports" / "2026-01-01.html"
    assert str(path) in told
    assert path.stat().st_size < 5_000_000
    text = path.read_text(encoding="utf-8")
    counts = {
        "videos arrived": lake.read(tables.VIDEO_ARRIVALS).count(),
        "rows refused": lake.read(tables.QUARANTINE).count(),
        "labels suspected": lake.read(tables.LABEL_NOISE).where("verdict = 'wrong'").count(),
        "videos predicted": lake.read(tables.PREDICTIONS).count(),
    }
    for what, count in counts.items():
        assert f"<b>{count}</b><span>{what}</span>" in text
    assert text.count('<img src="data:image/jpeg;base64,') > 40
    for suspect in lake.read(tables.LABEL_NOISE).where("verdict = 'wrong'").collect():
        assert f"<code>{suspect.video_id}</code>" in text


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
def test_a_notebook_runs_from_top_to_bottom_and_is_stored_without_outputs(folder: Path, lake: Lake, name: str, monkeypatch):
    assert [c for c in cells(name) if c.get("outputs") or c.get("execution_count")] == []
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr(type(lake.spark), "stop", lambda session: None)
    left, shown = execute(name, ROOT=str(folder / "warehouse-sample"))
    assert len(shown) >= 7
    FOUND[name](lake, left)


def test_the_diagram_of_the_readme_is_the_pipeline():
    assert f"```mermaid\n{flow_chart(load_jobs())}\n```" in README
