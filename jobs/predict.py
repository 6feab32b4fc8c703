"""Say what each new or changed video is: classes, embedding and hash, by the champion; without one, pooled encoder vectors.

A new champion says it of every video. The version that readers see until then, and the champion before for some days
(serving.previous_days), say it of the new videos too, so that readers lack nothing and a rollback has no holes. Where the day runs
again and comes to another champion, the rows of the one that readers see stay until serve has switched them.

Reads   silver.features, silver.text_features (as of the day), silver.video_text (the day), gold.embeddings (before the day),
        ops.promotions (as of the day), ops.serving (before the day), the models
Writes  gold.predictions, gold.embeddings, gold.hashes, the slice of the day and the model_version; MLflow's aliases
        `champion` and `previous`, which mirror ops.promotions
Rerun   safe: the same inputs give the same rows
Launch  reelhouse job predict --date 2026-01-02
"""

from collections.abc import Iterable
from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.features import UNTRAINED, Layout, as_matrix, assemble, layout_of, pooled_vectors
from reelhouse.live import SWITCHING, kept_ready, newest_served, served_before
from reelhouse.models import load, sign_hashes
from reelhouse.models.inference import CLASSES, predict
from reelhouse.promotion import mirror
from reelhouse.run import Run
from reelhouse.training.champion import champions_of

MODALITY_TABLES = (tables.FEATURES, tables.TEXT_FEATURES)


def inputs(run: Run) -> dict[str, str]:
    return {"taxonomy": run.taxonomy(run.settings.training.task).version}


def main(run: Run) -> None:
    run.input("taxonomy", run.taxonomy(run.settings.training.task).version)
    if seen := newest_served(run.ever(tables.SERVING)):
        run.spare(model_version=seen)
    features, text_features = (run.current(table) for table in MODALITY_TABLES)
    champions, newest = champions_of(run.upto(tables.PROMOTIONS)), layout_of(features, text_features)
    if not champions.champion and not newest.parts:
        run.aside("there are no features to predict from")
    version = champions.champion or f"{UNTRAINED}{newest.id}"
    run.input("model", version)
    if not champions.champion:
        run.note("no champion yet: pooled encoder vectors")
    known = run.previous(tables.EMBEDDINGS)
    changed = [run.day(table).select("video_id") for table in (*MODALITY_TABLES, tables.VIDEO_TEXT)]
    others = [v for v in kept_ready(champions, served_before(run), run.date, run.settings.serving.previous_days) if v != version]
    frames = []
    for each in (version, *others):
        if each != version and not can_score(run, each, newest):
            continue
        # cut off from gold.embeddings: writing that table would drop what is kept of all that rests on it
        wanted = to_predict(features, text_features, known.where(F.col("model_version") == each), changed).localCheckpoint()
        new, new_text = (frame.join(wanted, on="video_id", how="left_semi") for frame in (features, text_features))
        frames.append((each, run.keep(predicted_by(run, each, new, new_text, newest))))
    with run.lock(SWITCHING):
        mirror(run)
    publish(run, frames)


def can_score(run: Run, version: str, newest: Layout) -> bool:
    """Whether a version that is only kept ready can still be asked; if not, the day says so and goes on without it."""
    there = version == f"{UNTRAINED}{newest.id}" if version.startswith(UNTRAINED) else run.registry.exists(version)
    if not there:
        run.note(f"{version} can't score new videos any more: its encoders or its file are gone; a rollback to it would lack them")
    return there


def predicted_by(run: Run, version: str, new: DataFrame, new_text: DataFrame, newest: Layout) -> DataFrame:
    """What the version says of the videos in `new` and `new_text`: video_id, task, top, entropy, vector, hash."""
    if version.startswith(UNTRAINED):
        vectors = pooled_vectors(new, new_text, newest)
        return without_model(vectors, sum(part.dimension for part in newest.parts)).withColumn("task", F.lit(run.settings.training.task))
    content = run.registry.load(version)
    config = load(content).config
    warn_of_other_encoders(run, version, config.layout, newest)
    steps = {"visual_steps": config.layout.steps("visual"), "audio_steps": config.layout.steps("audio")}
    taxonomy = run.taxonomy(run.settings.training.task)
    paths = {label_id: taxonomy.path(label_id) for label_id in taxonomy.ids}
    paths |= {old: paths[move.to] for old, move in taxonomy.moves.items() if move.to}  # classes of a model from before a migration
    rows = assemble(new, new_text, config.layout, **steps)
    return predict(rows, run.spark.sparkContext.broadcast(content), paths).withColumn("task", F.lit(config.task))


def to_predict(features: DataFrame, text_features: DataFrame, known: DataFrame, changed: Iterable[DataFrame]) -> DataFrame:
    """video_id of the videos that this model has not seen, and of those that came today or whose features did."""
    everything = features.select("video_id").union(text_features.select("video_id"))
    unseen = everything.join(known.select("video_id"), on="video_id", how="left_anti")
    return reduce(DataFrame.union, changed, unseen).distinct()


def without_model(vectors: DataFrame, dimension: int) -> DataFrame:
    """Embeddings and hashes in the shape of a model's predictions; no classes."""

    def over(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            codes = sign_hashes(as_matrix(batch["vector"], dimension))
            hashes = pa.array([code.tobytes() for code in codes], pa.binary())
            yield pa.RecordBatch.from_arrays([batch["video_id"], batch["vector"], hashes], ["video_id", "vector", "hash"])

    hashed = vectors.mapInArrow(over, "video_id string, vector array<float>, hash binary")
    nothing = F.lit(None).cast(CLASSES).alias("top"), F.lit(None).cast("double").alias("entropy")
    return hashed.select("video_id", *nothing, "vector", "hash")


def warn_of_other_encoders(run: Run, version: str, own: Layout, newest: Layout) -> None:
    """A model of older encoders can't see the new videos in the modalities whose encoder changed: say so, do not hide it."""
    stale = [p.modality for p in own.parts if (n := newest.part(p.modality)) is None or n.encoder_id != p.encoder_id]
    run.metric("modalities_of_older_encoders", max(len(stale), run.record.metrics.get("modalities_of_older_encoders", 0)))
    if stale:
        run.note(f"{version} knows older encoders of {', '.join(stale)}: of new videos it sees the rest only; train anew")


def publish(run: Run, frames: list[tuple[str, DataFrame]]) -> None:
    """One slice a version, the first version's last: while it is not whole, nothing of it is served."""
    run.metric("videos", frames[0][1].count())
    for version, predicted in reversed(frames):
        predictions = predicted.where(F.col("top").isNotNull()).select("video_id", "task", "top", "entropy")
        run.publish(tables.PREDICTIONS, predictions, model_version=version)
        run.publish(tables.HASHES, predicted.select("video_id", "hash"), model_version=version)
        run.publish(tables.EMBEDDINGS, predicted.select("video_id", "vector"), model_version=version)
