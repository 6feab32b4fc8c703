"""Clusters that are carried from day to day: who joins, what is born and dissolved, when all are clustered anew."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from reelhouse.sampling.carrying import EarlierClusters, PlacedVideos, place_videos, why_anew
from reelhouse.sampling.density import NOISE, density_clusters
from reelhouse.sampling.identity import match_clusters

FIRST, DAY = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
NEW, OLD = np.datetime64(DAY), np.datetime64(FIRST)
# a around 0, b around 10, and strays
VECTORS = np.array([[0.0], [0.1], [0.3], [10.0], [10.1], [10.3], [40.0], [70.0]])
IDS = np.array(list("abcdefgh"))
NAMES = np.array(["A"] * 3 + ["B"] * 3 + [None] * 2, object)
# core distances to the second nearest other row
DENSITY = 1 / (1 + np.array([0.3, 0.2, 0.3, 0.3, 0.2, 0.3, 29.9, 59.7]))


def earlier(rows: slice = slice(None)) -> EarlierClusters:
    ids = IDS[rows]
    return EarlierClusters(ids, NAMES[rows], DENSITY[rows], np.full(len(ids), OLD), "v1", FIRST)


def placed(before: EarlierClusters, ids: np.ndarray, vectors: np.ndarray) -> PlacedVideos:
    return place_videos(ids, vectors, before, None, day=DAY, minimum_size=3, seed=0)


def named(before: EarlierClusters, ids: np.ndarray, found: PlacedVideos) -> dict[str, str | None]:
    identity = match_clusters(before.ids, before.names, ids, found.clusters.labels, day=DAY)
    return dict(zip(ids.tolist(), identity.of(found.clusters.labels).tolist(), strict=True))


def with_new(*values: float) -> tuple[np.ndarray, np.ndarray]:
    """The earlier videos and new ones i, j, ... at these places."""
    return np.append(IDS, list("ijklmnop"[: len(values)])), np.vstack([VECTORS, np.array(values).reshape(-1, 1)])


def test_new_videos_join_and_all_others_stay_as_they_are() -> None:
    ids, vectors = with_new(0.5, 10.2, 5.0)
    found = placed(earlier(), ids, vectors)
    assert named(earlier(), ids, found) == dict(zip(ids.tolist(), [*NAMES.tolist(), "A", "B", None], strict=True))
    assert found.clusters.density[:8].tolist() == DENSITY.tolist()
    assert found.clusters.density[8:10].tolist() == [DENSITY[2], found.clusters.density[9]]
    assert found.clusters.density[9] in DENSITY[4:6]
    assert found.placed_on.tolist() == [FIRST] * 8 + [DAY] * 3
    assert found.anew == ""


def test_videos_that_are_elsewhere_count_before_a_cluster_is_dissolved() -> None:
    before, ids, vectors = earlier(), IDS[1:], VECTORS[1:]  # of A two are left here
    assert [c for c in named(before, ids, placed(before, ids, vectors)).values() if c == "A"] == []
    for others, here in ((1, ["A", "A"]), (0, [])):
        found = place_videos(ids, vectors, before, None, day=DAY, minimum_size=3, seed=0, elsewhere={"A": others, "Z": 9})
        assert [c for c in named(before, ids, found).values() if c == "A"] == here


def test_a_dense_region_that_fits_nowhere_is_born_and_may_take_an_older_stray_with_it() -> None:
    ids, vectors = with_new(40.1, 40.2, 40.3, 90.0)
    found = placed(earlier(), ids, vectors)
    names = named(earlier(), ids, found)
    assert {video: name for video, name in names.items() if name not in ("A", "B")} == {
        **dict.fromkeys("gijk", "20260102-0001"), **dict.fromkeys("hl", None)}  # fmt: skip
    assert found.placed_on.tolist() == [FIRST] * 6 + [DAY, FIRST] + [DAY] * 4
    assert found.clusters.density[6] == pytest.approx(1 / 1.2), "measured anew: there are neighbours now"


def test_strays_around_a_cluster_are_no_cluster_of_their_own() -> None:
    ids, vectors = with_new(0.7, 1.1, 1.5)
    names = named(earlier(), ids, placed(earlier(), ids, vectors))
    assert names == dict(zip(ids.tolist(), [*NAMES.tolist(), None, None, None], strict=True))


def test_strays_of_the_day_of_the_clustering_are_not_thought_over_without_new_ones() -> None:
    # g, h and two more were strays among all; alone they would be a cluster
    vectors = np.vstack([VECTORS[:6], [[40.0], [40.1], [40.2], [40.3]]])
    ids = np.array(list("abcdefghij"))
    names = np.array([*NAMES[:6].tolist(), *[None] * 4], object)
    before = EarlierClusters(ids, names, np.append(DENSITY[:6], [0.5] * 4), np.full(10, OLD), "v1", FIRST)
    assert density_clusters(vectors, minimum_size=3).labels.tolist() == [0] * 3 + [1] * 3 + [2] * 4
    assert placed(before, ids, vectors).clusters.labels.tolist() == [0] * 3 + [1] * 3 + [NOISE] * 4
    later = replace(before, placed_on=np.array([OLD] * 8 + [NEW] * 2))
    assert placed(later, ids, vectors).clusters.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 4


def test_a_cluster_of_which_too_few_are_left_is_dissolved() -> None:
    kept = np.array([0, 1, 3, 4, 5, 6, 7])
    found = placed(earlier(), IDS[kept], VECTORS[kept])
    assert named(earlier(), IDS[kept], found) == {"a": None, "b": None, "d": "B", "e": "B", "f": "B", "g": None, "h": None}
    # who comes in its place saves it
    ids, vectors = np.append(IDS[kept], "i"), np.vstack([VECTORS[kept], [[0.2]]])
    assert named(earlier(), ids, placed(earlier(), ids, vectors))["i"] == "A"


def test_all_are_clustered_anew_for_a_reason_that_is_told() -> None:
    def why(before: EarlierClusters, ids: np.ndarray = IDS, *, version: str = "v1", day: dt.date = DAY) -> str | None:
        return why_anew(before, ids, features_version=version, day=day, share_max=0.25, days_max=7)

    assert why(earlier()) is None
    assert why(earlier(slice(0, 0))) == "there are no earlier clusters"
    assert why(earlier(), version="v2") == "the vectors are of other encoders"
    assert why(earlier(slice(6, 8))) == "there was no cluster"
    assert why(earlier(), day=dt.date(2026, 1, 7)) is None
    assert why(earlier(), day=dt.date(2026, 1, 8)) == "all were clustered on 2026-01-01, 7 days ago or more"
    assert why(earlier(), np.append(IDS, ["i", "j"])) is None, "2 of 10"
    assert why(earlier(), np.append(IDS, ["i", "j", "k"])) == "3 of 11 videos came since 2026-01-01, when all were clustered, or left"
    assert why(earlier(), np.append(IDS[1:], ["i", "j"])) == "3 of 9 videos came since 2026-01-01, when all were clustered, or left"
    since = replace(earlier(), placed_on=np.array([OLD] * 7 + [NEW]))
    assert why(since, np.append(IDS, ["i"])) is None, "2 of 9"
    assert why(since, np.append(IDS, ["i", "j"])) == "3 of 10 videos came since 2026-01-01, when all were clustered, or left"


def test_anew_is_what_the_vectors_say_and_nothing_of_the_day_before() -> None:
    found = place_videos(IDS, VECTORS, earlier(), "the vectors are of other encoders", day=DAY, minimum_size=3, seed=0)
    whole = density_clusters(VECTORS, minimum_size=3)
    assert found.clusters.labels.tolist() == whole.labels.tolist()
    assert found.clusters.density.tolist() == whole.density.tolist()
    assert found.placed_on.tolist() == [DAY] * 8
    assert found.anew == "the vectors are of other encoders"


def groups(n: int, late: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(vectors (n, 16), truth (n,)): twelve groups and a tenth of background (-1); the last group only if late."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((12, 16))
    truth = rng.integers(0, 12 if late else 11, n)
    vectors = centres[truth] + 0.2 * rng.standard_normal((n, 16))
    truth[::10] = -1
    vectors[::10] = 2 * rng.standard_normal((len(vectors[::10]), 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


def test_carried_clusters_agree_with_what_was_planted_as_well_as_a_clustering_of_all_does() -> None:
    old, old_truth = groups(1500, late=False, seed=1)
    new, new_truth = groups(300, late=True, seed=2)
    ids = np.array([f"v{n:04d}" for n in range(1800)])
    clusters = density_clusters(old, minimum_size=5)
    names = np.array([None if label == NOISE else f"c{label}" for label in clusters.labels.tolist()], object)
    before = EarlierClusters(ids[:1500], names, clusters.density, np.full(1500, OLD), "v1", FIRST)
    vectors, truth = np.vstack([old, new]), np.append(old_truth, new_truth)
    found = place_videos(ids, vectors, before, None, day=DAY, minimum_size=5, seed=0)
    whole = density_clusters(vectors, minimum_size=5).labels
    assert adjusted_rand_score(truth, found.clusters.labels) > adjusted_rand_score(truth, whole) - 0.01
    identity = match_clusters(before.ids, before.names, ids, found.clusters.labels, day=DAY)
    assert identity.relations.count("born") == 1, "the late group, and nothing that only strays make"
    born = found.clusters.labels == identity.relations.index("born")
    assert np.mean(truth[born] == 11) > 0.9
    assert np.sum(born & (truth == 11)) > 0.9 * np.sum(truth == 11)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 6))
def test_the_same_day_again_gives_the_same_and_nobody_known_changes_cluster(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    ids, vectors = with_new(*rng.choice([0.2, 10.2, 40.1, 70.2, 90.0], count).tolist())
    found = placed(earlier(), ids, vectors)
    names = named(earlier(), ids, found)
    assert [names[video] for video in "abcdef"] == ["A"] * 3 + ["B"] * 3
    sizes = np.bincount(found.clusters.labels - NOISE)[1:]
    assert (sizes >= 3).all(), "no gap in the labels, none too small"
    again = placed(earlier(), ids, vectors)
    assert again.clusters.labels.tolist() == found.clusters.labels.tolist()
    assert again.clusters.density.tolist() == found.clusters.density.tolist()
    # the day after, with nothing new: all stay
    version = np.array([names[video] for video in ids.tolist()] + [None], object)[:-1]
    state = EarlierClusters(ids, version, found.clusters.density, found.placed_on, "v1", DAY)
    after = place_videos(ids, vectors, state, None, day=dt.date(2026, 1, 3), minimum_size=3, seed=0)
    identity = match_clusters(state.ids, state.names, ids, after.clusters.labels, day=dt.date(2026, 1, 3))
    assert set(identity.relations) <= {"kept"}
    assert identity.of(after.clusters.labels).tolist() == version.tolist()
    assert after.placed_on.tolist() == found.placed_on.tolist()
