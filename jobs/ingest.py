"""Take in what was delivered for the day: videos, interactions, items.

Reads   the day's manifests, interactions and items files, and bare folders of videos; bronze.* of the days before; of the day
        itself what files brought that are no longer delivered, and ops.quarantine for what was refused of them
Writes  bronze.video_arrivals, bronze.interactions, bronze.items, one day, replaced whole
Rerun   safe: the same files give the same rows; a corrected file replaces its batch; what is known from earlier days adds nothing;
        rows of a file that is gone stay, and an empty file of its name withdraws them
Launch  reelhouse job ingest --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.sources import KINDS, VIDEOS, Delivery, FileKind, find_delivery, fingerprints
from reelhouse.sources.arrivals import settle
from reelhouse.sources.reading import count_rows, read_rows
from reelhouse.sources.staying import note_on, staying_refusals, staying_rows

if TYPE_CHECKING:
    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    """What the day was given, by content."""
    return fingerprints(find_delivery(run.settings.sources, run.date))


def main(run: Run) -> None:
    delivery = find_delivery(run.settings.sources, run.date)
    for note in delivery.notes:
        run.note(note)
    told = run.keep(run.day(tables.QUARANTINE).where(F.col("job") == run.job))
    # before anything can fail: at the end of a run the quarantine holds what that run refused, and nothing else
    for kind in KINDS.values():
        run.refuse(kind.table, staying_refusals(told, kind.table, delivery.batches(kind)))
    for kind in KINDS.values():
        _take_in(run, delivery, kind)


def _take_in(run: Run, delivery: Delivery, kind: FileKind) -> None:
    batches = delivery.batches(kind)
    rows = run.keep(read_rows(run.spark, delivery, kind, run.settings.sources))
    stays = run.keep(staying_rows(run.day(kind.table), rows, batches))
    staying = note_on(stays, kind.table)
    if staying:
        run.note(staying)
    elif not batches:
        run.publish(kind.table, None)
        return
    read = count_rows(rows)
    run.read_rows(read)
    taken_down = run.taken_down if kind is VIDEOS else None
    arrivals = settle(rows, run.before(kind.table), kind, stays=stays if staying else None, taken_down=taken_down)
    run.refuse(kind.table, arrivals.refused)
    new = arrivals.new.withColumn("ingested_at", F.coalesce("ingested_at", F.lit(run.record.started_at)))
    run.publish(kind.table, new, read=read)  # a catalogue delivered anew adds little, and is no worse for that
