"""The jobs that load, compare and serve vectors, with the real Milvus server and import files that Spark writes."""

import time
from pathlib import Path

import pytest

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import StorageError
from reelhouse.promotion import rollback
from reelhouse.run import Run
from reelhouse.similar import collections_of
from reelhouse.vectors import KINDS, VectorStore, only
from tests.jobs.small_lake import random_model
from tests.milvus_server import running_server
from tests.planting import write_rows
from tests.turns import WHOLE_DAYS
from tests.vectors.days import DAY1, DAY2, DAY3, VERSION, Days, unit

TURN = (WHOLE_DAYS, 430)
SECONDS_BEHIND_MAX = 5  # who reads by an alias, after who reads the tables


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("server") / "milvus") as started:
        yield started


@pytest.fixture
def days(lake, server, tmp_path):
    values = {"storage.root": lake.root, "vectors.uri": server.uri, "vectors.import_rows": 3}
    values["vectors.import_folder"] = str(tmp_path / "import")
    made = Days(lake, settings_module.load(values=values))
    yield made
    for kind in ("video_embedding", "video_hash"):
        if made.store.alias_of(kind):
            made.store.call("drop_alias", kind)
    for name in made.store.list_collections():
        made.store.call("drop_collection", name)
    made.services.close()


def published_by(days, day, authors):
    rows = [{"video_id": v, "author_id": a, "published_at": None} for v, a in authors.items()]
    write_rows(days.lake, tables.VIDEO_ARRIVALS, rows, {"data_date": day, "batch": "b"})


def test_days_are_imported_kept_up_repaired_served_and_old_models_go(days, tmp_path):
    videos = {f"v{i}": i / 10 for i in range(8)}
    days.predicted(DAY1, videos, version="f00d", classes=True)
    published_by(days, DAY1, {"v1": "ann", "v2": 'b"ob'})
    days.run("load_vectors", DAY1)
    days.run("serve", DAY1)
    assert days.held(version="f00d") == days.held("video_hash", version="f00d") == sorted(videos)
    assert list((tmp_path / "import").iterdir()) == []
    assert (days.store.alias_of("video_embedding"), days.store.alias_of("video_hash")) == ("video_embedding__f00d", "video_hash__f00d")
    for filters, found in (({"author": 'b"ob'}, ["v2"]), ({"domain": "美食", "author": "ann"}, ["v1"]), ({"domain": "food"}, [])):
        assert [v for v, _ in days.store.similar("f00d", unit(0.1), 9, where=only(**filters))] == found

    # another author is another row, and what is lost or too much is mended
    published_by(days, DAY1, {"v1": "eve", "v2": 'b"ob'})
    days.store.delete("video_embedding", "f00d", ["v5"])
    days.store.upsert("video_embedding", "f00d", [("stray", unit(1), 1, str(DAY1))])
    assert days.run("reconcile", DAY1).record.metrics == {"missing": 1, "extra": 1, "different": 2}  # v1 in both collections
    assert [v for v, _ in days.store.similar("f00d", unit(0.1), 9, where=only(author="eve"))] == ["v1"]
    assert days.run("reconcile", DAY1).record.metrics == {"missing": 0, "extra": 0, "different": 0}

    # the daily load: by key, and without those taken down
    days.taken_down(DAY2, "v0")
    days.predicted(DAY2, {"v1": 1.2, "new": 0.3}, version="f00d", classes=True)
    days.run("load_vectors", DAY2)
    assert days.held(version="f00d") == ["new", "v1", *(f"v{i}" for i in range(2, 8))]
    assert days.nearest(1.2, version="f00d") == ("v1", pytest.approx(1.0, abs=1e-4))


def test_aliases_follow_what_is_served_and_two_versions_are_kept(days):
    for day, version in ((DAY1, VERSION), (DAY2, "encoder-b"), (DAY3, "encoder-c")):
        days.predicted(day, {"a": 0.1, "b": 0.2}, version=version)
        days.run("load_vectors", day)
        days.run("serve", day)
    kept = [f"{kind}__encoder_{v}" for kind in ("video_embedding", "video_hash") for v in "bc"]
    assert days.store.list_collections() == kept
    assert days.store.alias_of("video_hash") == "video_hash__encoder_c"
    days.run("serve", DAY2)  # an old date: readers see what they saw
    assert days.store.alias_of("video_hash") == "video_hash__encoder_c"
    assert days.store.list_collections() == kept
    days.store.point_alias("video_embedding", "encoder-b")  # as if a kill had come between the commit and the alias
    days.run("serve", DAY3)
    assert days.store.alias_of("video_embedding") == "video_embedding__encoder_c"
    assert collections_of(days.lake, days.store)[1] == (
        "video_embedding__encoder_c", "encoder-c", 2, "served", "video_embedding", "HNSW",
    )  # fmt: skip


@pytest.fixture
def moves(monkeypatch):
    """When each alias was moved, by the clock of files: name -> seconds."""
    moved, real = {}, VectorStore.call

    def call(store, method, *arguments, **named):
        result = real(store, method, *arguments, **named)
        if method in ("create_alias", "alter_alias"):
            moved[arguments[1]] = time.time()
        return result

    monkeypatch.setattr(VectorStore, "call", call)
    return moved


def behind(days, moves):
    """By how many seconds the slower alias came after the commit that switched the readers of the tables."""
    entries = (Path(days.lake.path(tables.SERVING)) / "_delta_log").glob("*.json")
    return max(moves[kind.name] for kind in KINDS) - max(entry.stat().st_mtime for entry in entries)


def test_the_aliases_follow_a_switch_and_a_rollback_within_five_seconds(days, moves):
    registry = days.services.registry
    for day, version in ((DAY1, "f00d"), (DAY2, "beef")):
        registry.register(registry.start(version, {}).run_id, version, random_model(1), {"snapshot_id": "s", "data_date": str(day)})
        days.predicted(day, {"a": 0.1, "b": 0.2}, version=version, classes=True)
        days.run("load_vectors", day)
        moves.clear()
        days.run("serve", day)
        assert {kind.name: days.store.alias_of(kind.name) for kind in KINDS} == {kind.name: f"{kind.name}__{version}" for kind in KINDS}
        assert -0.1 < behind(days, moves) <= SECONDS_BEHIND_MAX
    moves.clear()
    run = Run("models", DAY2, days.settings, days.lake, days.ledger, days.services, lambda text: None)
    assert rollback(run, "anna", "wrong names") == "readers see f00d on 2 videos from now on; beef is rejected by anna"
    run.finish("succeeded")
    run.close()
    assert {kind.name: days.store.alias_of(kind.name) for kind in KINDS} == {kind.name: f"{kind.name}__f00d" for kind in KINDS}
    assert -0.1 < behind(days, moves) <= SECONDS_BEHIND_MAX


def test_where_clearing_the_tables_fails_the_aliases_have_moved_and_the_day_again_drops_what_is_not_needed(days, monkeypatch):
    for day, version in ((DAY1, VERSION), (DAY2, "encoder-b"), (DAY3, "encoder-c")):
        days.predicted(day, {"a": 0.1}, version=version)
        days.run("load_vectors", day)
        if day != DAY3:
            days.run("serve", day)

    def full(*given, **named):
        raise StorageError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "sweep", full)
        with pytest.raises(StorageError, match="planted"):
            days.run("serve", DAY3)
    assert {kind.name: days.store.alias_of(kind.name) for kind in KINDS} == {kind.name: f"{kind.name}__encoder_c" for kind in KINDS}
    assert len(days.store.list_collections()) == 6
    days.run("serve", DAY3)
    assert days.store.list_collections() == [f"{kind.name}__encoder_{v}" for kind in KINDS for v in "bc"]


def test_without_an_import_folder_a_new_collection_is_whole_too_and_listed_page_by_page(days, monkeypatch):
    monkeypatch.setattr("reelhouse.vectors.store.SERVER_PAGE", 2)
    days.settings = settings_module.load(values={"storage.root": days.lake.root, "vectors.uri": days.settings.vectors.uri})
    names = ["a", "b", "c", "d", "e"]
    days.predicted(DAY1, dict.fromkeys(names, 0.1))
    run = days.run("load_vectors", DAY1)
    assert days.held() == days.held("video_hash") == names
    assert run.record.metrics == {"loaded_video_embedding": 5, "loaded_video_hash": 5, "deleted": 0}
    some = days.store.pages("video_hash__encoder_12ab", 'data_date <= "9999-12-31"', ["video_id"])
    assert next(some)["video_id"] == "a"
    some.close()
