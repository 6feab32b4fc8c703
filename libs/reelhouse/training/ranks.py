"""One small interface to the processes that train together, whoever started them: horovodrun or torch.distributed.

Horovod's makers no longer maintain it; the loop knows only what is here.
"""

from __future__ import annotations

import os
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

Operation = Literal["sum", "max"]


class Ranks(Protocol):
    """rank: 0..size-1. Every call is collective: all ranks make it, in the same order."""

    rank: int
    size: int

    def allreduce(self, value: Tensor, operation: Operation = "sum") -> Tensor:
        """The sum or the largest of all ranks' values, entry by entry, the same on each rank."""

    def broadcast(self, value: Any) -> Any:
        """Rank 0's value (anything that pickles), on each rank."""

    def allgather(self, value: Any) -> list[Any]:
        """Every rank's value, in the order of ranks."""

    def close(self) -> None: ...


class HorovodRanks:
    """Processes that horovodrun started."""

    def __init__(self) -> None:
        import horovod.torch as hvd

        hvd.init()
        self._hvd, self.rank, self.size = hvd, hvd.rank(), hvd.size()

    def allreduce(self, value: Tensor, operation: Operation = "sum") -> Tensor:
        return self._hvd.allreduce(value, op=self._hvd.Sum if operation == "sum" else self._hvd.Max)

    def broadcast(self, value: Any) -> Any:
        # named, because Horovod's default name is the value's type: ranks with values of two types would wait for each other for ever
        return self._hvd.broadcast_object(value, root_rank=0, name="broadcast")

    def allgather(self, value: Any) -> list[Any]:
        return self._hvd.allgather_object(value, name="allgather")

    def close(self) -> None:
        self._hvd.shutdown()


class TorchRanks:
    """Processes that our launcher started; they meet through a file (REELHOUSE_STORE), so that no port is fought over."""

    def __init__(self) -> None:
        from torch import distributed

        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        store = distributed.FileStore(os.environ["REELHOUSE_STORE"], self.size)
        distributed.init_process_group("gloo", store=store, rank=self.rank, world_size=self.size)
        self._distributed = distributed

    def allreduce(self, value: Tensor, operation: Operation = "sum") -> Tensor:
        reduced = value.clone()
        self._distributed.all_reduce(reduced, op=getattr(self._distributed.ReduceOp, operation.upper()))
        return reduced

    def broadcast(self, value: Any) -> Any:
        held = [value]
        self._distributed.broadcast_object_list(held, src=0)
        return held[0]

    def allgather(self, value: Any) -> list[Any]:
        held: list[Any] = [None] * self.size
        self._distributed.all_gather_object(held, value)
        return held

    def close(self) -> None:
        self._distributed.destroy_process_group()


def join_ranks(launcher: str) -> Ranks:
    """The ranks that this process belongs to, as the launcher of that name started them."""
    # one thread a rank: sums of floats come out the same each time, and ranks do not fight over cores
    torch.set_num_threads(1)
    return HorovodRanks() if launcher == "horovod" else TorchRanks()
