"""How results look in a terminal: tables of rows, the closing table of a run, the next things to do."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
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
    day, hours = found.day, f"started {found.started_at:%Y-%m-%d %H:%M} UTC, {found.seconds:,.0f} s of jobs" if found.started_at else ""
    outcomes = ", ".join(f"{count} {name}" for name, count in found.outcomes.items())
    console.print(f"[bold]{day}[/]  {outcomes}  [dim]{hours}[/]")
    _troubles(found)
    served, decided = found.served, found.decided
    told = f"{served.model_version} on {served.videos:,} videos since {found.served_since}" if served else "nothing yet"
    console.print(f"[bold]served[/]  {told}")
    if decided:
        what = f"{decided.model_version} {decided.decision} by {escape(decided.decided_by)}"
        console.print(f"[bold]last decision[/]  {what} on {decided.data_date}")
    for load in found.collections[:_SHOWN]:
        console.print(f"[bold]vectors[/]  {load.collection}: {load.total:,}, loaded {load.data_date}")
    _more(len(found.collections) - _SHOWN, "collections", "select * from ops.vector_loads_current")
    if found.failed_checks:
        console.print("[bold]Checks[/] of the day that found something")
    for job, name, words, rows, column in found.failed_checks[:_SHOWN]:
        _line(f"  {job}  {name}.{column}: {words}: {rows:,} rows at fault")
    _more(len(found.failed_checks) - _SHOWN, "checks", f"select * from ops.checks where not passed and data_date = date'{day}'")
    if found.refused:
        console.print(f"[bold]Refused[/] on the day: {found.refused_rows:,} rows by {found.refused_rules} rules")
    for r in found.refused:
        _line(f"  {r.rows:>6,}  {r.job}  {r.table}  {r.rule}: {r.example}")
    _more(found.refused_rules - len(found.refused), "rules", f"select * from ops.quarantine where data_date = date'{day}'")
    _freshness(found)


_SHOWN = 2  # rows of a list on the one screen
_TROUBLES_SHOWN = 2  # they take more lines
_CAUSE_CHARACTERS, _LINE_CHARACTERS = 200, 118


def _troubles(found: Status) -> None:
    """Those that wait for others are told together."""
    stopped = [t for t in found.troubles if not t.cause.startswith("not run: ")]
    waiting = [t.job for t in found.troubles if t not in stopped]
    for trouble in stopped[:_TROUBLES_SHOWN]:
        cause = escape(_cut(trouble.cause, _CAUSE_CHARACTERS))
        console.print(f"  [red]{trouble.job}[/]  {cause}\n    [bold]next:[/] {escape(trouble.next_step)}", soft_wrap=True)
    if len(stopped) > _TROUBLES_SHOWN or any(len(t.cause) > _CAUSE_CHARACTERS for t in stopped):
        console.print(f"  [dim]in full: {program()} runs --date {found.day}[/]")
    if waiting:
        console.print(f"  [yellow]not run[/]  {', '.join(waiting)}: they wait for the above and then run by themselves", soft_wrap=True)


def _more(count: int, what: str, question: str) -> None:
    if count > 0:
        console.print(f'  [dim]and {count} more {what}: {program()} sql "{escape(question)}"[/]', soft_wrap=True)


def _line(text: str) -> None:
    console.print(escape(_cut(text, _LINE_CHARACTERS)), soft_wrap=True)


def _cut(text: str, characters: int) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= characters else line[: characters - 3] + "..."


def _freshness(found: Status) -> None:
    """Every table in two columns that fit 80 characters, under the name of its layer; what is behind the day is marked."""
    lines: list[str] = []
    for layer, of_layer in groupby(found.freshness, key=lambda f: f.table.partition(".")[0]):
        lines.append(f"[bold]{layer:<39}[/]")
        for f in of_layer:
            told = f" {f.table.partition('.')[2]:<19} {f.day.isoformat() if f.day else '-':<10} {_rows(f.rows):>7}"
            colour = "dim" if f.day is None else "" if f.day == found.day else "yellow"
            lines.append(f"[{colour}]{told}[/]" if colour else told)
    half = (len(lines) + 1) // 2
    console.print("[bold]Tables[/]  newest day, rows; [yellow]yellow[/]: nothing written on the day", soft_wrap=True)
    for at in range(half):
        console.print("  ".join(lines[at::half]), soft_wrap=True)


def _rows(count: int) -> str:
    """In at most seven characters."""
    for size, name in ((10**9, " G"), (10**6, " M")):
        if count >= size:
            return f"{count / size:,.1f}{name}"
    return f"{count:,}"


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
