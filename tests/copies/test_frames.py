from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from reelhouse.copies.frames import CONTRAST_MIN, contrast, informative_hashes

HALF = 0x5555_5555_5555_5555  # 32 bits set


def jpeg(pixels):
    out = BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


BLACK = jpeg(np.zeros((224, 224, 3)))
HALVES = jpeg(np.repeat(np.repeat([[[50] * 3, [150] * 3]], 224, axis=0), 112, axis=1))  # left dark, right bright


def test_contrast_is_the_deviation_of_brightness():
    assert contrast(BLACK) == 0
    assert contrast(HALVES) == pytest.approx(50, abs=1)


def test_a_faintly_noisy_screen_and_bytes_that_are_no_image_have_too_little_contrast():
    noise = np.random.default_rng(0).integers(0, 12, (224, 224, 3))
    assert contrast(jpeg(noise)) < CONTRAST_MIN
    assert contrast(b"not an image") == 0
    assert contrast(HALVES[:40]) == 0


def test_flat_frames_and_degenerate_hashes_are_left_out_and_the_order_of_time_is_kept(spark):
    rows = [
        ("a", 2, bytearray(HALVES), HALF),
        ("a", 0, bytearray(HALVES), ~HALF),
        ("a", 1, bytearray(BLACK), HALF),  # flat
        ("a", 3, bytearray(HALVES), 0),  # no bit set
        ("b", 0, bytearray(BLACK), HALF),
        ("b", 1, bytearray(HALVES), -1),  # every bit set
    ]
    frames = spark.createDataFrame(rows, "video_id string, frame_index int, jpeg binary, perceptual_hash bigint")
    got = {row.video_id: row.frame_hashes for row in informative_hashes(frames).collect()}
    assert got == {"a": [~HALF, HALF], "b": []}
