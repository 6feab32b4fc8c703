"""Starts the ranks of a training, watches them, and ends them all when one dies or time is up."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reelhouse.errors import TrainingError
from reelhouse.lake.environment import installed

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 10.0
_LOG_LINES = 15
_LIBS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Launch:
    """launcher: horovod or torch. hosts: `host:slots,...` for horovodrun; empty: this machine."""

    launcher: str
    ranks: int
    hosts: str
    timeout_seconds: float


def launcher_of(setting: str) -> str:
    """horovod or torch; `auto` is what the set-up recorded. StorageError if its record can't be read."""
    return installed().launcher if setting == "auto" else setting


def run_ranks(folder: Path, launch: Launch, each_look: Callable[[], None] = lambda: None) -> None:
    """Runs reelhouse.training.worker on `folder` in launch.ranks processes, to the end. each_look is called meanwhile.

    Raises TrainingError, with the end of the failing rank's log, when a rank fails or dies (after seconds) or when time is up;
    no process is left behind.
    """
    if launch.launcher == "torch" and launch.hosts:
        raise TrainingError("the launcher `torch` runs on this machine only; set training.launcher=horovod, or training.hosts to nothing")
    if launch.launcher == "horovod" and importlib.util.find_spec("horovod") is None:
        raise TrainingError("Horovod is not in this environment: `make setup` with a C++ compiler, or leave training.launcher at `auto`")
    watched = 0 if launch.hosts else os.getpid()
    (folder / "launch.json").write_text(json.dumps({"launcher": launch.launcher, "watched_pid": watched}), encoding="utf-8")
    commands = _horovod(folder, launch) if launch.launcher == "horovod" else _torch(folder, launch)
    with _processes(commands, folder) as running:
        _watch(running, folder, launch, each_look)


def _horovod(folder: Path, launch: Launch) -> list[tuple[list[str], dict[str, str]]]:
    if launch.hosts:
        runner, where = "horovod.runner.launch", ["-H", launch.hosts]
    else:
        runner, where = "reelhouse.training.loopback", ["-H", f"localhost:{launch.ranks}", "--network-interfaces", _loopback()]
    # horovodrun writes what rank i says to logs/rank.i/; its cache of what it found out about hosts would lie in the home folder
    command = [
        sys.executable, "-m", runner,
        "-np", str(launch.ranks), "--gloo", "--disable-cache", *where, "--output-filename", str(folder / "logs"),
        sys.executable, "-m", "reelhouse.training.worker", str(folder),
    ]  # fmt: skip
    return [(command, {} if launch.hosts else {"HOROVOD_GLOO_IFACE": _loopback()})]


def _torch(folder: Path, launch: Launch) -> list[tuple[list[str], dict[str, str]]]:
    command = [sys.executable, "-m", "reelhouse.training.worker", str(folder)]
    store = folder / "store"
    store.unlink(missing_ok=True)
    shared = {"WORLD_SIZE": str(launch.ranks), "REELHOUSE_STORE": str(store), "GLOO_SOCKET_IFNAME": _loopback()}
    return [(command, shared | {"RANK": str(rank)}) for rank in range(launch.ranks)]


def _loopback() -> str:
    """The name of the interface of 127.0.0.1: ranks on one machine need no network."""
    import psutil

    for name, addresses in sorted(psutil.net_if_addrs().items()):
        if any(a.family == socket.AF_INET and a.address == "127.0.0.1" for a in addresses):
            return name
    raise TrainingError("this machine has no loopback interface (127.0.0.1), over which ranks talk; bring `lo` up")


@contextmanager
def _processes(commands: list[tuple[list[str], dict[str, str]]], folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL"))}
    path = os.pathsep.join(p for p in (str(_LIBS), os.environ.get("PYTHONPATH", "")) if p)
    try:
        for i, (command, extra) in enumerate(commands):
            log = folder / (f"rank-{i}.log" if len(commands) > 1 or "RANK" in extra else "launcher.log")
            with log.open("wb") as out:
                environment = inherited | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | extra
                running.append(
                    subprocess.Popen(
                        command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
                    )
                )
        yield running
    finally:
        _end(running)


def _watch(running: list[subprocess.Popen[bytes]], folder: Path, launch: Launch, each_look: Callable[[], None]) -> None:
    started = time.monotonic()
    while True:
        codes = [p.poll() for p in running]
        each_look()
        failed = [(i, code) for i, code in enumerate(codes) if code not in (None, 0)]
        if failed:
            raise TrainingError(_explain(folder, launch, failed[0]))
        if all(code == 0 for code in codes):
            return
        if time.monotonic() - started > launch.timeout_seconds:
            raise TrainingError(
                f"training took longer than {launch.timeout_seconds / 60:g} minutes (training.timeout_minutes) and was ended; "
                f"it goes on from its last checkpoint when run again.{_log_tail(_logs(folder))}"
            )
        time.sleep(_LOOK_SECONDS)


def _explain(folder: Path, launch: Launch, failed: tuple[int, int]) -> str:
    logs = _logs(folder)
    time.sleep(2 * _LOOK_SECONDS)  # the last lines may still be on their way
    said = [(path, text) for path in logs if (text := path.read_text(encoding="utf-8", errors="replace"))]
    named = [line for _, text in said for line in re.findall(r"TrainingError: (.*)", text)]
    if named:
        return named[0]
    rank, how = failed[0], _ending(failed[1])
    ranks_said = [(path, text) for path, text in said if path.name != "launcher.log"]
    guilty = [path for path, text in ranks_said if "Traceback (most recent call last)" in text and not _is_aftermath(text)]
    if launch.launcher == "horovod":
        # horovodrun's own words: `Process 1 exit with status code 137.` or `Process name: 1`
        told = "\n".join(text for path, text in said if path.name == "launcher.log")
        found = re.search(r"Process name: (\d+)\s+Exit code: (-?\d+)", told)
        found = found or re.search(r"Process (\d+) exit with status code (-?\d+)", told)
        if found:
            rank, how = int(found[1]), _ending(int(found[2]))
    own = [path for path in logs if path.parent.name == f"rank.{rank}" or path.name == f"rank-{rank}.log"]
    tail = _log_tail(guilty or own or logs)  # horovodrun's own log is worth showing only when no rank ever began
    return (
        f"rank {rank} of {launch.ranks} {how}, and the others were ended. Nothing was registered; run again: "
        f"it goes on from its last checkpoint.{tail}"
    )


def _is_aftermath(text: str) -> bool:
    """Whether a rank only failed because another one was gone."""
    return bool(re.search(r"HorovodInternalError|Connection (closed|reset) by peer|Broken pipe", text))


def _ending(code: int) -> str:
    number = -code if code < 0 else code - 128
    if number in {s.value for s in signal.Signals}:
        return f"was killed ({signal.Signals(number).name})"
    return f"failed with exit status {code}"


def _logs(folder: Path) -> list[Path]:
    return sorted([*folder.glob("logs/rank.*/std*"), *folder.glob("rank-*.log"), *folder.glob("launcher.log")])


def _log_tail(logs: list[Path]) -> str:
    for path in logs:
        lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        if lines:
            where = path.parent.name if path.parent.name.startswith("rank.") else path.stem
            return f"\nThe end of its log ({where}):\n  " + "\n  ".join(lines[-_LOG_LINES:])
    return ""


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    """Ends processes and all that they started (horovodrun's ranks are in sessions of their own)."""
    import psutil

    family: list[psutil.Process] = []
    for process in running:
        if process.poll() is None:
            try:
                parent = psutil.Process(process.pid)
                family += [*parent.children(recursive=True), parent]
            except psutil.NoSuchProcess:
                continue
    for member in family:
        try:
            member.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(family, timeout=_GRACE_SECONDS if family else 0)
    for member in alive:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    for process in running:
        process.wait()
