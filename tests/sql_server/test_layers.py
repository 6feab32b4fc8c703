"""Each of the two things that keep the server read-only, alone: what the process may do, and what its clients' sessions take."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake import Lake
from tests.planting import write_rows
from tests.sql_server.attacks import QUESTIONS, SETTINGS, bytes_of, refused, writes

DAY = dt.date(2026, 1, 1)
SECONDS = 1500  # of a process; a tenth is usual
# What is tried in a session that takes everything, in a process that may not write; then in a session made after it takes questions only.
TRY = """
import json, os, sys
from pathlib import Path
from reelhouse import settings
from reelhouse.lake import Lake, catalog, start_session
from reelhouse.sql_server.boundary import forbid_writes
from reelhouse.sql_server.guard import take_questions_only

scratch, root, tried = Path(sys.argv[1]), sys.argv[2], json.loads(Path(sys.argv[3]).read_text())
os.environ["TMPDIR"] = str(scratch)
assert forbid_writes([scratch, Path(os.devnull)]) is None
values = {"spark.master": "local[1]", "spark.extra": {"spark.sql.scripting.enabled": "true"}}
spark = start_session(settings.load(values=values).spark, scratch=scratch)
names = "silver.videos silver.video_text_current gold.label_queue"
catalog.register(Lake(spark, root), names)

def answers(session, statements):
    found = {}
    for statement in statements:
        try:
            session.sql(statement).collect()
            found[statement] = ""
        except Exception as error:
            found[statement] = str(error)
    return found

unguarded = answers(spark, tried["settings"] + tried["writes"])
catalog.register(Lake(spark, root), names)
take_questions_only(spark)
client = spark.newSession()
guarded = answers(client, tried["settings"] + tried["writes"] + tried["refused"])
asked = answers(client, tried["questions"])
(scratch / "answers.json").write_text(json.dumps([unguarded, guarded, asked]))
spark.stop()
"""
# The same where nothing holds it back, each on a lake of its own.
CONTROL = """
import json, sys
from pathlib import Path
from reelhouse import settings
from reelhouse.lake import Lake, catalog, start_session

spark = start_session(settings.load(values={"spark.master": "local[1]"}).spark, scratch=Path(sys.argv[1]))
for root, statement in json.loads(Path(sys.argv[2]).read_text()):
    spark.sql("drop database if exists silver cascade")  # of its table the attack before may have left nothing
    catalog.register(Lake(spark, root), "silver.video_text")
    spark.sql(statement).collect()
spark.stop()
"""


def run(script: str, folder: Path, *words: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the lake `w`."""
    folder = tmp_path_factory.mktemp("layers")
    lake = Lake(spark, str(folder / "w"))
    for day in (DAY, DAY + dt.timedelta(days=1)):
        texts = [{"video_id": f"v{i}", "text": "words", "language": "en", "is_meaningful": True} for i in range(3)]
        write_rows(lake, tables.VIDEO_TEXT, texts, {"data_date": day})
    return folder


@pytest.fixture(scope="module")
def tried(folder: Path) -> dict:
    root, scratch = folder / "w", folder / "scratch"
    scratch.mkdir()
    what = {"settings": SETTINGS, "writes": writes(root), "refused": refused(root), "questions": QUESTIONS}
    (folder / "tried.json").write_text(json.dumps(what))
    before = bytes_of(root)
    run(TRY, folder, scratch, root, folder / "tried.json")
    unguarded, guarded, asked = json.loads((scratch / "answers.json").read_text())
    return {"before": before, "after": bytes_of(root), "unguarded": unguarded, "guarded": guarded, "asked": asked, **what}


def test_each_attack_changes_a_lake_that_nothing_guards(folder: Path):
    roots = [folder / "copies" / str(i) for i in range(len(writes(folder)) + 1)]
    for root in roots:
        shutil.copytree(folder / "w", root)
    statements = [*(writes(root)[i] for i, root in enumerate(roots[:-1])), QUESTIONS[0]]
    (folder / "copies.json").write_text(json.dumps(list(zip(map(str, roots), statements, strict=True))))
    run(CONTROL, folder, folder / "scratch-of-copies", folder / "copies.json")
    before = bytes_of(folder / "w")
    assert [s for root, s in zip(roots, statements, strict=True) if bytes_of(root) == before] == [QUESTIONS[0]]


def test_a_process_without_the_right_changes_no_byte_whatever_it_is_told(tried: dict):
    assert len(tried["before"]) >= 4
    assert tried["after"] == tried["before"]
    assert [s for s in tried["writes"] if not tried["unguarded"][s]] == []


def test_a_clients_session_refuses_all_but_questions(tried: dict):
    answers = tried["guarded"]
    attacks = tried["settings"] + tried["writes"] + tried["refused"]
    assert [(s, answers[s]) for s in attacks if "this server only reads" not in answers[s]] == []


def test_questions_are_answered(tried: dict):
    assert {s: e for s, e in tried["asked"].items() if e} == {}
