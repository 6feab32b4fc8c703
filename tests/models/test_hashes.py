import hashlib

import numpy as np

from reelhouse.models import sign_hashes


def unit(n, d, seed=0):
    rows = np.random.default_rng(seed).standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_codes_are_16_bytes_and_the_same_for_ever():
    codes = sign_hashes(np.eye(8, dtype=np.float32)[:2])
    assert codes.shape == (2, 16)
    assert codes.dtype == np.uint8
    # codes of other days are stored: this must not change
    assert hashlib.sha256(codes.tobytes()).hexdigest()[:16] == "b138c9e9a338c0cf"


def test_length_does_not_matter_and_the_opposite_has_all_other_bits():
    vectors = unit(5, 32)
    np.testing.assert_array_equal(sign_hashes(vectors), sign_hashes(vectors * 7))
    np.testing.assert_array_equal(sign_hashes(vectors) ^ 255, sign_hashes(-vectors))


def test_the_share_of_other_bits_estimates_the_angle():
    rng = np.random.default_rng(1)
    a = unit(400, 64, seed=2)
    b = a + 0.6 * unit(400, 64, seed=3) * rng.random((400, 1))
    angles = np.arccos(np.clip((a * b).sum(1) / np.linalg.norm(b, axis=1), -1, 1)) / np.pi
    bits = np.unpackbits(sign_hashes(a) ^ sign_hashes(b), axis=1).mean(axis=1)
    assert abs(bits.mean() - angles.mean()) < 0.01


def test_no_vectors_give_no_codes():
    assert sign_hashes(np.zeros((0, 4), np.float32)).shape == (0, 16)
