import datetime as dt

import pytest

from jobs import serve
from reelhouse import tables
from reelhouse.errors import VectorStoreError
from tests.planting import write_rows
from tests.turns import JOBS
from tests.vectors.days import DAY1, DAY2, VERSION, Days

TURN = (JOBS, 170)


@pytest.fixture
def days(lake, settings):
    made = Days(lake, settings)
    yield made
    made.services.close()


def served(days, day):
    return [
        (row["model_version"], row["embedding_collection"], row["hash_collection"], row["videos"]) for row in days.rows(tables.SERVING, day)
    ]


def test_a_complete_version_is_served_and_a_quiet_day_serves_it_again(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.run("load_vectors", DAY1)
    days.run("serve", DAY1)
    days.run("load_vectors", DAY2)
    days.run("serve", DAY2)
    row = (VERSION, "video_embedding__encoder_12ab", "video_hash__encoder_12ab", 2)
    assert served(days, DAY1) == served(days, DAY2) == [row]


def test_a_model_that_lacks_predictions_hashes_or_vectors_is_not_served(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.run("load_vectors", DAY1)
    days.run("serve", DAY1)
    days.predicted(DAY2, {"a": 0.1, "b": 0.2}, version="f00d", hashes=False)
    lacks = r"it differs in gold\.hashes by 2 videos, gold\.predictions by 2 videos, video_embedding__f00d by 2 videos"
    with pytest.raises(VectorStoreError, match=f"model f00d is not complete and is not served: {lacks}"):
        days.run("serve", DAY2)
    assert served(days, DAY2) == []
    newest = days.lake.read(tables.SERVING).orderBy("data_date").collect()[-1]
    assert newest.model_version == VERSION


def test_a_trained_model_is_served_once_its_parts_are_there(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2}, version="f00d", classes=True)
    days.run("load_vectors", DAY1)
    run = days.run("serve", DAY1)
    assert served(days, DAY1) == [("f00d", "video_embedding__f00d", "video_hash__f00d", 2)]
    assert (run.record.metrics, run.record.note) == ({"videos": 2}, "serving f00d")


def test_a_version_that_lacks_videos_of_the_served_one_is_not_served_until_it_has_them(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2, "c": 0.3, "gone": 0.4})
    days.run("load_vectors", DAY1)
    days.run("serve", DAY1)
    days.taken_down(DAY1, "gone")
    days.predicted(DAY2, {"b": 0.2, "new": 0.5}, version="encoder-new")
    days.run("load_vectors", DAY2)
    run = days.run("serve", DAY2)
    assert (run.record.status, run.record.metrics) == ("succeeded", {"videos_lacking": 2, "videos": 3})
    assert run.record.note == (
        "encoder-new is not served: it lacks 2 videos that encoder-12ab has (a, c), which stays. Did an encoder change, or was encoder-new "
        "promoted after predict had run? Run the days of those videos again, by `reelhouse daily --from 2026-01-01 --to 2026-01-02` or "
        "earlier, or set it back; serving encoder-12ab"
    )
    assert [(row[0], row[3]) for row in served(days, DAY2)] == [("encoder-12ab", 3)]
    days.predicted(DAY2, {"a": 0.1, "b": 0.2, "c": 0.3, "new": 0.5}, version="encoder-new")
    days.run("load_vectors", DAY2)
    days.run("serve", DAY2)
    assert [row[0] for row in served(days, DAY2)] == ["encoder-new"]


def test_a_version_that_a_person_rejected_is_not_kept_for_the_videos_that_only_it_has(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2}, version="bad0", classes=True)
    days.run("load_vectors", DAY1)
    days.run("serve", DAY1)
    days.predicted(DAY2, {"b": 0.2}, version="f00d", classes=True)
    word = {"model_version": "bad0", "snapshot_id": "s", "decision": "rejected", "decided_at": dt.datetime(2026, 1, 3), "reason": "no"}
    write_rows(days.lake, tables.PROMOTIONS, [word], {"data_date": DAY2, "decided_by": "anna"})
    days.run("load_vectors", DAY2)
    days.run("serve", DAY2)
    assert [(row[0], row[3]) for row in served(days, DAY2)] == [("f00d", 1)]


def test_a_takedown_between_two_looks_is_no_difference(days, monkeypatch):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.run("load_vectors", DAY1)
    real = serve.not_loaded

    def interrupted(*given):
        if not days.rows(tables.DELETIONS, DAY1):
            days.taken_down(DAY1, "a")  # it is in the tables; that it leaves the collections comes next
        return real(*given)

    monkeypatch.setattr(serve, "not_loaded", interrupted)
    days.run("serve", DAY1)
    assert [row[3] for row in served(days, DAY1)] == [1]
    assert days.held() == ["b"]


def test_a_collection_with_a_row_too_many_is_not_served(days):
    days.predicted(DAY1, {"a": 0.1})
    days.run("load_vectors", DAY1)
    days.store.upsert("video_hash", VERSION, [("stray", b"0" * 16, 1, str(DAY1))])
    with pytest.raises(VectorStoreError, match="it differs in video_hash__encoder_12ab by 1 videos"):
        days.run("serve", DAY1)


def test_an_old_date_run_again_is_served_with_newer_vectors_in_place(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.predicted(DAY2, {"b": 0.5, "c": 0.6})
    days.run("load_vectors", DAY2)
    days.run("serve", DAY1)
    assert served(days, DAY1)[0][3] == 2


def test_without_embeddings_it_steps_aside(days):
    assert days.run("serve", DAY1).record.note == "there is no model to serve yet"
