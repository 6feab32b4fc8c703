"""What became of a cluster, by its size alone."""

from __future__ import annotations

import pytest

from reelhouse.sampling.drift import change_of_size


@pytest.mark.parametrize(
    ("size", "previous", "change"),
    [(55, 50, "grown"), (54, 50, "kept"), (45, 50, "shrunk"), (46, 50, "kept"), (121, 110, "grown"), (7, 7, "kept"), (3, 0, "grown")],
)
def test_a_tenth_more_or_less_is_a_change(size: int, previous: int, change: str) -> None:
    assert change_of_size(size, previous) == change
