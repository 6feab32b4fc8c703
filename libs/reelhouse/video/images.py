"""From decoded pictures to upright arrays, JPEG and what OCR reads."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

SIDE = 224  # what the encoder was trained on; its padding is fixed for it
JPEG_QUALITY = 85


def upright(picture: np.ndarray, quarters: int) -> np.ndarray:
    """Turn an (height, width[, 3]) array by counter-clockwise quarter turns; contiguous."""
    return np.ascontiguousarray(np.rot90(picture, quarters)) if quarters else picture


def square(frame: VideoFrame, quarters: int, aspect: float, reformatter: VideoReformatter) -> np.ndarray:
    """(224, 224, 3) uint8 RGB, upright: the short side is scaled to 224, pixels made square, the middle cut out.

    aspect: width / height of one coded pixel.
    """
    shown = frame.width * aspect
    scale = SIDE / min(shown, frame.height)
    width, height = max(round(shown * scale), SIDE), max(round(frame.height * scale), SIDE)
    rgb = reformatter.reformat(frame, width, height, "rgb24", interpolation="AREA").to_ndarray()
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    return np.ascontiguousarray(np.rot90(rgb[top : top + SIDE, left : left + SIDE], quarters))


def readable(frame: VideoFrame, quarters: int, aspect: float, side_max: int, reformatter: VideoReformatter) -> np.ndarray:
    """(height, width, 3) uint8 BGR, upright, pixels square, the longer side at most `side_max`, never enlarged."""
    shown = frame.width * aspect
    scale = min(1.0, side_max / max(shown, frame.height))
    width, height = max(round(shown * scale), 1), max(round(frame.height * scale), 1)
    return upright(reformatter.reformat(frame, width, height, "bgr24", interpolation="AREA").to_ndarray(), quarters)


def jpeg(rgb: np.ndarray) -> bytes:
    """JPEG of an (height, width, 3) uint8 RGB picture; the same bytes for the same picture."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
