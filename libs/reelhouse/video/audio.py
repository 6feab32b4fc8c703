"""Sound: a few patches of a track as summaries of their log-mel spectrum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.video.opening import Deadline
from reelhouse.video.probe import base_of, read_only, seconds_of, start_of

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

RATE = 16_000  # samples a second, mono
WINDOW, HOP, FFT = 400, 160, 512  # samples: 25 ms, 10 ms, next power of two
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # mel bands between these Hz
STEPS = 96  # spectra in a patch of 0.96 s
PATCH_SECONDS = STEPS * HOP / RATE
PATCH = WINDOW + (STEPS - 1) * HOP  # samples in a patch: 0.96 s of hops and the last window's end
FLOOR = 0.01  # added before the logarithm, so that silence is finite
LEAD = 0.1  # seconds decoded before a patch: a codec's first packet after a seek is not yet right
DIMENSION = 3 * BANDS
ENCODER_ID = hashlib.sha256(
    f"logmel-mean-std-delta-v1:{RATE}:{WINDOW}:{HOP}:{FFT}:{BANDS}:{LOWEST}:{HIGHEST}:{STEPS}:{FLOOR}".encode()
).hexdigest()[:12]


def mel(hertz: np.ndarray | float) -> np.ndarray:
    """HTK's mel scale."""
    return 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)


@cache
def mel_filters() -> np.ndarray:
    """(257, 64) float64: triangles, equally spaced and half overlapping on the mel scale, each of height 1."""
    edges = np.linspace(mel(LOWEST), mel(HIGHEST), BANDS + 2)
    bins = mel(np.arange(FFT // 2 + 1) * RATE / FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel spectrum of (PATCH,) float32 samples in -1..1: (96, 64) float32, natural logarithm of magnitude + 0.01.

    Source: the input of VGGish (Hershey et al. 2017): periodic Hann window of 25 ms, hop 10 ms, 64 bands 125-7500 Hz.
    In double precision: a product's last bits depend on the number of threads, and are rounded away.
    """
    if samples.shape != (PATCH,):
        raise ValueError(f"{PATCH} samples are wanted, got {samples.shape}")
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float32), WINDOW)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    magnitude = np.abs(np.fft.rfft(windows * hann, FFT))
    return np.log(magnitude @ mel_filters() + FLOOR).astype(np.float32)


def summary(spectrum: np.ndarray) -> np.ndarray:
    """(96, 64) log-mel -> (192,) float32: mean, standard deviation and mean absolute difference of neighbours, a band each."""
    spectrum = spectrum.astype(np.float64)
    delta = np.abs(np.diff(spectrum, axis=0)).mean(axis=0)
    return np.concatenate([spectrum.mean(axis=0), spectrum.std(axis=0), delta]).astype(np.float32)


def patch_starts(seconds: float, count: int) -> list[float]:
    """Starts of at most `count` patches: one after the other where all of the sound fits, else spread evenly from start to end."""
    fitting = max(int(seconds / PATCH_SECONDS + 1e-6), 1)
    if fitting <= count:
        return [i * PATCH_SECONDS for i in range(fitting)]
    last = seconds - PATCH_SECONDS
    return [last * i / (count - 1) if count > 1 else last / 2 for i in range(count)]


def sound_vectors(
    container: InputContainer, stream: AudioStream, *, count: int, seconds_max: float, deadline: Deadline
) -> tuple[np.ndarray, str | None]:
    """Summaries of at most `count` patches of the first `seconds_max` seconds: (n, 192) float32, and what is wrong, or None.

    Sound shorter than a patch is padded with silence. n is 0 where nothing can be decoded. VideoError too_slow.
    """
    import av

    read_only(container, stream)
    seconds = seconds_of(container, stream)
    starts = patch_starts(min(seconds, seconds_max), count) if seconds else [i * PATCH_SECONDS for i in range(count)]
    vectors: list[np.ndarray] = []
    damage = None
    for begin in starts:
        try:
            samples = _decode(container, stream, begin, deadline)
        except av.FFmpegError as error:
            damage = f"sound can't be decoded {begin:.2f} s from its start: {error.strerror}"
            break
        if not len(samples):
            break
        vectors.append(summary(log_mel(np.pad(samples, (0, PATCH - len(samples))))))
    return (np.stack(vectors) if vectors else np.zeros((0, DIMENSION), np.float32)), damage


def _decode(container: InputContainer, stream: AudioStream, begin: float, deadline: Deadline) -> np.ndarray:
    """At most PATCH samples from `begin` seconds after the stream's start; fewer at its end."""
    start = start_of(stream)
    container.seek(int((max(begin - LEAD, 0.0) + start) / base_of(stream)), stream=stream, backward=True)
    chunks: list[np.ndarray] = []
    first, have, wanted = None, 0, 0
    for chunk, time in _resampled(container, stream, deadline):
        if first is None:
            first = time - start
            wanted = round((begin - first) * RATE) + PATCH
        chunks.append(chunk)
        have += len(chunk)
        if have >= wanted:
            break
    if first is None:
        return np.zeros(0, np.float32)
    samples = np.nan_to_num(np.concatenate(chunks))
    skip = round((begin - first) * RATE)
    if skip < 0:  # the first sound comes later than asked for
        samples, skip = np.concatenate([np.zeros(min(-skip, PATCH), np.float32), samples]), 0
    return samples[skip : skip + PATCH]


def _resampled(container: InputContainer, stream: AudioStream, deadline: Deadline) -> Iterator[tuple[np.ndarray, float]]:
    """Chunks of mono float32 samples at RATE, each with the time in seconds at which the first of all chunks begins."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    begin = None
    for packet in container.demux(stream):
        deadline.check()
        for frame in packet.decode():
            if begin is None:
                begin = frame.time if frame.time is not None else start_of(stream)
            for out in resampler.resample(frame):
                yield out.to_ndarray().reshape(-1), begin
    if begin is not None:
        for out in resampler.resample(None):
            yield out.to_ndarray().reshape(-1), begin
