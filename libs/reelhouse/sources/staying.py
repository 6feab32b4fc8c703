"""What an earlier run of a day took in from files that are no longer delivered: it stays. DataFrame -> DataFrame.

A file that is delivered again replaces what it brought before; one that is gone (archived, or the sources are set to something
else) takes nothing with it. To withdraw what a file brought, deliver an empty file of its name.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from reelhouse.sources.deliveries import BARE_BATCH
from reelhouse.tables import REFUSED, Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SHOWN = 3
# ops.quarantine's keys: `batch:row` of a delivered row, `key|batch|date` (`#2` if there are more) of one that the audit refused.
_AUDITED, _DELIVERED = r"\|([^|]+)\|\d{4}-\d{2}-\d{2}(#\d+)?$", r"^(.*):[^:]*$"


def staying_rows(day: DataFrame, delivered: DataFrame, batches: Collection[str]) -> DataFrame:
    """Rows of `day` (a bronze table on the date) whose file is not delivered now.

    delivered: what is read now, as `reading.read_rows` gives it; batches: those that it was read from. A bare folder is one
    batch, but each of its files counts for itself; one that was moved is delivered.
    """
    stays = day.where(~F.col("batch").isin(*batches))
    if BARE_BATCH not in batches:
        return stays
    bare = F.col("batch") == BARE_BATCH
    left = day.where(bare)
    for name in ("uri", "video_id"):
        left = left.join(delivered.where(bare).select(name), on=name, how="left_anti")
    return stays.unionByName(left.select(*day.columns))


def staying_refusals(quarantine: DataFrame, table: Table, batches: Collection[str]) -> DataFrame:
    """Rows that the job refused on the date for `table`, less those of the batches that are delivered now and judged anew."""
    refused = quarantine.where((F.col("table") == table.name) & ~refused_batch().isin(*batches))
    return refused.select(*REFUSED)


def refused_batch() -> Column:
    """The batch of a row of ops.quarantine, as its key names it."""
    audited = F.regexp_extract("row_key", _AUDITED, 1)
    bare = F.col("row_key").startswith(f"{BARE_BATCH}:")  # then a file's name follows, which may hold anything
    return F.when(bare, BARE_BATCH).when(audited != "", audited).otherwise(F.regexp_extract("row_key", _DELIVERED, 1))


def note_on(stays: DataFrame, table: Table) -> str | None:
    """What to tell of rows that stay: how many files brought them and the first three; None if there are no such rows."""
    names = stays.select(_file_name(stays).alias("name")).distinct()
    first = [row.name for row in names.orderBy("name").limit(_SHOWN + 1).collect()]
    if not first:
        return None
    files = len(first) if len(first) <= _SHOWN else names.count()
    named = ", ".join(first[:_SHOWN]) + (", ..." if files > _SHOWN else "")
    return f"{table.name}: rows of {files} files stay that are gone: {named} (deliver an empty file of the name to withdraw them)"


def _file_name(rows: DataFrame) -> Column:
    batch = F.col("batch")
    return F.when(batch == BARE_BATCH, F.col("uri")).otherwise(batch) if "uri" in rows.columns else batch
