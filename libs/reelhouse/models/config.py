"""What a network is made of: enough to build it again without its training."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from reelhouse.features import Layout


@dataclass(frozen=True)
class ModelConfig:
    """layout: encoders, steps and dimensions of the inputs. label_ids: classes in the order of the outputs.

    hidden: width inside. dropout: share of the fused vector switched off in training. modality_dropout: chance that a modality
    that is there is hidden from the network in a training step, so that a missing one is nothing new to it.
    """

    task: str
    label_ids: tuple[str, ...]
    layout: Layout
    embedding_dimension: int
    hidden: int = 128
    dropout: float = 0.1
    modality_dropout: float = 0.2

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"layout": self.layout.to_json()}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        values = json.loads(text)
        return cls(**values | {"layout": Layout.from_json(values["layout"]), "label_ids": tuple(values["label_ids"])})
