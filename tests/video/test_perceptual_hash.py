from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn

from reelhouse.video.hashing import distance, perceptual_hash

SIDE = 32


def picture(seed: int, side: int = 256) -> np.ndarray:
    """A smooth random picture, as photographs are: (side, side) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def shrunk(grey: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX))


def test_a_single_cosine_sets_the_one_bit_of_its_frequency():
    # cos(pi (2x + 1) / 64) along the rows and along the columns is the coefficient of row 1, column 1: the first bit
    wave = np.cos(np.pi * (2 * np.arange(SIDE) + 1) / (2 * SIDE))
    only_first = np.round(128 + 100 * np.outer(wave, wave)).astype(np.uint8)
    assert perceptual_hash(only_first) >> 63 == -1  # the sign bit of a signed number
    wave3 = np.cos(3 * np.pi * (2 * np.arange(SIDE) + 1) / (2 * SIDE))
    row1_column3 = 128 + 100 * np.outer(wave, wave3)
    assert (perceptual_hash(np.round(row1_column3).astype(np.uint8)) >> 61) & 1 == 1  # third bit from the left


def test_a_picture_without_structure_has_the_hash_zero():
    assert perceptual_hash(np.full((SIDE, SIDE), 77, np.uint8)) == 0


def test_agrees_with_scipy_dct_bit_by_bit():
    for seed in range(20):
        grey = shrunk(picture(seed))
        low = dctn(grey.astype(float), norm="ortho")[1:9, 1:9].ravel()
        expected = int("".join("1" if c > np.median(low) else "0" for c in low), 2)
        assert perceptual_hash(grey) % 2**64 == expected


@pytest.mark.parametrize("seed", range(5))
def test_resizing_and_recompressing_change_few_bits_and_another_picture_changes_many(seed: int):
    original = picture(seed)
    buffer = io.BytesIO()
    Image.fromarray(original).resize((90, 160)).save(buffer, "JPEG", quality=30)
    again = np.asarray(Image.open(buffer))
    brighter = np.clip(original.astype(int) + 25, 0, 255).astype(np.uint8)
    base = perceptual_hash(shrunk(original))
    assert distance(base, perceptual_hash(shrunk(again))) <= 4
    assert distance(base, perceptual_hash(shrunk(brighter))) <= 8
    assert distance(base, perceptual_hash(shrunk(picture(seed + 100)))) >= 18


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_the_distance_counts_differing_bits_of_signed_numbers(a: int, b: int):
    assert distance(a, b) == sum(x != y for x, y in zip(f"{a % 2**64:064b}", f"{b % 2**64:064b}", strict=True))


def test_another_size_is_named_in_the_error():
    with pytest.raises(ValueError, match=r"a 32 x 32 grey picture is wanted, got \(8, 8\)"):
        perceptual_hash(np.zeros((8, 8), np.uint8))
