"""Take in what people said: answers, hand-outs, tag reviews, and the categories that came with videos.

Reads   bronze.video_arrivals (the day), JSON lines of <deliveries>/<date>/ and of the inbox; bronze.label_events,
        bronze.label_exports, bronze.tag_reviews, ops.quarantine (before the day: what was taken in or refused already)
Writes  bronze.label_events, bronze.label_exports, bronze.tag_reviews, one day, replaced whole
Rerun   safe: same date, same files -> same rows; an event that an earlier day brought adds nothing
Launch  reelhouse job import_labels --date 2026-01-02
"""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.labels.delivered import DeliveredFile, delivered_files
from reelhouse.labels.events import CHUNK_SCHEMA, manifest_events, parse_chunks, split_new, without_told
from reelhouse.labels.lines import DEFAULT_TASK, EXPORTS, LABELS, REVIEWS, LineKind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.labels import Taxonomy
    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    """Content of every delivered file and the versions of the label trees: what the day's rows depend on besides tables."""
    return _inputs(_files(run), _trees(run))


def build_events(
    parsed: DataFrame, earlier: DataFrame, arrivals: DataFrame, trees: dict[str, Taxonomy], told: DataFrame
) -> tuple[DataFrame, DataFrame]:
    """(bronze.label_events without data_date and ingested_at, rows to refuse) of the day."""
    from pyspark.sql import functions as F

    new, refused = split_new(parsed, earlier, LABELS)
    from_manifest, refused_categories = manifest_events(arrivals, earlier, trees[DEFAULT_TASK])
    version = F.create_map(*[F.lit(part) for task, tree in trees.items() for part in (task, tree.version)])
    events = new.unionByName(from_manifest).withColumn("taxonomy_version", version[F.col("task")])
    return events, without_told(refused, told).unionByName(refused_categories)


def main(run: Run) -> None:
    files, trees = _files(run), _trees(run)
    for name, value in _inputs(files, trees).items():
        run.input(name, value)
    parsed = run.keep(_parsed(run, files, LABELS, trees))
    events, refused = build_events(parsed, run.before(tables.LABEL_EVENTS), run.day(tables.VIDEO_ARRIVALS), trees, _told(run, LABELS))
    _publish(run, LABELS, events, refused)
    for kind in (EXPORTS, REVIEWS):
        if not any(file.folder == kind.folder for file in files):
            run.publish(kind.table, None)
            continue
        parsed = run.keep(_parsed(run, files, kind, trees))
        new, broken = split_new(parsed, run.before(kind.table), kind)
        _publish(run, kind, new, without_told(broken, _told(run, kind)))


def _publish(run: Run, kind: LineKind, events: DataFrame, refused: DataFrame) -> None:
    from pyspark.sql import functions as F

    run.refuse(kind.table, refused)
    run.publish(kind.table, events.withColumn("ingested_at", F.lit(run.record.started_at)))


def _parsed(run: Run, files: list[DeliveredFile], kind: LineKind, trees: dict[str, Taxonomy]) -> DataFrame:
    chunks = [astuple(chunk) for file in files if file.folder == kind.folder for chunk in file.chunks]
    return parse_chunks(run.spark.createDataFrame(chunks, CHUNK_SCHEMA), kind, trees)


def _told(run: Run, kind: LineKind) -> DataFrame:
    from pyspark.sql import functions as F

    return run.before(tables.QUARANTINE).where((F.col("job") == run.job) & (F.col("table") == kind.table.name))


def _files(run: Run) -> list[DeliveredFile]:
    return delivered_files(run.settings.sources.deliveries, run.settings.sources.inbox, run.date)


def _trees(run: Run) -> dict[str, Taxonomy]:
    return {task: run.taxonomy(task) for task in type(run.settings.taxonomy).model_fields}


def _inputs(files: list[DeliveredFile], trees: dict[str, Taxonomy]) -> dict[str, str]:
    return {file.batch: file.content for file in files} | {f"taxonomy {task}": tree.version for task, tree in trees.items()}
