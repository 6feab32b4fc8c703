"""Text in frames, by rapidocr-onnxruntime. Imported only where OCR is switched on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

SIDE_MAX = 736  # longer side of what is read: caption text stays legible, a frame costs about a third of a second
EDGE = 32  # grey levels between neighbours from which they count as an edge


@dataclass(frozen=True)
class Line:
    """One line of text. box: left, top, right, bottom as shares 0..1 of the frame."""

    text: str
    confidence: float
    box: tuple[float, float, float, float]


def text_likelihood(bgr: np.ndarray) -> float:
    """Share of horizontal neighbours of a picture that differ strongly: strokes of letters are dense in such edges. 0..1."""
    if bgr.shape[1] < 2:
        return 0.0
    green = bgr[:, :, 1].astype(np.int16)  # carries most of the brightness
    return float((np.abs(np.diff(green, axis=1)) > EDGE).mean())


def most_likely(pictures: Sequence[np.ndarray], count: int) -> list[int]:
    """Indices, ascending, of the `count` pictures that most likely hold text; the earlier of equals first."""
    order = sorted(range(len(pictures)), key=lambda i: (-text_likelihood(pictures[i]), i))
    return sorted(order[:count])


@cache
def _engine() -> Any:
    from rapidocr_onnxruntime import RapidOCR

    # one thread, since workers run side by side; no enlarging; no turning of lines upside down (frames are upright)
    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1, use_cls=False, det_limit_type="max", text_score=0.0)


def read_lines(bgr: np.ndarray, confidence_min: float) -> list[Line]:
    """Lines of text in an (height, width, 3) uint8 BGR picture, from top to bottom; none below `confidence_min`."""
    found, _ = _engine()(bgr)
    height, width = bgr.shape[:2]
    lines = []
    for corners, text, confidence in found or []:
        if float(confidence) >= confidence_min and text.strip():
            x, y = np.asarray(corners, dtype=np.float64).T
            box = (float(x.min() / width), float(y.min() / height), float(x.max() / width), float(y.max() / height))
            lines.append(Line(text.strip(), float(confidence), box))
    return sorted(lines, key=lambda line: (line.box[1], line.box[0]))
