from itertools import product

import pytest

from reelhouse import settings as settings_module
from reelhouse.errors import ModelNotFoundError, RegistryError, SettingsError
from reelhouse.registry import Registry
from reelhouse.run import Services


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One database for all tests of this file: sqlite takes MLflow seconds to make. Each test uses a model name of its own."""
    return tmp_path_factory.mktemp("mlflow with a blank")


@pytest.fixture
def open_registry(place, request):
    return lambda: Registry(f"sqlite:///{place / 'mlflow.db'}", str(place / "artifacts"), request.node.name)


def trained(registry, version, content=b"model"):
    run = registry.start(version, {"epochs": 3})
    registry.register(run.run_id, version, content, {"snapshot_id": "s1"})
    return run


def test_a_registered_model_is_there_with_its_bytes_for_another_process_too(open_registry):
    registry = open_registry()
    assert not registry.exists("v1")
    trained(registry, "v1", b"one")
    trained(registry, "v2", b"two")
    other = open_registry()
    assert (other.load("v1"), other.load("v2")) == (b"one", b"two")
    assert other.exists("v1")
    assert "_client" not in other.__dict__  # answered without MLflow


def test_what_the_index_lacks_is_looked_up_in_mlflow(open_registry):
    registry = open_registry()
    trained(registry, "v1", b"one")
    registry._index("v1").unlink()
    assert open_registry().load("v1") == b"one"
    assert registry._index("v1").exists()


def test_quotes_in_names_are_looked_up_as_they_are(place):
    registry = Registry(f"sqlite:///{place / 'mlflow.db'}", str(place / "artifacts"), "anna's")
    trained(registry, "v1", b"one")
    registry._index("v1").unlink()
    assert registry.load("v1") == b"one"
    assert not registry.exists("v9' OR name = 'anna")
    with pytest.raises(RegistryError, match="it holds quotes of both kinds"):
        registry.exists("v9' OR \"")


def test_an_unknown_model_is_an_error_that_lists_what_there_is(open_registry):
    registry = open_registry()
    trained(registry, "v1")
    with pytest.raises(ModelNotFoundError, match=r"no model of version v9 is registered .*registered: v1\. Run `reelhouse job train`"):
        registry.load("v9")
    with pytest.raises(ModelNotFoundError, match="the alias champion can't point to v9"):
        registry.set_alias("champion", "v9")


def test_aliases_move_and_may_be_set_twice(open_registry):
    registry = open_registry()
    assert registry.version_of_alias("champion") is None
    for version in ("v1", "v2"):
        trained(registry, version)
        registry.set_alias("champion", version)
        registry.set_alias("champion", version)
        assert open_registry().version_of_alias("champion") == version


def test_a_root_on_an_object_store_needs_a_server(tmp_path):
    settings = settings_module.load()
    with pytest.raises(SettingsError, match=r"models\.uri must name an MLflow server: SQLite can't lie below storage\.root = s3a://b/lake"):
        Services(settings, "s3a://b/lake").registry  # noqa: B018 - asked for, it is made
    assert Services(settings, f"file://{tmp_path}").registry.uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


def test_an_alias_that_somebody_else_moved_or_removed_is_set_right(open_registry):
    registry = open_registry()
    for version in ("v1", "v2"):
        trained(registry, version)
    registry.set_alias("champion", "v1")
    registry._client.set_registered_model_alias(registry.name, "champion", "2")  # in MLflow's pages
    registry.set_alias("champion", "v1")
    assert open_registry().version_of_alias("champion") == "v1"
    registry._client.delete_registered_model_alias(registry.name, "champion")
    registry.set_alias("champion", "v1")
    assert open_registry().version_of_alias("champion") == "v1"


def test_an_attempt_that_was_cut_off_goes_on_in_its_run_from_its_newest_checkpoint(open_registry, tmp_path):
    registry = open_registry()
    first = registry.start("v1", {"epochs": 3})
    assert first.checkpoint is None
    for epoch in (9, 10):
        path = tmp_path / f"checkpoint-{epoch:05d}.pt"
        path.write_bytes(f"epoch {epoch}".encode())
        registry.save_checkpoint(first.run_id, path)
    registry.fail(first.run_id)
    again = open_registry().start("v1", {"epochs": 3})
    assert again.run_id == first.run_id
    assert again.checkpoint == b"epoch 10"


def test_of_two_unfinished_attempts_one_goes_on_and_the_other_is_marked_killed(open_registry):
    registry = open_registry()
    old = registry.start("v1", {})
    client = registry._client
    newer = client.create_run(registry._experiment, start_time=client.get_run(old.run_id).info.start_time + 1, tags={"model_version": "v1"})
    assert registry.start("v1", {}).run_id == newer.info.run_id
    assert client.get_run(old.run_id).info.status == "KILLED"
    assert registry.start("v1", {}).run_id == newer.info.run_id


CHANGES = ("log_artifact", "create_registered_model", "set_terminated", "create_model_version")  # all that `register` asks of MLflow


class Cut(BaseException):
    """Nothing that the registry does comes after it, as with a process that is killed."""


def cutting(action, when):
    def wrapped(*arguments, **named):
        if when == "after":
            action(*arguments, **named)
        raise Cut

    return wrapped


def test_registering_that_is_cut_at_any_point_shows_a_whole_version_or_none_and_again_makes_no_second(open_registry, monkeypatch):
    registry, what = open_registry(), (b"model", {"snapshot_id": "s1"}, "# A card")
    run = registry.start("v1", {})
    seen = []
    for step, when in product(CHANGES, ("before", "after")):
        with monkeypatch.context() as patch:
            patch.setattr(registry._client, step, cutting(getattr(registry._client, step), when))
            # once the version is there, nothing is left to make
            with pytest.raises(Cut):
                registry.register(run.run_id, "v1", *what)
        other = open_registry()
        seen.append(other.exists("v1"))
        assert seen[-1] or other.start("v1", {}).run_id == run.run_id, "a training that was cut off goes on in its run"
    assert seen == [False] * 7 + [True]
    assert_whole(registry, run.run_id)
    registry.register(run.run_id, "v1", *what)
    assert_whole(registry, run.run_id)


def assert_whole(registry, run_id):
    """One version, with tags and card, of a run that is finished."""
    (version,) = registry._versions()
    assert version.tags == {"model_version": "v1", "snapshot_id": "s1"}
    assert (version.description, version.run_id) == ("# A card", run_id)
    assert registry._client.get_run(run_id).info.status == "FINISHED"
    assert registry.load("v1") == b"model"


def test_a_version_whose_file_is_gone_counts_as_not_there(open_registry, place):
    registry = open_registry()
    trained(registry, "v1")
    registry._indexed("v1").unlink()
    assert not registry.exists("v1")


def test_metrics_and_parameters_are_logged(open_registry):
    registry = open_registry()
    run = registry.start("v1", {"epochs": 3, "hosts": ""})
    registry.log_metrics(run.run_id, [("loss", 2.0, 1), ("loss", 1.0, 2)])
    data = registry._client.get_run(run.run_id).data
    assert data.params == {"epochs": "3", "hosts": ""}
    assert [m.value for m in registry._client.get_metric_history(run.run_id, "loss")] == [2.0, 1.0]


def test_a_replay_takes_models_and_changes_nothing(open_registry):
    registry = open_registry()
    trained(registry, "v1", b"one")
    registry.set_alias("champion", "v1")
    trained(registry, "v2")
    replay = registry.read_only()
    assert replay.load("v1") == b"one"
    replay.set_alias("champion", "v2")
    assert registry.version_of_alias("champion") == "v1"
    with pytest.raises(ModelNotFoundError, match="a replay takes its models from"):
        replay.start("v3", {})
