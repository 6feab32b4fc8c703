"""Notebooks as people open them, executed cell by cell in the tests' own process and Spark session.

No Jupyter is needed for that: a cell is Python, and its last expression what is shown. A kernel of its own for each notebook would
start another Spark session, and bring some thirty packages into the lock.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.pipeline import load_jobs

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


# what a notebook must have computed on a lake of one day


def explored(lake: Lake, left: dict[str, Any]) -> None:
    assert left["DAY"] == str(lake.read(tables.RUNS).agg({"data_date": "max"}).collect()[0][0])
    assert set(left["cost"]["job"]) == {job.name for job in load_jobs()}
    assert len(left["videos"]) == lake.read(tables.VIDEOS).count()
    assert left["refused"]["rows"].sum() == lake.read(tables.QUARANTINE).count()
    assert set(left["said"]["video_id"]) == {r.video_id for r in lake.read(tables.VIDEOS).collect()}
    assert left["said"]["entropy"].is_monotonic_decreasing


def audited(lake: Lake, left: dict[str, Any]) -> None:
    answered = lake.read(tables.LABEL_EVENTS).select("annotator_id", "video_id", "label_id").distinct().count()
    assert left["people"]["answers"].sum() == answered
    assert len(left["suspects"]) == lake.read(tables.LABEL_NOISE).where("verdict = 'wrong'").count() == left["by_class"]["wrong"].sum()
    assert left["confusion"].to_numpy().sum() == len(left["suspects"])
    assert left["coverage"]["path"].nunique() == lake.read(tables.TAXONOMY).count()
    assert list(left["nearest"]["video_id"]) == ([left["worst"]] if left["worst"] else [])


def compared(lake: Lake, left: dict[str, Any]) -> None:
    (model,) = left["of_day"]["model_version"].unique()
    assert list(left["decisions"]["model_version"]) == [model]
    assert len(left["compared"]) == lake.read(tables.EVALUATIONS).count()
    assert left["gains"].isna().all(axis=None), "the first model has nothing to be compared with"
    assert left["calibration"]["videos"].sum() == len(left["judged"]) > 0


def searched(lake: Lake, left: dict[str, Any]) -> None:
    assert left["VIDEO"] not in set(left["alike"]["video_id"])
    assert len(left["alike"]) == 12
    assert left["alike"]["score"].is_monotonic_decreasing
    assert left["written"]["score"].iloc[0] > 0.5
    assert left["written"]["score"].is_monotonic_decreasing
    assert left["neighbours"]["path"].notna().all()


FOUND = {"01_explore_a_day": explored, "02_audit_labels": audited, "03_compare_models": compared, "04_search": searched}
