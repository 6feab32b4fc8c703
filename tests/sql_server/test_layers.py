"""Each of the two things that keep the server read-only, alone: what the process may do, and what its clients' sessions take."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake import Lake
from tests.planting import write_rows
from tests.sql_server.attacks import QUESTIONS, SETTINGS, bytes_of, refused, writes

DAY = dt.date(2026, 1, 1)
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
spark = start_session(settings.load(values={"spark.master": "local[1]"}).spark, scratch=scratch)
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


@pytest.fixture(scope="module")
def tried(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("layers")
    root, scratch = folder / "w", folder / "scratch"
    scratch.mkdir()
    lake = Lake(spark, str(root))
    for day in (DAY, DAY + dt.timedelta(days=1)):
        texts = [{"video_id": f"v{i}", "text": "words", "language": "en", "is_meaningful": True} for i in range(3)]
        write_rows(lake, tables.VIDEO_TEXT, texts, {"data_date": day})
    what = {"settings": SETTINGS, "writes": writes(root), "refused": refused(root), "questions": QUESTIONS}
    (folder / "tried.json").write_text(json.dumps(what))
    before = bytes_of(root)
    words = [sys.executable, "-c", TRY, str(scratch), str(root), str(folder / "tried.json")]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    unguarded, guarded, asked = json.loads((scratch / "answers.json").read_text())
    return {"before": before, "after": bytes_of(root), "unguarded": unguarded, "guarded": guarded, "asked": asked, **what}


def test_a_process_without_the_right_changes_no_byte_whatever_it_is_told(tried: dict):
    assert len(tried["before"]) >= 4
    assert tried["after"] == tried["before"]
    assert [s for s in tried["writes"] if not tried["unguarded"][s]] == []


def test_a_clients_session_refuses_all_but_questions(tried: dict):
    answers = tried["guarded"]
    assert [(s, answers[s]) for s in tried["writes"] + tried["refused"] if "this server only reads" not in answers[s]] == []


def test_questions_are_answered(tried: dict):
    assert {s: e for s, e in tried["asked"].items() if e} == {}
