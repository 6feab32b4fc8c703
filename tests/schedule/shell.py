"""A printed line, run by the shell as a group of processes that is ended whole if it takes too long."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping

SECONDS_MAX = 600


def shelled(line: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    shell = ["/bin/sh", "-c", line]
    with subprocess.Popen(
        shell, env=environ, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        try:
            out, err = run.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(shell, run.returncode, out, err)
