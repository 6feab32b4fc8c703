"""Which videos people should label: density clusters, sampling by density, active learning. Arrays in, small results out."""

from reelhouse.sampling.active import STRATEGIES, Selection, select_for_labeling
from reelhouse.sampling.batch import DensitySample, sample_by_density
from reelhouse.sampling.density import NOISE, DensityClusters, density_clusters

__all__ = [
    "NOISE", "STRATEGIES", "DensityClusters", "DensitySample", "Selection", "density_clusters", "sample_by_density",
    "select_for_labeling",
]  # fmt: skip
