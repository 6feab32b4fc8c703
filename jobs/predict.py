"""Say what each new or changed video is: classes, embedding and hash, by the champion; without one, pooled encoder vectors.

Reads   silver.features, silver.text_features (as of the day), silver.video_text (the day), gold.embeddings (before the day),
        ops.promotions (as of the day), the model
Writes  gold.predictions, gold.embeddings, gold.hashes, the slice of the day and the model_version; MLflow's alias `champion`,
        which mirrors ops.promotions
Rerun   safe: the same inputs give the same rows
Launch  reelhouse job predict --date 2026-01-02
"""

from collections.abc import Iterable
from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.features import UNTRAINED, Layout, assemble, layout_of, pooled_vectors
from reelhouse.models import load, sign_hashes
from reelhouse.models.inference import PREDICTED, predict
from reelhouse.run import Run
from reelhouse.training.champion import champion_of

CHAMPION = "champion"


def inputs(run: Run) -> dict[str, str]:
    return {"taxonomy": run.taxonomy(run.settings.training.task).version}


def main(run: Run) -> None:
    taxonomy = run.taxonomy(run.settings.training.task)
    run.input("taxonomy", taxonomy.version)
    features, text_features = run.current(tables.FEATURES), run.current(tables.TEXT_FEATURES)
    champion = champion_of(run.upto(tables.PROMOTIONS))
    newest = layout_of(features, text_features)
    if not champion and not newest.parts:
        run.aside("there are no features to predict from")
    version = champion or f"{UNTRAINED}{newest.id}"
    run.input("model", version)
    known = run.previous(tables.EMBEDDINGS).where(F.col("model_version") == version)
    changed = [run.day(table).select("video_id") for table in (tables.FEATURES, tables.TEXT_FEATURES, tables.VIDEO_TEXT)]
    wanted = run.keep(to_predict(features, text_features, known, changed))
    new, new_text = (frame.join(wanted, on="video_id", how="left_semi") for frame in (features, text_features))
    if champion:
        run.registry.set_alias(CHAMPION, champion)
        content = run.registry.load(champion)
        config = load(content).config
        warn_of_other_encoders(run, config.layout, newest)
        steps = {"visual_steps": config.layout.steps("visual"), "audio_steps": config.layout.steps("audio")}
        rows = assemble(new, new_text, config.layout, **steps)
        predicted = predict(rows, run.spark.sparkContext.broadcast(content), {i: taxonomy.path(i) for i in taxonomy.ids})
        task = config.task
    else:
        run.note("no champion yet: pooled encoder vectors")
        predicted, task = without_model(pooled_vectors(new, new_text, newest)), run.settings.training.task
    publish(run, run.keep(predicted), version, task)


def to_predict(features: DataFrame, text_features: DataFrame, known: DataFrame, changed: Iterable[DataFrame]) -> DataFrame:
    """video_id of the videos that this model has not seen, and of those that came today or whose features did."""
    everything = features.select("video_id").union(text_features.select("video_id"))
    unseen = everything.join(known.select("video_id"), on="video_id", how="left_anti")
    return reduce(DataFrame.union, changed, unseen).distinct()


def without_model(vectors: DataFrame) -> DataFrame:
    """Embeddings and hashes in the shape of a model's predictions; no classes."""

    columns = [part.split()[0] for part in PREDICTED.split(", ")]

    def over(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        for batch in batches:
            codes = sign_hashes(np.array(batch["vector"].to_list(), np.float32).reshape(len(batch), -1 if len(batch) else 0))
            yield batch.assign(top=None, entropy=None, hash=[c.tobytes() for c in codes])[columns]

    return vectors.mapInPandas(over, PREDICTED)


def warn_of_other_encoders(run: Run, own: Layout, newest: Layout) -> None:
    """A champion of older encoders can't see the new videos in the modalities whose encoder changed: say so, do not hide it."""
    stale = [p.modality for p in own.parts if (n := newest.part(p.modality)) is None or n.encoder_id != p.encoder_id]
    run.metric("modalities_of_older_encoders", len(stale))
    if stale:
        run.note(f"the champion knows older encoders of {', '.join(stale)}: of new videos it sees the rest only; train anew")


def publish(run: Run, predicted: DataFrame, version: str, task: str) -> None:
    has_classes = F.col("top").isNotNull()
    predictions = predicted.where(has_classes).select("video_id", F.lit(task).alias("task"), "top", "entropy")
    run.metric("videos", predicted.count())
    run.publish(tables.PREDICTIONS, predictions, model_version=version)
    run.publish(tables.HASHES, predicted.select("video_id", "hash"), model_version=version)
    # last: the rows were chosen by this table, so that Spark drops what it keeps of them when the table is written
    run.publish(tables.EMBEDDINGS, predicted.select("video_id", "vector"), model_version=version)
