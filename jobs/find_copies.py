"""Find videos that are near-copies of earlier ones, so that a group of copies is labelled, trained and evaluated as one.

Reads   silver.videos, silver.frames (the day), silver.features (as of the day), silver.videos (before the day), silver.copies (as of the
        day before)
Writes  silver.copies, one day, replaced whole: the day's videos, and earlier ones whose group changed or whose match is gone
Rerun   safe: the same inputs give the same rows
Launch  reelhouse job find_copies --date 2026-01-02
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.copies import copy_groups
from reelhouse.copies.frames import informative_hashes
from reelhouse.features import Layout, layout_of, pooled_vectors, to_numpy
from reelhouse.sampling.candidates import keep_at_most

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.run import Run
    from reelhouse.sections import CopySettings


def build(
    videos: DataFrame,
    frames: DataFrame,
    features: DataFrame,
    known_videos: DataFrame,
    known_copies: DataFrame,
    *,
    date: dt.date,
    settings: CopySettings,
    note: Callable[[str], None] = print,
    keep: Callable[[DataFrame], DataFrame] = lambda rows: rows,
) -> DataFrame:
    """Rows of silver.copies for `date`, without data_date.

    videos, frames: of the day. features: newest rows as of the day. known_videos: all rows before the day; known_copies: the newest.
    A group is called by its member that arrived first, of whichever delivery, so that it keeps its name, and with it its split in
    training, when that video comes again. Only where that video was taken down, or came again and is no copy any more, the group
    goes on under its next member: another name, as a name shows an id.
    A video that came again today is judged anew, and its earlier membership doesn't count. Videos without frames to compare never
    leave Spark: each is a group of its own. Of more than settings.rows_max others only the latest earlier ones are compared, besides
    those of the day; of a day with more than that, those of least hash of video_id, and the rest is taken for no copies. `note` is told.
    keep: holds what is used more than once (Run.keep); by default it is computed again.
    """
    arrived = known_videos.groupBy("video_id").agg(F.min("data_date").alias("arrived"))
    today = videos.select("video_id").distinct().join(informative_hashes(frames), on="video_id", how="left")
    today = keep(today.join(arrived, on="video_id", how="left"))
    known = known_copies.join(videos.select("video_id"), on="video_id", how="left_anti").select(*_STATE, "frame_hashes")
    known = known.where(_HAS_FRAMES).join(arrived, on="video_id", how="inner")
    compared, left_out = keep_at_most(today.where(_HAS_FRAMES), settings.rows_max)
    if left_out:
        note(f"{left_out:,} videos of the day were not compared: copies.rows_max is {settings.rows_max:,}")
    of_day = compared.toPandas()
    earlier = _latest(known, of_day, known_copies.join(videos, on="video_id", how="left_semi"), settings.rows_max, note)
    collected = in_order_of_arrival(earlier, of_day, date)
    rows = regroup(collected, _fetch_vectors(features, collected["video_id"].to_numpy(str)), settings)
    alone = today.join(compared.select("video_id"), on="video_id", how="left_anti")
    return _to_rows(videos, rows).unionByName(_alone(alone))


def main(run: Run) -> None:
    rows = build(
        run.day(tables.VIDEOS),
        run.day(tables.FRAMES),
        run.current(tables.FEATURES),
        run.before(tables.VIDEOS),
        run.previous(tables.COPIES),
        date=run.date,
        settings=run.settings.copies,
        note=run.note,
        keep=run.keep,
    )
    run.publish(tables.COPIES, rows)


_HAS_FRAMES = "size(coalesce(frame_hashes, array())) > 0"
_STATE = ["video_id", "copy_group", "matched_video_id", "hash_distance", "vector_similarity"]


def _latest(known: DataFrame, today: pd.DataFrame, again: DataFrame, rows_max: int, note: Callable[[str], None]) -> pd.DataFrame:
    """The latest of the earlier videos that are compared, and those whose group may change with theirs; all where they fit.

    again: earlier rows of videos that came again today.
    """
    room = max(rows_max - len(today), 0)
    order = known.orderBy(F.desc("arrived"), F.desc("video_id"))
    latest = order.limit(room + 1).toPandas()
    if len(latest) <= room:
        return latest
    note(f"{known.count() - room:,} earlier videos were not compared: copies.rows_max is {rows_max:,}")
    present = known.select(F.col("video_id").alias("there")).union(again.select("video_id"))
    without_match = known.join(present, on=F.col("matched_video_id") == F.col("there"), how="left_anti").where(
        "matched_video_id IS NOT NULL"
    )
    without_first = known.join(present, on=F.col("copy_group") == F.col("there"), how="left_anti")
    touched = order.limit(room), without_match, without_first, again
    groups = reduce(lambda a, b: a.union(b), (rows.select("copy_group") for rows in touched)).distinct()
    return known.join(groups, on="copy_group", how="left_semi").select(*known.columns).toPandas()


def in_order_of_arrival(known: pd.DataFrame, today: pd.DataFrame, date: dt.date) -> pd.DataFrame:
    """Earlier and today's videos, in order of their first arrival, ties by video_id; today's have no group yet.

    known: _STATE, frame_hashes, arrived. today: video_id, frame_hashes (None for a video without frames), arrived (None: today).
    """
    old, new = known.assign(is_new=False), today.assign(is_new=True).reindex(columns=[*known.columns, "is_new"])
    new["arrived"] = new["arrived"].where(new["arrived"].notna(), date)
    frame = pd.concat([old.astype(object), new.astype(object)], ignore_index=True)
    frame["frame_hashes"] = pd.Series([np.asarray([] if h is None else h, np.int64) for h in frame["frame_hashes"]], dtype=object)
    frame = frame.astype({"is_new": bool, "hash_distance": float, "vector_similarity": float})
    return frame.sort_values(["arrived", "video_id"], kind="stable", ignore_index=True)


def regroup(collected: pd.DataFrame, fetch: Callable[[np.ndarray], np.ndarray], settings: CopySettings) -> pd.DataFrame:
    """Of `in_order_of_arrival` the rows to write: today's, and earlier ones whose group changed or whose match is gone.
    fetch: row numbers -> vectors."""
    ids, is_new = collected["video_id"].to_numpy(object), collected["is_new"].to_numpy(bool)
    result = copy_groups(
        _compared(collected, settings.rows_max),
        fetch,
        is_new=is_new,
        known_groups=pd.factorize(collected["copy_group"])[0],
        hash_distance_max=settings.hash_distance_max,
        similarity_min=settings.similarity_min,
    )
    rows = collected.assign(found_group=ids[result.groups])
    found = result.matched >= 0
    rows.loc[found, "matched_video_id"] = ids[result.matched[found]]
    rows.loc[found, "hash_distance"] = result.distances[found]
    rows.loc[found, "vector_similarity"] = result.similarities[found]
    lost = _lost_matches(rows)
    rows.loc[lost, "matched_video_id"] = None
    rows.loc[lost, ["hash_distance", "vector_similarity"]] = np.nan
    changed = rows[is_new | lost | (rows["found_group"] != rows["copy_group"])]
    return changed.assign(copy_group=changed["found_group"]).sort_values("video_id", ignore_index=True)


def _compared(frame: pd.DataFrame, limit: int) -> list[np.ndarray]:
    """Each video's hashes, for all of today's videos and as many of the latest earlier ones as fit; none for the others."""
    hashes = frame["frame_hashes"].tolist()
    earlier = np.flatnonzero(~frame["is_new"].to_numpy(bool))
    room = max(limit - (len(frame) - len(earlier)), 0)
    for i in earlier[: max(len(earlier) - room, 0)]:
        hashes[i] = np.zeros(0, np.int64)
    return hashes


def _fetch_vectors(features: DataFrame, ids: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function from row numbers to mean frame vectors (zeros where a video has none by the newest encoder)."""

    def fetch(rows: np.ndarray) -> np.ndarray:
        visual = features.where(F.col("modality") == "visual")
        layout = layout_of(visual, visual.limit(0)) if len(rows) else Layout()
        if not layout.parts:
            return np.zeros((len(rows), 1), np.float32)
        wanted = features.sparkSession.createDataFrame(pd.DataFrame({"video_id": ids[rows]}), "video_id string")
        found, vectors = to_numpy(pooled_vectors(visual.join(wanted, on="video_id", how="left_semi"), visual.limit(0), layout))
        matrix = np.zeros((len(rows), layout.parts[0].dimension), np.float32)
        if len(found):
            row_of = {video: row for row, video in enumerate(ids[rows])}
            matrix[[row_of[video] for video in found]] = vectors
        return matrix

    return fetch


def _lost_matches(rows: pd.DataFrame) -> pd.Series:
    """Matches with a video that is gone (taken down) or no copy any more, and those of a group's first."""
    group_of = pd.Series(rows["found_group"].to_numpy(), index=rows["video_id"].to_numpy())
    first = rows["found_group"] == rows["video_id"]
    return rows["matched_video_id"].notna() & (first | (rows["matched_video_id"].map(group_of) != rows["found_group"]))


def _to_rows(videos: DataFrame, rows: pd.DataFrame) -> DataFrame:
    records = [
        (r.video_id, r.copy_group, _none(r.matched_video_id), _none(r.hash_distance), _none(r.vector_similarity), r.frame_hashes.tolist())
        for r in rows.itertuples()
    ]
    return videos.sparkSession.createDataFrame(records, tables.COPIES.spark_schema("data_date"))


def _alone(videos: DataFrame) -> DataFrame:
    """Rows of videos that were not compared: groups of their own."""
    nothing = F.lit(None)
    return videos.select(
        "video_id", F.col("video_id").alias("copy_group"), nothing.cast("string").alias("matched_video_id"),
        nothing.cast("double").alias("hash_distance"), nothing.cast("double").alias("vector_similarity"),
        F.coalesce("frame_hashes", F.array().cast("array<bigint>")).alias("frame_hashes"),
    )  # fmt: skip


def _none(value: object) -> object:
    return None if pd.isna(value) else value
