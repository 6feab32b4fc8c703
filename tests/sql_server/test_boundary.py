"""What a process can do no more once it forbade itself to write. Each case is a process of its own: there is no way back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reelhouse.errors import ServerError
from reelhouse.settings import load
from reelhouse.sql_server import server

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


@pytest.mark.parametrize(
    ("root", "why", "told"),
    [
        ("w", "no Landlock here", "no Landlock here. Run it as a user who may not write below w"),
        ("file:/w", "no Landlock here", "no Landlock here. Run it as a user who may not write below file:/w"),
        # Landlock is there, and the tables are not where it guards
        ("s3a://bucket/x", None, "it guards this machine's files alone. Give it credentials that may only read there"),
    ],
)
def test_where_the_system_can_not_guard_the_tables_the_server_warns_or_leaves(monkeypatch, root, why, told):
    monkeypatch.setattr(server, "forbid_writes", lambda places: why)
    said = []
    server._keep_from_writing(load(values={"storage.root": root}), [], said.append)
    assert said == [
        f"WARNING: only the look at each statement keeps clients from writing to {root}; the system can't keep this process from it: {told}"
    ]
    said.clear()
    leaves = load(values={"storage.root": root, "sql_server.without_boundary": "leave"})
    with pytest.raises(ServerError) as left:
        server._keep_from_writing(leaves, [], said.append)
    assert (str(left.value), said) == (
        f"the system can't keep the server from writing to {root}: {told}, and set sql_server.without_boundary to go_on", []
    )  # fmt: skip


def test_where_the_system_guards_the_tables_the_server_says_so(monkeypatch):
    monkeypatch.setattr(server, "forbid_writes", lambda places: None)
    said = []
    server._keep_from_writing(load(values={"storage.root": "w", "sql_server.without_boundary": "leave"}), [], said.append)
    assert said == ["read-only: the system refuses this process every write outside of its scratch folder (Landlock)"]
