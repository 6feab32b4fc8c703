"""A trained model over rows: on arrays, and on Spark with the model loaded once a Python worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reelhouse.features import Layout
from reelhouse.models.hashes import sign_hashes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.models.network import MultimodalNetwork

TOP = 5
# Probabilities below this count as this in a log loss: a class that a model can't name costs -log of it, not infinity.
PROBABILITY_MIN = 1e-6
_ROWS_AT_ONCE = 256
_loaded: dict[str, MultimodalNetwork] = {}

_TOP = "array<struct<label_id:string,path:string,probability:double>>"
PREDICTED = f"video_id string, top {_TOP}, entropy double, vector array<float>, hash binary"
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

    def over(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        network = _network(model.value)
        label_ids = network.config.label_ids
        for batch in batches:
            output = run_model(network, _arrays(batch, network.config.layout))
            probabilities = softmax(output.logits.astype(np.float64))
            logs = np.log(np.maximum(probabilities, PROBABILITY_MIN))
            best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
            yield pd.DataFrame(
                {
                    "video_id": batch["video_id"],
                    "top": [
                        [{"label_id": label_ids[j], "path": names.get(label_ids[j], label_ids[j]), "probability": float(p[j])} for j in row]
                        for row, p in zip(best, probabilities, strict=True)
                    ],
                    "entropy": -(probabilities * logs).sum(axis=1),
                    "vector": list(output.embeddings),
                    "hash": [code.tobytes() for code in sign_hashes(output.embeddings)],
                }
            )

    return rows.mapInPandas(over, PREDICTED)


def score(rows: DataFrame, model: Any, label_ids: Iterable[str]) -> DataFrame:
    """How a model does on answered rows, with the columns of SCORED; rows without a yes are left out.

    rows: columns of `assemble` with the model's layout, and `targets` in the order of label_ids. The model may know other classes:
    it is asked about those that both know, and a row whose yes it does not know counts as wrong.
    truth: index in label_ids of the row's first yes.
    """
    wanted = list(label_ids)

    def over(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        network = _network(model.value)
        place = {label: i for i, label in enumerate(network.config.label_ids)}
        shared = [j for j, label in enumerate(wanted) if label in place]
        for batch in batches:
            targets = np.stack(batch["targets"].to_list())
            batch, targets = batch[(targets > 0).any(axis=1)], targets[(targets > 0).any(axis=1)]
            if not len(batch):
                continue
            own = run_model(network, _arrays(batch, network.config.layout)).logits.astype(np.float64)
            logits = np.full(targets.shape, -np.inf)
            logits[:, shared] = own[:, [place[wanted[j]] for j in shared]]
            logits[targets < 0] = -np.inf
            yield _scored(batch, logits, targets)

    return rows.mapInPandas(over, SCORED)


def _scored(batch: pd.DataFrame, logits: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    rows = np.arange(len(batch))
    best = logits.argmax(axis=1)
    chance = (softmax(logits) * (targets > 0)).sum(axis=1)
    return pd.DataFrame(
        {
            "video_id": batch["video_id"].to_numpy(),
            "truth": (targets > 0).argmax(axis=1).astype(np.int32),
            "right": np.isfinite(logits[rows, best]) & (targets[rows, best] > 0),
            "log_loss": -np.log(np.clip(chance, PROBABILITY_MIN, 1.0)),
        }
    )


def _arrays(batch: pd.DataFrame, layout: Layout) -> dict[str, np.ndarray]:
    widths = {name: width for p in layout.parts for name, width in ((p.modality, p.steps * p.dimension), (f"{p.modality}_mask", p.steps))}
    return {n: np.array(batch[n].to_list(), np.float32).reshape(len(batch), widths[n]) for n in columns_of(layout)}


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
