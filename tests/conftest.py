"""What tests share: one Spark session, the folder of real data, and a fresh lake."""

from __future__ import annotations

import datetime as dt
import os
import time
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
LONGEST = ("test_command_line", "test_pipeline")


def pytest_configure(config: pytest.Config) -> None:
    """The day whose turn is run and when it began (tests/turns.py), the same for every worker of one run."""
    os.environ.setdefault(turns.DATE, str(dt.datetime.now(dt.UTC).date()))
    os.environ.setdefault(turns.BEGUN, str(time.time()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what has its turn on another day; the files of which it is any come last, in the order of their pools."""
    declared = [(item, *turns.declaration(item)) for item in items]
    gone, if_time = turns.left_out({(name, item.path, pool, seconds) for item, name, pool, seconds in declared if pool}, config.args)
    config.hook.pytest_deselected(items=[item for item, name, *_ in declared if name in gone])
    items[:] = [item for item, name, *_ in declared if name not in gone]
    pools = list(turns.SECONDS_OF_A_TURN)
    order = {item.path: (item.path.stem not in LONGEST, 0, 0) for item in items}
    for item, name, pool, seconds in declared:
        item.stash[turns.IF_TIME_IS_LEFT] = name in if_time
        if pool and item.path in order and item.path.stem not in LONGEST:
            order[item.path] = max(order[item.path], (True, 1 + pools.index(pool), -seconds))
    items.sort(key=lambda item: order[item.path])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    turns.begin(item)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A real Delta-enabled session on two cores, shared by all tests of a worker."""
    loaded = settings_module.load(values={"spark.master": "local[2]", "spark.driver_memory": os.environ.get("REELHOUSE_TEST_MEMORY", "2g")})
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
def yesterday() -> dt.date:
    """Yesterday (UTC), and it stays so for minutes: close to midnight this waits for the new day."""
    now = dt.datetime.now(dt.UTC)
    until = (dt.datetime.combine(now.date(), dt.time(), dt.UTC) + dt.timedelta(days=1) - now).total_seconds()
    if until < 300:
        time.sleep(until + 1)
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with a fresh storage root."""
    return settings_module.load(values={"storage.root": str(tmp_path / "warehouse"), "spark.master": "local[2]"})


@pytest.fixture
def lake(spark: SparkSession, settings: Settings) -> Lake:
    return Lake(spark, settings.storage.root)
