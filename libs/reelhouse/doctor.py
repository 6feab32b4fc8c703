"""What may keep a day from running well: the machine, the installation, the services, the tables. It looks and says; it changes nothing."""

from __future__ import annotations

import datetime as dt
import fcntl
import importlib.metadata
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

from reelhouse import tables
from reelhouse.errors import ReelhouseError
from reelhouse.lake import health
from reelhouse.lake.environment import Environment, installed
from reelhouse.lake.trouble import written_again
from reelhouse.pipeline import begun
from reelhouse.scratch import cache_folder
from reelhouse.sections import memory_bytes
from reelhouse.settings import CONF, Settings

Level = Literal["ok", "warning", "wrong"]
JAVA_MIN = 17
GIB = 2**30
SPACE_WRONG, SPACE_LOW = 1 * GIB, 10 * GIB
FILES_A_DAY = 16  # of a table, on average, from which compaction pays
SERVER_SECONDS = 3.0
# what STACK pins for a reason: another version breaks reading, training or the vectors
PINNED = (
    "pyspark",
    "delta-spark",
    "numpy",
    "pyarrow",
    "petastorm",
    "torch",
    "mlflow",
    "pymilvus",
    "milvus-lite",
    "great-expectations",
    "av",
)
LOCK = CONF.parent / "requirements.lock"
# what a person does where files can't be looked at from here
ON_OBJECT_STORE = (
    "a job or query that meets a damaged file names it: bring that object back from an earlier version that the store kept, or from a copy"
)
_AS_ITS_USER = "ask as the user whose runs these are"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. mend: what to do, in one sentence; empty where nothing is wrong."""

    level: Level
    about: str
    told: str
    mend: str = ""


def examine(settings: Settings, *, thorough: bool = False) -> Iterator[Finding]:
    """Everything, in the order of a day's needs. thorough: the bytes of every file of every table too."""
    yield from java_and_jars()
    yield from versions(LOCK)
    yield from launcher(settings)
    yield from space(settings)
    yield from machine(settings)
    yield from decoding(settings)
    yield from servers(settings)
    yield sql_port(settings)
    root = local_root(settings)
    if root is None:
        told = f"not looked at: {settings.storage.root} is no local folder, and only those are looked into"
        yield Finding("warning", "tables", told, ON_OBJECT_STORE)
    elif not (root / "tables").is_dir():
        yield Finding("ok", "tables", f"nothing was written to {root} yet")
    else:
        yield from lake(root, settings, thorough)


def local_root(settings: Settings) -> Path | None:
    root = re.sub(r"^file:(//)?(?=/)", "", settings.storage.root)
    return None if "://" in root else Path(root).resolve()


# -- the installation


def java_and_jars() -> Iterator[Finding]:
    try:
        environment = installed()
    except ReelhouseError as error:
        yield Finding("wrong", "Delta's JARs", str(error), "run `make setup`")
        return
    yield _java(environment)
    wanted = {name: digest for digest, name in (line.split() for line in (CONF / "environment" / "jars.lock").read_text().splitlines())}
    odd = [jar for jar in environment.jars if _sha256(Path(jar)) != wanted.get(Path(jar).name)]
    if odd or len(environment.jars) != len(wanted):
        yield Finding(
            "wrong", "Delta's JARs", f"not those of conf/environment/jars.lock: {', '.join(odd) or 'some are missing'}", "run `make setup`"
        )
    else:
        yield Finding("ok", "Delta's JARs", f"{len(wanted)} as locked")


def _java(environment: Environment) -> Finding:
    home = environment.java_home or os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    mend = f"install Java {JAVA_MIN} or newer, or run `make setup`, which brings one"
    if program is None:
        return Finding("wrong", "Java", "none was found", mend)
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("wrong", "Java", f"{program} does not start: {error}", mend)
    found = re.search(r'version "(\d+)', said)
    if not found or int(found[1]) < JAVA_MIN:
        return Finding("wrong", "Java", f"{program} is {found[1] if found else 'of no known version'}, {JAVA_MIN} is needed", mend)
    return Finding("ok", "Java", f"{found[1]} at {program}")


def versions(lock: Path) -> Iterator[Finding]:
    """Installed packages against the lock."""
    if not lock.exists():
        yield Finding("ok", "packages", "there is no lock here to compare with")
        return
    locked = dict(re.findall(r"^([\w.-]+)==([^ \\\n]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))
    unlike = []
    for name in PINNED:
        try:
            have = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            have = "missing"
        if name in locked and have != locked[name]:
            unlike.append(f"{name} is {have}, {locked[name]} is locked")
    if unlike:
        yield Finding("wrong", "packages", "; ".join(unlike), "run `make setup`")
    else:
        yield Finding("ok", "packages", f"{len(PINNED)} that matter are as locked")


def launcher(settings: Settings) -> Iterator[Finding]:
    there, asked = importlib.util.find_spec("horovod") is not None, settings.training.launcher
    if there:
        yield Finding("ok", "Horovod", "is installed")
    elif asked == "horovod":
        yield Finding(
            "wrong",
            "Horovod",
            "training.launcher is horovod, and it is not installed",
            "set training.launcher=auto, or install a C++ compiler and run `make setup`",
        )
    else:
        yield Finding(
            "warning",
            "Horovod",
            "is not installed: torch's launcher trains, on one machine",
            "for several machines install a C++ compiler and run `make setup`",
        )


# -- the machine


def space(settings: Settings) -> Iterator[Finding]:
    root = local_root(settings)
    places = {"storage.root": root, "cache folder": cache_folder(), "temporary folder": Path(tempfile.gettempdir())}
    for about, path in places.items():
        if path is None:
            continue
        existing = next(p for p in (path, *path.parents) if p.exists())
        free = shutil.disk_usage(existing).free
        told = f"{free / GIB:.1f} GiB free at {path}"
        level: Level = "wrong" if free < SPACE_WRONG else "warning" if free < SPACE_LOW else "ok"
        yield Finding(level, f"space of the {about}", told, "" if level == "ok" else "free space, or name another folder")
        if not os.access(existing, os.W_OK):
            yield Finding("wrong", about, f"{existing} may not be written", "mend its permissions, or name another folder")


def machine(settings: Settings) -> Iterator[Finding]:
    import psutil

    total, wanted = psutil.virtual_memory().total, memory_bytes(settings.spark.driver_memory)
    if wanted > 0.7 * total:
        told = f"spark.driver_memory is {settings.spark.driver_memory} of {total / GIB:.1f} GiB, and Python, torch and Milvus need some too"
        yield Finding("warning", "memory", told, f"set spark.driver_memory to {max(1, int(0.5 * total / GIB))}g")
    else:
        yield Finding("ok", "memory", f"{settings.spark.driver_memory} of {total / GIB:.1f} GiB for Spark")
    cores, asked = os.cpu_count() or 1, re.fullmatch(r"local\[(\d+)\]", settings.spark.master)
    most = max(int(asked[1]) if asked else 0, 0 if settings.training.hosts else settings.training.ranks)
    if most > cores:
        told = f"{most} processes or threads are asked for on {cores} cores (spark.master, training.ranks)"
        yield Finding("warning", "cores", told, f"set spark.master=local[{cores}] and training.ranks={cores}")
    else:
        yield Finding("ok", "cores", str(cores))


def decoding(settings: Settings) -> Iterator[Finding]:
    """A tiny clip made and opened again; the models of OCR and of the frames."""
    mend = "run `make setup`"
    try:
        with tempfile.TemporaryDirectory(prefix="reelhouse-") as folder:
            shown = _decode_a_clip(Path(folder) / "clip.avi")
        yield (
            Finding("ok", "video", f"decoding works ({shown} pictures)") if shown else Finding("wrong", "video", "nothing is decoded", mend)
        )
    except (ImportError, OSError, ValueError) as error:
        yield Finding("wrong", "video", f"decoding fails: {error}", mend)
    if settings.video.ocr_frames:
        spec = importlib.util.find_spec("rapidocr_onnxruntime")
        models = list(Path(spec.origin).parent.glob("models/*.onnx")) if spec and spec.origin else []
        yield (
            Finding("ok", "OCR", f"{len(models)} models")
            if len(models) >= 2
            else Finding("wrong", "OCR", "its models are missing", f"{mend}, or set video.ocr_frames=0")
        )
    encoder = settings.video.encoder
    if "/" in encoder and not Path(encoder).is_file():
        yield Finding("wrong", "frame encoder", f"video.encoder names {encoder}, which is not there", "correct video.encoder")


def _decode_a_clip(path: Path) -> int:
    import av
    import numpy as np

    with av.open(str(path), "w") as clip:
        stream = clip.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for grey in range(5):
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * grey, np.uint8), format="rgb24")))
        clip.mux(stream.encode())
    with av.open(str(path)) as clip:
        return sum(1 for _ in clip.decode(video=0))


# -- what runs beside


def servers(settings: Settings) -> Iterator[Finding]:
    """Whether the servers that the settings name answer."""
    named = [("vectors.uri", settings.vectors.uri), ("models.uri", settings.models.uri)]
    named += [("spark.metastore", uri.strip()) for uri in settings.spark.metastore.split(",")]  # one or, for when it fails, several
    for name, uri in named:
        try:
            address = urlparse(uri)
            port = address.port or (443 if address.scheme == "https" else 80)
        except ValueError as error:
            yield Finding("wrong", name, f"{uri} is no address ({error})", f"correct {name}")
            continue
        if address.scheme not in ("http", "https", "tcp", "thrift") or not address.hostname:
            continue
        try:
            socket.create_connection((address.hostname, port), SERVER_SECONDS).close()
        except OSError as error:
            told = f"nothing answers at {address.hostname}:{port} ({error})"
            yield Finding("wrong", name, told, f"start that server, or correct {name}")
        else:
            yield Finding("ok", name, f"{address.hostname}:{port} answers")


def sql_port(settings: Settings) -> Finding:
    """Whether `reelhouse sql-server` could listen, or something does."""
    from reelhouse.sql_server.server import check_port

    host, port = settings.sql_server.host, settings.sql_server.port
    try:
        socket.create_connection((host, port), SERVER_SECONDS).close()
    except OSError:
        pass
    else:
        return Finding("ok", "sql_server.port", f"something listens at {host}:{port}: `reelhouse sql-server`, if you started it")
    try:
        check_port(host, port)
    except ReelhouseError as error:
        return Finding("warning", "sql_server.port", str(error), "correct sql_server.host and sql_server.port")
    return Finding("ok", "sql_server.port", f"{host}:{port} is free")


# -- the lake


def lake(root: Path, settings: Settings, thorough: bool) -> Iterator[Finding]:
    before = health.days_ago(settings.storage.keep_days)
    found = [health.table_health(root, t, left_before=before, thorough=thorough) for t in tables.ALL.values()]
    there = [h for h in found if h is not None]
    wrong = [f for h in there for f in _of_table(h)]
    yield from wrong
    if not any(f.level == "wrong" for f in wrong):
        optimized = [h.optimized for h in there if h.optimized]
        last = f"last compacted {max(optimized):%Y-%m-%d}" if optimized else "never compacted as far as their logs reach"
        yield Finding("ok", "tables", f"{len(there)} with {sum(h.files for h in there)} files; {last}")
        yield from _clock(root)
    yield from _orphans(root, sum(h.left for h in there))
    yield from _cut_off(root)


def _of_table(one: health.TableHealth) -> Iterator[Finding]:
    for path in one.damaged:
        yield Finding("wrong", one.table, f"{path}, a part of its log, is damaged", "run `reelhouse repair`")
    if one.missing is not None:
        yield Finding("wrong", one.table, f"its log has no entry {one.missing}", "bring it back from a copy")
    damaged = one.lost_checkpoint is not None and one.lost_checkpoint.exists()
    if one.lost_checkpoint and not one.reaches_back:
        told = f"its checkpoint {one.lost_checkpoint} is {'damaged' if damaged else 'lost'}"
        yield Finding("wrong", one.table, told, "bring it back from a copy")
    elif damaged:  # Delta does not pass over it
        told = f"its checkpoint {one.lost_checkpoint} is damaged; the log makes up for it"
        yield Finding("wrong", one.table, told, "remove that file, then run `reelhouse maintain`")
    elif one.lost_checkpoint:
        yield Finding(
            "warning", one.table, f"its checkpoint {one.lost_checkpoint} is lost; the log makes up for it", "run `reelhouse maintain`"
        )
    for path in one.lost:
        yield Finding("wrong", one.table, f"its file {path} is lost or damaged", written_again(str(path)))
    if one.files > FILES_A_DAY * max(one.days, 1):
        yield Finding("warning", one.table, f"{one.files} files for {one.days} days", "run `reelhouse maintain`")


def _clock(root: Path) -> Iterator[Finding]:
    now = dt.datetime.now(dt.UTC)
    try:
        newest = health.newest_start(root)
    except (OSError, ValueError) as error:
        yield Finding("wrong", tables.RUNS.name, f"a file of it can't be read: {error}", "run `reelhouse doctor --thorough`")
        return
    if newest and newest > now + dt.timedelta(minutes=5):
        told = f"the newest run began {newest:%Y-%m-%d %H:%M} UTC, now it is {now:%Y-%m-%d %H:%M}"
        yield Finding("warning", "clock", told, "set the machine's clock; runs keep their order all the same")
    else:
        yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M} UTC")


def _orphans(root: Path, left: int) -> Iterator[Finding]:
    for path in health.unknown_folders(root):
        yield Finding("warning", "orphans", f"{path} belongs to no table", "remove it if you know what it is")
    if left:
        yield Finding("warning", "orphans", f"{left / 2**20:.1f} MiB of files that no table refers to any more", "run `reelhouse maintain`")


def _cut_off(root: Path) -> Iterator[Finding]:
    """Marks of jobs that began and did not end, and whose date no run is at work on."""
    marks = root / "markers"
    try:
        found = begun(os.listdir(marks)) if marks.is_dir() else {}
    except OSError as error:
        yield Finding("warning", "runs", f"what was cut off can't be seen: {error}", _AS_ITS_USER)
        return
    for date, job in sorted((day, name) for day, names in found.items() for name in names):
        try:
            at_work = _is_locked(root / "locks" / f"run-{date}.lock")
        except OSError as error:
            yield Finding("warning", "runs", f"whether {job} of {date} was cut off or is at work can't be seen: {error}", _AS_ITS_USER)
            continue
        if at_work:
            yield Finding("ok", "runs", f"{job} of {date} is at work")
        else:
            yield Finding("warning", "runs", f"{job} of {date} was cut off", f"`reelhouse daily --date {date}` goes on from there")


def _is_locked(path: Path) -> bool:
    """Whether a process holds a lock file. It is only read, and let go of at once: a run that begins must find it free."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def worst(findings: list[Finding]) -> Level:
    order: Callable[[Level], int] = ("ok", "warning", "wrong").index
    return max((f.level for f in findings), key=order, default="ok")
