"""Near-copies of videos: frames with near perceptual hashes, frame vectors that agree, groups that grow over the days."""

from reelhouse.copies.groups import CopyGroups, copy_groups
from reelhouse.copies.hamming import distances, near_pairs

__all__ = ["CopyGroups", "copy_groups", "distances", "near_pairs"]
