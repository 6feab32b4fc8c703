import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.copies import copy_groups
from reelhouse.copies.evidence import are_copies, candidate_pairs, frame_distances
from reelhouse.errors import VectorError

ALL = -1  # the hash with 64 bits set
A, B, C = 0, 0xFFFF, 0xFFFF_FFFF  # A-B and B-C differ in 16 bits, A-C in 32
SAME = np.array([1.0, 0.0])
OTHER = np.array([0.0, 1.0])


def frames(*hashes):
    return np.array(hashes, np.int64)


def test_mean_distance_of_best_matching_frames_worked_by_hand():
    # video 0: frames 0b0, 0b111; video 1: one frame 0b1; video 2: frames 0b1, 0b11111111; video 3: no frame
    owners, hashes = np.array([0, 0, 1, 2, 2]), frames(0b0, 0b111, 0b1, 0b1, 0b11111111)
    first, second = np.array([0, 0, 1, 0]), np.array([1, 2, 2, 3])
    # 0-1: the one frame of 1 is 1 bit from 0b0. 0-2: of 0: 1 and 2 -> 1.5; of 2: 1 and 5 -> 3. 1-2: 0.
    assert frame_distances(first, second, owners, hashes).tolist() == [1.0, 1.5, 0.0, np.inf]


def test_candidates_are_pairs_with_a_new_video_and_one_near_frame():
    owners, hashes = np.array([0, 1, 1, 2, 3]), frames(0, 1, ALL, 0b11, 0b111)
    assert pairs(candidate_pairs(owners, hashes, np.array([False, False, True, False]), 1)) == [(1, 2), (2, 3)]
    assert pairs(candidate_pairs(owners, hashes, np.ones(4, bool), 1)) == [(0, 1), (1, 2), (2, 3)]


def test_a_hash_that_very_many_share_ties_a_new_video_to_the_earliest(monkeypatch):
    monkeypatch.setattr("reelhouse.copies.evidence.CARRIERS_MAX", 2)
    owners, hashes = np.arange(6), np.zeros(6, np.int64)
    assert pairs(candidate_pairs(owners, hashes, np.arange(6) >= 4, 0)) == [(0, 4), (0, 5), (1, 4), (1, 5)]


@given(st.lists(st.lists(st.integers(0, 2**10 - 1), max_size=3), min_size=1, max_size=12), st.integers(0, 4), st.randoms())
def test_candidates_agree_with_looking_at_all_pairs(videos, radius, random):
    is_new = np.array([random.random() < 0.5 for _ in videos])
    owners = np.repeat(np.arange(len(videos)), [len(v) for v in videos])
    hashes = frames(*[h for v in videos for h in v])
    want = [
        (i, j)
        for i in range(len(videos))
        for j in range(i + 1, len(videos))
        if (is_new[i] or is_new[j]) and any((a ^ b).bit_count() <= radius for a in videos[i] for b in videos[j])
    ]
    assert pairs(candidate_pairs(owners, hashes, is_new, radius)) == want


@pytest.mark.parametrize(
    ("distance", "similarity", "copies"),
    # At 16 bits (1.6 x 10) the vectors must reach 0.9, at 8 bits 0.75, at 0 bits 0.6.
    [
        (16, 0.9, True), (16, 0.89, False), (16.5, 1.0, False), (8, 0.76, True), (8, 0.74, False),
        (0, 0.61, True), (0, 0.59, False), (0, np.nan, False),
    ],
)  # fmt: skip
def test_the_closer_the_frames_the_less_the_vectors_must_agree(distance, similarity, copies):
    got = are_copies(np.array([distance]), np.array([similarity]), hash_distance_max=10, similarity_min=0.9)
    assert got.tolist() == [copies]


def test_with_a_limit_of_zero_bits_only_equal_frames_are_copies():
    got = are_copies(np.array([0.0, 0.5]), np.array([1.0, 1.0]), hash_distance_max=0, similarity_min=0.9)
    assert got.tolist() == [True, False]


def test_both_kinds_of_evidence_must_agree():
    hashes = [frames(0), frames(1), frames(0b11), frames(ALL)]
    result = copy_groups(hashes, np.stack([SAME, SAME, OTHER, SAME]))
    assert result.groups.tolist() == [0, 0, 2, 3]  # 2 has near frames but another vector, 3 the vector but other frames
    assert result.matched.tolist() == [-1, 0, -1, -1]
    assert result.distances[1] == 1.0
    assert result.similarities[1] == pytest.approx(1.0)
    assert np.isnan(result.distances[[0, 2, 3]]).all()


def test_a_new_video_merges_two_known_groups_under_the_earliest_member():
    # Known: 0 and 2 together, 1 alone, 3 alone. New: 4 has one frame of 1 and one of 2.
    hashes = [frames(A), frames(B), frames(C), frames(ALL), frames(B, C)]
    result = copy_groups(hashes, np.stack([SAME] * 5), is_new=np.arange(5) == 4, known_groups=np.array([7, 8, 7, 9, -1]))
    assert result.groups.tolist() == [0, 0, 0, 3, 0]
    # 4 matches 1 and 2 equally well: the earlier one is named. 1 was first of its group; now it points to what joined it.
    assert result.matched.tolist() == [-1, 4, 4, -1, 1]


def test_known_groups_stay_together_without_new_evidence():
    hashes, vectors = [frames(A), frames(ALL), frames()], np.stack([SAME] * 3)
    result = copy_groups(hashes, vectors, is_new=np.zeros(3, bool), known_groups=np.array([5, 5, 6]))
    assert result.groups.tolist() == [0, 0, 2]
    assert result.pairs == 0


def test_videos_without_informative_frames_stay_alone_even_with_equal_vectors():
    result = copy_groups([frames(), frames(), frames(3)], np.stack([SAME] * 3))
    assert result.groups.tolist() == [0, 1, 2]


def test_a_match_with_an_earlier_video_is_preferred_to_a_closer_later_one():
    result = copy_groups([frames(0b111), frames(0), frames(0)], np.stack([SAME] * 3))
    assert result.matched.tolist() == [-1, 0, 1]


def test_no_videos_at_all():
    result = copy_groups([], np.zeros((0, 2)))
    assert (result.groups.tolist(), result.matched.tolist(), result.pairs) == ([], [], 0)


def test_a_zero_vector_is_no_evidence_and_nan_is_an_error_that_names_the_row():
    assert copy_groups([frames(0), frames(0)], np.stack([SAME, 0 * SAME])).groups.tolist() == [0, 1]
    with pytest.raises(VectorError, match="row 1 holds NaN"):
        copy_groups([frames(0), frames(0)], np.stack([SAME, np.array([np.nan, 0])]))


def test_only_vectors_of_candidates_are_asked_for():
    asked = []

    def fetch(rows):
        asked.append(rows.tolist())
        return np.stack([SAME] * len(rows))

    result = copy_groups([frames(0), frames(ALL), frames(1)], fetch)
    assert (result.groups.tolist(), asked) == ([0, 1, 0], [[0, 2]])


@given(st.lists(st.lists(st.sampled_from([0, 1, 3, ALL, ALL - 1, B, C]), max_size=2), min_size=1, max_size=10), st.data())
def test_day_by_day_gives_the_groups_of_all_at_once(videos, data):
    hashes = [frames(*v) for v in videos]
    vectors = np.stack([SAME] * len(videos))
    cut = data.draw(st.integers(0, len(videos)))
    yesterday = copy_groups(hashes[:cut], vectors[:cut])
    known = np.append(yesterday.groups, np.full(len(videos) - cut, -1))
    today = copy_groups(hashes, vectors, is_new=np.arange(len(videos)) >= cut, known_groups=known)
    assert today.groups.tolist() == copy_groups(hashes, vectors).groups.tolist()


def pairs(found):
    return list(zip(found[0].tolist(), found[1].tolist(), strict=True))
