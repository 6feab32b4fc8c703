"""A lake with a session of its own, for as long as somebody works with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reelhouse.errors import SparkError
from reelhouse.lake.lake import Lake
from reelhouse.lake.session import spark_errors, start_session

if TYPE_CHECKING:
    from reelhouse.settings import Settings


@contextmanager
def opened(settings: Settings) -> Iterator[Lake]:
    """The lake of the settings' root. Its session and temporary files end with the block."""
    with tempfile.TemporaryDirectory(prefix="reelhouse-", ignore_cleanup_errors=True) as scratch:
        lake = Lake(start_session(settings.spark, scratch=Path(scratch)), settings.storage.root)
        try:
            yield lake
        finally:
            with suppress(SparkError), spark_errors(lake.spark):  # where it has ended by itself that is known by now
                lake.spark.stop()
