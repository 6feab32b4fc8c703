"""Tiny videos for the tests, made with PyAV: grey levels, moving squares and tones whose place and time are known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

KEYS_BY_GOP_ONLY = {"libx264": {"sc_threshold": "0"}, "mpeg4": {"sc_threshold": "1000000000"}}  # none at a change of scene


def level(value: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A picture of one grey level, (height, width, 3) uint8."""
    return np.full((height, width, 3), value, np.uint8)


def corner_marked(width: int = 96, height: int = 64) -> np.ndarray:
    """Dark, with the upper left quarter red."""
    picture = level(20, width, height)
    picture[: height // 2, : width // 2] = (230, 20, 20)
    return picture


def tone(seconds: float, hertz: float = 440.0, rate: int = 16_000, loudness: float = 0.5) -> np.ndarray:
    """(n,) float32 samples of a sine."""
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray] = (),
    *,
    fps: int = 10,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    gop: int = 250,
    b_frames: int = 0,
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    rate: int = 16_000,
    options: dict[str, str] | None = None,
) -> Path:
    """Write pictures ((h, w, 3) uint8 RGB) and sound ((n,) float32 mono) to `path`.

    b_frames: pictures in a row, at most, that are stored after a later one that they refer to.
    times: seconds of each picture, for a variable frame rate. rotation: counter-clockwise degrees in the display matrix.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        video = audio = None
        if len(pictures):
            video = container.add_stream(
                codec, rate=fps, options=KEYS_BY_GOP_ONLY.get(codec, {}) | ({"bf": str(b_frames)} if codec == "libx264" else {})
            )
            video.height, video.width = pictures[0].shape[:2]
            video.pix_fmt = pixel_format
            video.gop_size = gop
            unit = Fraction(1, fps) if times is None else Fraction(1, 1000)
            video.codec_context.time_base = unit
            if rotation:
                video.set_display_rotation(rotation)
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=rate, layout="mono")
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = unit
            frame.pts = i if times is None else round(1000 * times[i])
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode(None))
        if audio is not None:
            _write_sound(container, audio, sound, rate)
    return path


def _write_sound(container: av.container.OutputContainer, stream: av.AudioStream, sound: np.ndarray, rate: int) -> None:
    step = 1024
    for begin in range(0, len(sound), step):
        frame = av.AudioFrame.from_ndarray(sound[None, begin : begin + step], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
