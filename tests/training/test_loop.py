import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from reelhouse.errors import TrainingError
from reelhouse.models import load
from reelhouse.models.inference import run_model
from reelhouse.training import reading
from reelhouse.training.loop import Feed, Trainer, _schedule
from tests.training.one_rank import OneRank
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
    rows = rows_of(plan, "evaluation")
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


def rows_of(plan, split):
    shard = reading.open_shard(plan.files, OneRank(), plan.rows)
    return reading.join([reading.select(r, r["split"] == split) for r in reading.read(shard, plan.model.layout)])


def test_inputs_are_standardised_by_filled_steps_of_training_rows_only(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 40, gaps=True), 40)
    trainer, rows = Trainer(plan, OneRank()), rows_of(plan, "train")
    frames = rows["visual"].reshape(-1, 6)[rows["visual_mask"].reshape(-1) > 0]
    assert 30 < len(frames) < 60  # of 30 rows with two steps each
    assert np.abs(frames).max() < 10  # nonsense is in the masked ones only
    np.testing.assert_allclose(trainer.model.inputs["visual"].mean.numpy(), frames.mean(0), atol=1e-5)
    np.testing.assert_allclose(trainer.model.inputs["visual"].deviation.numpy(), frames.std(0), atol=1e-5)
    np.testing.assert_allclose(trainer.model.inputs["text"].mean.numpy(), rows["text"].mean(0), atol=1e-5)


@pytest.fixture
def step(tmp_path, monkeypatch):
    """(trainer, rows, take): `take` does one step of a batch and gives its figures with the gradients it left, unclipped."""
    plan = plan_of(write_snapshot(tmp_path, 40, gaps=True), 40, epochs=10, batch_size=30, model={"dropout": 0.0})
    trainer = Trainer(plan, OneRank())
    monkeypatch.setattr(trainer.optimizer, "step", lambda: None)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda parameters, most: None)
    trainer.model.eval()  # nothing by chance

    def take(batch, number=0):
        figures = trainer._step(batch, number)
        return figures.tolist(), torch.cat([p.grad.reshape(-1) for p in trainer.model.parameters()])

    return trainer, rows_of(plan, "train"), take


def test_a_step_follows_the_weighted_mean_of_the_rows_that_say_something(step):
    trainer, rows, take = step
    rows["targets"][:3] = -1  # not asked
    (loss, weight, right, answered), found = take(rows)
    logits, _ = trainer.model({n: torch.from_numpy(v) for n, v in rows.items() if n not in ("video_id", "split")})
    classes, weights = rows["targets"].argmax(1), torch.from_numpy(rows["weight"])
    assert set(rows["weight"].tolist()) == {0.25, 1.0}
    costs = torch.nn.functional.cross_entropy(logits, torch.from_numpy(classes), reduction="none")[3:] * weights[3:]
    mean = costs.sum() / weights[3:].sum()
    wanted = torch.cat([g.reshape(-1) for g in torch.autograd.grad(mean, list(trainer.model.parameters()), materialize_grads=True)])
    assert wanted.abs().max() > 1e-3
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)
    assert (loss, weight) == (pytest.approx(costs.sum().item(), rel=1e-5), weights[3:].sum().item())
    assert (right, answered) == ((logits.argmax(1).numpy() == classes)[3:].sum(), 27)


def test_a_row_whose_weight_is_nothing_and_an_empty_step_leave_no_gradient(step):
    _, rows, take = step
    half = reading.select(rows, np.arange(15))
    _, wanted = take(half)
    both = reading.join([half, {n: v.copy() for n, v in reading.select(rows, np.arange(15, 30)).items()}])
    both["weight"][15:] = 0
    torch.testing.assert_close(take(both)[1], wanted, atol=1e-6, rtol=1e-4)
    figures, gradient = take(None)
    assert figures == [0.0, 0.0, 0.0, 0.0]
    assert not gradient.any()


@pytest.mark.parametrize(
    ("number", "share"),
    # ten steps: one of them rises; then half a cosine over nine, of which the fourth and a half would be the middle
    [(0, 1.0), (1, 1.0), (4, 0.75), (7, 0.25), (9, 0.5 * (1 - np.cos(np.pi / 9)))],
)
def test_the_learning_rate_rises_in_a_tenth_of_the_steps_and_falls_as_half_a_cosine(step, number, share):
    trainer, rows, take = step
    assert (trainer.steps, trainer.plan.epochs) == (1, 10)
    take(rows, number)
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(trainer.plan.learning_rate * share)


def test_the_rise_is_linear():
    assert [_schedule(step, 40) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_the_temperature_is_the_one_that_fits_the_calibration_rows_best(tmp_path):
    plan = plan_of(write_snapshot(tmp_path, 150, splits=("train", "train", "calibration"), seed=3), 150, epochs=8)
    model = load(train(plan)[0])
    best = {}
    for split in ("train", "calibration"):
        rows = rows_of(plan, split)
        with torch.inference_mode():
            logits = model({n: torch.from_numpy(v) for n, v in rows.items() if n not in ("video_id", "split")})[0].double().numpy()
        truth = rows["targets"].argmax(1)

        def cost(temperature, logits=logits, truth=truth):
            return -log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean()

        best[split] = minimize_scalar(cost, bounds=(0.2, 10), method="bounded", options={"xatol": 1e-6}).x
    assert abs(best["train"] - best["calibration"]) > 0.02
    assert float(model.temperature) == pytest.approx(best["calibration"], abs=2e-3)


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
