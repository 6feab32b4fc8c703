"""Vectors in Milvus: one collection a kind and model version; load, compare with Delta, search."""

from reelhouse.vectors.bulk import FullLoad, ImportFile, import_folder, write_files
from reelhouse.vectors.compare import Difference, differences
from reelhouse.vectors.rows import KINDS, Kind, streamed, wanted_rows, with_facts
from reelhouse.vectors.schema import EMBEDDING, FIELDS, HASH, ID_BYTES_MAX, LOADING, VectorRow, collection_name, only
from reelhouse.vectors.store import VectorStore

__all__ = [
    "EMBEDDING", "FIELDS", "HASH", "ID_BYTES_MAX", "KINDS", "LOADING", "Difference", "FullLoad", "ImportFile", "Kind", "VectorRow",
    "VectorStore", "collection_name", "differences", "import_folder", "only", "streamed", "wanted_rows", "with_facts", "write_files",
]  # fmt: skip
