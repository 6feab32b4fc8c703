"""Features of all modalities of a video, put side by side: which encoders are in force, padded arrays, pooled vectors."""

from reelhouse.features.arrays import as_lists, as_matrix, assemble, pooled_vectors, to_numpy
from reelhouse.features.layout import MODALITIES, UNTRAINED, Layout, Part, layout_of

__all__ = ["MODALITIES", "UNTRAINED", "Layout", "Part", "as_lists", "as_matrix", "assemble", "layout_of", "pooled_vectors", "to_numpy"]
