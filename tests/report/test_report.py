"""The report of a day, made from a small planted lake: what it says, that it needs nothing else, and that it trusts no title."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape
from PIL import Image

from reelhouse import tables
from reelhouse.errors import NotFoundError, SettingsError
from reelhouse.labels import Taxonomy
from reelhouse.lake import Lake, Ledger, RunRecord
from reelhouse.report import forget_videos, write_report
from reelhouse.report.content import anchor_of
from tests.jobs.small_lake import DAY, NEXT, TREE, SmallLake
from tests.typed import typing_in

JOBS = ["ingest", "extract", "sample_by_density", "detect_label_noise", "evaluate", "predict", "load_vectors"]
EVIL = """<script>alert('x')</script>"><img src=x onerror=alert(1)> & 'quoted' "twice" {{ 7 * 7 }}"""
LONG = "超长标题没有空格" * 30
ARABIC = "مرحبا بالعالم"
TITLES = {"v1": EVIL, "v2": LONG, "v3": ARABIC, "v4": None, "v5": "taken down"}
AFTER = NEXT + dt.timedelta(days=1)


class Page(HTMLParser):
    """Elements in order with their attributes, the text, and whether every element is closed where it should be."""

    VOID = ("meta", "img", "br", "link", "input", "rect", "circle", "line")

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    """DAY has something of everything; on NEXT only ingest ran, and failed. v4 has no picture, v5 is taken down."""
    made = SmallLake(spark, tmp_path_factory.mktemp("report") / "w")
    ids = list(TITLES)
    made.write(tables.VIDEO_ARRIVALS, [{"video_id": v, "title": t, "caption": f"caption of {v}"} for v, t in TITLES.items()], batch="b")
    probe = {"status": "ok", "has_audio": False, "width": 320, "height": 240, "duration_seconds": 7.25}
    made.write(tables.VIDEOS, [{"video_id": v, **probe} for v in ids])
    made.write(tables.FRAMES, [frame(v, n) for v in ids if v != "v4" for n in (1, 0)])
    made.arrive(ids)
    queued = {"task": "category", "reason": "typical", "is_random": False}
    queued = [{"video_id": v, "rank": n, **queued} for n, v in enumerate(("v1", "v4"), 1)]
    made.write(tables.SAMPLE_BATCH, queued)
    made.write(tables.CLUSTERS, [{"video_id": v, "cluster_id": "v5", "is_noise": False} for v in ids[:3]] + [lonely("v4")])
    made.write(
        tables.CLUSTER_DAYS,
        [changed("<b>cat</b>, milk", 12, 3, "grown", "v5"), changed("soup", 7, 0, "split"), changed("gone", 0, 1234, "dying")],
    )
    wrong = {"task": "category", "label_id": "pets", "verdict": "wrong", "suggested_label_id": "food.baking", "reason": "because"}
    sure = {"suggestion_confidence": 0.8}
    made.write(tables.LABEL_NOISE, [{"video_id": v, "score": s, **wrong, **sure} for v, s in (("v2", 1.0), ("v1", 2.5), ("v5", 9.0))])
    rows = [dict(zip(tables.TAXONOMY.undated, row, strict=True)) for row in Taxonomy.from_dict(TREE).rows()]
    made.write(tables.TAXONOMY, rows)
    said = {"v1": ("宠物", 0.9, 0.1), "v2": ("宠物", 0.6, 0.7), "v3": ("运动", 0.5, 1.2), "v5": ("运动", 0.4, 2.0)}
    predictions = [
        {"video_id": v, "task": "category", "entropy": e, "top": [("x", path, p), ("y", "美食", 0.05)]} for v, (path, p, e) in said.items()
    ]
    made.write(tables.PREDICTIONS, predictions, model_version="m2")
    made.write(tables.EVALUATIONS, [measured(m, s, v) for m, s, v in (("m1", "all", 0.5), ("m2", "all", 0.75), ("m2", "head", 1.0))])
    made.write(tables.PROMOTIONS, [decision("m1", "first")], DAY - dt.timedelta(days=1), decided_by="gates")
    made.write(tables.PROMOTIONS, [decision("m2", "accuracy held")], decided_by="gates")
    made.write(tables.SERVING, [{"model_version": "m2", "embedding_collection": "e", "hash_collection": "h", "videos": 4}])
    made.write(tables.VECTOR_LOADS, [{"collection": "video_embedding__m2", "model_version": "m2", "kind": "k", **LOADED}])
    state = {"state": "active", "score": 1.0, "source": "hashtag", "first_seen": DAY, "changed": DAY}
    made.write(tables.TAG_LIBRARY, [{"tag_id": "t1", "tag": "<b>猫</b>", **state}])
    tagged = {"tag_id": "t1", "tag": "<b>猫</b>", "position": 0, "matches": 1}
    made.write(tables.VIDEO_TAGS, [{"video_id": v, **tagged} for v in ("v1", "v2", "v5")])
    made.write(tables.QUARANTINE, [refused(k) for k in ("r1", "r2")], job="extract")
    made.write(tables.DELETIONS, [{"video_id": "v5"}], NEXT)
    for n, job in enumerate(JOBS):
        ran(made, job, DAY, n, "succeeded")
    ran(made, "ingest", NEXT, 20, "failed", note="StorageError: the <disk> is full")
    ran(made, "ingest", AFTER, 30, "succeeded")
    return made


LOADED = {"loaded": 4, "deleted": 1, "total": 4}


def frame(video, number):
    file = io.BytesIO()
    Image.new("RGB", (224, 224), (number * 200, 80, 80)).save(file, "JPEG")
    return {"video_id": video, "frame_index": number, "timestamp_seconds": 1.0, "jpeg": file.getvalue(), "perceptual_hash": 0}


def lonely(video):
    return {"video_id": video, "cluster_id": None, "is_noise": True}


def changed(name, size, before, change, cluster_id=None):
    return {"cluster_id": cluster_id or name, "name": name, "size": size, "previous_size": before, "change": change, "first_seen": DAY}


def measured(model, name, value):
    return {"model_version": model, "slice": name, "metric": "accuracy", "value": value, "rows": 8}


def decision(model, reason):
    what = {"model_version": model, "snapshot_id": "s", "decision": "promoted", "previous_version": None, "reason": reason}
    return what | {"decided_at": dt.datetime(2026, 1, 1)}


def refused(key):
    return {"table": "silver.videos", "rule": "no_frames", "row_key": key, "reason": f"<i>{key}</i> has no frames"}


def ran(made, job, date, minute, status, note=None):
    record = RunRecord(f"{date}-{job}", job, date, dt.datetime(2026, 1, 3, 2, minute), status=status, seconds=1.5, note=note, quarantined=2)
    Ledger(made.lake).append(record, Ledger(made.lake).row(record))


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    return {day: write_report(small.lake, small.settings.report, day, JOBS, folder) for day in (DAY, AFTER, NEXT)}


@pytest.fixture(scope="module")
def page(written):
    return Page(written[DAY].read_text(encoding="utf-8"))


def card(page_text, section, video):
    found = re.search(rf'<li class="card" id="{section}-{anchor_of(video)}">(.*?)</li>', page_text, re.DOTALL)
    return found and " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def test_each_section_tells_what_the_day_holds(written, page):
    text = written[DAY].read_text(encoding="utf-8")
    assert "2026-01-02 finished" in page.words
    for words in ("4 videos arrived", "2 rows refused", "2 chosen to be labelled", "2 labels suspected", "3 videos predicted"):
        assert words in page.words
    assert "extract silver.videos no_frames 2 <i>r1</i> has no frames" in page.words
    assert card(text, "sampled", "v4") == (
        "caption of v4 v4 rank 2 by density why typical cluster none: nothing much like it also: Arrived"
    )
    assert "cluster 3 videos alike: <b>cat</b>, milk" in unescape(card(text, "sampled", "v1"))
    assert "given 宠物 suggested 美食/烘焙 (80%) score 2.50 why because" in card(text, "suspected", "v1")
    assert text.index(f'id="suspected-{anchor_of("v1")}"') < text.index(f'id="suspected-{anchor_of("v2")}"'), "most suspect first"
    order = [text.index(f'id="uncertain-{anchor_of(v)}"') for v in ("v3", "v2", "v1")]
    assert order == sorted(order), "least sure first"
    assert "said 运动 (50%) or 美食 (5%)" in card(text, "uncertain", "v3")
    assert "said 宠物 (90%)" in card(text, "confident", "v1")
    assert "<b>猫</b> 2 0 2026-01-02" in page.words, "a new tag, on two videos of this week"
    assert "19 videos lie in 2 dense regions, named by the words that they share." in page.words
    changes = "soup split 7 0 2026-01-02 <b>cat</b>, milk grown 12 3 2026-01-02 gone dying 0 1,234 2026-01-02"
    assert f"New, growing and dying cluster change videos day before first seen {changes}" in page.words
    assert "m2 promoted by gates: accuracy held" in page.words
    labels = [svg["aria-label"] for svg in page.all("svg")]
    assert "Accuracy of m2 by slice: all: 75%, champion 50%; head: 100%" in labels
    assert "Videos a day: 01-02: 4" in labels
    assert "video_embedding__m2 4 1 4" in page.words


def test_a_page_needs_nothing_from_outside_and_runs_nothing(written):
    for path in [*written.values(), written[DAY].with_name("index.html")]:
        page = Page(path.read_text(encoding="utf-8"))
        assert page.open == [], "every element is closed"
        assert not {name for name, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "form", "base"}
        for _, attrs in page.elements:
            assert not [name for name in attrs if name.startswith("on")]
            for name in ("src", "href", "srcset", "action", "data"):
                assert re.match(r"data:image/jpeg;base64,|#[\w-]+$|[\w-]+\.html$", attrs.get(name) or "#none"), attrs
        style = re.search(r"<style>(.*?)</style>", path.read_text(encoding="utf-8"), re.DOTALL)[1]
        assert "url(" not in style
        assert "@import" not in style


def test_titles_that_hold_markup_are_shown_and_not_obeyed(written, page):
    text = written[DAY].read_text(encoding="utf-8")
    assert "alert('x')" not in text
    assert "<script" not in text
    assert "onerror=alert(1)>" not in text
    assert EVIL.replace("  ", " ") in page.words
    assert f"Frame of {EVIL}" in [image["alt"] for image in page.all("img")]
    failed = Page(written[NEXT].read_text(encoding="utf-8"))
    assert "ingest failed. StorageError: the <disk> is full" in failed.words


def test_pictures_are_small_have_words_and_are_bounded(small, written, page, tmp_path):
    images = page.all("img")
    assert len(images) == 3 + 1 + 2 + 3 + 3
    assert all(image["alt"].startswith("Frame of ") for image in images)
    (one,) = {image["src"] for image in images}
    shown = Image.open(io.BytesIO(base64.b64decode(one.partition(",")[2])))
    assert shown.size == (128, 128)
    assert shown.getpixel((5, 5))[0] < 20, "the first frame, not the second"
    few = small.settings.report.model_copy(update={"pictures_max": 1})
    path = write_report(small.lake, few, DAY, JOBS, tmp_path)
    cards = re.findall(r'<li class="card" id="(\w+)-', path.read_text(encoding="utf-8"))
    assert sorted(cards) == ["arrived", "confident", "sampled", "suspected", "uncertain"]


def test_links_lead_somewhere_within_the_page_and_to_its_neighbours(written, page):
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    inner = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert set(inner) <= set(ids)
    assert f"suspected-{anchor_of('v1')}" in inner
    ways = {
        day: {a["rel"]: a["href"] for a in Page(path.read_text(encoding="utf-8")).all("a") if "rel" in a} for day, path in written.items()
    }
    assert ways == {
        DAY: {"next": f"{NEXT}.html"},
        NEXT: {"prev": f"{DAY}.html", "next": f"{AFTER}.html"},
        AFTER: {"prev": f"{NEXT}.html"},
    }
    index = Page(written[DAY].with_name("index.html").read_text(encoding="utf-8"))
    assert [a["href"] for a in index.all("a")] == [f"{AFTER}.html", f"{NEXT}.html", f"{DAY}.html"]
    assert "finished: 4 videos arrived, 2 rows refused, 3 videos predicted, m2 promoted" in index.words


def test_an_empty_day_says_so_section_by_section(written):
    page = Page(written[NEXT].read_text(encoding="utf-8"))
    assert f"{NEXT} failed" in page.words
    assert "Nothing arrived on this day." in page.words
    assert "Least sure: none. predict did not run on this day." in page.words
    assert "No cluster. sample_by_density did not run on this day." in page.words
    assert "No decision on a model. evaluate did not run on this day." in page.words
    assert page.all("img") == []


def test_a_video_taken_down_is_in_no_report(small, written):
    for path in written.values():
        text = path.read_text(encoding="utf-8")
        assert anchor_of("v5") not in text
        assert "taken down<" not in text


def test_the_same_lake_gives_the_same_bytes(small, written):
    before = {path.name: path.read_bytes() for path in written[DAY].parent.iterdir()}
    write_report(Lake(small.lake.spark, small.lake.root), small.settings.report, DAY, JOBS, written[DAY].parent)
    assert {path.name: path.read_bytes() for path in written[DAY].parent.iterdir()} == before


def test_reports_that_show_a_video_go_with_it_and_the_others_are_linked_anew(small, written):
    folder = shutil.copytree(written[DAY].parent, Path(small.lake.root) / "reports", dirs_exist_ok=True)
    paths = [folder / f"{day}.html" for day in (DAY, NEXT)]
    assert forget_videos(small.lake, ["nobody"]) == []
    assert forget_videos(small.lake, ["nobody", "v4"]) == [paths[0]]
    assert not paths[0].exists()
    left = Page(paths[1].read_text(encoding="utf-8"))
    assert [a["href"] for a in left.all("a") if "rel" in a] == [f"{AFTER}.html"]
    assert f"{DAY}.html" not in paths[1].with_name("index.html").read_text(encoding="utf-8")


def test_a_report_that_names_a_video_with_quotes_in_its_id_is_found(spark, tmp_path):
    page = tmp_path / "reports" / f"{DAY}.html"
    page.parent.mkdir()
    for video_id in ("it's", 'the "best"', "a<b&c"):
        page.write_text(f"<p>refused: {escape(video_id)}</p>", encoding="utf-8")
        assert forget_videos(Lake(spark, str(tmp_path)), ["its"]) == []
        assert forget_videos(Lake(spark, str(tmp_path)), [video_id]) == [page]


def test_a_day_that_was_never_run_and_a_root_that_is_no_folder_are_named_errors(small, tmp_path):
    with pytest.raises(NotFoundError, match=r"nothing was run for 2027-01-01 in .*, so there is nothing to report"):
        write_report(small.lake, small.settings.report, dt.date(2027, 1, 1), JOBS, tmp_path)
    far = Lake(small.lake.spark, "s3a://bucket/w")
    with pytest.raises(SettingsError, match=r"say where the report is to go with --into FOLDER"):
        write_report(far, small.settings.report, DAY, JOBS)


def test_the_command_says_where_it_wrote(small, spark, tmp_path, monkeypatch):
    typed = typing_in(tmp_path, spark, monkeypatch)
    said = typed("report", "--date", str(NEXT), "--root", small.lake.root, "--set", "report.pictures_max=0").stdout
    assert re.search(rf"{small.lake.root}/reports/{NEXT}\.html +\(0\.\d MB\)", said)
    assert (Path(small.lake.root) / "reports" / "index.html").exists()
    with pytest.raises(SettingsError, match="a report is of one day"):
        typed("report", "--root", small.lake.root)


# Shows pages in frames of one width, since a headless window is never narrower than 500 pixels, and tells in its title what it found.
# Pictures are loaded only as one scrolls to them, unless told otherwise.
FRAMES = """<!doctype html><meta charset="utf-8">{frames}<script>
addEventListener("load", async () => {
  const found = []
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, pictures = [...page.images]
    pictures.forEach(one => one.loading = "eager")
    await Promise.allSettled(pictures.map(one => one.decode()))
    const broken = pictures.filter(one => !one.naturalWidth).length
    const {scrollWidth, clientWidth} = page.documentElement
    found.push([frame.contentWindow.innerWidth, scrollWidth - clientWidth, pictures.length, broken])
  }
  document.title = JSON.stringify(found)
})
</script>"""
BROWSER = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280], ids=["a phone", "a desk"])
def test_a_browser_finds_nothing_wider_than_the_screen_every_picture_and_no_error(written, page, tmp_path, width):
    pages = [written[DAY], written[NEXT], written[DAY].with_name("index.html")]
    frames = tmp_path / "frames.html"
    shown = "".join(f'<iframe src="{path.as_uri()}" width="{width}" height="800"></iframe>' for path in pages)
    frames.write_text(FRAMES.replace("{frames}", shown), encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900", "--allow-file-access-from-files",
        "--virtual-time-budget=60000", "--enable-logging=stderr", "--dump-dom", frames.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    found = json.loads(re.search(r"<title>(.*)</title>", done.stdout)[1])
    # per page: width of the screen, by how much something is wider, pictures, and those that are broken
    assert found == [[width, 0, len(page.all("img")), 0], [width, 0, 0, 0], [width, 0, 0, 0]]
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
