"""Notebooks as people open them, executed cell by cell in the tests' own process and Spark session.

No Jupyter is needed for that: a cell is Python, and its last expression what is shown. A kernel of its own for each notebook would
start another Spark session, and bring some thirty packages into the lock.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def cells(name: str) -> list[dict[str, Any]]:
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def execute(name: str, **parameters: Any) -> tuple[dict[str, Any], list[str]]:
    """Run every code cell in order. parameters: put in place of those of the cell that is tagged so.

    Returns the names that are left, and what was shown, as HTML or text.
    """
    left: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for number, cell in enumerate(cells(name)):
        if cell["cell_type"] != "code":
            continue
        module = ast.parse("".join(cell["source"]))
        last = module.body.pop() if module.body and isinstance(module.body[-1], ast.Expr) else None
        where = f"{name}, cell {number}"
        exec(compile(module, where, "exec"), left)
        if "parameters" in cell["metadata"].get("tags", []):
            assert parameters.keys() <= left.keys(), f"{where} has no such parameters"
            left |= parameters
        if last is not None:
            value = eval(compile(ast.Expression(last.value), where, "eval"), left)
            shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
    return left, shown
