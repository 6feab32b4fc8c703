"""The page in a real browser, by keyboard alone. A page of the same server holds it in a frame, presses the keys and tells what it saw."""

import datetime as dt
import json
import shutil
import subprocess
import threading
from itertools import count

import pytest
from fastapi.responses import HTMLResponse

from reelhouse.labelling.inbox import AnswerLog, new_answer
from tests.labelling.page import Serving
from tests.labelling.planted import AT, question, text_alone
from tests.video.made_videos import level, write_video

BROWSER = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
# Steps: ["name", N] starts as N; ["key", K] presses a key; ["find", W] types into the search; ["see", E] notes what an expression gives.
# After each it waits until the page has nothing left to do. The browser ends once the picture is there, for which the server waits.
DRIVER = """<!doctype html><meta charset="utf-8"><iframe src="/" width="{width}" height="800"></iframe><img src="/driven"><script>
const steps = {steps}, seen = [], frame = document.querySelector("iframe")
frame.addEventListener("load", async () => {
  const page = frame.contentWindow, inside = frame.contentDocument, pause = ms => new Promise(done => setTimeout(done, ms))
  const press = key => (inside.activeElement || inside.body).dispatchEvent(
    new page.KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}))
  const find = inside.getElementById("find")
  for (const [what, given] of steps) {
    if (what === "name") { inside.getElementById("name").value = given; inside.getElementById("start-form").requestSubmit() }
    if (what === "key") press(given)
    if (what === "find") { find.value = given; find.dispatchEvent(new page.Event("input")) }
    if (what === "see") seen.push(await Function("document", `return ${given}`)(inside))
    const isBusy = () => inside.getElementById("start").open || inside.body.getAttribute("aria-busy") === "true"
    for (let quiet = 0; quiet < 3; quiet = isBusy() ? 0 : quiet + 1) await pause(50)
  }
  fetch("/told?seen=" + encodeURIComponent(JSON.stringify(seen)))
})
</script>"""
VIDEO_ID = "document.getElementById('ids').textContent.split(' ')[0]"
BAR = "(bar => [bar.getAttribute('aria-valuenow'), bar.getAttribute('aria-valuemax'), bar.firstElementChild.style.width])" \
    "(document.querySelector('[role=progressbar]'))"  # fmt: skip
STATE = f"[{VIDEO_ID}, document.getElementById('counts').textContent, document.getElementById('chosen').textContent]"


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    path = write_video(folder / "v1.mp4", [level(n * 10, 160, 120) for n in range(20)])
    odd = '<img src=x onerror=alert(1)> & "quoted"'
    return [
        question("v1", uri=str(path)),
        text_alone("v2", 2, title=odd),
        question("v3", 3, title="超长标题没有空格" * 30),
        question("v4", 4),
    ]


def driven(videos, tmp_path, steps, width=1280):
    """(what was seen, lines of ann's file)"""
    page_of_steps = DRIVER.replace("{steps}", json.dumps(steps)).replace("{width}", str(width))
    seconds, inbox, told, done = count(), tmp_path / "inbox", [], threading.Event()

    def tell(seen: str):
        told.extend(json.loads(seen))
        done.set()

    routes = {"/drive": lambda: HTMLResponse(page_of_steps), "/told": tell, "/driven": lambda: done.wait(120)}
    now = lambda: AT.replace(second=next(seconds))  # noqa: E731
    with Serving(videos, inbox, [tmp_path / "videos"], now=now, routes=routes) as page:
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900", "--autoplay-policy=no-user-gesture-required",
            f"--user-data-dir={tmp_path / 'browser'}", "--enable-logging=stderr", "--dump-dom",
            f"{page.address}/drive",
        ]  # fmt: skip
        said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stderr
    assert [line for line in said.splitlines() if "CONSOLE" in line] == []
    assert done.is_set()
    path = AnswerLog(inbox).path("ann")
    lines = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return told, lines


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_queue_is_labelled_by_keyboard_alone(videos, tmp_path):
    steps = [
        ["name", "ann"], ["see", STATE],
        ["key", "2"], ["see", STATE], ["key", "1"], ["key", "n"], ["see", STATE],
        ["key", "/"], ["find", "面"], ["see", STATE], ["key", "Enter"], ["see", STATE],
        ["see", "document.getElementById('title').textContent"], ["see", "document.images.length"],
        ["key", "ArrowRight"], ["see", VIDEO_ID], ["key", "ArrowLeft"], ["see", VIDEO_ID],
        ["key", "x"], ["key", "Enter"], ["see", STATE], ["see", BAR], ["key", "u"], ["see", STATE], ["see", BAR],
        ["key", "Enter"], ["key", "Enter"], ["see", "document.getElementById('wait-title').textContent"],
    ]  # fmt: skip
    seen, lines = driven(videos, tmp_path, steps)
    assert seen == [
        ["v1", "0 of 4 answered", "Chosen: 美食/烘焙"],
        ["v1", "0 of 4 answered", "Chosen: 宠物"],
        ["v1", "1 of 4 answered", "Chosen: 宠物"],
        ["v1", "1 of 4 answered", "Chosen: 美食/面条"],
        ["v2", "1 of 4 answered", "No model yet: type to find a label"],
        '<img src=x onerror=alert(1)> & "quoted"',
        0,
        "v3",
        "v2",
        ["v4", "3 of 4 answered", "Chosen: 美食/烘焙"],
        ["3", "4", "75%"],
        ["v3", "2 of 4 answered", "Chosen: 美食/烘焙"],
        ["2", "4", "50%"],
        "All done",
    ]
    assert [(line["video_id"], line["label"], line["answer"]) for line in lines] == [
        ("v1", "food.baking", 0), ("v1", "food.noodles", 1), ("v2", "food", -1), ("v3", "food.baking", 1), ("v3", "food.baking", -1),
        ("v3", "food.baking", 1), ("v4", "food.baking", 1),
    ]  # fmt: skip


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_whoever_goes_back_sees_his_own_yes_and_cannot_say_takes_it_back(videos, tmp_path):
    steps = [
        ["name", "ann"], ["key", "2"], ["key", "Enter"], ["see", STATE],
        ["key", "ArrowLeft"], ["see", STATE], ["key", "1"], ["see", STATE], ["key", "x"], ["see", STATE],
        ["key", "ArrowLeft"], ["see", STATE],
    ]  # fmt: skip
    seen, lines = driven([videos[0], videos[2]], tmp_path, steps)
    assert seen == [
        ["v3", "1 of 2 answered", "Chosen: 美食/烘焙"],
        ["v1", "1 of 2 answered", "Chosen: 宠物"],
        ["v1", "1 of 2 answered", "Chosen: 美食/烘焙"],
        ["v3", "1 of 2 answered", "Chosen: 美食/烘焙"],
        ["v1", "1 of 2 answered", "Chosen: 美食/烘焙"],
    ]
    assert [(line["video_id"], line["label"], line["answer"]) for line in lines] == [("v1", "pets", 1), ("v1", "pets", -1)]


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_who_has_answered_all_that_is_open_to_him_is_told_that_the_rest_waits_for_others(videos, tmp_path):
    said = new_answer("v1", "category", "pets", -1, "ann", AT - dt.timedelta(days=1))
    AnswerLog(tmp_path / "inbox").append(said)
    tied = question("v1", undecided=frozenset([said.event_id]))
    seen, _ = driven([tied], tmp_path, [["name", "ann"], ["see", "document.getElementById('wait').innerText.split('\\n')[0]"]])
    assert seen == ["Nothing more for you"]


PLAYS = """new Promise(done => {
  const player = document.getElementById("video"), seen = () => [player.readyState > 1, player.videoWidth, player.videoHeight]
  const look = left => player.readyState > 1 || !left ? done(seen()) : setTimeout(look, 100, left - 1)
  look(100)
})"""
PICTURES = "Promise.all([...document.images].map(one => one.decode().then(() => one.naturalWidth)))"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280], ids=["a phone", "a desk"])
def test_a_browser_plays_the_video_shows_its_frames_and_finds_nothing_wider_than_the_screen(videos, tmp_path, width):
    steps = [["name", "ann"], ["see", "document.defaultView.innerWidth"]]
    for _ in videos[:3]:
        steps += [["see", WIDER], ["see", PICTURES], ["key", "ArrowRight"]]
    steps.insert(2, ["see", PLAYS])
    seen, _ = driven(videos, tmp_path, steps, width)
    assert seen == [width, [True, 160, 120], 0, [224, 224], 0, [], 0, [224, 224]]
