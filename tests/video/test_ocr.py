from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from reelhouse.video.ocr import most_likely, read_lines, text_likelihood


def written(*lines: tuple[str, int], size: tuple[int, int] = (480, 270)) -> np.ndarray:
    """White text on dark blue, as BGR; each line with its distance from the top."""
    image = Image.new("RGB", size, (20, 30, 90))
    draw = ImageDraw.Draw(image)
    for text, top in lines:
        draw.text((40, top), text, fill="white", font=ImageFont.load_default(32))
    return np.asarray(image)[:, :, ::-1].copy()


def test_lines_are_read_from_top_to_bottom_with_their_place():
    lines = read_lines(written(("HELLO WORLD", 200), ("Summer Sale 2026", 40)), confidence_min=0.6)
    assert [line.text.replace(" ", "") for line in lines] == ["SummerSale2026", "HELLOWORLD"]
    left, top, right, bottom = lines[0].box
    assert (left, top) == (pytest.approx(40 / 480, abs=0.03), pytest.approx(48 / 270, abs=0.05))
    assert left < right <= 1
    assert top < bottom < lines[1].box[1]
    assert all(0.6 <= line.confidence <= 1 for line in lines)


def test_lines_of_low_confidence_are_dropped():
    picture = written(("HELLO WORLD", 100))
    assert read_lines(picture, confidence_min=0.5)
    assert read_lines(picture, confidence_min=1.0) == []


def test_a_picture_without_text_gives_no_lines():
    assert read_lines(np.full((120, 160, 3), 90, np.uint8), 0.6) == []


def test_tiny_pictures_are_read_without_an_error():
    for shape in ((1, 1, 3), (2, 50, 3), (50, 2, 3)):
        assert read_lines(np.zeros(shape, np.uint8), 0.6) == []
        assert text_likelihood(np.zeros(shape, np.uint8)) == 0.0


def test_text_likelihood_is_the_share_of_strong_steps_along_rows():
    stripes = np.zeros((2, 5, 3), np.uint8)
    stripes[0, 1::2] = 33  # four steps of 33 in one of two rows; a step of 32 does not count
    stripes[1, 1::2] = 32
    assert text_likelihood(stripes) == 0.5


def test_the_frames_with_most_text_are_read_the_earlier_of_equals_first():
    plain, text, more = written(), written(("HELLO", 50)), written(("HELLO", 50), ("WORLD", 150))
    assert most_likely([plain, text, more, plain], 1) == [2]
    assert most_likely([plain, text, more, plain], 2) == [1, 2]
    assert most_likely([plain, plain], 1) == [0]


def test_the_engine_is_not_imported_by_the_package():
    heavy = ("rapidocr_onnxruntime", "torch", "cv2", "onnxruntime", "av")
    code = f"import sys, reelhouse.video, reelhouse.video.reading; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
