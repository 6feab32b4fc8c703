"""A snapshot's rows for one rank, through Petastorm, with the proof that none was lost and none came twice."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np

from reelhouse.errors import TrainingError
from reelhouse.features import Layout
from reelhouse.training.ranks import Ranks

# A shard up to this size is read once and kept; a larger one is read anew in every epoch.
KEPT_BYTES = 2 << 30
Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shard:
    """What this rank will read, known from the files' own columns video_id and split, without Petastorm.

    train_rows: rows of split train in it. identity: of all ranks together, rows and the sum of the ids' hashes.
    """

    urls: tuple[str, ...]
    rank: int
    size: int
    row_groups: int
    train_rows: int
    total_rows: int
    total_identity: int

    @property
    def is_empty(self) -> bool:
        """With fewer row groups than ranks some ranks have nothing to read."""
        return self.rank >= self.row_groups


def columns(layout: Layout) -> list[str]:
    """What the loop reads. A modality that the layout lacks has empty arrays; they are left out."""
    return ["video_id", "split", "weight", "targets", *[n for p in layout.parts for n in (p.modality, f"{p.modality}_mask")]]


def open_shard(files: Sequence[str], ranks: Ranks, expected_rows: int) -> Shard:
    """Petastorm gives row group i, counted over the sorted files, to rank i modulo the number of ranks.

    Raises TrainingError if the files hold another number of rows than the snapshot says.
    """
    from petastorm.fs_utils import get_filesystem_and_path_or_paths
    from pyarrow import parquet

    urls = tuple(_plain(file) for file in sorted(files))
    if not urls:
        raise TrainingError("the snapshot has no files; run `reelhouse job build_training_set` for the date again")
    filesystem, paths = get_filesystem_and_path_or_paths(list(urls))
    total, identity, train_rows, groups = 0, 0, 0, 0
    for path in paths:
        with filesystem.open(path) as opened:
            file = parquet.ParquetFile(opened)
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=["video_id", "split"])
                total += table.num_rows
                identity += int(identities(np.array(table["video_id"].to_pylist(), dtype=str)).sum(dtype=np.int64))
                if groups % ranks.size == ranks.rank:
                    train_rows += table["split"].to_pylist().count("train")
                groups += 1
    if total != expected_rows:
        raise TrainingError(
            f"the snapshot's files hold {total} rows, the snapshot says {expected_rows}: videos were taken down or rows refused since. "
            "Run `reelhouse job build_training_set` for the date again, then train"
        )
    return Shard(urls, ranks.rank, ranks.size, groups, train_rows, total, _wrapped(identity))


def read(shard: Shard, layout: Layout) -> Iterator[Rows]:
    """Row group by row group, in order, by one reader that works in this thread: more workers would shuffle differently each time."""
    if shard.is_empty:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Petastorm tells of pyarrow's deprecations at each read
        from petastorm import make_batch_reader

        reader = make_batch_reader(
            list(shard.urls), schema_fields=columns(layout), reader_pool_type="dummy", workers_count=1, num_epochs=1,
            shuffle_row_groups=False, cur_shard=shard.rank, shard_count=min(shard.size, shard.row_groups),
        )  # fmt: skip
        with reader:
            for batch in reader:
                yield {name: np.asarray(getattr(batch, name)) for name in columns(layout)}


def row_bytes(layout: Layout, classes: int) -> int:
    return 4 * (classes + sum(p.steps * (p.dimension + 1) for p in layout.parts)) + 64


def identities(video_ids: np.ndarray) -> np.ndarray:
    """(n,) int64: a hash of each id. Their sum tells two sets of rows apart, whatever the order."""
    digests = [hashlib.blake2b(str(v).encode(), digest_size=8).digest() for v in video_ids]
    return np.array([int.from_bytes(d, "little", signed=True) for d in digests], np.int64)


def check_seen(shard: Shard, ranks: Ranks, seen: Sequence[np.ndarray], epoch: int) -> None:
    """Collective: all ranks together must have seen each row of the snapshot once. `seen`: the ids that this rank read.

    Raises TrainingError on every rank, naming the rows that are missing or came twice.
    """
    import torch

    own = np.concatenate(list(seen)) if seen else np.zeros(0, "<U1")
    # the sum of hashes goes as two halves: not every backend adds 64-bit integers with wrap-around
    identity = int(identities(own).sum(dtype=np.int64)) & (2**64 - 1)
    halves = torch.tensor([len(own), identity >> 32, identity & (2**32 - 1)], dtype=torch.int64)
    count, high, low = (int(v) for v in ranks.allreduce(halves))
    if count == shard.total_rows and _wrapped((high << 32) + low) == shard.total_identity:
        return
    counted = Counter(v for part in ranks.allgather(own.tolist()) for v in part)
    wanted = Counter(_all_ids(shard))
    missing, extra = sorted((wanted - counted).elements()), sorted((counted - wanted).elements())
    raise TrainingError(
        f"epoch {epoch}: the readers gave {count} rows, the snapshot holds {shard.total_rows}: "
        f"{len(missing)} missing {missing[:5]}, {len(extra)} too many {extra[:5]}. Nothing was registered; run again"
    )


def _all_ids(shard: Shard) -> list[str]:
    from petastorm.fs_utils import get_filesystem_and_path_or_paths
    from pyarrow import parquet

    filesystem, paths = get_filesystem_and_path_or_paths(list(shard.urls))
    found: list[Any] = []
    for path in paths:
        with filesystem.open(path) as opened:
            found += parquet.ParquetFile(opened).read(columns=["video_id"])["video_id"].to_pylist()
    return found


def _wrapped(value: int) -> int:
    """As a signed 64-bit number."""
    return (value + 2**63) % 2**64 - 2**63


def _plain(file: str) -> str:
    """Spark writes file addresses with %20 and one slash; Petastorm wants them as they are on disk."""
    parts = urlparse(file)
    return f"file://{unquote(parts.path)}" if parts.scheme in ("", "file") else file


def select(rows: Rows, chosen: np.ndarray) -> Rows:
    return {name: values[chosen] for name, values in rows.items()}


def join(parts: Sequence[Mapping[str, np.ndarray]]) -> Rows:
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]} if parts else {}
