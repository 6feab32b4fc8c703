"""What a density cluster is about, in words: those that its videos share and others lack. On Spark; only the answer is small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelhouse.tags.forms import STOP_WORDS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WORDS_MAX = 8  # words kept a cluster
_IN_A_NAME = 3
_VIDEOS_MIN = 2  # no word of one video only: it would say what that video is, and outlive its takedown
_NUMBER = r"^[\d.,]+$"


def characteristic_words(members: DataFrame, texts: DataFrame) -> DataFrame:
    """cluster_id, words array<string>: of each cluster its most characteristic words, best first, at most WORDS_MAX.

    members: video_id, cluster_id (null for noise), one row a video. texts: video_id, tokens, one row a video. A cluster whose videos
    share no such word has no row. Words are stop words and numbers never, and held by two of the cluster's videos at least, and by a
    larger share of them than of all videos.
    Source: Grootendorst 2022, "BERTopic", class-based TF-IDF: frequency in the class times log(1 + A / f), where f is the word's
    frequency in all classes and A the average number of words a class. Departures: videos that hold a word are counted, not how often
    they say it; what is in no cluster is one class more. Ties go by the word.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    named = members.select("video_id", F.coalesce("cluster_id", F.lit("")).alias("cluster_id"))
    said = texts.select("video_id", F.array_distinct("tokens").alias("tokens")).where(F.size("tokens") > 0)
    said = said.join(named, on="video_id", how="inner")
    videos = said.groupBy("cluster_id").agg(F.count(F.lit(1)).alias("videos"))
    words = said.select("cluster_id", F.explode("tokens").alias("word"))
    words = words.where(~F.col("word").rlike(_NUMBER) & ~F.col("word").isin(sorted(STOP_WORDS)))
    held = words.groupBy("cluster_id", "word").agg(F.count(F.lit(1)).alias("held"))
    of_word = held.groupBy("word").agg(F.sum("held").alias("held_by_all"))
    total = videos.agg(F.sum("videos").alias("all_videos"), F.count(F.lit(1)).alias("classes"))
    total = total.crossJoin(of_word.agg(F.sum("held_by_all").alias("all_words")))
    counted = held.where((F.col("cluster_id") != "") & (F.col("held") >= _VIDEOS_MIN)).join(of_word, on="word", how="inner")
    counted = counted.join(videos, on="cluster_id", how="inner").crossJoin(F.broadcast(total))
    share = F.col("held") / F.col("videos")
    rarity = F.log1p(F.col("all_words") / F.col("classes") / F.col("held_by_all"))
    above = counted.where(share > F.col("held_by_all") / F.col("all_videos")).withColumn("score", share * rarity)
    place = F.row_number().over(Window.partitionBy("cluster_id").orderBy(F.desc("score"), "word"))
    best = above.withColumn("place", place).where(F.col("place") <= WORDS_MAX)
    ranked = best.groupBy("cluster_id").agg(F.sort_array(F.collect_list(F.struct("place", "word"))).alias("ranked"))
    return ranked.select("cluster_id", F.col("ranked.word").alias("words"))


def name_of(cluster_id: str, words: list[str]) -> str:
    """What people call a cluster: its first words; its id where it has none."""
    return ", ".join(words[:_IN_A_NAME]) or cluster_id
