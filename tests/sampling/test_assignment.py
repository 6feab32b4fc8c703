"""Videos that were not clustered join the cluster of their nearest neighbour: by hand, against a clustering of all, and searched faster."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from reelhouse.sampling import assignment
from reelhouse.sampling.assignment import ClusterIndex, assign_clusters
from reelhouse.sampling.density import NOISE, density_clusters

LINE = np.array([[0.0], [0.1], [0.3], [9.0], [9.1], [9.2], [40.0]])
NAMES = np.array(["a", "a", "a", "b", "b", "b", None], object)
# core distances to the second nearest other row: .3, .2, .3 | .2, .1, .2 | far
DENSITY = 1 / (1 + np.array([0.3, 0.2, 0.3, 0.2, 0.1, 0.2, 30.9]))


def planted(rows, seed):
    """Thirty tight groups of length 1 and one row in ten that lies anywhere."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((30, 12))
    vectors = centres[draw.integers(0, 30, rows)] + 0.15 * draw.standard_normal((rows, 12))
    vectors[::10] = draw.standard_normal((len(vectors[::10]), 12))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def named(labels):
    return np.array([None if label == NOISE else f"c{label:03d}" for label in labels.tolist()], object)


def test_a_video_joins_the_nearest_cluster_as_far_as_that_reaches():
    index = ClusterIndex.of(LINE, NAMES, DENSITY, seed=0)
    others = np.array([[0.05], [0.59], [0.7], [9.39], [9.5], [4.0], [40.0]])
    names, density = index.assign(others)
    # a reaches .3 beyond its members and b .2; what is nearest to noise is noise
    assert names.tolist() == ["a", "a", None, "b", None, None, None]
    assert density.tolist() == DENSITY[[0, 2, 2, 5, 5, 2, 6]].tolist() or density.tolist() == DENSITY[[1, 2, 2, 5, 5, 2, 6]].tolist()
    assert [len(part) for part in index.assign(np.zeros((0, 1)))] == [0, 0]


def test_half_clustered_and_half_assigned_agrees_with_all_clustered():
    vectors = planted(3000, seed=1)
    whole = density_clusters(vectors, minimum_size=5).labels
    half = density_clusters(vectors[::2], minimum_size=5)
    names, _ = ClusterIndex.of(vectors[::2], named(half.labels), half.density, seed=0).assign(vectors[1::2])
    told = np.array(["noise" if name is None else name for name in names])
    in_a_group = np.arange(1, 3000, 2) % 10 != 0
    assert adjusted_rand_score(whole[1::2][in_a_group], told[in_a_group]) > 0.95
    stray = planted(3000, seed=2)[::10]
    lost, _ = ClusterIndex.of(vectors[::2], named(half.labels), half.density, seed=0).assign(stray)
    assert np.mean([name is None for name in lost]) > np.mean(whole[::10] == NOISE) - 0.05


def test_a_search_through_the_nearest_cells_agrees_with_one_through_all(monkeypatch):
    vectors, others = planted(5000, seed=3), planted(2000, seed=4)
    nearest_group = np.argmax(vectors @ vectors[1:31].T, axis=1)
    names, density = named(nearest_group), np.full(5000, 0.7)
    fast = ClusterIndex.of(vectors, names, density, seed=0)
    assert hasattr(fast.index, "nprobe")
    monkeypatch.setattr(assignment, "_EXACT_MAX", 5000)
    exact = ClusterIndex.of(vectors, names, density, seed=0)
    assert not hasattr(exact.index, "nprobe")
    assert np.mean(fast.assign(others)[0] == exact.assign(others)[0]) > 0.97


def test_of_too_many_the_densest_of_each_cluster_are_kept_besides_those_drawn():
    names = np.array(["small"] * 4 + ["large"] * 996, object)
    density = np.linspace(0.5, 0.9, 1000)
    index = ClusterIndex.of(np.arange(1000.0)[:, None], names, density, seed=1, exemplars_max=50)
    kept = set(index.density.tolist())
    assert set(density[[1, 2, 3, 997, 998, 999]].tolist()) <= kept
    assert 50 <= len(kept) <= 56


@pytest.mark.parametrize("exact_max", [4096, 500])
def test_new_copies_of_a_cluster_of_copies_join_it_however_many_come_at_once(spark, monkeypatch, exact_max):
    monkeypatch.setattr(assignment, "_EXACT_MAX", exact_max)
    vectors = np.random.default_rng(0).normal(size=(200, 1600))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    names = np.array([f"c{n:03d}" for n in range(200)], object)
    index = ClusterIndex.of(np.repeat(vectors, 4, axis=0), np.repeat(names, 4), np.ones(800), seed=0)
    assert hasattr(index.index, "nprobe") == (exact_max < 800)
    assert index.assign(vectors)[0].tolist() == names.tolist()
    assert [index.assign(one[None])[0][0] for one in vectors] == names.tolist()
    assert set(index.assign(vectors + np.float32(0.1))[0].tolist()) == {None}
    rows = spark.createDataFrame([(f"v{n:03d}", v.tolist()) for n, v in enumerate(vectors)], "video_id string, vector array<float>")
    shipped = spark.sparkContext.broadcast(index.to_bytes())
    for parts in (1, 7):
        found = assign_clusters(rows.repartition(parts), shipped).orderBy("video_id").collect()
        assert [r.cluster_id for r in found] == names.tolist()


def test_it_is_the_same_on_spark_and_from_bytes(spark):
    index = ClusterIndex.of(LINE, NAMES, DENSITY, seed=0)
    rows = spark.createDataFrame([("x", [0.59]), ("y", [0.7]), ("z", [9.39])], "video_id string, vector array<float>")
    found = assign_clusters(rows, spark.sparkContext.broadcast(index.to_bytes())).orderBy("video_id").collect()
    assert [(r.video_id, r.cluster_id, r.is_noise) for r in found] == [("x", "a", False), ("y", None, True), ("z", "b", False)]
    assert [r.density for r in found] == pytest.approx(DENSITY[[2, 2, 5]])
