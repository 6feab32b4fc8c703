"""Which videos a report shows, section by section, with their titles and pictures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.report.content import Card, Sheet
from reelhouse.report.pictures import small_jpeg

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.lake import Lake
    from reelhouse.sections import ReportSettings

TITLES = {
    "arrived": "Arrived",
    "sampled": "To be labelled",
    "suspected": "Suspected labels",
    "confident": "Predicted, sure",
    "uncertain": "Predicted, unsure",
}
TEXT_CHARACTERS = 160
CLASSES_SHOWN = 8


@dataclass(frozen=True)
class _Pick:
    video_id: str
    facts: tuple[tuple[str, str], ...]


def sheets_of(lake: Lake, settings: ReportSettings, date: dt.date, model: str | None) -> dict[str, Sheet]:
    """Contact sheets by section. Of each at most pictures_max videos are collected, and their pictures read once."""
    most = settings.pictures_max
    found = {
        "arrived": _arrived(lake, date, most),
        "sampled": _sampled(lake, date, most),
        "suspected": _suspected(lake, date, most),
        "confident": _predicted(lake, date, model, most, sure=True),
        "uncertain": _predicted(lake, date, model, most, sure=False),
    }
    shown = sorted({pick.video_id for picks, _ in found.values() for pick in picks})
    about, pictures = _about(lake, date, shown), _pictures(lake, settings, date, shown)
    where: dict[str, list[str]] = {}
    for section, (picks, _) in found.items():
        for pick in picks:
            where.setdefault(pick.video_id, []).append(section)
    sheets = {}
    for section, (picks, total) in found.items():
        cards = []
        for pick in picks:
            title, text = about.get(pick.video_id, ("", ""))
            card = Card(pick.video_id, section, title or text, text, pictures.get(pick.video_id, b""), pick.facts)
            others = tuple((TITLES[other], other) for other in where[pick.video_id] if other != section)
            cards.append(replace(card, elsewhere=others))
        sheets[section] = Sheet(section, TITLES[section], tuple(cards), total)
    return sheets


def _arrived(lake: Lake, date: dt.date, most: int) -> tuple[list[_Pick], int]:
    """Some of the day's videos: those of the smallest hash of video_id, so that no kind is preferred."""
    from pyspark.sql import functions as F

    videos = lake.read(tables.VIDEOS, _day(date))
    rows = videos.orderBy(F.xxhash64("video_id"), "video_id").limit(most).collect()

    def facts(r: Any) -> Iterable[tuple[str, str]]:
        if r.duration_seconds is not None:
            yield "length", f"{r.duration_seconds:,.1f} s"
        if r.width and r.height:
            yield "size", f"{r.width} x {r.height}"
        if r.status != "ok":
            yield "kind", r.status.replace("_", " ")

    return [_Pick(r.video_id, tuple(facts(r))) for r in rows], videos.count()


def _sampled(lake: Lake, date: dt.date, most: int) -> tuple[list[_Pick], int]:
    """Both batches of the day in the order of their ranks, with the density cluster of the day."""
    from pyspark.sql import functions as F

    density = lake.read(tables.SAMPLE_BATCH, _day(date)).withColumn("by", F.lit("density"))
    active = lake.read(tables.ACTIVE_BATCH, _day(date)).withColumn("by", F.lit("active learning"))
    both = density.unionByName(active.select(density.columns))
    members = lake.read(tables.CLUSTERS, _day(date)).select("video_id", "cluster_id", "is_noise")
    sizes = members.groupBy("cluster_id").agg(F.count(F.lit(1)).alias("size"))
    names = lake.read(tables.CLUSTER_DAYS, _day(date)).select("cluster_id", F.col("name").alias("called"))
    clusters = members.join(sizes, on="cluster_id", how="left").join(names, on="cluster_id", how="left")
    rows = both.orderBy("rank", "by", "video_id", "task").limit(most).join(clusters, on="video_id", how="left").collect()
    rows.sort(key=lambda r: (r.rank, r.by, r.video_id, r.task))

    def facts(r: Any) -> Iterable[tuple[str, str]]:
        yield "rank", f"{r.rank} by {r.by}"
        yield "why", r.reason
        if r.is_noise is not None:
            yield (
                "cluster",
                "none: nothing much like it" if r.is_noise else f"{r.size:,} videos alike" + (f": {r.called}" if r.called else ""),
            )

    return [_Pick(r.video_id, tuple(facts(r))) for r in rows], both.count()


def _suspected(lake: Lake, date: dt.date, most: int) -> tuple[list[_Pick], int]:
    """Labels that O2U held wrong on the day, most suspect first."""
    from pyspark.sql import functions as F

    wrong = lake.read(tables.LABEL_NOISE, _day(date)).where("verdict = 'wrong'")
    tree = lake.current(tables.TAXONOMY, _upto(date)).select("task", "label_id", "path")
    first = wrong.orderBy(F.desc("score"), "video_id", "task", "label_id").limit(most)
    named = first.join(tree, on=["task", "label_id"], how="left").withColumnRenamed("path", "given")
    suggestions = tree.withColumnsRenamed({"label_id": "suggested_label_id", "path": "suggested"})
    rows = named.join(suggestions, on=["task", "suggested_label_id"], how="left").collect()
    rows.sort(key=lambda r: (-(r.score or 0.0), r.video_id, r.task, r.label_id))

    def facts(r: Any) -> Iterable[tuple[str, str]]:
        yield "given", r.given or r.label_id
        if r.suggested_label_id:
            yield "suggested", f"{r.suggested or r.suggested_label_id} ({r.suggestion_confidence or 0:.0%})"
        yield "score", f"{r.score or 0:.2f}"
        yield "why", r.reason or ""

    return [_Pick(r.video_id, tuple(facts(r))) for r in rows], wrong.count()


def _predicted(lake: Lake, date: dt.date, model: str | None, most: int, *, sure: bool) -> tuple[list[_Pick], int]:
    """Of what the served model predicted on the day, by class: the surest of each of the largest classes, class by class; or the
    least sure of all (largest entropy)."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if model is None:
        return [], 0
    said = lake.read(tables.PREDICTIONS, _day(date)).where((F.col("model_version") == model) & (F.size("top") > 0))
    best = said.select("video_id", "task", "entropy", "top", F.get("top", F.lit(0)).alias("best"))
    if sure:
        classes = best.groupBy("best.path").count().orderBy(F.desc("count"), "path").limit(CLASSES_SHOWN)
        place = Window.partitionBy("best.path").orderBy(F.desc("best.probability"), "video_id", "task")
        ranked = best.withColumn("place", F.row_number().over(place)).where(F.col("place") <= -(-most // CLASSES_SHOWN))
        ranked = ranked.join(classes, on=F.col("best.path") == classes["path"], how="inner")
        rows = ranked.orderBy(F.desc("count"), "best.path", "place").limit(most).collect()
    else:
        rows = best.orderBy(F.desc("entropy"), "video_id", "task").limit(most).collect()

    def facts(r: Any) -> Iterable[tuple[str, str]]:
        for number, one in enumerate(r.top[: 1 if sure else 3]):
            yield ("said" if number == 0 else "or"), f"{one.path} ({one.probability:.0%})"

    return [_Pick(r.video_id, tuple(facts(r))) for r in rows], said.count()


def _about(lake: Lake, date: dt.date, video_ids: list[str]) -> dict[str, tuple[str, str]]:
    """Title and text as delivered, each cut."""
    if not video_ids:
        return {}
    rows = _of(lake.current(tables.VIDEO_ARRIVALS, _upto(date)), video_ids).select("video_id", "title", "caption", "asr_text").collect()
    return {r.video_id: (_cut(r.title or ""), _cut(r.caption or r.title or r.asr_text or "")) for r in rows}


def _pictures(lake: Lake, settings: ReportSettings, date: dt.date, video_ids: list[str]) -> dict[str, bytes]:
    """The first chosen frame of each video."""
    from pyspark.sql import functions as F

    if not video_ids:
        return {}
    frames = _of(lake.current(tables.FRAMES, _upto(date)), video_ids)
    first = frames.groupBy("video_id").agg(F.min_by("jpeg", "frame_index").alias("jpeg"))
    return {r.video_id: small_jpeg(bytes(r.jpeg), settings.picture_pixels) for r in first.toLocalIterator()}


def _of(rows: DataFrame, video_ids: list[str]) -> DataFrame:
    from pyspark.sql import functions as F

    return rows.where(F.col("video_id").isin(video_ids))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_CHARACTERS else line[: TEXT_CHARACTERS - 1] + "…"


def _day(date: dt.date) -> str:
    return f"data_date = date'{date}'"


def _upto(date: dt.date) -> str:
    return f"data_date <= date'{date}'"
