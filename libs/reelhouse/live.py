"""Which model versions are kept ready on a day: what becomes served, what is served until then, and what a rollback goes back to."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.features import UNTRAINED
from reelhouse.training.champion import Champions, champions_of
from reelhouse.vectors import EMBEDDING, HASH, ID_BYTES_MAX, KINDS, Kind, collection_name, wanted_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from reelhouse.run import Run


# Run.lock: held from reading which model is the champion to saying what readers see, so that nobody undoes another's switch
SWITCHING = "switching"


def kept_ready(champions: Champions, served: str | None, date: dt.date, previous_days: int) -> list[str]:
    """Versions besides the champion that new videos of the day are scored by: the one served before the day, as readers see it
    until the champion is complete, and the champion before, for `previous_days` days after it was replaced."""
    others = [served] if served else []
    if champions.previous and champions.since and (date - champions.since).days <= previous_days:
        others.append(champions.previous)
    return [version for version in dict.fromkeys(others) if version != champions.champion]


def served_before(run: Run) -> str | None:
    return newest_served(run.before(tables.SERVING))


def newest_served(serving: DataFrame) -> str | None:
    from pyspark.sql import functions as F

    row = serving.orderBy(F.desc("data_date")).select("model_version").head()
    return str(row.model_version) if row else None


def live_versions(run: Run) -> list[str]:
    """Versions whose rows predict keeps up to date on the run's day, those that have any; the first is the one to be served.

    Without a champion that is the newest set of encoders whose pooled vectors were published.
    """
    from pyspark.sql import functions as F

    champions = champions_of(run.upto(tables.PROMOTIONS))
    embeddings = run.upto(tables.EMBEDDINGS)
    newest = embeddings.groupBy("model_version").agg(F.max("data_date").alias("day")).orderBy(F.desc("day"), "model_version").collect()
    known = [str(row.model_version) for row in newest]
    first = champions.champion or next((version for version in known if version.startswith(UNTRAINED)), None)
    others = kept_ready(champions, served_before(run), run.date, run.settings.serving.previous_days)
    return [version for version in dict.fromkeys([first, *others]) if version and version in known]


def searchable(embeddings: DataFrame, version: str) -> DataFrame:
    """Videos with an embedding of the version; ids too long for Milvus were refused by load_vectors and are no reason to wait."""
    from pyspark.sql import functions as F

    return embeddings.where((F.col("model_version") == version) & (F.octet_length("video_id") <= ID_BYTES_MAX))


def without(embeddings: DataFrame, part: DataFrame, version: str) -> int:
    """How many of those videos have no row of the version in `part`."""
    there = part.where(part["model_version"] == version).select("video_id")
    return searchable(embeddings, version).join(there, on="video_id", how="left_anti").count()


def videos_lost(embeddings: DataFrame, served: str, version: str) -> DataFrame:
    """(video_id, data_date) of videos that would vanish from search if `version` were served in place of `served`."""
    fresh = searchable(embeddings, version).select("video_id")
    return searchable(embeddings, served).join(fresh, on="video_id", how="left_anti").select("video_id", "data_date")


def mirrored(run: Run, kind: Kind, version: str, *, of: DataFrame | None = None) -> DataFrame:
    """Rows of the kind's table that its collection should hold of the days up to the run's: a video that came again later is not among
    them, whether that day brought it new vectors or took them. of: video_id of the only videos that are wanted."""
    from pyspark.sql import functions as F

    return wanted_rows(run.newest(kind.table, of=of), kind, version).where(F.col("data_date") <= str(run.date))


def not_loaded(run: Run, version: str) -> dict[str, int]:
    """By how many rows each collection differs from what it should hold, where it does."""
    wrong = {}
    for kind in KINDS:
        wanted = mirrored(run, kind, version).count()
        held = run.vectors.count(kind.name, version, upto=str(run.date)) if run.vectors.exists(kind.name, version) else 0
        if wanted != held:
            wrong[collection_name(kind.name, version)] = abs(wanted - held)
    return wrong


def serving_row(spark: SparkSession, version: str, videos: int) -> DataFrame:
    """The row of ops.serving that makes readers see the version."""
    schema = "model_version string, embedding_collection string, hash_collection string, videos bigint"
    row = (version, collection_name(EMBEDDING, version), collection_name(HASH, version), videos)
    return spark.createDataFrame([row], schema)
