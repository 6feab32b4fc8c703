"""Who is told of what, by real commands and a real HTTP server; and when a day or a job counts as late."""

import datetime as dt
import http.server
import json
import sys
import threading
import time

import pytest

from reelhouse import oncall
from reelhouse import settings as settings_module
from reelhouse.oncall import Alert, Trouble, Watch, next_step, tell

DAY = dt.date(2026, 1, 2)
ALERT = Alert(
    "failed", "2026-01-02", "/lake", "2026-01-02 failed: train", (Trouble("train", "TrainingError: 一 rank died", "run it again"),)
)
AS_JSON = {
    "kind": "failed", "date": "2026-01-02", "root": "/lake", "text": "2026-01-02 failed: train",
    "troubles": [{"job": "train", "cause": "TrainingError: 一 rank died", "next_step": "run it again"}],
}  # fmt: skip


def python(code):
    return f'{sys.executable} -c "{code}"'


def writing_to(path):
    return python(f"import sys; open('{path}', 'a', encoding='utf-8').write(sys.stdin.read() + chr(10))")


def told(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_command_gets_the_alert_on_its_standard_input(tmp_path):
    said = []
    tell(writing_to(tmp_path / "a file"), ALERT, 20, said.append)
    assert told(tmp_path / "a file") == [AS_JSON]
    assert said == []


def test_an_address_gets_the_alert_posted():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response({"/broken": 500, "/moved": 301}.get(self.path, 204))
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/hook")
            self.end_headers()

        def do_GET(self):
            got.append("asked for")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    got, said = [], []
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        tell(f"{address}/hook", ALERT, 20, said.append)
        assert (got, said) == ([("/hook", "application/json", AS_JSON)], [])
        tell(f"{address}/broken", ALERT, 20, said.append)
        tell(f"{address}/moved", ALERT, 20, said.append)
        assert said == [f"telling of failed did not work: the address answered with status {status}" for status in (500, 301)]
        assert [path for path, *_ in got] == ["/hook", "/broken", "/moved"]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (python("import sys; sys.stderr.write('no pager'); sys.exit(3)"), "telling of failed: the command ended with status 3: no pager"),
        (python("import time; time.sleep(60)"), "telling of failed did not work: TimeoutExpired"),
        ("/nowhere/pager", "telling of failed did not work: FileNotFoundError No such file or directory"),
        ("http://127.0.0.1:1/secret", "telling of failed did not work: URLError"),
        ("'unclosed", "telling of failed did not work: ValueError"),
    ],
)
def test_a_target_that_fails_is_said_and_nothing_more(target, words):
    said = []
    tell(target, ALERT, 3, said.append)
    assert said == [words]
    tell("", ALERT, 1, said.append)
    assert said == [words]


def test_the_next_step_follows_from_the_error():
    assert next_step("TrainingError: a rank died", DAY) == "mend the cause, then `reelhouse daily --date 2026-01-02` goes on from here"
    assert next_step("StorageError: full", DAY).startswith("free space or mend the permissions, then `reelhouse daily")
    assert "where data_date = '2026-01-02'" in next_step("QuarantineLimitError: many", DAY)


@pytest.fixture
def watching(request, tmp_path):
    """A watch whose deadline for today lies a second (the parameter, if there is one) ahead, today, and the file with what it told."""
    alerts = settings_module.load(values={"alerts.on_late": writing_to(tmp_path / "told"), "alerts.deadline_hours": 1}).alerts
    now, seconds = dt.datetime.now(dt.UTC), getattr(request, "param", 1)
    hours = ((now - dt.datetime.combine(now.date(), dt.time(), dt.UTC)).total_seconds() + seconds) / 3600
    (tmp_path / "told").touch()
    return Watch(alerts.model_copy(update={"deadline_hours": hours}), "/lake", lambda text: None), now.date(), tmp_path / "told"


def timers():
    """Alerts that are still to come."""
    threads = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    return [timer for timer in threads if timer.function.__module__ == oncall.__name__]


def wait_for(count, path):
    until = time.monotonic() + 20
    while len(told(path)) < count and time.monotonic() < until:
        time.sleep(0.05)
    return told(path)


def test_a_day_that_passes_its_deadline_is_told_once_with_what_is_at_work(watching):
    watch, today, path = watching
    with watch.day(today), watch.job("train", today, 60):
        (alert,) = wait_for(1, path)
    assert watch.late(today)
    assert (alert["kind"], alert["date"], alert["troubles"]) == ("late", str(today), [])
    assert alert["text"].startswith(f"{today} is not done at its deadline, ")
    assert alert["text"].endswith("UTC; at work: train")


@pytest.mark.parametrize("watching", [3600], indirect=True)
def test_a_day_done_in_time_and_a_backfill_are_not_late(watching):
    watch, today, path = watching
    for date, watched in ((today, 2), (DAY, 1)):  # by the clock of the job, and of the day
        with watch.day(date), watch.job("train", date, 60):
            assert len(timers()) == watched
        assert timers() == []
    assert told(path) == []
    assert not watch.late(today)
    assert not watch.late(DAY)


def test_a_day_on_which_nothing_is_left_to_do_is_not_late_and_jobs_by_themselves_tell_of_a_deadline_that_passes_meanwhile(watching):
    watch, today, path = watching
    with watch.day(today):
        time.sleep(1.5)
    assert (told(path), watch.late(today)) == ([], False)
    with watch.day(today, whole=False), watch.job("serve", today, 60):  # after the deadline
        time.sleep(0.5)
    assert told(path) == []
    with watch.day(today), watch.job("serve", today, 60):
        wait_for(1, path)
    assert watch.late(today)


@pytest.mark.parametrize("watching", [4], indirect=True)  # a stall before the job begins must not make it late
def test_a_job_by_itself_tells_of_a_deadline_that_passes_while_it_is_at_work(watching):
    watch, today, path = watching
    with watch.day(today, whole=False), watch.job("serve", today, 60):
        (alert,) = wait_for(1, path)
    assert alert["text"].endswith("UTC; at work: serve")


def test_a_job_that_takes_longer_than_its_minutes_is_told(watching):
    watch, _, path = watching
    with watch.job("train", DAY, 0.002):
        (alert,) = wait_for(1, path)
    assert alert["text"] == "train of 2026-01-02 has been at work for more than the 0.002 minutes of conf/pipeline.yml"
    assert [t["job"] for t in alert["troubles"]] == ["train"]
    with watch.job("serve", DAY, 60):
        pass
    assert timers() == []
    assert told(path) == [alert]
    assert not watch.late(DAY)
