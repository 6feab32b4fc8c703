"""Days of a small lake for the jobs that load, compare and serve vectors: real Delta tables, a real Milvus Lite file."""

import datetime as dt
import importlib

import numpy as np

from reelhouse import tables
from reelhouse.lake import Lake, Ledger, conform
from reelhouse.run import Run, Services, StepAside
from reelhouse.settings import Settings

DAY1, DAY2, DAY3 = dt.date(2026, 1, 1), dt.date(2026, 1, 2), dt.date(2026, 1, 3)
VERSION = "encoder-12ab"


def unit(angle: float) -> list[float]:
    return [float(np.cos(angle)), float(np.sin(angle))]


def code(number: int) -> bytes:
    return number.to_bytes(16, "big")


class Days:
    def __init__(self, lake: Lake, settings: Settings) -> None:
        self.lake, self.settings, self.ledger = lake, settings, Ledger(lake)
        self.services = Services(settings, lake.root)

    @property
    def store(self):
        return self.services.vectors

    def predicted(
        self, day: dt.date, videos: dict[str, float], version: str = VERSION, *, hashes: bool = True, classes: bool = False
    ) -> None:
        """As predict publishes: embeddings (one angle a video) and hashes, and predictions of a trained model. The videos came
        on the first of the days."""
        self.arrived(DAY1, *videos)
        self._write(tables.EMBEDDINGS, day, [(v, unit(a)) for v, a in videos.items()], "video_id string, vector array<float>", version)
        kept = videos if hashes else {}
        self._write(tables.HASHES, day, [(v, code(round(a * 100))) for v, a in kept.items()], "video_id string, hash binary", version)
        if classes:
            top = "video_id string, task string, top array<struct<label_id:string,path:string,probability:double>>, entropy double"
            self._write(tables.PREDICTIONS, day, [(v, "category", [("food", "美食", 1.0)], 0.0) for v in videos], top, version)

    def arrived(self, day: dt.date, *videos: str) -> None:
        """Videos came on the day, besides those that did already."""
        names = {*videos, *(row["video_id"] for row in self.rows(tables.VIDEO_TEXT, day))}
        schema = "video_id string, hashtags array<string>, text string, tokens array<string>, language string, is_meaningful boolean"
        rest = [c for c in tables.VIDEO_TEXT.names if c not in schema and c != "data_date"]
        rows = [(v, [], "words", [], "en", True, *(None for _ in rest)) for v in sorted(names)]
        self._write(tables.VIDEO_TEXT, day, rows, ", ".join([schema, *(f"{c} string" for c in rest)]))

    def taken_down(self, day: dt.date, *videos: str) -> None:
        schema = "video_id string, reason string, requested_by string, requested_at timestamp, content_sha256 array<string>"
        self._write(tables.DELETIONS, day, [(v, None, None, None, None) for v in videos], schema)

    def run(self, job: str, day: dt.date) -> Run:
        """Run a job as the pipeline does; the finished run holds its record (metrics, status, note)."""
        run = Run(job, day, self.settings, self.lake, self.ledger, self.services, lambda text: None)
        try:
            importlib.import_module(f"jobs.{job}").main(run)
        except StepAside as aside:
            run.note(str(aside))
            run.finish("stepped_aside")
        else:
            run.finish("succeeded")
        finally:
            run.close()
        return run

    def held(self, kind: str = "video_embedding", version: str = VERSION) -> list[str]:
        return [video_id for video_id, _ in self.store.ids_and_checksums(kind, version)]

    def nearest(self, angle: float, version: str = VERSION) -> tuple[str, float]:
        return self.store.similar(version, unit(angle), 1)[0]

    def rows(self, table: tables.Table, day: dt.date) -> list[dict]:
        return [row.asDict() for row in self.lake.read(table, f"data_date = date'{day}'").orderBy(*table.key).collect()]

    def _write(self, table: tables.Table, day: dt.date, rows: list[tuple], schema: str, version: str | None = None) -> None:
        place = {"data_date": day, **({"model_version": version} if version else {})}
        frame = conform(table, self.lake.spark.createDataFrame(rows, schema), place)
        self.lake.replace(table, frame, place, count=len(rows), metadata={"job": "test"})
