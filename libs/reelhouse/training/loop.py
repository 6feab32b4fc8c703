"""The training loop of one rank: the same steps on every rank, whatever the number of rows that it has."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from reelhouse.errors import TrainingError
from reelhouse.models.calibration import fit_temperature
from reelhouse.models.config import ModelConfig
from reelhouse.models.losses import is_right, partial_cross_entropy, says_something
from reelhouse.models.network import MultimodalNetwork, dump
from reelhouse.training import reading
from reelhouse.training.ranks import Ranks
from reelhouse.training.reading import Rows, Shard

_WARM_UP = 0.1  # share of all steps in which the learning rate rises
_WEIGHT_DECAY = 0.05
_GRADIENT_NORM_MAX = 5.0


@dataclass(frozen=True)
class Plan:
    """What to train, on what. files: the snapshot's active Parquet files. rows: how many rows of all splits they hold."""

    model: ModelConfig
    files: tuple[str, ...]
    rows: int
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    checkpoint_epochs: int = 5
    kept_bytes: int = reading.KEPT_BYTES

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"model": self.model.to_json()}, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        values = json.loads(text)
        return cls(**values | {"model": ModelConfig.from_json(values["model"]), "files": tuple(values["files"])})


class Feed:
    """This rank's rows, epoch by epoch: read once and kept when they fit, else read anew. Every epoch is checked."""

    def __init__(self, plan: Plan, shard: Shard, ranks: Ranks) -> None:
        self._plan, self._shard, self._ranks = plan, shard, ranks
        self._layout = plan.model.layout
        # the bound is on the mean shard, so that all ranks decide alike
        size = reading.row_bytes(self._layout, len(plan.model.label_ids)) * shard.total_rows / shard.size
        self._kept = list(reading.read(shard, self._layout)) if size <= plan.kept_bytes else None

    def parts(self, epoch: int) -> Iterator[Rows]:
        """The shard's row groups, all splits. Collective at its end: checks that no row was lost."""
        seen = []
        for rows in self._kept if self._kept is not None else reading.read(self._shard, self._layout):
            seen.append(rows["video_id"])
            yield rows
        reading.check_seen(self._shard, self._ranks, seen, epoch)

    def batches(self, epoch: int) -> Iterator[Rows]:
        """Rows of split train in batches, shuffled by (seed, epoch, rank): as a whole when they are kept, else by row group."""
        order = np.random.default_rng([self._plan.seed, epoch, self._shard.rank])
        train: Iterator[Rows] = (reading.select(rows, rows["split"] == "train") for rows in self.parts(epoch))
        if self._kept is not None:
            train = iter([reading.join(list(train))])
        left: list[Rows] = []
        for rows in train:
            if not rows or not len(rows["split"]):
                continue
            pool = reading.join([*left, reading.select(rows, order.permutation(len(rows["split"])))])
            whole = len(pool["split"]) // self._plan.batch_size * self._plan.batch_size
            for start in range(0, whole, self._plan.batch_size):
                yield {name: values[start : start + self._plan.batch_size] for name, values in pool.items()}
            left = [reading.select(pool, np.arange(whole, len(pool["split"])))]
        if left and len(left[0]["split"]):
            yield left[0]


class Trainer:
    """One rank's model and optimizer. `run` trains from the epoch after `checkpoint`, if given, to the last."""

    def __init__(self, plan: Plan, ranks: Ranks, checkpoint: bytes | None = None) -> None:
        self.plan, self.ranks = plan, ranks
        self.shard = reading.open_shard(plan.files, ranks, plan.rows)
        self.feed = Feed(plan, self.shard, ranks)
        torch.manual_seed(plan.seed)
        self.model = MultimodalNetwork(plan.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=plan.learning_rate, weight_decay=_WEIGHT_DECAY)
        own_steps = torch.tensor([math.ceil(self.shard.train_rows / plan.batch_size)])
        self.steps = int(ranks.allreduce(own_steps, "max"))  # of every rank, in every epoch
        self.done = 0  # epochs
        if not self.steps:
            raise TrainingError("the snapshot has no rows of split train; label more videos")
        if checkpoint is None:
            self._standardise()
        else:
            self._restore(checkpoint)

    def run(self, report: Callable[[dict[str, float]], None], save: Callable[[int, bytes], None]) -> bytes:
        """Trains and calibrates; returns the model as bytes, the same on every rank.

        report is called after each epoch, save after every few, on rank 0 only.
        """
        for epoch in range(self.done + 1, self.plan.epochs + 1):
            figures = self._epoch(epoch)
            self.done = epoch
            if self.ranks.rank == 0:
                report(figures)
                if epoch % self.plan.checkpoint_epochs == 0 or epoch == self.plan.epochs:
                    save(epoch, self.checkpoint())
        self._calibrate()
        return dump(self.model)

    def checkpoint(self) -> bytes:
        import io

        buffer = io.BytesIO()
        torch.save({"epoch": self.done, "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}, buffer)
        return buffer.getvalue()

    def _restore(self, content: bytes) -> None:
        import io

        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.done = int(saved["epoch"])

    def _epoch(self, epoch: int) -> dict[str, float]:
        # from here on all that is random depends on (seed, epoch, rank) only: a resumed training goes on as if never cut
        torch.manual_seed(_mixed(self.plan.seed, epoch, self.ranks.rank))
        self.model.train()
        started, totals, taken = time.perf_counter(), torch.zeros(4, dtype=torch.float64), 0
        batches = self.feed.batches(epoch)
        for step in range(self.steps):
            batch = next(batches, None)  # a rank with fewer rows goes on with empty steps
            taken += batch is not None
            totals += self._step(batch, (epoch - 1) * self.steps + step)
        if next(batches, None) is not None:
            raise TrainingError(f"epoch {epoch}: rank {self.ranks.rank} has rows left after the {self.steps} agreed steps")
        loss, weight, right, rows = (float(v) for v in self.ranks.allreduce(totals))
        if not math.isfinite(loss):
            raise TrainingError(f"epoch {epoch}: the loss is not finite; look for extreme features or lower training.learning_rate")
        seconds = time.perf_counter() - started
        return {"epoch": epoch, "loss": loss / max(weight, 1e-12), "accuracy": right / max(rows, 1.0), "seconds": seconds}

    def _step(self, batch: Rows | None, number: int) -> torch.Tensor:
        """One step of all ranks: the gradient of the weighted mean loss over all their rows. Returns this rank's (loss sum,
        weight, right rows, answered rows)."""
        self.optimizer.zero_grad(set_to_none=False)
        figures = torch.zeros(4, dtype=torch.float64)
        if batch is not None:
            tensors = {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in batch.items() if name not in ("video_id", "split")}
            targets = tensors["targets"]
            logits, _ = self.model(tensors)
            weight = tensors["weight"] * says_something(targets)
            loss = (partial_cross_entropy(logits, targets) * weight).sum()
            loss.backward()
            answered = (targets > 0).any(dim=1)
            right = is_right(logits.detach(), targets) & answered
            figures = torch.tensor([loss.item(), weight.sum().item(), float(right.sum()), float(answered.sum())], dtype=torch.float64)
        self._average(figures[1])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM_MAX)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * _schedule(number, self.steps * self.plan.epochs)
        self.optimizer.step()
        return figures

    def _average(self, weight: torch.Tensor) -> None:
        """Sums gradients and weight over ranks in one flat tensor (one message a step, and always the same order of sums)."""
        parameters = list(self.model.parameters())
        flat = torch.cat([*[_gradient(p).reshape(-1) for p in parameters], weight.to(torch.float32).reshape(1)])
        total = self.ranks.allreduce(flat)
        values = total[:-1] / total[-1].clamp(min=1e-12)
        start = 0
        for parameter in parameters:
            parameter.grad = values[start : start + parameter.numel()].view_as(parameter).clone()
            start += parameter.numel()

    def _standardise(self) -> None:
        """Mean and deviation of each input over the filled steps of all ranks' rows of split train."""
        parts = self.plan.model.layout.parts
        sums = [torch.zeros(2 * p.dimension + 1, dtype=torch.float64) for p in parts]
        for rows in self.feed.parts(0):
            train = rows["split"] == "train"
            for part, total in zip(parts, sums, strict=True):
                values = rows[part.modality][train].reshape(-1, part.dimension)  # (rows x steps, dimension)
                filled = torch.from_numpy(values[rows[f"{part.modality}_mask"][train].reshape(-1) > 0]).double()
                total += torch.cat([filled.sum(dim=0), filled.square().sum(dim=0), torch.tensor([float(len(filled))], dtype=torch.float64)])
        for part, total in zip(parts, self.ranks.allreduce(torch.cat(sums)).split([len(s) for s in sums]), strict=True):
            count = total[-1].clamp(min=1.0)
            mean = total[: part.dimension] / count
            variance = total[part.dimension : -1] / count - mean.square()
            self.model.standardise_by(part.modality, mean.float(), variance.clamp(min=0).sqrt().float())

    def _calibrate(self) -> None:
        """Temperature on the rows of split calibration, which no step has seen."""
        self.model.eval()
        logits: list[tuple[str, Any, Any]] = []
        with torch.inference_mode():
            for rows in self.feed.parts(self.plan.epochs + 1):
                held = reading.select(rows, rows["split"] == "calibration")
                if len(held["split"]):
                    tensors = {name: torch.from_numpy(v) for name, v in held.items() if name not in ("video_id", "split")}
                    scores = self.model(tensors)[0].numpy()
                    logits += list(zip(held["video_id"].tolist(), scores, held["targets"], strict=True))
        everyone = sorted((row for part in self.ranks.allgather(logits) for row in part), key=lambda row: row[0])
        if everyone:
            temperature = fit_temperature(np.stack([r[1] for r in everyone]), np.stack([r[2] for r in everyone]))
            self.model.temperature.fill_(temperature)


def _gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    return parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)


def _schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate: a linear rise, then half a cosine down to 0."""
    rise = max(1, round(_WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence([n % 2**32 for n in numbers]).generate_state(1)[0])
