"""What is most like a video, by its vectors in Milvus, or like a text, by the text vectors in Delta; what Milvus holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.lake import Lake
from reelhouse.vectors import KINDS, LOADING, collection_name

if TYPE_CHECKING:
    from pyspark.sql import Column

    from reelhouse.vectors import VectorStore


def similar_videos(
    lake: Lake, vectors: VectorStore, video_id: str, count: int, where: str = ""
) -> list[tuple[str, float, str | None, str | None]]:
    """The `count` nearest videos by the served model's vectors: (video_id, cosine, title, file), best first.

    where: a filter made by reelhouse.vectors.only.
    Raises NotFoundError if nothing is served yet or the video has no vector.
    """
    from pyspark.sql import functions as F

    serving = lake.read(tables.SERVING).orderBy(F.desc("data_date")).first()
    if serving is None:
        raise NotFoundError("no vectors are served yet; run `reelhouse daily` first")
    of_model = lake.current(tables.EMBEDDINGS, "true").where(F.col("model_version") == serving.model_version)
    mine = of_model.where(F.col("video_id") == video_id).first()
    if mine is None:
        raise NotFoundError(
            f"the video {video_id!r} has no vector of the served model {serving.model_version}; "
            '`reelhouse sql "select video_id from gold.embeddings_current"` lists those that have one'
        )
    found = vectors.similar(serving.model_version, mine.vector, count + 1, where=where)
    left_out = {video_id, *lake.taken_down}
    hits = [(other, score) for other, score in found if other not in left_out][:count]
    return _with_titles(lake, hits)


def videos_about(lake: Lake, text: str, count: int) -> list[tuple[str, float, str | None, str | None]]:
    """The `count` videos whose texts are nearest to a text: (video_id, cosine, title, file), best first.

    The text goes through the newest text encoder, and is compared with the vectors that it gave the videos' own texts
    (silver.text_features), not with gold.embeddings: a trained model's vectors lie in another space, into which a text alone has
    no way. Videos without a text that says something are not found.
    Raises NotFoundError if no encoder is fitted yet, or nothing in the text is known to it.
    """
    import numpy as np
    from pyspark.sql import functions as F

    from reelhouse.text import TextEncoder

    row = lake.read(tables.TEXT_ENCODERS).orderBy(F.desc("data_date"), F.desc("encoder_id")).select("parameters").first()
    if row is None:
        raise NotFoundError("no text encoder is fitted yet; run `reelhouse daily` first")
    encoder = TextEncoder.from_bytes(bytes(row.parameters))
    wanted = encoder.transform([text])[0]
    length = float(np.linalg.norm(wanted))
    if not length:
        raise NotFoundError(f"no word of {text!r} occurs in the texts that encoder {encoder.encoder_id} was fitted on; try others")
    vectors = lake.current(tables.TEXT_FEATURES, "true").where(F.col("encoder_id") == encoder.encoder_id)
    mine = F.lit([float(value) / length for value in wanted])

    def total(values: Column) -> Column:
        return F.aggregate(values, F.lit(0.0), lambda so_far, value: so_far + value)

    values = F.col("values")
    dot = total(F.zip_with(values, mine, lambda a, b: a.cast("double") * b))
    norm = F.sqrt(total(F.transform(values, lambda a: a.cast("double") * a)))
    scored = vectors.select("video_id", F.try_divide(dot, norm).alias("cosine")).where("cosine is not null")
    best = scored.orderBy(F.desc("cosine"), "video_id").limit(count).collect()
    return _with_titles(lake, [(r.video_id, r.cosine) for r in best])


def _with_titles(lake: Lake, hits: Sequence[tuple[str, float]]) -> list[tuple[str, float, str | None, str | None]]:
    from pyspark.sql import functions as F

    about = lake.current(tables.VIDEO_ARRIVALS, "true").where(F.col("video_id").isin([other for other, _ in hits]))
    known = {row.video_id: row for row in about.select("video_id", "title", "caption", "uri").collect()}
    return [
        (other, score, known[other].title or known[other].caption if other in known else None, known[other].uri if other in known else None)
        for other, score in hits
    ]


def collections_of(lake: Lake, vectors: VectorStore) -> list[tuple[str, str, int, str, str, str]]:
    """Each collection: name, model version, rows, `served` where readers see it, its alias, its index; sorted by name."""
    from pyspark.sql import functions as F

    versions = [row.model_version for row in lake.read(tables.EMBEDDINGS).select("model_version").distinct().collect()]
    known = {collection_name(kind.name, version): (kind, version) for kind in KINDS for version in versions}
    serving = lake.read(tables.SERVING).orderBy(F.desc("data_date")).first()
    served = {serving.embedding_collection, serving.hash_collection} if serving else set()
    aliases = {vectors.alias_of(kind.name): kind.name for kind in KINDS}
    found = []
    for name in vectors.list_collections():
        if name not in known:
            found.append((name, "?", 0, "a load that is at work or was cut off" if name.endswith(LOADING) else "", "", ""))
            continue
        kind, version = known[name]
        row = (name, version, vectors.count(kind.name, version), "served" if name in served else "", aliases.get(name, ""))
        found.append((*row, vectors.index_type(name)))
    return found
