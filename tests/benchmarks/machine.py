"""How fast this machine is: machines of one name differ by a factor of four, and so does one machine from hour to hour."""

from __future__ import annotations

import time


def additions_a_second() -> float:
    """Millions a second on one core, in a Python loop; best of three."""
    best = float("inf")
    for _ in range(3):
        start, total = time.perf_counter(), 0
        for i in range(2_000_000):
            total += i
        best = min(best, time.perf_counter() - start)
    return 2 / best
