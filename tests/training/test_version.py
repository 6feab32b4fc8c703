from reelhouse import settings as settings_module
from reelhouse.training import version
from reelhouse.training.version import version_of


def training(**values):
    return settings_module.load(values={f"training.{k}": v for k, v in values.items()}).training


def test_the_same_inputs_give_the_same_version():
    assert version_of("s1", training()) == version_of("s1", training())
    assert len(version_of("s1", training())) == 12


def test_snapshot_settings_and_code_change_it(monkeypatch):
    base = version_of("s1", training())
    assert version_of("s2", training()) != base
    assert version_of("s1", training(epochs=31)) != base
    monkeypatch.setattr(version, "code_hash", lambda: "other")
    assert version_of("s1", training()) != base


def test_how_ranks_are_started_does_not_change_it():
    assert version_of("s1", training(launcher="torch", hosts="a:1", timeout_minutes=1)) == version_of("s1", training())
