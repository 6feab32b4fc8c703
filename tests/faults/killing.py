"""Kill a run at every phase and compare what the rerun leaves with an undisturbed run."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.lake.fingerprint import fingerprint

CHECKOUT = Path(__file__).resolve().parents[2]


def run(root: Path, deliveries: Path, date: dt.date, fatal: int, jobs: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.killed_run", str(root), str(deliveries), str(date), str(fatal), *jobs]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=600, check=False)


def phases_of(root: Path, deliveries: Path, date: dt.date, jobs: Sequence[str]) -> int:
    """Run undisturbed; how many phases there are."""
    done = run(root, deliveries, date, 0, jobs)
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout.strip().split("\n")[-1])


def kill_and_rerun(root: Path, deliveries: Path, date: dt.date, fatal: int, jobs: Sequence[str]) -> None:
    killed = run(root, deliveries, date, fatal, jobs)
    assert killed.returncode == -signal.SIGKILL, f"phase {fatal}: {killed.stderr[-3000:]}"
    done = run(root, deliveries, date, 0, jobs)
    assert done.returncode == 0, f"rerun after phase {fatal}: {done.stderr[-3000:]}"


def rows_of(lake: Lake) -> dict[str, tuple[int, str]]:
    """Row count and hash of every table but the ledger, whose rows are the runs themselves."""
    return {t.name: fingerprint(t, lake.read(t)) for t in tables.ALL.values() if t is not tables.RUNS and lake.exists(t)}
