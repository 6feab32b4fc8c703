"""What several people's answers are worth: by hand, against all truths enumerated, and on simulated people whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.labels import Taxonomy
from reelhouse.labels.fold import Crowd, fold_answers, positions_of, stances_of
from reelhouse.labels.reliability import Reliability, Stance, learn_reliabilities, posterior
from tests.labels.trees import TREE


def known(**probability: float) -> dict[str, Reliability]:
    return {name: Reliability(p, 9) for name, p in probability.items()}


def test_two_who_contradict_each_other_count_by_their_odds() -> None:
    found = posterior([Stance("ann", "pets"), Stance("bob", "sport")], known(ann=0.9, bob=0.6), TREE)
    # pets: .9 * .4 / 5, sport: .6 * .1 / 5, each of the four others: .1 / 5 * .4 / 5
    weights = {"pets": 0.072, "sport": 0.012, None: 4 * 0.0016}
    assert found == pytest.approx({label: weight / sum(weights.values()) for label, weight in weights.items()})


def test_equals_tie_whatever_the_level_of_their_labels_and_a_no_weighs_like_a_yes() -> None:
    people = known(ann=0.8, bob=0.8)
    levels = posterior([Stance("ann", "food"), Stance("bob", "sport")], people, TREE)
    assert levels["food"] == pytest.approx(levels["sport"])
    no = posterior([Stance("ann", "tea"), Stance("bob", None, ("tea",))], people, TREE)
    assert no["tea"] == pytest.approx(no[None])


def test_a_leaf_supports_what_is_above_it() -> None:
    found = posterior([Stance("ann", "food"), Stance("bob", "tea"), Stance("cy", "cake")], known(ann=0.8, bob=0.8, cy=0.8), TREE)
    assert found["tea"] == pytest.approx(found["cake"])
    assert found["food"] + found["tea"] + found["cake"] > 0.95


def by_enumeration(stances: list[Stance], people: dict[str, Reliability]) -> dict[str | None, float]:
    """Every label, and none of them, as the truth; what nobody spoke of is put to the nearest spoken label above it."""
    weights: dict[str | None, float] = {}
    spoken = {label for s in stances for label in (s.choice, *s.noes) if label}
    for truth in [*TREE.ids, None]:
        line = [truth, *TREE.ancestors(truth)] if truth else []
        weight = 1.0
        for stance in stances:
            p = people[stance.annotator_id].probability
            right = (stance.choice is None or stance.choice in line) and not set(stance.noes) & set(line)
            branch = [one for one in TREE.ids if stance.choice in (one, *TREE.ancestors(one))]
            weight *= p if right else (1 - p) * (len(branch) / 5 if stance.choice else 1)
        home = next((label for label in line if label in spoken), None)
        weights[home] = weights.get(home, 0.0) + weight
    return {label: weight / sum(weights.values()) for label, weight in weights.items()}


STANCE = st.tuples(st.sampled_from([None, *TREE.ids]), st.sets(st.sampled_from(TREE.ids), max_size=2)).filter(lambda s: s[0] or s[1])


@settings(max_examples=200)
@given(st.lists(st.tuples(STANCE, st.sampled_from([0.2, 0.5, 0.8, 0.95])), min_size=1, max_size=4))
def test_it_is_what_enumerating_every_truth_gives(given_: list) -> None:
    stances = [Stance(f"a{i}", choice, tuple(sorted(noes))) for i, ((choice, noes), _) in enumerate(given_)]
    people = {f"a{i}": Reliability(p, 1) for i, (_, p) in enumerate(given_)}
    assert posterior(stances, people, TREE) == pytest.approx(by_enumeration(stances, people))


def test_nobody_known_makes_nobody_known_and_few_answers_stay_near_the_prior() -> None:
    assert learn_reliabilities([], TREE) == {}
    one = learn_reliabilities([[Stance("ann", "tea"), Stance("bob", "tea")]], TREE)
    assert one["ann"] == one["bob"]
    assert 0.8 < one["ann"].probability < 5 / 6 + 1e-9  # prior 4 of 5, and one more that is almost surely right
    assert one["ann"].answers == 1


@given(st.randoms())
@settings(max_examples=20, deadline=None)
def test_the_order_of_videos_and_people_does_not_matter(random: object) -> None:
    rng = np.random.default_rng(3)
    videos = [[Stance(f"a{a}", TREE.ids[rng.integers(5)]) for a in rng.permutation(4)[:3]] for _ in range(30)]
    expected = learn_reliabilities(videos, TREE)
    shuffled = [random.sample(stances, len(stances)) for stances in videos]
    random.shuffle(shuffled)
    assert learn_reliabilities(shuffled, TREE) == expected


ROOTS, LEAVES = 8, 5
WIDE = Taxonomy.from_dict(
    {
        "task": "t",
        "labels": [{"id": f"r{r}", "name": f"r{r}"} for r in range(ROOTS)]
        + [{"id": f"r{r}.{n}", "parent": f"r{r}", "name": str(n)} for r in range(ROOTS) for n in range(LEAVES)],
    }
)


def simulated(seed: int, videos: int, people: int, each: int) -> tuple[list[str], np.ndarray, list[list[tuple[str, str, int]]]]:
    """(truth, how often each person is right, answers): errors are mostly siblings, each person's own favourite half of the time."""
    rng = np.random.default_rng(seed)
    leaves = [label for label in WIDE.ids if "." in label]
    skill = rng.uniform(0.45, 0.95, people)
    skill[0] = 0.1
    truth, answers = [], []
    for number in rng.integers(len(leaves), size=videos):
        siblings = [i for i in range(number // LEAVES * LEAVES, number // LEAVES * LEAVES + LEAVES) if i != number]
        given_ = []
        for person in rng.choice(people, each, replace=False):
            if rng.random() < skill[person]:
                said = number
            elif rng.random() < 0.8:
                said = siblings[person % len(siblings)] if rng.random() < 0.5 else rng.choice(siblings)
            else:
                said = rng.integers(len(leaves))
            given_.append((leaves[said], f"a{person}", 1))
        truth.append(leaves[number])
        answers.append(given_)
    return truth, skill, answers


@pytest.mark.parametrize(("each", "gain", "less_wrong"), [(3, -0.01, 0.01), (5, 0.1, -0.03)])
def test_people_of_known_truth_are_found_out_and_settle_more_or_better_than_by_vote(each: int, gain: float, less_wrong: float) -> None:
    """With three answers fewer of the settled labels are wrong at about as many settled; with five many more are settled."""
    gains, wrong = [], []
    for seed in range(3):
        truth, skill, answers = simulated(seed, 600, 10, each)
        people = learn_reliabilities([stances_of(positions_of(one, WIDE)[0]) for one in answers], WIDE)
        assert np.corrcoef([people[f"a{i}"].probability for i in range(10)], skill)[0, 1] > 0.95
        voted, weighed = (
            [
                row.label_id == right
                for right, one in zip(truth, answers, strict=True)
                for row in fold_answers(one, WIDE, 0.6, how)
                if row.answer == 1
            ]
            for how in (None, Crowd(people, 0.9))
        )
        gains.append((sum(weighed) - sum(voted)) / len(truth))
        wrong.append(np.mean(weighed) - np.mean(voted))
    assert np.mean(gains) > gain
    assert np.mean(wrong) > less_wrong
