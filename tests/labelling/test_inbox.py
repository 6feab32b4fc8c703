"""Answers on disk: whole lines from many threads and processes, synced, read back; what a torn line or a full disk does."""

import dataclasses
import datetime as dt
import fcntl
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from reelhouse.errors import StorageError
from reelhouse.labelling import inbox as module
from reelhouse.labelling.desk import Desk
from reelhouse.labelling.inbox import AnswerLog, new_answer
from reelhouse.labels.lines import LABELS, parse_line
from tests.labelling.planted import AT, MOVED, TREES, question


def answer(number=0, person="ann", label="pets", value=1, **values):
    return new_answer(f"v{number}", "category", label, value, person, AT + dt.timedelta(seconds=number), **values)


def test_an_answer_is_one_line_that_import_labels_takes_and_is_read_back(tmp_path):
    log = AnswerLog(tmp_path)
    said = [answer(2), answer(1, value=0), answer(3, value=-1, takes_back=answer(2).event_id), answer(4, person="王芳 / ../bob")]
    for one in said:
        log.append(one)
    lines = log.path("ann").read_bytes()
    assert lines.count(b"\n") == 3
    assert json.loads(lines.splitlines()[0]) == {
        "event_id": answer(2).event_id, "video_id": "v2", "task": "category", "label": "pets", "answer": 1, "annotator_id": "ann",
        "answered_at": "2026-01-03T08:30:02+00:00",
    }  # fmt: skip
    event = parse_line(LABELS, lines.splitlines()[1], TREES)
    assert (event["label_id"], event["answer"], event["answered_at"]) == ("pets", 0, AT + dt.timedelta(seconds=1))
    assert log.path("王芳 / ../bob").parent == tmp_path / "labels"
    assert AnswerLog(tmp_path).read({f"v{n}" for n in range(5)}, TREES) == sorted(said, key=lambda one: one.answered_at)
    assert AnswerLog(tmp_path).read({"v4"}, TREES) == said[3:]


def test_what_was_said_by_a_former_label_is_read_back_by_its_former_id_and_what_was_retired_is_not(tmp_path):
    log, before = AnswerLog(tmp_path), AT - dt.timedelta(days=2)
    said = [new_answer("v1", "category", label, 0, "ann", before) for label in ("hamsters", "food.pasta", "drones")]
    for one in said:
        log.append(one)
    assert log.read({"v1"}, {"category": MOVED}) == said[:2]


def test_what_others_write_where_the_page_has_fields_of_its_own_is_no_trouble(tmp_path):
    log, line = AnswerLog(tmp_path), dataclasses.asdict(answer(1))
    for number, odd in enumerate([["x"], {}, 5, "an id"]):
        line |= {"event_id": f"e{number}", "takes_back": odd, "restates": odd}
        log.path("ann").parent.mkdir(exist_ok=True)
        with log.path("ann").open("a") as file:
            file.write(json.dumps(line) + "\n")
    desk = Desk([question("v1")], 1, 300.0, lambda: 0.0)
    for one in log.read({"v1"}, TREES):
        desk.record(one)
    assert [one.takes_back for one in log.read({"v1"}, TREES)] == [None, None, None, "an id"]
    assert desk.progress().by_person == {"ann": 1}


def test_names_that_look_alike_have_files_of_their_own(tmp_path):
    paths = {AnswerLog(tmp_path).path(name).name for name in ("a b", "a-b", "a/b", "王芳", "芳王", "")}
    assert len(paths) == 6
    assert all(name.startswith("page-") and name.endswith(".jsonl") and "/" not in name for name in paths)


def test_eight_threads_write_whole_lines_each_in_one_write_and_synced(tmp_path, monkeypatch):
    log, done = AnswerLog(tmp_path), []
    write, sync = os.write, os.fsync
    monkeypatch.setattr(module.os, "write", lambda handle, data: done.append(("write", bytes(data))) or write(handle, data))
    monkeypatch.setattr(module.os, "fsync", lambda handle: done.append(("sync", b"")) or sync(handle))
    said = [answer(n, person=f"p{n % 2}") for n in range(400)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log.append, said))
    for person in ("p0", "p1"):
        lines = log.path(person).read_bytes().splitlines()
        assert sorted(json.loads(line)["event_id"] for line in lines) == sorted(a.event_id for a in said if a.annotator_id == person)
    writes = [data for what, data in done if what == "write"]
    assert len(writes) == 400
    assert all(data.endswith(b"\n") and data.count(b"\n") == 1 for data in writes)
    assert len(done) - len(writes) >= 400, "a sync for each line"


WRITING = """
import sys
from pathlib import Path
from reelhouse.labelling.inbox import AnswerLog
from tests.labelling.test_inbox import answer
print("ready", flush=True)
sys.stdin.readline()
for n in range(200):
    AnswerLog(Path(sys.argv[1])).append(answer(int(sys.argv[2]) + n))
"""


def test_two_servers_of_one_inbox_never_mix_lines(tmp_path):
    command = [sys.executable, "-c", WRITING, str(tmp_path)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    running = [subprocess.Popen([*command, start], env=environ, stdin=-1, stdout=-1, text=True) for start in ("0", "1000")]
    assert [process.stdout.readline() for process in running] == ["ready\n"] * 2
    for process in running:
        process.stdin.close()
    assert [process.wait(120) for process in running] == [0, 0]
    found = AnswerLog(tmp_path).read({f"v{n}" for n in range(2000)}, TREES)
    assert len(found) == 400


def test_who_appends_waits_for_another_server_that_does(tmp_path):
    log = AnswerLog(tmp_path)
    log.append(answer(1))
    with log.path("ann").open("rb") as other, ThreadPoolExecutor(1) as pool:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = pool.submit(log.append, answer(2))
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        fcntl.flock(other, fcntl.LOCK_UN)
        waiting.result(60)
    assert AnswerLog(tmp_path).read({"v1", "v2"}, TREES) == [answer(1), answer(2)]


def test_a_line_that_a_power_cut_tore_costs_no_other(tmp_path):
    log = AnswerLog(tmp_path)
    log.append(answer(1))
    with log.path("ann").open("ab") as file:
        file.write(b'{"event_id": "half')
    log.append(answer(2))
    assert log.path("ann").read_bytes().splitlines()[1] == b'{"event_id": "half'
    assert AnswerLog(tmp_path).read({"v1", "v2"}, TREES) == [answer(1), answer(2)]


@pytest.mark.parametrize("fault", ["short", "sync"])
def test_what_can_not_be_written_whole_leaves_nothing_and_is_said(tmp_path, monkeypatch, fault):
    log, write = AnswerLog(tmp_path), os.write
    log.append(answer(1))
    before = log.path("ann").read_bytes()

    def refuse(handle):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        if fault == "short":
            broken.setattr(module.os, "write", lambda handle, data: write(handle, data[:10]))
        else:
            broken.setattr(module.os, "fsync", refuse)
        with pytest.raises(StorageError, match=r"the answer can't be written to .*page-ann-\w+\.jsonl: (the disk is full|Input)"):
            log.append(answer(2))
    assert log.path("ann").read_bytes() == before
    log.append(answer(2))
    assert len(AnswerLog(tmp_path).read({"v1", "v2"}, TREES)) == 2
