"""Few small files: compaction and removal of files that no table refers to."""

from __future__ import annotations

from collections.abc import Iterator

from reelhouse import tables
from reelhouse.lake.lake import Lake


def maintain(lake: Lake, keep_days: int) -> Iterator[tuple[str, int, int]]:
    """OPTIMIZE and VACUUM each table; yields name, active files before and after. Rows and their hashes stay the same."""
    for table in tables.ALL.values():
        if not lake.exists(table):
            continue
        before = len(lake.files(table, {}))
        lake.optimize(table)
        lake.vacuum(table, hours=24 * keep_days)
        yield table.name, before, len(lake.files(table, {}))
