"""Turn the day's texts into vectors; fit the text encoder anew when the texts have outgrown it.

Reads   silver.video_text (the day; all current texts when the encoder is fitted), silver.text_encoders (the days before)
Writes  silver.text_encoders (only when newly fitted), silver.text_features: the day's texts, or all current ones by a new encoder
Rerun   safe: the same inputs give the same encoder_id and, up to rounding, the same vectors
Launch  reelhouse job embed_text --date 2026-01-02
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.run import Run
from reelhouse.sampling.candidates import keep_at_most
from reelhouse.sections import TextSettings
from reelhouse.text.encoder import TextEncoder
from reelhouse.text.frames import with_text_vectors

SEED = 7  # part of encoder_id; one for all days, so that the same texts give the same encoder


def with_text(texts: DataFrame) -> DataFrame:
    return texts.where(F.col("text") != "")


def newest(encoders: DataFrame) -> TextEncoder | None:
    """The encoder of the latest day (of several on a day, the last by id)."""
    row = encoders.orderBy(F.desc("data_date"), F.desc("encoder_id")).select("parameters").first()
    return TextEncoder.from_bytes(bytes(row["parameters"])) if row else None


def is_outgrown(encoder: TextEncoder | None, texts: int, settings: TextSettings) -> bool:
    """Whether `texts` texts call for a new encoder: none yet, other sizes set, or refit_growth times what it was fitted on."""
    if encoder is None or not encoder.fits(dimension=settings.vector_dimension, buckets=settings.hash_buckets):
        return texts > 0
    return min(texts, settings.fit_rows_max) > settings.refit_growth * encoder.fitted_on


def fit(texts: DataFrame, settings: TextSettings) -> TextEncoder:
    """Fit on at most fit_rows_max texts, those of the smallest hash of video_id."""
    # no limit of ordered rows: to collect that brings as many from each partition to the driver
    chosen, _ = keep_at_most(texts.select("video_id", "text"), settings.fit_rows_max)
    corpus = [row["text"] for row in chosen.orderBy(F.xxhash64("video_id"), "video_id").select("text").collect()]
    return TextEncoder.fit(corpus, dimension=settings.vector_dimension, buckets=settings.hash_buckets, seed=SEED)


def build(texts: DataFrame, encoder: TextEncoder) -> DataFrame:
    return texts.transform(with_text_vectors(encoder))


def encoder_rows(encoder: TextEncoder | None, like: DataFrame) -> DataFrame:
    """One row of silver.text_encoders (without data_date), or none; `like` is a frame of that table."""
    values = [] if encoder is None else [(encoder.encoder_id, encoder.fitted_on, encoder.dimension, bytearray(encoder.to_bytes()))]
    return like.sparkSession.createDataFrame(values, like.select(*tables.TEXT_ENCODERS.undated).schema)


def main(run: Run) -> None:
    texts, encoders = with_text(run.current(tables.VIDEO_TEXT)), run.before(tables.TEXT_ENCODERS)
    encoder, fitted = newest(encoders), None
    if is_outgrown(encoder, texts.count(), run.settings.text):
        encoder = fitted = fit(texts, run.settings.text)
        run.note(f"fitted a new text encoder {fitted.encoder_id} on {fitted.fitted_on} texts: every current text gets a new vector")
    run.publish(tables.TEXT_ENCODERS, encoder_rows(fitted, encoders))
    if encoder is None:
        encoder = TextEncoder.fit([], dimension=run.settings.text.vector_dimension, buckets=run.settings.text.hash_buckets, seed=SEED)
    run.publish(tables.TEXT_FEATURES, build(texts if fitted else with_text(run.day(tables.VIDEO_TEXT)), encoder))
