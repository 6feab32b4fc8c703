"""A full load into a Milvus server: files that Spark's executors write, imported into a collection that nobody reads yet.

Milvus does not remove duplicates from what it imports, so each attempt begins with an empty collection, `<name>__loading`; only
one that holds the right rows, indexed and in memory, gets the name that readers know. One load of a collection at a time.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reelhouse.errors import SettingsError, StorageError, VectorError, VectorStoreError
from reelhouse.vectors.keys import key_of
from reelhouse.vectors.schema import FIELDS, HASH, HASH_BITS, collection_name, staging_name

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from reelhouse.vectors.store import VectorStore

POLL_SECONDS = 0.2
SUMS = 2**64  # checksums are added up modulo this


@dataclass(frozen=True)
class ImportFile:
    """A folder with one .npy file a field: how many rows it holds, and the sum of their checksums modulo 2**64."""

    folder: str
    rows: int
    checksum: int


def import_folder(setting: str, name: str) -> Path:
    """A fresh folder for the files of one load; what killed loads of the collection left there is removed.

    SettingsError for an address: Milvus reads such files from its own bucket only, which is not supported.
    """
    if "://" in setting:
        raise SettingsError(
            f"vectors.import_folder must be a folder that Spark's executors and the Milvus server see by the same path, not {setting}. "
            "For a Milvus that keeps its files in a bucket leave it empty: full loads then go row by row."
        )
    parent = Path(setting).absolute()
    folder = parent / f"{name}-{uuid.uuid4().hex}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.glob(f"{name}-*"):
            shutil.rmtree(old)
        folder.mkdir()
    except OSError as error:
        raise StorageError(f"vectors.import_folder {parent} can't be written: {error}. Free space or mend the permissions.") from error
    return folder


def write_files(rows: DataFrame, kind: str, folder: Path, rows_a_file: int) -> list[ImportFile]:
    """Let the executors write rows (columns as schema.FIELDS) as .npy files; the driver sees a line a file only."""
    place = str(folder)

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark import TaskContext

        task: Any = TaskContext.get()
        for number, table in enumerate(gathered(batches, rows_a_file)):
            # an attempt that failed leaves files that nobody imports
            written = write_file(table, kind, Path(place) / f"{task.partitionId()}-{task.taskAttemptId()}-{number}")
            yield pa.RecordBatch.from_pydict({"folder": [written.folder], "rows": [written.rows], "checksum": [str(written.checksum)]})

    found = rows.select(*FIELDS).mapInArrow(write, "folder string, rows bigint, checksum string").collect()
    return sorted((ImportFile(r.folder, r.rows, int(r.checksum)) for r in found), key=lambda file: file.folder)


def gathered(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows`, the last one of fewer."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while count + batch.num_rows >= rows:
            yield pa.Table.from_batches([*held, batch.slice(0, rows - count)])
            batch, held, count = batch.slice(rows - count), [], 0
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if count:
        yield pa.Table.from_batches(held)


def write_file(table: pa.Table, kind: str, folder: Path) -> ImportFile:
    """One .npy file a field, named by it, flushed to disk. VectorError where a vector is none."""
    folder.mkdir()
    for name in FIELDS:
        values = arrays_of(table[name], name, kind)
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, values)
            file.flush()
            os.fsync(file.fileno())
    checksums = table["checksum"].to_numpy()
    return ImportFile(str(folder), table.num_rows, int(checksums.astype(np.uint64).sum(dtype=np.uint64)))


def arrays_of(column: pa.ChunkedArray, name: str, kind: str) -> np.ndarray:
    """A field of n rows as Milvus reads it: (n, dimension) float32, (n, bytes) uint8, (n,) int64 or bytes of UTF-8."""
    if name == "vector" and kind == HASH:
        codes = column.to_pylist()
        if any(len(code) != HASH_BITS // 8 for code in codes):
            raise VectorError(f"hashes must have {HASH_BITS // 8} bytes; run predict again for the days of gold.hashes that differ")
        return np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), -1)
    if name == "vector":
        lists = column.combine_chunks()
        flat = lists.flatten().to_numpy(zero_copy_only=False)
        if len(set(lists.value_lengths().to_pylist())) != 1 or not np.isfinite(flat).all():
            raise VectorError("vectors must be finite and of one length; run predict again for the days of gold.embeddings that differ")
        return flat.astype(np.float32, copy=False).reshape(len(column), -1)
    if name in ("checksum", "published_at"):
        return column.to_numpy()
    words = [value if name == "data_date" else key_of(value) for value in column.to_pylist()]
    if name in ("domain", "author"):  # of bytes, Milvus reads an empty word as zeros; of characters, each takes four bytes
        return np.array(words, str if any(words) else "U1")
    return np.array([word.encode() for word in words])


class FullLoad:
    """One collection, made from nothing: begin, then import_files or upsert, then finish."""

    def __init__(self, store: VectorStore, kind: str, version: str, say: Callable[[str], None] = lambda text: None) -> None:
        self._store, self._kind, self._version, self._say = store, kind, version, say
        self.name, self.staging = collection_name(kind, version), staging_name(kind, version)

    def begin(self, dimension: int) -> bool:
        """Make the empty collection; False where one of an earlier attempt was whole and readers had it already: it is kept."""
        if self._store.call("has_collection", self.staging):
            if self._store.alias_of(self._kind) == self.staging:
                self._take_name()
                return False
            self._store.call("drop_collection", self.staging)
        self._store.create(self.staging, self._kind, dimension, with_index=False)
        return True

    def import_files(self, files: Sequence[ImportFile], at_once: int, minutes: float) -> None:
        """Import all files, so many at once. VectorStoreError naming a file that Milvus could not take, or after `minutes`."""
        waiting, running, end = list(files), dict[int, ImportFile](), time.monotonic() + 60 * minutes
        while waiting or running:
            while waiting and len(running) < at_once:
                file = waiting.pop(0)
                running[self._store.call_connection("do_bulk_insert", self.staging, "", paths_of(file))] = file
            time.sleep(POLL_SECONDS)
            for task, file in list(running.items()):
                state = self._store.call_connection("get_bulk_insert_state", task)
                if state.state_name == "Completed":
                    del running[task]
                    self._say(f"imported {len(files) - len(waiting) - len(running)} of {len(files)} files into {self.staging}")
                elif state.state_name.startswith("Failed"):
                    raise VectorStoreError(
                        f"Milvus could not import {file.folder}: {state.failed_reason}. Does the server see vectors.import_folder by "
                        "the same path, and may it read there? Then run load_vectors again: it begins anew."
                    )
            if time.monotonic() > end:
                raise VectorStoreError(
                    f"{len(waiting) + len(running)} of {len(files)} files were not imported into {self.staging} within {minutes:g} minutes "
                    "(vectors.import_minutes). See the server's load, then run load_vectors again: it begins anew."
                )

    def upsert(self, rows: Iterable[Any]) -> None:
        """In place of import_files, where server and executors share no folder."""
        self._store.upsert(self._kind, self._version, rows, into=self.staging)

    def finish(self, rows: int, checksum: int, minutes: float) -> None:
        """Count and checksums verified, indexed, in memory: then the collection takes its name, and that of an older one."""
        self._store.call("flush", self.staging)
        self._store.call("create_index", self.staging, self._store.index_parameters(self._kind))
        self._store.call("load_collection", self.staging, timeout=60 * minutes)
        self.verify(rows, checksum)
        self._wait_for_index(rows, minutes)
        self.publish()

    def verify(self, rows: int, checksum: int) -> None:
        """VectorStoreError unless the collection holds so many rows, each id once, whose checksums add up to `checksum`."""
        held = total = 0
        last, twice = "", 0
        for row in self._store.pages(self.staging, 'data_date <= "9999-12-31"', ["video_id", "checksum"]):
            held, total = held + 1, (total + row["checksum"]) % SUMS
            last, twice = row["video_id"], twice + (row["video_id"] == last)
        counted = self._store.count_of(self.staging)
        if (held, counted, total, twice) != (rows, rows, checksum, 0):
            raise VectorStoreError(
                f"{self.staging} holds {counted:,} rows and should hold {rows:,}, {twice} listed twice, checksums "
                f"{'agree' if total == checksum else 'differ'}. Readers do not see it. Run load_vectors again: it begins anew."
            )

    def _wait_for_index(self, rows: int, minutes: float) -> None:
        end = time.monotonic() + 60 * minutes
        while (pending := self._pending(rows)) > 0:
            if time.monotonic() > end:
                raise VectorStoreError(
                    f"{pending:,} of {rows:,} rows of {self.staging} were not indexed within {minutes:g} minutes (vectors.import_minutes). "
                    "See the server's load, then run load_vectors again: it begins anew."
                )
            time.sleep(POLL_SECONDS)

    def _pending(self, rows: int) -> int:
        told = self._store.call("describe_index", self.staging, "vector")
        return max(int(told["pending_index_rows"]), rows - int(told["indexed_rows"]))

    def publish(self) -> None:
        """The collection takes its name. Where an older one has it, readers by the alias go over first, by name within milliseconds."""
        if self._store.alias_of(self._kind) == self.name:
            self._store.point(self._kind, self.staging)
        self._take_name()

    def _take_name(self) -> None:
        if self._store.exists(self._kind, self._version):
            self._store.drop(self._kind, self._version)
        self._store.call("rename_collection", self.staging, self.name)


def paths_of(file: ImportFile) -> list[str]:
    return [f"{file.folder}/{name}.npy" for name in FIELDS]
