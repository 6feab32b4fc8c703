"""VectorStore, full loads and aliases on the real Milvus server."""

from __future__ import annotations

import datetime as dt
import time

import numpy as np
import pytest

from reelhouse import settings as settings_module
from reelhouse.errors import SettingsError, StorageError, VectorStoreError
from reelhouse.vectors import EMBEDDING, HASH, FullLoad, VectorStore, import_folder, only
from tests.faults.survived import survives
from tests.milvus_server import MilvusServer, running_server
from tests.vectors.days import DAY1, DAY2, Days, unit
from tests.vectors.on_server import DAY, VERSION, files_of, held, in_order, load_killed_at, loaded, reading, table, wanted


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
        store.point_alias(EMBEDDING, "c3")
        store.point_alias(EMBEDDING, "c3")
        seen.wait_until(lambda: seen.nearest[-1:] == ["c3"])
    assert in_order(seen.nearest) == ["b2", "c3"]
    assert store.keep_only(["b2", "c3"]) == ["video_embedding__a1"]
    assert store.list_collections() == ["video_embedding__b2", "video_embedding__c3"]


def test_a_load_killed_at_any_step_leaves_each_row_once_when_run_again_and_readers_see_no_gap(server, store, tmp_path):
    steps = ["create_collection after", "do_bulk_insert after", "create_index after", "rename_collection before"]
    load_killed_at(server, store, tmp_path, steps, in_place=False)


@survives(
    "the Milvus server is killed during a load",
    seconds=120,
    sees="`Milvus at … does not answer within 60 s (vectors.timeout_seconds)`; searches go on as soon as it is back",
    mends="start it, then the same command: the load begins anew",
)
def test_a_server_that_is_killed_is_a_named_error_and_after_its_restart_searches_go_on_and_the_load_is_made_again(lake, tmp_path):
    old, new = {f"v{i}": i / 10 for i in range(8)}, {f"v{i}": (9 - i) / 10 for i in range(10)}
    nearest = ("v0", "v9")  # to the angle 0
    with running_server(tmp_path / "milvus") as server:
        values = {"storage.root": lake.root, "vectors.uri": server.uri, "vectors.import_folder": str(tmp_path / "import")}
        values |= {"vectors.import_rows": 3, "vectors.timeout_seconds": 10}
        days = Days(lake, settings_module.load(values=values))
        days.predicted(DAY1, old, "encoder-old")
        for job in ("load_vectors", "serve"):
            days.run(job, DAY1)
        days.predicted(DAY2, new, "encoder-new")
        with reading(server.uri, unit(0.0)) as seen:
            killed = killing_after_first_import(days.store, server)
            with pytest.raises(VectorStoreError, match=r"does not answer within 10 s \(vectors\.timeout_seconds\)"):
                days.run("load_vectors", DAY2)
            assert len(killed) == 1
            assert time.monotonic() - killed[0] < 120
            days.services.close()
            server.start()
            seen.wait_until(lambda: (seen.nearest[-1], seen.counts[-1]) == (nearest[0], len(old)))
            again = Days(lake, settings_module.load(values=values))
            assert again.held(version="encoder-old") == sorted(old)
            for job in ("load_vectors", "serve"):
                again.run(job, DAY2)
            seen.ask_again()
        for answers, wanted_ones in ((seen.nearest, nearest), (seen.counts, (len(old), len(new)))):
            told = in_order([None if isinstance(answer, Exception) else answer for answer in answers])
            assert told == [wanted_ones[0], None, *wanted_ones]
        for kind in (EMBEDDING, HASH):
            assert again.held(kind, "encoder-new") == sorted(new)
        again.services.close()


def killing_after_first_import(store: VectorStore, server: MilvusServer) -> list[float]:
    """Replaces the store's call by one that kills the server when the first file is on its way; returns a list that then holds when."""
    done: list[float] = []
    action = store.call_connection

    def wrapped(method: str, *arguments):
        result = action(method, *arguments)
        if method == "do_bulk_insert" and not done:
            done.append(time.monotonic())
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
