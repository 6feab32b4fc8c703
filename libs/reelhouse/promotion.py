"""What people decide on models: promote, reject, go back. Each is an event in ops.promotions; MLflow's aliases mirror them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.errors import ModelNotFoundError, NotFoundError, PromotionError
from reelhouse.lake import Lake
from reelhouse.live import SWITCHING, newest_served, searchable, serving_row, videos_lost, without
from reelhouse.run import Run
from reelhouse.training.champion import GATES, PASSED, PROMOTED, REJECTED, Champions, champions_of
from reelhouse.vectors import KINDS, collection_name

if TYPE_CHECKING:
    from pyspark.sql import Row

    from reelhouse.registry import RegisteredModel, Registry

CANDIDATE, CHAMPION, PREVIOUS = "candidate", "champion", "previous"


def newest_day(lake: Lake) -> dt.date:
    """The day from which a decision holds unless another is given: the newest that was run. NotFoundError where none was."""
    from pyspark.sql import functions as F

    newest: dt.date | None = lake.read(tables.RUNS).agg(F.max("data_date")).collect()[0][0]
    if newest is None:
        raise NotFoundError(f"nothing was run yet in {lake.root}, so there is no model to decide on; `reelhouse daily` runs a day")
    return newest


def overview(lake: Lake, registry: Registry) -> list[tuple[str, int, str, str, float | None, int | None, str, str]]:
    """One line a registered model, the newest first: version, MLflow's number, day that it was trained for, aliases, accuracy and
    rows of its last evaluation, the last decision on it, and since when readers see it, if they do."""
    from pyspark.sql import functions as F

    of_all = lake.read(tables.EVALUATIONS).where("slice = 'all' and metric = 'accuracy'").orderBy("data_date")
    evaluated = {r.model_version: r for r in of_all.toLocalIterator()}
    in_order = lake.read(tables.PROMOTIONS).orderBy("data_date", F.col("decided_by") != GATES, "decided_at", "decision")
    decided = {r.model_version: r for r in in_order.toLocalIterator()}
    serving = lake.read(tables.SERVING).orderBy(F.desc("data_date")).head()
    lines = []
    for model in registry.models():
        version, figures, last = model.model_version, evaluated.get(model.model_version), decided.get(model.model_version)
        seen = f"yes, as of {serving.data_date}" if serving and serving.model_version == version else ""
        word = f"{last.decision} by {last.decided_by} on {last.data_date}" if last else ""
        accuracy, rows = (figures.value, figures.rows) if figures else (None, None)
        lines.append((version, model.number, model.data_date, ", ".join(model.aliases), accuracy, rows, word, seen))
    return lines


def mirror(run: Run) -> None:
    """Make MLflow's aliases say what the decisions say, those of later days too: MLflow knows no days."""
    champions, registry = champions_of(run.ever(tables.PROMOTIONS)), run.registry
    if champions.rejected and registry.version_of_alias(CANDIDATE) in champions.rejected:  # train set it again, or it was rolled back
        registry.remove_alias(CANDIDATE)
    for alias, version in ((CHAMPION, champions.champion), (PREVIOUS, champions.previous)):
        if version and registry.exists(version):
            registry.set_alias(alias, version)
        else:
            registry.remove_alias(alias)


def promote(run: Run, version: str, by: str, reason: str, *, force: bool = False) -> str:
    """From the run's day on the version is the champion: the next predict scores every video by it, while readers keep what they have
    until it is complete. Returns what was done, in words.

    PromotionError where the gates refused the version or never saw it, unless forced; ModelNotFoundError if it is not registered.
    """
    with run.lock(SWITCHING):
        _check_newest(run)
        registered = _registered(run, version)
        champions = _champions(run)
        if champions.champion == version:
            _record(run, by, [])  # a promotion that was cut off after its commit is not in the ledger, so that predict would not run
            mirror(run)
            return f"{version} is the champion already"
        gates = _gates_on(run, version)
        if not force and (gates is None or gates.decision not in (PROMOTED, PASSED)):
            said = f"refused it on {gates.data_date}: {gates.reason}" if gates else "never judged it"
            raise PromotionError(f"{version} was not promoted: the gates {said}. To promote it all the same, add --force and a --reason.")
        held = f"gates of {gates.data_date}: {gates.decision}, {gates.reason}" if gates else "the gates never judged it"
        _record(run, by, [(version, registered.snapshot_id, PROMOTED, champions.champion, f"{reason or 'no reason given'} ({held})")])
        mirror(run)
        seen = newest_served(run.ever(tables.SERVING)) or "nothing"
    return (
        f"{version} is the champion from {run.date} on, decided by {by}. Readers see {seen} until `reelhouse daily --date {run.date}`, or "
        "the next day's run, has scored every video by it"
    )


def reject(run: Run, version: str, by: str, reason: str) -> str:
    """The gates leave the version alone from now on. PromotionError for the champion, which a rollback replaces."""
    with run.lock(SWITCHING):
        _check_newest(run)
        registered, champions = _registered(run, version), _champions(run)
        if champions.champion == version:
            raise PromotionError(f"{version} is the champion; `reelhouse models rollback` goes back to the one before and rejects it")
        _record(run, by, [(version, registered.snapshot_id, REJECTED, champions.champion, reason or "no reason given")])
        mirror(run)
    return f"{version} is rejected by {by}: the gates will not promote it"


def rollback(run: Run, by: str, reason: str, *, force: bool = False) -> str:
    """Readers go back to the champion before, by one commit of ops.serving; the present one is rejected. Returns what was done.

    PromotionError where there is none before, where its collections are gone from a server; unless forced, where its file is gone or
    readers would miss videos by it.
    """
    with run.lock(SWITCHING):
        _check_person(by)
        _check_newest(run)
        champions = _champions(run)
        bad, good = champions.champion, champions.previous
        if bad is None or good is None:
            raise PromotionError(f"there is no champion before {bad or 'the first'} to go back to; `reelhouse models list` shows them all")
        embeddings = run.current(tables.EMBEDDINGS)
        if run.vectors.is_server and not all(run.vectors.is_current(kind.name, good) for kind in KINDS):
            raise PromotionError(f"readers stay with {bad}: Milvus holds no vectors of {good}. Run load_vectors for {run.date} again")
        if not force and not run.registry.exists(good):
            raise PromotionError(
                f"readers stay with {bad}: the file of {good} is gone, so that it can't score new videos. Train it again, or add --force "
                "to go back all the same."
            )
        if not force and (holes := _holes(run, good)):
            days = (run.date - champions.since).days if champions.since else 0
            again = f" with --set serving.previous_days={days}" if days > run.settings.serving.previous_days else ""
            raise PromotionError(
                f"readers stay with {bad}: {good} lacks {holes}. Run predict, load_vectors and reconcile for {run.date} again{again} "
                "(the champion before scores new videos for serving.previous_days), or add --force to go back all the same."
            )
        snapshots = {m.model_version: m.snapshot_id for m in run.registry.models()}
        why = reason or "no reason given"
        decided = [(bad, REJECTED, f"rolled back: {why}"), (good, PROMOTED, f"rolled back from {bad}: {why}")]
        videos = searchable(embeddings, good).count()
        run.publish(tables.SERVING, serving_row(run.spark, good, videos))
        for kind in KINDS:
            run.vectors.point_alias(kind.name, good)
        # last: what was cut off before can be asked for once more, and means the same two models
        _record(run, by, [(version, snapshots.get(version, "unknown"), what, bad, text) for version, what, text in decided])
        mirror(run)
    return f"readers see {good} on {videos:,} videos from now on; {bad} is rejected by {by}"


def _holes(run: Run, version: str) -> str:
    """What readers would miss by a version, in words; empty where nothing."""
    embeddings, served = run.current(tables.EMBEDDINGS), newest_served(run.upto(tables.SERVING))
    missing = {f"in {t.name}": without(embeddings, run.current(t), version) for t in (tables.HASHES, tables.PREDICTIONS)}
    if served and served != version:
        missing[f"that {served} has"] = videos_lost(embeddings, served, version).count()
    found = [f"{count} videos {where}" for where, count in missing.items() if count]
    for kind in KINDS:
        wanted, held = (run.vectors.count(kind.name, v) if v and run.vectors.exists(kind.name, v) else 0 for v in (served, version))
        if held < wanted:
            found.append(f"{wanted - held} rows of {collection_name(kind.name, version)}")
    return ", ".join(found)


def _check_newest(run: Run) -> None:
    """PromotionError for a day after which more was decided or served: readers would not see what is decided for it now."""
    from pyspark.sql import functions as F

    days = [run.ever(table).agg(F.max("data_date")).collect()[0][0] for table in (tables.PROMOTIONS, tables.SERVING)]
    newest = max((day for day in days if day), default=run.date)
    if newest > run.date:
        raise PromotionError(
            f"what is decided for {run.date} would be overruled by what was decided or served on {newest}: leave --date out"
        )


def _champions(run: Run) -> Champions:
    return champions_of(run.upto(tables.PROMOTIONS))


def _registered(run: Run, version: str) -> RegisteredModel:
    models = run.registry.models()
    for model in models:
        if model.model_version == version:
            return model
    known = ", ".join(sorted(m.model_version for m in models)) or "none"
    raise ModelNotFoundError(f"no model {version} is registered; there are: {known}. `reelhouse models list` shows them")


def _gates_on(run: Run, version: str) -> Row | None:
    """What the gates said of the version last."""
    from pyspark.sql import functions as F

    said = run.upto(tables.PROMOTIONS).where((F.col("model_version") == version) & (F.col("decided_by") == GATES))
    return said.orderBy(F.desc("data_date")).head()


def _check_person(by: str) -> None:
    if by == GATES or not by.strip():
        raise PromotionError(f"--by wants the name of a person, got {by!r}")


def _record(run: Run, by: str, decisions: list[tuple[str, str, str, str | None, str]]) -> None:
    """Add events to what the person decided on the day. decisions: model_version, snapshot_id, decision, previous_version, reason."""
    from pyspark.sql import functions as F

    _check_person(by)
    of_day = run.day(tables.PROMOTIONS)
    newest = of_day.agg(F.max("decided_at")).collect()[0][0]
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    if newest and now <= newest:  # the clock was set back, or another machine's is ahead: what is said last is the last word all the same
        now = newest + dt.timedelta(microseconds=1)
    rows = [
        (version, snapshot, decision, by, now + dt.timedelta(microseconds=place), before, reason, run.date)
        for place, (version, snapshot, decision, before, reason) in enumerate(decisions)
    ]
    earlier = of_day.where(F.col("decided_by") == by)
    events = earlier.union(run.spark.createDataFrame(rows, tables.PROMOTIONS.spark_schema()))
    run.publish(tables.PROMOTIONS, events.localCheckpoint(), decided_by=by)
