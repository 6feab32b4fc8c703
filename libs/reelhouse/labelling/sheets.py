"""One picture a video: its frames side by side, each with its time below."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reelhouse.labelling.queue import Frame

if TYPE_CHECKING:
    from PIL import Image

SIDE = 224  # pixels of a frame's longer side
_GAP, _STRIP, _LETTERS = 4, 26, 16
_PAPER, _INK, _GREY = (255, 255, 255), (40, 48, 56), (120, 130, 140)
_QUALITY = 85


def contact_sheet(frames: Sequence[Frame]) -> bytes:
    """A JPEG without metadata; the same bytes for the same frames. Without frames a small picture that says so."""
    from PIL import Image

    if not frames:
        return _jpeg(_nothing())
    pictures = []
    for frame in frames:
        with Image.open(io.BytesIO(frame.jpeg)) as opened:
            picture = opened.convert("RGB")
            picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            pictures.append(picture)
    width, height = max(p.width for p in pictures), max(p.height for p in pictures)
    sheet = Image.new("RGB", ((width + _GAP) * len(pictures) - _GAP, height + _STRIP), _PAPER)
    for place, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        left = place * (width + _GAP)
        sheet.paste(picture, (left + (width - picture.width) // 2, (height - picture.height) // 2))
        _write(sheet, (left + width / 2, height + _STRIP / 2), clock(frame.seconds), _INK)
    return _jpeg(sheet)


def clock(seconds: float) -> str:
    """1:07.5 for 67.5 seconds."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def _nothing() -> Image.Image:
    from PIL import Image

    sheet = Image.new("RGB", (2 * SIDE, SIDE // 2), _PAPER)
    _write(sheet, (SIDE, SIDE / 4), "no picture: sound or text only", _GREY)
    return sheet


def _write(sheet: Image.Image, middle: tuple[float, float], words: str, ink: tuple[int, int, int]) -> None:
    from PIL import ImageDraw, ImageFont

    ImageDraw.Draw(sheet).text(middle, words, fill=ink, font=ImageFont.load_default(_LETTERS), anchor="mm")


def _jpeg(sheet: Image.Image) -> bytes:
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
