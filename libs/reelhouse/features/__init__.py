"""Features of all modalities of a video, put side by side: which encoders are in force, padded arrays, pooled vectors."""

from reelhouse.features.arrays import assemble, pooled_vectors, to_numpy
from reelhouse.features.layout import MODALITIES, UNTRAINED, Layout, Part, layout_of

__all__ = ["MODALITIES", "UNTRAINED", "Layout", "Part", "assemble", "layout_of", "pooled_vectors", "to_numpy"]
