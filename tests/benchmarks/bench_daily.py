"""Bars 1 and 3 of the daily run: one date of the sample, a repeat with nothing new, and KuaiRec's text-only videos."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tests.kuairec import write_manifest

CHECKOUT = Path(__file__).resolve().parents[2]
REELHOUSE = Path(sys.prefix) / "bin" / "reelhouse"
KUAIREC = CHECKOUT.parent / "shared" / "data" / "kuairec"


def timed(*arguments: str, folder: Path) -> tuple[float, float]:
    """Wall seconds and peak memory in GB (proportional set size over the whole process tree) of one command."""
    start = time.monotonic()
    process = subprocess.Popen([str(REELHOUSE), *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    output, _ = process.communicate()
    seconds = time.monotonic() - start
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"reelhouse {' '.join(arguments)} ended with {process.returncode}:\n{output[-3000:]}")
    print(output[-6000:])
    return seconds, peak[0]


def _watch(process: subprocess.Popen[str], peak: list[float]) -> None:
    while process.poll() is None:
        total = 0
        try:
            root = psutil.Process(process.pid)
            for one in [root, *root.children(recursive=True)]:
                try:
                    total += one.memory_full_info().pss
                except psutil.Error:
                    continue  # it ended meanwhile
        except psutil.NoSuchProcess:
            return
        peak[0] = max(peak[0], total / 2**30)
        time.sleep(0.5)


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        subprocess.run([str(REELHOUSE), "sample"], cwd=folder, check=True)
        options = ["--root", "w", "--set", f"sources.deliveries={folder / 'sample' / 'deliveries'}"]
        first, memory = timed("daily", "--date", "2026-01-01", *options, folder=folder)
        again, _ = timed("daily", "--date", "2026-01-01", *options, folder=folder)
        second, _ = timed("daily", "--date", "2026-01-02", *options, folder=folder)
        manifest = write_manifest(KUAIREC / "videos.csv", folder / "kuairec.csv")
        subprocess.run([str(REELHOUSE), "taxonomy", "build", str(manifest), "--into", "tree.yml"], cwd=folder, check=True)
        tree = f"taxonomy.category={folder / 'tree.yml'}"
        kuairec, kuairec_memory = timed(
            "daily", "--date", "2026-01-01", "--manifest", str(manifest), "--root", "k", "--set", tree, folder=folder
        )
    return [
        _row("one date of the sample, wall", first, "s", "at most 180"),
        _row("the same, peak memory of all processes (PSS)", memory, "GB", "at most 6"),
        _row("the same date again with nothing new, wall", again, "s", "at most 20"),
        _row("the next date of the sample, wall", second, "s", ""),
        _row("KuaiRec, 7,470 text-only videos, whole pipeline, wall", kuairec, "s", "at most 300"),
        _row("the same, peak memory of all processes (PSS)", kuairec_memory, "GB", ""),
    ]


def _row(name: str, value: float, unit: str, bar: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 2), "unit": unit, "bar": bar, "note": ""}
