"""The folder of reports: pages named by date, linked to their neighbours, and an index. Files are replaced whole."""

from __future__ import annotations

import datetime as dt
import html
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from reelhouse.errors import SettingsError
from reelhouse.lake.trouble import storage_errors
from reelhouse.report import pages
from reelhouse.report.content import anchor_of, mention_of
from reelhouse.report.reading import read_report

if TYPE_CHECKING:
    from reelhouse.lake import Lake
    from reelhouse.sections import ReportSettings

FOLDER = "reports"
INDEX = "index.html"
_NAVIGATION = re.compile(r"<!-- days -->.*?<!-- /days -->", re.DOTALL)
_SUMMARY = re.compile(re.escape(pages.SUMMARY) + '([^"]*)"')
_TAG = re.compile(r"<[^>]*>")
_HEAD_CHARACTERS = 4096  # of a page, in which its summary is


def write_report(lake: Lake, settings: ReportSettings, date: dt.date, jobs: Sequence[str], into: Path | None = None) -> Path:
    """Write the report of a day into a folder (default: reports/ below the root), and its links from and to the others there.

    The same lake and the same reports beside it give the same bytes. NotFoundError if nothing was run for the date;
    SettingsError if the root is no local folder and no other is given.
    """
    if into is None and not lake.is_local:
        raise SettingsError(f"{lake.root} is no folder of this machine: say where the report is to go with --into FOLDER")
    folder = into or Path(lake.root) / FOLDER
    page = pages.day_page(read_report(lake, settings, date, jobs), settings.rows_max)
    with storage_errors(f"writing the report of {date} to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{date}.html"
        _put(path, page)
        _link(folder, [date])
    return path


def forget_videos(lake: Lake, video_ids: Iterable[str]) -> list[Path]:
    """Remove the reports below the root that show any of the videos, or name one as where a row was refused; returns what was removed.

    Reports that were written to another folder are not known here.
    """
    folder = Path(lake.root) / FOLDER
    if not lake.is_local or not folder.is_dir():
        return []
    gone = list(video_ids)
    anchors, named = [anchor_of(video_id) for video_id in gone], re.compile(mention_of(gone)) if gone else None

    def shows(content: str) -> bool:
        words = html.unescape(_TAG.sub(" ", content))
        return any(anchor in content for anchor in anchors) or bool(named and named.search(words))

    removed = []
    with storage_errors(f"removing reports from {folder}"):
        for path in _pages(folder).values():
            if shows(path.read_text(encoding="utf-8")):
                path.unlink()
                removed.append(path)
        if removed:
            _link(folder, [dt.date.fromisoformat(path.stem) for path in removed])
    return removed


def _pages(folder: Path) -> dict[dt.date, Path]:
    """The reports of a folder in order of time."""
    named = (path for path in folder.glob("????-??-??.html") if re.fullmatch(r"\d{4}-\d\d-\d\d", path.stem))
    return {dt.date.fromisoformat(path.stem): path for path in sorted(named)}


def _link(folder: Path, changed: Sequence[dt.date]) -> None:
    """Give the changed days and their neighbours their links, and make the index anew."""
    known = _pages(folder)
    days = [None, *known, None]
    for before, (day, after) in zip(days, pairwise(days[1:]), strict=False):
        if day is None or not any((before or c) <= c <= (after or c) for c in changed):
            continue
        content = known[day].read_text(encoding="utf-8")
        links = f"<!-- days -->{pages.navigation(before, after)}<!-- /days -->"
        linked = links.join(_NAVIGATION.split(content, maxsplit=1))
        if linked != content:
            _put(known[day], linked)
    _put(folder / INDEX, pages.index_page([(day, _summary(path)) for day, path in known.items()]))


def _summary(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        found = _SUMMARY.search(file.read(_HEAD_CHARACTERS))
    return html.unescape(found[1]) if found else ""


def _put(path: Path, content: str) -> None:
    """Write beside and rename, so that nobody sees half a page."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
