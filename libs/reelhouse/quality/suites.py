"""Suites: conf/expectations/<table>.yml plus what tables.py already says (columns that are never null, the key)."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from reelhouse.errors import SettingsError
from reelhouse.tables import Table

ENTRY = {"type", "kwargs", "description", "notes"}
ADVICE = "See https://greatexpectations.io/expectations for the types and conf/expectations for examples."


@dataclass(frozen=True)
class Check:
    """One expectation of a suite. `column` is "" where it concerns the table; `by_row` where single rows can be blamed."""

    name: str
    column: str
    wanted: str
    advice: str
    by_row: bool
    expectation: Any


@dataclass(frozen=True, eq=False)
class Suite:
    """All checks of a table, in stable order: not null, then the file's, then the key. The same object as long as its file is the same."""

    table: str
    checks: list[Check]


def load_suite(table: Table, suite_dir: Path) -> Suite:
    """The suite of a table.

    SettingsError when the file is missing, names an unknown expectation or column, or uses what rows can't be split by.
    """
    path = Path(suite_dir) / f"{table.name}.yml"
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise SettingsError(f"{table.name} has no suite of expectations: {path} can't be read ({error.strerror})") from error
    return _load(table.name, tuple(table.key), tuple((c.name, c.nullable) for c in table.columns), path, changed)


@lru_cache(maxsize=256)
def _load(name: str, key: tuple[str, ...], columns: tuple[tuple[str, bool], ...], path: Path, changed: int) -> Suite:
    load_library()
    entries = [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": c}} for c, nullable in columns if not nullable]
    entries += _read(path)
    checks = [_check(entry, dict(columns), path) for entry in entries]
    unique = {"type": "expect_key_to_be_unique", "kwargs": {"column_list": list(key)}}
    return Suite(name, [*checks, _check(unique, dict(columns), path)])


def load_library() -> None:
    """Import Great Expectations, once, without its telemetry and without its hold on Python's warnings."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    before = warnings.showwarning
    import reelhouse.quality.rules  # noqa: F401 - registers the project's own expectations

    if warnings.showwarning is not before:
        logging.captureWarnings(False)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} can't be read: {error}") from error
    if not isinstance(content, dict) or set(content) != {"expectations"} or not isinstance(content["expectations"] or [], list):
        raise SettingsError(f"{path} must hold one list named expectations")
    for entry in content["expectations"] or []:
        if not isinstance(entry, dict) or not {"type", "kwargs"} <= set(entry) <= ENTRY or not isinstance(entry["kwargs"], dict):
            raise SettingsError(f"{path}: an expectation has type and kwargs, and may have description and notes; got {entry!r}")
    return content["expectations"] or []


def _check(entry: dict[str, Any], columns: dict[str, bool], path: Path) -> Check:
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation import ColumnMapExpectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    kwargs = entry["kwargs"]
    named = [kwargs.get("column"), kwargs.get("column_A"), kwargs.get("column_B"), *kwargs.get("column_list", [])]
    unknown = [c for c in named if c is not None and c not in columns]
    if unknown:
        raise SettingsError(f"{path}: {entry['type']} names {', '.join(unknown)}; the table's columns are {', '.join(columns)}")
    if kwargs.get("row_condition"):
        raise SettingsError(f"{path}: {entry['type']} has a row_condition, which costs a Spark pass; use expect_column_values_to_satisfy")
    try:
        expectation = ExpectationConfiguration(
            type=entry["type"], kwargs=dict(kwargs), description=entry.get("description"), notes=entry.get("notes")
        ).to_domain_obj()
    except (GreatExpectationsError, ValueError, TypeError) as error:
        raise SettingsError(f"{path}: {entry['type']} {kwargs}: {error}\n{ADVICE}") from error
    return Check(
        name=entry["type"],
        column=str(kwargs.get("column") or ",".join(c for c in named if c)),
        wanted=entry.get("description") or _words(entry["type"], kwargs),
        advice=entry.get("notes") or "",
        by_row=isinstance(expectation, ColumnMapExpectation),
        expectation=expectation,
    )


def _words(kind: str, kwargs: dict[str, Any]) -> str:
    """What an expectation wants, as a sentence: "score must be between 0 and 1"."""
    column = kwargs.get("column") or ", ".join(kwargs.get("column_list", [])) or "the table"
    verb = kind.removeprefix("expect_column_values_to_").removeprefix("expect_column_value_").removeprefix("expect_").replace("_", " ")
    if kind == "expect_column_values_to_not_be_null":
        return f"{column} must not be null"
    if kind == "expect_key_to_be_unique":
        return f"no two rows may share the key {column}"
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if kind == "expect_column_values_to_be_between":
        least = f"at least {low}" if not kwargs.get("strict_min") else f"more than {low}"
        most = f"at most {high}" if not kwargs.get("strict_max") else f"less than {high}"
        return f"{column} must be " + " and ".join(w for w, bound in ((least, low), (most, high)) if bound is not None)
    if kind == "expect_column_values_to_be_in_set":
        return f"{column} must be one of {', '.join(map(str, kwargs['value_set']))}"
    rest = {k: v for k, v in kwargs.items() if k not in ("column", "column_list")}
    return f"{column}: {verb}" + (f" {', '.join(f'{k} {v}' for k, v in rest.items())}" if rest else "")
