"""The server around the page: whom it listens to, from where files may come, and its end; the commands as a person types them."""

import datetime as dt
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reelhouse import cli, tables
from reelhouse import settings as settings_module
from reelhouse.errors import LabelError, ServerError, SettingsError
from reelhouse.labelling.serving import check_listening, listen, media_roots
from tests.jobs.small_lake import DAY, NEXT, SmallLake
from tests.labelling.page import Page
from tests.typed import typing_in


def chosen(**values):
    return settings_module.load(values={f"labelling.{name}": value for name, value in values.items()}).labelling


def test_other_machines_need_a_token_that_nobody_guesses():
    for fine in ({}, {"host": "localhost"}, {"host": "::1"}, {"host": "0.0.0.0", "token": "x" * 16}):
        check_listening(chosen(**fine))
    with pytest.raises(SettingsError, match=r"labelling.host = 0\.0\.0\.0 lets other machines in, .* labelling\.token = \$\{NAME\}"):
        check_listening(chosen(host="0.0.0.0"))
    with pytest.raises(SettingsError, match="at least 16 characters"):
        check_listening(chosen(host="0.0.0.0", token="x" * 15))


def test_the_token_comes_from_the_environment_and_is_shown_to_nobody(monkeypatch):
    monkeypatch.setenv("LABELS_TOKEN", "never-to-be-seen-1")
    loaded = settings_module.load(values={"labelling.token": "${LABELS_TOKEN}"})
    assert loaded.labelling.token == "never-to-be-seen-1"
    assert settings_module.shown("labelling.token", loaded.labelling.token) == "********"
    assert settings_module.plain_secrets({"labelling": {"token": "written out"}}) == ["labelling.token"]
    assert loaded.hash_of(["labelling"]) == settings_module.load().hash_of(["labelling"])


def test_files_come_from_the_folders_that_videos_are_taken_in_from():
    given = {"deliveries": "/a/d", "videos": "file:///a/v", "roots": ["/a/r", "rel"], "manifest": "/a/m/manifest.csv"}
    sources = settings_module.load(values={f"sources.{name}": value for name, value in given.items()}).sources
    assert media_roots(sources) == ["/a/d", "/a/v", "/a/r", str(Path("rel").absolute()), "/a/m"]
    assert media_roots(settings_module.load().sources) == []


def test_a_port_that_is_taken_is_a_named_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=rf"the page can't listen at 127\.0\.0\.1:{port}: Address already in use"):
            listen("127.0.0.1", port)


ALONE = """
import datetime as dt, sys
from reelhouse import settings
from reelhouse.labelling.serving import serve
from tests.labelling.planted import TREES, question
given = settings.load(values={"sources.inbox": sys.argv[1], "labelling.port": 0})
queue = [question("v1"), question("v2")]
serve(given, queue, TREES, annotator="ann", now=lambda: dt.datetime.now(dt.UTC), say=lambda said: print(said, flush=True))
"""


def test_a_server_says_where_it_is_and_ends_cleanly_while_a_browser_is_connected(tmp_path):
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path)], env=environ, stdout=-1, stderr=-1, text=True) as running:
        try:
            said = running.stdout.readline()
            port = int(re.fullmatch(r"2 of 2 videos are to be labelled: http://127\.0\.0\.1:(\d+)/\n", said)[1])
            page = Page(port)
            key = page.ask("/api/next", annotator="ann")["video"]["key"]
            page.ask("/api/answer", annotator="ann", key=key, label="pets", answer=1)
            with socket.create_connection(("127.0.0.1", port)):
                running.send_signal(signal.SIGINT)
                out, errors = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0
    assert errors == ""
    assert out.splitlines()[-1] == "ended: 1 of 2 are answered; the next run of `reelhouse daily` takes the answers in"


@pytest.mark.parametrize("command", [["export", "--date", "2026-01-02", "--into", "x"], ["serve"]])
def test_without_an_inbox_nothing_is_handed_out(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(cli.app, ["labels", *command]).exception
    assert isinstance(error, SettingsError)
    assert "say where it is with --set sources.inbox=FOLDER" in str(error)


def test_an_export_needs_a_day_and_a_folder():
    for words in ([], ["--date", "2026-01-02"], ["--into", "x"]):
        error = CliRunner().invoke(cli.app, ["labels", "export", *words, "--set", "sources.inbox=i"]).exception
        assert isinstance(error, SettingsError)
        assert "--date YYYY-MM-DD --into FOLDER" in str(error)


@pytest.fixture
def small(spark, tmp_path):
    made = SmallLake(spark, tmp_path / "w")
    queued = {"task": "category", "reason": "typical", "is_random": False}
    made.write(tables.SAMPLE_BATCH, [{"video_id": f"v{n}", "rank": n, **queued} for n in (1, 2, 3)])
    made.arrive(["v1", "v2", "v3"])
    return made


def test_what_was_exported_is_taken_in_by_the_next_run_and_out_of_the_queue(small, spark, tmp_path, monkeypatch):
    import jobs.import_labels as job

    typed = typing_in(tmp_path, spark, monkeypatch)
    common = ["--root", small.lake.root, "--set", f"sources.inbox={tmp_path / 'inbox'}"]
    export = ["labels", "export", "--date", str(DAY), "--into", "out", "--set", "labelling.queue_max=2", *common]
    said = typed(*export).stdout
    assert "2 videos, with their contact sheets and guidelines: out/tasks-category.json" in said
    assert "the next run takes them out of the queue" in said
    (line, _) = (tmp_path / "inbox" / "exports").glob("*").__next__().read_text().splitlines()
    at = dt.datetime.fromisoformat(json.loads(line)["exported_at"])
    assert abs((dt.datetime.now(dt.UTC) - at).total_seconds()) < 600
    assert "they were handed out before" in typed(*export).stdout
    with pytest.raises(LabelError, match="nobody needs to label anything of 2026-01-01"):
        typed("labels", "export", "--date", "2026-01-01", "--into", "other", *common)
    rest = typed("labels", "export", "--date", str(NEXT), "--format", "csv", "--into", "rest", *common).stdout
    assert "1 videos" in rest, "the others wait in the inbox to be taken in"
    taken_in = SmallLake(spark, small.lake.root, sources__inbox=str(tmp_path / "inbox"))
    taken_in.do(job, at.date() + dt.timedelta(days=1))
    found = taken_in.lake.read(tables.LABEL_EXPORTS).collect()
    assert sorted((r.video_id, r.task) for r in found) == [(f"v{n}", "category") for n in (1, 2, 3)]


def test_serve_opens_the_page_on_what_the_lake_holds_now_and_ends_at_ctrl_c(small, spark, tmp_path, monkeypatch):
    typed = typing_in(tmp_path, spark, monkeypatch)
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    found = []

    def visit():
        until = time.monotonic() + 120
        while not found and time.monotonic() < until:
            try:
                found.append(Page(port).ask("/api/next", annotator="ann")["video"]["video_id"])
            except OSError:
                time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        said = typed(
            "labels", "serve", "--port", str(port), "--root", small.lake.root, "--set", f"sources.inbox={tmp_path / 'inbox'}"
        ).stdout
    finally:
        visitor.join()
        signal.signal(signal.SIGINT, before)
    assert found == ["v1"]
    assert f"3 of 3 videos are to be labelled: http://127.0.0.1:{port}/" in said
    assert "ended: 0 of 3 are answered" in said
