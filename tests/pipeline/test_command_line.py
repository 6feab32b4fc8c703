"""The commands as a newcomer types them, each in a process of its own, on a small sample; and the README's promises."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake import Lake, catalog
from reelhouse.pipeline import flow_chart, load_jobs
from reelhouse.replay import compare
from reelhouse.sources.records import records

CHECKOUT = Path(__file__).resolve().parents[2]
REELHOUSE = Path(sys.prefix) / "bin" / "reelhouse"
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DAY = dt.date(2026, 1, 1)


def reelhouse(folder: Path, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(REELHOUSE), *arguments], cwd=folder, input=given, capture_output=True, text=True, timeout=900, check=False)


def said(folder: Path, *arguments: str, given: str | None = None) -> str:
    done = reelhouse(folder, *arguments, given=given)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where `reelhouse sample` (90 videos, one day) and `reelhouse daily --sample` were run."""
    folder = tmp_path_factory.mktemp("newcomer")
    said(folder, "sample", "--videos", "90", "--days", "1")
    (folder / "daily.txt").write_text(said(folder, "daily", "--sample"), encoding="utf-8")
    return folder


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


def test_similar_lists_titles_scores_and_files(folder: Path, lake: Lake):
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
    missing = reelhouse(folder, "similar", "nobody", "--root", "warehouse-sample")
    assert missing.returncode != 0
    assert "'nobody' has no vector of the served model" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_sql_answers_by_name_alone_and_line_by_line(folder: Path, lake: Lake):
    count = lake.read(tables.VIDEO_ARRIVALS).count()
    answer = said(folder, "sql", "select count(*) videos from bronze.video_arrivals", "--root", "warehouse-sample")
    assert answer.split() == ["videos", *answer.split()[1:-1], f"{count}"]
    lines = "select count(*) from silver.videos_current;\nselect nonsense from nowhere\nselect 41 + 1 answer\nexit\n"
    asked = said(folder, "sql", "--root", "warehouse-sample", given=lines)
    assert "42" in asked


def test_tables_settings_plan_runs_and_explain_tell_what_they_are_for(folder: Path):
    assert re.search(r"gold\.predictions +│ What the model says of a video", said(folder, "tables"))
    columns = said(folder, "tables", "gold.predictions")
    assert "entropy of all classes' probabilities, in nats" in columns
    assert "partitions: data_date, model_version" in columns
    unknown = reelhouse(folder, "tables", "gold.nothing")
    assert unknown.returncode != 0
    assert "there is no table 'gold.nothing'" in unknown.stderr
    assert re.search(r"training\.epochs +│ 9 +│ changed", said(folder, "settings", "--set", "training.epochs=9"))
    assert re.search(r"published_at", said(folder, "manifest"))
    root = ("--root", "warehouse-sample", "--set", f"sources.deliveries={folder / 'sample' / 'deliveries'}")
    plan = said(folder, "plan", "--date", "2026-01-01", *root)
    assert len(re.findall("up to date", plan)) == len(load_jobs())
    assert len(re.findall("never run", said(folder, "plan", "--date", "2026-01-02", *root))) == len(load_jobs())
    assert re.search(r"2026-01-01 │ +serve +│ succeeded", said(folder, "runs", "--date", "2026-01-01", *root))
    explained = said(folder, "explain", "v0001", *root)
    for name in ("bronze.video_arrivals", "silver.video_text", "gold.embeddings", "ops.promotions", "gold.training_snapshots"):
        assert name in explained, name


def test_an_unknown_setting_and_a_missing_source_are_one_sentence(tmp_path: Path):
    wrong = reelhouse(tmp_path, "daily", "--set", "training.epoch=3", "--set", "nonsense.key=1")
    assert wrong.returncode == 2
    assert "training.epoch" in wrong.stderr
    assert "nonsense" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    nothing = reelhouse(tmp_path, "daily", "--date", "2026-01-01")
    assert nothing.returncode != 0
    assert "no source is set" in nothing.stdout + nothing.stderr


def test_the_same_day_on_two_executor_processes_gives_the_same_rows(folder: Path, lake: Lake):
    root = folder / "cluster"
    said(
        folder, "daily", "--date", "2026-01-01", "--root", str(root), "--set", f"sources.deliveries={folder / 'sample' / 'deliveries'}",
        "--set", "spark.master=local-cluster[2,1,2048]",
    )  # fmt: skip
    compared = list(compare(lake, Lake(lake.spark, str(root)), DAY, DAY))
    assert [c for c in compared if not c.same] == []
    assert {"silver.frames", "silver.features", "silver.video_text", "gold.label_noise", "gold.predictions", "ops.serving"} <= {
        c.table for c in compared
    }


def test_the_five_questions_of_the_readme_have_answers(lake: Lake):
    block = re.search(r"```sql\n(.*?)```", README, re.DOTALL)
    assert block
    questions = [q.strip() for q in block[1].split(";") if q.strip()]
    assert len(questions) == 5
    answers = []
    for question in questions:
        catalog.register(lake, question)
        answers.append(lake.spark.sql(question).collect())
    queue, wrong, served, tags, refused = answers
    exported = {r.video_id for r in lake.read(tables.LABEL_EXPORTS).collect()}
    labelled = {r.video_id for r in lake.read(tables.LABELS).collect()}
    assert queue
    assert not {r.video_id for r in queue} & (exported | labelled)
    judged = {(r.video_id, r.label_id) for r in lake.read(tables.LABEL_NOISE).where("verdict = 'wrong'").collect()}
    assert {(r.video_id, r.label_id) for r in wrong} == judged
    assert sum(r.videos for r in served) == lake.read(tables.PREDICTIONS).count() > 0
    counted = {r.tag: r["count"] for r in lake.read(tables.VIDEO_TAGS).groupBy("tag").count().collect()}
    assert tags
    assert all(counted[r.tag] == r.videos for r in tags)
    assert sum(r.refused for r in refused) == lake.read(tables.QUARANTINE).count() > 0


def test_the_diagram_of_the_readme_is_the_pipeline():
    assert f"```mermaid\n{flow_chart(load_jobs())}\n```" in README
