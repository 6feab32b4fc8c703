"""Vectors in Milvus: one collection a kind and model version; load, compare with Delta, search."""

from reelhouse.vectors.compare import Difference, differences
from reelhouse.vectors.rows import KINDS, Kind, newest_version, streamed, wanted_rows
from reelhouse.vectors.store import EMBEDDING, HASH, ID_BYTES_MAX, VectorStore, collection_name

__all__ = [
    "EMBEDDING", "HASH", "ID_BYTES_MAX", "KINDS", "Difference", "Kind", "VectorStore", "collection_name", "differences",
    "newest_version", "streamed", "wanted_rows",
]  # fmt: skip
