"""The multimodal network, its blocks, losses, hashes and use on Spark. torch is imported only when a model is made or loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelhouse.models.config import ModelConfig
from reelhouse.models.hashes import sign_hashes

if TYPE_CHECKING:
    from reelhouse.models.network import MultimodalNetwork

__all__ = ["ModelConfig", "load", "sign_hashes"]


def load(content: bytes) -> MultimodalNetwork:
    """The network that `reelhouse.models.network.dump` wrote, in evaluation mode."""
    from reelhouse.models.network import load as load_network

    return load_network(content)
