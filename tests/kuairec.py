"""KuaiRec's public table of short videos as a manifest of text-only videos."""

from __future__ import annotations

import csv
from pathlib import Path

_LEVELS = ("first_level_category_name", "second_level_category_name", "third_level_category_name")


def write_manifest(source: Path, into: Path, *, rows: int | None = None) -> Path:
    """Write a manifest of KuaiRec's videos (the first `rows`); its 'UNKNOWN' and -124 become missing values."""
    with source.open(newline="", encoding="utf-8") as file, into.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["video_id", "title", "caption", "hashtags", "category"])
        for number, row in enumerate(csv.DictReader(file)):
            if rows is not None and number >= rows:
                break
            path = [row[level] for level in _LEVELS]
            known = path[: path.index("UNKNOWN")] if "UNKNOWN" in path else path
            title = "" if row["manual_cover_text"] == "UNKNOWN" else row["manual_cover_text"]
            writer.writerow([f"kuairec-{row['video_id']}", title, row["caption"], row["topic_tag"], "/".join(known)])
    return into
