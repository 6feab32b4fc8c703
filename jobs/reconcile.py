"""Compare the collections in Milvus with Delta, id by id and checksum by checksum, and repair what differs.

Reads   gold.embeddings, gold.hashes, gold.predictions, bronze.video_arrivals, ops.promotions (as of the day), ops.serving (before
        the day), the collections of the model versions that are kept ready
Writes  those collections: what is missing or different is written again, what is too much is deleted
Rerun   safe: a second run finds nothing to repair; videos that came again on later dates are left alone
Launch  reelhouse job reconcile --date 2026-01-02
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

from jobs.load_vectors import facts_of, late_takedowns, load_all
from reelhouse.errors import VectorStoreError
from reelhouse.live import live_versions, mirrored
from reelhouse.vectors import KINDS, Difference, Kind, collection_name, differences, streamed

ONE_BY_ONE_MAX = 200_000  # of more rows that differ, the collection is made anew
IDS_FOR_A_VECTOR = 5  # so many ids and checksums weigh no more than a vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import Row

    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    return {"vectors": run.vectors.state()}


def main(run: Run) -> None:
    versions = live_versions(run)
    if not versions:
        run.aside("there are no embeddings to compare with")
    found: Counter[str] = Counter({"missing": 0, "extra": 0, "different": 0})
    with late_takedowns(run, set(run.taken_down)):
        for version, kind in product(versions, KINDS):
            found += reconcile(run, kind, version)
    for name in ("missing", "extra", "different"):
        run.metric(name, found[name])
    run.input("vectors", run.vectors.state())


def reconcile(run: Run, kind: Kind, version: str) -> Counter[str]:
    """What differed before the repair. VectorStoreError when something still does afterwards."""
    if not run.vectors.is_current(kind.name, version):
        return Counter(missing=load_all(run, kind, version))
    count, before, some = compare(run, kind, version)
    if before.total() > len(some):
        run.progress(f"{before.total():,} rows differ: making {collection_name(kind.name, version)} anew")
        load_all(run, kind, version, anew=True)
        refuse_difference(run, kind, version)
    elif some:
        written = repair(run, kind, version, some)
        if not is_repaired(run, kind, version, some, written, count):
            run.vectors.forget(sorted(run.taken_down))  # one that was asked for meanwhile is no difference
            refuse_difference(run, kind, version)
    return before


def refuse_difference(run: Run, kind: Kind, version: str) -> None:
    """VectorStoreError if anything differs after a repair."""
    _, after, some = compare(run, kind, version)
    if after.total():
        words = "; ".join(f"{d.video_id} is {d.kind}" for d in some[:3]) or "their ids are not known"
        raise VectorStoreError(
            f"{collection_name(kind.name, version)} still differs from {kind.table.name} in {after.total()} rows after a repair: "
            f"{words}. Is something else writing to it? Stop that, then run reconcile for {run.date} again."
        )


def compare(run: Run, kind: Kind, version: str) -> tuple[int, Counter[str], list[Difference]]:
    """How many rows there should be, how many differ by kind of difference, and the first ONE_BY_ONE_MAX of those."""
    rows = mirrored(run, kind, version)
    wanted, count = facts_of(run, version, rows), rows.count()
    at_once = IDS_FOR_A_VECTOR * run.settings.vectors.batch_rows
    in_delta = streamed(wanted.select("video_id", "checksum"), count, at_once, in_order=True)
    in_milvus = run.vectors.ids_and_checksums(kind.name, version, upto=str(run.date))
    counted: Counter[str] = Counter()
    some: list[Difference] = []
    for difference in differences(((row.video_id, row.checksum) for row in in_delta), in_milvus):
        counted[difference.kind] += 1
        if len(some) < ONE_BY_ONE_MAX:
            some.append(difference)
    return count, counted, some


def repair(run: Run, kind: Kind, version: str, found: list[Difference]) -> dict[str, int]:
    """Checksums of the rows that were written again, by id."""
    written: dict[str, int] = {}
    run.vectors.delete(kind.name, version, (d.video_id for d in found if d.kind == "extra"))
    again = [(d.video_id,) for d in found if d.kind != "extra"]
    if again:
        ids = run.spark.createDataFrame(again, "video_id string")
        rows = facts_of(run, version, mirrored(run, kind, version, of=ids))
        run.vectors.upsert(kind.name, version, noted(streamed(rows, len(again), run.settings.vectors.batch_rows), written))
    return written


def noted(rows: Iterable[Row], checksums: dict[str, int]) -> Iterator[Row]:
    for row in rows:
        checksums[row.video_id] = row.checksum
        yield row


def is_repaired(run: Run, kind: Kind, version: str, found: list[Difference], written: dict[str, int], count: int) -> bool:
    """Whether the collection holds what was written of the rows that differed, and as many rows as it should."""
    held = dict(run.vectors.checksums_of(kind.name, version, (d.video_id for d in found)))
    return held == written and run.vectors.count(kind.name, version, upto=str(run.date)) == count
