"""Learning curves: planted ones, and those of real titles whose later accuracy is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from reelhouse.sampling.planning import Probed, fit_curve, power_law, principal_components, probe
from tests.datasets import labelled

SIZES = np.array([50, 71, 100, 141, 200, 283, 400])


def planted(a: float, b: float, c: float, sizes: np.ndarray = SIZES) -> np.ndarray:
    return a - b * sizes.astype(float) ** -c


@pytest.mark.parametrize(("a", "b", "c"), [(0.8, 2.0, 0.5), (0.6, 1.0, 0.3), (0.95, 5.0, 1.0)])
def test_a_planted_curve_is_found_and_carried_on(a: float, b: float, c: float) -> None:
    fitted = power_law(SIZES, planted(a, b, c)[None])[0]
    ahead = np.array([800, 1600])
    assert planted(*fitted, ahead) == pytest.approx(planted(a, b, c, ahead), abs=0.004)


def test_later_sizes_count_more() -> None:
    flat = np.full(len(SIZES), 0.5)
    early, late = flat.copy(), flat.copy()
    early[0], late[-1] = 0.4, 0.6
    (a1, b1, c1), (a2, b2, c2) = power_law(SIZES, np.stack([early, late]))
    assert 0.5 - (a1 - b1 * 400.0**-c1) == pytest.approx(0, abs=0.01)
    assert (a2 - b2 * 400.0**-c2) - 0.5 > 0.04


def test_a_falling_curve_is_held_flat_at_its_weighted_mean() -> None:
    falling = np.array([0.6, 0.5, 0.4])
    ((a, b, _),) = power_law(np.array([10, 20, 40]), falling[None])
    assert (a, b) == (pytest.approx((0.6 * 1 + 0.5 * 2 + 0.4 * 3) / 6), 0.0)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.integers(1, 10_000))
def test_a_curve_never_promises_more_than_everything_nor_less_for_more_labels(reached: list[float], labels: int) -> None:
    sizes = 10 * 2 ** np.arange(len(reached))
    ((a, b, c),) = power_law(sizes, np.array(reached)[None])
    assert a <= 1
    assert b >= 0
    assert c > 0
    assert a - b * (labels + 1.0) ** -c >= a - b * float(labels) ** -c - 1e-12


def test_the_interval_covers_a_planted_accuracy_as_often_as_it_says() -> None:
    """Held-out rows each have their own chance to be hit, the same for all sizes but for the curve's rise."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hard = rng.random(200)  # a row is hit where the curve is above its hardness, up to a little chance
        curve = planted(0.8, 1.5, 0.5)
        hits = hard[None, None, :] + rng.normal(0, 0.05, (4, len(SIZES), 200)) < curve[None, :, None]
        found = fit_curve(Probed(SIZES, hits), seed=seed).at(800)
        covered.append(found.low <= planted(0.8, 1.5, 0.5, np.array([800]))[0] <= found.high)
    assert 0.82 <= np.mean(covered) <= 1.0


def test_more_held_out_rows_make_the_interval_narrower() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for rows in (50, 800):
        hits = rng.random((4, len(SIZES), rows)) < planted(0.8, 1.5, 0.5)[None, :, None]
        found = fit_curve(Probed(SIZES, hits), seed=1).at(800)
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_the_probe_learns_from_nested_parts_that_end_with_all_rows() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 40)
    vectors = np.eye(3)[classes] + rng.normal(0, 0.1, (120, 3))
    found = probe(vectors[::2], classes[::2], vectors[1::2], classes[1::2], repeats=2, seed=3)
    assert found.sizes.tolist() == [10, 11, 15, 21, 30, 42, 60]
    assert found.hits.shape == (2, 7, 60)
    assert found.hits[:, -1].all()
    assert (probe(vectors[::2], classes[::2], vectors[1::2], classes[1::2], repeats=2, seed=3).hits == found.hits).all()


def test_one_class_is_all_that_a_probe_of_one_class_says() -> None:
    found = probe(np.ones((4, 2)), np.zeros(4, int), np.ones((2, 2)), np.array([0, 1]), repeats=1, seed=0)
    assert found.sizes.tolist() == [4]
    assert found.hits.tolist() == [[[True, False]]]


def test_principal_components_keep_what_few_dimensions_hold() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 9))
    near, far = principal_components(flat[:20], flat[20:], count=5, seed=0)
    assert near.shape == (20, 5)
    gaps = np.linalg.norm(far[:, None] - far[None], axis=2)
    assert gaps == pytest.approx(np.linalg.norm(flat[20:, None] - flat[None, 20:], axis=2), abs=1e-6)


@pytest.mark.data
@pytest.mark.usefixtures("shared_data")
def test_of_real_titles_the_interval_holds_the_accuracy_that_twice_the_labels_reach() -> None:
    """Eight 90 % intervals; the truth is measured on rows that no curve saw. Many more of them: tests/benchmarks/bench_planning.py."""
    found = labelled("youtube_trending_us")
    v, c = found.vectors, found.classes
    covered = []
    for seed in range(4):
        pool, test = train_test_split(np.arange(len(c)), test_size=0.25, random_state=seed, stratify=c)
        pool = np.random.default_rng(seed).permutation(pool)
        for labels in (100, 250):
            held, taught = pool[: labels // 5], pool[labels // 5 : labels]
            expected = fit_curve(probe(v[taught], c[taught], v[held], c[held], repeats=2, seed=seed), seed=seed).at(2 * len(taught))
            later = pool[labels // 5 : labels // 5 + 2 * len(taught)]
            reached = probe(v[later], c[later], v[test], c[test], repeats=1, seed=seed).hits[0, -1].mean()
            covered.append(bool(expected.low <= reached <= expected.high))
    assert sum(covered) >= 6, covered
