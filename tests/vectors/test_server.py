"""VectorStore, full loads and aliases on the real Milvus server."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from reelhouse.errors import SettingsError, StorageError, VectorStoreError
from reelhouse.vectors import EMBEDDING, FIELDS, HASH, FullLoad, VectorStore, import_folder, only
from reelhouse.vectors.bulk import gathered, write_file
from tests.faults.survived import survives
from tests.milvus_server import MilvusServer, running_server

VERSION = "f00d"
DAY = "2026-01-01"
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("server") / "milvus") as started:
        yield started


@pytest.fixture
def store(server):
    opened = VectorStore(server.uri, "", "unused", 500, timeout_seconds=30)
    yield opened
    for kind in (EMBEDDING, HASH):
        if opened.alias_of(kind):
            opened.call("drop_alias", kind)
    for name in opened.list_collections():
        opened.call("drop_collection", name)
    opened.close()


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


def loaded(store: VectorStore, kind: str, rows: pa.Table, folder: Path, size: int = 900) -> None:
    files = files_of(rows, kind, folder, size)
    made = FullLoad(store, kind, VERSION)
    assert made.begin(128 if kind == HASH else 8)
    made.import_files(files, at_once=2, minutes=2)
    made.finish(sum(f.rows for f in files), sum(f.checksum for f in files) % 2**64, minutes=2)


def held(store: VectorStore, kind: str = EMBEDDING, version: str = VERSION) -> dict[str, int]:
    rows = list(store.ids_and_checksums(kind, version))
    assert len(rows) == len(dict(rows)) == store.count(kind, version)
    return dict(rows)


def wanted(rows: pa.Table) -> dict[str, int]:
    return dict(zip(rows["video_id"].to_pylist(), rows["checksum"].to_pylist(), strict=True))


def test_files_that_were_imported_are_what_was_in_them_and_searched_by_the_nearest(store, tmp_path):
    rows = table(3000)
    loaded(store, EMBEDDING, rows, tmp_path / "files")
    assert held(store) == wanted(rows)
    assert store.list_collections() == ["video_embedding__f00d"]
    vectors = np.array(rows["vector"].to_pylist(), np.float32)
    best = np.argsort(-(vectors @ vectors[17]))[:10]
    ids, found = rows["video_id"].to_pylist(), store.similar(VERSION, vectors[17], 10)
    assert found[0] == (ids[17], pytest.approx(1.0, abs=1e-4))
    assert len({i for i, _ in found} & {ids[i] for i in best}) >= 9
    index = store.call("describe_index", "video_embedding__f00d", "vector")
    assert (index["index_type"], index["metric_type"], index["pending_index_rows"]) == ("HNSW", "COSINE", 0)


def test_hashes_are_imported_and_indexed_in_lists(store, tmp_path):
    rows = table(2500, kind=HASH)
    loaded(store, HASH, rows, tmp_path / "files")
    assert held(store, HASH) == wanted(rows)
    code = rows["vector"][7].as_py()
    assert store.search(HASH, VERSION, code, 1) == [(rows["video_id"][7].as_py(), 0.0)]
    index = store.call("describe_index", "video_hash__f00d", "vector")
    assert (index["index_type"], index["metric_type"]) == ("BIN_IVF_FLAT", "HAMMING")


@pytest.mark.parametrize(
    "where",
    [{"domain": "美食"}, {"domain": 'it\'s "x"', "author": "author 3"}, {"since": dt.date(1970, 1, 8)}, {"author": "' or 1==1"}],
)
def test_filters_leave_what_a_loop_over_all_rows_leaves(store, tmp_path, where):
    rows = table(700)
    loaded(store, EMBEDDING, rows, tmp_path / "files")
    kept = {
        row["video_id"]
        for row in rows.to_pylist()
        if ("domain" not in where or row["domain"] == where["domain"])
        and ("author" not in where or row["author"] == where["author"])
        and ("since" not in where or row["published_at"] >= 7 * 86_400)
    }
    assert store.count_of("video_embedding__f00d", only(**where)) == len(kept)
    found = {video_id for video_id, _ in store.similar(VERSION, rows["vector"][0].as_py(), 50, where=only(**where))}
    assert found <= kept  # near ones are sought in a graph: nearly all
    assert len(found) >= 0.9 * min(50, len(kept))


def test_rows_written_by_key_replace_and_those_deleted_are_gone(store, tmp_path):
    rows = table(1200)
    loaded(store, EMBEDDING, rows, tmp_path / "files")
    vector = rows["vector"][3].as_py()
    store.upsert(EMBEDDING, VERSION, [("视频-00003", vector, 5, "2026-01-02"), ("new", vector, 6, "2026-01-02", "food", "me", 9)])
    assert store.delete(EMBEDDING, VERSION, ["视频-00004", "absent"]) == 1
    expected = {**wanted(rows), "视频-00003": 5, "new": 6}
    del expected["视频-00004"]
    assert held(store) == expected
    assert store.newer(EMBEDDING, VERSION, than=DAY) == {"视频-00003", "new"}


def test_a_load_of_other_rows_than_were_written_is_refused_and_seen_by_nobody(store, tmp_path):
    files = files_of(table(300), EMBEDDING, tmp_path / "files", 200)
    made = FullLoad(store, EMBEDDING, VERSION)
    made.begin(8)
    made.import_files([*files, files[1]], at_once=2, minutes=2)  # as a repeated request would
    with pytest.raises(VectorStoreError, match=r"video_embedding__f00d__loading holds 400 rows and should hold 300, .*begins anew"):
        made.finish(300, sum(f.checksum for f in files) % 2**64, minutes=2)
    assert not store.exists(EMBEDDING, VERSION)
    loaded(store, EMBEDDING, table(300), tmp_path / "again", 200)
    assert held(store) == wanted(table(300))


def test_a_file_that_is_not_there_is_named(store, tmp_path):
    files = files_of(table(100), EMBEDDING, tmp_path / "files", 100)
    (tmp_path / "files" / "0" / "checksum.npy").unlink()
    made = FullLoad(store, EMBEDDING, VERSION)
    made.begin(8)
    with pytest.raises(VectorStoreError, match=r"files/0|checksum\.npy"):
        made.import_files(files, at_once=1, minutes=1)


def test_the_alias_moves_while_readers_read_and_old_collections_go(store, tmp_path):
    for version in ("a1", "b2", "c3"):
        store.ensure(EMBEDDING, version, 8)
        store.upsert(EMBEDDING, version, [(version, table(1)["vector"][0].as_py(), 1, DAY)])
    store.point_alias(EMBEDDING, "b2")
    assert (store.alias_of(EMBEDDING), store.alias_of(HASH)) == ("video_embedding__b2", None)
    with reading(store._uri) as seen:
        begin = time.monotonic()
        store.point_alias(EMBEDDING, "c3")
        store.point_alias(EMBEDDING, "c3")
        while seen[-1:] != ["c3"]:
            assert time.monotonic() - begin < 5
            time.sleep(0.01)
    assert set(seen) == {"b2", "c3"}
    assert store.keep_only(["b2", "c3"]) == ["video_embedding__a1"]
    assert store.list_collections() == ["video_embedding__b2", "video_embedding__c3"]


class reading:  # noqa: N801 - used as a context
    """Searches by the alias in a loop; what came first each time, or the error."""

    def __init__(self, uri: str) -> None:
        self.uri, self.seen, self.stop = uri, [], threading.Event()

    def __enter__(self) -> list:
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        while not self.seen:
            time.sleep(0.01)
        return self.seen

    def run(self) -> None:
        from pymilvus import MilvusClient

        client, query = MilvusClient(self.uri, timeout=10), np.ones(8, np.float32)
        while not self.stop.is_set():
            try:
                named = {"output_fields": ["video_id"], "consistency_level": "Strong", "timeout": 10}
                (hits,) = client.search(EMBEDDING, data=[query], limit=1, **named)
                self.seen.append(hits[0]["entity"]["video_id"] if hits else "nothing")
            except Exception as error:  # noqa: BLE001 - the test compares what was seen
                self.seen.append(repr(error))

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.thread.join(20)


# One process that forks another for each step: it dies there by SIGKILL, and the next one begins where it left the server.
KILLED = """
import os, signal, sys
from pathlib import Path
from reelhouse.vectors import EMBEDDING, FullLoad, VectorStore
from tests.vectors.test_server import files_of, load_again
def dying(action, method, when):
    def wrapped(name, *arguments, **named):
        if (name, when) == (method, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = action(name, *arguments, **named)
        if name == method:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return wrapped
uri, folder, *steps = sys.argv[1:]
for number, step in enumerate(steps):
    child = os.fork()
    if not child:
        store = VectorStore(uri, "", "unused", 500)
        store.call, store.call_connection = (dying(a, *step.split()) for a in (store.call, store.call_connection))
        load_again(store, Path(folder) / str(number))
        os._exit(0)
    print(step, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
LOADED = 1500


def load_again(store: VectorStore, folder: Path) -> None:
    """As the job does."""
    made = FullLoad(store, EMBEDDING, VERSION)
    if made.begin(8):
        files = files_of(table(LOADED), EMBEDDING, folder, 800)
        made.import_files(files, 2, 2)
        made.finish(LOADED, sum(f.checksum for f in files) % 2**64, 2)


def killed_at(server: MilvusServer, store: VectorStore, folder: Path, steps: list[str], *, older: bool) -> list[str]:
    """Load, killed at each step in turn, then whole; returns what a reader by the alias saw that was neither version's row.

    older: the alias stands for a collection of the name that the new one takes; else for another version's.
    """
    if older:
        loaded(store, EMBEDDING, table(1000, seed=5), folder / "older")
        store.point_alias(EMBEDDING, VERSION)
    else:
        store.ensure(EMBEDDING, "served", 8)
        store.upsert(EMBEDDING, "served", [("served", table(1)["vector"][0].as_py(), 1, DAY)])
        store.point_alias(EMBEDDING, "served")
    with reading(server.uri) as seen:
        command = [sys.executable, "-W", "ignore", "-c", KILLED, server.uri, str(folder), *steps]
        environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}/libs:{CHECKOUT}"}
        done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.stdout.splitlines() == [f"{step} {-signal.SIGKILL}" for step in steps], done.stderr[-2000:]
        load_again(store, folder / "last")
        store.point_alias(EMBEDDING, VERSION)
        end = len(seen)
        while len(seen) == end:
            time.sleep(0.01)
    assert held(store) == wanted(table(LOADED))
    assert [name for name in store.list_collections() if name.endswith("loading")] == []
    return [s for s in seen if not s.startswith(("served", "视频-"))]


def test_a_load_killed_at_any_step_leaves_each_row_once_when_run_again_and_readers_see_no_gap(server, store, tmp_path):
    steps = ["create_collection after", "do_bulk_insert after", "create_index after", "rename_collection before"]
    assert killed_at(server, store, tmp_path, steps, older=False) == []


@survives(
    "the Milvus server is killed during a load",
    seconds=None,
    sees="`Milvus at … does not answer within 60 s (vectors.timeout_seconds)`; searches go on as soon as it is back",
    mends="start it, then the same command: the load begins anew",
)
def test_a_server_that_is_killed_is_a_named_error_and_after_its_restart_the_load_is_made_again(tmp_path):
    rows = table(600)
    with running_server(tmp_path / "milvus") as server:
        store = VectorStore(server.uri, "", "unused", 500, timeout_seconds=3)
        made = FullLoad(store, EMBEDDING, VERSION)
        made.begin(8)
        files = files_of(rows, EMBEDDING, tmp_path / "files", 200)
        killed = killing_after_first_import(store, server)
        begin = time.monotonic()
        with pytest.raises(VectorStoreError, match=r"does not answer within 3 s \(vectors\.timeout_seconds\)"):
            made.import_files(files, 1, 1)
        assert len(killed) == 1
        assert time.monotonic() - begin < 30
        store.close()
        server.start()
        patient = VectorStore(server.uri, "", "unused", 500, timeout_seconds=60)
        loaded(patient, EMBEDDING, rows, tmp_path / "again")
        assert held(patient) == wanted(rows)
        patient.close()


def killing_after_first_import(store: VectorStore, server: MilvusServer) -> list[int]:
    """Replaces the store's call by one that kills the server when the first file is on its way."""
    done: list[int] = []
    action = store.call_connection

    def wrapped(method: str, *arguments):
        result = action(method, *arguments)
        if method == "do_bulk_insert" and not done:
            done.append(result)
            server.kill()
        return result

    store.call_connection = wrapped
    return done


def test_the_token_and_the_user_in_an_address_are_in_no_error():
    store = VectorStore("http://someone:secret-1@127.0.0.1:9", "secret-2", "unused", 10)
    with pytest.raises(VectorStoreError, match=r"Milvus at http://127\.0\.0\.1:9 can't be opened") as caught:
        store.list_collections()
    assert "secret" not in str(caught.value)


def test_a_bucket_is_no_import_folder_and_what_killed_loads_left_goes(tmp_path):
    with pytest.raises(SettingsError, match=r"vectors\.import_folder must be a folder .* not s3a://bucket/x.*leave it empty"):
        import_folder("s3a://bucket/x", "name")
    left = import_folder(str(tmp_path), "name")
    (left / "0").mkdir()
    other = import_folder(str(tmp_path), "other")
    assert {import_folder(str(tmp_path), "name"), other} == set(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"vectors\.import_folder .*file can't be written"):
        import_folder(str(tmp_path / "file"), "name")
