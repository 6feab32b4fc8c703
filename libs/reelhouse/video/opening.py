"""Opening a video by its uri: the one place that knows where bytes lie and what FFmpeg may do with them.

What a healthy decoder can be made to do is bounded: picture size, seconds and packets looked at. For others see isolation.py.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

from reelhouse.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer

# Containers of videos and of sound. Others are refused: playlists and concat scripts, which name further files to open,
# pictures, and plain text, which FFmpeg would otherwise play as a terminal animation.
FORMATS = "mov,mp4,matroska,webm,avi,flv,mpegts,mpeg,ogg,asf,ivf,mp3,wav,flac,aac,h264,hevc,m4v,mpegvideo,dv,mxf,rm,gif"
PIXELS_MAX = 8192 * 4352  # 8K video has 7680 x 4320


@contextmanager
def local_file(uri: str) -> Iterator[Path]:
    """The file at `uri` as a local path: as it is for a path or a file: address, else a copy that is removed afterwards.

    Other addresses (s3://, hdfs://, gs://) are read by pyarrow.fs. VideoError missing_file, unreadable_file.
    """
    scheme, colon, rest = uri.partition(":")
    if uri.startswith("/") or not colon or "/" in scheme:
        yield Path(uri)
    elif scheme == "file":
        yield Path(unquote(rest.removeprefix("//localhost").removeprefix("//")))
    else:
        with tempfile.NamedTemporaryFile(prefix="reelhouse-", suffix=Path(rest).suffix) as copy:
            _fetch(uri, copy)
            copy.flush()
            yield Path(copy.name)


def _fetch(uri: str, to: IO[bytes]) -> None:
    import pyarrow
    from pyarrow import fs

    try:
        filesystem, path = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
        with filesystem.open_input_stream(path) as source:
            shutil.copyfileobj(source, to, 1 << 20)
    except FileNotFoundError as error:
        raise VideoError("missing_file", f"{uri} is not there: it was moved or removed after ingest; deliver it again") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise VideoError("unreadable_file", f"{uri} can't be read: {error}. Check its address and the rights to read it") from error


class Deadline:
    """The time that one file may take: a hostile or damaged one must not hold up the others."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._end = seconds, time.monotonic() + seconds

    def check(self) -> None:
        """VideoError too_slow when the time is over. Called between packets; a packet's picture is bounded by PIXELS_MAX."""
        if time.monotonic() > self._end:
            raise too_slow(self.seconds)


def too_slow(seconds: float) -> VideoError:
    return VideoError(
        "too_slow", f"it took longer than {seconds:g} s to look at (video.file_timeout_seconds); re-encode it and deliver it again"
    )


@contextmanager
def opened(path: Path, deadline: Deadline | None = None) -> Iterator[InputContainer]:
    """The container in `path`, open for reading. deadline: until when; FFmpeg's own reading is cut off too.

    VideoError: missing_file, empty_file, unreadable_file, truncated_file (an MP4 without its index), not_a_video.
    """
    import av

    _look_at_file(path)
    # `./-x` and `a:b` are file names here, never options or protocols
    limits = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_streams": "64"}
    try:
        seconds = deadline.seconds if deadline else None
        container = av.open(f"file:{path.resolve()}", container_options=limits, metadata_errors="replace", timeout=seconds)
    except (av.FFmpegError, ValueError, OSError) as error:
        if deadline is not None:
            deadline.check()
        raise _refusal(path, error) from error
    try:
        yield container
    finally:
        container.close()


def _look_at_file(path: Path) -> None:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise VideoError("not_a_video", f"{path} is a folder, not a video file; name the file itself")
    except FileNotFoundError as error:
        raise VideoError("missing_file", f"{path} is not there: it was moved or removed after ingest; deliver it again") from error
    except OSError as error:
        raise VideoError("unreadable_file", f"{path} can't be read: {error.strerror}. Check the rights to read it") from error
    if size == 0:
        raise VideoError("empty_file", f"{path} has no bytes: its transfer failed; deliver it again")


def _refusal(path: Path, error: Exception) -> VideoError:
    if isinstance(error, PermissionError):
        return VideoError("unreadable_file", f"{path} can't be read: permission denied. Check the rights to read it")
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return VideoError(
            "truncated_file", f"{path} begins as MP4, but its index (moov) can't be read: it was cut off or damaged; deliver it again"
        )
    why = getattr(error, "strerror", None) or str(error)
    return VideoError("not_a_video", f"{path} is not a video that can be opened ({why}); deliver MP4, MOV, WebM, MKV or AVI")
