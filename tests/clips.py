"""The real clips of shared/data as a delivery: links in a folder of their own, and a manifest with what is known of some."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

SUFFIXES = {".mp4", ".mov", ".mkv", ".avi", ".webm"}
CLASSED_BY_FOLDER = ("ucf101_mini", "violentflows")


def clip_files(clips: Path) -> list[str]:
    """Paths of the clips below the folder, sorted."""
    return sorted(p.relative_to(clips).as_posix() for p in clips.rglob("*") if p.suffix in SUFFIXES)


def write_delivery(clips: Path, into: Path) -> Path:
    """Link every clip below `into` and write manifest.csv: title, caption, hashtags and category where captions.csv has them,
    the class where the folder says it, and else the file alone. video_id is the path. Returns the manifest."""
    with (clips / "captions.csv").open(newline="", encoding="utf-8") as file:
        known = {row["file"]: row for row in csv.DictReader(file)}
    into.mkdir(parents=True)
    with (into / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "file", "title", "caption", "hashtags", "category"])
        for name in clip_files(clips):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            _link(clips / name, into / name)
            row = known.get(name, {})
            category = "/".join(name.split("/")[:2]) if name.startswith(CLASSED_BY_FOLDER) else row.get("category_zh", "")
            writer.writerow([name, name, row.get("caption_zh", ""), row.get("caption_en", ""), row.get("tags_zh", ""), category])
    return into / "manifest.csv"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
