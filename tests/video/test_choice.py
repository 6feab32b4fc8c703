from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.video.choice import changes_of, choose_frames, difference, places, scenes_of


def grey(value: int) -> np.ndarray:
    return np.full((4, 4), value, np.uint8)


def pictures(*values: int) -> list[np.ndarray]:
    return [grey(v) for v in values]


def test_places_are_the_middles_of_equal_parts():
    assert places(8.0, 4) == [1.0, 3.0, 5.0, 7.0]


def test_the_difference_is_the_mean_absolute_one_as_a_share_of_the_full_range():
    assert difference(grey(0), grey(255)) == 1.0
    assert difference(grey(200), grey(149)) == pytest.approx(0.2)  # no wrap-around of unsigned bytes
    half = grey(0)
    half[:2] = 255
    assert difference(half, grey(0)) == 0.5


def test_a_scene_begins_where_the_change_reaches_the_threshold():
    # changes: 10/255, 51/255 = 0.2, 10/255
    assert scenes_of(pictures(0, 10, 61, 71), threshold=0.2) == [[0, 1], [2, 3]]
    assert scenes_of(pictures(0, 10, 61, 71), threshold=0.21) == [[0, 1, 2, 3]]


def test_every_scene_gives_its_middle_picture_before_any_gives_a_second():
    # scenes: 0-4, 5-6, 7: middles 2, 5, 7
    looks = pictures(0, 1, 2, 3, 4, 100, 101, 200)
    assert choose_frames(looks, list(range(8)), frames=3, threshold=0.12) == [2, 5, 7]


def test_places_left_over_go_to_the_picture_farthest_in_time_from_the_chosen_ones():
    # one scene: middle 3; then 7 (4 away), then 0 (3 away), then 1 and 5 are both 1 and 2 away: 5
    looks = pictures(0, 1, 2, 3, 4, 5, 6, 7)
    assert choose_frames(looks, list(range(8)), frames=4, threshold=0.12) == [0, 3, 5, 7]


def test_with_more_scenes_than_frames_the_scenes_are_spread_over_the_video():
    # eight scenes of one picture: 0 first, then 7, then 3 (of 3 and 4 the earlier), then 5
    looks = pictures(0, 100, 0, 100, 0, 100, 0, 100)
    varied = [p + i for i, p in enumerate(looks)]
    assert choose_frames(varied, list(range(8)), frames=4, threshold=0.12) == [0, 3, 5, 7]


def test_a_still_video_gives_one_frame_and_a_scene_that_returns_is_not_kept_twice():
    assert choose_frames(pictures(9, 9, 9, 9), [0, 1, 2, 3], frames=4, threshold=0.12) == [1]
    assert choose_frames(pictures(0, 0, 0, 100, 0, 0), list(range(6)), frames=6, threshold=0.12) == [1, 3]


def test_no_pictures_give_no_frames():
    assert choose_frames([], [], frames=4, threshold=0.12) == []
    assert changes_of([]) == []


def test_changes_compare_with_the_frame_before_and_the_first_has_none():
    assert changes_of(pictures(0, 51, 0)) == [None, 0.2, 0.2]


@given(
    values=st.lists(st.integers(0, 255), min_size=1, max_size=12),
    gaps=st.lists(st.floats(0.01, 5), min_size=12, max_size=12),
    frames=st.integers(1, 6),
    threshold=st.floats(0, 1),
)
def test_at_most_so_many_different_frames_come_in_order_of_time(values: list[int], gaps: list[float], frames: int, threshold: float):
    times = list(np.cumsum(gaps[: len(values)]))
    chosen = choose_frames(pictures(*values), times, frames=frames, threshold=threshold)
    assert 1 <= len(chosen) <= frames
    assert chosen == sorted(set(chosen))
    kept = [values[i] for i in chosen]
    assert len(set(kept)) == len(kept)
    assert len(chosen) == min(frames, len(set(values)))  # nothing new is left out while there is room
