"""`reelhouse labels`, as typed; none of it starts Spark."""

import json

from typer.testing import CliRunner

from reelhouse import cli
from reelhouse.errors import SettingsError

ANSWERS = "video_id,label,answer,annotator_id,answered_at\nv1,pets,1,ann,2026-01-02\nv2,petz,1,ann,2026-01-02\n"


def test_answers_of_a_file_are_put_into_the_inbox(tmp_path):
    file, inbox = tmp_path / "answers.csv", tmp_path / "inbox"
    file.write_text(ANSWERS)
    done = CliRunner().invoke(cli.app, ["labels", "import", str(file), "--set", f"sources.inbox={inbox}"])
    assert done.exit_code == 0, done.output
    told = " ".join(done.output.split())
    assert "2 answers are in" in told
    assert "will be refused: line 3: 'petz' is no label of category" in told
    (path,) = (inbox / "labels").iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["video_id"], line["label"], line["answer"], line["task"]) for line in lines] == [
        ("v1", "pets", 1, "category"),
        ("v2", "petz", 1, "category"),
    ]


def test_without_an_inbox_nothing_is_imported(tmp_path):
    file = tmp_path / "answers.csv"
    file.write_text(ANSWERS)
    error = CliRunner().invoke(cli.app, ["labels", "import", str(file)]).exception
    assert isinstance(error, SettingsError)
    assert "--set sources.inbox=FOLDER" in str(error)
