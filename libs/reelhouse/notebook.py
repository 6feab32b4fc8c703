"""A lake to think with: what notebooks, and any Python prompt, open.

from reelhouse.notebook import open_lake
reel = open_lake("../warehouse-sample")
reel.sql("select * from gold.label_queue order by rank limit 10").toPandas()
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake, catalog, opened
from reelhouse.lake.reading import check_reads
from reelhouse.similar import similar_videos, videos_about

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from reelhouse.run import Services
    from reelhouse.settings import Settings

PICTURES_MAX = 60  # of a contact sheet
_PIXELS = 128
_FOUND = ["video_id", "score", "title", "file"]


def open_lake(root: str | None = None, values: Mapping[str, Any] | None = None) -> Reel:
    """Open a storage root for reading. values: {"section.key": value}, as `--set` of the command line takes them."""
    settings = settings_module.load(values={**(values or {}), **({"storage.root": root} if root else {})})
    work = ExitStack()
    return Reel(settings, work.enter_context(opened(settings)), work)


class Reel:
    """An open lake. It only reads; `close` ends its Spark session. May be used in a `with` block."""

    def __init__(self, settings: Settings, lake: Lake, work: ExitStack) -> None:
        self.settings, self.lake, self._work = settings, lake, work

    def __enter__(self) -> Reel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._work.close()

    def sql(self, question: str, **values: Any) -> DataFrame:
        """The rows that answer a question; every table, `<table>_current` and view is known by name. values: for `:name` in it.

        ReadOnlyError for a statement that is no question.
        """
        check_reads(self.lake.spark, question)
        catalog.register(self.lake, question)
        return self.lake.spark.sql(question, args=values or None)

    def similar(self, video_id: str, count: int = 10) -> pd.DataFrame:
        """Videos most like a video, by the served model's vectors in Milvus: columns video_id, score, title, file."""
        try:
            return self._found(similar_videos(self.lake, self._services.vectors, video_id, count))
        finally:
            self._services.vectors.close()  # one process at a time may open the embedded store: a notebook that stays open is none

    def search(self, text: str, count: int = 10) -> pd.DataFrame:
        """Videos whose texts are most like a text, by text vectors alone: columns video_id, score, title, file."""
        return self._found(videos_about(self.lake, text, count))

    def sheet(self, video_ids: Sequence[str], words: Mapping[str, str] | None = None) -> Sheet:
        """A contact sheet in the order given, at most PICTURES_MAX videos. words: what is written below each, besides the title."""
        from pyspark.sql import functions as F

        from reelhouse.report.pictures import small_jpeg

        ids = list(dict.fromkeys(video_ids))[:PICTURES_MAX]
        arrivals = self.lake.current(tables.VIDEO_ARRIVALS, "true").where(F.col("video_id").isin(ids))
        titles = {r.video_id: r.title or r.caption or "" for r in arrivals.select("video_id", "title", "caption").collect()}
        frames = self.lake.current(tables.FRAMES, "true").where(F.col("video_id").isin(ids))
        first = frames.groupBy("video_id").agg(F.min_by("jpeg", "frame_index").alias("jpeg")).collect()
        pictures = {r.video_id: small_jpeg(bytes(r.jpeg), _PIXELS) for r in first}
        return Sheet([(i, titles[i], pictures.get(i, b""), (words or {}).get(i, "")) for i in ids if i in titles])

    @cached_property
    def _services(self) -> Services:
        from reelhouse.run import Services

        made = Services(self.settings, self.lake.root)
        self._work.callback(made.close)
        return made

    @staticmethod
    def _found(rows: list[tuple[str, float, str | None, str | None]]) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(rows, columns=_FOUND)


@dataclass(frozen=True)
class Sheet:
    """(video_id, title, JPEG or b"", words) a video; shown as pictures by a notebook."""

    videos: list[tuple[str, str, bytes, str]]

    def _repr_html_(self) -> str:
        cell = Markup(
            '<figure style="width:{w}px;margin:0">{picture}<figcaption style="font-size:12px;overflow-wrap:anywhere">'
            '<b dir="auto">{title}</b><br><code>{video_id}</code><br>{words}</figcaption></figure>'
        )
        blank = Markup('<div style="width:{0}px;height:{0}px;background:#ccc5"></div>').format(_PIXELS)
        image = Markup('<img src="data:image/jpeg;base64,{}" alt="Frame of {}" width="{}">')

        def shown(video_id: str, title: str, jpeg: bytes, words: str) -> Markup:
            picture = image.format(base64.b64encode(jpeg).decode(), title, _PIXELS) if jpeg else blank
            return cell.format(w=_PIXELS, picture=picture, title=title, video_id=video_id, words=words)

        return Markup('<div style="display:flex;flex-wrap:wrap;gap:10px">{}</div>').format(
            Markup("").join(shown(*video) for video in self.videos)
        )
