"""What a collection looks like: its name, fields, index, the record of a row, and filters. Data only; no client."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reelhouse.errors import VectorError
from reelhouse.vectors.keys import GROWTH, key_of

EMBEDDING = "video_embedding"
HASH = "video_hash"
HASH_BITS = 128
ID_BYTES_MAX = 256
WORD_CHARACTERS_MAX = 128  # of domain and author; what is longer is cut
FIELDS = ("video_id", "vector", "checksum", "data_date", "domain", "author", "published_at")
# Milvus' own recommendation for neighbours a node; half of its effort in building, which takes minutes for half a million rows.
# Segments of under a thousand rows are searched row by row.
HNSW = {"M": 16, "efConstruction": 64}
BIN_IVF = {"nlist": 128}
PROBED = 64  # of the lists
EXPLORED = 128  # neighbours that a search in HNSW explores, at least; more than it returns
EXPLORED_MAX = 32768


class VectorRow(NamedTuple):
    """vector: floats, or the 16 bytes of a hash. checksum: 64 bits, over all but data_date (ISO).
    domain, author: '' where unknown; published_at: seconds since 1970 (UTC), 0 where unknown."""

    video_id: str
    vector: Sequence[float] | bytes
    checksum: int
    data_date: str
    domain: str = ""
    author: str = ""
    published_at: int = 0


def collection_name(kind: str, version: str) -> str:
    """`video_embedding__<version>`; what Milvus does not take in a name (the hyphen of encoder-<id>) becomes an underscore."""
    return f"{kind}__{re.sub(r'[^0-9A-Za-z_]', '_', version)}"


LOADING = "__loading"


def staging_name(kind: str, version: str) -> str:
    """Where a full load is gathered until it is whole; nobody reads it."""
    return collection_name(kind, version) + LOADING


def add_fields(schema: Any, kind: str, dimension: int) -> Any:
    from pymilvus import DataType

    schema.add_field("video_id", DataType.VARCHAR, is_primary=True, max_length=GROWTH * ID_BYTES_MAX)
    schema.add_field("vector", DataType.BINARY_VECTOR if kind == HASH else DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field("checksum", DataType.INT64)
    schema.add_field("data_date", DataType.VARCHAR, max_length=10)
    for name in ("domain", "author"):
        schema.add_field(name, DataType.VARCHAR, max_length=GROWTH * 4 * WORD_CHARACTERS_MAX)
    schema.add_field("published_at", DataType.INT64)
    return schema


def index_of(kind: str, server_index: str | None) -> dict[str, Any]:
    """How vectors are indexed. server_index: HNSW or AUTOINDEX; None for the embedded store, which compares row by row."""
    if kind == HASH:
        lists: dict[str, Any] = {"index_type": "BIN_IVF_FLAT", "params": BIN_IVF}
        return {"metric_type": "HAMMING", **(lists if server_index else {"index_type": "BIN_FLAT"})}
    parameters: dict[str, Any] = {"params": HNSW} if server_index == "HNSW" else {}
    return {"metric_type": "COSINE", "index_type": server_index or "FLAT", **parameters}


def search_parameters(kind: str, server_index: str | None, limit: int) -> dict[str, Any]:
    if server_index is None or (kind == EMBEDDING and server_index != "HNSW"):
        return {}
    return {"nprobe": PROBED} if kind == HASH else {"ef": min(EXPLORED_MAX, max(EXPLORED, 2 * limit))}


def vector_of(kind: str, vector: Sequence[float] | bytes, whose: str) -> Any:
    """The vector as Milvus takes it. VectorError where it is none."""
    if kind == HASH:
        code = bytes(vector)  # type: ignore[arg-type]
        if len(code) != HASH_BITS // 8:
            raise VectorError(f"the hash of {whose} must have {HASH_BITS // 8} bytes, it has {len(code)}")
        return code
    floats = np.asarray(vector, np.float32)  # (dimension,)
    if floats.ndim != 1 or not np.isfinite(floats).all():
        raise VectorError(f"the vector of {whose} must be finite numbers; it holds NaN, infinity or no numbers")
    return floats


def record(kind: str, row: VectorRow) -> dict[str, Any]:
    """The row as Milvus takes it. VectorError naming it if it can't be."""
    video_id = row.video_id
    if not 0 < len(video_id.encode()) <= ID_BYTES_MAX:
        raise VectorError(f"video_id {video_id[:40]!r}... must have 1 to {ID_BYTES_MAX} bytes, it has {len(video_id.encode())}")
    return {
        "video_id": key_of(video_id), "vector": vector_of(kind, row.vector, video_id), "checksum": int(row.checksum),
        "data_date": row.data_date, "domain": key_of(row.domain), "author": key_of(row.author), "published_at": int(row.published_at),
    }  # fmt: skip


def only(domain: str | None = None, author: str | None = None, since: dt.date | None = None) -> str:
    """Milvus' expression for videos of a domain, of an author, published on a day (UTC) or later; '' for all. Of a longer domain or
    author what is stored of it counts."""
    words = (("domain", domain), ("author", author))
    parts = [f'{name} == "{key_of(value[:WORD_CHARACTERS_MAX])}"' for name, value in words if value is not None]
    if since is not None:
        parts.append(f"published_at >= {int(dt.datetime.combine(since, dt.time(), dt.UTC).timestamp())}")
    return " and ".join(parts)
