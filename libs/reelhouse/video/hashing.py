"""A perceptual hash: pictures that look alike have hashes that differ in few bits."""

from __future__ import annotations

import numpy as np

SIDE = 32  # pixels of the grey picture that is hashed
LOW = 8  # coefficients kept in each direction
# (8, 32): the orthonormal DCT-II's rows of frequency 1..8
_BASIS = np.sqrt(2 / SIDE) * np.cos(np.pi * np.outer(np.arange(1, LOW + 1), 2 * np.arange(SIDE) + 1) / (2 * SIDE))


def perceptual_hash(grey: np.ndarray) -> int:
    """64-bit DCT hash of a 32 x 32 grey picture (uint8), as a signed 64-bit number.

    The two-dimensional DCT-II is taken and the 8 x 8 coefficients of the lowest frequencies except those of frequency 0
    (rows and columns 1..8, so that brightness and slow gradients don't count) are compared with their median: a larger one
    gives 1. First bit = row 1, column 1; then along the row. A picture without any structure has the hash 0.
    Source: Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", section 3.2.1; there the
    picture is first blurred 7 x 7, here the area-averaging resize does that.
    """
    if grey.shape != (SIDE, SIDE):
        raise ValueError(f"a {SIDE} x {SIDE} grey picture is wanted, got {grey.shape}")
    low = _BASIS @ grey.astype(np.float64) @ _BASIS.T
    rounded = np.round(low, 3)  # so that the last bits of a machine's arithmetic decide nothing
    bits = (rounded > np.median(rounded)).ravel()
    return int(np.packbits(bits).view(">i8")[0])


def distance(a: int, b: int) -> int:
    """Bits by which two hashes differ, 0..64."""
    return ((a ^ b) & 0xFFFFFFFFFFFFFFFF).bit_count()
