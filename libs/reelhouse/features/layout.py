"""Which encoder speaks for each modality, and how long its vectors are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MODALITIES = ("visual", "audio", "text")
UNTRAINED = "encoder-"  # how a model_version begins that stands for pooled encoder vectors; those come without predictions


@dataclass(frozen=True)
class Part:
    """One modality of a layout. `steps` is the number of vectors kept a video; 0 = not capped yet (as `layout_of` gives it)."""

    modality: str
    encoder_id: str
    dimension: int
    steps: int = 0


@dataclass(frozen=True)
class Layout:
    """The encoders in force, at most one a modality, in the order of MODALITIES. A modality that has no features is not there."""

    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        names = [p.modality for p in self.parts]
        if names != [m for m in MODALITIES if m in names]:
            raise ValueError(f"a layout holds each of {MODALITIES} at most once, in this order; got {names}")

    def part(self, modality: str) -> Part | None:
        return next((p for p in self.parts if p.modality == modality), None)

    def width(self, modality: str) -> int:
        """Values of one video in this modality, steps x dimension; 0 when the layout lacks it."""
        part = self.part(modality)
        return part.steps * part.dimension if part else 0

    def steps(self, modality: str) -> int:
        part = self.part(modality)
        return part.steps if part else 0

    def with_steps(self, *, visual_steps: int, audio_steps: int) -> Layout:
        """The same layout with so many steps a video; text always has one."""
        caps = {"visual": visual_steps, "audio": audio_steps, "text": 1}
        return Layout(tuple(replace(p, steps=caps[p.modality]) for p in self.parts))

    def to_json(self) -> str:
        return json.dumps([asdict(p) for p in self.parts], sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Layout:
        return cls(tuple(Part(**p) for p in json.loads(text)))

    @property
    def id(self) -> str:
        """Short hash of all of it: twelve hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]


def layout_of(features: DataFrame, text_features: DataFrame) -> Layout:
    """The newest encoder of each modality: the one with the latest data_date; of several on that day the one with most
    rows then, ties by encoder_id. Steps are left open (0), so that the layout's id does not depend on the longest video.

    features, text_features: columns of silver.features, silver.text_features. Empty frames give an empty layout.
    """
    from pyspark.sql import functions as F

    columns = ["modality", "encoder_id", "dimension", "data_date"]
    both = features.select(*columns).unionByName(text_features.select(*columns))
    rows = both.groupBy(*columns).agg(F.count("*").alias("videos")).collect()
    newest: dict[str, tuple] = {}
    for row in rows:
        candidate = (row.data_date, row.videos, row.encoder_id, row.dimension)
        newest[row.modality] = max(candidate, newest.get(row.modality, candidate))
    return Layout(tuple(Part(m, newest[m][2], newest[m][3]) for m in MODALITIES if m in newest))
