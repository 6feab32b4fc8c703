from typing import Any

from torch import Tensor

from reelhouse.training.ranks import Operation


class OneRank:
    """A single process: nobody to talk to."""

    rank, size = 0, 1

    def allreduce(self, value: Tensor, operation: Operation = "sum") -> Tensor:
        return value.clone()

    def broadcast(self, value: Any) -> Any:
        return value

    def allgather(self, value: Any) -> list[Any]:
        return [value]

    def close(self) -> None: ...
