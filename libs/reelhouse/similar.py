"""`reelhouse similar`: neighbours of a video in Milvus, with titles and files from Delta."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.lake import Lake

if TYPE_CHECKING:
    from reelhouse.vectors import VectorStore


def similar_videos(lake: Lake, vectors: VectorStore, video_id: str, count: int) -> list[tuple[str, float, str | None, str | None]]:
    """The `count` nearest videos by the served model's vectors: (video_id, cosine, title, file), best first.

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
    found = vectors.similar(serving.model_version, mine.vector, count + 1)
    left_out = {video_id, *lake.taken_down}
    hits = [(other, score) for other, score in found if other not in left_out][:count]
    about = lake.current(tables.VIDEO_ARRIVALS, "true").where(F.col("video_id").isin([other for other, _ in hits]))
    known = {row.video_id: row for row in about.select("video_id", "title", "caption", "uri").collect()}
    return [
        (other, score, known[other].title or known[other].caption if other in known else None, known[other].uri if other in known else None)
        for other, score in hits
    ]
