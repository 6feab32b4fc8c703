import gc
import os
import signal
import struct
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
import pytest

from reelhouse import settings as settings_module
from reelhouse.errors import ReelhouseError
from reelhouse.video.isolation import IsolatedReader
from reelhouse.video.reading import Extracted, Reader
from tests.video.made_videos import level, write_video

CHECKOUT = Path(__file__).resolve().parents[2]


class Faulty:
    """A reader that does what the uri says."""

    def __init__(self, settings):
        self.before: list[str] = []

    def read(self, video_id, uri, content_sha256):
        what, _, where = uri.partition(":")
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "crash once" and not Path(where).exists():
            Path(where).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "half":  # of an answer of 1,000 bytes
            (connection,) = [one for one in gc.get_objects() if isinstance(one, Connection)]
            os.write(connection.fileno(), struct.pack("!i", 1000) + b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "loop":
            sum(range(10**12))  # in C: no Python signal handler would ever run
        if what == "slow":
            time.sleep(1)
        if what == "bug":
            raise TypeError("a program that is wrong")
        self.before.append(uri)
        return Extracted(video_id, uri, content_sha256, {"pid": os.getpid(), "read": list(self.before)})


@pytest.fixture
def reader():
    made = IsolatedReader(settings_module.load(values={"video.file_timeout_seconds": 1}).video, Faulty)
    yield made
    made.close()


def test_a_real_video_is_read_as_without_isolation(tmp_path: Path):
    write_video(tmp_path / "v.mp4", [level(20 * k) for k in range(12)])
    settings = settings_module.load(values={"video.ocr_frames": 0}).video
    isolated, plain = IsolatedReader(settings), Reader(settings).read("v", str(tmp_path / "v.mp4"), "sha")
    try:
        found = isolated.read("v", str(tmp_path / "v.mp4"), "sha")
        missing = isolated.read("w", str(tmp_path / "w.mp4"), None)
    finally:
        isolated.close()
    assert found.row() == plain.row()
    assert len(plain.pictures) > 1
    assert np.array_equal(np.stack(found.pictures), np.stack(plain.pictures))
    assert missing.columns["rule"] == "missing_file"


def test_one_process_reads_one_video_after_the_other_and_ends_with_its_reader(reader):
    assert [reader.read("v", uri, None).columns["read"] for uri in ("a", "b")] == [["a"], ["a", "b"]]
    pid = reader.read("v", "c", None).columns["pid"]
    assert pid != os.getpid()
    assert reader.close() == 0
    assert not psutil.pid_exists(pid)


def test_a_video_that_crashes_the_process_is_refused_and_the_next_one_is_read(reader):
    refused = reader.read("v", "crash:", "sha").row()
    assert refused.pop("reason").startswith("the process that reads crash: was ended by SIGSEGV, 2 times. Re-encode it")
    assert refused == {"video_id": "v", "uri": "crash:", "content_sha256": "sha", "rule": "crashed_decoder", "features": []}
    assert reader.read("w", "a", None).columns["read"] == ["a"]


def test_a_process_that_ends_in_the_middle_of_its_answer_is_no_different(reader):
    assert reader.read("v", "half", None).columns["rule"] == "crashed_decoder"
    assert reader.read("w", "a", None).columns["read"] == ["a"]


def test_a_process_that_was_ended_for_another_reason_is_started_again(reader, tmp_path: Path):
    uri = f"crash once:{tmp_path / 'mark'}"
    assert reader.read("v", uri, None).columns["read"] == [uri]
    os.kill(reader.read("v", "a", None).columns["pid"], signal.SIGKILL)
    assert reader.read("v", "b", None).columns["read"] == ["b"]


def test_native_code_that_does_not_come_back_is_ended(reader):
    reader.read("v", "a", None)
    begin = time.monotonic()
    refused = reader.read("v", "loop", None).columns
    assert 4 < time.monotonic() - begin < 60
    assert refused["rule"] == "too_slow"
    assert "longer than 1 s to look at (video.file_timeout_seconds)" in refused["reason"]
    assert reader.read("w", "b", None).columns["read"] == ["b"]


def test_a_bug_is_an_error_and_no_refusal(reader, capfd: pytest.CaptureFixture[str]):
    with pytest.raises(ReelhouseError, match="the process that reads videos ended with 1 at bug: its error is in Spark's log of errors"):
        reader.read("v", "bug", None)
    assert "TypeError: a program that is wrong" in capfd.readouterr().err


# A process that holds a reader, as a Python worker of Spark does; it says which process reads, and asks for a last video.
HOLDER = """
import sys, time
from reelhouse import settings
from reelhouse.video.isolation import IsolatedReader
from tests.video.test_isolation import Faulty
reader = IsolatedReader(settings.load().video, Faulty)
print(reader.read("v", "a", None).columns["pid"], flush=True)
if sys.argv[1] == "at work":
    reader.read("v", "slow", None)
time.sleep(600)
"""


@pytest.mark.parametrize("state", ["at work", "idle"])
def test_a_process_whose_parent_is_killed_ends_without_a_word(state: str, tmp_path: Path):
    path = os.pathsep.join([str(CHECKOUT / "libs"), str(CHECKOUT)])
    with (tmp_path / "said").open("wb") as said:
        holder = psutil.Popen(
            [sys.executable, "-c", HOLDER, state], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=said
        )
    try:
        process = psutil.Process(int(holder.stdout.readline()))
        assert process.ppid() == holder.pid
        time.sleep(0.3)  # so that the last video was asked for; it takes a second
        assert process.is_running()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    deadline = time.monotonic() + 60
    while not has_ended(process):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (tmp_path / "said").read_text() == ""


def has_ended(process: psutil.Process) -> bool:
    """Also where nobody asks how: it is a zombie then."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
