"""Which of today's clusters are those of the day before: by hand, and what must hold for any two days."""

import datetime as dt

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from reelhouse.sampling.density import NOISE
from reelhouse.sampling.identity import Identity, Overlaps, identify, match_clusters

DAY = dt.date(2026, 1, 2)


def days(before: str, today: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two days in letters: video n has the n-th. A letter is a cluster, `.` is noise, a blank is a day on which there is no such video."""
    ids = np.array([f"v{n:03d}" for n in range(len(today))], dtype=str)
    was = np.array([c != " " for c in before.ljust(len(today))], bool)
    now = np.array([c != " " for c in today], bool)
    names = np.array([*(c if c != "." else None for c in before.ljust(len(today)) if c != " "), None], object)[:-1]
    letters = sorted(set(today) - {" ", "."})
    labels = np.array([NOISE if c == "." else letters.index(c) for c in today if c != " "], np.int64)
    return ids[was], names, ids[now], labels


def matched(before: str, today: str) -> Identity:
    return match_clusters(*days(before, today), day=DAY)


def test_a_cluster_keeps_its_id_when_videos_come_and_leave() -> None:
    found = matched("AAAAABBBBB.", "XXXX.YYYYYYYY")
    assert found == Identity(["A", "B"], ["kept", "kept"], [(), ()], [])
    # 3 of 10 left and 20 came: by the videos that both days know, it is the same
    assert matched("A" * 10, "   " + "X" * 27).names == ["A"]


def test_the_first_days_ids_are_numbered_by_size_and_then_by_the_least_video() -> None:
    found = matched("", "XXYYYZZZ.")
    assert found.names == ["20260102-0003", "20260102-0001", "20260102-0002"]
    assert found.relations == ["born"] * 3
    assert found.of(np.array([2, NOISE, 0])).tolist() == ["20260102-0002", None, "20260102-0003"]


def test_a_split_leaves_the_id_with_the_larger_part() -> None:
    found = matched("AAAAAAAAAA", "XXXXYYYYYY")
    assert found.names == ["20260102-0001", "A"]
    assert found.relations == ["split", "kept"]
    assert found.came_from == [("A",), ()]
    assert matched("AAAAAAAAAA", "XXXXYYYYYYXXX").relations == ["split", "kept"], "4 of 7 are of A"
    assert matched("AAAAAAAAAA", "XXXXYYYYYYXXXXX").relations == ["born", "kept"], "4 of 9: most of it is new"
    both = matched("A" * 30 + "BBB", "X" * 18 + "Y" * 15)
    assert both == Identity(["A", "20260102-0001"], ["kept", "split"], [(), ("A", "B")], ["B"]), "it split from one and took up another"
    # two halves, each doubled by new videos: the one with the least video
    assert matched("AAAAAAAA", "YXXXXYYYXXXXYYYY").names == ["20260102-0001", "A"]
    assert matched("AAAAAAAA", "YXXXXYYYXXXXYYYY").relations == ["split", "kept"]


def test_a_merge_keeps_the_id_of_the_larger() -> None:
    found = matched("AAAABBBBBBCCC", "XXXXXXXXXXYYY")
    assert found == Identity(["B", "C"], ["merged", "kept"], [("A",), ()], ["A"])


def test_the_pair_with_most_in_common_is_matched_even_where_two_others_together_have_more() -> None:
    # A and X share six; A and Y five, B and X four: nine in all
    found = matched("AAAAAAAAAAABBBB", "XXXXXXYYYYYXXXX")
    assert found.names == ["A", "20260102-0001"]
    assert found.relations == ["merged", "split"]
    assert found.came_from == [("B",), ("A",)]
    assert found.dying == ["B"]


def test_a_cluster_of_which_too_little_is_left_together_dies() -> None:
    found = matched("A" * 20, "".join(c * 4 for c in "VWXYZ"))
    assert found.relations == ["split"] * 5
    assert found.dying == ["A"], "each of five equal parts is a fifth: below the least overlap"
    assert "A" in matched("A" * 20, "".join(c * 5 for c in "WXYZ")).names, "of four each is a quarter"


def test_a_stray_of_a_cluster_does_not_take_its_id_to_a_new_one() -> None:
    found = matched("AAA", "X..XXXXX")
    assert found.relations == ["born"]
    assert found.dying == ["A"]
    assert matched("AAA", "XX.XXXXX").names == ["A"], "most of A is there"


def test_what_was_noise_is_a_cluster_that_is_born_and_what_is_noise_has_died() -> None:
    found = matched("AAAA....", "....XXXX")
    assert found == Identity(["20260102-0001"], ["born"], [()], ["A"])
    assert matched("AAAA", "....").dying == ["A"]
    assert matched("", "") == Identity([], [], [], [])


@st.composite
def two_days(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    n = draw(st.integers(0, 30))
    letters = st.lists(st.sampled_from(" .ABCD"), min_size=n, max_size=n)
    return days("".join(draw(letters)), "".join(draw(letters)))


@settings(max_examples=150, deadline=None)
@given(two_days(), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_numbers_of_clusters_matter(planted, luck) -> None:
    before_ids, before_names, ids, labels = planted
    found = match_clusters(*planted, day=DAY)
    first, second = list(range(len(before_ids))), list(range(len(ids)))
    luck.shuffle(first)
    luck.shuffle(second)
    count = int(labels.max(initial=NOISE)) + 1
    number = list(range(count))
    luck.shuffle(number)
    other = np.array([*number, NOISE])[labels]
    again = match_clusters(before_ids[first], before_names[first], ids[second], other[second], day=DAY)
    assert again.of(other).tolist() == found.of(labels).tolist()
    assert again.dying == found.dying
    assert [again.relations[number[i]] for i in range(count)] == found.relations
    assert [again.came_from[number[i]] for i in range(count)] == found.came_from


@settings(max_examples=150, deadline=None)
@given(two_days())
def test_ids_are_of_one_cluster_each_and_every_earlier_one_goes_on_or_dies(planted) -> None:
    _, before_names, ids, labels = planted
    found = match_clusters(*planted, day=DAY)
    assert len(set(found.names)) == len(found.names) == labels.max(initial=NOISE) + 1
    kept = {name for name in found.names if not name.startswith("20260102-")}
    assert kept | set(found.dying) == {name for name in before_names.tolist() if name is not None}
    assert not kept & set(found.dying)
    assert [relation in ("split", "merged") for relation in found.relations] == [bool(c) for c in found.came_from]
    # the same clusters on the day after: every id stays, none is new
    again = match_clusters(ids, found.of(labels), ids, labels, day=dt.date(2026, 1, 3))
    assert again.names == found.names
    assert again.relations == ["kept"] * len(found.names)
    assert again.dying == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.booleans())
def test_up_to_three_parts_leave_the_id_with_the_largest_and_up_to_three_merge_into_the_largest(sizes: list[int], splits: bool) -> None:
    parts, whole = "".join(letter * size for letter, size in zip("ABC", sizes, strict=False)), "W" * sum(sizes)
    found = matched(whole, parts) if splits else matched(parts, whole)
    largest = int(np.argmax(sizes))
    if splits:
        assert [name == "W" for name in found.names] == [place == largest for place in range(len(sizes))]
    else:
        assert found.names == ["ABC"[largest]]


def test_overlaps_counted_on_spark_give_the_same_ids(spark: SparkSession) -> None:
    rng = np.random.default_rng(5)
    before_ids, ids = np.array([f"v{n:03d}" for n in range(300)]), np.array([f"v{n:03d}" for n in range(60, 400)])
    was = np.minimum(np.arange(300) // 40, 6) - 1  # six clusters and some noise
    labels = rng.permutation(7)[(np.arange(60, 400) // 50) % 7] - 1
    labels[rng.random(340) < 0.1] = NOISE
    names = np.array([None, *"ABCDEF"], object)[was + 1]
    before = spark.createDataFrame(list(zip(before_ids.tolist(), names.tolist(), strict=True)), "video_id string, cluster_id string")
    rows = [(v, None if label == NOISE else label) for v, label in zip(ids.tolist(), labels.tolist(), strict=True)]
    found = spark.createDataFrame(rows, "video_id string, cluster int").repartition(3)
    here = match_clusters(before_ids, names, ids, labels, day=DAY)
    assert {"kept", "born"} <= set(here.relations)
    assert identify(Overlaps.on_spark(before, found), day=DAY) == here
    nothing = spark.createDataFrame([], "video_id string, cluster_id string")
    assert identify(Overlaps.on_spark(nothing, found), day=DAY) == match_clusters(ids[:0], names[:0], ids, labels, day=DAY)
