"""Judge the day's candidate against the champion on the frozen evaluation rows, slice by slice, and promote it if all gates hold.

Reads   gold.training_snapshots, gold.training_examples (the day), silver.features, silver.text_features, silver.videos (as of the day),
        gold.sample_batch, gold.active_batch, ops.promotions (before the day; what people decided also on it), the model registry
Writes  gold.evaluations, gold.comparisons, one day, replaced whole; ops.promotions, what the gates decided on the day; the model's card
Rerun   safe: the same inputs give the same rows; what people decided stays
Launch  reelhouse job evaluate --date 2026-01-02
"""

import datetime as dt
from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.judging import Judged, judge, snapshot_of
from reelhouse.run import Run
from reelhouse.training.card import Evaluated, model_card
from reelhouse.training.champion import GATES, PASSED, PROMOTED, Champions, champions_of
from reelhouse.training.fit import SnapshotFacts
from reelhouse.training.gates import Comparison, decide
from reelhouse.training.version import version_of


def main(run: Run) -> None:
    snapshot = snapshot_of(run)
    if snapshot is None:
        run.aside("there is no training snapshot for the day, so no candidate")
    candidate, champions = version_of(snapshot.snapshot_id, run.settings.training), champions_of(run.before(tables.PROMOTIONS))
    champion = champions.champion
    run.input("model", candidate)
    judged = judge(run, snapshot, [candidate, champion] if champion else [candidate])
    compared = judged.compared(candidate, champion, run.settings.gates, run.seed) if champion and champion != candidate else None
    run.publish(tables.EVALUATIONS, evaluations(run, judged))
    run.publish(tables.COMPARISONS, comparisons(run, candidate, champion, compared or []))
    run.metric("baseline_accuracy", judged.baseline)
    if "all" in judged.figures[candidate]:
        run.metric("accuracy", judged.figures[candidate]["all"].accuracy)
    settle(run, snapshot, candidate, champions, judged, compared)
    evaluated = Evaluated(run.date, judged.figures[candidate], judged.baseline, champion, compared or [])
    run.registry.describe(candidate, model_card(candidate, snapshot, run.settings.training, evaluated))


def settle(
    run: Run, snapshot: SnapshotFacts, candidate: str, champions: Champions, judged: Judged, compared: Sequence[Comparison] | None
) -> None:
    """Writes what the gates decide; nothing when the model is the champion already. One that a person rejected, or promoted another in
    place of, is at most `passed`: a person may bring it back."""
    rows = []
    rejected = champions_of(run.upto(tables.PROMOTIONS).where(F.col("decided_by") != GATES)).rejected
    if candidate == champions.champion:
        run.note(f"the model is that of the day before: {candidate} stays champion")
    else:
        decision = decide(judged.figures[candidate], compared, judged.baseline, run.settings.gates)
        said = decision.decision
        if said == PROMOTED and candidate in rejected | champions.replaced:
            said = PASSED
            how = "rejected" if candidate in rejected else "replaced"
            run.note(f"{candidate} was {how} by a person and stays out; `reelhouse models promote` would bring it back")
        run.note(f"model {candidate} {said}: {decision.reason}")
        midnight = dt.datetime.combine(run.date, dt.time())
        rows = [(candidate, snapshot.snapshot_id, said, GATES, midnight, champions.champion, decision.reason, run.date)]
    run.publish(tables.PROMOTIONS, run.spark.createDataFrame(rows, tables.PROMOTIONS.spark_schema()), decided_by=GATES)


def evaluations(run: Run, judged: Judged) -> DataFrame:
    rows = [
        (version, name, metric, float(getattr(of_slice, metric)), of_slice.rows, run.date)
        for version, by_slice in judged.figures.items()
        for name, of_slice in by_slice.items()
        for metric in ("accuracy", "macro_recall", "log_loss")
    ]
    return run.spark.createDataFrame(rows, tables.EVALUATIONS.spark_schema())


def comparisons(run: Run, candidate: str, champion: str | None, compared: Sequence[Comparison]) -> DataFrame:
    rows = [
        (candidate, champion, c.slice, c.rows, c.candidate, c.champion, c.difference, c.low, c.high, c.limit, c.outcome, run.date)
        for c in compared
    ]
    return run.spark.createDataFrame(rows, tables.COMPARISONS.spark_schema())
