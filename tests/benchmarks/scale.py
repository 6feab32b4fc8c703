"""`make bench BENCH=scale`: 0.1, 1 and 10 million made-up videos through the real jobs, each step in a process of its own.

Not part of a plain `make bench`: it takes hours. What it does is set by the environment:

    SCALE_VIDEOS    how many videos, e.g. 100000,1000000 (default: all three sizes)
    SCALE_STEPS     which steps (default: all)
    SCALE_LIMIT     seconds after which a step is ended and said not to have finished (default: 7200)
    SCALE_SETTINGS  settings besides conf/base.yml as JSON, e.g. {"spark.driver_memory": "4g"}
    SCALE_ROOT      folder for the tables, kept and used again (default: a temporary one; 10 million videos take about 40 GB)

The figures of a step are a section of their own: steps can be measured on different days. Only what the steps read is planted.

Seconds are those of the work: start and imports of Spark's session are taken off. Processor seconds, of all processes, hardly change
when other programs run beside; wall seconds do.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.scale_lake import DAY
from tests.benchmarks.scale_step import values_of

CHECKOUT = Path(__file__).resolve().parents[2]
REELHOUSE = Path(sys.prefix) / "bin" / "reelhouse"
SIZES = (100_000, 1_000_000, 10_000_000)
JOBS = ("clean_text", "sample_by_density", "predict", "vector_files")
REPEAT = "repeat"
STEPS = (*JOBS, REPEAT)
EXPONENT_MAX = 1.1
REPEAT_SECONDS_MAX = 20


class Usage(threading.Thread):
    """Peak memory (proportional set size) and processor seconds of a process and all that it started, looked at twice a second;
    largest_python: the most that any single one held that isn't Java."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.gigabytes = self.largest_python = 0.0
        self._seconds: dict[tuple[int, float], float] = {}
        self._root, self._ended = psutil.Process(pid), threading.Event()

    @property
    def processor_seconds(self) -> float:
        return sum(self._seconds.values())

    def run(self) -> None:
        while not self._ended.wait(0.5):
            total = 0
            for process in self._family():
                try:
                    times = process.cpu_times()
                    self._seconds[process.pid, process.create_time()] = times.user + times.system
                    held = process.memory_full_info().pss
                    total += held
                    if process.name() != "java":
                        self.largest_python = max(self.largest_python, held / 2**30)
                except psutil.Error:
                    continue  # it ended meanwhile
            self.gigabytes = max(self.gigabytes, total / 2**30)

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> None:
        self._ended.set()
        self.join()


def measured(command: list[str], limit: float) -> tuple[dict[str, Any], str]:
    """Runs a command: wall and processor seconds, peak memory, whether it ended within the limit, and what it printed."""
    start = time.monotonic()
    # temporary files go to a folder that is removed even where the process was killed
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        around = os.environ | {"TMPDIR": folder}
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=around, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        usage = Usage(process.pid)
        usage.start()
        ended = True
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            ended = False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            wall = time.monotonic() - start
            usage.stop()
        log.seek(0)
        output = log.read()
    if ended and process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output[-3000:]}")
    return {"wall": wall, "processor": usage.processor_seconds, "memory": usage.gigabytes, "ended": ended}, output


def one_step(step: str, videos: int, root: Path, limit: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        module = "tests.benchmarks.scale_step"
        facts, output = measured([sys.executable, "-m", module, step, str(videos), str(root), str(result)], limit)
        facts |= json.loads(result.read_text()) if result.exists() else {}
        facts["processor"] -= facts.pop("session_processor", 0.0)
    print(f"   {videos:>10,} {step}: {facts}", flush=True)
    if not facts["ended"]:
        print(output[-2000:], flush=True)
    return facts


def one_repeat(videos: int, root: Path, limit: float) -> dict[str, Any]:
    """Seconds of `reelhouse daily` for a day of which every job has run."""
    one_step(REPEAT, videos, root, limit)
    sets = [f"--set={name}={json.dumps(value)}" for name, value in values_of(str(root)).items()]
    command = [str(REELHOUSE), "daily", "--date", str(DAY), *sets]
    facts, output = measured(command, limit)
    late = [line for line in output.splitlines() if "succeeded" in line or "failed" in line or "stepped aside" in line]
    if late:
        raise RuntimeError(f"a day of which all is done was not left alone: {late}")
    print(f"   {videos:>10,} repeat: {facts}", flush=True)
    return facts | {"seconds": facts["wall"]}


def run() -> list[dict[str, Any]]:
    sizes = [int(n) for n in os.environ.get("SCALE_VIDEOS", "").split(",") if n] or list(SIZES)
    steps = [s for s in os.environ.get("SCALE_STEPS", "").split(",") if s] or list(STEPS)
    limit = float(os.environ.get("SCALE_LIMIT") or 7200)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="reelhouse-scale-") as temporary:
        for videos in sizes:
            root = Path(os.environ.get("SCALE_ROOT") or temporary) / str(videos)
            root.mkdir(parents=True, exist_ok=True)
            (root / "settings.json").write_text(os.environ.get("SCALE_SETTINGS") or "{}")
            planted = one_step("plant " + " ".join(steps), videos, root, limit)
            if not planted["ended"]:
                found |= {(step, videos): planted for step in steps}
                continue
            for step in steps:
                found[step, videos] = one_repeat(videos, root, limit) if step == REPEAT else one_step(step, videos, root, limit)
    return rows(found)


def rows(found: dict[tuple[str, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures of a page, a section a step: of each size, and how the step grows between the two largest sizes that ended."""
    return [{"section": step} | row for step in dict.fromkeys(step for step, _ in found) for row in _rows_of(step, found)]


def _rows_of(step: str, found: dict[tuple[str, int], dict[str, Any]]) -> list[dict[str, Any]]:
    table = []
    for videos, facts in ((videos, facts) for (s, videos), facts in found.items() if s == step):
        name, bar = f"{step}, {videos / 1e6:g} M videos", f"at most {REPEAT_SECONDS_MAX}" if step == REPEAT else ""
        if "seconds" not in facts or not facts["ended"]:
            table.append({"name": name, "value": "more than", "unit": f"{facts['wall']:.0f} s", "bar": bar, "note": "ended by SCALE_LIMIT"})
            continue
        table.append(_row(name, facts["seconds"], "s", bar, _note(facts)))
    ended = sorted(videos for (s, videos), facts in found.items() if s == step and facts["ended"] and "seconds" in facts)
    for measure in ("seconds", "processor") if step != REPEAT and len(ended) > 1 else ():
        small, large = ended[-2:]
        value = exponent(found[step, small][measure], found[step, large][measure], large / small)
        note = f"{'wall' if measure == 'seconds' else 'processor'} seconds, between {small / 1e6:g} M and {large / 1e6:g} M videos"
        table.append(_row(f"{step}, exponent of the growth", value, "", f"at most {EXPONENT_MAX}", note))
    return table


def exponent(small: float, large: float, times: float) -> float:
    """e of seconds ~ videos^e."""
    return math.log(large / small) / math.log(times)


def _note(facts: dict[str, Any]) -> str:
    parts = [f"{facts['processor']:.0f} s of processors", f"{facts['memory']:.1f} GB"]
    if "shuffle_bytes" in facts:
        parts += [
            f"{facts[name] / 2**20:.0f} MB {what}" for name, what in (("shuffle_bytes", "shuffled"), ("driver_bytes", "to the driver"))
        ]
        parts += [f"{t}: {f['a_partition']:.0f} files of {f['mb_a_file']:.0f} MB a partition" for t, f in facts.get("files", {}).items()]
    return "; ".join(parts)


def _row(name: str, value: float, unit: str, bar: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 2), "unit": unit, "bar": bar, "note": note}
