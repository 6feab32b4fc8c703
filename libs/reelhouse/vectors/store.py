"""VectorStore: versioned collections in Milvus, a server or the embedded Milvus Lite. The only place that names pymilvus."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reelhouse.errors import NotFoundError, SettingsError, VectorError, VectorStoreError
from reelhouse.vectors.embedded import EmbeddedFile
from reelhouse.vectors.keys import GROWTH, id_of, key_of

if TYPE_CHECKING:
    from pymilvus import MilvusClient

EMBEDDING = "video_embedding"
HASH = "video_hash"
HASH_BITS = 128
ID_BYTES_MAX = 256
PAGE = 5000  # ids a request when listing or deleting
NEWER_MAX = 2_000_000  # ids held in memory when an old date is run again; of 64 bytes about 250 MB
K_MAX = 16384  # Milvus returns no more hits a search

VectorRow = tuple[str, Sequence[float] | bytes, int, str]
"""video_id, vector (floats, or 16 bytes of a hash), checksum (64-bit), data_date (ISO)."""


def collection_name(kind: str, version: str) -> str:
    """`video_embedding__<version>`; what Milvus does not take in a name (the hyphen of encoder-<id>) becomes an underscore."""
    return f"{kind}__{re.sub(r'[^0-9A-Za-z_]', '_', version)}"


class VectorStore:
    """Opens nothing until it is used. Close it: an embedded store ends its child process then.

    uri: address of a Milvus server, or a path ending in .db; empty for `<root>/milvus/milvus.db`.
    Errors: LockedError (another process has the embedded file open), VectorStoreError (Milvus refused or can't be reached).
    """

    def __init__(self, uri: str, token: str, root: Path | str, batch_rows: int) -> None:
        self._uri, self._token, self._batch_rows = uri, token, batch_rows
        self._path = Path(uri) if uri.endswith(".db") else None if uri else _below(str(root))
        self._file: EmbeddedFile | None = None
        self._client: MilvusClient | None = None

    def state(self) -> str:
        """`absent` while there is no embedded file, else `present`; tells a job that its vectors were lost. Opens nothing."""
        return "absent" if self._path and not self._path.is_file() else "present"

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- collections

    def ensure(self, kind: str, version: str, dimension: int) -> bool:
        """Make the collection unless it is there; True if it was made. Dimension: floats of a vector, or bits of a hash."""
        name = collection_name(kind, version)
        if self.exists(kind, version):
            held = self._call("describe_collection", name)
            have = next(f["params"]["dim"] for f in held["fields"] if f["name"] == "vector")
            if int(have) != dimension:
                raise VectorStoreError(f"{name} holds vectors of {have} dimensions, not {dimension}. Drop it, then run load_vectors again.")
            return False
        self._create(name, kind, dimension)
        return True

    def exists(self, kind: str, version: str) -> bool:
        return self.state() == "present" and bool(self._call("has_collection", collection_name(kind, version)))

    def list_collections(self) -> list[str]:
        """Names of the collections, sorted; opens no embedded file that is not there."""
        return sorted(self._call("list_collections")) if self.state() == "present" else []

    def drop(self, kind: str, version: str) -> None:
        if self.exists(kind, version):
            self._call("drop_collection", collection_name(kind, version))

    # -- rows

    def upsert(self, kind: str, version: str, rows: Iterable[VectorRow]) -> int:
        """Write rows by primary key, batch after batch; returns how many. Safe to repeat: a row replaces that of its id.

        VectorError naming the first row that holds NaN or infinity, has the wrong length, or an id of over 256 bytes;
        batches before it are written.
        """
        name, written = collection_name(kind, version), 0
        stream = iter(rows)
        while batch := list(islice(stream, self._batch_rows)):
            # Milvus would keep both of two rows of one id in one request
            records = {video_id: _record(kind, video_id, vector, checksum, date) for video_id, vector, checksum, date in batch}
            self._call("upsert", name, list(records.values()))
            written += len(records)
        return written

    def delete(self, kind: str, version: str, ids: Iterable[str]) -> int:
        """Remove rows by id; returns how many were there."""
        return self._delete(collection_name(kind, version), ids)

    def forget(self, ids: Iterable[str]) -> int:
        """Remove videos from every collection, of all versions (a takedown); returns how many rows were there."""
        gone = list(ids)
        return sum(self._delete(name, gone) for name in self.list_collections()) if gone else 0

    def purge(self, ids: Iterable[str]) -> None:
        """Forget videos and remove their bytes: the embedded file is rewritten, a server is told to compact."""
        if self.state() == "absent":
            return
        self.forget(ids)
        if self._file is None:
            for name in self.list_collections():
                self._call("flush", name)
                self._call("compact", name)
            return
        if self._client is not None:
            self._client.close()
            self._client = None
        self._file.vacuum()

    def count(self, kind: str, version: str, upto: str = "9999-12-31") -> int:
        """How many rows with data_date <= upto."""
        where = f'data_date <= "{upto}"'
        found = self._call("query", collection_name(kind, version), filter=where, output_fields=["count(*)"], **STRONG)
        return int(found[0]["count(*)"])

    def ids_and_checksums(self, kind: str, version: str, upto: str = "9999-12-31") -> Iterator[tuple[str, int]]:
        """Every (video_id, checksum) with data_date <= upto, in order of the id's UTF-8 bytes."""
        for row in self._pages(kind, version, f'data_date <= "{upto}"', ["video_id", "checksum"]):
            yield id_of(row["video_id"]), int(row["checksum"])

    def newer(self, kind: str, version: str, than: str) -> set[str]:
        """Ids of rows with data_date > than: a run of an earlier date leaves them alone. VectorStoreError above NEWER_MAX."""
        count = self.count(kind, version) - self.count(kind, version, upto=than)
        if count > NEWER_MAX:
            raise VectorStoreError(
                f"{collection_name(kind, version)} holds {count:,} vectors of days after {than}, more than the {NEWER_MAX:,} that a run of "
                f"an old date can tell apart in memory. Run the last date instead: it loads all that is missing."
            )
        return {id_of(row["video_id"]) for row in self._pages(kind, version, f'data_date > "{than}"', ["video_id"])} if count else set()

    # -- search

    def search(
        self, kind: str, version: str, vector: Sequence[float] | bytes, k: int, exclude: Iterable[str] = ()
    ) -> list[tuple[str, float]]:
        """The k nearest (video_id, score), best first: cosine for embeddings (larger is nearer), Hamming bits for hashes."""
        if not self.exists(kind, version):
            raise NotFoundError(
                f"there is no collection {collection_name(kind, version)}; there are {', '.join(self.list_collections()) or 'none'}"
            )
        left_out = set(exclude)
        query = _record(kind, "(the query)", vector, 0, "")["vector"]
        limit = min(k + len(left_out), K_MAX)
        (hits,) = self._call("search", collection_name(kind, version), data=[query], limit=limit, output_fields=["video_id"], **STRONG)
        found = [(id_of(hit["entity"]["video_id"]), float(hit["distance"])) for hit in hits]
        return [(i, score) for i, score in found if i not in left_out][:k]

    def similar(self, version: str, vector: Sequence[float], k: int, exclude: Iterable[str] = ()) -> list[tuple[str, float]]:
        """The k videos with the nearest embeddings: (video_id, cosine), best first."""
        return self.search(EMBEDDING, version, vector, k, exclude)

    # -- the client

    def _delete(self, name: str, ids: Iterable[str]) -> int:
        stream, removed = iter(ids), 0
        while page := [key_of(video_id) for video_id in islice(stream, PAGE)]:
            there = self._call("get", name, ids=page, output_fields=["video_id"], **STRONG)
            if there:
                self._call("delete", name, ids=[row["video_id"] for row in there])
            removed += len(there)
        return removed

    def _pages(self, kind: str, version: str, where: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        name = collection_name(kind, version)
        pages = self._call("query_iterator", name, batch_size=PAGE, filter=where, output_fields=fields, **STRONG)
        try:
            while page := self._raising(pages.next):
                yield from page
        finally:
            pages.close()

    def _call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A method of the client; Milvus' errors as VectorStoreError."""
        return self._raising(getattr(self._connect(), method), *arguments, **named)

    def _raising(self, action: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        from pymilvus.exceptions import MilvusException

        try:
            return action(*arguments, **named)
        except MilvusException as error:
            raise VectorStoreError(f"Milvus at {self._uri or self._path} refused: {error.message}") from error

    def _create(self, name: str, kind: str, dimension: int) -> None:
        client = self._connect()
        from pymilvus import DataType

        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("video_id", DataType.VARCHAR, is_primary=True, max_length=GROWTH * ID_BYTES_MAX)
        schema.add_field("vector", DataType.BINARY_VECTOR if kind == HASH else DataType.FLOAT_VECTOR, dim=dimension)
        schema.add_field("checksum", DataType.INT64)
        schema.add_field("data_date", DataType.VARCHAR, max_length=10)
        index = client.prepare_index_params()
        if kind == HASH:
            index.add_index("vector", index_type="BIN_FLAT", metric_type="HAMMING")
        else:
            index.add_index("vector", index_type="FLAT", metric_type="COSINE")
        self._call("create_collection", name, schema=schema, index_params=index)

    def _connect(self) -> Any:
        if self._client is not None:
            return self._client
        if self._path and self._file is None:
            self._file = EmbeddedFile.open(self._path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pkg_resources, deprecated, is what milvus-lite imports
            from pymilvus import MilvusClient
            from pymilvus.exceptions import MilvusException

            logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # its errors are raised too
            where = str(self._path or self._uri)
            # The embedded server is a child that was just started: on a cold disk it takes longer than the client waits.
            if self._file is not None:
                self._file.start()
            for attempts_left in range(STARTS if self._path else 0, -1, -1):
                try:
                    self._client = MilvusClient(where, token=self._token, grpc_options=EMBEDDED_CHANNEL if self._path else {})
                    break
                except MilvusException as error:
                    if not attempts_left:
                        raise VectorStoreError(
                            f"Milvus at {where} can't be opened: {error.message}. Check the setting vectors.uri, and that the server runs."
                        ) from error
                    time.sleep(1)
        return self._client


STARTS = 10  # looks at an embedded server that does not answer yet, a second and the client's own wait apart
# pymilvus pings an idle server every ten seconds; the embedded one takes that for abuse and hangs up, a call in flight or not.
EMBEDDED_CHANNEL = {"grpc.keepalive_time_ms": 600_000, "grpc.keepalive_permit_without_calls": 0}
STRONG: dict[str, Any] = {"consistency_level": "Strong"}


def _below(root: str) -> Path:
    plain = root.removeprefix("file://").removeprefix("file:")
    if "://" in plain:
        raise SettingsError(f"vectors.uri must name a Milvus server: the embedded store can't lie below storage.root = {root}")
    return Path(plain) / "milvus" / "milvus.db"


def _record(kind: str, video_id: str, vector: Sequence[float] | bytes, checksum: int, date: str) -> dict[str, Any]:
    if not 0 < len(video_id.encode()) <= ID_BYTES_MAX:
        raise VectorError(f"video_id {video_id[:40]!r}... must have 1 to {ID_BYTES_MAX} bytes, it has {len(video_id.encode())}")
    if kind == HASH:
        value: Any = bytes(vector)  # type: ignore[arg-type]
        if len(value) != HASH_BITS // 8:
            raise VectorError(f"the hash of {video_id} must have {HASH_BITS // 8} bytes, it has {len(value)}")
    else:
        value = np.asarray(vector, np.float32)  # (dimension,)
        if value.ndim != 1 or not np.isfinite(value).all():
            raise VectorError(f"the vector of {video_id} must be finite numbers; it holds NaN, infinity or no numbers")
    return {"video_id": key_of(video_id), "vector": value, "checksum": int(checksum), "data_date": date}
