"""Active learning: each strategy by hand, probabilities whole and in part, and what must hold for all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from reelhouse.errors import VectorError
from reelhouse.sampling import STRATEGIES, select_for_labeling
from reelhouse.sampling.partition import kmeans_parts
from reelhouse.sampling.uncertainty import disagreement_uncertainty, entropy_uncertainty, margin_uncertainty

PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [1.0, 0.0, 0.0]])
LINE = np.array([[0.0], [1.0], [4.0], [10.0]])


def select(strategy: str, budget: int = 2, chosen: tuple = ()) -> tuple[list[int], list[float]]:
    found = select_for_labeling(LINE, PROBABILITIES, budget=budget, chosen=chosen, strategy=strategy, seed=3)
    return found.indices.tolist(), np.round(found.scores, 4).tolist()


def test_margin_and_entropy_by_hand() -> None:
    assert select("margin", 4) == ([1, 2, 0, 3], [1.0, 0.9, 0.2, 0.0])
    assert select("entropy", 3) == ([2, 1, 0], [1.0889, 0.6931, 0.3251])
    assert select("margin", 2, chosen=(1,)) == ([2, 0], [0.9, 0.2])


def test_coreset_takes_the_farthest_row_each_time() -> None:
    assert select("coreset", 3, chosen=(0,)) == ([3, 2, 1], [10.0, 4.0, 1.0])
    assert select("coreset", 2) == ([2, 3], [12.5, 6.0])  # the mean is 3.75


def test_badge_takes_the_greatest_gradient_and_then_draws_by_the_distance_from_all_that_were_taken() -> None:
    gradients = (PROBABILITIES - np.eye(3)[[0, 0, 0, 0]])[:, :, None] * LINE[:, None, :]
    flat = gradients.reshape(4, -1)
    squares = (flat**2).sum(axis=1)
    assert squares.argmax() == 2
    gaps = ((flat - flat[2]) ** 2).sum(axis=1)
    seconds = [select_for_labeling(LINE, PROBABILITIES, budget=2, strategy="badge", seed=s) for s in range(400)]
    assert all(2 in found.indices for found in seconds)
    drawn = np.bincount([next(i for i in found.indices if i != 2) for found in seconds], minlength=4) / 400
    assert drawn == pytest.approx(gaps / gaps.sum(), abs=0.08)
    part = csr_matrix(PROBABILITIES)
    for seed in range(10):
        whole = select_for_labeling(LINE, PROBABILITIES, budget=3, strategy="badge", seed=seed)
        sparse = select_for_labeling(LINE, part, budget=3, strategy="badge", seed=seed)
        assert whole.indices.tolist() == sparse.indices.tolist()
        assert whole.scores == pytest.approx(sparse.scores, rel=1e-5)


def test_typiclust_takes_the_most_typical_row_of_the_largest_parts_that_nothing_was_chosen_of() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(size=(8, 2)), 50 + rng.normal(size=(6, 2)), 90 + rng.normal(size=(3, 2))]).astype(np.float32)
    p, gaps = np.full((17, 2), 0.5), np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    typical = [
        int(np.sort(gaps[:8, :8], axis=1)[:, 1:5].mean(axis=1).argmin()),
        8 + int(np.sort(gaps[8:14, 8:14], axis=1)[:, 1:4].mean(axis=1).argmin()),
    ]
    found = select_for_labeling(vectors, p, budget=3, strategy="typiclust", seed=3)
    assert found.indices[:2].tolist() == typical
    assert found.indices[2] >= 14, "a part of less than five rows comes last"
    assert found.scores.tolist() == pytest.approx([1, 2 / 3, 1 / 3])
    assert select_for_labeling(vectors, p, budget=2, chosen=[0], strategy="typiclust", seed=3).indices[0] == typical[1]


def test_ours_takes_one_of_many_unsure_rows_that_are_alike_and_then_goes_elsewhere() -> None:
    # two groups, of which the first holds the least sure rows only
    vectors = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])
    unsure = np.array([0.50, 0.52, 0.51, 0.62, 0.60, 0.61])
    p = np.stack([unsure, 1 - unsure], 1)
    found = select_for_labeling(vectors, p, budget=2, seed=0)
    assert [row // 3 for row in found.indices.tolist()] == [0, 1]
    assert select_for_labeling(vectors, p, budget=1, chosen=[1], seed=0).indices[0] // 3 == 1
    sure_of_the_first = select_for_labeling(vectors, p, budget=1, uncertainty=np.array([0, 0, 0, 0.1, 0.1, 0.1]), seed=0)
    assert sure_of_the_first.indices[0] // 3 == 1


def test_what_is_chosen_is_the_same_for_every_order_of_rows() -> None:
    rng = np.random.default_rng(5)
    vectors, p, order = rng.normal(size=(300, 6)), rng.dirichlet(np.ones(5), 300), rng.permutation(300)
    for strategy in STRATEGIES:
        straight = select_for_labeling(vectors, p, budget=25, chosen=[1, 2], strategy=strategy, seed=1)
        back = np.flatnonzero(np.isin(order, [1, 2]))
        shuffled = select_for_labeling(vectors[order], p[order], budget=25, chosen=back, strategy=strategy, seed=1)
        assert order[shuffled.indices].tolist() == straight.indices.tolist(), strategy


def test_disagreement_is_what_models_differ_in_and_not_how_unsure_they_are() -> None:
    agreed = np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])
    other = np.array([[0.5, 0.5], [0.0, 1.0], [0.8, 0.2]])
    found = disagreement_uncertainty([agreed, other])
    assert found[:2] == pytest.approx([0.0, np.log(2)])
    assert 0 < found[2] < 0.02
    assert disagreement_uncertainty([agreed]).tolist() == [0.0, 0.0, 0.0]
    assert disagreement_uncertainty([csr_matrix(agreed), csr_matrix(other)]) == pytest.approx(found)
    with pytest.raises(ValueError, match="at least one model"):
        disagreement_uncertainty([])


def test_random_differs_by_seed_and_not_by_call() -> None:
    draws = {tuple(select_for_labeling(LINE, PROBABILITIES, budget=2, strategy="random", seed=s).indices.tolist()) for s in range(60)}
    assert len(draws) == 12
    assert select("random") == select("random")


def test_the_best_classes_of_a_row_stand_for_it_with_the_rest_spread_evenly() -> None:
    whole = np.array([[0.6, 0.2, 0.1, 0.1], [0.4, 0.2, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25], [0, 0, 0, 1.0]])
    part = csr_matrix(([0.6, 0.2, 0.4, 1.0], [0, 1, 0, 3], [0, 2, 3, 3, 4]), shape=(4, 4))
    assert np.allclose(entropy_uncertainty(part), entropy_uncertainty(whole))
    assert np.allclose(margin_uncertainty(part), margin_uncertainty(whole))
    assert np.round(margin_uncertainty(whole), 6).tolist() == [0.6, 0.8, 1.0, 0.0]
    assert entropy_uncertainty(whole)[2] == pytest.approx(np.log(4))
    assert margin_uncertainty(np.ones((2, 1))).tolist() == [0.0, 0.0]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 1000))
def test_entropy_agrees_with_scipy_and_margin_with_sorting(n: int, classes: int, seed: int) -> None:
    from scipy.stats import entropy

    p = np.random.default_rng(seed).dirichlet(np.ones(classes) * 0.3, n)
    ranked = np.concatenate([np.sort(p, axis=1), np.zeros((n, 1))], axis=1) if classes == 1 else np.sort(p, axis=1)
    best, second = (p[:, 0], 0 * p[:, 0]) if classes == 1 else (ranked[:, -1], ranked[:, -2])
    assert np.allclose(entropy_uncertainty(p), entropy(p, axis=1))
    assert np.allclose(margin_uncertainty(p), 1 - (best - second))


@pytest.mark.parametrize(
    "row",
    [[np.nan, 0.5, 0.5], [-0.1, 0.6, 0.5], [0.5, 0.2, 0.1], [0.9, 0.9, 0.9], [np.inf, 0, 0]],
    ids=["nan", "negative", "less", "more", "inf"],
)
def test_a_row_that_holds_no_probabilities_is_named(row: list[float]) -> None:
    with pytest.raises(VectorError, match="row 1 holds no probabilities: values must be 0 or more and sum to 1"):
        select_for_labeling(LINE[:2], np.array([[1.0, 0, 0], row]), budget=1, seed=0)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"there is no strategy 'best' \(known: badge, coreset, entropy, margin, random, typiclust, uncertainty_by_cluster\)",
    ):
        select("best")
    with pytest.raises(ValueError, match="as many rows, got 4 and 3"):
        select_for_labeling(LINE, PROBABILITIES[:3], budget=1, seed=0)
    with pytest.raises(ValueError, match=r"uncertainty must have shape \(4,\), got \(3,\)"):
        select_for_labeling(LINE, PROBABILITIES, budget=1, uncertainty=np.ones(3), seed=0)
    for wrong in (np.nan, np.inf, -0.1):
        with pytest.raises(VectorError, match=rf"0 or more: row 2 holds {wrong} \(1 of 4"):
            select_for_labeling(LINE, PROBABILITIES, budget=1, uncertainty=np.array([0, 0.5, wrong, 1]), seed=0)
    with pytest.raises(VectorError, match="row 0 holds NaN"):
        select_for_labeling(LINE * np.nan, PROBABILITIES, budget=1, seed=0)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(STRATEGIES)), st.integers(0, 30), st.integers(0, 40), st.integers(0, 1000), st.booleans())
def test_every_strategy_meets_the_budget_chooses_nothing_twice_and_repeats_itself(
    strategy: str, n: int, budget: int, seed: int, equal: bool
) -> None:
    rng = np.random.default_rng(seed)
    vectors = np.ones((n, 3)) if equal else rng.normal(size=(n, 3))
    probabilities = rng.dirichlet(np.ones(4), n).reshape(n, 4)
    chosen = np.flatnonzero(rng.random(n) < 0.3)
    found = select_for_labeling(vectors, probabilities, budget=budget, chosen=chosen, strategy=strategy, seed=seed)
    assert len(found.indices) == min(budget, n - len(chosen)) == len(found.scores)
    assert found.indices.dtype == np.int64
    assert len(set(found.indices.tolist())) == len(found.indices)
    assert not set(found.indices.tolist()) & set(chosen.tolist())
    assert (np.diff(found.scores) <= 1e-9).all()
    again = select_for_labeling(vectors, probabilities, budget=budget, chosen=chosen, strategy=strategy, seed=seed)
    assert again.indices.tolist() == found.indices.tolist()


def test_k_means_finds_planted_groups_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(loc=10 * i, size=(40, 2)) for i in range(3)]).astype(np.float32)
    parts, distances = kmeans_parts(vectors, 3, seed=1)
    assert [len(set(parts[i * 40 : i * 40 + 40].tolist())) for i in range(3)] == [1, 1, 1]
    assert len(set(parts.tolist())) == 3
    assert distances.min() >= 0
    assert (kmeans_parts(vectors, 3, seed=1)[0] == parts).all()
