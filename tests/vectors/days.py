"""Days of a small lake for the jobs that load, compare and serve vectors: real Delta tables, a real Milvus Lite file."""

import datetime as dt
import importlib

import numpy as np

from reelhouse import tables
from reelhouse.features import UNTRAINED
from reelhouse.lake import Lake, Ledger
from reelhouse.run import Run, Services, StepAside
from reelhouse.settings import Settings
from tests.planting import write_rows

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
        """As predict publishes: embeddings (one angle a video) and hashes, and predictions of a trained model, which became champion
        on the day. The videos came on the first of the days."""
        self.arrived(DAY1, *videos)
        if not version.startswith(UNTRAINED):
            at = dt.datetime.combine(day, dt.time())
            word = {"model_version": version, "snapshot_id": "s", "decision": "promoted", "decided_at": at, "reason": "better"}
            write_rows(self.lake, tables.PROMOTIONS, [word], {"data_date": day, "decided_by": "gates"})
        place = {"data_date": day, "model_version": version}
        write_rows(self.lake, tables.EMBEDDINGS, [{"video_id": v, "vector": unit(a)} for v, a in videos.items()], place)
        kept = videos if hashes else {}
        write_rows(self.lake, tables.HASHES, [{"video_id": v, "hash": code(round(a * 100))} for v, a in kept.items()], place)
        if classes:
            facts = {"task": "category", "top": [("food", "美食", 1.0)], "entropy": 0.0}
            write_rows(self.lake, tables.PREDICTIONS, [{"video_id": v, **facts} for v in videos], place)

    def arrived(self, day: dt.date, *videos: str) -> None:
        """Videos came on the day, besides those that did already."""
        names = {*videos, *(row["video_id"] for row in self.rows(tables.VIDEO_TEXT, day))}
        facts = {"text": "words", "language": "en", "is_meaningful": True}
        write_rows(self.lake, tables.VIDEO_TEXT, [{"video_id": v, **facts} for v in sorted(names)], {"data_date": day})

    def taken_down(self, day: dt.date, *videos: str) -> None:
        write_rows(self.lake, tables.DELETIONS, [{"video_id": v} for v in videos], {"data_date": day})

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
