"""Two normals under one histogram: against scikit-learn, and what must hold for any scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from reelhouse.noise.mixture import Mixture, two_normals


def two_hills(share: float, apart: float, n: int = 4000, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.where(draw.random(n) < share, apart + 1.5 * draw.standard_normal(n), draw.standard_normal(n))


@pytest.mark.parametrize(("share", "apart"), [(0.1, 6.0), (0.3, 5.0), (0.5, 8.0), (0.7, 6.0)])
def test_the_fit_is_that_of_scikit_learn(share: float, apart: float) -> None:
    scores = two_hills(share, apart)
    got = two_normals(scores)
    oracle = GaussianMixture(2, means_init=[[0.0], [apart]], tol=1e-8, max_iter=1000).fit(scores[:, None])
    assert got.means == pytest.approx(oracle.means_[:, 0].tolist(), abs=0.01)
    assert got.deviations == pytest.approx(np.sqrt(oracle.covariances_[:, 0, 0]).tolist(), abs=0.01)
    assert got.weight == pytest.approx(oracle.weights_[1], abs=0.002)
    between = np.linspace(got.means[0], got.means[1], 50)
    assert got.upper(between) == pytest.approx(oracle.predict_proba(between[:, None])[:, 1], abs=0.02)


def test_the_upper_probability_by_hand() -> None:
    mixture = Mixture(0.25, (0.0, 2.0), (1.0, 0.5))
    at = np.array([0.5, 1.0, 1.5])
    low, high = 0.75 * norm(0, 1).pdf(at), 0.25 * norm(2, 0.5).pdf(at)
    assert mixture.upper(at) == pytest.approx(high / (low + high))


def test_a_wide_lower_component_does_not_take_over_again_above_the_upper_mean() -> None:
    mixture = Mixture(0.5, (0.0, 3.0), (2.0, 0.2))
    assert norm(0, 2).pdf(6) > norm(3, 0.2).pdf(6)
    assert mixture.upper(np.array([3.0, 6.0, 100.0])).min() > 0.9
    assert mixture.upper(np.array([6.0])).tolist() == [0.5]
    wide_above = Mixture(0.5, (0.0, 3.0), (0.2, 2.0))
    assert wide_above.upper(np.array([0.0, -6.0, -100.0])).max() < 0.5
    assert wide_above.upper(np.array([-6.0])).tolist() == [0.5]


@pytest.mark.parametrize("scores", [[], [1.0], [2.0] * 50, [0.0, 1.0, 5.0] * 9])
def test_fewer_than_four_different_scores_have_no_upper_component(scores: list) -> None:
    mixture = two_normals(np.array(scores))
    assert mixture.weight == 0
    assert mixture.upper(np.array([-10.0, 0.0, 10.0])).tolist() == [0, 0, 0]


NUMBERS = st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 3)), min_size=4, max_size=60)


@settings(max_examples=150, deadline=None)
@given(NUMBERS)
def test_for_any_scores_the_probability_is_within_0_and_1_and_never_falls(values: list) -> None:
    scores = np.array(values)
    mixture = two_normals(scores)
    upper = mixture.upper(scores)
    order = np.argsort(scores, kind="stable")
    assert ((upper >= 0) & (upper <= 1)).all()
    assert (np.diff(upper[order]) >= 0).all()
    assert mixture.means[0] <= mixture.means[1]
    assert min(mixture.deviations) > 0
    for value in set(values):
        assert len(set(upper[scores == value].tolist())) == 1, "equal scores, equal probabilities"


@settings(max_examples=100, deadline=None)
@given(NUMBERS, st.floats(0.05, 0.95), st.floats(0.1, 3.0), st.floats(0.1, 3.0))
def test_whatever_the_components_the_probability_never_falls(values: list, weight: float, low: float, high: float) -> None:
    scores = np.sort(np.array(values))
    assert (np.diff(Mixture(weight, (0.0, 1.0), (low, high)).upper(scores)) >= 0).all()


def test_the_order_and_the_unit_of_the_scores_do_not_matter() -> None:
    scores = two_hills(0.3, 5.0, n=500)
    plain, moved = two_normals(scores), two_normals(scores[::-1] * 8 + 3)
    assert moved.weight == pytest.approx(plain.weight, abs=1e-4)
    assert moved.means == pytest.approx([m * 8 + 3 for m in plain.means], abs=1e-2)
    assert moved.upper(scores * 8 + 3) == pytest.approx(plain.upper(scores), abs=1e-3)
