"""Look into the day's videos: probe, chosen frames, frame and sound vectors, text in frames.

Reads   bronze.video_arrivals (the day)
Writes  silver.videos, silver.frames, silver.features, silver.ocr, one day each, replaced whole
Rerun   safe: the same bytes give the same rows; a file that has gone meanwhile is refused
Launch  reelhouse job extract --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.scratch import cache_folder
from reelhouse.sections import VideoSettings
from reelhouse.video import extract_videos, features_of, frames_of, ocr_of, refused_of, videos_of

if TYPE_CHECKING:
    from reelhouse.run import Run


def newest(arrivals: DataFrame) -> DataFrame:
    """One row per video_id: of several batches of a day, one with a file wins, then the last by name (no clock decides)."""
    order = Window.partitionBy("video_id").orderBy(F.col("uri").isNull(), F.col("batch").desc())
    return arrivals.withColumn("place", F.row_number().over(order)).where("place = 1").drop("place")


def build(arrivals: DataFrame, settings: VideoSettings) -> DataFrame:
    return extract_videos(newest(arrivals), settings, cache_folder() / "encoders")


def main(run: Run) -> None:
    wide = run.keep(build(run.day(tables.VIDEO_ARRIVALS), run.settings.video))
    run.progress("looking into the day's videos")
    damaged = wide.where("rule is null and damage is not null").count()
    run.refuse(tables.VIDEOS, refused_of(wide))
    run.publish(tables.VIDEOS, videos_of(wide))
    run.publish(tables.FRAMES, frames_of(wide))
    run.publish(tables.FEATURES, features_of(wide))
    run.publish(tables.OCR, ocr_of(wide))
    run.metric("damaged_videos", damaged)
    if damaged:
        run.note(f"{damaged} videos are damaged and were used as far as they can be read")
