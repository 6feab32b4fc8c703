import json
import os
import signal
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest

from reelhouse import settings as settings_module
from reelhouse.errors import TrainingError
from reelhouse.models import load
from reelhouse.models.inference import run_model
from reelhouse.training import reading
from reelhouse.training.fit import SnapshotFacts, fit
from reelhouse.training.launcher import Launch, launcher_of, run_ranks
from reelhouse.training.loop import Trainer
from tests.training.one_rank import OneRank
from tests.training.planted import plan_of, write_snapshot

LAUNCHERS = ["horovod", "torch"]


def start(folder, plan, launcher, ranks=2, seconds=300, look=lambda: None):
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.to_json(), encoding="utf-8")
    run_ranks(folder, Launch(launcher, ranks, "", seconds), look)
    return (folder / "model.pt").read_bytes()


def alone(plan):
    return Trainer(plan, OneRank()).run(lambda figures: None, lambda epoch, content: None)


def accuracy(content, plan):
    shard = reading.open_shard(plan.files, OneRank(), plan.rows)
    rows = reading.join([reading.select(r, r["split"] == "evaluation") for r in reading.read(shard, plan.model.layout)])
    output = run_model(load(content), {n: rows[n] for n in ("visual", "visual_mask", "text", "text_mask")})
    return (output.logits.argmax(1) == rows["targets"].argmax(1)).mean()


def processes_on(folder):
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in (p.info["cmdline"] or [])]


def listening(folder):
    """Addresses at which the processes of a training listen."""
    for process in processes_on(folder):
        with suppress(psutil.NoSuchProcess):
            yield from (c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The same snapshot of unequal files by both launchers, and by one rank."""
    # blanks, quotes and dollars in the path must not matter to any shell in between
    base = tmp_path_factory.mktemp("training") / "a folder $HOME 'x'"
    plan = plan_of(write_snapshot(base, 130, 50), 180, epochs=8)
    heard: dict[str, set[str]] = {launcher: set() for launcher in LAUNCHERS}
    models = {name: start(base / name, plan, name, look=lambda name=name: heard[name].update(listening(base / name))) for name in LAUNCHERS}
    models["one rank"] = alone(plan)
    return base, plan, models, heard


@pytest.mark.slow
def test_horovodrun_with_two_ranks_of_unequal_rows_trains_a_model_that_is_right(trained):
    base, plan, models, _ = trained
    assert accuracy(models["horovod"], plan) > 0.85  # by chance: .33
    assert sorted(p.name for p in base.glob("horovod/checkpoint-*")) == [f"checkpoint-{e:05d}.pt" for e in (2, 4, 6, 8)]
    assert len((base / "horovod/progress.jsonl").read_text().splitlines()) == 8
    assert {(base / f"horovod/rank-{r}.pid").exists() for r in (0, 1)} == {True}


@pytest.mark.slow
def test_nobody_outside_this_machine_can_speak_with_ranks_or_what_joins_them(trained):
    *_, heard = trained
    assert heard["horovod"]  # the rendezvous server at least
    assert {address for addresses in heard.values() for address in addresses} == {"127.0.0.1"}


@pytest.mark.slow
def test_both_launchers_give_the_same_model(trained):
    _, _, models, _ = trained
    ours, other = (load(models[name]).state_dict() for name in LAUNCHERS)
    for name, values in ours.items():
        np.testing.assert_allclose(values.numpy(), other[name].numpy(), atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_two_ranks_are_about_as_good_as_one(trained):
    _, plan, models, _ = trained
    assert abs(accuracy(models["one rank"], plan) - accuracy(models["horovod"], plan)) < 0.1


@pytest.mark.slow
def test_without_chance_one_step_of_two_ranks_is_the_step_of_one(tmp_path):
    files = write_snapshot(tmp_path, 40, 24, splits=("train",))
    still = {"dropout": 0.0, "modality_dropout": 0.0}
    # one batch holds all: the same rows in the same step, whoever has them
    plan = plan_of(files, 64, epochs=3, batch_size=64, model=still)
    one, two = alone(plan), start(tmp_path / "two", plan, "torch")
    for name, values in load(one).state_dict().items():
        np.testing.assert_allclose(values.numpy(), load(two).state_dict()[name].numpy(), atol=2e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_killed_rank_ends_all_in_bounded_time_and_a_rerun_goes_on_from_the_checkpoint(tmp_path, launcher):
    plan = plan_of(write_snapshot(tmp_path, 40, 30), 70, epochs=100_000)
    folder, killed = tmp_path / "killed", []

    def kill():
        if not killed and (folder / "checkpoint-00002.pt").exists():
            os.kill(int((folder / "rank-1.pid").read_text()), signal.SIGKILL)
            killed.append(time.monotonic())

    with pytest.raises(TrainingError, match=r"rank 1 of 2 was killed \(SIGKILL\).*goes on from its last checkpoint"):
        start(folder, plan, launcher, look=kill)
    assert time.monotonic() - killed[0] < 60
    assert processes_on(folder) == []
    last = max(folder.glob("checkpoint-*.pt"))
    done = int(last.stem.split("-")[1])
    again = tmp_path / "again"
    again.mkdir()
    (again / "resume.pt").write_bytes(last.read_bytes())
    (again / "plan.json").write_text(plan_of(plan.files, 70, epochs=done + 2).to_json())
    run_ranks(again, Launch(launcher, 2, "", 300))
    assert f'"epoch": {done + 1},' in (again / "progress.jsonl").read_text().splitlines()[0]
    assert (again / "model.pt").exists()


@pytest.mark.slow
def test_time_that_is_up_ends_all_ranks(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 40, 30), 70, epochs=1_000_000)
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"took longer than 0.05 minutes \(training.timeout_minutes\) and was ended"):
        start(tmp_path / "slow", plan, "torch", seconds=3)
    assert time.monotonic() - began < 60
    assert processes_on(tmp_path / "slow") == []


@pytest.mark.slow
def test_what_a_rank_has_to_say_is_the_error(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 10, 10), 21)
    with pytest.raises(TrainingError, match="files hold 20 rows, the snapshot says 21"):
        start(tmp_path / "wrong", plan, "torch")


@pytest.mark.slow
def test_an_unforeseen_error_comes_with_the_end_of_the_failing_ranks_log(tmp_path):
    plan = plan_of((*write_snapshot(tmp_path, 10), "file:/nowhere/part.parquet"), 20)
    with pytest.raises(TrainingError) as error:
        start(tmp_path / "wrong", plan, "horovod")
    assert "failed with exit status" in str(error.value)
    assert "FileNotFoundError" in str(error.value)


@pytest.mark.slow
def test_ranks_end_when_the_process_that_asked_for_them_is_gone(tmp_path):
    import subprocess
    import sys

    folder = tmp_path / "orphans"
    folder.mkdir()
    (folder / "plan.json").write_text(plan_of(write_snapshot(tmp_path, 40, 30), 70, epochs=1_000_000).to_json())
    code = "from pathlib import Path; from reelhouse.training.launcher import *; "
    code += f"run_ranks(Path({str(folder)!r}), Launch('horovod', 2, '', 600))"
    asker = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": "libs"})
    try:
        deadline = time.monotonic() + 600
        while not (folder / "progress.jsonl").exists() and time.monotonic() < deadline:
            assert asker.poll() is None
            time.sleep(0.2)
        assert (folder / "progress.jsonl").exists(), "the ranks never began"
        ranks = [int((folder / f"rank-{number}.pid").read_text()) for number in (0, 1)]
        assert {*ranks} <= {process.pid for process in processes_on(folder)}
    finally:
        asker.kill()
        asker.wait()
    deadline = time.monotonic() + 60
    while processes_on(folder) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert processes_on(folder) == []


def record_of(folder, launcher):
    record = folder / "environment.json"
    record.write_text(json.dumps({"java_home": None, "jars": [], "launcher": launcher}))
    return str(record)


@pytest.mark.parametrize("built", LAUNCHERS)
def test_auto_is_the_launcher_that_the_set_up_recorded_and_a_named_one_stays(tmp_path, monkeypatch, built):
    monkeypatch.setenv("REELHOUSE_ENVIRONMENT", record_of(tmp_path, built))
    assert settings_module.load().training.launcher == "auto"
    assert [launcher_of(setting) for setting in ("auto", *LAUNCHERS)] == [built, *LAUNCHERS]


@pytest.mark.slow
def test_where_horovod_was_left_out_the_default_settings_train_with_torch(tmp_path, monkeypatch):
    monkeypatch.setenv("REELHOUSE_ENVIRONMENT", record_of(tmp_path, "torch"))
    planted = plan_of(write_snapshot(tmp_path, 40, 30), 70)
    snapshot = SnapshotFacts("s", planted.model.task, planted.model.label_ids, planted.model.layout, 70)
    settings = settings_module.load(values={"training.epochs": 2, "training.ranks": 2}).training
    fitted = fit(snapshot, planted.files, settings, tmp_path / "fit")
    assert [f["epoch"] for f in fitted.epochs] == [1, 2]
    assert json.loads((tmp_path / "fit" / "launch.json").read_text())["launcher"] == "torch"
    assert load(fitted.model).config.label_ids == planted.model.label_ids


def test_horovod_is_needed_for_several_machines(tmp_path):
    with pytest.raises(TrainingError, match="runs on this machine only"):
        run_ranks(tmp_path, Launch("torch", 2, "a:1,b:1", 10))
