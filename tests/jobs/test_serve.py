import pytest

from reelhouse import tables
from reelhouse.errors import VectorStoreError
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
    lacks = r"it lacks 2 videos in gold\.hashes, 2 videos in gold\.predictions, 2 videos in video_embedding__f00d"
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
    assert (run.record.status, run.record.metrics) == ("stepped_aside", {"videos_lacking": 2})
    assert run.record.note == (
        "encoder-new is not served: it lacks 2 videos that encoder-12ab has (a, c), which stays. Did an encoder change? Run the days of "
        "those videos again, by `reelhouse daily --from 2026-01-01 --to 2026-01-02` or earlier, or set it back"
    )
    assert served(days, DAY2) == []
    days.predicted(DAY2, {"a": 0.1, "b": 0.2, "c": 0.3, "new": 0.5}, version="encoder-new")
    days.run("load_vectors", DAY2)
    days.run("serve", DAY2)
    assert [row[0] for row in served(days, DAY2)] == ["encoder-new"]


def test_a_collection_with_a_row_too_many_is_not_served(days):
    days.predicted(DAY1, {"a": 0.1})
    days.run("load_vectors", DAY1)
    days.store.upsert("video_hash", VERSION, [("stray", b"0" * 16, 1, str(DAY1))])
    with pytest.raises(VectorStoreError, match="it lacks 1 videos in video_hash__encoder_12ab"):
        days.run("serve", DAY1)


def test_an_old_date_run_again_is_served_with_newer_vectors_in_place(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.predicted(DAY2, {"b": 0.5, "c": 0.6})
    days.run("load_vectors", DAY2)
    days.run("serve", DAY1)
    assert served(days, DAY1)[0][3] == 2


def test_without_embeddings_it_steps_aside(days):
    assert days.run("serve", DAY1).record.note == "there is no model to serve yet"
