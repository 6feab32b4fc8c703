"""Which model is the champion on a day: folded from ops.promotions, never from MLflow, so that a day can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def champion_of(promotions: DataFrame) -> str | None:
    """The model_version of the newest promotion among the rows; on one day a person's word comes before the gates'. None: no champion."""
    from pyspark.sql import functions as F

    promoted = promotions.where(F.col("decision") == "promoted")
    ordered = promoted.orderBy(F.desc("data_date"), F.col("decided_by") == "gates", "model_version")
    newest = ordered.select("model_version").head()
    return str(newest.model_version) if newest else None
