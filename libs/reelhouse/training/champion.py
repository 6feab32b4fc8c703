"""Which models count on a day: folded from ops.promotions, never from MLflow, so that a day can be replayed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

GATES = "gates"  # decided_by, where no person did
PROMOTED, REFUSED, PASSED, REJECTED = "promoted", "refused", "passed", "rejected"
_DECISIONS_MAX = 10_000  # one a day by the gates, and what people say: the newest so many are read


@dataclass(frozen=True)
class Champions:
    """line: versions that were promoted and not rejected since, each with its day, the champion last. rejected: by a person, so that
    the gates leave them alone; replaced: as well, since a person promoted another in their place."""

    line: tuple[tuple[str, dt.date], ...] = ()
    rejected: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()

    @property
    def champion(self) -> str | None:
        return self.line[-1][0] if self.line else None

    @property
    def previous(self) -> str | None:
        """What a rollback goes back to."""
        return self.line[-2][0] if len(self.line) > 1 else None

    @property
    def since(self) -> dt.date | None:
        """The day from which the champion is that."""
        return self.line[-1][1] if self.line else None


def champions_of(promotions: DataFrame) -> Champions:
    """Fold decisions in order of time; on one day the gates come first, so that a person has the last word."""
    from pyspark.sql import functions as F

    counted = promotions.where(F.col("decision").isin(PROMOTED, REJECTED))
    newest_first = counted.orderBy(F.desc("data_date"), F.col("decided_by") == GATES, F.desc("decided_at"), "decision", "model_version")
    rows = newest_first.limit(_DECISIONS_MAX).collect()
    return fold((r.model_version, r.decision, r.decided_by, r.data_date) for r in reversed(rows))


def fold(decisions: Iterable[tuple[str, str, str, dt.date]]) -> Champions:
    """decisions: (model_version, decision, decided_by, day), the oldest first."""
    line: list[tuple[str, dt.date]] = []
    rejected: set[str] = set()
    replaced: set[str] = set()
    for version, decision, decided_by, day in decisions:
        if decision == PROMOTED and decided_by == GATES and version in rejected:
            continue  # the gates were asked before the person was
        line = [entry for entry in line if entry[0] != version]
        if decision == PROMOTED:
            replaced |= {other for other, _ in line} if decided_by != GATES else set()
            replaced.discard(version)
            line.append((version, day))
            rejected.discard(version)
        else:
            rejected.add(version)
    return Champions(tuple(line), frozenset(rejected), frozenset(replaced))


def champion_of(promotions: DataFrame) -> str | None:
    """The model_version of the champion; None where none was promoted."""
    return champions_of(promotions).champion
