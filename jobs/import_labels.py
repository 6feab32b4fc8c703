"""Take in what people said: answers, hand-outs, tag reviews, and the categories that came with videos.

Reads   bronze.video_arrivals (the day), JSON lines of <deliveries>/<date>/ and of the inbox; bronze.label_events,
        bronze.label_exports, bronze.tag_reviews, ops.quarantine (before the day: what was taken in or refused already; of the day:
        what files brought that are gone)
Writes  bronze.label_events, bronze.label_exports, bronze.tag_reviews, one day, replaced whole
Rerun   safe: same date, same files -> same rows; an event that an earlier day brought adds nothing. A delivered file replaces what
        it brought; rows of a file that is gone stay, an empty file of its name withdraws them. What an inbox file held once stays
        whatever becomes of the file. A line of the inbox that was said after the date waits for its own day
Launch  reelhouse job import_labels --date 2026-01-02
"""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.labels.delivered import INBOX, DeliveredFile, delivered_files
from reelhouse.labels.events import CHUNK_SCHEMA, is_later, manifest_events, parse_chunks, split_new, staying_events, without_told
from reelhouse.labels.lines import DEFAULT_TASK, KINDS, LABELS, LineKind
from reelhouse.sources.staying import note_on, refused_batch, staying_refusals

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.labels import Taxonomy
    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    """Content of every delivered file and the versions of the label trees: what the day's rows depend on besides tables."""
    return _inputs(_files(run), run.taxonomies())


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
    from pyspark.sql import functions as F

    files, trees = _files(run), run.taxonomies()
    for name, value in _inputs(files, trees).items():
        run.input(name, value)
    unfinished = [file.batch for file in files if file.is_unfinished]
    if unfinished:
        run.note(f"the last line has no newline yet and is left for next time: {', '.join(unfinished)}")
    told = run.keep(run.day(tables.QUARANTINE).where(F.col("job") == run.job))
    # before anything can fail: at the end of a run the quarantine holds what that run refused, and nothing else
    for kind in KINDS:
        refused = staying_refusals(told, kind.table, [file.batch for file in files])
        # not the categories of videos: those are told anew
        run.refuse(kind.table, refused.where(refused_batch().rlike(f"^({INBOX})?{kind.folder}/")))
    for kind in KINDS:
        _take_in(run, kind, [file for file in files if file.folder == kind.folder], trees)


def _take_in(run: Run, kind: LineKind, files: list[DeliveredFile], trees: dict[str, Taxonomy]) -> None:
    from pyspark.sql import functions as F

    before = run.before(kind.table)
    parsed = run.keep(_parsed(run, files, kind, trees))
    replaced = [file.batch for file in files if not file.is_log]
    stays = run.keep(staying_events(run.day(kind.table), before, parsed, replaced))
    staying = note_on(stays, kind.table)
    if staying:
        run.note(staying)
    elif not files and kind is not LABELS:
        run.publish(kind.table, None)
        return
    lines, later = parsed.agg(F.count("*"), F.count_if(is_later(kind, run.date))).first() or (0, 0)
    run.read_rows(lines)
    if later:
        run.note(f"{kind.table.name}: {later} lines of the inbox are of later days and wait for these")
    parsed = parsed.where(~is_later(kind, run.date))
    earlier, told = before.unionByName(stays), _told(run, kind)
    if kind is LABELS:
        new, refused = build_events(parsed, earlier, run.day(tables.VIDEO_ARRIVALS), trees, told)
    else:
        new, refused = split_new(parsed, earlier, kind)
        refused = without_told(refused, told)
    run.refuse(kind.table, refused)
    rows = new.withColumn("ingested_at", F.lit(run.record.started_at))
    run.publish(kind.table, rows.unionByName(stays.drop("data_date")))


def _parsed(run: Run, files: list[DeliveredFile], kind: LineKind, trees: dict[str, Taxonomy]) -> DataFrame:
    chunks = [astuple(chunk) for file in files for chunk in file.chunks]
    return parse_chunks(run.spark.createDataFrame(chunks, CHUNK_SCHEMA), kind, trees)


def _told(run: Run, kind: LineKind) -> DataFrame:
    from pyspark.sql import functions as F

    return run.before(tables.QUARANTINE).where((F.col("job") == run.job) & (F.col("table") == kind.table.name))


def _files(run: Run) -> list[DeliveredFile]:
    return delivered_files(run.settings.sources.deliveries, run.settings.sources.inbox, run.date)


def _inputs(files: list[DeliveredFile], trees: dict[str, Taxonomy]) -> dict[str, str]:
    return {file.batch: file.content for file in files} | {f"taxonomy {task}": tree.version for task, tree in trees.items()}
