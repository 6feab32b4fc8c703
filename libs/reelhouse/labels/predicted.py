"""What a model said, by the labels of the tree as it is: of a renamed or merged one what it became, of one that ended nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from reelhouse.labels.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

Names = Mapping[str, tuple[str, str]]  # id of a label, also a former one -> id and path that it has now

_FOLLOWED = "video_id string, task string, top array<struct<label_id:string,path:string,probability:double>>"


def names_of(tree: Taxonomy) -> Names:
    """Every id that the tree knows, and what stands for it."""
    ids = [*tree.ids, *tree.moves]
    return {label_id: (now, tree.path(now)) for label_id in ids if (now := tree.follow(label_id)) is not None}


def follow_top(top: Iterable[tuple[str, float]], names: Names) -> list[tuple[str, str, float]]:
    """(label id, path, probability) of the best labels as they are now, best first, from (label id, probability) as they were predicted.

    Of several that became one it is the sum, since a model's classes exclude each other. Labels without a successor are left out.
    """
    found: dict[tuple[str, str], float] = {}
    for label_id, probability in top:
        if label_id in names:
            found[names[label_id]] = found.get(names[label_id], 0.0) + probability
    return sorted(((label_id, path, p) for (label_id, path), p in found.items()), key=lambda one: -one[2])


def followed(predictions: DataFrame, taxonomy: DataFrame) -> DataFrame:
    """video_id, task, top of predictions, with `follow_top` done to top; null and empty ones stay.

    predictions: video_id, task, top (best first). taxonomy: silver.taxonomy, newest rows: as many as the label trees have are collected.
    """
    names: dict[str, dict[str, tuple[str, str]]] = {}
    for row in taxonomy.select("task", "label_id", "path", "former_ids").collect():
        of_task = names.setdefault(row["task"], {})
        of_task |= dict.fromkeys((row["label_id"], *(row["former_ids"] or ())), (row["label_id"], row["path"]))

    def follow(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _followed_batch(batch, names)

    return predictions.select("video_id", "task", "top").mapInArrow(follow, _FOLLOWED)


def _followed_batch(batch: pa.RecordBatch, names: Mapping[str, Names]) -> pa.RecordBatch:
    import pyarrow as pa

    parts = [("label_id", pa.string()), ("path", pa.string()), ("probability", pa.float64())]
    tops = []
    for task, top in zip(batch["task"].to_pylist(), batch["top"].to_pylist(), strict=True):
        said = None if top is None else follow_top(((one["label_id"], one["probability"]) for one in top), names.get(task, {}))
        tops.append(None if said is None else [dict(zip(("label_id", "path", "probability"), one, strict=True)) for one in said])
    columns = [batch["video_id"], batch["task"], pa.array(tops, pa.list_(pa.struct(parts)))]
    return pa.RecordBatch.from_arrays(columns, names=["video_id", "task", "top"])
