"""Label trees, and what people say of videos: from delivered lines to events to one answer a label."""

from reelhouse.labels.migrations import load_taxonomy
from reelhouse.labels.taxonomy import Taxonomy, taxonomy_from_paths

__all__ = ["Taxonomy", "load_taxonomy", "taxonomy_from_paths"]
