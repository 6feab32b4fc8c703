"""evaluate on a real lake and a real MLflow: who becomes champion over the days, and on which figures."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
import torch

from jobs import build_training_set, evaluate, train
from reelhouse import tables
from reelhouse.features import Layout
from reelhouse.labels import Taxonomy
from reelhouse.labels.taxonomy import Move
from reelhouse.models import load
from reelhouse.models.inference import columns_of, run_model, softmax
from reelhouse.models.network import MultimodalNetwork, dump
from reelhouse.run import StepAside
from reelhouse.training.champion import champion_of
from reelhouse.training.version import version_of
from tests.jobs.small_lake import DAY, NEXT, TREE, SmallLake, _features
from tests.turns import JOBS

TURN = (JOBS, 115)

BEFORE = dt.date(2026, 1, 1)
THIRD, FOURTH, TENTH, LATE = (dt.date(2026, 1, day) for day in (4, 5, 10, 20))


class Days:
    """A lake on which each day's candidate comes with settings of its own."""

    def __init__(self, spark, root):
        self.spark, self.root = spark, root

    def lake(self, **training):
        return SmallLake(self.spark, self.root, **{f"training__{name}": value for name, value in training.items()})

    def same_snapshot(self, date):
        """The snapshot of DAY, which nothing changed since."""
        lake = self.lake()
        for table, where in ((tables.SNAPSHOTS, {}), (tables.TRAINING_EXAMPLES, {"snapshot_id": self.snapshot.snapshot_id})):
            rows = [{n: v for n, v in r.asDict().items() if n != "data_date"} for r in lake.rows(table)]
            lake.write(table, rows, date, **where)

    def candidate(self, date, model, **training):
        """These bytes, registered as what was trained on the day's snapshot with such settings."""
        lake = self.lake(**training)
        (snapshot,) = lake.rows(tables.SNAPSHOTS, date)
        version = version_of(snapshot.snapshot_id, lake.settings.training)
        registry = lake.services.registry
        registry.register(registry.start(version, {}).run_id, version, model, {"snapshot_id": snapshot.snapshot_id})
        return lake, version

    def champion(self, date):
        return champion_of(self.lake().run(date=date).upto(tables.PROMOTIONS))


def untrained(like):
    torch.manual_seed(3)
    return dump(MultimodalNetwork(load(like).config))


def decisions(lake, date):
    return [(r.model_version, r.decision, r.decided_by, r.previous_version) for r in lake.rows(tables.PROMOTIONS, date)]


def figures(lake, date):
    return {(r.model_version, r.slice, r.metric): (r.value, r.rows) for r in lake.rows(tables.EVALUATIONS, date)}


def drawn(video, *, is_random=True, task="category"):
    return {"video_id": video, "task": task, "rank": 1, "reason": "r", "is_random": is_random}


@pytest.fixture(scope="module")
def days(spark, tmp_path_factory):
    """On DAY a model was trained on 90 videos and evaluated."""
    days = Days(spark, tmp_path_factory.mktemp("lake"))
    lake = days.lake().plant(90)
    lake.write(tables.SAMPLE_BATCH, [drawn(f"v{n:03d}", is_random=n % 3 == 0) for n in range(40)], BEFORE)
    lake.write(tables.ACTIVE_BATCH, [drawn(f"v{n:03d}") for n in range(60, 80)], BEFORE)
    lake.write(tables.ACTIVE_BATCH, [drawn(f"v{n:03d}", task="other") for n in range(40, 60)], BEFORE, task="other")
    lake.write(tables.SAMPLE_BATCH, [drawn(f"v{n:03d}") for n in range(80, 90)], DAY)  # nobody can have answered yet
    for job in (build_training_set, train):
        lake.do(job)
    days.record = lake.do(evaluate)
    (days.snapshot,) = lake.rows(tables.SNAPSHOTS)
    days.first = version_of(days.snapshot.snapshot_id, lake.settings.training)
    days.model = lake.services.registry.load(days.first)
    return days


def test_the_first_model_is_promoted_on_figures_that_are_its_own(days):
    lake = days.lake()
    (row,) = lake.rows(tables.PROMOTIONS)
    assert decisions(lake, DAY) == [(days.first, "promoted", "gates", None)]
    assert (row.snapshot_id, days.champion(DAY)) == (days.snapshot.snapshot_id, days.first)
    held_out = [r for r in lake.rows(tables.TRAINING_EXAMPLES) if r.split == "evaluation"]
    model = load(days.model)
    logits = run_model(model, {n: np.array([r[n] for r in held_out], np.float32) for n in columns_of(model.config.layout)}).logits
    truth = np.array([r.targets for r in held_out]).argmax(1)
    right = logits.argmax(1) == truth
    loss = -np.log(softmax(logits.astype(np.float64))[np.arange(len(truth)), truth])
    without = np.array([r.text_mask == [0] for r in held_out])
    got = figures(lake, DAY)
    assert got[days.first, "all", "accuracy"] == (pytest.approx(right.mean()), len(held_out))
    assert got[days.first, "all", "macro_recall"][0] == pytest.approx(np.mean([right[truth == c].mean() for c in set(truth)]))
    assert got[days.first, "all", "log_loss"][0] == pytest.approx(loss.mean(), abs=1e-5)
    assert got[days.first, "without_text", "accuracy"] == (pytest.approx(right[without].mean()), without.sum())
    by_chance = {f"v{n:03d}" for n in (*range(0, 40, 3), *range(60, 80))}
    chosen = np.array([r.video_id in by_chance for r in held_out])
    assert got[days.first, "random", "accuracy"] == (pytest.approx(right[chosen].mean()), chosen.sum())
    assert {name for _, name, _ in got} == {"all", "head", "mid", "tail", "without_text", "random"}
    assert sum(got[days.first, third, "accuracy"][1] for third in ("head", "mid", "tail")) == len(held_out)
    train_classes = [np.argmax(r.targets) for r in lake.rows(tables.TRAINING_EXAMPLES) if r.split == "train"]
    baseline = (truth == np.bincount(train_classes, minlength=4).argmax()).mean()
    assert days.record.metrics == {"accuracy": pytest.approx(right.mean()), "baseline_accuracy": pytest.approx(baseline)}
    assert row.reason == f"first model: accuracy {right.mean():.3f} > {baseline:.3f} of the most frequent class"


def test_a_worse_candidate_is_refused_and_a_later_one_that_is_as_good_promoted(days):
    days.same_snapshot(NEXT)
    lake, worse = days.candidate(NEXT, untrained(days.model), seed=21)
    lake.do(evaluate, NEXT)
    assert decisions(lake, NEXT) == [(worse, "refused", "gates", days.first)]
    got = figures(lake, NEXT)
    ours, theirs = got[worse, "all", "accuracy"][0], got[days.first, "all", "accuracy"][0]
    assert ours < theirs - 0.02
    assert f"all {ours:.3f} against {theirs:.3f}" in lake.rows(tables.PROMOTIONS, NEXT)[0].reason
    compared = {r.slice: r for r in lake.rows(tables.COMPARISONS, NEXT)}
    assert set(compared) == {name for _, name, _ in got}
    for name, row in compared.items():
        assert (row.model_version, row.champion_version, row.rows) == (worse, days.first, got[worse, name, "accuracy"][1])
        assert (row.accuracy, row.champion_accuracy) == (got[worse, name, "accuracy"][0], got[days.first, name, "accuracy"][0])
        assert row.difference == pytest.approx(row.accuracy - row.champion_accuracy)
        assert row.low <= row.difference <= row.high
    assert compared["all"].outcome == "failed"
    (card,) = [v.description for v in lake.services.registry._versions(worse)]
    assert f"## Evaluation of {NEXT}" in card
    assert f"Against the champion `{days.first}`:" in card
    assert f"| all | {compared['all'].rows} | {compared['all'].difference:+.3f} |" in card
    assert days.champion(NEXT) == days.first

    days.same_snapshot(THIRD)
    lake, equal = days.candidate(THIRD, days.model, seed=22)
    lake.do(evaluate, THIRD)
    assert decisions(lake, THIRD) == [(equal, "promoted", "gates", days.first)]
    # the day before is still as it was
    assert (days.champion(THIRD), days.champion(NEXT)) == (equal, days.first)

    # the champion's own snapshot and settings again: nothing to decide
    days.same_snapshot(FOURTH)
    record = lake.do(evaluate, FOURTH)
    assert record.note == f"the model is that of the day before: {equal} stays champion"
    assert (decisions(lake, FOURTH), days.champion(FOURTH)) == ([], equal)


def test_evaluating_again_says_the_same_and_leaves_what_a_person_decided(days):
    lake = days.lake()
    at = dt.datetime.combine(DAY, dt.time(9))
    person = {"model_version": "m0", "snapshot_id": "s", "decision": "promoted", "decided_at": at, "reason": "I know better"}
    lake.write(tables.PROMOTIONS, [{**person, "decided_by": "anna"}], decided_by="anna")
    before = figures(lake, DAY)
    try:
        lake.do(evaluate)
        assert figures(lake, DAY) == before
        assert sorted(decisions(lake, DAY)) == sorted([(days.first, "promoted", "gates", None), ("m0", "promoted", "anna", None)])
        assert days.champion(DAY) == "m0"
    finally:
        lake.write(tables.PROMOTIONS, [], decided_by="anna")


def test_what_a_person_rejected_the_gates_leave_alone_and_without_a_mandate_they_promote_nothing(days):
    eleventh, twelfth = dt.date(2026, 1, 11), dt.date(2026, 1, 12)
    days.same_snapshot(eleventh)
    lake, equal = days.candidate(eleventh, days.model, seed=31)
    at = dt.datetime.combine(eleventh, dt.time(9))
    word = {"model_version": equal, "snapshot_id": "s", "decision": "rejected", "decided_at": at, "reason": "it shouts"}
    lake.write(tables.PROMOTIONS, [{**word, "decided_by": "anna"}], eleventh, decided_by="anna")
    record = lake.do(evaluate, eleventh)
    assert record.note.startswith(f"{equal} was rejected by a person and stays out; `reelhouse models promote` would bring it back; model ")
    # what the gates found stays on record, so that a person can bring it back without force
    assert sorted(d[1:3] for d in decisions(lake, eleventh)) == [("passed", "gates"), ("rejected", "anna")]
    days.same_snapshot(twelfth)
    # nor one in whose place a person promoted another
    lake = days.lake()
    champion, at = days.champion(eleventh), dt.datetime.combine(eleventh, dt.time(10))
    word = {"snapshot_id": "s", "decision": "promoted", "reason": "it was better", "decided_at": at}
    for who, model in (("gates", equal), ("zoe", champion)):
        lake.write(tables.PROMOTIONS, [{**word, "model_version": model, "decided_by": who}], eleventh, decided_by=who)
    lake.write(tables.PROMOTIONS, [], eleventh, decided_by="anna")
    lake, _ = days.candidate(twelfth, days.model, seed=31)
    record = lake.do(evaluate, twelfth)
    assert record.note.startswith(f"{equal} was replaced by a person and stays out")
    assert decisions(lake, twelfth) == [(equal, "passed", "gates", champion)]
    lake, other = days.candidate(twelfth, days.model, seed=32)
    lake.settings = lake.settings.model_copy(update={"gates": lake.settings.gates.model_copy(update={"promote": False})})
    champion = days.champion(twelfth)
    lake.do(evaluate, twelfth)
    assert decisions(lake, twelfth) == [(other, "passed", "gates", champion)]
    assert days.champion(twelfth) == champion != other


def test_a_champion_of_an_older_encoder_is_judged_on_what_that_encoder_saw(days):
    lake = days.lake(seed=23)
    # another encoder of text, whose vectors mean nothing
    lake.write(tables.TEXT_FEATURES, [_features(f"v{i:03d}", "text", "t2", np.full((1, 3), 9.0)) for i in range(90)], TENTH)
    lake.do(build_training_set, TENTH)
    (snapshot,) = lake.rows(tables.SNAPSHOTS, TENTH)
    layout = Layout.from_json(snapshot.layout)
    assert (layout.part("text").encoder_id, load(days.model).config.layout.part("text").encoder_id) == ("t2", "t1")
    model = dump(MultimodalNetwork(replace(load(days.model).config, layout=layout)))
    lake, new = days.candidate(TENTH, model, seed=23)
    lake.do(evaluate, TENTH)
    ((_, decision, _, champion),) = decisions(lake, TENTH)
    assert decision == "refused"
    before, got = figures(lake, DAY), figures(lake, TENTH)
    for metric in ("accuracy", "macro_recall", "log_loss"):
        value, rows = before[days.first, "all", metric]
        assert got[champion, "all", metric] == (pytest.approx(value, abs=1e-6), rows)
    assert got[new, "all", "accuracy"][1] == rows
    # t2 saw a text in every video
    assert (days.first, "without_text", "accuracy") in before
    assert (champion, "without_text", "accuracy") not in got


def test_a_model_of_before_a_migration_is_judged_by_what_its_classes_became(days):
    days.same_snapshot(LATE)
    config = load(days.model).config
    old = MultimodalNetwork(replace(config, label_ids=tuple("animals" if label == "pets" else label for label in config.label_ids)))
    old.load_state_dict(load(days.model).state_dict())
    lake, candidate = days.candidate(LATE, dump(old), seed=41)
    tree = Taxonomy.from_dict(TREE)
    lake.services._taxonomies["category"] = Taxonomy("category", tree.definitions, {"animals": Move("pets", False, LATE, ("动物",))})
    lake.do(evaluate, LATE)
    got = figures(lake, LATE)
    same = {(slice_, metric): value for (model, slice_, metric), value in figures(lake, DAY).items() if model == days.first}
    for which in (("all", "accuracy"), ("all", "macro_recall"), ("all", "log_loss")):
        assert got[(candidate, *which)] == (pytest.approx(same[which][0], abs=1e-6), same[which][1])


def test_a_day_without_a_snapshot_has_no_candidate(days):
    with pytest.raises(StepAside, match="there is no training snapshot for the day, so no candidate"):
        days.lake().do(evaluate, dt.date(2026, 2, 1))
