import numpy as np
import pytest
import torch

from reelhouse.errors import TrainingError
from reelhouse.models import load
from reelhouse.models.inference import run_model
from reelhouse.training import reading
from reelhouse.training.loop import Feed, Trainer
from reelhouse.training.ranks import OneRank
from tests.training.planted import plan_of, write_snapshot


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(plan, checkpoint=None, until=None):
    """(model bytes, figures, checkpoints); stops like a killed process after the checkpoint of epoch `until`."""
    figures, saved = [], {}

    def save(epoch, content):
        saved[epoch] = content
        if epoch == until:
            raise KeyboardInterrupt

    trainer = Trainer(plan, OneRank(), checkpoint)
    try:
        return trainer.run(figures.append, save), figures, saved
    except KeyboardInterrupt:
        return None, figures, saved


def test_it_learns_what_was_planted(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 120, 60), 180, epochs=10)
    content, figures, _ = train(plan)
    assert figures[-1]["loss"] < figures[0]["loss"] * 0.6
    shard = reading.open_shard(plan.files, OneRank(), 180)
    rows = reading.join([reading.select(r, r["split"] == "evaluation") for r in reading.read(shard, plan.model.layout)])
    output = run_model(load(content), {n: rows[n] for n in ("visual", "visual_mask", "text", "text_mask")})
    assert (output.logits.argmax(1) == rows["targets"].argmax(1)).mean() > 0.85  # by chance: .33


def test_twice_the_same_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    files = write_snapshot(tmp_path, 40, 20)
    first, again, other = (train(plan_of(files, 60, seed=s))[0] for s in (7, 7, 8))
    assert first == again
    assert first != other


def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 40, 20), 60, epochs=6)
    whole, _, _ = train(plan)
    cut, _, saved = train(plan, until=4)
    assert cut is None
    resumed, figures, _ = train(plan, checkpoint=saved[4])
    assert [f["epoch"] for f in figures] == [5, 6]
    assert resumed == whole


def test_rows_that_do_not_fit_in_memory_are_streamed_and_none_is_lost(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 33, 20, 11), 64, kept_bytes=0)
    feed = Feed(plan, reading.open_shard(plan.files, OneRank(), 64), OneRank())
    batches = [b["video_id"].tolist() for b in feed.batches(1)]
    assert [len(b) for b in batches] == [16, 16, 16, 1]
    assert len({v for b in batches for v in b}) == 49
    assert [b["video_id"].tolist() for b in feed.batches(1)] == batches
    assert [b["video_id"].tolist() for b in feed.batches(2)] != batches
    assert train(plan)[0] is not None


def test_a_reader_that_loses_a_row_ends_the_training(tmp_path, monkeypatch):
    plan = plan_of(write_snapshot(tmp_path, 30), 30)
    whole = reading.read

    def lossy(shard, layout):
        for rows in whole(shard, layout):
            yield reading.select(rows, np.arange(len(rows["split"])) != 3)

    monkeypatch.setattr(reading, "read", lossy)
    with pytest.raises(TrainingError, match=r"29 rows, the snapshot holds 30: 1 missing \['v0-003'\]"):
        train(plan)


def test_inputs_are_standardised_by_filled_steps_of_training_rows_only(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 40), 40)
    trainer = Trainer(plan, OneRank())
    shard = reading.open_shard(plan.files, OneRank(), 40)
    rows = reading.join([reading.select(r, r["split"] == "train") for r in reading.read(shard, plan.model.layout)])
    frames = rows["visual"].reshape(-1, 6)
    np.testing.assert_allclose(trainer.model.inputs["visual"].mean.numpy(), frames.mean(0), atol=1e-5)
    np.testing.assert_allclose(trainer.model.inputs["visual"].deviation.numpy(), frames.std(0), atol=1e-5)


def test_temperature_is_fitted_on_the_calibration_rows(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 150, splits=("train", "train", "calibration")), 150, epochs=2)
    assert float(load(train(plan)[0]).temperature) != 1.0


def test_a_snapshot_without_training_rows_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="no rows of split train"):
        Trainer(plan_of(write_snapshot(tmp_path, 4, splits=("evaluation",)), 4), OneRank())


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 20), 20)
    trainer = Trainer(plan, OneRank())
    with torch.no_grad():
        trainer.model.scale.fill_(float("nan"))
    with pytest.raises(TrainingError, match="epoch 1: the loss is not finite"):
        trainer.run(lambda figures: None, lambda epoch, content: None)
