"""Features of a video as arrays of fixed length, as one pooled vector, and as a matrix of one machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from reelhouse.errors import VectorError
from reelhouse.features.layout import MODALITIES, Layout, Part


def assemble(features: DataFrame, text_features: DataFrame, layout: Layout, *, visual_steps: int, audio_steps: int) -> DataFrame:
    """One row a video: each modality flat, steps x dimension, padded with zeros, and a mask with 1 where a step is filled.

    features, text_features: silver.features, silver.text_features, one row a video, modality and encoder. Rows of other encoders
    than the layout's are not used; videos that have none of the layout's features are left out. Of a video with more steps than
    fit, evenly spaced ones are kept. Modalities that the layout lacks have arrays of length 0. No nulls.
    Returns video_id, visual, visual_mask, audio, audio_mask, text, text_mask (array<float>).
    """
    fixed = layout.with_steps(visual_steps=visual_steps, audio_steps=audio_steps)
    wide = _one_row_a_video(features, text_features, fixed)
    arrays: list[Column] = []
    for modality in MODALITIES:
        part = fixed.part(modality)
        values, mask = _padded(part) if part else (_floats(0), _floats(0))
        arrays += [values.alias(modality), mask.alias(f"{modality}_mask")]
    return wide.select("video_id", *arrays)


def pooled_vectors(features: DataFrame, text_features: DataFrame, layout: Layout) -> DataFrame:
    """One vector of length 1 a video, without a trained model: of each modality the mean over its steps, L2-normalised, zeros
    where it is missing; concatenated as visual | audio | text and normalised again. Videos with nothing but zeros are left out.

    Returns video_id, vector array<float> of length sum of the layout's dimensions.
    """
    parts = layout.parts
    wide = _one_row_a_video(features, text_features, layout)

    def pool(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            vectors = np.concatenate([_pooled(batch[f"{p.modality}_values"], p.dimension) for p in parts], axis=1)  # (n, all dimensions)
            norms = np.linalg.norm(vectors, axis=1, keepdims=True)
            kept = norms[:, 0] > 0
            unit = (vectors[kept] / norms[kept]).astype(np.float32)
            yield pa.RecordBatch.from_arrays([batch["video_id"].filter(pa.array(kept)), as_lists(unit)], ["video_id", "vector"])

    if not parts:
        return wide.select("video_id", _floats(0).alias("vector"))
    return wide.mapInArrow(pool, "video_id string, vector array<float>")


def as_matrix(lists: pa.Array, width: int) -> np.ndarray:
    """Arrow lists of `width` numbers each, none null -> (n, width) float32. VectorError on other lengths."""
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    others = lengths[lengths != width]
    if len(others):
        raise VectorError(f"{len(others)} of {len(lists)} lists do not hold {width} values; the first of them holds {others[0]}")
    return lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(len(lists), width)


def as_lists(matrix: np.ndarray) -> pa.ListArray:
    """(n, width) -> n Arrow lists."""
    ends = np.arange(len(matrix) + 1, dtype=np.int32) * np.int32(matrix.shape[1])
    return pa.ListArray.from_arrays(ends, pa.array(matrix.ravel()))


def to_numpy(frame: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Collects vectors to this machine: (ids, matrix), ids (n,) str sorted, matrix (n, d) float32 in the same order.

    An empty frame gives shapes (0,) and (0, 0). VectorError names the first video whose vector is null, not finite or of
    another length than the others. Callers bound the number of rows.
    """
    table = frame.select("video_id", F.col("vector").cast("array<float>").alias("vector")).toArrow().sort_by("video_id").combine_chunks()
    ids = np.array(table["video_id"].to_pylist(), dtype=str)
    if not len(ids):
        return ids, np.zeros((0, 0), np.float32)
    lengths = np.array([-1 if n is None else n for n in table["vector"].combine_chunks().value_lengths().to_pylist()])
    dimension = int(np.bincount(lengths[lengths >= 0]).argmax()) if (lengths >= 0).any() else 0
    _refuse(ids, lengths != dimension, f"has no vector of {dimension} values like the others in vector")
    matrix = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(ids), dimension)
    _refuse(ids, ~np.isfinite(matrix).all(axis=1), "has values in vector that are null or not finite")
    return ids, matrix


def _one_row_a_video(features: DataFrame, text_features: DataFrame, layout: Layout) -> DataFrame:
    """video_id and, for each part, <modality>_steps and <modality>_values; null where the video lacks it."""
    text = [part for part in layout.parts if part.modality == "text"]
    others = [part for part in layout.parts if part.modality != "text"]
    # joined after they are grouped, so that neither's rows, which are wide, travel once more than the grouping asks
    frames = [_parts_of(rows, parts) for rows, parts in ((features, others), (text_features, text)) if parts]
    if not frames:
        return features.select("video_id").limit(0)
    wide = reduce(lambda one, other: one.join(other, on="video_id", how="full_outer"), frames)
    return wide.withColumn("video_id", F.coalesce("video_id", F.lit("")))  # never null, which an outer join forgets


def _parts_of(rows: DataFrame, parts: Sequence[Part]) -> DataFrame:
    """As `_one_row_a_video`, of some parts and the rows of their own table."""
    fits = [_fits(part) for part in parts]
    # one row a video and encoder is what the table's key promises; max makes a broken promise at least deterministic
    picked = [F.max(F.when(fit, F.struct("steps", "values"))).alias(p.modality) for p, fit in zip(parts, fits, strict=True)]
    grouped = rows.where(reduce(Column.__or__, fits)).groupBy("video_id").agg(*picked)
    flat = [F.col(f"{p.modality}.{name}").alias(f"{p.modality}_{name}") for p in parts for name in ("steps", "values")]
    return grouped.select("video_id", *flat)


def _fits(part: Part) -> Column:
    of_part = (F.col("modality") == part.modality) & (F.col("encoder_id") == part.encoder_id) & (F.col("dimension") == part.dimension)
    return of_part & (F.col("steps") > 0)


def _padded(part: Part) -> tuple[Column, Column]:
    """The flat values (part.steps x dimension) and the mask (part.steps)."""
    steps, values = F.col(f"{part.modality}_steps"), F.col(f"{part.modality}_values")
    kept = F.when(steps.isNull(), 0).otherwise(F.least(steps, F.lit(part.steps)))
    # step i of those kept is step floor(i * steps / kept) of the video: all of them when they fit
    chosen = F.flatten(
        F.transform(
            F.sequence(F.lit(0), kept - 1),
            lambda i: F.slice(values, (F.floor(i * steps / kept) * part.dimension).cast("int") + 1, part.dimension),
        )
    )
    fitting = F.when(steps <= part.steps, values).otherwise(chosen)
    filled = F.slice(F.concat(F.coalesce(fitting, _floats(0)), _floats(part.steps * part.dimension)), 1, part.steps * part.dimension)
    ones = F.array_repeat(F.lit(1.0).cast("float"), kept)
    return filled, F.slice(F.concat(ones, _floats(part.steps)), 1, part.steps)


def _floats(count: int) -> Column:
    return F.array_repeat(F.lit(0.0).cast("float"), count)


def _pooled(values: pa.ListArray, dimension: int) -> np.ndarray:
    """(n, dimension): mean over each video's steps, L2-normalised; zeros where values is null."""
    pooled = np.zeros((len(values), dimension), np.float64)
    flat = values.flatten().to_numpy(zero_copy_only=False)
    lengths = values.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    begins = np.cumsum(lengths) - lengths
    for length in np.unique(lengths[lengths > 0]).tolist():  # few: a number of steps each
        alike = np.flatnonzero(lengths == length)
        stacked = flat[begins[alike][:, None] + np.arange(length)].astype(np.float64)  # (rows, steps x dimension)
        pooled[alike] = stacked.reshape(len(alike), -1, dimension).mean(axis=1)
    norms = np.linalg.norm(pooled, axis=1, keepdims=True)
    return np.divide(pooled, norms, out=np.zeros_like(pooled), where=norms > 0)


def _refuse(ids: np.ndarray, bad: np.ndarray, what: str) -> None:
    if bad.any():
        raise VectorError(f"video {ids[bad.argmax()]} {what} ({int(bad.sum())} of {len(ids)} such rows)")
