import datetime as dt

import pytest

from jobs import load_vectors
from reelhouse import tables
from reelhouse.vectors import only
from tests.planting import write_rows
from tests.turns import JOBS
from tests.vectors.days import DAY1, DAY2, DAY3, VERSION, Days, unit

TURN = (JOBS, 200)


@pytest.fixture
def days(lake, settings):
    made = Days(lake, settings)
    yield made
    made.services.close()


def test_without_embeddings_it_steps_aside(days):
    run = days.run("load_vectors", DAY1)
    assert (run.record.status, run.record.note) == ("stepped_aside", "there are no embeddings to load")
    assert days.store.state() == "absent"


def test_a_new_collection_takes_every_row_and_a_known_one_the_days(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.run("load_vectors", DAY1)
    assert days.held() == days.held("video_hash") == ["a", "b"]

    days.predicted(DAY2, {"b": 1.2, "c": 0.3})
    days.run("load_vectors", DAY2)
    assert days.held() == days.held("video_hash") == ["a", "b", "c"]
    assert days.nearest(1.2) == ("b", pytest.approx(1.0, abs=1e-6))
    named = {"model_version": VERSION, "deleted": 0, "data_date": DAY2}
    assert days.rows(tables.VECTOR_LOADS, DAY2) == [
        {"collection": "video_embedding__encoder_12ab", "kind": "video_embedding", "loaded": 2, "total": 3, **named},
        {"collection": "video_hash__encoder_12ab", "kind": "video_hash", "loaded": 2, "total": 3, **named},
    ]


def test_rows_that_got_lost_bring_a_full_load(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.run("load_vectors", DAY1)
    days.store.delete("video_embedding", VERSION, ["a"])
    days.predicted(DAY2, {"c": 0.3})
    days.run("load_vectors", DAY2)
    assert days.held() == ["a", "b", "c"]
    assert [row["loaded"] for row in days.rows(tables.VECTOR_LOADS, DAY2)] == [4, 1]


def test_videos_that_were_taken_down_leave(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.run("load_vectors", DAY1)
    days.taken_down(DAY2, "a")
    days.run("load_vectors", DAY2)
    assert days.held() == days.held("video_hash") == ["b"]
    assert [row["deleted"] for row in days.rows(tables.VECTOR_LOADS, DAY2)] == [2, 2]


def test_a_video_that_is_taken_down_while_the_rows_are_on_their_way_leaves_too(days, monkeypatch):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    load = load_vectors.load

    def interrupted(run, kind, version):
        rows = load(run, kind, version)
        days.taken_down(DAY2, "a")
        return rows

    monkeypatch.setattr(load_vectors, "load", interrupted)
    run = days.run("load_vectors", DAY1)
    assert days.held() == days.held("video_hash") == ["b"]
    assert run.record.metrics["deleted"] >= 1
    assert [row["deleted"] for row in days.rows(tables.VECTOR_LOADS, DAY1)] == [run.record.metrics["deleted"]] * 2


def test_an_old_date_run_again_leaves_newer_vectors_alone(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.predicted(DAY3, {"b": 1.2, "c": 0.3})
    days.run("load_vectors", DAY3)
    days.run("load_vectors", DAY1)
    assert days.held() == ["a", "b", "c"]
    assert days.nearest(1.2) == ("b", pytest.approx(1.0, abs=1e-6))


@pytest.mark.parametrize("job", ["load_vectors", "reconcile"])
def test_an_old_date_run_again_does_not_bring_back_what_a_later_day_took(days, job):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.run("load_vectors", DAY1)
    days.arrived(DAY3, "b")  # again, with nothing to encode
    write_rows(days.lake, tables.VIDEO_ARRIVALS, [{"video_id": "a", "author_id": "ann"}], {"data_date": DAY3, "batch": "b"})
    days.run("load_vectors", DAY3)
    days.run("reconcile", DAY3)
    before = list(days.store.ids_and_checksums("video_embedding", VERSION))
    assert [video_id for video_id, _ in before] == ["a"]
    days.run(job, DAY1)
    assert list(days.store.ids_and_checksums("video_embedding", VERSION)) == before
    days.run("serve", DAY1)


def test_a_new_model_gets_collections_of_its_own(days):
    days.predicted(DAY1, {"a": 0.1})
    days.run("load_vectors", DAY1)
    days.predicted(DAY2, {"a": 0.5, "b": 0.6}, version="f00d")
    days.run("load_vectors", DAY2)
    assert days.store.list_collections() == [
        "video_embedding__encoder_12ab",
        "video_embedding__f00d",
        "video_hash__encoder_12ab",
        "video_hash__f00d",
    ]
    assert (days.held(), days.held(version="f00d")) == (["a"], ["a", "b"])


def test_an_id_too_long_for_milvus_is_refused_with_advice(days):
    long_id = "视" * 86
    serving = {"model_version": VERSION, "embedding_collection": "e", "hash_collection": "h", "videos": 1}
    days.predicted(DAY1, {"a": 0.1, long_id: 0.2}, version="f00d", classes=True)
    days.predicted(DAY1, {"a": 0.1, long_id: 0.2})  # kept ready beside it
    write_rows(days.lake, tables.SERVING, [serving], {"data_date": DAY1 - dt.timedelta(days=1)})
    days.run("load_vectors", DAY1)
    assert days.held() == days.held(version="f00d") == ["a"]
    refused = days.rows(tables.QUARANTINE, DAY1)
    assert [(row["table"], row["rule"], row["row_key"]) for row in refused] == [
        ("gold.embeddings", "video_id_too_long", long_id), ("gold.hashes", "video_id_too_long", long_id),
    ]  # fmt: skip
    assert refused[0]["reason"] == "video_id must have at most 256 bytes to be searchable; give the video a shorter id in its manifest"


def test_running_a_day_twice_changes_nothing(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.run("load_vectors", DAY1)
    before = list(days.store.ids_and_checksums("video_embedding", VERSION))
    days.run("load_vectors", DAY1)
    assert list(days.store.ids_and_checksums("video_embedding", VERSION)) == before


def test_a_collection_of_an_older_release_is_made_anew_with_what_searches_filter_by(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2}, version="f00d", classes=True)
    arrivals = [{"video_id": "a", "author_id": "ann", "published_at": dt.datetime(2025, 12, 31)}, {"video_id": "b"}]
    write_rows(days.lake, tables.VIDEO_ARRIVALS, arrivals, {"data_date": DAY1, "batch": "b"})
    days.run("load_vectors", DAY1)
    for filters, found in (
        ({"author": "ann"}, ["a"]),
        ({"domain": "美食"}, ["a", "b"]),
        ({"since": dt.date(2025, 12, 31)}, ["a"]),
        ({"since": dt.date(2026, 1, 1)}, []),
    ):
        assert [v for v, _ in days.store.similar("f00d", unit(0.1), 9, where=only(**filters))] == found
    whole = list(days.store.ids_and_checksums("video_embedding", "f00d"))
    days.store.drop("video_embedding", "f00d")
    client = days.store._connect()
    client.create_collection("video_embedding__f00d", 2, primary_field_name="video_id", id_type="string", max_length=512)
    assert not days.store.is_current("video_embedding", "f00d")
    days.run("load_vectors", DAY1)
    assert list(days.store.ids_and_checksums("video_embedding", "f00d")) == whole


def test_an_old_date_that_makes_a_collection_anew_fills_it_with_the_vectors_of_later_dates_too(days):
    days.predicted(DAY1, {"a": 0.1, "b": 0.2})
    days.predicted(DAY3, {"b": 1.2, "c": 0.3})
    write_rows(days.lake, tables.VIDEO_ARRIVALS, [{"video_id": "c", "author_id": "ann"}], {"data_date": DAY3, "batch": "b"})
    days.run("load_vectors", DAY3)
    whole = list(days.store.ids_and_checksums("video_embedding", VERSION))
    for job in ("load_vectors", "reconcile"):
        days.store.drop("video_embedding", VERSION)
        days.run(job, DAY1)
        assert list(days.store.ids_and_checksums("video_embedding", VERSION)) == whole
    assert [row["total"] for row in days.rows(tables.VECTOR_LOADS, DAY1)] == [1, 1]
