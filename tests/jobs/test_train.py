"""train on a real lake with real ranks and a real MLflow: what is registered, and what a second or a broken run leaves."""

import datetime as dt
import os
import signal
import time
from pathlib import Path

import mlflow
import numpy as np
import pytest

from jobs import build_training_set, train
from reelhouse import tables
from reelhouse.errors import TrainingError
from reelhouse.features import Layout, Part
from reelhouse.models import load
from reelhouse.models.inference import columns_of, run_model
from reelhouse.run import StepAside
from reelhouse.training.version import version_of
from tests.faults.survived import survives
from tests.jobs.small_lake import DAY, LEAVES, NEXT, SmallLake

THIRD = dt.date(2026, 1, 4)


@pytest.fixture(scope="module")
def root(spark, tmp_path_factory):
    """A lake with a snapshot of 60 rows. Each test trains with settings of its own, so that its model is another version."""
    root = tmp_path_factory.mktemp("lake with a blank")
    SmallLake(spark, root).plant(60).do(build_training_set)
    return root


@pytest.fixture
def open_lake(spark, root):
    return lambda **values: SmallLake(spark, root, **{f"training__{name}": value for name, value in values.items()})


def snapshot_of(lake):
    (row,) = lake.rows(tables.SNAPSHOTS)
    return row


def version_in(lake):
    return version_of(snapshot_of(lake).snapshot_id, lake.settings.training)


class Seen:
    """What MLflow itself says of one model version."""

    def __init__(self, lake):
        registry, version = lake.services.registry, version_in(lake)
        self.client = mlflow.MlflowClient(tracking_uri=registry.uri, registry_uri=registry.uri)
        wanted = f"tags.model_version = '{version}'"
        experiment = self.client.get_experiment_by_name("reelhouse")
        self.runs = self.client.search_runs([experiment.experiment_id], wanted) if experiment else []
        self.models = list(self.client.search_model_versions(f"name = 'reelhouse' AND {wanted}"))

    def candidate(self):
        return self.client.get_model_version_by_alias("reelhouse", "candidate").tags["model_version"]


def accuracy(lake):
    """Of the registered model on the snapshot's evaluation rows, without Spark."""
    model = load(lake.services.registry.load(version_in(lake)))
    rows = [r for r in lake.rows(tables.TRAINING_EXAMPLES) if r.split == "evaluation"]
    logits = run_model(model, {n: np.array([r[n] for r in rows], np.float32) for n in columns_of(model.config.layout)}).logits
    return (logits.argmax(1) == np.array([r.targets for r in rows]).argmax(1)).mean()


def test_a_model_is_registered_once_with_its_settings_and_figures_and_is_right(open_lake):
    lake = open_lake()
    record = lake.do(train)
    snapshot, version, seen = snapshot_of(lake), version_in(lake), Seen(lake)
    assert len(version) == 12
    assert int(version, 16)
    (model,), (run,) = seen.models, seen.runs
    assert model.tags == {"model_version": version, "snapshot_id": snapshot.snapshot_id, "data_date": str(DAY)}
    assert (model.run_id, run.info.status) == (run.info.run_id, "FINISHED")
    assert model.description.startswith(f"# {version}\n")  # its card
    wanted = {"ranks": "2", "launcher": "torch", "epochs": "12", "classes": "4", "snapshot_id": snapshot.snapshot_id}
    assert wanted.items() <= run.data.params.items()
    history = seen.client.get_metric_history(run.info.run_id, "loss")
    assert [m.step for m in history] == list(range(1, 13))
    assert history[-1].value < history[0].value / 2
    assert record.metrics == {"train_loss": history[-1].value, "train_accuracy": run.data.metrics["accuracy"]}
    assert (record.inputs, seen.candidate()) == ({"model": version}, version)
    assert load(lake.services.registry.load(version)).config.label_ids == LEAVES
    assert accuracy(lake) > 0.8  # by chance: .25

    again = open_lake()  # as another process would
    record = again.do(train)
    seen = Seen(again)
    assert record.note == f"model {version} is registered already"
    assert [len(seen.models), len(seen.runs)] == [1, 1]
    assert not any("training model" in text for text in again.said)


@pytest.mark.slow
def test_horovodrun_with_two_ranks_trains_and_registers_a_model_that_is_right(open_lake):
    lake = open_lake(launcher="horovod", seed=11)
    job = lake.run("train")
    train.main(job)
    said = sorted(path.name for path in job.scratch.glob("train/logs/*"))
    job.close()
    assert said == ["rank.0", "rank.1"]  # what horovodrun keeps of each rank
    seen = Seen(lake)
    (run,) = seen.runs
    assert {"ranks": "2", "launcher": "horovod"}.items() <= run.data.params.items()
    assert [len(seen.models), seen.candidate(), run.info.status] == [1, version_in(lake), "FINISHED"]
    assert accuracy(lake) > 0.8


@survives(
    "a rank of a training is killed",
    seconds=None,
    sees="`rank 1 of 2 was killed (SIGKILL)`, within a minute; no model is registered",
    mends="the same command: training goes on from its last checkpoint",
)
def test_a_training_whose_rank_was_killed_registers_nothing_and_goes_on_from_its_checkpoint(open_lake, tmp_path):
    epochs = 150
    lake = open_lake(epochs=epochs, seed=12)
    run = lake.run("train")
    killed = []

    def kill(text):
        lake.said.append(text)
        if not killed and text.startswith("epoch 1") and list(run.scratch.glob("train/checkpoint-*.pt")):
            os.kill(int((run.scratch / "train/rank-1.pid").read_text()), signal.SIGKILL)
            killed.append(time.monotonic())

    run.progress = kill
    with pytest.raises(TrainingError, match=r"rank 1 of 2 was killed \(SIGKILL\)"):
        train.main(run)
    assert time.monotonic() - killed[0] < 60
    run.close()
    seen = Seen(lake)
    assert [len(seen.models), [r.info.status for r in seen.runs]] == [0, ["FAILED"]]
    assert train.inputs(run) == {"model": "absent"}
    kept = max(a.path for a in seen.client.list_artifacts(seen.runs[0].info.run_id, "checkpoints"))
    done = int(Path(kept).stem.split("-")[1])

    again = open_lake(epochs=epochs, seed=12)
    again.do(train)
    told = [text for text in again.said if text.startswith("epoch")]
    assert (told[0].split(":")[0], told[-1].split(":")[0]) == (f"epoch {done + 1}", f"epoch {epochs}")
    after = Seen(again)
    assert [(r.info.run_id, r.info.status) for r in after.runs] == [(seen.runs[0].info.run_id, "FINISHED")]
    assert (len(after.models), train.inputs(run)) == (1, {"model": version_in(again)})


def test_a_snapshot_that_lost_a_row_is_not_learned_from(open_lake):
    lake = open_lake(seed=13)
    lake.do(build_training_set, THIRD)
    rows = [r.asDict() for r in lake.rows(tables.TRAINING_EXAMPLES, THIRD)]
    lake.write(tables.TRAINING_EXAMPLES, rows[1:], THIRD, snapshot_id=rows[0]["snapshot_id"])
    with pytest.raises(TrainingError, match=r"has 59 rows of snapshot \w+ to learn from, the snapshot says 60"):
        lake.do(train, THIRD)
    seen = Seen(lake)
    assert [seen.models, seen.runs] == [[], []]


def test_a_snapshot_that_holds_a_video_taken_down_since_is_not_learned_from(spark, tmp_path):
    lake = SmallLake(spark, tmp_path)
    arrays = {"visual": [0.0], "visual_mask": [1.0]}
    given = [{"video_id": v, "split": "train", "weight": 1.0, "targets": [1.0], **arrays} for v in ("v1", "v2", "gone")]
    lake.write(tables.TRAINING_EXAMPLES, given, snapshot_id="s1")
    counts = {"train_rows": 3, "calibration_rows": 0, "evaluation_rows": 0}
    layout = Layout((Part("visual", "v1", 1, 1),)).to_json()
    lake.write(tables.SNAPSHOTS, [{"snapshot_id": "s1", "task": "category", "label_ids": ["pets"], "layout": layout, **counts}])
    lake.write(tables.DELETIONS, [{"video_id": "gone", "requested_at": dt.datetime(2026, 3, 1)}], dt.date(2026, 3, 1))
    wanted = (
        "has 2 rows of snapshot s1 to learn from, the snapshot says 3: videos were taken down since. Run `reelhouse job build_training_set"
    )
    with pytest.raises(TrainingError, match=wanted):
        lake.do(train)
    assert not lake.services.registry.exists(version_in(lake))
    assert Seen(lake).runs == []


def test_a_day_without_a_snapshot_steps_aside(open_lake):
    lake = open_lake()
    assert train.inputs(lake.run("train", NEXT)) == {}
    with pytest.raises(StepAside, match="there is no training snapshot for the day: too few labels"):
        lake.do(train, NEXT)
