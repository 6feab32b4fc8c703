"""What a day's report says, read from the lake as of that day. Every query is bounded by settings.report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.report.content import Bar, Cluster, Collection, Decision, Refusal, Report, Slice, Step, Tag
from reelhouse.report.videos import sheets_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from reelhouse.lake import Lake
    from reelhouse.sections import ReportSettings

_SECONDS = (5, 15, 30, 60, 180)  # edges of the plot of durations
_TENTHS = 10
_CHANGES_OF_CLUSTERS = (("born", "split"), ("grown", "merged"), ("dying",))


def read_report(lake: Lake, settings: ReportSettings, date: dt.date, jobs: Sequence[str]) -> Report:
    """The day as it stood when it had been run: later days are not looked at. jobs: names of the pipeline's, in order.

    NotFoundError if nothing was run for the date.
    """
    day, upto = f"data_date = date'{date}'", f"data_date <= date'{date}'"
    runs = _runs(lake, day)
    if not runs:
        raise NotFoundError(f"nothing was run for {date} in {lake.root}, so there is nothing to report; `reelhouse daily --date {date}`")
    refusals, refused = _refusals(lake, day, settings.rows_max)
    new_tags, rising, active = _tags(lake, date, settings.rows_max)
    clusters = lake.read(tables.CLUSTER_DAYS, day)
    there = clusters.selectExpr("sum(size) AS videos", "count_if(size > 0) AS clusters").collect()[0]
    served = lake.read(tables.SERVING, upto).orderBy("data_date", ascending=False).head()
    model = served.model_version if served else None
    classes, confidence = _predicted(lake, day, model, settings.rows_max)
    champion, slices = _slices(lake, date)
    arrived = lake.read(tables.VIDEO_ARRIVALS, day).select("video_id").distinct().count()
    return Report(
        date=date,
        steps=_steps(runs, jobs),
        refusals=refusals,
        refused_rows=refused,
        failed_checks=_failed_checks(runs)[: settings.rows_max],
        arrived=arrived,
        arrivals_by_day=_arrivals(lake, date, settings.days),
        arrived_kinds=_kinds(lake, day) if arrived else [],
        durations=_durations(lake, day) if arrived else [],
        copies=lake.read(tables.COPIES, day).where("matched_video_id is not null").count(),
        labelled=lake.read(tables.LABELS, day).where("answer = 1").select("video_id").distinct().count(),
        answers=lake.read(tables.LABEL_EVENTS, day).count(),
        sheets=sheets_of(lake, settings, date, model),
        classes=classes,
        confidence=confidence,
        new_tags=new_tags,
        rising_tags=rising,
        active_tags=active,
        clusters=there.clusters,
        clustered=there.videos or 0,
        changed_clusters=[one for changes in _CHANGES_OF_CLUSTERS for one in _clusters(clusters, changes, settings.rows_max)],
        slices=slices,
        champion=champion,
        decisions=[
            Decision(r.model_version, r.decision, r.decided_by, r.previous_version or "", r.reason)
            for r in lake.read(tables.PROMOTIONS, day).orderBy("decided_by", "model_version").collect()
        ],
        collections=[
            Collection(r.collection, r.loaded, r.deleted, r.total)
            for r in lake.read(tables.VECTOR_LOADS, day).orderBy("collection").limit(settings.rows_max).collect()
        ],
        served=(served.model_version, served.videos, served.data_date) if served else None,
    )


def _runs(lake: Lake, day: str) -> list[Row]:
    from pyspark.sql import functions as F

    columns = ["job", "status", "seconds", "rows_in", "rows_out", "quarantined", "note", "started_at", "run_id"]
    found = F.filter("checks", lambda check: ~check.passed).alias("checks")
    return lake.read(tables.RUNS, day).select(*columns, found).orderBy("started_at", "run_id").collect()


def _steps(runs: list[Row], jobs: Sequence[str]) -> list[Step]:
    last, tries = {r.job: r for r in runs}, [r.job for r in runs]
    known = [*jobs, *sorted(last.keys() - set(jobs))]
    empty = dict.fromkeys(("seconds", "rows_in", "rows_out", "quarantined"), 0)

    def of(job: str) -> Step:
        r: dict[str, Any] = last[job].asDict() if job in last else {"status": "not run", "note": None} | empty
        note = r["note"] or ""
        return Step(job, r["status"], r["seconds"] or 0.0, r["rows_in"], r["rows_out"], r["quarantined"], note, tries.count(job))

    return [of(job) for job in known]


def _failed_checks(runs: list[Row]) -> list[tuple[str, str, int]]:
    last = {r.job: r for r in runs}
    return [(c.table, c.details, c.failed_rows) for r in last.values() for c in r.checks]


def _refusals(lake: Lake, day: str, most: int) -> tuple[list[Refusal], int]:
    from pyspark.sql import functions as F

    refused = lake.read(tables.QUARANTINE, day)
    rules = refused.groupBy("job", "table", "rule").agg(F.count(F.lit(1)).alias("rows"), F.min("reason").alias("example"))
    first = rules.orderBy(F.desc("rows"), "job", "table", "rule").limit(most).collect()
    return [Refusal(r.job, r.table, r.rule, r.rows, r.example) for r in first], refused.count()


def _arrivals(lake: Lake, date: dt.date, days: int) -> list[Bar]:
    from pyspark.sql import functions as F

    first = date - dt.timedelta(days=days - 1)
    rows = lake.read(tables.VIDEO_ARRIVALS, f"data_date between date'{first}' and date'{date}'")
    counts = {r.data_date: r.videos for r in rows.groupBy("data_date").agg(F.countDistinct("video_id").alias("videos")).collect()}
    shown = [first + dt.timedelta(days=n) for n in range(days)]
    begun = next((n for n, day in enumerate(shown) if day in counts), days - 1)  # days before the first are not the lake's
    return [Bar(f"{day:%m-%d}", counts.get(day, 0), f"{counts.get(day, 0):,}") for day in shown[begun:]]


def _kinds(lake: Lake, day: str) -> list[Bar]:
    """What the day's videos are: with picture, sound only, text only; and how many have a text that says something."""
    names = {"ok": "with picture", "audio_only": "sound only", "text_only": "text only"}
    counts = {r.status: r["count"] for r in lake.read(tables.VIDEOS, day).groupBy("status").count().collect()}
    texts = lake.read(tables.VIDEO_TEXT, day)
    meaning = texts.where("is_meaningful").count()
    bars = [Bar(name, counts.get(status, 0), f"{counts.get(status, 0):,}") for status, name in names.items()]
    return [*bars, Bar("with a meaningful text", meaning, f"{meaning:,}")]


def _durations(lake: Lake, day: str) -> list[Bar]:
    from pyspark.sql import functions as F

    bucket = F.lit(0)
    for edge in _SECONDS:
        bucket = bucket + F.when(F.col("duration_seconds") >= edge, 1).otherwise(0)
    rows = lake.read(tables.VIDEOS, day).where("duration_seconds is not null").groupBy(bucket.alias("bucket")).count().collect()
    counts = {r.bucket: r["count"] for r in rows}
    edges = [0, *_SECONDS]
    names = [f"{a}-{b} s" for a, b in pairwise(edges)] + [f"{edges[-1]} s +"]
    return [Bar(name, counts.get(n, 0), f"{counts.get(n, 0):,}") for n, name in enumerate(names)] if counts else []


def _predicted(lake: Lake, day: str, model: str | None, most: int) -> tuple[list[Bar], list[Bar]]:
    """Videos by best class, and by how probable that class is."""
    from pyspark.sql import functions as F

    if model is None:
        return [], []
    best = lake.read(tables.PREDICTIONS, day).where(F.col("model_version") == model).select(F.get("top", F.lit(0)).alias("best"))
    best = best.where("best is not null")
    by_class = best.groupBy("best.path").count().orderBy(F.desc("count"), "path").limit(most).collect()
    tenth = F.least(F.floor(F.col("best.probability") * _TENTHS), F.lit(_TENTHS - 1)).cast("int")
    tenths = {r.tenth: r["count"] for r in best.groupBy(tenth.alias("tenth")).count().collect()}
    confidence = [Bar(f"{n * 10}-{n * 10 + 10}", tenths.get(n, 0), f"{tenths.get(n, 0):,}") for n in range(_TENTHS)]
    return [Bar(r.path, r["count"], f"{r['count']:,}") for r in by_class], confidence if tenths else []


def _tags(lake: Lake, date: dt.date, most: int) -> tuple[list[Tag], list[Tag], int]:
    """Tags that became active on the day, tags with more videos than the week before, and how many are active."""
    from pyspark.sql import functions as F

    upto = f"data_date <= date'{date}'"
    library = lake.current(tables.TAG_LIBRARY, upto).where("state = 'active'")
    days = lake.current(tables.VIDEO_TEXT, upto).select("video_id", F.col("data_date").alias("day"))
    tagged = lake.current(tables.VIDEO_TAGS, upto).select("video_id", "tag_id").distinct().join(days, on="video_id", how="inner")
    age = F.datediff(F.lit(date), F.col("day"))
    weeks = tagged.groupBy("tag_id").agg(F.count_if(age < 7).alias("week"), F.count_if((age >= 7) & (age < 14)).alias("before"))
    counted = library.join(weeks, on="tag_id", how="left").fillna(0, ["week", "before"])
    rising = counted.where("week > before").orderBy(F.desc(F.col("week") - F.col("before")), "tag").limit(most)
    new = counted.where((F.col("changed") == F.lit(date)) & (F.col("data_date") == F.lit(date))).orderBy(F.desc("week"), "tag").limit(most)
    return _as_tags(new), _as_tags(rising), library.count()


def _as_tags(rows: DataFrame) -> list[Tag]:
    return [Tag(r.tag, r.week, r.before, r.first_seen) for r in rows.select("tag", "week", "before", "first_seen").collect()]


def _clusters(rows: DataFrame, changes: Sequence[str], most: int) -> list[Cluster]:
    """Those that changed most come first."""
    from pyspark.sql import functions as F

    changed = F.abs(F.col("size") - F.col("previous_size"))
    found = rows.where(F.col("change").isin(*changes)).orderBy(F.desc(changed), "cluster_id").limit(most).collect()
    return [Cluster(r.name, r.change, r["size"], r.previous_size, r.first_seen) for r in found]


def _slices(lake: Lake, date: dt.date) -> tuple[str, dict[str, list[Slice]]]:
    """The champion before the day, and the accuracy of the other models that were evaluated on it, slice by slice."""
    from reelhouse.training.champion import champion_of

    champion = champion_of(lake.read(tables.PROMOTIONS, f"data_date < date'{date}'")) or ""
    rows = lake.read(tables.EVALUATIONS, f"data_date = date'{date}'").where("metric = 'accuracy'")
    found = {(r.model_version, r.slice): r for r in rows.collect()}
    names = [*dict.fromkeys(("all", "head", "mid", "tail", *sorted(name for _, name in found)))]
    models = sorted({model for model, _ in found if model != champion} or {model for model, _ in found})

    def slice_of(model: str, name: str) -> Slice:
        one, other = found[model, name], found.get((champion, name)) if model != champion else None
        return Slice(name, one.rows, one.value, other.value if other else None)

    return champion, {model: [slice_of(model, name) for name in names if (model, name) in found] for model in models}
