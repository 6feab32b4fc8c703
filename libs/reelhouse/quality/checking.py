"""Great Expectations' Spark engine, driven so that all aggregates of a suite are computed in one pass over the rows.

Great Expectations' own validator resolves its graph of metrics level by level and makes a pass a level; here everything
that needs no data is resolved first and kept for the next audit of the table; the aggregates that remain go into one bundle.
Meaning and verdicts stay its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from great_expectations.core.metric_function_types import MetricPartialFunctionTypeSuffixes
from great_expectations.core.result_format import ResultFormat
from great_expectations.exceptions import GreatExpectationsError
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.validator.validation_graph import MetricEdge, ValidationGraph
from pyspark.errors import AnalysisException

from reelhouse.errors import AuditError
from reelhouse.quality.suites import Check, Suite

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ROW_COUNT = "table.row_count"
NEEDS_NO_ROWS = ("table.columns", "table.column_types", *(f".{suffix.value}" for suffix in MetricPartialFunctionTypeSuffixes))
BOOLEAN = {"result_format": {"result_format": ResultFormat.BOOLEAN_ONLY}}
OBSERVED = {"result_format": {"result_format": ResultFormat.BASIC}}  # for a check of the table: what was found is told too


@dataclass(frozen=True)
class Verdict:
    """`failed` counts the rows at fault (0 where only the table can be blamed). `broken` is true for such rows, if known."""

    check: Check
    passed: bool
    failed: int
    broken: Column | None
    observed: Any


class OnePassEngine(SparkDFExecutionEngine):
    """Fails on the first error of Spark, where its parent would compute each metric again, one by one."""

    error: Exception | None = None

    def resolve_metric_bundle(self, metric_fn_bundle: Iterable[Any]) -> dict[Any, Any]:
        if self.error is not None:
            raise self.error
        try:
            return super().resolve_metric_bundle(metric_fn_bundle)
        except Exception as error:
            self.error = error
            raise


@dataclass(frozen=True)
class Plan:
    """A suite as Great Expectations works through it: what each check needs, and the values (conditions, aggregates to be
    computed) that are the same whatever the rows."""

    dependencies: list[Any]
    edges: list[MetricEdge]
    values: dict[Any, Any]


_plans: WeakKeyDictionary[Suite, tuple[Any, Plan]] = WeakKeyDictionary()


def run_checks(suite: Suite, rows: DataFrame) -> tuple[list[Verdict], int]:
    """The verdict on each check, and how many rows there are.

    AuditError when Great Expectations can't compute a check (a condition that is no SQL, for instance); an error of Spark
    while it computes the rows is raised as it is.
    """
    engine = OnePassEngine(spark=rows.sparkSession, persist=False)
    engine.load_batch_data("rows", rows)
    try:
        plan = _plan(suite, engine)
        values = _resolve(plan.edges, engine, plan.values)
    except GreatExpectationsError as error:
        if engine.error is not None and not isinstance(
            engine.error, AnalysisException
        ):  # the rows are analysed already: a condition is not
            raise engine.error from None
        raise AuditError(f"{suite.table}: a check can't be computed: {error}\nCorrect conf/expectations/{suite.table}.yml.") from error
    metrics = {edge.left.id: edge.left for edge in plan.edges}
    verdicts = [_verdict(check, d, engine, metrics, values) for check, d in zip(suite.checks, plan.dependencies, strict=True)]
    count = next((v for id, v in values.items() if id[0] == ROW_COUNT), 0)
    return verdicts, int(count or 0)


def _plan(suite: Suite, engine: OnePassEngine) -> Plan:
    known = _plans.get(suite)
    if known and known[0] is engine.spark:
        return known[1]
    graph = ValidationGraph(execution_engine=engine)
    needed = [c.expectation.get_validation_dependencies(engine, runtime_configuration=BOOLEAN) for c in suite.checks]
    for dependencies in needed:
        for metric in dependencies.get_metric_configurations():
            graph.build_metric_dependency_graph(metric, runtime_configuration=BOOLEAN)
    edges = _without_idle_waits(graph.edges)
    values: dict[Any, Any] = {}
    while waiting := [m for m in _ready(edges, values) if m.metric_name.endswith(NEEDS_NO_ROWS)]:
        values.update(engine.resolve_metrics(waiting, metrics=values))
    plan = Plan(needed, edges, values)
    _plans[suite] = engine.spark, plan
    return plan


def _without_idle_waits(edges: Sequence[MetricEdge]) -> list[MetricEdge]:
    """The edges, less those from a column's condition to the row count: each is declared to wait for the count, none reads it."""
    kept = []
    for edge in edges:
        if edge.left.metric_name.startswith("column_values.") and edge.right is not None and edge.right.metric_name == ROW_COUNT:
            edge.left.metric_dependencies.pop(ROW_COUNT, None)
        else:
            kept.append(edge)
    return kept


def _resolve(edges: Sequence[MetricEdge], engine: OnePassEngine, known: dict[Any, Any]) -> dict[Any, Any]:
    """Values of all metrics of the graph. What needs no pass over the rows comes first, so that the rest shares one."""
    values = dict(known)
    while waiting := _ready(edges, values):
        partial = [m for m in waiting if "metric_partial_fn" not in (m.metric_dependencies or {})]
        values.update(engine.resolve_metrics(partial or waiting, metrics=values))
    return values


def _ready(edges: Sequence[MetricEdge], values: dict[Any, Any]) -> list[Any]:
    open_metrics = {edge.left.id: edge.left for edge in edges if edge.left.id not in values}
    blocked = {edge.left.id for edge in edges if edge.right is not None and edge.right.id not in values}
    return [metric for id, metric in open_metrics.items() if id not in blocked]


def _verdict(check: Check, dependencies: Any, engine: OnePassEngine, metrics: dict[Any, Any], values: dict[Any, Any]) -> Verdict:
    wanted = BOOLEAN if hasattr(check.expectation, "map_metric") else OBSERVED
    result = check.expectation.metrics_validate(values, runtime_configuration=wanted, execution_engine=engine)
    failed, broken = 0, None
    if check.by_row:
        name = f"{check.expectation.map_metric}.unexpected_count"
        metric = metrics[dependencies.metric_configurations[name].id]
        failed = int(values[metric.id] or 0)
        if not result.success:
            broken = _row_condition(metric, metrics, values)
    return Verdict(check, bool(result.success), failed, broken, (result.result or {}).get("observed_value"))


def _row_condition(metric: Any, metrics: dict[Any, Any], values: dict[Any, Any]) -> Column | None:
    """Great Expectations' own condition for a row at fault; None where it holds for a part of the rows only."""
    while "unexpected_condition" not in metric.metric_dependencies:
        metric = metrics[metric.metric_dependencies["metric_partial_fn"].id]
    condition, domain, _ = values[metric.metric_dependencies["unexpected_condition"].id]
    return None if domain.get("filter_conditions") else condition
