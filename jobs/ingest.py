"""Take in what was delivered for the day: videos, interactions, items.

Reads   the day's manifests, interactions and items files, and bare folders of videos; bronze.* of the days before
Writes  bronze.video_arrivals, bronze.interactions, bronze.items, one day, replaced whole
Rerun   safe: the same files give the same rows; a corrected file replaces its batch; what is known from earlier days adds nothing
Launch  reelhouse job ingest --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from reelhouse.sources import KINDS, find_delivery, fingerprints
from reelhouse.sources.arrivals import settle
from reelhouse.sources.reading import read_rows

if TYPE_CHECKING:
    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    """What the day was given, by content."""
    return fingerprints(find_delivery(run.settings.sources, run.date))


def main(run: Run) -> None:
    delivery = find_delivery(run.settings.sources, run.date)
    for note in delivery.notes:
        run.note(note)
    for kind in KINDS.values():
        if not delivery.holds(kind):
            run.publish(kind.table, None)
            continue
        rows = run.keep(read_rows(run.spark, delivery, kind, run.settings.sources))
        arrivals = settle(rows, run.before(kind.table), kind)
        run.refuse(kind.table, arrivals.refused)
        run.publish(kind.table, arrivals.new.withColumn("ingested_at", F.lit(run.record.started_at)))
