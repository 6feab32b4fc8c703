"""The page as a browser sees it: questions, answers, files by range; and what it refuses to strangers."""

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from reelhouse.errors import LabelError
from reelhouse.labelling.desk import key_of
from reelhouse.labelling.inbox import AnswerLog, new_answer
from reelhouse.labelling.page import name_of
from reelhouse.labelling.queue import Suggestion
from reelhouse.labels.fold import fold_answers
from tests.labelling.page import Serving
from tests.labelling.planted import AT, BAKING, MOVED, PETS, TREES, jpeg, question, text_alone

BYTES = bytes(range(256)) * 40
TOKEN = "0123456789abcdef-for-tests"


@pytest.fixture
def videos(tmp_path):
    """v1 with a file whose name is odd, v2 a text alone, v3 without a suggestion."""
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "猫 & #1?.mp4").write_bytes(BYTES)
    return [question("v1", uri=str(folder / "猫 & #1?.mp4")), text_alone("v2", 2), question("v3", 3, suggestions=())]


@pytest.fixture
def page(videos, tmp_path):
    with Serving(videos, tmp_path / "inbox", [tmp_path / "videos"]) as made:
        yield made


def lines_of(tmp_path, person="ann"):
    path = AnswerLog(tmp_path / "inbox").path(person)
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_a_question_has_all_that_a_person_needs(page, videos):
    said = page.ask("/api/next", annotator="ann")
    key = key_of(videos[0])
    assert said["video"] == {
        "key": key, "video_id": "v1", "task": "category", "reason": "typical", "is_random": False,
        "chosen": "density, rank 1 of 2026-01-02",
        "title": "title of v1", "texts": [], "problem": "", "media": f"/media/{key}", "said": [],
        "suggestions": [
            {"label": "food.baking", "path": "美食/烘焙", "probability": 0.75}, {"label": "pets", "path": "宠物", "probability": 0.125},
        ],
        "frames": [
            {"url": f"/frames/{key}/0.jpg", "seconds": 0.0, "clock": "0:00.0"},
            {"url": f"/frames/{key}/1.jpg", "seconds": 67.46, "clock": "1:07.5"},
        ],
    }  # fmt: skip
    assert said["progress"] == {"answered": 0, "total": 3, "by_person": {}, "waiting": 0}
    status, headers, picture = page.get(f"/frames/{key}/1.jpg")
    assert (status, headers["content-type"], picture) == (200, "image/jpeg", jpeg((30, 30, 220)))
    for missing in (f"/frames/{key}/2.jpg", f"/frames/{key}/-1.jpg", "/frames/unknown/0.jpg", "/media/unknown"):
        assert page.get(missing)[0] == 404, missing
    tree = json.loads(page.get("/api/labels")[2])["category"]
    assert tree[:2] == [
        {"id": "food", "name": "美食", "path": "美食", "aliases": []},
        {"id": "food.baking", "name": "烘焙", "path": "美食/烘焙", "aliases": []},
    ]  # fmt: skip
    assert [one["id"] for one in tree] == TREES["category"].ids


def test_an_answer_is_a_line_of_the_inbox_and_nothing_else_is_written(page, videos, tmp_path):
    first = page.ask("/api/next", annotator=" ann ")["video"]["key"]
    said = page.ask("/api/answer", annotator="ann", key=first, label="pets", answer=0)
    assert said["video"]["said"] == [{"label": "pets", "answer": 0}]
    page.ask("/api/answer", annotator="ann", key=first, label="food.baking", answer=1)
    assert page.ask("/api/next", annotator="ann")["video"]["video_id"] == "v2"
    found = lines_of(tmp_path)
    assert [(f["video_id"], f["task"], f["label"], f["answer"], f["annotator_id"], f["answered_at"]) for f in found] == [
        ("v1", "category", "pets", 0, "ann", AT.isoformat()), ("v1", "category", "food.baking", 1, "ann", AT.isoformat()),
    ]  # fmt: skip
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "videos"]
    assert written == [AnswerLog(tmp_path / "inbox").path("ann")]


def test_an_answer_by_a_former_label_is_shown_as_what_it_became_and_can_be_taken_back(videos, tmp_path):
    AnswerLog(tmp_path / "inbox").append(new_answer("v1", "category", "food.pasta", 1, "ann", AT - dt.timedelta(days=2)))
    with Serving(videos, tmp_path / "inbox", trees={"category": MOVED}) as page:
        assert page.ask("/api/show", annotator="ann", key=key_of(videos[0]))["video"]["said"] == [{"label": "food.noodles", "answer": 1}]
        assert page.ask("/api/undo", annotator="ann")["video"]["said"] == []
    assert [(line["label"], line["answer"]) for line in lines_of(tmp_path)] == [("food.pasta", 1), ("food.pasta", -1)]


def test_suggestions_follow_what_became_of_their_labels_and_all_of_them_can_be_answered(tmp_path):
    said = {"drones": 0.5, "pets": 0.2, "food.pasta": 0.15, "hamsters": 0.1}
    stale = question("v1", suggestions=tuple(Suggestion(label, "as it was", p) for label, p in said.items()))
    suspect = question("v2", 2, suggestions=(BAKING, PETS), proposed=Suggestion("food.pasta", "as it was", 0.5))
    with Serving([stale, suspect], tmp_path / "inbox", trees={"category": MOVED}) as page:
        found = page.ask("/api/next", annotator="ann")["video"]
        assert [(one["label"], one["path"], round(one["probability"], 9)) for one in found["suggestions"]] == [
            ("pets", "宠物", 0.3), ("food.noodles", "美食/面条", 0.15),
        ]  # fmt: skip
        known = {one["id"] for one in json.loads(page.get("/api/labels")[2])["category"]}
        assert {one["label"] for one in found["suggestions"]} <= known
        for one in found["suggestions"]:
            page.ask("/api/answer", annotator="ann", key=found["key"], label=one["label"], answer=-1)
        found = page.ask("/api/next", annotator="ann")["video"]
        assert [one["label"] for one in found["suggestions"]] == ["food.noodles", "food.baking", "pets"], (
            "what the suspect looks like first"
        )


def test_a_file_is_sent_whole_or_in_the_part_that_is_asked_for(page, videos):
    place = f"/media/{key_of(videos[0])}"
    status, headers, content = page.get(place)
    assert (status, headers["content-type"], headers["accept-ranges"], content) == (200, "video/mp4", "bytes", BYTES)
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=100-299", 100, 299),
        ("bytes=10000-", 10000, 10239),
        ("bytes=-5", 10235, 10239),
    ):
        status, headers, content = page.get(place, Range=asked)
        assert (status, headers["content-range"]) == (206, f"bytes {first}-{last}/10240"), asked
        assert content == BYTES[first : last + 1]
        assert int(headers["content-length"]) == len(content)
    assert page.get(place, Range="bytes=10240-")[0] == 416
    status, headers, content = page.get(place, method="HEAD")
    assert (status, headers["content-length"], content) == (200, "10240", b"")


def test_only_files_below_the_sources_are_sent_whatever_the_lake_names(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "in-not"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "v.mp4").write_bytes(b"x")
    (inside / "link.mp4").symlink_to(outside / "v.mp4")
    uris = {
        "good": f"{inside}/v.mp4", "beside": f"{outside}/v.mp4", "climbs": f"{inside}/../in-not/v.mp4", "link": f"{inside}/link.mp4",
        "passwd": "/etc/passwd", "address": "http://127.0.0.1/v.mp4", "folder": str(inside), "nul": f"{inside}/a\0b",
        "gone": f"{inside}/gone.mp4",
    }  # fmt: skip
    queue = [question(name, uri=uri) for name, uri in uris.items()]
    with Serving(queue, tmp_path / "inbox", [inside]) as page:
        found = {name: page.get(f"/media/{key_of(video)}") for name, video in zip(uris, queue, strict=True)}
        assert {name: status for name, (status, *_) in found.items()} == dict.fromkeys(uris, 404) | {"good": 200}
        shown = {name: page.ask("/api/show", annotator="a", key=key_of(v))["video"] for name, v in zip(uris, queue, strict=True)}
        assert {name: one["media"] is not None for name, one in shown.items()} == dict.fromkeys(uris, False) | {"good": True}
        assert shown["passwd"]["problem"] == (
            "/etc/passwd can't be played: it lies below no folder of the settings' sources. Start the page with "
            "--set sources.videos=FOLDER, the folder that `daily --videos` was given; further ones go to sources.roots"
        )
        assert shown["gone"]["problem"] == f"{inside}/gone.mp4 is not there any more, or can't be read"
        for path in (
            "/media/../../etc/passwd",
            "/media/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "/media//etc/passwd",
            "/etc/passwd",
            "/docs",
            "/openapi.json",
        ):
            assert page.get(path)[0] == 404, path
        (inside / "v.mp4").unlink()
        (inside / "v.mp4").symlink_to("/etc/passwd")
        assert page.get(f"/media/{key_of(queue[0])}")[0] == 404, "looked at anew each time"


def test_two_people_never_have_the_same_video_and_each_sees_the_others_progress(page):
    a, b = (page.ask("/api/next", annotator=name)["video"] for name in ("a", "b"))
    assert (a["video_id"], b["video_id"]) == ("v1", "v2")
    page.ask("/api/answer", annotator="a", key=a["key"], label="pets", answer=1)
    assert page.ask("/api/next", annotator="a")["video"]["video_id"] == "v3"
    page.ask("/api/answer", annotator="b", key=b["key"], label="pets", answer=-1)
    said = page.ask("/api/next", annotator="b")
    assert (said["video"], said["progress"]["waiting"], said["progress"]["by_person"]) == (None, 1, {"a": 1, "b": 1})
    page.clock[0] += 301
    assert page.ask("/api/next", annotator="b")["video"]["video_id"] == "v3", "a has left it lying"


def test_skipping_going_back_and_taking_back(page, tmp_path):
    one = page.ask("/api/next", annotator="ann")["video"]["key"]
    two = page.ask("/api/next", annotator="ann", skip=one)["video"]["key"]
    assert one != two
    assert page.ask("/api/show", annotator="ann", key=one)["video"]["key"] == one
    assert page.ask("/api/undo", annotator="ann")["video"] is None
    page.ask("/api/answer", annotator="ann", key=one, label="pets", answer=1)
    page.ask("/api/answer", annotator="ann", key=two, label="sport", answer=1)
    undone = page.ask("/api/undo", annotator="ann")
    assert (undone["video"]["key"], undone["video"]["said"], undone["progress"]["answered"]) == (two, [], 1)
    found = lines_of(tmp_path)
    assert found[2] | {"event_id": ""} == {
        "event_id": "", "video_id": "v2", "task": "category", "label": "sport", "answer": -1, "annotator_id": "ann",
        "answered_at": AT.isoformat(), "takes_back": found[1]["event_id"],
    }  # fmt: skip
    folded = fold_answers([(f["label"], f["annotator_id"], f["answer"]) for f in found[1:]], TREES["category"], 0.6)
    assert [(row.label_id, row.answer) for row in folded] == [("sport", -1)], "for silver.labels nothing was said"


def test_a_restart_counts_what_the_inbox_holds_by_whatever_tool(videos, tmp_path):
    seconds = count()
    with Serving(videos, tmp_path / "inbox", now=lambda: AT.replace(second=next(seconds))) as page:
        for video, label in ((videos[0], "pets"), (videos[1], "pets"), (videos[1], "sport")):
            page.ask("/api/answer", annotator="ann", key=key_of(video), label=label, answer=1)
        page.ask("/api/undo", annotator="ann")
        page.ask("/api/undo", annotator="ann")
    other = {"video_id": "v3", "label": "宠物", "answer": 1, "annotator_id": "tool", "answered_at": "2026-01-02"}
    (tmp_path / "inbox" / "labels" / "tool.jsonl").write_text(json.dumps(other) + "\n")
    with Serving(videos, tmp_path / "inbox") as page:
        said = page.ask("/api/next", annotator="ann")
        assert said["video"]["video_id"] == "v2", "both answers about it were taken back"
        assert said["progress"] == {"answered": 2, "total": 3, "by_person": {"ann": 1, "tool": 1}, "waiting": 0}
        assert page.ask("/api/undo", annotator="ann")["video"]["video_id"] == "v1"


def test_eight_people_at_once_answer_everything_once(tmp_path):
    queue = [text_alone(f"v{n}", n) for n in range(60)]
    with Serving(queue, tmp_path / "inbox") as page:

        def work(person):
            given = []
            while video := page.ask("/api/next", annotator=person)["video"]:
                page.ask("/api/answer", annotator=person, key=video["key"], label="pets", answer=1)
                given.append(video["video_id"])
            return given

        with ThreadPoolExecutor(8) as pool:
            given = list(pool.map(work, [f"p{n}" for n in range(8)]))
    assert sorted(video for of_one in given for video in of_one) == sorted(video.video_id for video in queue)
    for n, of_one in enumerate(given):
        assert [line["video_id"] for line in lines_of(tmp_path, f"p{n}")] == of_one


@pytest.mark.parametrize(
    ("body", "status", "error", "words"),
    [
        ({"annotator": "ann", "label": "pets", "answer": 2}, 422, "LabelError", "'pets' with answer 2 is no answer"),
        ({"annotator": "ann", "label": "petz", "answer": 1}, 422, "LabelError", "'petz' with answer 1 is no answer"),
        ({"annotator": "ann", "label": "宠物", "answer": 1}, 422, "LabelError", "load the page again"),
        ({"annotator": "  ", "label": "pets", "answer": 1}, 422, "LabelError", "give your name"),
        ({"annotator": "manifest", "label": "pets", "answer": 1}, 422, "LabelError", "give a name of your own"),
        ({"annotator": "a\nb", "label": "pets", "answer": 1}, 422, "LabelError", "this name can't be used: annotator_id must be one line"),
        ({"annotator": "ann", "label": "pets"}, 422, "BadRequest", "body.answer: Field required"),
        ({"annotator": "ann", "label": "pets", "answer": "1"}, 422, "BadRequest", "body.answer"),
        ({"annotator": "ann", "label": "pets", "answer": True}, 422, "BadRequest", "body.answer"),
        ({"annotator": "ann", "label": "pets", "answer": 1, "path": "/etc"}, 422, "BadRequest", "body.path"),
        ({"annotator": "ann", "label": "pets", "answer": 1, "key": "other"}, 404, "NotFoundError", "not in the queue"),
        (b"{", 422, "BadRequest", "the request is not one of this page's"),
    ],
)
def test_what_is_no_answer_is_a_named_error_and_no_line(page, videos, tmp_path, body, status, error, words):
    found, said = page.post("/api/answer", body if isinstance(body, bytes) else {"key": key_of(videos[0])} | body)
    assert (found, said["error"]) == (status, error)
    assert words in said["message"]
    assert not (tmp_path / "inbox").exists()


def test_an_answer_that_can_not_be_written_is_said_and_not_counted(page, videos, tmp_path):
    (tmp_path / "inbox").write_text("no folder")
    status, said = page.post("/api/answer", {"annotator": "ann", "key": key_of(videos[0]), "label": "pets", "answer": 1})
    assert (status, said["error"]) == (500, "StorageError")
    assert "the answer can't be written to" in said["message"]
    assert page.ask("/api/next", annotator="ann")["progress"]["answered"] == 0


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ({"Origin": None}, 403, "OtherOrigin"),
        ({"Origin": "http://evil.example"}, 403, "OtherOrigin"),
        ({"Origin": "null"}, 403, "OtherOrigin"),
        ({"Origin": "http://127.0.0.1"}, 403, "OtherOrigin"),
        ({"Content-Type": "text/plain"}, 415, "NotJson"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "NotJson"),
        ({"Host": "evil.example"}, 421, "WrongHost"),
        ({"Host": "[", "Origin": "http://["}, 421, "WrongHost"),
    ],
)
def test_changes_are_taken_from_the_page_itself_alone(page, videos, tmp_path, headers, status, error):
    body = {"annotator": "ann", "key": key_of(videos[0]), "label": "pets", "answer": 1}
    for path in ("/api/answer", "/api/next", "/api/undo", "/api/enter"):
        found, said = page.post(path, body, **headers)
        assert (found, said["error"]) == (status, error), path
    assert not (tmp_path / "inbox").exists()


def test_other_names_of_this_machine_are_refused_and_too_much_is_not_read(page):
    assert page.get("/", Host="evil.example:80")[0] == 421
    assert page.get("/", Host=f"localhost:{page.port}")[0] == 200
    status, said = page.post("/api/next", b" " * 70_000)
    assert (status, said["error"]) == (413, "TooLarge")


def test_the_page_loads_nothing_from_elsewhere_and_may_not(page):
    status, headers, content = page.get("/")
    text = content.decode()
    assert status == 200
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    nonce = policy["script-src"]
    assert policy == {
        "default-src": "'none'", "img-src": "'self' data:", "media-src": "'self'", "connect-src": "'self'", "script-src": nonce,
        "style-src": nonce, "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'self'",
    }  # fmt: skip
    assert nonce != page.get("/")[1]["content-security-policy"].partition("script-src ")[2].partition(";")[0], "a new one each time"
    assert text.count("<script") == text.count("<style") == 1
    assert "://" not in text
    assert "innerHTML" not in text
    assert headers["x-content-type-options"] == "nosniff"


def test_with_a_token_nothing_is_shown_to_who_does_not_know_it(videos, tmp_path):
    with Serving(videos, tmp_path / "inbox", [tmp_path / "videos"], token=TOKEN) as page:
        key = key_of(videos[0])
        for path in ("/api/labels", f"/media/{key}", f"/frames/{key}/0.jpg"):
            for cookie in ("", "reelhouse_labels=", f"reelhouse_labels={TOKEN}", "reelhouse_labels=ü", "broken;=\x7f"):
                assert page.get(path, Cookie=cookie.encode().decode("latin-1"))[0] == 401, (path, cookie)
        assert page.post("/api/next", {"annotator": "ann"})[0] == 401
        assert TOKEN not in page.get("/")[2].decode()
        assert page.post("/api/enter", {"token": TOKEN[:-1]})[0] == 401
        assert page.cookie == ""
        status, _ = page.post("/api/enter", {"token": f" {TOKEN}\n"})
        assert status == 200
        assert TOKEN not in page.cookie
        assert page.get(f"/media/{key}")[0] == 200
        assert page.ask("/api/next", annotator="ann")["video"]["suggestions"][0]["label"] == BAKING.label_id
        assert page.get("/api/labels", Host="labels.example")[0] == 200, "it may have any name: who comes knows the token"


def test_what_other_servers_of_this_host_left_in_the_browser_keeps_nobody_out(videos, tmp_path):
    with Serving(videos, tmp_path / "inbox", token=TOKEN) as page:
        page.post("/api/enter", {"token": TOKEN})
        known, page.cookie = page.cookie, ""
        for others in ('x={"a": 1}; KNOWN', "a=b c; KNOWN", "flag; KNOWN", "KNOWN; y=é;;=", "reelhouse_labels_2=no; KNOWN"):
            cookie = others.replace("KNOWN", known).encode().decode("latin-1")
            assert page.get("/api/labels", Cookie=cookie)[0] == 200, others
            assert page.get("/api/labels", Cookie=cookie.replace(known, f"{known}x"))[0] == 401, others


def test_names_are_those_that_lines_may_hold():
    assert name_of(" 王芳 ") == "王芳"
    with pytest.raises(LabelError, match="at most 256 bytes"):
        name_of("a" * 257)
