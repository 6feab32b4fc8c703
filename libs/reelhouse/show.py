"""How results look in a terminal: tables of rows, the closing table of a run, the next things to do."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from reelhouse.pipeline import Outcome

if TYPE_CHECKING:
    from reelhouse.status import Status

# A log file or a pipe has no width of its own: what is looked for there must not be cut into several lines.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
errors = Console(stderr=True, highlight=False)

_COLOURS = {"failed": "red", "blocked": "red", "stepped aside": "yellow", "up to date": "dim", "succeeded": "green"}


def table(rows: Iterable[Sequence[Any]], columns: Sequence[str], *, title: str | None = None) -> None:
    """Print rows under column headings; numbers to the right."""
    body = [list(row) for row in rows]
    grid = RichTable(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = bool(body) and all(isinstance(row[index], int | float) or row[index] is None for row in body)
        grid.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        grid.add_row(*[plain(value) for value in row])
    console.print(grid)


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, bytes | bytearray):
        return value.hex() if len(value) <= 32 else f"{len(value):,} bytes"
    if isinstance(value, list | tuple) and len(value) > 12:
        return f"[{', '.join(cell(v) for v in value[:6])}, ... {len(value)} values]"
    if isinstance(value, list | tuple):
        return f"[{', '.join(cell(v) for v in value)}]"
    return str(value)


def closing(outcomes: Sequence[Outcome]) -> None:
    """The table at the end of a run: what each step read, wrote, refused and took."""
    dates = sorted({o.date for o in outcomes})
    title = f"{dates[0]}" if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    grid = RichTable(title=f"Daily run {title}", title_justify="left", show_edge=False, pad_edge=False)
    for name, side in (
        ("date", "left"), ("job", "left"), ("status", "left"), ("rows in", "right"), ("rows out", "right"),
        ("refused", "right"), ("seconds", "right"), ("", "left"),
    ):  # fmt: skip
        grid.add_column(name, justify=side, overflow="fold", no_wrap=bool(name))  # type: ignore[arg-type]
    for o in outcomes:
        r = o.record
        done = r is not None and o.status != "up to date"
        numbers = [f"{r.rows_in:,}", f"{r.rows_out:,}", f"{r.quarantined:,}", f"{r.seconds:.1f}"] if done and r else [""] * 4
        remark = o.words if o.error else (r.note or "" if r and done else o.why if o.status == "blocked" else "")
        colour = _COLOURS[o.status]
        grid.add_row(str(o.date), o.job, f"[{colour}]{o.status}[/]", *numbers, escape(remark))
    console.print(grid)


def status(found: Status) -> None:
    """One screen: the last day, what is wrong with it and what to do, what is served, what was refused, how fresh each table is."""
    day, hours = found.day, f"started {found.started_at:%Y-%m-%d %H:%M} UTC, {found.seconds:,.0f} s of jobs"
    outcomes = ", ".join(f"{count} {name}" for name, count in found.outcomes.items())
    console.print(f"[bold]{day}[/]  {outcomes}  [dim]{hours}[/]")
    for trouble in found.troubles:
        console.print(f"  [red]{trouble.job}[/]  {escape(trouble.cause)}\n    [bold]next:[/] {escape(trouble.next_step)}", soft_wrap=True)
    served, decided = found.served, found.decided
    told = f"{served.model_version} on {served.videos:,} videos since {served.data_date}" if served else "nothing yet"
    console.print(f"[bold]served[/]  {told}")
    if decided:
        what = f"{decided.model_version} {decided.decision} by {escape(decided.decided_by)}"
        console.print(f"[bold]last decision[/]  {what} on {decided.data_date}")
    for load in found.collections:
        console.print(f"[bold]vectors[/]  {load.collection}: {load.total:,}, loaded {load.data_date}")
    if found.failed_checks:
        columns = ["job", "table", "check that failed", "rows at fault", "column"]
        table(found.failed_checks, columns, title="\nChecks of the day that found something")
    if found.refused:
        rows = [(r.job, r.table, r.rule, r.rows, r.example) for r in found.refused]
        table(rows, ["job", "table", "rule", "refused", "for example"], title="\nRefused on the day (ops.quarantine)")
    table([(f.table, f.day, f.rows) for f in found.freshness], ["table", "newest day", "rows"], title="\nTables")


def finding(level: str, about: str, told: str, mend: str) -> None:
    """One line of `reelhouse doctor`, and below it what mends it."""
    colour = {"ok": "green", "warning": "yellow", "wrong": "red"}[level]
    console.print(f"[{colour}]{level:<8}[/]{escape(about)}: {escape(told)}", soft_wrap=True)
    if mend:
        console.print(f"        [bold]mend:[/] {escape(mend)}", soft_wrap=True)


def next_things(video_id: str | None, options: str) -> None:
    """Three things to do after a run."""
    name = program()
    similar = f"{name} similar {video_id}{options}" if video_id else f'{name} sql "select * from ops.quarantine"{options}'
    console.print("\n[bold]What next[/]")
    for what, command in (
        ("query it", f'{name} sql "select * from gold.label_queue order by rank"{options}'),
        ("see it", similar),
        ("your own videos", f"{name} daily --videos FOLDER"),
    ):
        console.print(f"  {what:<17} {escape(command)}", soft_wrap=True)


def program() -> str:
    """How this program is called again: its name if the PATH finds it, else its path, from here if it lies below."""
    script = Path(sys.argv[0]).absolute()
    if script.name != "reelhouse":  # run by Python itself
        return "reelhouse"
    found = shutil.which(script.name)
    if found and Path(found).absolute() == script:
        return script.name
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


def progress(text: str) -> None:
    """One line of what is going on, with the time of day."""
    console.print(f"[dim]{dt.datetime.now():%H:%M:%S}[/] {escape(text)}")


def plain(value: Any) -> str:
    """A value as text that rich does not take for markup."""
    return escape(cell(value))


def today() -> dt.date:
    """Today in UTC; only the command line asks for it, jobs are always given a date."""
    return dt.datetime.now(dt.UTC).date()
