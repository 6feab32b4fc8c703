"""Looking at places of a video: seeking where that is cheaper, decoding no more than needed.

A place needs no exact time: it stands for its part of the video. If a keyframe lies in the part, the one nearest to the
middle is taken, which costs one decoded picture. Otherwise decoding goes on from the last keyframe to the middle, without
pictures that no other picture refers to (two fifths of the decoding time of the 112 clips of shared/data).
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.errors import VideoError
from reelhouse.video.choice import places
from reelhouse.video.hashing import SIDE
from reelhouse.video.opening import PIXELS_MAX, Deadline
from reelhouse.video.probe import base_of, check_size, file_size, read_only, seconds_of, start_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

SEEK_SECONDS = 1.0  # without an index, a place that is nearer is reached by decoding on, not by seeking
PACKETS_A_SECOND = 240  # packets read from a video, at most, for each of the seconds that may be looked at
KEPT_PIXELS = 2048 * 2048  # larger pictures are shrunk while they wait to be chosen


@dataclass(frozen=True)
class Sight:
    """A picture that was looked at.

    picture: as coded, not yet upright; grey: (32, 32) uint8, upright; quarters: counter-clockwise quarter turns that make it upright.
    """

    time_seconds: float
    picture: VideoFrame
    grey: np.ndarray
    quarters: int


@dataclass(frozen=True)
class Sights:
    """What was seen. seconds: length as far as it can be read; damage: what is wrong with the file, in words, or None."""

    sights: list[Sight]
    seconds: float | None
    damage: str | None = None


def look_at(
    container: InputContainer,
    stream: VideoStream,
    *,
    count: int,
    seconds_max: float,
    reformatter: VideoReformatter,
    deadline: Deadline,
) -> Sights:
    """Look at `count` places spread evenly over the first `seconds_max` seconds.

    Fewer come back for a video of fewer pictures, and for a truncated one, which is looked at as far as it can be read.
    VideoError: too_large, corrupt_data (the decoder rejects data in the middle), undecodable (too many packets), too_slow.
    """
    check_size(stream)
    read_only(container, stream)
    _prepare(stream)
    walk = _Walk(container, stream, reformatter, int(PACKETS_A_SECOND * max(seconds_max, 10)), deadline)
    stated = seconds_of(container, stream)
    present = _present_seconds(container, stream)
    seconds = present if present is not None else stated
    if seconds is None:
        seconds = _scanned_seconds(container, stream, seconds_max, deadline)  # a live recording
    sights = walk.visit(min(seconds, seconds_max), count)
    if walk.fell_short:
        found = _scanned_seconds(container, stream, seconds_max, deadline)
        if found < 0.95 * min(seconds, seconds_max):
            seconds, present = found, found
            sights = walk.visit(found, count) or sights
    walk.check_damage()
    damage = None
    if present is not None and stated is not None:
        damage = f"its pictures end at {present:.2f} s of the {stated:.2f} s that its header states"
    return Sights(sights, seconds, damage)


def _prepare(stream: VideoStream) -> None:
    """One thread, since a Spark task owns one core; pictures that nothing refers to are skipped."""
    context = stream.codec_context
    context.thread_count = 1
    context.skip_frame = "NONREF"
    context.options = {"max_pixels": str(PIXELS_MAX)}


class _Walk:
    """A forward walk through one video's packets that seeks ahead where this saves decoding."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, reformatter: VideoReformatter, packets_left: int, deadline: Deadline
    ) -> None:
        self.container, self.stream, self.reformatter = container, stream, reformatter
        self.packets_left, self.deadline = packets_left, deadline
        self.base = base_of(stream)
        self.start = start_of(stream)
        self.half = 0.5 / float(stream.average_rate or 25)  # of the time that a picture is shown
        self.fell_short = False

    def visit(self, seconds: float, count: int) -> list[Sight]:
        """The picture for each of `count` parts of `seconds`, in order of time; one that stands for several parts once."""
        self.position = -1.0  # time of the last decoded picture
        self.last: VideoFrame | None = None
        self.sequential = False  # whether seeking has turned out not to help
        self.error_at: float | None = None
        self.damage_at: float | None = None
        self._seek(0.0)  # some containers (Matroska) read their index only now
        keys = self._keyframes(seconds, count)
        part = seconds / count
        sights: dict[float, Sight] = {}
        for i, middle in enumerate(places(seconds, count)):
            frame = self._reach(middle, i * part, part, keys)
            if frame is None:
                break
            if self.position not in sights:
                sights[self.position] = self._sight(frame, max(self.position, 0.0))
        self.fell_short = self.position < seconds - 2 * part
        return [sights[time] for time in sorted(sights)]

    def _reach(self, middle: float, begin: float, part: float, keys: list[float] | None) -> VideoFrame | None:
        """The picture that stands for the part [begin, begin + part); None if nothing at all can be decoded."""
        if keys is None:
            return self._reach_without_index(middle, begin)
        inside = keys[bisect.bisect_left(keys, begin) : bisect.bisect_left(keys, begin + part)]
        target = min(inside, key=lambda k: (abs(k - middle), k)) if inside else middle
        before = keys[: bisect.bisect_right(keys, target)]
        if before and before[-1] > max(self.position, 0.0) + self.half:
            self._seek(target)
        return self._decode_until(target)

    def _reach_without_index(self, middle: float, begin: float) -> VideoFrame | None:
        if self.sequential or middle - max(self.position, 0.0) <= SEEK_SECONDS:
            return self._decode_until(middle)
        before = self.position
        self._seek(middle)
        landed = self._next()
        if landed is None:  # some demuxers overshoot at the end of a damaged file
            self._seek(0.0)
            self.sequential = True
        elif self.position <= before:
            self.sequential = True  # keyframes are far apart: decode on from here, seek no more
        elif self.position >= begin:
            return landed
        return self._decode_until(middle)

    def _decode_until(self, target: float) -> VideoFrame | None:
        """The first picture at `target` or later; where there is none, the last one, which is shown until the end."""
        while self.last is None or self.position < target - self.half:
            if self._next() is None:
                break
        return self.last

    def _next(self) -> VideoFrame | None:
        frame = next(self.frames, None)
        if frame is not None:
            self.last = frame
            self.position = frame.time - self.start if frame.time is not None else self.position + 2 * self.half
        return frame

    def _seek(self, seconds: float) -> None:
        import av

        try:
            self.container.seek(round((seconds + self.start) / self.base), stream=self.stream, backward=True, any_frame=False)
        except av.FFmpegError:
            self.sequential = True  # a container that can't seek is read in order
        self.frames: Iterator[VideoFrame] = self._decoded()

    def _decoded(self) -> Iterator[VideoFrame]:
        import av

        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._reject(packet)
                continue
            for frame in frames:
                if frame.is_corrupt:
                    continue
                if self.error_at is not None:
                    self.damage_at = self.error_at
                yield frame

    def _packets(self) -> Iterator[Packet]:
        import av

        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                packet = None  # what follows can't be read
            if packet is None:
                return
            self.deadline.check()
            self.packets_left -= 1
            if self.packets_left < 0:
                raise VideoError("undecodable", "more packets than any video of its length needs; re-encode it and deliver it again")
            yield packet

    def _reject(self, packet: Packet) -> None:
        """Remember rejected data; the last packet of a truncated file, which nothing follows, is no damage in the middle."""
        if self.error_at is None and not packet.is_corrupt and packet.size:
            self.error_at = (packet.pts or packet.dts or 0) * self.base - self.start

    def check_damage(self) -> None:
        """VideoError corrupt_data if pictures could be decoded after data that the decoder rejected."""
        if self.damage_at is not None:
            where = f"its data is damaged {self.damage_at:.2f} s from its start and goes on after that"
            raise VideoError("corrupt_data", f"{where}: pictures would be wrong; re-encode it or deliver it again")

    def _keyframes(self, seconds: float, count: int) -> list[float] | None:
        """Times of the keyframes from the container's index; None unless the index reaches the last part.

        MP4 lists when pictures are decoded, which is before they are shown: by as much as its first one.
        """
        entries = self.stream.index_entries
        if not len(entries):
            return None
        zero = min(entries[0].timestamp * self.base, self.start)
        if entries[len(entries) - 1].timestamp * self.base - zero < seconds * (1 - 1 / count):
            return None
        times = ((e.timestamp * self.base - zero, e.is_keyframe) for e in entries)
        return [time for time, is_key in takewhile(lambda one: one[0] <= seconds, times) if is_key]

    def _sight(self, frame: VideoFrame, time: float) -> Sight:
        quarters = round((frame.rotation or 0) / 90) % 4
        grey = self.reformatter.reformat(frame, SIDE, SIDE, "gray", interpolation="AREA").to_ndarray()
        pixels = frame.width * frame.height
        if pixels > KEPT_PIXELS:
            width, height = (int(side * (KEPT_PIXELS / pixels) ** 0.5) // 2 * 2 for side in (frame.width, frame.height))
            frame = self.reformatter.reformat(frame, max(width, 2), max(height, 2), interpolation="AREA")
        return Sight(time, frame, np.ascontiguousarray(np.rot90(grey, quarters)), quarters)


def _present_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Where the data that is in the file ends, if the index speaks of data beyond the end of the file; else None."""
    entries = stream.index_entries
    size, count = file_size(container), len(entries)
    if not count or entries[count - 1].pos + entries[count - 1].size <= size:
        return None
    present = [e.timestamp for e in entries if e.pos + e.size <= size]
    return max(present[-1] * base_of(stream) - start_of(stream), 0.0) if present else 0.0


def _scanned_seconds(container: InputContainer, stream: VideoStream, seconds_max: float, deadline: Deadline) -> float:
    """Length by reading packets without decoding them, up to `seconds_max`."""
    import av

    start, times = start_of(stream), [0.0]
    try:
        container.seek(0 if stream.start_time is None else stream.start_time, stream=stream, backward=True)
        for packet in container.demux(stream):
            deadline.check()
            if packet.pts is not None and not packet.is_corrupt:
                times.append((packet.pts + (packet.duration or 0)) * base_of(stream) - start)
                if times[-1] > seconds_max:
                    break
    except av.FFmpegError:
        pass
    return max(times)
