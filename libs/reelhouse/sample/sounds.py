"""Sound: tones, rhythm and noise by class, made with numpy. The same arguments give the same samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RATE = 22_050


def samples(sound: str, seconds: float, *, seed: int) -> np.ndarray:
    """(n,) float32 in -1..1 at RATE samples a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    wave = MAKERS[sound](t, rng)
    wave = wave + rng.normal(0, 0.02, len(t))
    return (0.6 * rng.uniform(0.7, 1.0) * wave / (np.abs(wave).max() + 1e-9)).astype(np.float32)


def _coloured(t: np.ndarray, rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Noise between two frequencies."""
    spectrum = np.fft.rfft(rng.normal(0, 1, len(t)))
    frequencies = np.fft.rfftfreq(len(t), 1 / RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    wave = np.fft.irfft(spectrum, len(t))
    return wave / (np.abs(wave).max() + 1e-9)


def _struck(t: np.ndarray, period: float, decay: float) -> np.ndarray:
    """1 at each stroke, falling off between strokes."""
    return np.exp(-decay * (t % period))


def _tone(t: np.ndarray, frequency: float, overtones: int) -> np.ndarray:
    return sum((np.sin(2 * np.pi * frequency * k * t) / k**1.5 for k in range(1, overtones + 1)), np.zeros_like(t))


def _notes(t: np.ndarray, rng: np.random.Generator, base: float, period: float) -> np.ndarray:
    """Frequency at each moment: a new step of a scale each period."""
    scale = base * 2 ** (np.array([0, 2, 4, 7, 9, 12]) / 12)
    steps = rng.integers(0, len(scale), int(t[-1] / period) + 2)
    return scale[steps[(t / period).astype(int)]]


def _sung(t: np.ndarray, frequency: np.ndarray, overtones: int) -> np.ndarray:
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    return sum((np.sin(k * phase) / k for k in range(1, overtones + 1)), np.zeros_like(t))


def _sizzle(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    crackle = (rng.random(len(t)) > 0.9985) * rng.uniform(0.5, 1, len(t))
    return 0.5 * _coloured(t, rng, 3000, 9000) + np.convolve(crackle, np.exp(-np.arange(200) / 30), "same")


def _purr(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _coloured(t, rng, 60, 500) * (0.6 + 0.4 * np.sign(np.sin(2 * np.pi * rng.uniform(22, 28) * t)))


def _beat(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    period = 60 / rng.uniform(110, 130)
    kick = _struck(t, period, 18) * np.sin(2 * np.pi * 60 * t)
    hat = np.roll(_struck(t, period / 2, 60), int(period / 4 * RATE)) * _coloured(t, rng, 6000, 10_000)
    return kick + 0.6 * hat


def _bark(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _struck(t, rng.uniform(0.5, 0.8), 14) * (_tone(t, rng.uniform(300, 420), 6) + _coloured(t, rng, 400, 1500))


def _traffic(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.4) * t)
    return swell * _coloured(t, rng, 40, 400) + 0.2 * _struck(t, 2.1, 3) * _tone(t, 440, 3)


def _pluck(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    period = rng.uniform(0.25, 0.35)
    return _struck(t, period, 9) * _sung(t, _notes(t, rng, rng.uniform(180, 220), period), 6)


def _bell(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    base = rng.uniform(500, 620)
    return _struck(t, rng.uniform(0.6, 0.9), 4) * (np.sin(2 * np.pi * base * t) + 0.6 * np.sin(2 * np.pi * 2.76 * base * t))


def _beep(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    on = (t % 0.4) < 0.15
    return on * np.sign(np.sin(2 * np.pi * rng.uniform(900, 1200) * t))


def _chirp(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    period = rng.uniform(0.3, 0.45)
    return _struck(t, period, 12) * _sung(t, 2500 + 1800 * np.sin(2 * np.pi * 9 * t), 1)


def _crowd(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    swell = 0.5 + 0.5 * np.abs(np.sin(2 * np.pi * rng.uniform(0.3, 0.5) * t))
    return swell * (_coloured(t, rng, 500, 3000) + 0.3 * _sung(t, 300 + 60 * np.sin(2 * np.pi * 3 * t), 4))


def _noise(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.15, 0.3) * t)) * _coloured(t, rng, 200, 8000)


def _hum(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _tone(t, rng.uniform(95, 130), 5) + 0.05 * _coloured(t, rng, 100, 1000)


MAKERS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "sizzle": _sizzle, "purr": _purr, "beat": _beat, "bark": _bark, "traffic": _traffic, "pluck": _pluck, "bell": _bell,
    "beep": _beep, "chirp": _chirp, "crowd": _crowd, "noise": _noise, "hum": _hum,
}  # fmt: skip
