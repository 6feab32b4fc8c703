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
    What is not compared stays on Spark too, besides the first member of each group that is: the driver holds no more than two rows
    for each of settings.rows_max, however large a group is.
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
    room = max(settings.rows_max - len(of_day), 0)
    latest: pd.DataFrame = known.orderBy(F.desc("arrived"), F.desc("video_id")).limit(room + 1).toPandas()
    all_fit = len(latest) <= room
    if not all_fit:
        known, latest = keep(known), latest[:room]
        note(f"{known.count() - room:,} earlier videos were not compared: copies.rows_max is {settings.rows_max:,}")
        latest = pd.concat([latest, _firsts_beside(latest, _firsts(known))])
    collected = in_order_of_arrival(latest, of_day, date)
    grouped = regroup(collected, _fetch_vectors(features, collected["video_id"].to_numpy(str)), settings)
    alone = _alone(today.join(compared.select("video_id"), on="video_id", how="left_anti"))
    rows = changed(grouped)
    if all_fit:
        return _to_rows(videos, rows).unionByName(alone)
    return _to_rows(videos, rows[rows["is_new"]]).unionByName(changed_on_spark(known, grouped)).unionByName(alone)


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


def _firsts(known: DataFrame) -> DataFrame:
    """copy_group and the member of it that arrived first, ties by video_id: first_arrived, first_id."""
    firsts = known.groupBy("copy_group").agg(F.min(F.struct("arrived", "video_id")).alias("first"))
    return firsts.select("copy_group", F.col("first.arrived").alias("first_arrived"), F.col("first.video_id").alias("first_id"))


def _firsts_beside(latest: pd.DataFrame, firsts: DataFrame) -> pd.DataFrame:
    """The first member of each group in `latest` that is not in it itself: it decides what a group is called, and is not compared."""
    groups = firsts.sparkSession.createDataFrame([(group,) for group in latest["copy_group"].unique()], "copy_group string")
    found: pd.DataFrame = firsts.join(groups, on="copy_group", how="left_semi").toPandas()
    found = found.rename(columns={"first_id": "video_id", "first_arrived": "arrived"})
    found["frame_hashes"] = None
    return found[~found["video_id"].isin(latest["video_id"])].reindex(columns=latest.columns)


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
    """The rows of `in_order_of_arrival` with the group that each is in now, found_group, and its match, if it was found now.
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
    return rows.assign(found_now=found)


def changed(grouped: pd.DataFrame) -> pd.DataFrame:
    """Of `regroup` the rows to write: today's, and earlier ones whose group changed or whose match is gone."""
    rows, lost = grouped.copy(), _lost_matches(grouped)
    rows.loc[lost, "matched_video_id"] = None
    rows.loc[lost, ["hash_distance", "vector_similarity"]] = np.nan
    rows = rows[rows["is_new"] | lost | (rows["found_group"] != rows["copy_group"])]
    return rows.assign(copy_group=rows["found_group"]).sort_values("video_id", ignore_index=True)


def changed_on_spark(known: DataFrame, grouped: pd.DataFrame) -> DataFrame:
    """What `changed` is to earlier videos, for all of `known`, of which `grouped` holds some: a group of those goes over to where they
    went, any other is called by its first member."""
    spark, old, new = known.sparkSession, grouped[~grouped["is_new"]], grouped[grouped["is_new"]]
    went = old[["copy_group", "found_group"]].drop_duplicates()
    went_to = spark.createDataFrame(list(went.itertuples(index=False, name=None)), "copy_group string, went_to string")
    columns = ["video_id", "matched_video_id", "hash_distance", "vector_similarity"]
    matches = list(old.loc[old["found_now"], columns].itertuples(index=False, name=None))
    found = spark.createDataFrame(matches, "video_id string, now_id string, now_distance double, now_similarity double")
    is_now = F.col("now_id").isNotNull()
    rows = (
        known.join(_firsts(known), on="copy_group", how="inner")
        .join(went_to, on="copy_group", how="left")
        .join(found, on="video_id", how="left")
        .select(
            "video_id", "copy_group", "frame_hashes", F.coalesce("went_to", "first_id").alias("found_group"),
            F.coalesce("now_id", "matched_video_id").alias("matched_video_id"),
            F.when(is_now, F.col("now_distance")).otherwise(F.col("hash_distance")).alias("hash_distance"),
            F.when(is_now, F.col("now_similarity")).otherwise(F.col("vector_similarity")).alias("vector_similarity"),
        )
    )  # fmt: skip
    of_today = spark.createDataFrame(
        list(new[["video_id", "found_group"]].itertuples(index=False, name=None)), "there string, its_group string"
    )
    group_of = rows.select(F.col("video_id").alias("there"), F.col("found_group").alias("its_group")).unionByName(of_today)
    rows = rows.join(group_of, on=F.col("matched_video_id") == F.col("there"), how="left")
    is_first, stays = F.col("found_group") == F.col("video_id"), F.col("its_group").eqNullSafe(F.col("found_group"))
    lost = F.col("matched_video_id").isNotNull() & (is_first | ~stays)
    kept = [F.when(~lost, F.col(name)).alias(name) for name in columns[1:]]
    rows = rows.where(lost | (F.col("found_group") != F.col("copy_group")))
    return rows.select("video_id", F.col("found_group").alias("copy_group"), *kept, "frame_hashes")


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
