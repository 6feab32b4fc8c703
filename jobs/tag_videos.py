"""Find the library's active tags in the day's videos, and tags that became active today in all earlier ones.

Reads   silver.video_text (the day; as of the day for new tags), gold.tag_library (the day and the day before)
Writes  gold.video_tags, one day, replaced whole
Rerun   safe: the same inputs give the same rows
Launch  reelhouse job tag_videos --date 2026-01-02
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.run import Run
from reelhouse.tags.frames import with_tags


def active(library: DataFrame) -> dict[str, str]:
    """Normal form -> tag_id of the active tags."""
    return {row["tag"]: row["tag_id"] for row in library.where(F.col("state") == "active").select("tag", "tag_id").collect()}


def build(day: DataFrame, current: DataFrame, now: dict[str, str], before: dict[str, str]) -> DataFrame:
    """day: the day's texts, matched with all active tags; current: texts as of the day, of which those of other videos are
    matched with the tags that are active now and were not before."""
    new = {tag: tag_id for tag, tag_id in now.items() if tag not in before}
    tagged = day.transform(with_tags(now))
    if not new:
        return tagged
    older = current.join(day.select("video_id"), on="video_id", how="left_anti")
    return tagged.unionByName(older.transform(with_tags(new)))


def main(run: Run) -> None:
    now, before = active(run.day(tables.TAG_LIBRARY)), active(run.previous(tables.TAG_LIBRARY))
    run.publish(tables.VIDEO_TAGS, build(run.day(tables.VIDEO_TEXT), run.current(tables.VIDEO_TEXT), now, before))
    run.metric("active_tags", len(now))
