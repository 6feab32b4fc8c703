"""A trained model over rows: on arrays, and on Spark with the model loaded once a Python worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from reelhouse.features import Layout, as_lists, as_matrix
from reelhouse.models.hashes import sign_hashes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.models.network import MultimodalNetwork

TOP = 5
# Probabilities below this count as this in a log loss: a class that a model can't name costs -log of it, not infinity.
PROBABILITY_MIN = 1e-6
_ROWS_AT_ONCE = 256
_loaded: dict[str, MultimodalNetwork] = {}

CLASSES = "array<struct<label_id:string,path:string,probability:double>>"
PREDICTED = f"video_id string, top {CLASSES}, entropy double, vector array<float>, hash binary"
SCORED = "video_id string, truth int, right boolean, log_loss double"


@dataclass(frozen=True)
class Output:
    """What a model says of n rows: logits (n, c), divided by its temperature, and embeddings (n, d) of length 1."""

    logits: np.ndarray
    embeddings: np.ndarray


def columns_of(layout: Layout) -> list[str]:
    """The columns of `reelhouse.features.assemble` that a model of this layout reads."""
    return [name for p in layout.parts for name in (p.modality, f"{p.modality}_mask")]


def run_model(model: MultimodalNetwork, arrays: Mapping[str, np.ndarray]) -> Output:
    """arrays: the columns that `columns_of` names, each (n, width) float32."""
    import torch

    count = len(next(iter(arrays.values())))
    logits, embeddings = [], []
    with torch.inference_mode():
        for start in range(0, count, _ROWS_AT_ONCE):
            batch = {name: torch.as_tensor(values[start : start + _ROWS_AT_ONCE]) for name, values in arrays.items()}
            scores, vectors = model(batch)
            logits.append((scores / model.temperature).numpy())
            embeddings.append(vectors.numpy())
    if not logits:
        config = model.config
        return Output(np.zeros((0, len(config.label_ids)), np.float32), np.zeros((0, config.embedding_dimension), np.float32))
    return Output(np.concatenate(logits), np.concatenate(embeddings))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis; -inf gives 0, and a row of -inf only gives zeros."""
    top = logits.max(axis=-1, keepdims=True)
    exponents = np.exp(logits - np.where(np.isfinite(top), top, 0.0))
    total = exponents.sum(axis=-1, keepdims=True)
    return np.divide(exponents, total, out=np.zeros_like(exponents), where=total > 0)


def predict(rows: DataFrame, model: Any, paths: Mapping[str, str]) -> DataFrame:
    """Predictions, embedding and hash of each row, with the columns of PREDICTED.

    rows: from `assemble` with the layout of the model. model: a broadcast of the bytes that `dump` wrote. paths: label_id -> path.
    """
    names = dict(paths)

    def over(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        network = _network(model.value)
        label_ids = network.config.label_ids
        labels, places = pa.array(label_ids, pa.string()), pa.array([names.get(i, i) for i in label_ids], pa.string())
        for batch in batches:
            output = run_model(network, _arrays(batch, network.config.layout))
            probabilities = softmax(output.logits.astype(np.float64))
            logs = np.log(np.maximum(probabilities, PROBABILITY_MIN))
            yield pa.RecordBatch.from_arrays(
                [
                    batch["video_id"],
                    _top(probabilities, labels, places),
                    pa.array(-(probabilities * logs).sum(axis=1)),
                    as_lists(output.embeddings),
                    pa.array([code.tobytes() for code in sign_hashes(output.embeddings)], pa.binary()),
                ],
                ["video_id", "top", "entropy", "vector", "hash"],
            )

    return rows.mapInArrow(over, PREDICTED)


def _top(probabilities: np.ndarray, labels: pa.Array, places: pa.Array) -> pa.ListArray:
    """The TOP most probable classes of each row, best first, the earlier of equals first."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    chosen = pa.array(best.ravel())
    values = [labels.take(chosen), places.take(chosen), pa.array(np.take_along_axis(probabilities, best, axis=1).ravel())]
    ends = np.arange(len(best) + 1, dtype=np.int32) * np.int32(best.shape[1])
    return pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(values, ["label_id", "path", "probability"]))


def score(rows: DataFrame, model: Any, label_ids: Iterable[str], became: Mapping[str, str] | None = None) -> DataFrame:
    """How a model does on answered rows, with the columns of SCORED; rows without a yes are left out.

    rows: columns of `assemble` with the model's layout, and `targets` in the order of label_ids. The model may know other classes:
    it is asked about those that both know, and a row whose yes it does not know counts as wrong. became: what its classes are called
    in label_ids, where that is another id; those that became one are one, as likely as all together.
    truth: index in label_ids of the row's first yes.
    """
    wanted, renamed = list(label_ids), dict(became or {})

    def over(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        network = _network(model.value)
        names = [renamed.get(label, label) for label in network.config.label_ids]
        for batch in batches:
            targets = as_matrix(batch["targets"], len(wanted))
            answered = (targets > 0).any(axis=1)
            batch, targets = batch.filter(pa.array(answered)), targets[answered]
            if not len(targets):
                continue
            own = run_model(network, _arrays(batch, network.config.layout)).logits.astype(np.float64)
            logits = in_classes(own, names, wanted)
            logits[targets < 0] = -np.inf
            yield _scored(batch["video_id"], logits, targets)

    return rows.mapInArrow(over, SCORED)


def in_classes(logits: np.ndarray, names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Logits (n, c) of classes `names` as those of the classes `wanted` (n, w): -inf for one that is not among them; classes of one
    name are one, as likely as all of them together."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    found = np.full((len(logits), len(wanted)), -np.inf)
    for j, name in enumerate(wanted):
        if name in places:
            found[:, j] = np.logaddexp.reduce(logits[:, places[name]], axis=1)
    return found


def _scored(video_ids: pa.Array, logits: np.ndarray, targets: np.ndarray) -> pa.RecordBatch:
    rows = np.arange(len(targets))
    best = logits.argmax(axis=1)
    chance = (softmax(logits) * (targets > 0)).sum(axis=1)
    return pa.RecordBatch.from_arrays(
        [
            video_ids,
            pa.array((targets > 0).argmax(axis=1).astype(np.int32)),
            pa.array(np.isfinite(logits[rows, best]) & (targets[rows, best] > 0)),
            pa.array(-np.log(np.clip(chance, PROBABILITY_MIN, 1.0))),
        ],
        ["video_id", "truth", "right", "log_loss"],
    )


def _arrays(batch: pa.RecordBatch, layout: Layout) -> dict[str, np.ndarray]:
    widths = {name: width for p in layout.parts for name, width in ((p.modality, p.steps * p.dimension), (f"{p.modality}_mask", p.steps))}
    return {name: as_matrix(batch[name], widths[name]) for name in columns_of(layout)}


def _network(content: bytes) -> MultimodalNetwork:
    """The model of these bytes, kept in this worker: Spark uses a Python worker for many tasks."""
    import torch

    from reelhouse.models.network import load

    key = hashlib.sha256(content).hexdigest()
    if key not in _loaded:
        # tasks run side by side, one a core; a second thread each would only get in the way
        torch.set_num_threads(1)
        _loaded.clear()
        _loaded[key] = load(content)
    return _loaded[key]
