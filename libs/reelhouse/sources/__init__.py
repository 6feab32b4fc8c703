"""What arrives: delivered files, manifests and bare folders -> rows of the bronze tables, and the rows that are refused."""

from reelhouse.sources.columns import INTERACTIONS, ITEMS, KINDS, VIDEOS, FileKind, ManifestColumn, manifest_columns
from reelhouse.sources.deliveries import Delivery, find_delivery, fingerprints
from reelhouse.sources.records import category_paths

__all__ = [
    "INTERACTIONS",
    "ITEMS",
    "KINDS",
    "VIDEOS",
    "Delivery",
    "FileKind",
    "ManifestColumn",
    "category_paths",
    "find_delivery",
    "fingerprints",
    "manifest_columns",
]
