"""A hash over rows that does not depend on their order: how two builds of a slice are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from reelhouse.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def fingerprint(table: Table, rows: DataFrame, *, inexact: bool = False) -> tuple[int, str]:
    """Number of rows and a hash over their exact columns (with `inexact`, over inexact ones too), in one pass.

    Two independent 64-bit hashes of each row are summed as decimals, so the order of rows does not matter and two equal
    rows do not cancel out. A null differs from every value. Maps and volatile columns are left out.
    """
    from pyspark.sql import functions as F

    names = table.named("exact", "inexact") if inexact else table.named("exact")
    parts: list[Column] = []
    for name in [n for n in names if not dict(rows.dtypes)[n].startswith("map<")]:
        parts += [F.col(name).isNull(), F.col(name)]

    def total(seed: int) -> Column:
        return F.sum(F.xxhash64(F.lit(seed), *parts).cast("decimal(38,0)"))

    count, first, second = rows.agg(F.count(F.lit(1)), total(1), total(2)).first() or (0, None, None)
    return count, hashlib.sha256(f"{count}:{first}:{second}".encode()).hexdigest()[:24]


def combined(parts: Iterable[tuple[str, ...]]) -> str:
    """One hash of many, in any order."""
    return hashlib.sha256("\n".join("\t".join(part) for part in sorted(parts)).encode()).hexdigest()[:24]
