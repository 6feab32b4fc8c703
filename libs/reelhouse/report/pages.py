"""From a report to HTML: one page that needs nothing else, without scripts. Everything that it shows is escaped."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from reelhouse.report import plots
from reelhouse.report.content import Report

if TYPE_CHECKING:
    from jinja2 import Environment

SUMMARY = '<meta name="summary" content="'  # by it the index finds what a page says in a line


def day_page(report: Report, rows_max: int) -> str:
    """The page of a day, with its neighbours' links still empty."""
    return _environment().get_template("day.html.j2").render(report=report, summary=summary_of(report), rows_max=rows_max)


def index_page(days: Sequence[tuple[dt.date, str]]) -> str:
    """The list of reports, newest first. days: (date, what happened), any order."""
    return _environment().get_template("index.html.j2").render(days=sorted(days, reverse=True))


def navigation(previous: dt.date | None, following: dt.date | None) -> str:
    """Links to the reports before and after."""
    return _environment().get_template("navigation.html.j2").render(previous=previous, following=following)


def summary_of(report: Report) -> str:
    predicted = report.sheets["uncertain"].total if "uncertain" in report.sheets else 0
    parts = [f"{report.arrived:,} videos arrived", f"{report.refused_rows:,} rows refused", f"{predicted:,} videos predicted"]
    parts += [f"{d.model_version} {d.decision}" for d in report.decisions]
    return f"{report.outcome}: " + ", ".join(parts)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("reelhouse.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"data_uri": _data_uri, "count": lambda value: f"{value:,}", "words": lambda text: text.replace("_", " ")}
    made.globals |= {"columns": plots.columns, "against": plots.against}
    return made


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
