import datetime as dt

import numpy as np
import pytest

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.live import kept_ready
from reelhouse.training.champion import GATES, Champions, champion_of, champions_of, fold
from reelhouse.training.gates import Decision, SliceFigures, compare, decide

SETTINGS = settings_module.load().gates


def at(accuracy, rows=100):
    return SliceFigures(rows, accuracy, accuracy, 1.0)


def rows_right(*counts):
    """Arrays (candidate, champion): so many rows that both have right, only the candidate, only the champion, none."""
    pairs = [pair for pair, n in zip(((1, 1), (1, 0), (0, 1), (0, 0)), counts, strict=True) for _ in range(n)]
    both = np.array(pairs, bool)
    return both[:, 0], both[:, 1]


def compared(*counts, seed=1, name="all", settings=SETTINGS):
    candidate, champion = rows_right(*counts)
    (found,) = compare(candidate, champion, {name: np.ones(len(candidate), bool)}, settings, seed)
    return found


def changed(**values):
    return SETTINGS.model_copy(update=values)


def test_the_first_model_must_beat_the_most_frequent_class():
    assert decide({"all": at(0.5)}, None, 0.4, SETTINGS) == Decision(
        "promoted", "first model: accuracy 0.500 > 0.400 of the most frequent class"
    )
    assert decide({"all": at(0.4)}, None, 0.4, SETTINGS).decision == "refused"


def test_a_difference_has_the_interval_that_drawing_rows_again_gives():
    candidate, champion = rows_right(60, 25, 10, 5)
    found = compared(60, 25, 10, 5)
    assert (found.rows, found.candidate, found.champion) == (100, 0.85, 0.7)
    assert found.difference == pytest.approx(0.15)
    draw = np.random.default_rng(5)
    again = [(candidate[i].mean() - champion[i].mean()) for i in draw.integers(0, 100, (4000, 100))]
    low, high = np.quantile(again, [0.05, 0.95])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.015), pytest.approx(high, abs=0.015))
    assert compared(60, 25, 10, 5) == found
    narrower = compared(60, 25, 10, 5, settings=changed(confidence=0.5))
    assert found.low < narrower.low < narrower.high < found.high


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [((800, 0, 0, 200), "held"), ((600, 60, 60, 280), "held"), ((600, 0, 100, 300), "failed"), ((600, 45, 60, 295), "unsure")],
)
def test_an_interval_wholly_above_the_limit_holds_and_one_wholly_below_fails(counts, outcome):
    found = compared(*counts)
    assert found.outcome == outcome
    below, above = found.high < -0.02, found.low >= -0.02
    assert (below, above) == (outcome == "failed", outcome == "held")


def test_of_what_the_interval_leaves_open_the_setting_decides():
    good, bad = compared(600, 45, 60, 295), compared(600, 40, 65, 295)
    assert (good.outcome, bad.outcome) == ("unsure", "unsure")
    assert good.difference > -0.02 > bad.difference

    def said(found, unsure):
        return decide({"all": at(0.6)}, [found], 0, changed(unsure=unsure)).decision

    assert [said(good, u) for u in ("estimate", "refuse", "promote")] == ["promoted", "refused", "promoted"]
    assert [said(bad, u) for u in ("estimate", "refuse", "promote")] == ["refused", "refused", "promoted"]


def test_every_slice_that_is_large_enough_must_hold_by_a_limit_of_its_own():
    candidate, champion = rows_right(40, 0, 20, 40)
    slices = {"all": np.ones(100, bool), "tail": np.arange(100) < 60, "newest": np.arange(100) >= 41 + 40}
    loose = changed(drop_max_by_slice={"all": 0.5, "tail": 0.5})
    found = compare(candidate, champion, slices, loose, 1)
    assert [(c.slice, c.rows, c.outcome) for c in found] == [("all", 100, "held"), ("tail", 60, "held"), ("newest", 19, "too few rows")]
    assert decide({"all": at(0.4)}, found, 0, loose).decision == "promoted"
    tight = compare(candidate, champion, slices, changed(drop_max_by_slice={"all": 0.5}), 1)
    decision = decide({"all": at(0.4)}, tight, 0, SETTINGS)
    assert decision.decision == "refused"
    assert decision.reason.startswith("accuracy dropped by more than is let pass: tail 0.667 against 1.000 (-0.333, ")


def test_all_decides_however_few_its_rows_are():
    assert compared(0, 0, 3, 0).outcome == "failed"


def test_what_passes_waits_for_a_person_where_the_gates_may_not_promote():
    assert decide({"all": at(0.5)}, None, 0.4, changed(promote=False)).decision == "passed"
    assert decide({"all": at(0.4)}, None, 0.4, changed(promote=False)).decision == "refused"


@pytest.mark.parametrize("others", [None, []])
def test_without_evaluation_rows_nothing_is_promoted(others):
    assert decide({}, others, 0.0, SETTINGS) == Decision("refused", "there are no evaluation rows: nothing shows that the model is good")


def promotions(spark, *facts):
    """facts: (model_version, decision, decided_by, day of January, hour)."""
    rows = [
        (m, "s", d, by, dt.datetime(2026, 1, day, hour), None, "because", dt.date(2026, 1, day)) for m, d, by, day, hour in facts
    ]  # fmt: skip
    return spark.createDataFrame(rows, tables.PROMOTIONS.spark_schema())


def test_the_champion_is_the_newest_promotion_and_the_one_before_is_remembered(spark):
    found = champions_of(
        promotions(spark, ("a", "promoted", "gates", 1, 0), ("b", "promoted", "gates", 2, 0), ("c", "refused", "gates", 3, 0))
    )
    assert (found.champion, found.previous, found.since) == ("b", "a", dt.date(2026, 1, 2))
    assert champions_of(promotions(spark)) == Champions()
    assert champion_of(promotions(spark, ("c", "refused", "gates", 3, 0), ("d", "passed", "gates", 4, 0))) is None


def test_a_person_has_the_last_word_of_a_day_and_of_two_words_the_later_counts(spark):
    assert champion_of(promotions(spark, ("a", "promoted", "anna", 2, 9), ("b", "promoted", "gates", 2, 0))) == "a"
    words = [("a", "promoted", "gates", 1, 0), ("b", "promoted", "zoe", 2, 9), ("a", "promoted", "anna", 2, 10)]
    found = champions_of(promotions(spark, *words))
    assert (found.champion, found.previous) == ("a", "b")


def day(n):
    return dt.date(2026, 1, n)


def test_a_rejected_version_leaves_the_line_until_a_person_promotes_it_again():
    events = [("a", "promoted", GATES, day(1)), ("b", "promoted", GATES, day(2)), ("b", "rejected", "anna", day(3))]
    by_zoe = fold([*events, ("b", "promoted", "zoe", day(5))])
    assert fold(events) == Champions((("a", day(1)),), frozenset("b"))
    assert fold([*events, ("b", "promoted", GATES, day(4))]).champion == "a"
    assert by_zoe == Champions((("a", day(1)), ("b", day(5))), replaced=frozenset("a"))


def test_in_whose_place_a_person_promoted_another_is_known_until_a_person_takes_it_back():
    events = [("a", "promoted", GATES, day(1)), ("b", "promoted", GATES, day(2))]
    assert fold(events).replaced == frozenset()
    events.append(("a", "promoted", "anna", day(3)))
    assert fold(events).replaced == frozenset("b")
    assert fold([*events, ("c", "promoted", GATES, day(4))]).replaced == frozenset("b")
    assert fold([*events, ("b", "promoted", "anna", day(4))]).replaced == frozenset("a")


def test_kept_ready_are_what_is_served_and_the_champion_before_for_some_days():
    champions = fold([("a", "promoted", GATES, day(1)), ("b", "promoted", GATES, day(10))])
    assert kept_ready(champions, "x", day(10), 7) == ["x", "a"]
    assert kept_ready(champions, "a", day(17), 7) == ["a"]
    assert kept_ready(champions, "b", day(17), 7) == ["a"]
    assert kept_ready(champions, "b", day(18), 7) == []
    assert kept_ready(champions, None, day(10), 0) == ["a"]
    assert kept_ready(Champions(), None, day(1), 7) == []
