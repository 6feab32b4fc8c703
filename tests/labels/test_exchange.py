"""Answers of labelling tools as lines of the inbox: Label Studio's exports as it writes them, CSV, and what can't be used."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.errors import LabelError, StorageError
from reelhouse.labels import Taxonomy
from reelhouse.labels.delivered import inbox_events
from reelhouse.labels.exchange import put_down, read_answers
from reelhouse.labels.fold import fold_answers
from reelhouse.labels.lines import LABELS, parse_line
from reelhouse.sources.values import RowError

TREE = Taxonomy.from_dict(
    {
        "task": "category",
        "labels": [
            {"id": "food", "name": "美食"},
            {"id": "food.baking", "parent": "food", "name": "烘焙"},
            {"id": "pets", "name": "宠物"},
        ],
    }
)
TREES = {"category": TREE}


def choice(*labels: str, control: str = "label", kind: str = "choices") -> dict:
    return {"id": "x", "type": kind, "from_name": control, "to_name": "video", "origin": "manual", "value": {kind: list(labels)}}


def annotation(number: int, *results: dict, by: object = 3, at: str = "2026-01-02T08:30:00.123456Z", **more: object) -> dict:
    return {"id": number, "completed_by": by, "result": list(results), "was_cancelled": False, "updated_at": at, "lead_time": 4.2, **more}


def exported(folder: Path, *tasks: dict) -> Path:
    path = folder / "project-1-at-2026-01-03.json"
    path.write_text(json.dumps(list(tasks)), encoding="utf-8")
    return path


def said(lines: list[dict]) -> list[tuple]:
    return [(line["video_id"], line["label"], line["answer"], line["annotator_id"], line["from"]) for line in lines]


def test_label_studio_json(tmp_path: Path) -> None:
    ann = {"id": 7, "email": "ann@example.org"}
    path = exported(
        tmp_path,
        {"id": 11, "data": {"video_id": "v1"}, "annotations": [annotation(1, choice("pets"), by=ann), annotation(2, choice("美食"))]},
        {
            "id": 12,
            "data": {"video_id": "v2", "title": "t"},
            "annotations": [annotation(3, choice(["美食", "烘焙"], kind="taxonomy")), annotation(4, choice("pets", "food", control="not"))],  # type: ignore[arg-type]
        },
        {
            "id": 13,
            "data": {"video_id": "v3"},
            "predictions": [{"result": [choice("pets")], "score": 0.7}],
            "annotations": [annotation(5, was_cancelled=True)],
        },
    )
    found = read_answers(path, TREES, "category")
    assert said(found.lines) == [
        ("v1", "pets", 1, "ann@example.org", "task 11, annotation 1"),
        ("v1", "美食", 1, "3", "task 11, annotation 2"),
        ("v2", "美食/烘焙", 1, "3", "task 12, annotation 3"),
        ("v2", "pets", 0, "3", "task 12, annotation 4"),
        ("v2", "food", 0, "3", "task 12, annotation 4"),
        ("v3", "pets", -1, "3", "task 13, annotation 5"),
    ]
    assert found.refused == []
    taken = [parse_line(LABELS, json.dumps(line).encode(), TREES) for line in found.lines]
    assert [event["label_id"] for event in taken] == ["pets", "food", "food.baking", "pets", "food", "pets"]
    assert taken[0]["answered_at"].isoformat() == "2026-01-02T08:30:00.123456+00:00"


def test_of_several_labels_of_one_annotation_the_deepest_is_meant_and_labels_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    path = exported(
        tmp_path,
        {"id": 1, "data": {"video_id": "v1"}, "annotations": [annotation(1, choice("food.baking", "food"), choice("pets", control="not"))]},
        {"id": 2, "data": {"video_id": "v2"}, "annotations": [annotation(2, choice("烘焙"), choice("food.baking"))]},
        {"id": 3, "data": {"video_id": "v3"}, "annotations": [annotation(3, choice("food.baking", "pets"), choice("food", control="not"))]},
        {"id": 4, "data": {"video_id": "v4"}, "annotations": [annotation(4, choice("pets", "petz"))]},
    )
    found = read_answers(path, TREES, "category")
    assert [line[:3] for line in said(found.lines)] == [
        ("v1", "food.baking", 1), ("v1", "pets", 0), ("v2", "烘焙", 1), ("v3", ["food.baking", "pets"], 1), ("v3", "food", 0),
        ("v4", ["pets", "petz"], 1),
    ]  # fmt: skip
    assert found.refused == [
        ("task 3, annotation 3", "a video has one label of a tree, at any level: keep one of ['food.baking', 'pets']"),
        ("task 4, annotation 4", "a video has one label of a tree, at any level: keep one of ['pets', 'petz']"),
    ]


def imported(inbox: Path, path: Path) -> list[tuple]:
    """The file's answers once it was imported: (label, answer)."""
    found = read_answers(path, TREES, "category", inbox)
    put_down(inbox, found.lines)
    return [(line["label"], line["answer"]) for line in found.lines]


def stands(inbox: Path) -> dict[str, int]:
    """What all lines of the inbox say together of v1."""
    events = sorted((event for event, _ in inbox_events(inbox, LABELS, TREES)), key=lambda event: event["answered_at"])
    return {row.label_id: row.answer for row in fold_answers([(e["label_id"], e["annotator_id"], e["answer"]) for e in events], TREE, 0.6)}


def test_what_an_annotation_no_longer_says_is_withdrawn(tmp_path: Path) -> None:
    inbox, at = tmp_path / "inbox", "2026-01-0{}T08:00:00Z"

    def version(day: int, *results: dict, **more: object) -> Path:
        task = {"id": 1, "data": {"video_id": "v1"}, "annotations": [annotation(5, *results, at=at.format(day), **more)]}
        other = {"id": 2, "data": {"video_id": "v1"}, "annotations": [annotation(6, choice("pets"), by=4)]}
        path = exported(tmp_path, task, other)
        return path.rename(tmp_path / f"{day}.json")

    assert imported(inbox, version(2, choice("food"), choice("pets", control="not"))) == [("food", 1), ("pets", 0), ("pets", 1)]
    assert stands(inbox) == {"food": -1, "pets": -1}
    changed = [("pets", -1), ("美食", 1), ("pets", 1)]
    assert imported(inbox, version(3, choice("美食"))) == changed, "the no is there no longer; the label is, by its name"
    assert stands(inbox) == {"food": -1, "pets": -1}
    assert imported(inbox, version(4)) == [("food", -1), ("pets", 1)]
    assert stands(inbox) == {"food": 0, "pets": 1}
    files = sorted(path.name for path in (inbox / "labels").iterdir())
    assert imported(inbox, tmp_path / "3.json") == changed
    assert sorted(path.name for path in (inbox / "labels").iterdir()) == files, "the same file again adds nothing"
    assert read_answers(version(5), TREES, "category", inbox).refused[0][0] == "task 1, annotation 5", "it said nothing before either"


def test_a_cancelled_annotation_takes_back_what_it_had_chosen(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    task = {"id": 1, "data": {"video_id": "v1"}, "predictions": [{"result": [choice("pets")]}]}
    imported(inbox, exported(tmp_path, {**task, "annotations": [annotation(5, choice("food"))]}))
    assert stands(inbox) == {"food": 1}
    later = annotation(5, choice("food"), at="2026-01-03T08:00:00Z", was_cancelled=True)
    assert imported(inbox, exported(tmp_path, {**task, "annotations": [later]})) == [("food", -1), ("pets", -1)]
    assert stands(inbox) == {"food": -1, "pets": -1}
    unpredicted = {**task, "predictions": [], "annotations": [later]}
    assert read_answers(exported(tmp_path, unpredicted), TREES, "category").refused == []


def test_what_an_annotation_said_that_was_deleted_is_withdrawn(tmp_path: Path) -> None:
    inbox, person = tmp_path / "inbox", {"id": 7, "email": "ann@example.org"}

    def project(*annotations: dict, at: str | None, **more: object) -> Path:
        task = {"id": 1, "data": {"video_id": "v1"}, "annotations": list(annotations), **({"updated_at": at} if at else {}), **more}
        return exported(tmp_path, task, {"id": 11, "data": {"video_id": "v1"}, "annotations": [], "updated_at": "2026-02-01T00:00:00Z"})

    first = annotation(5, choice("food.baking"), choice("pets", control="not"), by=person, at="2026-01-02T08:30:00.5Z")
    imported(inbox, project(first, at="2026-01-02T08:30:01Z"))
    assert stands(inbox) == {"food.baking": 1, "pets": 0}
    assert imported(inbox, project(at=None)) == [], "nobody knows whether this file is older"
    assert imported(inbox, project(at="2026-01-02T08:00:00Z")) == [], "this file is older"
    assert imported(inbox, exported(tmp_path)) == [], "a task that is not there says nothing"
    assert imported(inbox, project(at="2026-01-03T08:00:00Z", id=2)) == []
    assert imported(inbox, project(at="2026-01-03T08:00:00Z", data={"video_id": "v2"})) == []
    found = read_answers(project(at="2026-01-03T08:00:00Z"), TREES, "category", inbox)
    assert found.refused == []
    assert said(found.lines) == [
        ("v1", "food.baking", -1, "ann@example.org", "task 1, annotation 5"), ("v1", "pets", -1, "ann@example.org", "task 1, annotation 5"),
    ]  # fmt: skip
    again = annotation(6, choice("food.baking"), by=person, at="2026-01-02T09:00:00Z")
    assert imported(inbox, project(again, at="2026-01-03T08:00:00Z")) == [("food.baking", -1), ("pets", -1), ("food.baking", 1)]
    assert stands(inbox) == {"food.baking": 1, "pets": 0}, "what was said instead stands, and rules pets out"
    assert imported(inbox, project(again, at="2026-01-03T08:00:00Z")) == [("food.baking", 1)]
    assert imported(inbox, project(at="2026-01-04T08:00:00Z")) == [("food.baking", -1)]
    assert stands(inbox) == {"food.baking": -1, "pets": -1}
    assert imported(inbox, project(first, at="2026-01-02T08:30:01Z")) == [("food.baking", 1), ("pets", 0)], "what was said then"
    assert stands(inbox) == {"food.baking": -1, "pets": -1}


def test_the_csv_that_label_studio_writes_of_our_project(tmp_path: Path) -> None:
    """As label_studio_sdk 2.1.2 does it (converter/exports/csv2.py): of a Taxonomy the cell is a list of regions, and a task without
    annotations has a row without an annotation_id."""
    cell = '"[{""taxonomy"":[[""food"",""food.baking""]],""original_width"":640,""original_height"":480}]"'
    noes = '"[{""taxonomy"":[[""pets""],[""food""]]}]"'
    path = tmp_path / "project.csv"
    path.write_text(
        '"annotation_id","annotator","created_at","id","label","lead_time","not","sheet","task","updated_at","video_id"\n'
        f'9,"ann@example.org","2026-01-02T08:00:00Z",1,{cell},3.1,"","/data/1.jpg","category","2026-01-02T09:00:00Z","v1"\n'
        f'10,"bob@example.org","2026-01-02T08:00:00Z",2,"",3.1,{noes},"/data/2.jpg","category","2026-01-02T09:00:00Z","v2"\n'
        '"","","",3,"","","","/data/3.jpg","category","","v3"\n'
    )
    found = read_answers(path, TREES, "category")
    assert said(found.lines) == [
        ("v1", "food/food.baking", 1, "ann@example.org", "task 1, annotation 9"),
        ("v2", "pets", 0, "bob@example.org", "task 2, annotation 10"),
        ("v2", "food", 0, "bob@example.org", "task 2, annotation 10"),
    ]
    assert found.refused == []
    assert parse_line(LABELS, json.dumps(found.lines[0]).encode(), TREES)["label_id"] == "food.baking"


def test_half_a_character_costs_its_answer_and_not_the_file(tmp_path: Path) -> None:
    task = {"id": 1, "data": {"video_id": "v1"}, "annotations": [annotation(1, choice("\ud800")), annotation(2, choice("宠物"))]}
    found = read_answers(exported(tmp_path, task), TREES, "category")
    assert found.refused == [("task 1, annotation 1", "label holds half a character (a lone surrogate) at 0: write it whole")]
    lines = put_down(tmp_path / "inbox", found.lines).read_bytes().splitlines()
    assert b'"label": "\\ud800"' in lines[0]
    assert "宠物".encode() in lines[1]
    with pytest.raises(RowError) as refused:
        parse_line(LABELS, lines[0], TREES)
    assert refused.value.rule == "bad_utf8"
    assert parse_line(LABELS, lines[1], TREES)["label_id"] == "pets"


def test_what_is_nested_too_deeply_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(LabelError, match=r"deep\.json is no JSON"):
        read_answers(tmp_path / "deep.json", TREES, "category")
    value: dict = {"choices": ["pets"]}
    for _ in range(600):
        value = {"choices": value}
    task = {"id": 1, "data": {"video_id": "v1"}, "annotations": [annotation(1, {**choice("x"), "value": value})]}
    with pytest.raises(LabelError, match="a result is nested too deeply to be a choice of labels"):
        read_answers(exported(tmp_path, task), TREES, "category")
    head, rest = "annotation_id,annotator,id,label,updated_at,video_id\n9,ann,1,", ",2026-01-02T09:00:00Z,v1\n"
    (tmp_path / "deep.csv").write_text(f"{head}{'[' * 100_000}{rest}")
    assert "is no label of category" in read_answers(tmp_path / "deep.csv", TREES, "category").refused[0][1]


def test_what_cannot_be_used_is_told_and_still_put_down(tmp_path: Path) -> None:
    path = exported(
        tmp_path,
        {"id": 1, "data": {"video_id": "v1"}, "annotations": [annotation(1, choice("petz")), annotation(2), "?"]},
        {"id": 2, "data": {"title": "no video"}, "annotations": [annotation(3, choice("pets"))]},
        {"id": 3, "data": {"video_id": "v1", "task": "mood"}, "annotations": [annotation(4, choice("pets"))]},
    )
    found = read_answers(path, TREES, "category")
    assert [where for where, _ in found.refused] == [line["from"] for line in found.lines]
    reasons = [why for _, why in found.refused]
    assert "'petz' is no label of category" in reasons[0]
    assert "label must be given" in reasons[1]
    assert "video_id must be given" in reasons[2]
    assert "there is no label tree for task 'mood'" in reasons[3]


def test_csv_of_label_studio_and_of_ones_own(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.csv"
    theirs.write_text(
        "annotation_id,annotator,created_at,id,label,lead_time,not,updated_at,video_id\n"
        '9,ann@example.org,2026-01-02T08:00:00Z,1,"{""choices"": [""food"", ""food.baking""]}",3.1,,2026-01-02T09:00:00Z,v1\n'
        '10,2,2026-01-02T08:00:00Z,2,,3.1,"[[""美食"", ""烘焙""]]",2026-01-02T09:00:00Z,v2\n'
        "11,2,2026-01-02T08:00:00Z,2,pets,3.1,,2026-01-02T09:00:00Z,v3\n",
        encoding="utf-8-sig",
    )
    found = read_answers(theirs, TREES, "category")
    assert [line[:4] for line in said(found.lines)] == [
        ("v1", "food.baking", 1, "ann@example.org"),
        ("v2", "美食/烘焙", 0, "2"),
        ("v3", "pets", 1, "2"),
    ]
    assert found.refused == []
    own = tmp_path / "own.csv"
    own.write_text(
        "video_id,label,answer,annotator_id,answered_at,task\n"
        "v1,宠物,-1,ann,2026-01-02 08:30:00,category\nv2,pets,yes,ann,2026-01-02,\nv3,pets\n",
        encoding="utf-8",
    )
    found = read_answers(own, TREES, "category")
    assert said(found.lines)[0] == ("v1", "宠物", -1, "ann", "line 2")
    assert [where for where, _ in found.refused] == ["line 3", "line 4"]
    assert "answer must be 1 (yes), 0 (no) or -1 (cannot say), got 'yes'" in found.refused[0][1]


def test_the_same_answers_are_the_same_file_and_a_later_export_adds_what_is_new_only(tmp_path: Path) -> None:
    first = {"id": 1, "data": {"video_id": "v1"}, "annotations": [annotation(1, choice("pets"))]}
    changed = {**first, "annotations": [annotation(1, choice("food"), at="2026-01-03T08:00:00Z")]}
    other = {"id": 2, "data": {"video_id": "v2"}, "annotations": [annotation(2, choice("pets"))]}
    one = read_answers(exported(tmp_path, first, other), TREES, "category").lines
    path = put_down(tmp_path / "inbox", one)
    assert put_down(tmp_path / "inbox", one) == path
    assert [file.name for file in (tmp_path / "inbox" / "labels").iterdir()] == [path.name]
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == one
    later = read_answers(exported(tmp_path, changed, other), TREES, "category").lines
    assert put_down(tmp_path / "inbox", later) != path
    ids = [[line["event_id"] for line in lines] for lines in (one, later)]
    assert ids[0][1] == ids[1][1], "the answer that is there again"
    assert ids[0][0] != ids[1][0], "the answer that was changed"


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.json", "{", "a.json is no JSON"),
        ("a.json", '[{"video_id": "v1", "label": "pets"}]', "export the project as JSON .not JSON-MIN."),
        ("a.csv", "video_id,label\n", "the columns must be video_id, label, answer, annotator_id, answered_at, or those of Label Studio's"),
        ("a.csv", "", "it has none"),
        ("a.txt", "", "a file of answers is Label Studio's .json or a .csv"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, name: str, content: str, error: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(LabelError, match=error):
        read_answers(tmp_path / name, TREES, "category")


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="can't be read"):
        read_answers(tmp_path / "none.json", TREES, "category")
    (tmp_path / "latin.csv").write_bytes("video_id,label\nv1,caf\xe9".encode("latin-1"))
    with pytest.raises(LabelError, match=r"latin.csv is not UTF-8 \(.* at byte 21\)"):
        read_answers(tmp_path / "latin.csv", TREES, "category")
    (tmp_path / "inbox").write_text("a file")
    with pytest.raises(StorageError, match=r"import-\w+\.jsonl can't be written to"):
        put_down(tmp_path / "inbox", [])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["result", "value", "choices", "taxonomy", "from_name", "completed_by", "updated_at", "email"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=4), json_values)
def test_whatever_a_project_holds_gives_lines_or_reasons(tmp_path_factory: pytest.TempPathFactory, annotations: list, data: object) -> None:
    path = exported(tmp_path_factory.getbasetemp(), {"id": 1, "data": data, "annotations": annotations})
    found = read_answers(path, TREES, "category")
    assert len(found.refused) <= len(found.lines)
    assert len(found.lines) >= sum(isinstance(one, dict) for one in annotations)
