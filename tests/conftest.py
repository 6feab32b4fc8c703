"""What tests share: one Spark session, the folder of real data, and a fresh lake."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from reelhouse import settings as settings_module
from reelhouse.lake import Lake, start_session
from reelhouse.settings import Settings
from tests import turns
from tests.newcomer import DONE, first_day

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest_plugins = ["pytester"]  # for what tests/turns.py does with tests

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


# The files that take longest come first, so that no worker is left with one of them at the end.
LONGEST = (
    "test_command_line", "test_pipeline", "test_kuairec", "test_clips", "test_whole_day", "test_cluster", "test_every_job_killed",
    "test_server", "test_driver_memory", "test_vectors_on_server", "test_milvus_killed", "test_processes_killed", "test_promotion",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """The day whose turn is run and how long turns are (tests/turns.py), the same for every worker of one run."""
    os.environ.setdefault(turns.DATE, str(dt.datetime.now(dt.UTC).date()))
    if turns.PACE not in os.environ:
        os.environ[turns.PACE] = str(turns.pace())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    declared = [(item, turns.declaration(item)) for item in items]
    gone = turns.left_out({(name, item.path, pool, seconds) for item, (name, pool, seconds) in declared if pool}, config.args)
    config.hook.pytest_deselected(items=[item for item, (name, *_) in declared if name in gone])
    items[:] = [item for item, (name, *_) in declared if name not in gone]
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A real Delta-enabled session on two cores, shared by all tests of a worker."""
    loaded = settings_module.load(values={"spark.master": "local[2]", "spark.driver_memory": "2g"})
    session = start_session(loaded.spark, scratch=tmp_path_factory.mktemp("spark"))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout. Under CI a missing folder is a failure, elsewhere the test is left out."""
    if not SHARED_DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the real data is missing: {SHARED_DATA}")
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a newcomer's first day, the same for every worker; tests read it only. The lake is `warehouse-sample` in it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "newcomer"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / DONE).exists():
            first_day(folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with a fresh storage root."""
    return settings_module.load(values={"storage.root": str(tmp_path / "warehouse"), "spark.master": "local[2]"})


@pytest.fixture
def lake(spark: SparkSession, settings: Settings) -> Lake:
    return Lake(spark, settings.storage.root)
