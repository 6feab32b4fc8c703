"""`make bench`: run every benchmark of this folder (or those named) and write RESULTS.md with the machine described.

Files named bench_* are run by themselves; scale.py, which takes hours, only when it is named. A row may name its `section`: those of a
file can then be measured on different days, and each says when and where.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import platform
import sys
from pathlib import Path

import psutil

from tests.benchmarks.bars import is_met
from tests.benchmarks.machine import additions_a_second

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
FIGURES = HERE / "figures.json"


def machine() -> str:
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ""
    )
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{cores} cores ({model or platform.machine()}; {additions_a_second():.0f} million additions a second in a Python loop), "
        f"{memory:.0f} GB memory, {platform.system()}, Python {platform.python_version()}"
    )


def main(names: list[str]) -> None:
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in names or known:
        print(f"== {name}", flush=True)
        module = f"bench_{name}" if name in known else name
        rows = importlib.import_module(f"tests.benchmarks.{module}").run()
        of_section: dict[str, list] = {}
        for row in rows:
            of_section.setdefault(f"{name} {row.pop('section', '')}".strip(), []).append(row)
        measured = {"day": str(dt.date.today()), "machine": machine()}
        figures |= {section: measured | {"rows": some} for section, some in of_section.items()}
        for row in rows:
            print(f"   {row['name']}: {row['value']} {row['unit']} (bar: {_bar(row) or 'none'}) {row['note']}", flush=True)
        FIGURES.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
        RESULTS.write_text(page(figures))


def page(figures: dict) -> str:
    lines = ["# Benchmarks", "", "Made by `make bench`; ratios are taken within one run. A bar is what the project promises.", ""]
    held = [row for figure in figures.values() for row in figure["rows"] if row["bar"]]
    missed = sum(not is_met(row["value"], row["bar"]) for row in held)
    lines += [f"{missed} of {len(held)} bars {'is' if missed == 1 else 'are'} missed.", ""]
    for name, figure in sorted(figures.items()):
        lines += [f"## {name}", "", f"{figure['day']}, {figure['machine']}", "", "| figure | value | bar | |", "|---|---|---|---|"]
        lines += [f"| {r['name']} | {r['value']} {r['unit']} | {_bar(r)} | {r['note']} |" for r in figure["rows"]]
        lines.append("")
    return "\n".join(lines)


def _bar(row: dict) -> str:
    if not row["bar"]:
        return ""
    return str(row["bar"]) if is_met(row["value"], row["bar"]) else f"{row['bar']}: **missed**"


if __name__ == "__main__":
    main(sys.argv[1:])
