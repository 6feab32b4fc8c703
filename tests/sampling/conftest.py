"""The generator of planted clusters that figures are quoted on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.datasets import tool


@pytest.fixture(scope="session")
def planted(shared_data: Path) -> Callable:
    """planted(n, d, groups, ...) -> unit vectors (n, d), labels (n,). A missing file fails under CI, elsewhere the test is left out."""
    return tool("planted_clusters").planted
