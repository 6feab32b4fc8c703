"""The generator of planted clusters that figures are quoted on."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

_TOOL = Path(__file__).resolve().parents[3] / "shared" / "tools" / "planted_clusters.py"


@pytest.fixture(scope="session")
def planted() -> Callable:
    """planted(n, d, groups, ...) -> unit vectors (n, d), labels (n,). A missing file fails under CI, elsewhere the test is left out."""
    if not _TOOL.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"the generator is missing: {_TOOL}")
        pytest.skip(f"no generator at {_TOOL}")
    spec = importlib.util.spec_from_file_location("planted_clusters", _TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.planted
