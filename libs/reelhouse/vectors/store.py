"""VectorStore: versioned collections in Milvus, a server or the embedded Milvus Lite. The only place that names pymilvus."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelhouse.errors import NotFoundError, SettingsError, VectorStoreError
from reelhouse.vectors import schema
from reelhouse.vectors.embedded import EmbeddedFile
from reelhouse.vectors.keys import id_of, key_of
from reelhouse.vectors.schema import EMBEDDING, HASH, VectorRow, collection_name, staging_name

if TYPE_CHECKING:
    from pymilvus import MilvusClient

PAGE = 5000  # ids a request when listing or deleting
SERVER_PAGE = 16_384  # when listing from a server: it goes through the collection for each page, and gives no more at once
K_MAX = 16384  # Milvus returns no more hits a search


class VectorStore:
    """Opens nothing until it is used. Close it: an embedded store ends its child process then.

    uri: address of a Milvus server, or a path ending in .db; empty for `<root>/milvus/milvus.db`.
    Errors: LockedError (another process has the embedded file open), VectorStoreError (Milvus refused or can't be reached).
    """

    def __init__(
        self, uri: str, token: str, root: Path | str, batch_rows: int, *, index: str = "HNSW", timeout_seconds: float = 60
    ) -> None:
        """batch_rows: rows a request. index: HNSW or AUTOINDEX, for collections that a server gets from now on."""
        self._uri, self._token, self._batch_rows, self._index, self._timeout = uri, token, batch_rows, index, timeout_seconds
        self._path = Path(uri) if uri.endswith(".db") else None if uri else _below(str(root))
        self._file: EmbeddedFile | None = None
        self._client: MilvusClient | None = None

    @property
    def is_server(self) -> bool:
        return self._path is None

    @property
    def place(self) -> str:
        """The file, or the server's address without what it may say of users."""
        return str(self._path) if self._path else re.sub(r"//[^/@]*@", "//", self._uri)

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
            held = self.call("describe_collection", name)
            have = next(f["params"]["dim"] for f in held["fields"] if f["name"] == "vector")
            if int(have) != dimension:
                raise VectorStoreError(f"{name} holds vectors of {have} dimensions, not {dimension}. Drop it, then run load_vectors again.")
            return False
        self.create(name, kind, dimension, with_index=True)
        return True

    def create(self, name: str, kind: str, dimension: int, *, with_index: bool) -> None:
        client = self._connect()
        fields = schema.add_fields(client.create_schema(auto_id=False, enable_dynamic_field=False), kind, dimension)
        self.call("create_collection", name, schema=fields, index_params=self.index_parameters(kind) if with_index else None)

    def index_parameters(self, kind: str) -> Any:
        index = self._connect().prepare_index_params()
        index.add_index("vector", **schema.index_of(kind, self._index if self.is_server else None))
        return index

    def is_current(self, kind: str, version: str) -> bool:
        """Whether the collection is there, whole, with the fields that it should have; one of an older release lacks some."""
        if not self.exists(kind, version) or self._is_unfinished(collection_name(kind, version)):
            return False
        held = self.call("describe_collection", collection_name(kind, version))
        return {field["name"] for field in held["fields"]} == set(schema.FIELDS)

    def exists(self, kind: str, version: str) -> bool:
        return self.state() == "present" and bool(self.call("has_collection", collection_name(kind, version)))

    def list_collections(self) -> list[str]:
        """Names of our collections, sorted, not of others on the same server; opens no embedded file that is not there."""
        names = self.call("list_collections") if self.state() == "present" else []
        return sorted(name for name in names if name.startswith((f"{EMBEDDING}__", f"{HASH}__")))

    @contextmanager
    def anew(self, kind: str, version: str, dimension: int) -> Iterator[None]:
        """Make an embedded collection anew and fill it meanwhile: one whose filling was cut off is not searched and not current.

        A server's are gathered beside those that are searched (FullLoad); the embedded store can't rename.
        """
        marker = self._unfinished(collection_name(kind, version))
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        self.drop(kind, version)
        self.ensure(kind, version, dimension)
        yield
        marker.unlink()

    def _unfinished(self, name: str) -> Path:
        assert self._path is not None, "of the embedded store only"
        return self._path.with_name(f"{name}.unfinished")

    def _is_unfinished(self, name: str) -> bool:
        return self._path is not None and self._unfinished(name).exists()

    def drop(self, kind: str, version: str) -> None:
        if self.exists(kind, version):
            self.call("drop_collection", collection_name(kind, version))

    def index_type(self, name: str) -> str:
        return str(self.call("describe_index", name, "vector")["index_type"])

    # -- rows

    def upsert(self, kind: str, version: str, rows: Iterable[VectorRow | tuple[Any, ...]], *, into: str | None = None) -> int:
        """Write rows by primary key, batch after batch; returns how many. Safe to repeat: a row replaces that of its id.

        VectorError naming the first row that holds NaN or infinity, has the wrong length, or an id of over 256 bytes;
        batches before it are written. rows: VectorRow, or tuples in its order. into: another collection of these fields.
        """
        name, written = into or collection_name(kind, version), 0
        stream = iter(rows)
        while batch := list(islice(stream, self._batch_rows)):
            # Milvus would keep both of two rows of one id in one request
            records = {row[0]: schema.record(kind, VectorRow(*row)) for row in batch}
            self.call("upsert", name, list(records.values()))
            written += len(records)
        return written

    def delete(self, kind: str, version: str, ids: Iterable[str]) -> int:
        """Remove rows by id; returns how many were there."""
        return self._delete(collection_name(kind, version), ids)

    def forget(self, ids: Iterable[str]) -> int:
        """Remove videos from every collection, of all versions (a takedown); returns how many rows were there."""
        gone = list(ids)
        return sum(self._delete(name, gone) for name in self.list_collections() if not self._is_gathered(name)) if gone else 0

    def _is_gathered(self, name: str) -> bool:
        """Whether a full load gathers rows there, which nobody searches and which it looks through for takedowns at its end. One that
        was cut off may have pointed the alias already."""
        return name.endswith(schema.LOADING) and not self.call("list_aliases", collection_name=name)["aliases"]

    def purge(self, ids: Iterable[str]) -> None:
        """Forget videos and remove their bytes: the embedded file is rewritten, a server is told to compact."""
        if self.state() == "absent":
            return
        self.forget(ids)
        if self._file is None:
            for name in self.list_collections():
                if self._is_gathered(name):
                    self.call("drop_collection", name)
                    continue
                self.call("flush", name)
                self.call("compact", name)
            return
        if self._client is not None:
            self._client.close()
            self._client = None
        self._file.vacuum()

    def count(self, kind: str, version: str, upto: str = "9999-12-31") -> int:
        """How many rows with data_date <= upto."""
        return self.count_of(collection_name(kind, version), f'data_date <= "{upto}"')

    def count_of(self, name: str, where: str = "") -> int:
        found = self.call("query", name, filter=where, output_fields=["count(*)"], **STRONG)
        return int(found[0]["count(*)"])

    def ids_and_checksums(self, kind: str, version: str, upto: str = "9999-12-31") -> Iterator[tuple[str, int]]:
        """Every (video_id, checksum) with data_date <= upto, in order of the id's UTF-8 bytes."""
        for row in self.pages(collection_name(kind, version), f'data_date <= "{upto}"', ["video_id", "checksum"]):
            yield id_of(row["video_id"]), int(row["checksum"])

    def checksums_of(self, kind: str, version: str, ids: Iterable[str]) -> Iterator[tuple[str, int]]:
        """(video_id, checksum) of those ids that the collection holds, in no order."""
        stream = iter(ids)
        while page := [key_of(video_id) for video_id in islice(stream, PAGE)]:
            name = collection_name(kind, version)
            for row in self.call("get", name, ids=page, output_fields=["video_id", "checksum"], **STRONG):
                yield id_of(row["video_id"]), int(row["checksum"])

    # -- search

    def search(self, kind: str, version: str, vector: Sequence[float] | bytes, k: int, where: str = "") -> list[tuple[str, float]]:
        """The k nearest (video_id, score), best first: cosine for embeddings (larger is nearer), Hamming bits for hashes.

        where: a filter made by schema.only. VectorError if the vector is none, NotFoundError without the collection.
        """
        name = collection_name(kind, version)
        if not self.exists(kind, version) and self.alias_of(kind) == staging_name(kind, version):
            name = staging_name(kind, version)  # whole, and on its way to the name: a load was cut off between two steps
        elif not self.exists(kind, version):
            raise NotFoundError(f"there is no collection {name}; there are {', '.join(self.list_collections()) or 'none'}")
        if self._is_unfinished(name):
            raise VectorStoreError(
                f"{name} was being filled when that was cut off, and holds a part of the videos. "
                "`reelhouse daily` for the newest day, or `reelhouse vectors load`, fills it anew"
            )
        query = schema.vector_of(kind, vector, "(the query)")
        limit = min(k, K_MAX)
        parameters = schema.search_parameters(kind, self._index if self.is_server else None, limit)
        named = {"limit": limit, "filter": where, "output_fields": ["video_id"], "search_params": {"params": parameters}, **STRONG}
        (hits,) = self.call("search", name, data=[query], **named)
        return [(id_of(hit["entity"]["video_id"]), float(hit["distance"])) for hit in hits]

    def similar(self, version: str, vector: Sequence[float], k: int, where: str = "") -> list[tuple[str, float]]:
        """The k videos with the nearest embeddings: (video_id, cosine), best first."""
        return self.search(EMBEDDING, version, vector, k, where)

    # -- what readers see, on a server

    def alias_of(self, kind: str) -> str | None:
        """The collection that the alias `video_embedding` or `video_hash` stands for; None without one, and without a server."""
        for name in self.list_collections() if self.is_server else ():
            if kind in self.call("list_aliases", collection_name=name)["aliases"]:
                return name
        return None

    def point_alias(self, kind: str, version: str) -> None:
        """Let the alias of the kind stand for the version's collection: one step, readers see the one or the other.

        The embedded store has no aliases, and nobody else can read it: nothing happens there.
        """
        if self.is_server:
            self.point(kind, collection_name(kind, version))

    def point(self, kind: str, name: str) -> None:
        """As point_alias, to a collection by its name."""
        held = self.alias_of(kind)
        if held != name:
            self.call("alter_alias" if held else "create_alias", name, kind)

    def keep_only(self, versions: Collection[str]) -> list[str]:
        """Drop the collections of all other versions, and what unfinished loads of them left; returns the names of those dropped."""
        kept = {collection_name(kind, version) for kind in (EMBEDDING, HASH) for version in versions}
        others = [name for name in self.list_collections() if name.removesuffix(schema.LOADING) not in kept]
        for name in others:
            self.call("drop_collection", name)
            if not self.is_server:
                self._unfinished(name).unlink(missing_ok=True)
        return others

    # -- the client

    def _delete(self, name: str, ids: Iterable[str]) -> int:
        stream, removed = iter(ids), 0
        while page := [key_of(video_id) for video_id in islice(stream, PAGE)]:
            there = self.call("get", name, ids=page, output_fields=["video_id"], **STRONG)
            if there:
                self.call("delete", name, ids=[row["video_id"] for row in there])
            removed += len(there)
        return removed

    def pages(self, name: str, where: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        """Rows of a collection in order of their keys, a page a request."""
        if self.is_server:
            yield from self._pages_of_server(name, where, fields)
            return
        pages = self.call("query_iterator", name, batch_size=PAGE, filter=where, output_fields=fields, **STRONG)
        try:
            while page := self._raising(pages.next):
                yield from page
        finally:
            pages.close()

    def _pages_of_server(self, name: str, where: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        """The client's own iterator reads as of the client's clock there: it may not see what was deleted just before."""

        def after(last: str) -> list[dict[str, Any]]:
            found = self.call("query", name, filter=f'{where} and video_id > "{last}"', limit=SERVER_PAGE, output_fields=fields, **STRONG)
            return list(found)

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(after, "")
            while page := coming.result():
                coming = pool.submit(after, page[-1]["video_id"])  # the server looks for it while this one is gone through
                yield from page

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A method of the client, which answers in time; Milvus' errors as VectorStoreError."""
        return self._raising(getattr(self._connect(), method), *arguments, **{"timeout": self._timeout, **named})

    def call_connection(self, method: str, *arguments: Any) -> Any:
        """A method of the client's connection: bulk import, which a server of 2.3 has and the client has no method for."""
        client = self._connect()
        action = getattr(client._get_connection(), method)
        return self._raising(action, *arguments, timeout=self._timeout, context=client._generate_call_context())

    def _raising(self, action: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            return action(*arguments, **named)
        except (MilvusException, RpcError) as error:
            said = error.message if isinstance(error, MilvusException) else f"{error.code().name}: {error.details()}"
            refused = "refused"
            if re.search(r"UNAVAILABLE|DEADLINE_EXCEEDED|[Rr]etry timeout|server unavailable|connection", said):
                refused = f"does not answer within {self._timeout:g} s (vectors.timeout_seconds); see that it runs, then run again"
            raise VectorStoreError(f"Milvus at {self.place} {refused}: {said}") from error

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
            named = {"grpc_options": EMBEDDED_CHANNEL} if self._path else {}
            # The embedded server is a child that was just started: on a cold disk it takes longer than the client waits.
            if self._file is not None:
                self._file.start()
            for attempts_left in range(STARTS if self._path else 0, -1, -1):
                try:
                    self._client = MilvusClient(where, token=self._token, timeout=CONNECT_SECONDS, **named)
                    break
                except MilvusException as error:
                    if not attempts_left:
                        raise VectorStoreError(
                            f"Milvus at {self.place} can't be opened: {error.message}. Check the setting vectors.uri, "
                            "and that the server runs."
                        ) from error
                    time.sleep(1)
        return self._client


CONNECT_SECONDS = 10
STARTS = 10  # looks at an embedded server that does not answer yet, a second and the client's own wait apart
# pymilvus pings an idle server every ten seconds; the embedded one takes that for abuse and hangs up, a call in flight or not.
EMBEDDED_CHANNEL = {"grpc.keepalive_time_ms": 600_000, "grpc.keepalive_permit_without_calls": 0}
STRONG: dict[str, Any] = {"consistency_level": "Strong"}


def _below(root: str) -> Path:
    plain = root.removeprefix("file://").removeprefix("file:")
    if "://" in plain:
        raise SettingsError(f"vectors.uri must name a Milvus server: the embedded store can't lie below storage.root = {root}")
    return Path(plain) / "milvus" / "milvus.db"
