"""The same on Spark: silver.video_text from arrivals and OCR, silver.text_features from texts and an encoder."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.text.cleaning import Noise, clean, clean_hashtags, scrub
from reelhouse.text.encoder import TextEncoder
from reelhouse.text.meaning import meaningless_reason
from reelhouse.text.tokens import language_of, tokenize

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

_TEXTS = ("title", "caption", "cover_text", "asr_text")


def one_row_a_video(arrivals: DataFrame) -> DataFrame:
    """The texts that arrived, one row per video_id: of several batches the last (by name) that has the text; hashtags of all."""
    from pyspark.sql import functions as F

    last = [F.max(F.when(F.col(name).isNotNull(), F.struct("batch", name)))[name].alias(name) for name in _TEXTS]
    tags = F.flatten(F.transform(F.sort_array(F.collect_list(F.struct("batch", "hashtags"))), lambda s: s["hashtags"]))
    return arrivals.groupBy("video_id").agg(*last, tags.alias("hashtags"))


def lines_in_order(ocr: DataFrame) -> DataFrame:
    """video_id, ocr_lines: what was read, in order of frame and line."""
    from pyspark.sql import functions as F

    ordered = F.sort_array(F.collect_list(F.struct("frame_index", "line_index", "text")))
    return ocr.groupBy("video_id").agg(F.transform(ordered, lambda s: s["text"]).alias("ocr_lines"))


def with_clean_text(noise_tags: Iterable[str]) -> Callable[[DataFrame], DataFrame]:
    """Rows of texts as they arrived -> columns of silver.video_text without data_date, computed on the executors."""
    rules = tuple(noise_tags)

    def transform(texts: DataFrame) -> DataFrame:
        spread = texts.repartition(texts.sparkSession.sparkContext.defaultParallelism, "video_id")
        return spread.mapInPandas(functools.partial(_clean_batches, rules=rules), tables.VIDEO_TEXT.spark_schema("data_date"))

    return transform


def _clean_batches(batches: Iterator[pd.DataFrame], rules: tuple[str, ...]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    noise = Noise(rules)
    for batch in batches:
        rows = [clean_video(row, noise) for row in batch.to_dict("records")]
        yield pd.DataFrame(rows, columns=tables.VIDEO_TEXT.undated)


def clean_video(row: dict[str, Any], noise: Noise) -> dict[str, Any]:
    """One video's texts -> one row of silver.video_text. Keys of `row`: video_id, title, caption, hashtags, cover_text,
    asr_text, ocr_lines; any of the texts may be None."""
    title, caption = clean(row["title"], noise, hashtags="keep_words"), clean(row["caption"], noise)
    read = [clean(t, noise, hashtags="keep_words").text for t in [row["cover_text"], *_listed(row["ocr_lines"])]]
    read = list(dict.fromkeys(line for line in read if line))
    speech = clean(row["asr_text"], noise, hashtags="keep_words").text
    hashtags = clean_hashtags(_listed(row["hashtags"]), [*title.hashtags, *caption.hashtags], noise)
    reason = meaningless_reason(title.text)
    if reason == "empty" and scrub(row["title"] or ""):
        reason = "noise"  # links, mentions and platform tags only
    parts = [title.text, caption.text, *hashtags, *read, speech]
    text = "\n".join(p for p in parts if meaningless_reason(p) is None)
    return {
        "video_id": row["video_id"], "title": title.text or None, "caption": caption.text or None, "hashtags": hashtags,
        "ocr_text": "\n".join(read) or None, "asr_text": speech or None, "text": text, "tokens": tokenize(text),
        "language": language_of(text), "is_meaningful": bool(text), "meaningless_reason": reason,
    }  # fmt: skip


def _listed(values: Any) -> list[Any]:
    return [] if values is None or isinstance(values, float) else list(values)


def with_text_vectors(encoder: TextEncoder) -> Callable[[DataFrame], DataFrame]:
    """Rows with video_id and text -> columns of silver.text_features without data_date. Videos without text get no row.

    The encoder is broadcast as bytes and decoded once a Python worker.
    """
    encoder_id, dimension, content = encoder.encoder_id, encoder.dimension, encoder.to_bytes()
    digest = hashlib.sha256(content).hexdigest()

    def transform(texts: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        context = texts.sparkSession.sparkContext
        given = texts.where(F.col("text") != "").select("video_id", "text", F.sha2("text", 256).alias("source_sha256"))
        spread = given.repartition(context.defaultParallelism, "video_id")
        encode = functools.partial(_encode_batches, digest=digest, shipped=context.broadcast(content))
        return spread.mapInPandas(encode, "video_id string, source_sha256 string, values array<float>").select(
            "video_id", F.lit("text").alias("modality"), F.lit(encoder_id).alias("encoder_id"), "source_sha256",
            F.lit(1).alias("steps"), F.lit(dimension).alias("dimension"), "values",
        )  # fmt: skip

    return transform


def _encode_batches(batches: Iterator[pd.DataFrame], digest: str, shipped: Any) -> Iterator[pd.DataFrame]:

    for batch in batches:
        encoder = _decoded(digest, shipped)
        yield batch[["video_id", "source_sha256"]].assign(values=list(encoder.transform(batch["text"].tolist())))


_LOADED: dict[str, TextEncoder] = {}


def _decoded(digest: str, shipped: Any) -> TextEncoder:
    if digest not in _LOADED:
        _LOADED.clear()
        _LOADED[digest] = TextEncoder.from_bytes(shipped.value)
    return _LOADED[digest]
