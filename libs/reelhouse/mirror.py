"""What a Milvus server shows outsiders follows ops.serving: the alias of each kind, and the collections that are kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.vectors import KINDS

if TYPE_CHECKING:
    from reelhouse.run import Run

KEPT = 2  # versions: the one that is served, and the one served before it


def point_aliases(run: Run) -> None:
    """Point the aliases at what readers see now; an old date run again changes nothing."""
    if served := _served(run):
        for kind in KINDS:
            run.vectors.point_alias(kind.name, served[0])


def drop_unneeded(run: Run, preparing: Iterable[str]) -> None:
    """Drop the collections that nobody needs, once no alias stands for them.

    Kept are the last two versions that were served, those that are being prepared, and those of which later days have rows.
    """
    from pyspark.sql import functions as F

    served = _served(run)
    if not served:
        return
    later = run.ever(tables.EMBEDDINGS).where(F.col("data_date") > F.lit(run.date)).select("model_version").distinct().collect()
    dropped = run.vectors.keep_only({*served[:KEPT], *preparing, *(row.model_version for row in later)})
    if dropped:
        run.note(f"dropped {', '.join(dropped)}")


def _served(run: Run) -> list[str]:
    """Versions that readers saw, the newest first."""
    from pyspark.sql import functions as F

    days = run.ever(tables.SERVING).groupBy("model_version").agg(F.max("data_date").alias("day")).orderBy(F.desc("day"), "model_version")
    return [row.model_version for row in days.collect()]
