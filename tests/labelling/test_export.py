"""Exports of the queue: what a tool gets, that it comes back as answers, and that nothing counts as handed out before all is there."""

import csv
import datetime as dt
import io
import json
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from reelhouse.errors import LabelError, StorageError
from reelhouse.labelling.export import export_queue
from reelhouse.labelling.guidelines import guidelines
from reelhouse.labelling.inbox import hand_outs
from reelhouse.labelling.queue import Suggestion
from reelhouse.labelling.sheets import clock, contact_sheet
from reelhouse.labels import Taxonomy
from reelhouse.labels.exchange import read_answers
from reelhouse.labels.lines import EXPORTS, LABELS, parse_line
from tests.jobs.small_lake import DAY
from tests.labelling.planted import AT, BLUE, MOVED, RED, TREES, jpeg, question, text_alone

ODD = 'v/../"odd" <&> #1 猫.mp4'


def exported(videos, folder, form="label-studio", at=AT, trees=TREES):
    return export_queue(videos, trees, DAY, form, folder / "out & in", folder / "inbox", at)


def content_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_task_holds_all_that_the_configuration_shows_and_the_first_suggestion(tmp_path):
    videos = [question("v1", texts=(("caption", "a"), ("speech", "b")), uri="/videos/v1.mp4"), text_alone("v2", title="")]
    done = exported(videos, tmp_path)
    assert [path.name for path in done.tasks] == ["tasks-category.json"]
    one, two = json.loads(done.tasks[0].read_text(encoding="utf-8"))
    assert one["data"] | {"sheet": ""} == {
        "video_id": "v1", "task": "category", "sheet": "", "title": "title of v1", "words": "caption: a\nspeech: b",
        "about": "Chosen because: typical\nThe model suggests: 美食/烘焙 75%, 宠物 12%", "file": "/videos/v1.mp4",
    }  # fmt: skip
    (prediction,) = one["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("reelhouse", 0.75)
    (result,) = prediction["result"]
    assert result | {"id": ""} == {
        "id": "", "type": "taxonomy", "from_name": "label", "to_name": "sheet", "value": {"taxonomy": [["food", "food.baking"]]},
    }  # fmt: skip
    assert "predictions" not in two
    assert (two["data"]["title"], two["data"]["words"], two["data"]["file"]) == ("v2", "caption: words alone", "")
    config = ElementTree.parse(tmp_path / "out & in" / "label_config-category.xml").getroot()
    shown = {element.get("value", "").removeprefix("$") for element in config.iter() if element.get("value", "").startswith("$")}
    for task in (one, two):
        assert shown <= task["data"].keys()
        assert all(task["data"][name] for name in shown), "Label Studio wants a value of each"
        place = unquote(task["data"]["sheet"].removeprefix("/data/local-files/?d="))
        assert (tmp_path / place).is_file(), "the path is below the folder in which the export's folder lies"


def test_the_configuration_holds_the_tree_by_name_with_ids_as_results_under_the_names_that_come_back(tmp_path):
    exported([question("v1")], tmp_path)
    config = ElementTree.parse(tmp_path / "out & in" / "label_config-category.xml").getroot()
    controls = {control.get("name"): control for control in config.iter("Taxonomy")}
    assert list(controls) == ["label", "not"]
    assert (controls["label"].get("maxUsages"), controls["not"].get("maxUsages")) == ("1", None)
    for control in controls.values():
        assert control.get("toName") == config.find(".//Image").get("name")
        assert [(c.get("value"), c.get("alias")) for c in control] == [("美食", "food"), ("宠物", "pets"), ("运动", "sport")]
        assert [(c.get("value"), c.get("alias")) for c in control[0]] == [("烘焙", "food.baking"), ("面条", "food.noodles")]


def annotated(task, number, *, label=None, no=(), cancelled=False):
    """The task as Label Studio's JSON export gives it back (labelstud.io/guide/task_format)."""
    chosen = [("label", [label])] if label else []
    chosen += [("not", [*no])] if no else []
    results = [
        {
            "id": f"r{number}{name}",
            "type": "taxonomy",
            "from_name": name,
            "to_name": "sheet",
            "origin": "manual",
            "value": {"taxonomy": paths},
        }
        for name, paths in chosen
    ]
    annotation = {
        "id": 100 + number, "completed_by": {"id": 7, "email": "ann@example.com"}, "result": results, "was_cancelled": cancelled,
        "ground_truth": False, "created_at": "2026-01-03T09:00:00.000001Z", "updated_at": "2026-01-03T09:05:00.000001Z", "lead_time": 4.2,
    }  # fmt: skip
    return {"id": number, "annotations": [annotation], "predictions": task.get("predictions", []), "data": task["data"]}


def test_what_goes_out_to_label_studio_comes_back_as_answers_that_the_tree_knows(tmp_path):
    videos = [question("v1"), question(ODD, title="a\t\x01\n]]> & <b>"), question("v3"), text_alone("v4")]
    done = exported(videos, tmp_path)
    tasks = json.loads(done.tasks[0].read_text(encoding="utf-8"))
    answers = [
        annotated(tasks[0], 1, label=["food", "food.noodles"]),
        annotated(tasks[1], 2, no=[["food"], ["pets"]]),
        annotated(tasks[2], 3, cancelled=True),
        annotated(tasks[3], 4, label=["pets"], no=[["food", "food.baking"]]),
    ]
    back = tmp_path / "project.json"
    back.write_text(json.dumps(answers, ensure_ascii=False), encoding="utf-8")
    found = read_answers(back, TREES, "category")
    assert found.refused == []
    events = [parse_line(LABELS, json.dumps(line).encode(), TREES) for line in found.lines]
    assert [(e["video_id"], e["label_id"], e["answer"], e["annotator_id"]) for e in events] == [
        ("v1", "food.noodles", 1, "ann@example.com"),
        (ODD, "food", 0, "ann@example.com"),
        (ODD, "pets", 0, "ann@example.com"),
        ("v3", "food.baking", -1, "ann@example.com"),
        ("v4", "pets", 1, "ann@example.com"),
        ("v4", "food.baking", 0, "ann@example.com"),
    ]


def test_a_spreadsheet_gets_a_row_a_video_and_comes_back_with_what_was_filled_in(tmp_path):
    formula = question("v2", title='=HYPERLINK("http://evil.example")', suggestions=())
    done = exported([question("v1"), formula, text_alone("v3")], tmp_path, "csv")
    (path,) = done.tasks
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    assert [(r["video_id"], r["label"], r["answer"], r["title"]) for r in rows] == [
        ("v1", "food.baking", "", "title of v1"), ("v2", "", "", '\'=HYPERLINK("http://evil.example")'), ("v3", "", "", "title of v3"),
    ]  # fmt: skip
    assert all((path.parent / r["sheet"]).is_file() for r in rows)
    rows[0] |= {"answer": "0", "annotator_id": "ann", "answered_at": "2026-01-03"}
    rows[2] |= {"label": "美食/面条", "answer": "1", "annotator_id": "ann", "answered_at": "2026-01-03"}
    filled = tmp_path / "filled.csv"
    with filled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = read_answers(filled, TREES, "category")
    assert found.refused == [], "v2, which nobody answered, is no refusal"
    assert [(line["video_id"], line["label"], line["answer"]) for line in found.lines] == [("v1", "food.baking", 0), ("v3", "美食/面条", 1)]


def test_no_cell_of_a_spreadsheet_is_computed_and_ids_come_back_as_they_were(tmp_path):
    ids = ["=1+1", "-abc", "'=1", "''@x", "+", "'quoted'", "a=b"]
    done = exported([question(one, uri=f"{'=cmd|' if one == ids[0] else ''}/v.mp4") for one in ids], tmp_path, "csv")
    rows = list(csv.DictReader(io.StringIO(done.tasks[0].read_text(encoding="utf-8-sig"), newline="")))
    assert [row["video_id"] for row in rows] == ["'=1+1", "'-abc", "''=1", "'''@x", "'+", "'quoted'", "a=b"]
    assert [row["file"] for row in rows[:2]] == ["'=cmd|/v.mp4", "/v.mp4"]
    assert [cell for row in rows for cell in row.values() if cell[:1] in "=+-@\t\r" and cell] == []
    filled = tmp_path / "filled.csv"
    with filled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"answer": "1", "annotator_id": "ann", "answered_at": "2026-01-03"} for row in rows)
    assert [line["video_id"] for line in read_answers(filled, TREES, "category").lines] == ids


def test_hand_outs_are_lines_that_import_labels_takes(tmp_path):
    done = exported([question("v1"), question("猫 #1")], tmp_path)
    assert done.handed_out.parent == tmp_path / "inbox" / "exports"
    events = [parse_line(EXPORTS, line, TREES) for line in done.handed_out.read_bytes().splitlines()]
    assert [(e["video_id"], e["task"], e["exported_at"]) for e in events] == [("v1", "category", AT), ("猫 #1", "category", AT)]
    assert len({e["event_id"] for e in events}) == 2
    assert [(v, t) for _, v, t in hand_outs(tmp_path / "inbox", TREES)] == [("v1", "category"), ("猫 #1", "category")]
    assert hand_outs(tmp_path / "inbox", TREES, but="export-2026-01-02-") == []


@pytest.mark.parametrize("form", ["label-studio", "csv"])
def test_the_same_export_is_the_same_bytes_and_keeps_the_time_of_the_first(tmp_path, form):
    videos = [question("v1"), text_alone("v2"), question(ODD)]
    assert not exported(videos, tmp_path, form).was_there
    before = content_of(tmp_path)
    assert exported(videos, tmp_path, form, AT + dt.timedelta(hours=2)).was_there
    assert content_of(tmp_path) == before
    assert not any(name.rpartition("/")[2].startswith(".") for name in before), "nothing half-written stays"


def test_an_export_that_is_cut_off_has_handed_out_nothing(tmp_path):
    (tmp_path / "out & in").mkdir()
    (tmp_path / "out & in" / "tasks-category.json").mkdir()  # so that it can't be written
    with pytest.raises(StorageError, match=r"tasks-category\.json can't be written to"):
        exported([question("v1")], tmp_path)
    assert not (tmp_path / "inbox").exists()


def test_an_empty_queue_is_said_and_nothing_is_written(tmp_path):
    with pytest.raises(LabelError, match="nobody needs to label anything of 2026-01-02: the queue is empty"):
        exported([], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_suggestion_that_the_tree_lost_is_left_out(tmp_path):
    done = exported([question("v1", suggestions=(Suggestion("gone", "没有了", 0.9), Suggestion("pets", "宠物", 0.1)))], tmp_path)
    (task,) = json.loads(done.tasks[0].read_text(encoding="utf-8"))
    assert task["predictions"][0]["result"][0]["value"] == {"taxonomy": [["pets"]]}
    assert "没有了" not in task["data"]["about"]


@pytest.mark.parametrize("form", ["label-studio", "csv"])
def test_what_is_filled_in_follows_what_became_of_its_label(tmp_path, form):
    asked = question("v1", suggestions=(Suggestion("drones", "无人机", 0.9), Suggestion("food.pasta", "美食/面食", 0.1)))
    content = exported([asked], tmp_path, form, trees={"category": MOVED}).tasks[0].read_text(encoding="utf-8-sig")
    if form == "csv":
        (row,) = csv.DictReader(io.StringIO(content))
        assert (row["label"], row["suggestions"]) == ("food.noodles", "美食/面条 10%")
    else:
        (prediction,) = json.loads(content)[0]["predictions"]
        assert (prediction["result"][0]["value"], prediction["score"]) == ({"taxonomy": [["food", "food.noodles"]]}, 0.1)


def test_a_sheet_shows_the_frames_side_by_side_with_their_times_below():
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(question("v1").frames))).convert("RGB")).astype(int)
    assert sheet.shape == (224 + 26, 2 * 224 + 4, 3)
    assert np.abs(sheet[100, 100] - RED).max() < 12
    assert np.abs(sheet[100, 330] - BLUE).max() < 12
    below = sheet[226:]
    assert (below[:, :224] < 128).any()
    assert (below[:, 228:] < 128).any(), "a time below each"
    assert (clock(0.0), clock(67.46), clock(3599.96), clock(59.96)) == ("0:00.0", "1:07.5", "60:00.0", "1:00.0")


def test_frames_of_other_shapes_fit_into_a_sheet_and_none_make_one_that_says_so():
    tall = question("v1").frames[0].__class__(1.0, jpeg(RED, (100, 500)))
    assert Image.open(io.BytesIO(contact_sheet([tall, question("v1").frames[1]]))).size == (2 * 224 + 4, 250)
    nothing = np.asarray(Image.open(io.BytesIO(contact_sheet(()))).convert("L"))
    assert nothing.shape == (112, 448)
    assert (nothing < 160).any()


def test_guidelines_hold_every_label_below_its_parent_with_its_other_words_and_obey_none_of_them():
    tree = Taxonomy.from_dict(
        {
            "task": "kind_of",
            "labels": [
                {"id": "b", "parent": "a", "name": "<b>bold</b>", "aliases": ["one", "*two*"]},
                {"id": "a", "name": "A # 1"},
                {"id": "c", "name": "C"},
            ],
        }
    )
    text = guidelines(tree)
    assert text.splitlines()[0] == "# Guidelines: kind\\_of"
    assert text.splitlines()[-3:] == [
        "- **A \\# 1** `a`",
        "  - **\\<b\\>bold\\</b\\>** `b` (also: one, \\*two\\*)",
        "- **C** `c`",
    ]
    for word in ("**Yes**", "**Not this label**", "**Can't say**"):
        assert word in text
