"""predict on a real lake and a real MLflow: with a champion and without, on a first day and on the days after."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest

from jobs import predict
from reelhouse import tables
from reelhouse.lake import catalog
from reelhouse.models import load
from reelhouse.models.inference import run_model, softmax
from reelhouse.run import StepAside
from tests.jobs.small_lake import DAY, LAYOUT, LEAVES, NEXT, SmallLake, _features, random_model
from tests.turns import JOBS

TURN = (JOBS, 125)

THIRD, FOURTH, FIFTH = (dt.date(2026, 1, day) for day in (4, 5, 6))
PATHS = {"food.baking": "美食/烘焙", "food.noodles": "美食/面条", "pets": "宠物", "sport": "运动"}
FIRST = ["picture", *(f"v{i:03d}" for i in range(20)), "words"]
ENCODER = f"encoder-{LAYOUT.id}"
WIDTHS = (("visual", "", 12), ("visual", "_mask", 2), ("text", "", 5), ("text", "_mask", 1))


def names(numbers):
    return [f"v{i:03d}" for i in numbers]


def slices(lake, date=DAY):
    """{table: {model_version: {video_id: row}}} of the day."""
    found = {}
    for table in (tables.PREDICTIONS, tables.EMBEDDINGS, tables.HASHES):
        found[table.name] = {}
        for row in lake.rows(table, date):
            found[table.name].setdefault(row.model_version, {})[row.video_id] = row
    return SimpleNamespace(**{name.split(".")[1]: rows for name, rows in found.items()})


def codes(vectors):
    """The sign of the fixed random projection, bit by bit."""
    directions = np.random.default_rng([20260101, vectors.shape[1]]).standard_normal((vectors.shape[1], 128))
    return [bytes(int("".join("01"[x > 0] for x in row[i : i + 8]), 2) for i in range(0, 128, 8)) for row in vectors @ directions]


def unit_vectors_and_their_hashes(embeddings, hashes):
    """(ids, matrix), after both tables were found to agree."""
    ids = sorted(embeddings)
    vectors = np.array([embeddings[i].vector for i in ids], np.float64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert sorted(hashes) == ids
    assert {len(row.hash) for row in hashes.values()} == {16}
    assert [bytes(hashes[i].hash) for i in ids] == codes(vectors)
    return ids, vectors


def decide(lake, version, date, decision="promoted"):
    at = dt.datetime.combine(date, dt.time(9))
    facts = {"snapshot_id": "s", "decision": decision, "decided_by": "anna", "decided_at": at, "reason": "because"}
    lake.write(tables.PROMOTIONS, [{"model_version": version, **facts}], date, decided_by="anna")


def register(lake, version, seed):
    """A model with weights by chance: what it says is checked against what it says of the same arrays without Spark."""
    registry = lake.services.registry
    registry.register(registry.start(version, {}).run_id, version, random_model(seed), {})
    return version


@pytest.fixture(scope="module")
def days(spark, tmp_path_factory):
    """Five days: without a champion, new and changed videos, a first champion, new ones that an encoder is too new for, another champion.

    On the first day there are 20 videos with pictures and mostly text, one with pictures only and one with text only.
    """
    lake = SmallLake(spark, tmp_path_factory.mktemp("lake")).plant(20)
    pictures, texts = ([r.asDict() for r in lake.rows(t)] for t in (tables.FEATURES, tables.TEXT_FEATURES))
    lake.write(tables.FEATURES, [*pictures, _features("picture", "visual", "v1", np.eye(6)[[2, 2, 2]])])
    lake.write(tables.TEXT_FEATURES, [*texts, _features("words", "text", "t1", np.eye(5)[[3]])])
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "text_only", "has_audio": False} for v in FIRST])
    lake.arrive(FIRST)
    records, aliases = {}, {}

    def day(date):
        records[date] = lake.do(predict, date)
        aliases[date] = lake.services.registry.version_of_alias("champion")

    day(DAY)
    lake.plant(6, seed=1, date=NEXT, first=17, labelled=False)  # three come again, three are new
    day(NEXT)
    decide(lake, register(lake, "aaaa00000000", 4), THIRD)
    day(THIRD)
    decide(lake, register(lake, "bbbb00000000", 5), FOURTH, "refused")
    lake.write(tables.FEATURES, [_features(v, "visual", "v1", np.eye(6)[[2, 2]]) for v in ("both", "seen")], FOURTH)
    lake.write(tables.TEXT_FEATURES, [_features(v, "text", "t2", np.ones((1, 3))) for v in ("both", "unseen")], FOURTH)
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "text_only", "has_audio": False} for v in ("both", "seen", "unseen")], FOURTH)
    lake.arrive(("both", "seen", "unseen"), FOURTH)
    day(FOURTH)
    decide(lake, "bbbb00000000", FIFTH)
    day(FIFTH)
    return SimpleNamespace(lake=lake, records=records, aliases=aliases)


def inputs_of(lake):
    """The newest features up to THIRD: {(video_id, modality): values}."""
    run = lake.run(date=THIRD)
    return {(r.video_id, r.modality): r["values"] for t in (tables.FEATURES, tables.TEXT_FEATURES) for r in run.current(t).collect()}


def test_without_a_champion_every_video_gets_pooled_vectors_of_its_encoders_and_no_classes(days):
    got = slices(days.lake)
    assert days.records[DAY].note == "no champion yet: pooled encoder vectors"
    assert days.records[DAY].inputs["model"] == ENCODER
    assert [list(got.embeddings), list(got.hashes), got.predictions] == [[ENCODER], [ENCODER], {}]
    ids, vectors = unit_vectors_and_their_hashes(got.embeddings[ENCODER], got.hashes[ENCODER])
    assert ids == FIRST
    planted = {(r.video_id, r.modality): r["values"] for t in (tables.FEATURES, tables.TEXT_FEATURES) for r in days.lake.rows(t)}
    for name, vector in zip(ids, vectors, strict=True):
        wanted = []
        for modality, dimension in (("visual", 6), ("text", 5)):
            mean = np.array(planted.get((name, modality), [0.0] * dimension)).reshape(-1, dimension).mean(axis=0)
            wanted.append(mean / max(np.linalg.norm(mean), 1e-12))
        np.testing.assert_allclose(vector, np.concatenate(wanted) / np.linalg.norm(np.concatenate(wanted)), atol=1e-6)


def test_the_next_day_without_a_champion_only_new_and_changed_videos_are_encoded(days):
    before, got = (slices(days.lake, date) for date in (DAY, NEXT))
    ids, vectors = unit_vectors_and_their_hashes(got.embeddings[ENCODER], got.hashes[ENCODER])
    assert ids == names(range(17, 23))
    for name, vector in zip(ids[:3], vectors[:3], strict=True):
        assert np.abs(vector - before.embeddings[ENCODER][name].vector).max() > 0.01


def test_the_first_champion_says_of_every_video_what_it_is(days):
    got = slices(days.lake, THIRD)
    assert [list(table) for table in (got.embeddings, got.hashes, got.predictions)] == [["aaaa00000000"]] * 3
    ids, vectors = unit_vectors_and_their_hashes(got.embeddings["aaaa00000000"], got.hashes["aaaa00000000"])
    assert ids == sorted(got.predictions["aaaa00000000"]) == sorted([*FIRST, *names(range(20, 23))])
    given = inputs_of(days.lake)
    arrays = {f"{m}{end}": np.zeros((len(ids), n), np.float32) for m, end, n in WIDTHS}
    for i, name in enumerate(ids):
        for modality in ("visual", "text"):
            if (name, modality) in given:
                arrays[modality][i] = given[name, modality][: arrays[modality].shape[1]]
                arrays[f"{modality}_mask"][i] = 1
    output = run_model(load(days.lake.services.registry.load("aaaa00000000")), arrays)
    np.testing.assert_allclose(vectors, output.embeddings, atol=1e-5)
    for name, wanted in zip(ids, softmax(output.logits.astype(np.float64)), strict=True):
        row = got.predictions["aaaa00000000"][name]
        assert row.task == "category"
        assert {t.label_id: t.probability for t in row.top} == pytest.approx(dict(zip(LEAVES, wanted, strict=True)), abs=1e-4)
        assert [t.probability for t in row.top] == sorted((t.probability for t in row.top), reverse=True)
        assert {t.label_id: t.path for t in row.top} == PATHS
        assert row.entropy == pytest.approx(-(wanted * np.log(np.maximum(wanted, 1e-6))).sum(), abs=1e-3)


def test_the_same_champion_predicts_only_new_videos_and_sees_nothing_of_an_encoder_that_it_does_not_know(days):
    got = slices(days.lake, FOURTH)
    assert [list(table) for table in (got.embeddings, got.hashes, got.predictions)] == [["aaaa00000000"]] * 3
    rows = got.embeddings["aaaa00000000"]
    assert set(rows) == set(got.predictions["aaaa00000000"]) == {"both", "seen"}
    assert rows["both"].vector == rows["seen"].vector
    record = days.records[FOURTH]
    assert record.metrics == {"modalities_of_older_encoders": 1, "videos": 2}
    assert record.note == "aaaa00000000 knows older encoders of text: of new videos it sees the rest only; train anew"


def test_another_champion_predicts_every_video_anew(days):
    got = slices(days.lake, FIFTH)
    assert [list(table) for table in (got.embeddings, got.hashes, got.predictions)] == [["bbbb00000000"]] * 3
    ids, _ = unit_vectors_and_their_hashes(got.embeddings["bbbb00000000"], got.hashes["bbbb00000000"])
    assert ids == sorted(got.predictions["bbbb00000000"]) == sorted([*FIRST, *names(range(20, 23)), "both", "seen"])


def test_the_alias_champion_follows_promotions_and_not_refusals(days):
    first, second = "aaaa00000000", "bbbb00000000"
    assert days.aliases == {DAY: None, NEXT: None, THIRD: first, FOURTH: first, FIFTH: second}


def test_predicting_a_day_again_gives_the_same_rows(days):
    before = slices(days.lake, NEXT)
    assert days.lake.do(predict, NEXT).metrics == {"videos": 6}
    assert slices(days.lake, NEXT) == before


def test_a_video_whose_text_was_taken_out_is_not_spoken_of_any_more(spark, tmp_path):
    lake = SmallLake(spark, tmp_path)
    lake.write(tables.FEATURES, [_features("picture", "visual", "v1", np.eye(6)[[1, 2]])])
    lake.write(tables.TEXT_FEATURES, [_features(v, "text", "t1", np.eye(5)[[3]]) for v in ("picture", "words", "other")])
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "text_only", "has_audio": False} for v in ("picture", "words", "other")])
    lake.arrive(["picture", "words", "other"])
    lake.do(predict)
    lake.arrive(["picture", "words"], NEXT)  # without text; the file of `picture` could not be read this time
    lake.do(predict, NEXT)
    assert list(slices(lake, NEXT).embeddings[ENCODER]) == ["picture"]
    for table in (tables.EMBEDDINGS, tables.HASHES):
        current = lake.run(date=NEXT).current(table).collect()
        assert sorted((r.video_id, r.data_date) for r in current) == [("other", DAY), ("picture", NEXT)]
        catalog.register(lake.lake, f"SELECT * FROM {table.name}_current")
        assert sorted(r.video_id for r in spark.sql(f"SELECT * FROM {table.name}_current").collect()) == ["other", "picture"]
    picture = {r.video_id: r.vector for r in lake.rows(tables.EMBEDDINGS, NEXT)}["picture"]
    np.testing.assert_allclose(picture, np.array([0, 0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0]) / np.sqrt(0.5), atol=1e-6)


def test_without_any_features_it_steps_aside(spark, tmp_path):
    with pytest.raises(StepAside, match="there are no features to predict from"):
        SmallLake(spark, tmp_path).do(predict)
