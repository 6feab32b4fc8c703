"""Expectations that Great Expectations lacks: a row condition in SQL, and a key checked within the same Spark pass.

Importing this imports Great Expectations (3-4 s) and registers both with it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation, ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import ColumnMapMetricProvider, column_condition_partial
from great_expectations.expectations.metrics.metric_provider import metric_partial
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from pyspark.sql import functions as F

KEY_DUPLICATES = "table.key_duplicates"


class ColumnValuesSatisfy(ColumnMapMetricProvider):
    condition_metric_name = "column_values.satisfy"
    condition_value_keys = ("condition",)

    @column_condition_partial(engine=SparkDFExecutionEngine)
    def _spark(cls, column: Any, condition: str, **_: Any) -> Any:  # noqa: N805 - Great Expectations passes the class
        return F.coalesce(F.expr(condition), F.lit(False))


class ExpectColumnValuesToSatisfy(ColumnMapExpectation):
    """Each row whose `column` is not null makes the SQL `condition` true. It may name other columns; null counts as false."""

    condition: str
    map_metric: ClassVar[str] = "column_values.satisfy"
    success_keys: ClassVar[tuple[str, ...]] = ("condition", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "condition")


class TableKeyDuplicates(TableMetricProvider):
    metric_name = KEY_DUPLICATES
    value_keys = ("column_list",)

    @metric_partial(
        engine=SparkDFExecutionEngine, partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN, domain_type=MetricDomainTypes.TABLE
    )
    def _spark(
        cls,  # noqa: N805 - Great Expectations passes the class
        execution_engine: Any,
        metric_domain_kwargs: Any,
        metric_value_kwargs: Any,
        metrics: Any,
        runtime_configuration: Any,
    ) -> tuple[Any, Any, Any]:
        key = F.struct(*metric_value_kwargs["column_list"])  # a struct of nulls is no null: such keys count too
        return F.count(F.lit(1)) - F.count_distinct(key), metric_domain_kwargs, {}


class ExpectKeyToBeUnique(BatchExpectation):
    """No two rows share the values of `column_list`. One aggregate of the common pass, where Great Expectations' own
    expect_compound_columns_to_be_unique needs a window and a pass of its own."""

    column_list: list[str]
    metric_dependencies: ClassVar[tuple[str, ...]] = (KEY_DUPLICATES, "table.row_count")
    success_keys: ClassVar[tuple[str, ...]] = ("column_list",)
    args_keys: ClassVar[tuple[str, ...]] = ("column_list",)

    def _validate(self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None) -> dict[str, Any]:
        duplicates = metrics[KEY_DUPLICATES] or 0
        return {"success": duplicates == 0, "result": {"observed_value": duplicates}}
