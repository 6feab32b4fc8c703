"""Audit rows before they are published: one pass when all is well, a second one only to tell bad rows from good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelhouse.quality.suites import Check, load_library, load_suite
from reelhouse.tables import REFUSED_CHARACTERS_MAX, Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from reelhouse.quality.checking import Verdict

VALUE_CHARACTERS = 200
KEY_CHECK = "expect_key_to_be_unique"
_BROKEN, _TURN = "_broken_checks", "_turn_among_its_key"


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    checks: one dict a check: table, check, column, passed, failed_rows, total_rows, details (as in ops.runs).
    good: the rows that pass. refused: one row (rule, row_key, reason, row, video_id) for each that doesn't; None if all do.
    failed_table_checks: what is wrong with the rows as a whole, in words; then nothing should be published.
    Both frames read the audited rows again: keep (persist) rows that are costly to make.
    """

    checks: list[dict[str, Any]]
    good: DataFrame
    refused: DataFrame | None
    count: int
    failed_table_checks: list[str]


def warm() -> None:
    """Import Great Expectations (3-4 s); for a thread at the start of a run, so that the first audit need not wait."""
    load_library()
    import reelhouse.quality.checking  # noqa: F401


def audit(table: Table, rows: DataFrame, suite_dir: Path) -> Audit:
    """Check `rows` (all columns of `table`) against the table's suite with Great Expectations.

    A null passes every check of a nullable column. A row that breaks several checks is refused once, for the first of them;
    the reason names all. Of rows that share a key one is kept, the first in order of their content.
    SettingsError: a suite that is missing or wrong. AuditError: a check that can't be computed.
    """
    suite = load_suite(table, suite_dir)
    from reelhouse.quality.checking import run_checks

    verdicts, count = run_checks(suite, rows)
    failed = [v for v in verdicts if not v.passed]
    by_row = [v for v in failed if v.broken is not None]
    repeated = any(v.check.name == KEY_CHECK for v in failed)
    whole = [v for v in failed if v.broken is None and v.check.name != KEY_CHECK]
    good, refused = _split(table, rows, by_row, repeated) if by_row or repeated else (rows, None)
    return Audit(
        checks=[_as_row(table, v, count) for v in verdicts],
        good=good,
        refused=refused,
        count=count,
        failed_table_checks=[f"{table.name}: {v.check.wanted}, but {_found(v, count)}" for v in whole],
    )


def _as_row(table: Table, verdict: Verdict, count: int) -> dict[str, Any]:
    failed = int(verdict.observed) if verdict.check.name == KEY_CHECK and verdict.observed else verdict.failed
    return {
        "table": table.name, "check": verdict.check.name, "column": verdict.check.column, "passed": verdict.passed,
        "failed_rows": failed, "total_rows": count, "details": verdict.check.wanted,
    }  # fmt: skip


def _found(verdict: Verdict, count: int) -> str:
    if verdict.check.by_row:
        return f"{verdict.failed} of {count} rows differ"
    counts = verdict.observed is None or verdict.check.name.startswith("expect_table_row_count")
    return f"there are {count} rows" if counts else f"it is {verdict.observed}"


def _split(table: Table, rows: DataFrame, failed: Sequence[Verdict], repeated: bool) -> tuple[DataFrame, DataFrame]:
    """Good rows, and the refused ones with their reasons. Lazy: costs a pass when used."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    numbers = [F.when(v.broken, F.lit(i)) for i, v in enumerate(failed) if v.broken is not None]
    marked = rows.withColumn(_BROKEN, F.array_compact(F.array(*numbers)) if numbers else F.array().cast("array<int>"))
    if repeated:
        stable = [c for c in table.names if c not in table.named("volatile")] + table.named("volatile")
        order = Window.partitionBy(*table.key).orderBy(F.size(_BROKEN) > 0, F.to_json(F.struct(*stable)))
        marked = marked.withColumn(_TURN, F.row_number().over(order))
    else:
        marked = marked.withColumn(_TURN, F.lit(1))
    is_good = (F.size(_BROKEN) == 0) & (F.col(_TURN) == 1)
    return marked.filter(is_good).select(*rows.columns), _refusals(table, marked.filter(~is_good), [v.check for v in failed])


def _refusals(table: Table, marked: DataFrame, checks: Sequence[Check]) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    key = " and ".join(table.key)
    rules = F.array(*[F.lit(f"{c.name}:{c.column}") for c in checks], F.lit(KEY_CHECK))
    rule = F.get(rules, F.coalesce(F.get(F.col(_BROKEN), F.lit(0)), F.lit(len(checks))))
    reasons = [F.when(F.array_contains(_BROKEN, i), _reason(table, check)) for i, check in enumerate(checks)]
    twice = F.when(F.size(_BROKEN) == 0, F.lit(f"another row of the same delivery has the same {key} and was kept; give each row one key"))
    shown = [c.name for c in table.columns if c.type != "binary"]
    parts = [F.coalesce(F.col(c).cast("string"), F.lit("null")) for c in table.key]
    refused = marked.select(
        rule.alias("rule"),
        F.concat_ws("|", *parts).alias("row_key"),
        F.concat_ws("; ", *reasons, twice).alias("reason"),
        F.substring(F.to_json(F.struct(*shown)), 1, REFUSED_CHARACTERS_MAX).alias("row"),
        (F.col("video_id") if table.has_video else F.lit(None).cast("string")).alias("video_id"),
    )
    same = Window.partitionBy("rule", "row_key").orderBy("row", "reason")
    turn = F.row_number().over(same)
    return refused.withColumn("row_key", F.when(turn > 1, F.concat("row_key", F.lit("#"), turn)).otherwise(F.col("row_key")))


def _reason(table: Table, check: Check) -> Column:
    from pyspark.sql import functions as F

    kind = next((c.type for c in table.columns if c.name == check.column), "string")
    value = F.col(check.column)
    got = F.concat(F.length(value), F.lit(" bytes")) if kind == "binary" else F.substring(value.cast("string"), 1, VALUE_CHARACTERS)
    parts = [F.lit(f"{check.wanted}, got "), F.coalesce(got, F.lit("null"))]
    return F.concat(*parts, F.lit(f". {check.advice}")) if check.advice else F.concat(*parts)
