"""The same on Spark: documents and hashtags for the miners, tags of videos."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.tags.forms import LONGEST_TAG, normal_form, with_breaks
from reelhouse.tags.matching import TagMatcher
from reelhouse.text import meaningless_reason, segments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame


def documents(texts: DataFrame, texts_max: int) -> DataFrame:
    """video_id and its tokens with breaks, by video_id: at most texts_max videos, those of the smallest hash of video_id.

    A stretch that is just one of the video's hashtags is left out: it says that the phrase is a tag, not how it is used.
    """
    from pyspark.sql import functions as F

    some = texts.where(F.col("text") != "").orderBy(F.xxhash64("video_id"), "video_id").limit(texts_max)
    tasks = some.sparkSession.sparkContext.defaultParallelism
    columns = some.select("video_id", "text", "tokens", "hashtags").repartition(tasks, "video_id")
    return columns.mapInPandas(_document_batches, "video_id string, tokens array<string>").orderBy("video_id")


def _document_batches(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    for batch in batches:
        tokens = [
            with_breaks(segments(text, list(words)), frozenset(normal_form(h) for h in hashtags))
            for text, words, hashtags in zip(batch["text"], batch["tokens"], batch["hashtags"], strict=True)
        ]
        yield pd.DataFrame({"video_id": batch["video_id"], "tokens": tokens})


def hashtag_videos(texts: DataFrame, minimum: int, tags_max: int) -> dict[str, int]:
    """Normal form of each meaningful hashtag that at least `minimum` videos carry -> how many videos. Of more than tags_max such
    hashtags those on most videos, ties by normal form."""
    from pyspark.sql import functions as F

    spelled = texts.select("video_id", F.explode("hashtags").alias("hashtag"))
    counted = spelled.groupBy(F.lower("hashtag").alias("hashtag")).agg(F.countDistinct("video_id").alias("videos"))
    # spellings of one tag are hardly ever on one video
    tags = counted.mapInPandas(_tag_batches, "tag string, videos bigint").groupBy("tag").agg(F.sum("videos").alias("videos"))
    most = tags.where(F.col("videos") >= minimum).orderBy(F.desc("videos"), "tag").limit(tags_max)
    return dict(sorted((row["tag"], row["videos"]) for row in most.collect()))


def _tag_batches(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for batch in batches:
        tags = [normal_form(h) if meaningless_reason(h) is None else "" for h in batch["hashtag"]]
        kept = [0 < len(tag) <= LONGEST_TAG for tag in tags]
        yield batch.assign(tag=tags).loc[kept, ["tag", "videos"]]


def with_tags(tags: Mapping[str, str]) -> Callable[[DataFrame], DataFrame]:
    """Rows of silver.video_text -> columns of gold.video_tags without data_date. tags: normal form -> tag_id.

    The tags are broadcast; each Python worker builds its matcher once a task.
    """

    def transform(texts: DataFrame) -> DataFrame:
        context = texts.sparkSession.sparkContext
        columns = texts.where("text != ''").select("video_id", "text", "tokens").repartition(context.defaultParallelism, "video_id")
        match = functools.partial(_match_batches, shipped=context.broadcast(dict(tags)))
        return columns.mapInPandas(match, "video_id string, tag_id string, tag string, position int, matches int")

    return transform


def _match_batches(batches: Iterator[pd.DataFrame], shipped: Any) -> Iterator[pd.DataFrame]:
    import pandas as pd

    matcher = TagMatcher(shipped.value)
    for batch in batches:
        rows = [
            (video_id, matcher.tag_id(tag), tag, position, matches)
            for video_id, text, words in zip(batch["video_id"], batch["text"], batch["tokens"], strict=True)
            for tag, (position, matches) in sorted(matcher.find(segments(text, list(words))).items())
        ]
        yield pd.DataFrame(rows, columns=tables.VIDEO_TAGS.undated)
