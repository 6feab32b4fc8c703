import datetime as dt

import pytest

from reelhouse import tables
from reelhouse.settings import GateSettings
from reelhouse.training.champion import champion_of
from reelhouse.training.gates import Decision, SliceFigures, decide

SETTINGS = GateSettings(accuracy_drop_max=0.02, slice_rows_min=20)


def at(accuracy, rows=100):
    return SliceFigures(rows, accuracy, accuracy, 1.0)


def test_the_first_model_must_beat_the_most_frequent_class():
    assert decide({"all": at(0.5)}, None, 0.4, SETTINGS) == Decision(
        "promoted", "first model: accuracy 0.500 > 0.400 of the most frequent class"
    )
    assert decide({"all": at(0.4)}, None, 0.4, SETTINGS).decision == "refused"


def test_every_slice_that_is_large_enough_must_hold():
    champion = {"all": at(0.8), "tail": at(0.5, 20), "newest": at(0.9, 19)}
    assert decide({"all": at(0.78), "tail": at(0.48, 20), "newest": at(0.1, 19)}, champion, 0, SETTINGS) == Decision(
        "promoted", "accuracy held: all 0.780 against 0.800, tail 0.480 against 0.500"
    )
    assert decide({"all": at(0.9), "tail": at(0.47, 20), "newest": at(0.9, 19)}, champion, 0, SETTINGS) == Decision(
        "refused", "accuracy dropped by more than 0.02: tail 0.470 against 0.500"
    )


def test_all_decides_however_few_its_rows_are():
    assert decide({"all": at(0.2, 3)}, {"all": at(0.6, 3)}, 0, SETTINGS).decision == "refused"


@pytest.mark.parametrize("champion", [None, {}])
def test_without_evaluation_rows_nothing_is_promoted(champion):
    assert decide({}, champion, 0.0, SETTINGS) == Decision("refused", "there are no evaluation rows: nothing shows that the model is good")


def promotions(spark, *facts):
    """facts: (model_version, decision, decided_by, day of January)."""
    rows = [(m, "s", d, by, None, "because", dt.date(2026, 1, day)) for m, d, by, day in facts]
    return spark.createDataFrame(rows, tables.PROMOTIONS.spark_schema())


def test_the_champion_is_the_newest_promotion(spark):
    assert champion_of(promotions(spark, ("a", "promoted", "gates", 1), ("b", "promoted", "gates", 2), ("c", "refused", "gates", 3))) == "b"
    assert champion_of(promotions(spark)) is None
    assert champion_of(promotions(spark, ("c", "refused", "gates", 3))) is None


def test_a_persons_word_comes_before_the_gates_of_the_same_day(spark):
    both = promotions(spark, ("a", "promoted", "anna", 2), ("b", "promoted", "gates", 2))
    assert champion_of(both) == "a"
