"""VectorStore on a real Milvus Lite file."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import reelhouse
from reelhouse.errors import NotFoundError, SettingsError, StorageError, VectorError, VectorStoreError
from reelhouse.vectors import EMBEDDING, HASH, VectorStore, collection_name
from reelhouse.vectors.schema import only

VERSION = "encoder-12ab"
DAY, NEXT_DAY = "2026-01-01", "2026-01-02"
LIBS = str(Path(reelhouse.__file__).parents[1])


@pytest.fixture
def store(tmp_path):
    opened = VectorStore("", "", tmp_path, 100)
    yield opened
    opened.close()


def unit_vectors(count: int, dimension: int = 8, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows(vectors, date=DAY):
    return [(f"v{i:04d}", vector, i, date) for i, vector in enumerate(vectors)]


def filled(store: VectorStore, count: int) -> np.ndarray:
    vectors = unit_vectors(count)
    store.ensure(EMBEDDING, VERSION, 8)
    assert store.upsert(EMBEDDING, VERSION, rows(vectors)) == count
    return vectors


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": LIBS}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_names_hold_only_what_milvus_takes():
    assert collection_name(EMBEDDING, "encoder-12ab.c") == "video_embedding__encoder_12ab_c"
    assert collection_name(HASH, "12ab") == "video_hash__12ab"


def test_the_server_writes_nothing_into_the_home_folder(tmp_path, store, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    filled(store, 3)
    assert store.count(EMBEDDING, VERSION) == 3
    assert os.environ["HOME"] == str(home)
    assert list(home.iterdir()) == []


def test_a_store_that_was_never_used_makes_no_file(tmp_path, store):
    assert (store.state(), store.list_collections(), store.exists(EMBEDDING, VERSION), store.forget(["a"])) == ("absent", [], False, 0)
    store.purge(["a"])
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_collection_is_made_once_and_another_dimension_is_refused(store):
    assert [store.ensure(EMBEDDING, VERSION, 8), store.ensure(EMBEDDING, VERSION, 8), store.ensure(HASH, VERSION, 128)] == [
        True,
        False,
        True,
    ]
    assert store.list_collections() == ["video_embedding__encoder_12ab", "video_hash__encoder_12ab"]
    with pytest.raises(VectorStoreError, match="video_embedding__encoder_12ab holds vectors of 8 dimensions, not 16"):
        store.ensure(EMBEDDING, VERSION, 16)
    store.drop(EMBEDDING, VERSION)
    assert store.list_collections() == ["video_hash__encoder_12ab"]


def test_writing_twice_keeps_one_row_an_id_with_the_last_values(store):
    vectors = filled(store, 250)
    store.upsert(EMBEDDING, VERSION, rows(vectors))
    store.upsert(EMBEDDING, VERSION, [("v0003", vectors[4], 77, NEXT_DAY), ("v0003", vectors[5], 78, NEXT_DAY)])
    held = list(store.ids_and_checksums(EMBEDDING, VERSION))
    assert held == [(f"v{i:04d}", 78 if i == 3 else i) for i in range(250)]
    assert store.count(EMBEDDING, VERSION) == 250
    nearest = dict(store.similar(VERSION, vectors[5], 2))
    assert nearest == {"v0003": pytest.approx(1.0, abs=1e-5), "v0005": pytest.approx(1.0, abs=1e-5)}


def test_rows_of_later_dates_are_told_apart(store):
    filled(store, 5)
    store.upsert(EMBEDDING, VERSION, [("v0002", unit_vectors(1)[0], 9, NEXT_DAY)])
    assert (store.count(EMBEDDING, VERSION), store.count(EMBEDDING, VERSION, upto=DAY)) == (5, 4)
    assert [i for i, _ in store.ids_and_checksums(EMBEDDING, VERSION, upto=DAY)] == ["v0000", "v0001", "v0003", "v0004"]


def test_search_equals_brute_force(store):
    vectors = filled(store, 300)
    for query in unit_vectors(5, seed=1):
        cosines = vectors @ query
        best = np.argsort(-cosines, kind="stable")[:10]
        found = store.similar(VERSION, query.tolist(), 10)
        assert [i for i, _ in found] == [f"v{i:04d}" for i in best]
        np.testing.assert_allclose([score for _, score in found], cosines[best], atol=1e-5)


def test_search_of_hashes_equals_brute_force(store):
    codes = np.random.default_rng(2).integers(0, 256, (200, 16), dtype=np.uint8)
    store.ensure(HASH, VERSION, 128)
    store.upsert(HASH, VERSION, [(f"v{i:04d}", code.tobytes(), i, DAY) for i, code in enumerate(codes)])
    distances = np.unpackbits(codes ^ codes[7], axis=1).sum(axis=1)
    found = store.search(HASH, VERSION, codes[7].tobytes(), 5)
    assert found[0] == ("v0007", 0.0)
    assert [score for _, score in found] == sorted(distances.tolist())[:5]
    assert all(distances[int(i[1:])] == score for i, score in found)


def test_search_without_a_collection_says_which_there_are(store):
    with pytest.raises(NotFoundError, match="there is no collection video_embedding__encoder_12ab; there are none"):
        store.similar(VERSION, [1.0], 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("odd", [float("nan")] * 8, 1, DAY), "the vector of odd must be finite numbers"),
        (("odd", [float("inf")] * 8, 1, DAY), "the vector of odd must be finite numbers"),
        (("视" * 86, [0.0] * 8, 1, DAY), "must have 1 to 256 bytes, it has 258"),
        (("", [0.0] * 8, 1, DAY), "must have 1 to 256 bytes, it has 0"),
    ],
)
def test_a_row_that_milvus_must_not_get_is_named(store, row, message):
    filled(store, 3)
    with pytest.raises(VectorError, match=message):
        store.upsert(EMBEDDING, VERSION, [row])
    assert store.count(EMBEDDING, VERSION) == 3


def test_a_hash_of_another_length_and_a_vector_of_another_dimension_are_refused(store):
    filled(store, 3)
    store.ensure(HASH, VERSION, 128)
    with pytest.raises(VectorError, match="the hash of a must have 16 bytes, it has 3"):
        store.upsert(HASH, VERSION, [("a", b"abc", 1, DAY)])
    with pytest.raises(VectorStoreError, match=r"Milvus at .*milvus\.db refused"):
        store.upsert(EMBEDDING, VERSION, [("a", [1.0], 1, DAY)])


def test_a_video_that_is_forgotten_leaves_every_collection(store):
    for version in (VERSION, "other"):
        store.ensure(EMBEDDING, version, 8)
        store.upsert(EMBEDDING, version, rows(unit_vectors(4)))
    assert store.forget(["v0001", "unknown"]) == 2
    assert [store.count(EMBEDDING, version) for version in (VERSION, "other")] == [3, 3]
    assert store.delete(EMBEDDING, VERSION, ["v0001", "v0002"]) == 1


HOSTILE = ["it's", "'", '"', "\\", 'say "hi"', "end\\", "x'] or video_id not in ['y", 'x"] or video_id not in ["y', "x') or ('1'='1",
           "\\n", "\\u4e2d", "&1", "!0", "[", "视频'一'", "😀\"", "%s", "{a}", "\x7f", "\u2028", "'" * 256]  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
def test_ids_with_quotes_are_ids_like_any_other(store, seed):
    draw = random.Random(seed)
    drawn = ("".join(draw.choices("\"'\\&!#[]01) nu中😀", k=draw.randrange(1, 9))) for _ in range(150))
    ids = sorted({*HOSTILE, *drawn}, key=str.encode)
    vectors = unit_vectors(len(ids), seed=seed)
    store.ensure(EMBEDDING, VERSION, 8)
    for _ in range(2):  # the second time each replaces a row
        store.upsert(EMBEDDING, VERSION, [(video_id, v, i, DAY) for i, (video_id, v) in enumerate(zip(ids, vectors, strict=True))])
    held = {video_id: i for i, video_id in enumerate(ids)}
    assert list(store.ids_and_checksums(EMBEDDING, VERSION)) == list(held.items())
    assert store.similar(VERSION, vectors[3], 1)[0][0] == ids[3]
    for gone in (*HOSTILE[:9], "absent'", '" or "'):
        assert store.forget([gone]) == (1 if held.pop(gone, None) is not None else 0)
        assert list(store.ids_and_checksums(EMBEDDING, VERSION)) == list(held.items())
    some = [*ids[::3], "absent'"]
    assert store.delete(EMBEDDING, VERSION, some) == sum(video_id in held for video_id in some)
    assert list(store.ids_and_checksums(EMBEDDING, VERSION)) == [pair for pair in held.items() if pair[0] not in some]


def test_a_listing_goes_on_after_a_quote(store, monkeypatch):
    monkeypatch.setattr("reelhouse.vectors.store.PAGE", 2)
    ids = sorted([f"{letter}{mark}" for letter in "abc" for mark in "\"'\\&!["], key=str.encode)
    store.ensure(EMBEDDING, VERSION, 8)
    store.upsert(EMBEDDING, VERSION, [(video_id, v, 1, DAY) for video_id, v in zip(ids, unit_vectors(len(ids)), strict=True)])
    assert [video_id for video_id, _ in store.ids_and_checksums(EMBEDDING, VERSION)] == ids


def test_a_purge_removes_the_bytes_and_the_store_goes_on(tmp_path, store):
    vectors = filled(store, 50)
    store.upsert(EMBEDDING, VERSION, [("secret-video-1", vectors[0], 1, DAY), ("secret-video-2", vectors[0], 1, DAY)])
    store.forget(["secret-video-1"])
    file = tmp_path / "milvus" / "milvus.db"
    store.purge(["secret-video-1", "secret-video-2"])
    assert b"secret-video" not in file.read_bytes()
    assert store.count(EMBEDDING, VERSION) == 50


def test_collections_of_others_are_neither_listed_nor_touched(store):
    filled(store, 3)
    client = store._connect()
    client.create_collection("products", 8)  # ids are numbers there
    client.insert("products", [{"id": 1, "vector": [0.0] * 8}])
    client.create_collection("a_table__loading", 8)
    assert store.list_collections() == [collection_name(EMBEDDING, VERSION)]
    assert store.forget(["v0001"]) == 1
    assert store.keep_only([]) == [collection_name(EMBEDDING, VERSION)]
    store.purge(["v0002"])
    assert sorted(store._connect().list_collections()) == ["a_table__loading", "products"]
    assert store.count_of("products") == 1


def test_the_server_process_ends_with_the_last_store_that_is_closed(tmp_path, store):
    filled(store, 3)
    second = VectorStore("", "", tmp_path, 100)
    assert second.count(EMBEDDING, VERSION) == 3
    second.close()
    assert store.count(EMBEDDING, VERSION) == 3
    file = str(tmp_path / "milvus" / "milvus.db")
    assert servers_of(file) == 1
    store.close()
    assert servers_of(file) == 0
    assert VectorStore("", "", tmp_path, 100).state() == "present"


def servers_of(file: str) -> int:
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return sum(file.encode() in command and b"milvus_lite" in command for command in commands)


OPEN = (
    "import sys; from reelhouse.vectors import VectorStore; VectorStore('', '', sys.argv[1], 10).count('video_embedding', 'encoder-12ab')"
)


def test_a_second_process_is_told_who_holds_the_file_and_does_no_harm(tmp_path, store):
    filled(store, 3)
    for _ in range(2):  # the second one would get in if the first had broken the lock
        second = run_python(OPEN, str(tmp_path))
        assert f"LockedError: the vectors in {tmp_path}/milvus/milvus.db are in use by process {os.getpid()}" in second.stderr
    assert store.count(EMBEDDING, VERSION) == 3
    store.close()
    assert run_python(OPEN, str(tmp_path)).returncode == 0


WRITE = """
import os, signal, sys
from reelhouse.vectors import EMBEDDING, VectorStore
store = VectorStore("", "", sys.argv[1], 10)
store.ensure(EMBEDDING, "encoder-12ab", 2)
def rows():
    for i in range(95):
        if i == 45 and sys.argv[2] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        yield f"v{i:04d}", [1.0, float(i)], i, "2026-01-01"
store.upsert(EMBEDDING, "encoder-12ab", rows())
store.close()
"""


def test_a_retry_after_a_kill_between_batches_loses_and_doubles_nothing(tmp_path, store):
    assert run_python(WRITE, str(tmp_path), "kill").returncode == -signal.SIGKILL
    again = run_python(WRITE, str(tmp_path), "finish")
    assert again.returncode == 0, again.stderr
    assert list(store.ids_and_checksums(EMBEDDING, VERSION)) == [(f"v{i:04d}", i) for i in range(95)]


def test_what_was_written_before_a_kill_is_there(tmp_path, store):
    assert run_python(WRITE, str(tmp_path), "kill").returncode == -signal.SIGKILL
    assert [i for i, _ in store.ids_and_checksums(EMBEDDING, VERSION)] == [f"v{i:04d}" for i in range(40)]


def test_of_a_long_author_what_is_stored_is_looked_for():
    assert only(author="a" * 200, domain="食" * 129) == only(author="a" * 128, domain="食" * 128)
    assert only(author="a" * 127) == f'author == "{"a" * 127}"'


def test_a_root_on_an_object_store_needs_a_server():
    with pytest.raises(SettingsError, match=r"vectors\.uri must name a Milvus server: .* storage\.root = s3a://bucket"):
        VectorStore("", "", "s3a://bucket", 10)


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(VectorStoreError, match=r"Milvus at http://127\.0\.0\.1:9 can't be opened: .*Check the setting vectors\.uri"):
        VectorStore("http://127.0.0.1:9", "", "unused", 10).count(EMBEDDING, VERSION)


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "milvus").write_text("in the way")
    with pytest.raises(StorageError, match="can't be opened: File exists"):
        VectorStore("", "", tmp_path, 10).ensure(EMBEDDING, VERSION, 8)


def test_a_collection_whose_filling_was_cut_off_is_neither_current_nor_searched_until_it_is_filled(store):
    vectors = filled(store, 6)
    with pytest.raises(VectorError, match="v0003"), store.anew(EMBEDDING, VERSION, 8):
        store.upsert(EMBEDDING, VERSION, [*rows(vectors[:3]), ("v0003", vectors[3] * np.nan, 0, DAY)])
    assert not store.is_current(EMBEDDING, VERSION)
    with pytest.raises(VectorStoreError, match=r"was being filled when that was cut off, .* `reelhouse vectors load`, fills it anew"):
        store.similar(VERSION, vectors[0], 2)
    with store.anew(EMBEDDING, VERSION, 8):
        assert store.count(EMBEDDING, VERSION) == 0
        store.upsert(EMBEDDING, VERSION, rows(vectors))
    assert store.is_current(EMBEDDING, VERSION)
    assert store.similar(VERSION, vectors[0], 1)[0][0] == "v0000"
    with pytest.raises(VectorError), store.anew(EMBEDDING, VERSION, 8):
        store.upsert(EMBEDDING, VERSION, [("v0000", vectors[0] * np.nan, 0, DAY)])
    store.keep_only([])
    store.ensure(EMBEDDING, VERSION, 8)  # of this name, but another
    assert store.is_current(EMBEDDING, VERSION)
