"""The multimodal network: frames, sound and text of a video -> logits of the classes and an embedding of length 1."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from reelhouse.models.blocks import AttentionPooling, GatedFusion, PatchPooling, Standardise, TextLayers, drop_modalities
from reelhouse.models.config import ModelConfig

_POOLING: dict[str, type[nn.Module]] = {"visual": AttentionPooling, "audio": PatchPooling, "text": TextLayers}


class MultimodalNetwork(nn.Module):
    """Inputs of a batch of n: per modality of the layout `<modality>` (n, steps x dimension) and `<modality>_mask` (n, steps).

    Outputs logits (n, c), not calibrated, and embedding (n, embedding_dimension), L2-normalised. A logit is the scaled cosine of
    the embedding and the class's direction, so that what the classes need is what the embedding holds.
    """

    temperature: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.modalities = [p.modality for p in config.layout.parts]
        self.inputs = nn.ModuleDict({p.modality: Standardise(p.dimension) for p in config.layout.parts})
        self.pools = nn.ModuleDict({p.modality: _POOLING[p.modality](p.dimension, config.hidden) for p in config.layout.parts})
        self.fusion = GatedFusion(len(self.modalities), config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.embed = nn.Linear(config.hidden, config.embedding_dimension)
        self.directions = nn.Parameter(torch.randn(len(config.label_ids), config.embedding_dimension))
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.bias = nn.Parameter(torch.zeros(len(config.label_ids)))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        vectors, present = [], []
        for part in self.config.layout.parts:
            mask = batch[f"{part.modality}_mask"]  # (n, steps)
            values = batch[part.modality].reshape(len(mask), part.steps, part.dimension)
            vectors.append(self.pools[part.modality](self.inputs[part.modality](values, mask), mask))
            present.append(mask.amax(dim=1))
        there = torch.stack(present, dim=1)  # (n, m)
        if self.training and self.config.modality_dropout:
            there = drop_modalities(there, self.config.modality_dropout)
        fused = self.dropout(self.fusion(torch.stack(vectors, dim=1), there))  # (n, hidden)
        embedding = nn.functional.normalize(self.embed(fused), dim=1)
        logits = self.scale * embedding @ nn.functional.normalize(self.directions, dim=1).T + self.bias
        return logits, embedding

    def standardise_by(self, modality: str, mean: Tensor, deviation: Tensor) -> None:
        """Sets the figures of one modality's inputs, each (dimension,). A deviation near 0 (a constant input) counts as 1."""
        block = self.inputs[modality]
        block.mean.copy_(mean)
        block.deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))


def dump(model: MultimodalNetwork) -> bytes:
    """The model as bytes: tensors and the JSON of its configuration, no code."""
    buffer = io.BytesIO()
    torch.save({"format": 1, "config": model.config.to_json(), "state": model.state_dict()}, buffer)
    return buffer.getvalue()


def load(content: bytes) -> MultimodalNetwork:
    """The model that `dump` wrote, in evaluation mode. ValueError for another format."""
    saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if not isinstance(saved, dict) or saved.get("format") != 1:
        raise ValueError(f"this is no model of a format known here: {json.dumps(str(type(saved)))}")
    model = MultimodalNetwork(ModelConfig.from_json(saved["config"]))
    model.load_state_dict(saved["state"])
    return model.eval()
