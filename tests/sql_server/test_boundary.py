"""What a process can do no more once it forbade itself to write. Each case is a process of its own: there is no way back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FORBID = "import os, pathlib, subprocess, sys\nfrom reelhouse.sql_server.boundary import forbid_writes\n"


def after_forbidding(tmp_path: Path, code: str) -> str:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "file").write_text("whole")
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    script = f"{FORBID}os.chdir({str(tmp_path)!r})\nassert forbid_writes([pathlib.Path('scratch')]) is None\n{code}\nprint('did it')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (tmp_path / "lake" / "file").read_text() == "whole"
    assert sorted(p.name for p in (tmp_path / "lake").iterdir()) == ["file"]
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "open('lake/file', 'a')",
        "open('lake/file', 'r+')",
        "open('lake/new', 'w')",
        "open('link/new', 'w')",
        "os.truncate('lake/file', 0)",
        "os.remove('lake/file')",
        "os.rename('lake/file', 'scratch/file')",
        "os.link('lake/file', 'scratch/file'); open('scratch/file', 'w')",
        "os.mkdir('lake/new')",
        "os.symlink('/etc', 'lake/new')",
        "subprocess.run(['rm', '-r', 'lake'], check=True)",
        "subprocess.run(['sh', '-c', 'echo x > lake/file'], check=True)",
    ],
)
def test_nothing_outside_can_be_changed_by_it_or_its_children(tmp_path: Path, code: str):
    said = after_forbidding(tmp_path, code)
    assert "did it" not in said
    assert "ermission denied" in said or "CalledProcessError" in said or "Invalid cross-device link" in said


def test_it_reads_everything_and_writes_below_what_it_may(tmp_path: Path):
    code = "open('scratch/new', 'w').write(open('lake/file').read()); os.remove('scratch/new'); os.mkdir('scratch/folder')"
    assert "did it" in after_forbidding(tmp_path, code)
