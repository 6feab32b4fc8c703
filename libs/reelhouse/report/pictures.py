"""Frames made small enough to lie inside a page."""

from __future__ import annotations

import io

QUALITY = 70


def small_jpeg(jpeg: bytes, side: int) -> bytes:
    """The picture with its longer side at most `side` pixels, as a JPEG without metadata; the same bytes for the same picture."""
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as picture:
        small = picture.convert("RGB")
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        small.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()
