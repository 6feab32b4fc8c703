from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import stft
from scipy.signal.windows import hann

from reelhouse.video import audio
from reelhouse.video.opening import Deadline, opened
from reelhouse.video.probe import sound_stream
from tests.video.made_videos import level, tone, write_video

BANDS = audio.BANDS


def vectors_of(path: Path, count: int = 8, seconds_max: float = 600) -> tuple[np.ndarray, str | None]:
    with opened(path) as container:
        stream = sound_stream(container)
        assert stream is not None
        return audio.sound_vectors(container, stream, count=count, seconds_max=seconds_max, deadline=Deadline(60))


def test_the_log_mel_spectrum_agrees_with_scipy_and_triangles_drawn_by_hand():
    samples = np.random.default_rng(1).normal(0, 0.1, audio.PATCH).astype(np.float32)
    window = hann(400, sym=False)
    _, _, spectra = stft(samples, window=window, nperseg=400, noverlap=240, nfft=512, boundary=None, padded=False)
    magnitude = np.abs(spectra) * window.sum()  # scipy divides by it
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731 - the other usual form of the HTK scale
    corners = 700 * (10 ** (np.linspace(mel(125), mel(7500), 66) / 2595) - 1)
    bank = np.zeros((257, 64))
    for band in range(64):
        low, middle, high = mel(corners[band]), mel(corners[band + 1]), mel(corners[band + 2])
        for k in range(257):
            m = mel(k * 16_000 / 512)
            if low < m <= middle:
                bank[k, band] = (m - low) / (middle - low)
            elif middle < m < high:
                bank[k, band] = (high - m) / (high - middle)
    expected = np.log(magnitude.T @ bank + 0.01)
    np.testing.assert_allclose(audio.log_mel(samples), expected, atol=2e-3)


def test_the_number_of_threads_changes_no_bit():
    program = (
        "import hashlib, numpy as np; from reelhouse.video import audio; "
        "noise = np.random.default_rng(1).normal(0, 0.1, (20, audio.PATCH)).astype(np.float32); "
        "print(hashlib.sha256(b''.join(audio.log_mel(one).tobytes() for one in noise)).hexdigest())"
    )
    said = {
        subprocess.run([sys.executable, "-c", program], env=os.environ | {"OMP_NUM_THREADS": n}, check=True, capture_output=True).stdout
        for n in ("1", "2")
    }
    assert len(said) == 1
    assert len(said.pop()) == 65


def test_silence_is_the_logarithm_of_the_floor_everywhere_and_does_not_move():
    vector = audio.summary(audio.log_mel(np.zeros(audio.PATCH, np.float32)))
    np.testing.assert_allclose(vector[:BANDS], np.log(0.01), rtol=1e-6)
    np.testing.assert_allclose(vector[BANDS:], 0, atol=1e-6)


def test_the_summary_is_mean_deviation_and_mean_absolute_step_of_each_band():
    spectrum = np.zeros((96, 64), np.float32)
    spectrum[:, 3] = np.tile([0, 2], 48)
    vector = audio.summary(spectrum)
    assert [vector[3], vector[BANDS + 3], vector[2 * BANDS + 3]] == [1.0, 1.0, 2.0]
    assert np.count_nonzero(vector) == 3


def test_a_tone_is_loudest_in_the_band_that_holds_its_frequency(tmp_path: Path):
    edges = np.linspace(audio.mel(125.0), audio.mel(7500.0), 66)
    for hertz in (300.0, 1000.0, 5000.0):
        vectors, damage = vectors_of(write_video(tmp_path / "tone.m4a", sound=tone(2, hertz, 44_100), rate=44_100))
        assert damage is None
        assert vectors.shape == (2, 192)
        nearest = int(np.abs(edges[1:-1] - audio.mel(hertz)).argmin())
        assert abs(int(vectors[0, :BANDS].argmax()) - nearest) <= 1


def test_patches_follow_each_other_where_the_sound_fits_and_are_spread_where_not():
    assert audio.patch_starts(0.3, 4) == [0.0]
    assert audio.patch_starts(2.9, 4) == pytest.approx([0.0, 0.96, 1.92])
    assert audio.patch_starts(10.0, 3) == pytest.approx([0.0, 4.52, 9.04])
    assert audio.patch_starts(10.0, 1) == pytest.approx([4.52])


def test_each_patch_holds_the_sound_of_its_own_time(tmp_path: Path):
    low, high = tone(5, 300), tone(5, 5000)
    path = write_video(tmp_path / "two.m4a", sound=np.concatenate([low, high]))
    vectors, _ = vectors_of(path, count=4)  # starts 0, 3.01, 6.03, 9.04
    loudest = vectors[:, :BANDS].argmax(axis=1)
    assert (loudest[:2] < 15).all()
    assert (loudest[2:] > 45).all()


def test_a_patch_reached_by_seeking_equals_the_same_patch_of_the_whole_track(tmp_path: Path):
    noise = np.random.default_rng(5).normal(0, 0.1, 16_000 * 6).astype(np.float32)
    path = write_video(tmp_path / "noise.m4a", sound=noise)
    spread, _ = vectors_of(path, count=2)  # starts 0 and 5.04

    def farthest(seconds: float) -> float:
        begin = round(seconds * 16_000)
        direct = audio.summary(audio.log_mel(np.pad(noise[begin:], (0, audio.PATCH))[: audio.PATCH]))
        return float(np.abs(spread[1] - direct).max())

    assert farthest(5.04) < 0.06  # AAC loses a little: 0.035
    for shifted in (0.0, 4.94, 5.02, 5.06):
        assert farthest(shifted) > 0.06, shifted


def test_sound_shorter_than_a_patch_is_padded_with_silence(tmp_path: Path):
    vectors, damage = vectors_of(write_video(tmp_path / "short.m4a", sound=tone(0.2)))
    assert vectors.shape == (1, 192)
    assert damage is None
    assert vectors[0, BANDS : 2 * BANDS].max() > 1  # loud, then silent


def test_only_the_first_seconds_max_seconds_are_heard(tmp_path: Path):
    path = write_video(tmp_path / "two.m4a", sound=np.concatenate([tone(4, 300), tone(4, 5000)]))
    vectors, _ = vectors_of(path, count=8, seconds_max=3.9)
    assert len(vectors) == 4
    assert (vectors[:, :BANDS].argmax(axis=1) < 15).all()


def test_sound_of_another_rate_beside_a_picture_is_resampled(tmp_path: Path):
    path = write_video(tmp_path / "both.mp4", [level(50)] * 10, sound=tone(1, 1000, 48_000), rate=48_000)
    vectors, _ = vectors_of(path)
    mono, _ = vectors_of(write_video(tmp_path / "mono.m4a", sound=tone(1, 1000)))
    assert vectors.shape == (1, 192)
    assert int(vectors[0, :BANDS].argmax()) == int(mono[0, :BANDS].argmax())


def test_samples_of_another_length_are_named_in_the_error():
    with pytest.raises(ValueError, match=r"15600 samples are wanted, got \(3,\)"):
        audio.log_mel(np.zeros(3, np.float32))


@pytest.mark.data
def test_a_video_with_failing_sound_gives_what_can_be_heard(shared_data: Path):
    vectors, _ = vectors_of(shared_data / "clips/moviepy/video_with_failing_audio.mp4")
    assert np.isfinite(vectors).all()
    assert vectors.shape == (8, 192)
