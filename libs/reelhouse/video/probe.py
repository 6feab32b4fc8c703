"""What a container says of its video: format, codec, size as displayed, length, sound track."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelhouse.errors import VideoError
from reelhouse.video.opening import PIXELS_MAX

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Probe:
    """Columns of silver.videos that come from the file. Pictureless files have None in the columns of the picture."""

    container: str
    has_audio: bool
    codec: str | None = None
    pixel_format: str | None = None
    width: int | None = None
    height: int | None = None
    rotation: int | None = None
    duration_seconds: float | None = None
    fps: float | None = None
    audio_codec: str | None = None
    sample_rate: int | None = None


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures with a decoder; cover art of a sound file does not count."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def sound_stream(container: InputContainer) -> AudioStream | None:
    return next((s for s in container.streams.audio if s.codec_context is not None and s.codec_context.sample_rate), None)


def read_only(container: InputContainer, stream: VideoStream | AudioStream) -> None:
    """Have the demuxer pass over every other stream's data unread."""
    from av.stream import Discard

    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all


def check_size(stream: VideoStream) -> None:
    """VideoError too_large for a picture that would need unreasonable memory."""
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > PIXELS_MAX:
        raise VideoError("too_large", f"the picture has {width} x {height} pixels, {PIXELS_MAX} are allowed; deliver a smaller rendition")


def seconds_of(container: InputContainer, stream: VideoStream | AudioStream) -> float | None:
    """Length in seconds as the header says; None where it says nothing (live recordings) or nonsense."""
    seconds = None
    if stream.duration and stream.duration > 0:
        seconds = stream.duration * base_of(stream)
    elif container.duration and container.duration > 0:
        seconds = container.duration / 1e6
    return seconds


def base_of(stream: VideoStream | AudioStream) -> float:
    """Seconds in a unit of the stream's timestamps."""
    return float(stream.time_base or 1)


def start_of(stream: VideoStream | AudioStream) -> float:
    """Time of the stream's first picture or sample, in seconds; times in the tables count from here."""
    return stream.start_time * base_of(stream) if stream.start_time is not None else 0.0


def displayed_size(width: int, height: int, aspect: float, rotation: int) -> tuple[int, int]:
    """Width and height after stretching non-square pixels (aspect = pixel width / height) and turning by `rotation`."""
    shown = (max(round(width * aspect), 1), height)
    return shown if rotation % 180 == 0 else (shown[1], shown[0])


def pixel_aspect(stream: VideoStream) -> float:
    """Width / height of one pixel; 1.0 where unknown or absurd."""
    ratio = stream.sample_aspect_ratio
    value = float(ratio) if ratio else 1.0
    return value if 0.1 <= value <= 10 else 1.0


def probe(container: InputContainer, *, rotation: int, seconds: float | None, frames_per_second: float | None) -> Probe:
    """Collect the probe. rotation: clockwise degrees. seconds, frames_per_second: as found by reading; None = as the header says."""
    sound, picture = sound_stream(container), picture_stream(container)
    common: dict[str, Any] = {
        "container": container.format.name,
        "has_audio": sound is not None,
        "audio_codec": sound.codec_context.codec.canonical_name if sound else None,
        "sample_rate": sound.codec_context.sample_rate if sound else None,
    }
    if picture is None:
        length = seconds if seconds is not None or sound is None else seconds_of(container, sound)
        return Probe(duration_seconds=length, **common)
    context = picture.codec_context
    width, height = displayed_size(context.width, context.height, pixel_aspect(picture), rotation)
    rate = picture.average_rate or picture.guessed_rate
    return Probe(
        codec=context.codec.canonical_name,
        pixel_format=context.pix_fmt,
        width=width,
        height=height,
        rotation=rotation,
        duration_seconds=seconds if seconds is not None else seconds_of(container, picture),
        fps=frames_per_second if frames_per_second is not None else (float(rate) if rate else None),
        **common,
    )


def file_size(container: InputContainer) -> int:
    return Path(container.name.removeprefix("file:")).stat().st_size
