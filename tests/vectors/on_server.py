"""Full loads into the real Milvus server, also killed ones, and readers who search by the alias meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reelhouse.vectors import EMBEDDING, FIELDS, HASH, FullLoad, VectorStore
from reelhouse.vectors.bulk import gathered, write_file
from tests.milvus_server import MilvusServer

VERSION = "f00d"
DAY = "2026-01-01"
CHECKOUT = Path(__file__).resolve().parents[2]
QUERY = np.ones(8, np.float32)
WAIT_SECONDS = 120


def table(count: int, *, kind: str = EMBEDDING, seed: int = 0, first: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    hashes = pa.array([code.tobytes() for code in draw.integers(0, 256, (count, 16), dtype=np.uint8)], pa.binary())
    numbers = range(first, first + count)
    columns = {
        "video_id": [f"视频-{i:05d}" for i in numbers],
        "vector": hashes if kind == HASH else pa.array(list(vectors), pa.list_(pa.float32())),
        "checksum": pa.array(draw.integers(-(2**63), 2**63 - 1, count), pa.int64()),
        "data_date": [DAY] * count,
        "domain": [("food", "美食", 'it\'s "x"', "")[i % 4] for i in numbers],
        "author": [f"author {i % 7}" if i % 5 else "" for i in numbers],
        "published_at": pa.array([86_400 * (i % 10) for i in numbers], pa.int64()),
    }
    return pa.table({name: columns[name] for name in FIELDS}).take(draw.permutation(count))


def files_of(rows: pa.Table, kind: str, folder: Path, size: int):
    folder.mkdir(parents=True, exist_ok=True)
    return [write_file(part, kind, folder / f"{n}") for n, part in enumerate(gathered(rows.to_batches(), size))]


def loaded(store: VectorStore, kind: str, rows: pa.Table, folder: Path, size: int = 900, version: str = VERSION) -> None:
    files = files_of(rows, kind, folder, size)
    made = FullLoad(store, kind, version)
    assert made.begin(128 if kind == HASH else 8)
    made.import_files(files, at_once=2, minutes=10)
    made.finish(sum(f.rows for f in files), sum(f.checksum for f in files) % 2**64, minutes=10)


def held(store: VectorStore, kind: str = EMBEDDING, version: str = VERSION) -> dict[str, int]:
    rows = list(store.ids_and_checksums(kind, version))
    assert len(rows) == len(dict(rows)) == store.count(kind, version)
    return dict(rows)


def wanted(rows: pa.Table) -> dict[str, int]:
    return dict(zip(rows["video_id"].to_pylist(), rows["checksum"].to_pylist(), strict=True))


def nearest_of(rows: pa.Table) -> str:
    """The video whose vector is nearest to QUERY."""
    return rows["video_id"][int(np.argmax(np.array(rows["vector"].to_pylist()) @ QUERY))].as_py()


class reading:  # noqa: N801 - used as a context
    """A reader who asks by the alias, over and over: which id is nearest to the query, and how many rows there are. An answer is an
    error where there is none."""

    def __init__(self, uri: str, query: Sequence[float] | np.ndarray = QUERY) -> None:
        self.uri, self.query, self.stop = uri, np.asarray(query, np.float32), threading.Event()
        self.nearest: list[Any] = []
        self.counts: list[Any] = []

    def __enter__(self) -> reading:
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.ask_again()
        return self

    def run(self) -> None:
        from pymilvus import MilvusClient

        client, named = MilvusClient(self.uri, timeout=10), {"consistency_level": "Strong", "timeout": 10}

        def nearest() -> str:
            (hits,) = client.search(EMBEDDING, data=[self.query], limit=1, output_fields=["video_id"], **named)
            return str(hits[0]["entity"]["video_id"]) if hits else "nothing"

        def count() -> int:
            return int(client.query(EMBEDDING, filter="", output_fields=["count(*)"], **named)[0]["count(*)"])

        while not self.stop.is_set():
            self.nearest.append(answer_of(nearest))
            self.counts.append(answer_of(count))

    def ask_again(self) -> None:
        """Returns when both were asked once more, after this was called."""
        asked = len(self.counts)
        self.wait_until(lambda: len(self.counts) > asked + 1)

    def wait_until(self, state: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not state():
            assert self.thread.is_alive()
            assert time.monotonic() < end, (self.nearest[-1:], self.counts[-1:])
            time.sleep(0.01)

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.thread.join(WAIT_SECONDS)


def answer_of(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - the test compares what was seen
        return error


def in_order(answers: Sequence[Any]) -> list[Any]:
    """Each answer once for as long as it stayed the same."""
    return [answer for answer, _ in groupby(answers)]


# One process that forks another for each step: it dies there by SIGKILL, and the next one begins where it left the server.
KILLED = """
import os, signal, sys
from pathlib import Path
from reelhouse.vectors import VectorStore
from tests.vectors.on_server import load_again
def dying(action, method, when):
    def wrapped(name, *arguments, **named):
        if (name, when) == (method, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = action(name, *arguments, **named)
        if name == method:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return wrapped
def load(number, step):
    store = VectorStore(uri, "", "unused", 500)
    store.call, store.call_connection = (dying(a, *step.split()) for a in (store.call, store.call_connection))
    load_again(store, Path(folder) / str(number))
def search(number, step):
    assert VectorStore(uri, "", "unused", 500).similar(served, [1.0] * 8, 1)
    os._exit(0)
def status_of(work, *given):
    child = os.fork()
    if not child:
        try:
            work(*given)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
uri, folder, served, *steps = sys.argv[1:]
for number, step in enumerate(steps):
    print(step, status_of(load, number, step), status_of(search, number, step), flush=True)
"""


def new_rows() -> pa.Table:
    """In order of nearness to the query: what is nearest is in the last file, so half of a load answers with another id."""
    rows = table(1500)
    return rows.take(np.argsort(np.array(rows["vector"].to_pylist()) @ QUERY))


def load_again(store: VectorStore, folder: Path) -> None:
    """As the job does."""
    made = FullLoad(store, EMBEDDING, VERSION)
    if made.begin(8):
        rows = new_rows()
        files = files_of(rows, EMBEDDING, folder, 800)
        made.import_files(files, 2, 10)
        made.finish(rows.num_rows, sum(f.checksum for f in files) % 2**64, 10)


def load_killed_at(server: MilvusServer, store: VectorStore, folder: Path, steps: list[str], *, in_place: bool) -> None:
    """Load, killed at each step in turn, then whole; a reader by the alias sees the old rows, whole, and from one moment on the new ones,
    and one by the version finds some after each kill.

    in_place: the old ones are in a collection of the name that the new one takes; else they are another version's.
    """
    old, new, served = table(1000, seed=5, first=500), new_rows(), VERSION if in_place else "beef"
    loaded(store, EMBEDDING, old, folder / "old", version=served)
    store.point_alias(EMBEDDING, served)
    assert nearest_of(old) != nearest_of(new)
    with reading(server.uri) as seen:
        command = [sys.executable, "-W", "ignore", "-c", KILLED, server.uri, str(folder), served, *steps]
        environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}/libs:{CHECKOUT}"}
        done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=900, check=False)
        assert done.stdout.splitlines() == [f"{step} {-signal.SIGKILL} 0" for step in steps], done.stderr[-2000:]
        load_again(store, folder / "last")
        if not in_place:  # nobody goes over before the alias does
            seen.ask_again()
            assert (in_order(seen.nearest), in_order(seen.counts)) == ([nearest_of(old)], [old.num_rows])
            assert held(store, version=served) == wanted(old)
        store.point_alias(EMBEDDING, VERSION)
        seen.ask_again()
    assert in_order(seen.nearest) == [nearest_of(old), nearest_of(new)]
    assert in_order(seen.counts) == [old.num_rows, new.num_rows]
    assert held(store) == wanted(new)
    assert [name for name in store.list_collections() if name.endswith("loading")] == []
