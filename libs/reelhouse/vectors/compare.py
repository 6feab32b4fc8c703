"""Compare what Delta wants with what Milvus holds: two sorted streams of (id, checksum), in one pass and little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from reelhouse.errors import VectorStoreError


@dataclass(frozen=True)
class Difference:
    """missing: wanted and not held; extra: held and not wanted; different: held with another checksum."""

    video_id: str
    kind: Literal["missing", "extra", "different"]


def differences(wanted: Iterable[tuple[str, int]], held: Iterable[tuple[str, int]]) -> Iterator[Difference]:
    """The differences in order of id. Both streams are sorted by the id's UTF-8 bytes, as Spark and Milvus sort.

    VectorStoreError when a stream is out of order or repeats an id: then nothing it says can be trusted.
    """
    left, right = _checked(wanted, "Delta"), _checked(held, "Milvus")
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            assert a is not None
            yield Difference(a[0].decode(), "missing")
            a = next(left, None)
        elif a is None or b[0] < a[0]:
            yield Difference(b[0].decode(), "extra")
            b = next(right, None)
        else:
            if a[1] != b[1]:
                yield Difference(a[0].decode(), "different")
            a, b = next(left, None), next(right, None)


def _checked(rows: Iterable[tuple[str, int]], side: str) -> Iterator[tuple[bytes, int]]:
    last: bytes | None = None
    for video_id, checksum in rows:
        key = video_id.encode()
        if last is not None and key <= last:
            raise VectorStoreError(
                f"{side} listed {video_id!r} after {last.decode()!r}: ids must be unique and in order. "
                "Drop the collection and run load_vectors again for the newest date."
            )
        last = key
        yield key, checksum
