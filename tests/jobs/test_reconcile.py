import pytest

from jobs import reconcile
from reelhouse import tables
from reelhouse.errors import VectorStoreError
from tests.turns import JOBS
from tests.vectors.days import DAY1, DAY2, DAY3, VERSION, Days, code, unit

TURN = (JOBS, 240)

NO_DIFFERENCE = {"missing": 0, "extra": 0, "different": 0}


@pytest.fixture
def days(lake, settings):
    made = Days(lake, settings)
    yield made
    made.services.close()


def loaded(days):
    days.predicted(DAY1, {f"v{i}": i / 10 for i in range(8)})
    days.run("load_vectors", DAY1)


def state(days, kind="video_embedding"):
    return list(days.store.ids_and_checksums(kind, VERSION))


def test_planted_differences_are_counted_and_repaired_exactly(days):
    loaded(days)
    before = state(days), state(days, "video_hash")
    days.store.delete("video_embedding", VERSION, ["v1", "v5"])
    days.store.upsert("video_embedding", VERSION, [("stray", unit(1), 1, str(DAY1)), ("v3", unit(3), 2, str(DAY1))])
    days.store.upsert("video_hash", VERSION, [("ghost", code(1), 1, str(DAY1))])

    run = days.run("reconcile", DAY1)
    assert run.record.metrics == {"missing": 2, "extra": 2, "different": 1}
    assert (state(days), state(days, "video_hash")) == before
    assert days.nearest(0.3) == ("v3", pytest.approx(1.0, abs=1e-6))
    assert days.run("reconcile", DAY1).record.metrics == NO_DIFFERENCE


def test_a_collection_with_too_many_differences_is_made_anew(days, monkeypatch):
    loaded(days)
    before = state(days)
    monkeypatch.setattr(reconcile, "ONE_BY_ONE_MAX", 2)
    repaired = []
    monkeypatch.setattr(reconcile, "repair", lambda *given: repaired.append(given))
    days.store.delete("video_embedding", VERSION, ["v1", "v5"])
    days.store.upsert("video_embedding", VERSION, [("stray", unit(1), 1, str(DAY1))])
    assert days.run("reconcile", DAY1).record.metrics == {"missing": 2, "extra": 1, "different": 0}
    assert state(days) == before
    assert repaired == []
    # and keeps vectors of later dates
    days.predicted(DAY3, {"new": 1.0, "v2": 2.0})
    days.run("load_vectors", DAY3)
    whole = state(days)
    days.store.delete("video_embedding", VERSION, ["v1", "v3", "v4"])
    days.run("reconcile", DAY1)
    assert state(days) == whole
    assert [video_id for video_id, _ in whole] == ["new", *(f"v{i}" for i in range(8))]


def test_a_video_that_is_taken_down_while_collections_are_compared_leaves_too(days, monkeypatch):
    loaded(days)
    days.store.delete("video_embedding", VERSION, ["v1", "v5"])
    days.store.upsert("video_embedding", VERSION, [("v3", unit(3), 2, str(DAY1))])
    real = reconcile.compare

    def interrupted(*given):
        found = real(*given)
        if not days.rows(tables.DELETIONS, DAY2):
            days.taken_down(DAY2, "v1", "v3")
        return found

    monkeypatch.setattr(reconcile, "compare", interrupted)
    days.run("reconcile", DAY1)
    assert days.held() == days.held("video_hash") == ["v0", "v2", "v4", "v5", "v6", "v7"]


def test_a_collection_that_is_gone_is_made_again(days):
    loaded(days)
    before = state(days)
    days.store.drop("video_embedding", VERSION)
    assert days.run("reconcile", DAY1).record.metrics == {**NO_DIFFERENCE, "missing": 8}
    assert state(days) == before


def test_vectors_of_later_dates_are_no_difference(days):
    loaded(days)
    days.predicted(DAY3, {"v0": 2.0, "new": 1.0})
    days.run("load_vectors", DAY3)
    before = state(days)
    assert days.run("reconcile", DAY1).record.metrics == NO_DIFFERENCE
    assert state(days) == before


def test_a_day_that_lost_a_video_loses_its_vector(days):
    loaded(days)
    days.predicted(DAY2, {"x": 1.0, "y": 2.0})
    days.run("load_vectors", DAY2)
    days.predicted(DAY2, {"y": 2.0})
    days.run("load_vectors", DAY2)
    assert days.run("reconcile", DAY2).record.metrics == {**NO_DIFFERENCE, "extra": 2}
    assert "x" not in days.held()


def test_a_video_that_came_again_with_nothing_to_encode_loses_its_vectors(days):
    loaded(days)
    days.arrived(DAY2, "v2")
    days.run("load_vectors", DAY2)
    assert days.run("reconcile", DAY2).record.metrics == {**NO_DIFFERENCE, "extra": 2}
    days.run("serve", DAY2)
    assert days.held() == days.held("video_hash") == [f"v{i}" for i in range(8) if i != 2]
    assert [row["videos"] for row in days.rows(tables.SERVING, DAY2)] == [7]


def test_without_embeddings_it_steps_aside(days):
    assert days.run("reconcile", DAY1).record.note == "there are no embeddings to compare with"


STILL = r"video_embedding__encoder_12ab still differs from gold\.embeddings in 1 rows .*"


def test_what_differs_after_the_repair_is_an_error(days, monkeypatch):
    loaded(days)
    days.store.delete("video_embedding", VERSION, ["v1"])
    monkeypatch.setattr(days.store, "upsert", lambda kind, version, rows: len(list(rows)))  # as if another writer undid the repair
    with pytest.raises(VectorStoreError, match=f"{STILL}: v1 is missing"):
        days.run("reconcile", DAY1)


def test_what_is_still_held_after_the_repair_is_an_error(days, monkeypatch):
    loaded(days)
    days.store.upsert("video_embedding", VERSION, [("stray", unit(1), 1, str(DAY1))])
    monkeypatch.setattr(days.store, "delete", lambda kind, version, ids: len(list(ids)))
    with pytest.raises(VectorStoreError, match=f"{STILL}: stray is extra"):
        days.run("reconcile", DAY1)


def test_a_row_that_another_writer_removes_during_the_repair_is_an_error(days, monkeypatch):
    loaded(days)
    days.store.delete("video_embedding", VERSION, ["v1"])
    real = reconcile.repair

    def raced(*given):
        days.store.delete("video_embedding", VERSION, ["v4"])
        return real(*given)

    monkeypatch.setattr(reconcile, "repair", raced)
    with pytest.raises(VectorStoreError, match=f"{STILL}: v4 is missing"):
        days.run("reconcile", DAY1)
