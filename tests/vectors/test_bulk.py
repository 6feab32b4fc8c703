"""Import files: what is written where, and what is refused before Milvus gets it."""

import numpy as np
import pyarrow as pa
import pytest

from reelhouse.errors import VectorError
from reelhouse.vectors import EMBEDDING, FIELDS, HASH
from reelhouse.vectors.bulk import gathered, write_file

ROW = {"video_id": "a'b", "checksum": -1, "data_date": "2026-01-01", "domain": "", "author": "安", "published_at": 5}


def table(*vectors, kind=EMBEDDING, **others):
    columns = {name: [value] * len(vectors) for name, value in {**ROW, **others}.items()}
    columns["vector"] = pa.array(vectors, pa.binary() if kind == HASH else pa.list_(pa.float32()))
    return pa.table({name: columns[name] for name in FIELDS})


@pytest.mark.parametrize("sizes", [[], [0], [3], [4], [1, 1, 1], [10], [2, 9, 0, 4, 1]])
def test_every_row_comes_once_in_tables_of_one_size(sizes):
    numbers = iter(range(100))
    batches = [pa.RecordBatch.from_pydict({"n": pa.array([next(numbers) for _ in range(size)], pa.int64())}) for size in sizes]
    tables = list(gathered(batches, 4))
    assert [n for part in tables for n in part["n"].to_pylist()] == list(range(sum(sizes)))
    assert all(part.num_rows == 4 for part in tables[:-1])
    assert all(0 < part.num_rows <= 4 for part in tables)


def test_a_file_a_field_with_checksums_added_up(tmp_path):
    written = write_file(table([1.0, 2.0], [3.0, 4.0]), EMBEDDING, tmp_path / "0")
    assert (written.rows, written.checksum) == (2, 2**64 - 2)  # of -1 and -1, modulo 2**64
    held = {name: np.load(tmp_path / "0" / f"{name}.npy") for name in FIELDS}
    assert held["vector"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert held["vector"].dtype == np.float32
    assert [held[name][0] for name in FIELDS if name != "vector"] == [b"a&1b", -1, b"2026-01-01", "", "安", 5]


@pytest.mark.parametrize("vectors", [([1.0, float("nan")],), ([1.0, float("inf")],), ([1.0], [2.0, 3.0, 4.0])])
def test_vectors_that_are_none_are_refused(tmp_path, vectors):
    with pytest.raises(VectorError, match=r"vectors must be finite and of one length; run predict again"):
        write_file(table(*vectors), EMBEDDING, tmp_path / "0")


def test_a_hash_of_another_length_is_refused(tmp_path):
    with pytest.raises(VectorError, match="hashes must have 16 bytes"):
        write_file(table(b"x" * 16, b"x" * 15, kind=HASH), HASH, tmp_path / "0")
