"""Draw, sound and encode one video file of the sample: H.264 and AAC in mp4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reelhouse.sample import scenes, sounds


@dataclass(frozen=True)
class Clip:
    """How a file looks and sounds. Width and height as displayed; `rotation`: degrees that players turn the stored picture by."""

    scene: str
    sound: str | None
    width: int
    height: int
    fps: int
    seconds: float
    rotation: int
    overlay: str | None
    seed: int


def write_clip(path: Path, clip: Clip) -> None:
    count = max(1, round(clip.seconds * clip.fps))
    pictures = scenes.frames(clip.scene, clip.width, clip.height, count, clip.fps, seed=clip.seed, overlay=clip.overlay)
    sound = None if clip.sound is None else sounds.samples(clip.sound, count / clip.fps, seed=clip.seed)
    encode(path, pictures, clip.fps, sound, rotation=clip.rotation)


def encode(path: Path, pictures: Iterable[np.ndarray], fps: int, sound: np.ndarray | None, *, rotation: int = 0, crf: int = 27) -> None:
    """Write pictures (height, width, 3) uint8, upright, and mono sound (n,) float32 at sounds.RATE.

    One encoding thread, so that the same pictures give the same bytes.
    """
    import av

    pictures = iter(pictures)
    first = next(pictures)
    stored = _unturned(first, rotation)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "preset": "ultrafast", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = stored.shape[0], stored.shape[1], "yuv420p"
        if rotation:
            stream.set_display_rotation(-rotation)  # FFmpeg counts counter-clockwise
        voice = None
        if sound is not None:
            voice = container.add_stream("aac", rate=sounds.RATE, layout="mono")
            voice.bit_rate = 48_000
        for picture in _with_first(first, pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(_unturned(picture, rotation)), format="rgb24")))
        container.mux(stream.encode())
        if voice is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None, start : start + 1024]), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = sounds.RATE, start
                container.mux(voice.encode(frame))
            container.mux(voice.encode())


def _with_first(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _unturned(picture: np.ndarray, rotation: int) -> np.ndarray:
    """The picture as stored: turned back, so that a player's clockwise turn by `rotation` shows it upright."""
    return np.rot90(picture, rotation // 90)


def write_copy(path: Path, source: Path, transform: str) -> None:
    """A near-copy of a file: its decoded pictures, changed, encoded anew; the sound decoded and encoded anew."""
    import av

    pictures, sound = [], []
    with av.open(str(source)) as container:
        fps = round(container.streams.video[0].average_rate or 12)
        for frame in container.decode(video=0):
            pictures.append(change(frame.to_ndarray(format="rgb24"), transform))
        if container.streams.audio:
            container.seek(0)
            sound = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    encode(path, pictures, fps, np.concatenate(sound).astype(np.float32) if sound else None, crf=33 if transform == "reencoded" else 28)


def change(picture: np.ndarray, transform: str) -> np.ndarray:
    """The picture (height, width, 3) as a copier would change it; even sides, as H.264 wants."""
    height, width = picture.shape[:2]
    if transform == "scaled":
        return np.asarray(
            Image.fromarray(picture).resize((int(width * 0.75) // 2 * 2, int(height * 0.75) // 2 * 2), Image.Resampling.BILINEAR)
        )
    if transform == "brighter":
        return np.clip(picture.astype(np.float32) * 1.15 + 8, 0, 255).astype(np.uint8)
    if transform == "bordered":
        edge = max(2, round(0.04 * min(height, width)) // 2 * 2)
        return np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), constant_values=12)
    return picture


def damage(path: Path, kind: str) -> None:
    """Break a written file: truncated (its index, at the end, is lost), zero_byte, not_a_video; missing removes it."""
    if kind == "truncated":
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
    elif kind == "zero_byte":
        path.write_bytes(b"")
    elif kind == "not_a_video":
        path.write_bytes(b"<html><body>404 Not Found</body></html>\n" * 40)
    else:
        path.unlink()
