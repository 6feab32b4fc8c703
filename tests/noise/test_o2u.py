"""Planted wrong labels are found and put right; what is promised of order, seeds, small classes and bad input holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import NearestNeighbors

from reelhouse.errors import LabelError, VectorError
from reelhouse.noise import CLEAN, HARD, WRONG, NoiseScores, neighbours, o2u, o2u_scores
from reelhouse.noise.o2u import anchored_noise_rate

FEW = {"folds": 3, "cycles": 1, "epochs_per_cycle": 2}  # for what does not depend on how well it learns


def planted(n: int, share: float, *, classes: int = 4, d: int = 16, apart: float = 5.0, seed: int = 0) -> tuple[np.ndarray, ...]:
    """(features, given labels, right labels): one normal distribution a class, a share of the labels moved to another class."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, classes, n)
    x = draw.standard_normal((n, d)).astype(np.float32)
    x[np.arange(n), truth] += apart
    bad = draw.random(n) < share
    return x, np.where(bad, (truth + draw.integers(1, classes, n)) % classes, truth), truth


def names(count: int) -> np.ndarray:
    return np.array([f"v{row:04d}" for row in range(count)])


def scored(x: np.ndarray, labels: np.ndarray, *, keys: np.ndarray | None = None, **options: int) -> NoiseScores:
    """The scores of rows named by their number, or by `keys`."""
    return o2u_scores(x, labels, keys=names(len(labels)) if keys is None else keys, **options)


def same(one: NoiseScores, other: NoiseScores, order: np.ndarray | slice = slice(None)) -> bool:
    """Whether both say the same, `other` being about the rows of `one` in another order."""
    for name, value in vars(one).items():
        theirs = getattr(other, name)
        if (
            not np.array_equal(value[order], theirs, equal_nan=value.dtype.kind == "f")
            if isinstance(value, np.ndarray)
            else value != theirs
        ):
            return False
    return True


# -- finding what was planted


@pytest.mark.parametrize(("share", "recall"), [(0.15, 0.5), (0.3, 0.85)])  # the estimated share is cautious where few are wrong
def test_planted_wrong_labels_are_found_and_the_right_one_is_suggested(share: float, recall: float) -> None:
    found = planted_count = right = suggested = 0
    for seed in range(4):
        x, labels, truth = planted(400, share, seed=seed)
        result = scored(x, labels)
        bad, wrong = labels != truth, result.verdicts == WRONG
        worst = np.argsort(-result.scores)[: bad.sum()]
        assert bad[worst].mean() > 0.95
        assert roc_auc_score(bad, result.scores) > 0.99
        assert (result.verdicts[bad] != CLEAN).mean() > 0.95
        assert bad[wrong].mean() > 0.95
        assert result.noise_rate < share + 0.06
        found, planted_count = found + (bad & wrong).sum(), planted_count + bad.sum()
        right, suggested = right + (result.suggested[wrong] == truth[wrong]).sum(), suggested + wrong.sum()
    assert found / planted_count > recall
    assert right / suggested > 0.95


def test_where_all_labels_are_right_hardly_one_is_called_wrong() -> None:
    for seed in range(3):
        x, labels, _ = planted(400, 0.0, apart=4.0, seed=seed)
        result = scored(x, labels)
        assert (result.verdicts == WRONG).mean() <= 0.01
        assert (result.verdicts == CLEAN).mean() > 0.9
        assert result.noise_rate <= 0.01


def test_the_ranking_is_as_good_as_that_of_a_logistic_regression_by_cross_validation() -> None:
    x, labels, truth = planted(500, 0.2, apart=3.0, seed=7)
    unit = (x - x.mean(axis=0)) / np.linalg.norm(x - x.mean(axis=0), axis=1, keepdims=True)
    held_out = cross_val_predict(LogisticRegression(C=3), unit, labels, cv=6, method="predict_proba")
    oracle = roc_auc_score(labels != truth, -held_out[np.arange(500), labels])
    assert roc_auc_score(labels != truth, scored(x, labels).scores) > oracle - 0.01


def test_classes_of_very_different_sizes_are_judged_alike() -> None:
    draw = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [400, 60, 30])
    x = draw.standard_normal((490, 12)).astype(np.float32)
    x[np.arange(490), truth] += 6
    labels = truth.copy()
    labels[[0, 1, 2, 3, 400, 401, 460, 461]] = [1, 1, 2, 2, 0, 2, 0, 1]
    result = scored(x, labels)
    bad = labels != truth
    assert set(np.argsort(-result.scores)[:8]) == set(np.flatnonzero(bad))
    assert (result.verdicts[~bad & (truth == 2)] != WRONG).all(), "rare and right"


# -- what the result says of itself


def test_the_result_is_consistent_with_itself_and_with_scikit_learns_neighbours() -> None:
    x, labels, _ = planted(200, 0.2, classes=3, apart=4.0, seed=2)
    result = scored(x, labels + 5)
    wrong = result.verdicts == WRONG
    assert set(result.verdicts.tolist()) <= {WRONG, HARD, CLEAN}
    assert 0 < wrong.sum() <= round(result.noise_rate * 200)
    assert (result.suggested[wrong] != labels[wrong] + 5).all()
    assert set(result.suggested[wrong].tolist()) <= {5, 6, 7}
    assert (result.suggested[~wrong] == -1).all()
    assert np.isnan(result.suggestion_confidence[~wrong]).all()
    assert ((result.suggestion_confidence[wrong] >= 1 / 2) & (result.suggestion_confidence[wrong] <= 1)).all(), "best of two others"
    assert (result.losses.shape, result.losses.dtype) == ((200, 18), np.float32)
    assert result.losses.mean(axis=0) == pytest.approx(np.zeros(18), abs=1e-5), "equation 2: less the mean of the epoch"
    for c in range(3):
        assert np.median(result.loss_ratios[labels == c]) == pytest.approx(1)
    centred = x.astype(np.float64) - x.astype(np.float64).mean(axis=0)
    near = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(centred).kneighbors()[1]
    counts = np.stack([(labels[near] == c).sum(axis=1) for c in range(3)], axis=1)
    assert result.neighbours == 10
    assert (result.neighbour_counts == counts.max(axis=1)).all()
    assert (result.neighbour_labels == counts.argmax(axis=1) + 5).all()
    assert (counts[wrong, labels[wrong]] <= counts[wrong, result.suggested[wrong] - 5]).all(), "neighbours don't defend the label"


def test_where_only_some_rows_are_looked_at_as_neighbours_they_are_of_all_classes_however_the_rows_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbours, "REFERENCE_MAX", 80)
    x, labels, _ = planted(400, 0.0, seed=2)
    keys = np.array([f"class-{label}-{row:03d}" for row, label in enumerate(labels)])  # in their order one class comes after the other
    result = scored(x, labels, keys=keys, **FEW)
    assert (result.neighbour_labels == labels).mean() > 0.95


def test_a_label_that_its_neighbours_defend_is_hard_at_most() -> None:
    scores = np.concatenate([np.linspace(-1, 0, 45), [8.0, 8.1, 8.2, 8.3, 8.4]])
    odds = np.where(scores > 5, 3.0, -3.0)
    given_labels, other = np.zeros(50, int), np.ones(50, int)
    given_labels[0] = 1
    probabilities = np.where(odds[:, None] > 0, [[0.05, 0.95]], [[0.9, 0.1]])
    probabilities[0] = [0.1, 0.9]
    counts = np.tile([2, 8], (50, 1))
    counts[47] = [8, 2]
    verdicts, rate = o2u._verdicts(scores, odds, given_labels, other, probabilities, counts)
    assert verdicts[:45].tolist() == [CLEAN] * 45
    assert verdicts[45:].tolist() == [WRONG, WRONG, HARD, WRONG, WRONG]
    assert rate == pytest.approx(0.1)  # 5 of 50 disagree; the surest 30 would say 5 of 30
    odds[49] = -1.0  # nothing fits better than what was given
    verdicts, rate = o2u._verdicts(scores, odds, given_labels, other, probabilities, counts)
    assert verdicts[45:].tolist() == [WRONG, WRONG, HARD, WRONG, CLEAN]
    assert rate == pytest.approx(0.08)  # no more than the suspects


def test_no_more_labels_are_wrong_than_the_noise_rate_says_and_they_are_the_worst() -> None:
    scores = np.concatenate([np.linspace(-1, 0, 40), np.linspace(8.0, 9.0, 10)])
    odds = np.where(scores > 5, 3.0, -3.0)
    probabilities = np.tile([0.9, 0.1], (50, 1))
    probabilities[-4:] = [0.05, 0.95]  # the heads' own first choice is against four labels only
    verdicts, rate = o2u._verdicts(scores, odds, np.zeros(50, int), np.ones(50, int), probabilities, np.tile([0, 10], (50, 1)))
    assert rate == pytest.approx(4 / 50)
    assert verdicts[40:].tolist() == [HARD] * 6 + [WRONG] * 4


# -- the share of wrong labels


def by_hand(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of two classes: (probability of the first choice, whether the label disagrees)."""
    probabilities = np.array([[p, 1 - p] for p, _ in rows])
    return probabilities, np.array([int(disagrees) for _, disagrees in rows])


def test_the_noise_rate_of_few_rows_is_their_share_of_disagreement() -> None:
    assert anchored_noise_rate(*by_hand([(0.9, True)] * 3 + [(0.8, False)] * 9)) == pytest.approx(0.25)
    assert anchored_noise_rate(*by_hand([(0.9, False)] * 12)) == 0
    assert anchored_noise_rate(*by_hand([(0.9, True)] * 12)) == 1


def test_the_noise_rate_is_taken_from_the_surest_rows_where_the_rest_is_only_hard() -> None:
    sure = [(0.99 - i / 10_000, i % 10 == 0) for i in range(100)]  # one in ten is wrong
    unsure = [(0.6 - i / 100_000, i % 2 == 0) for i in range(900)]  # guesses
    assert anchored_noise_rate(*by_hand(sure + unsure)) == pytest.approx(0.1)
    assert anchored_noise_rate(*by_hand(unsure[::-1] + sure[::-1])) == pytest.approx(0.1)


def test_the_noise_rate_is_taken_from_all_rows_where_all_are_alike() -> None:
    rows = [(0.99 - i / 10_000, i % 5 == 0) for i in range(1000)]
    assert anchored_noise_rate(*by_hand(rows)) == pytest.approx(0.2)


# -- order, seed, threads of chance


def test_the_same_input_gives_the_same_result_and_is_not_changed() -> None:
    x, labels, _ = planted(150, 0.2, seed=1)
    kept_x, kept_labels = x.copy(), labels.copy()
    first = scored(x, labels, **FEW)
    np.random.seed(99)  # the global seed must not matter
    assert same(first, scored(x, labels, **FEW))
    assert (x == kept_x).all()
    assert (labels == kept_labels).all()
    assert not same(first, scored(x, labels, seed=1, **FEW))


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_the_rows_has_no_influence(seed: int) -> None:
    x, labels, _ = planted(90, 0.2, seed=3)
    labels[::11] = -1
    order = np.random.default_rng(seed).permutation(90)
    assert same(scored(x, labels, **FEW), scored(x[order], labels[order], keys=names(90)[order], **FEW), order)


def test_rows_that_are_named_keep_their_folds_when_the_last_bits_of_their_features_change() -> None:
    x, labels, _ = planted(90, 0.2, seed=3)
    keys = np.array([f"v{(row * 37) % 90:02d}" for row in range(90)])
    first, moved = scored(x, labels, keys=keys, **FEW), scored(np.nextafter(x, np.float32(9)), labels, keys=keys, **FEW)
    np.testing.assert_allclose(moved.losses, first.losses, atol=1e-3)
    order = np.random.default_rng(1).permutation(90)
    assert same(first, scored(x[order], labels[order], keys=keys[order], **FEW), order)
    other = scored(x, labels, keys=keys[::-1], **FEW)  # the names do decide
    assert np.abs(other.losses - first.losses).max() > 0.01


def test_the_names_of_the_classes_have_no_influence_but_on_the_names() -> None:
    x, labels, truth = planted(300, 0.2, seed=4)
    classes = np.array([3, 70, 71, 900])
    result = scored(x, classes[labels])
    wrong = result.verdicts == WRONG
    assert (result.suggested[wrong] == classes[truth[wrong]]).mean() > 0.9
    assert (labels != truth)[wrong].mean() > 0.9


def test_the_length_of_the_vectors_and_a_common_shift_hardly_matter() -> None:
    x, labels, truth = planted(300, 0.2, seed=5)
    plain, moved = scored(x, labels), scored(x * 1000 + 5000, labels)
    assert np.corrcoef(plain.scores, moved.scores)[0, 1] > 0.98
    assert roc_auc_score(labels != truth, moved.scores) > 0.99


# -- who is not judged


def test_masked_labels_and_classes_that_are_too_small_are_left_out_and_change_nothing() -> None:
    x, labels, _ = planted(120, 0.1, classes=3, seed=6)
    extra = np.random.default_rng(1).standard_normal((6, 16)).astype(np.float32)
    keys = np.concatenate([[f"w{row}" for row in range(6)], names(120)])
    more = scored(np.concatenate([extra, x]), np.concatenate([[-1, -1, -1, -1, 8, 8], labels]), keys=keys, **FEW)
    assert more.verdicts[:6].tolist() == [""] * 6
    for name in ("scores", "suggestion_confidence", "loss_ratios", "losses"):
        assert np.isnan(getattr(more, name)[:6]).all()
    for name in ("suggested", "neighbour_labels", "neighbour_counts"):
        assert (getattr(more, name)[:6] == -1).all()
    assert (more.verdicts[6:] != "").all()
    assert np.isfinite(more.scores[6:]).all()
    assert same(more, scored(x, labels, **FEW), slice(6, None))


def test_the_minimum_per_class_decides_which_classes_are_judged() -> None:
    x, _, _ = planted(17, 0.0, classes=2)
    labels = np.array([0] * 10 + [1] * 4 + [2] * 2 + [3])
    for minimum, judged in [(5, None), (4, [0, 1]), (3, [0, 1]), (2, [0, 1, 2]), (1, [0, 1, 2])]:
        if judged is None:
            with pytest.raises(LabelError):
                scored(x, labels, minimum_per_class=minimum, **FEW)
            continue
        result = scored(x, labels, minimum_per_class=minimum, **FEW)
        assert sorted(set(labels[result.verdicts != ""].tolist())) == judged, "one label alone can't be held out"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.sampled_from([0.0, 1.0, -1.0])), max_size=24))
def test_any_labels_are_judged_or_refused_by_name_even_with_equal_or_zero_vectors(rows: list) -> None:
    labels = np.array([label for label, _ in rows], int)
    x = np.array([[value, 0.0] for _, value in rows], np.float32).reshape(-1, 2)
    large = [c for c in range(4) if (labels == c).sum() >= 3]
    if len(large) < 2:
        with pytest.raises(LabelError):
            scored(x, labels, **FEW)
        return
    result = scored(x, labels, **FEW)
    judged = np.isin(labels, large)
    assert ((result.verdicts != "") == judged).all()
    assert (np.isfinite(result.scores) == judged).all()
    assert 0 <= result.noise_rate <= 1


# -- bad input


def test_too_few_classes_are_refused_by_name() -> None:
    x, _, _ = planted(20, 0.0)
    with pytest.raises(LabelError, match="labels of at least two classes, 3 or more of each, are needed; 1 such class is there"):
        scored(x, np.array([0] * 18 + [1] * 2))
    with pytest.raises(LabelError, match="0 such class is there"):
        scored(x, np.full(20, -1))
    with pytest.raises(LabelError, match="0 such class is there"):
        scored(np.zeros((0, 4), np.float32), np.zeros(0, int))


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_value_that_is_not_finite_is_refused_with_its_row(value: float) -> None:
    x, labels, _ = planted(20, 0.0)
    x = x.astype(np.float64)
    x[[7, 9], 3] = value
    with pytest.raises(VectorError, match=r"features of row 7 hold NaN or an infinite value \(2 such rows\)"):
        scored(x, labels)


@pytest.mark.parametrize(("features", "labels"), [((20,), 20), ((20, 3), 19), ((20, 2, 2), 20)])
def test_shapes_that_do_not_fit_are_refused_by_name(features: tuple, labels: int) -> None:
    with pytest.raises(VectorError, match=r"features must be \(n, d\) and labels \(n,\), got"):
        scored(np.zeros(features), np.zeros(labels, int))
