"""Reads videos in a process of its own: a file on which native code (FFmpeg, ONNX Runtime) crashes, or from which it never comes back,
costs that video and not the day.

The kernel ends the process when a file's time is over, in whatever code it is. What was read comes back through a socket: 2 ms a video.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Protocol

from reelhouse.errors import ReelhouseError
from reelhouse.sections import VideoSettings
from reelhouse.video.opening import too_slow
from reelhouse.video.reading import Extracted, Reader

ATTEMPTS = 2  # what ended the process may have been meant for another, such as the kernel's search for memory


class Reads(Protocol):
    def read(self, video_id: str, uri: str, content_sha256: str | None) -> Extracted: ...


class IsolatedReader:
    """As Reader. The process starts with the first video, is kept for the next ones, and ends with this one or by `close`.

    make: what makes the reader there, of the settings; a function or class that can be imported.
    """

    def __init__(self, settings: VideoSettings, make: Callable[[VideoSettings], Reads] = Reader) -> None:
        self._settings, self._make = settings, make
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def read(self, video_id: str, uri: str, content_sha256: str | None) -> Extracted:
        """As Reader.read; rule too_slow or crashed_decoder for a video that ended the process. ReelhouseError when its Python code
        fails: then the program is wrong and not the file."""
        video, code = Extracted(video_id, uri, content_sha256), 0
        for _ in range(ATTEMPTS):
            connection = self._connection or self._start()
            try:
                connection.send((video_id, uri, content_sha256))
                found: Extracted = connection.recv()
            except (EOFError, OSError):  # the process is gone, perhaps in the middle of its answer
                code = self.close()
            else:
                return found
            if code == -signal.SIGALRM:
                error = too_slow(self._settings.file_timeout_seconds)
                return video.refused(error.rule, str(error))
            if code >= 0:
                raise ReelhouseError(f"the process that reads videos ended with {code} at {uri}: its error is in Spark's log of errors")
        name = signal.Signals(-code).name
        return video.refused(
            "crashed_decoder",
            f"the process that reads {uri} was ended by {name}, {ATTEMPTS} times. Re-encode it and deliver it again; if many files do "
            "that, see whether the machine runs out of memory",
        )

    def close(self) -> int:
        """End the process; returns how it ended: negative by a signal."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        code = self._process.wait() if self._process is not None else 0
        self._process = None
        return code

    def _start(self) -> Connection:
        here, there = socket.socketpair()
        with there:
            # it imports what was shipped to this process
            around = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            command = [sys.executable, "-c", f"from {__name__} import serve; serve({there.fileno()})"]
            self._process = subprocess.Popen(
                command, env=around, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        self._connection = Connection(here.detach())
        self._connection.send((self._make, self._settings))
        return self._connection


def serve(socket_number: int) -> None:
    """Read the videos that are asked for, until the other side closes."""
    connection = Connection(socket_number)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make, settings = connection.recv()
    reader = make(settings)
    while True:
        try:
            asked = connection.recv()
        except (EOFError, OSError):
            return
        # a healthy decoder is told between packets that its time is over, and says more of it
        signal.setitimer(signal.ITIMER_REAL, 1.2 * settings.file_timeout_seconds + 5)
        video = reader.read(*asked)
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            connection.send(video)
        except (BrokenPipeError, ConnectionResetError):
            return  # whoever asked was killed meanwhile
