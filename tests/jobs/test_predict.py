"""predict on a real lake and a real MLflow: with a champion and without, on a first day and on the days after."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from jobs import build_training_set, evaluate, predict, train
from reelhouse import tables
from reelhouse.features import Layout, Part
from reelhouse.models import load
from reelhouse.models.inference import columns_of, run_model, softmax
from reelhouse.models.network import MultimodalNetwork, dump
from reelhouse.run import StepAside
from reelhouse.training.version import version_of
from tests.jobs.small_lake import DAY, LEAVES, NEXT, SmallLake, _features

THIRD, FOURTH = dt.date(2026, 1, 4), dt.date(2026, 1, 5)
PATHS = {"food.baking": "美食/烘焙", "food.noodles": "美食/面条", "pets": "宠物", "sport": "运动"}
EVERYTHING = [f"v{i:03d}" for i in range(50)] + ["picture", "words"]


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


def plant(spark, root):
    """50 labelled videos, one with pictures only and one with text only."""
    lake = SmallLake(spark, root).plant(50)
    pictures, texts = ([r.asDict() for r in lake.rows(t)] for t in (tables.FEATURES, tables.TEXT_FEATURES))
    lake.write(tables.FEATURES, [*pictures, _features("picture", "visual", "v1", np.eye(6)[[2, 2, 2]])])
    lake.write(tables.TEXT_FEATURES, [*texts, _features("words", "text", "t1", np.eye(5)[[3]])])
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "text_only", "has_audio": False} for v in EVERYTHING])
    return lake


@pytest.fixture(scope="module")
def encoded(spark, tmp_path_factory):
    """A lake without a champion, predicted on two days."""
    lake = plant(spark, tmp_path_factory.mktemp("without"))
    records = [lake.do(predict)]
    lake.plant(6, seed=1, date=NEXT, first=47, labelled=False)  # three come again, three are new
    records.append(lake.do(predict, NEXT))
    version = "encoder-" + Layout((Part("visual", "v1", 6), Part("text", "t1", 5))).id
    return SimpleNamespace(lake=lake, version=version, records=records)


@pytest.fixture(scope="module")
def trained(spark, tmp_path_factory):
    """A lake whose champion of DAY is trained, and another one of THIRD is not."""
    lake = plant(spark, tmp_path_factory.mktemp("with"))
    for job in (build_training_set, train, evaluate):
        lake.do(job)
    (snapshot,) = lake.rows(tables.SNAPSHOTS)
    first, registry = version_of(snapshot.snapshot_id, lake.settings.training), lake.services.registry
    records, aliases = {}, {}

    def day(date):
        records[date] = lake.do(predict, date)
        aliases[date] = registry.version_of_alias("champion")

    day(DAY)
    lake.plant(6, seed=1, date=NEXT, first=47, labelled=False)
    day(NEXT)
    torch.manual_seed(4)
    other = dump(MultimodalNetwork(load(registry.load(first)).config))
    registry.register(registry.start("ffff00000000", {}).run_id, "ffff00000000", other, {})
    promoted = {"model_version": "ffff00000000", "snapshot_id": "s", "decision": "promoted", "decided_by": "anna", "reason": "because"}
    lake.write(tables.PROMOTIONS, [promoted], THIRD, decided_by="anna")
    day(THIRD)
    return SimpleNamespace(lake=lake, first=first, records=records, aliases=aliases)


def test_without_a_champion_every_video_gets_pooled_vectors_of_its_encoders_and_no_classes(encoded):
    got = slices(encoded.lake)
    assert encoded.records[0].note == "no champion yet: pooled encoder vectors"
    assert encoded.records[0].inputs["model"] == encoded.version
    assert [list(got.embeddings), list(got.hashes), got.predictions] == [[encoded.version], [encoded.version], {}]
    ids, vectors = unit_vectors_and_their_hashes(got.embeddings[encoded.version], got.hashes[encoded.version])
    assert ids == EVERYTHING
    planted = {(r.video_id, r.modality): r for t in (tables.FEATURES, tables.TEXT_FEATURES) for r in encoded.lake.rows(t)}
    for name, vector in zip(ids, vectors, strict=True):
        wanted = []
        for modality, dimension in (("visual", 6), ("text", 5)):
            row = planted.get((name, modality))
            mean = np.array(row["values"]).reshape(-1, dimension).mean(axis=0) if row else np.zeros(dimension)
            wanted.append(mean / max(np.linalg.norm(mean), 1e-12))
        np.testing.assert_allclose(vector, np.concatenate(wanted) / np.linalg.norm(np.concatenate(wanted)), atol=1e-6)


def test_the_next_day_without_a_champion_only_new_and_changed_videos_are_encoded(encoded):
    before, got = (slices(encoded.lake, date) for date in (DAY, NEXT))
    ids, vectors = unit_vectors_and_their_hashes(got.embeddings[encoded.version], got.hashes[encoded.version])
    assert ids == names(range(47, 53))
    assert encoded.records[1].metrics == {"videos": 6.0}
    for name, vector in zip(ids[:3], vectors, strict=False):
        assert np.abs(vector - before.embeddings[encoded.version][name].vector).max() > 0.01


def test_the_champion_says_of_every_video_what_it_is(trained):
    got = slices(trained.lake)
    assert [list(table) for table in (got.embeddings, got.hashes, got.predictions)] == [[trained.first]] * 3
    ids, vectors = unit_vectors_and_their_hashes(got.embeddings[trained.first], got.hashes[trained.first])
    assert ids == sorted(got.predictions[trained.first]) == EVERYTHING
    model = load(trained.lake.services.registry.load(trained.first))
    given = {(r.video_id, r.modality): r for t in (tables.FEATURES, tables.TEXT_FEATURES) for r in trained.lake.rows(t)}
    arrays = {
        name: np.zeros((len(ids), width), np.float32) for name, width in (("visual", 12), ("visual_mask", 2), ("text", 5), ("text_mask", 1))
    }
    assert sorted(arrays) == sorted(columns_of(model.config.layout))
    for i, name in enumerate(ids):
        for part in model.config.layout.parts:
            if (name, part.modality) in given:
                arrays[part.modality][i] = given[name, part.modality]["values"][: arrays[part.modality].shape[1]]
                arrays[f"{part.modality}_mask"][i] = 1
    output = run_model(model, arrays)
    probabilities = softmax(output.logits.astype(np.float64))
    np.testing.assert_allclose(vectors, output.embeddings, atol=1e-5)
    for name, wanted in zip(ids, probabilities, strict=True):
        row = got.predictions[trained.first][name]
        assert row.task == "category"
        assert {t.label_id: t.probability for t in row.top} == pytest.approx(dict(zip(LEAVES, wanted, strict=True)), abs=1e-4)
        assert [t.probability for t in row.top] == sorted((t.probability for t in row.top), reverse=True)
        assert {t.label_id: t.path for t in row.top} == PATHS
        assert row.entropy == pytest.approx(-(wanted * np.log(np.maximum(wanted, 1e-6))).sum(), abs=1e-3)
    best = [got.predictions[trained.first][name].top[0].label_id for name in ids]
    assert np.mean([a == b for a, b in zip(best, [LEAVES[i % 4] for i in range(50)] + ["pets", "sport"], strict=True)]) > 0.8


def test_the_same_champion_predicts_new_and_changed_videos_only_and_another_one_all(trained):
    second, third = (slices(trained.lake, date) for date in (NEXT, THIRD))
    for got, version, wanted in (
        (second, trained.first, names(range(47, 53))),
        (third, "ffff00000000", sorted([*EVERYTHING, *names(range(50, 53))])),
    ):
        assert [list(table) for table in (got.embeddings, got.hashes, got.predictions)] == [[version]] * 3
        ids, _ = unit_vectors_and_their_hashes(got.embeddings[version], got.hashes[version])
        assert ids == sorted(got.predictions[version]) == wanted
    assert {date: record.metrics["videos"] for date, record in trained.records.items()} == {DAY: 52, NEXT: 6, THIRD: 55}


def test_the_alias_champion_follows_the_promotions(trained):
    assert trained.aliases == {DAY: trained.first, NEXT: trained.first, THIRD: "ffff00000000"}


def test_a_champion_that_does_not_know_the_newest_encoder_says_so_and_sees_the_rest(trained):
    lake = trained.lake
    pictures = [_features(v, "visual", "v1", np.eye(6)[[2, 2]]) for v in ("both", "seen")]
    texts = [_features(v, "text", "t2", np.ones((1, 3))) for v in ("both", "unseen")]
    lake.write(tables.FEATURES, pictures, FOURTH)
    lake.write(tables.TEXT_FEATURES, texts, FOURTH)
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "text_only", "has_audio": False} for v in ("both", "seen", "unseen")], FOURTH)
    record = lake.do(predict, FOURTH)
    assert record.metrics == {"modalities_of_older_encoders": 1, "videos": 2}
    assert record.note == "the champion knows older encoders of text: of new videos it sees the rest only; train anew"
    rows = slices(lake, FOURTH).embeddings["ffff00000000"]
    assert rows["both"].vector == rows["seen"].vector
    assert set(rows) == {"both", "seen"}


def test_predicting_a_day_again_gives_the_same_rows(encoded):
    before = slices(encoded.lake, NEXT)
    encoded.lake.do(predict, NEXT)
    assert slices(encoded.lake, NEXT) == before


def test_without_any_features_it_steps_aside(spark, tmp_path):
    with pytest.raises(StepAside, match="there are no features to predict from"):
        SmallLake(spark, tmp_path).do(predict)
