"""A disk that is full or may not be written: one sentence that says so, nothing half-written, and the next run mends it."""

from __future__ import annotations

import datetime as dt
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.errors import StorageError
from reelhouse.lake import Lake
from tests.deliveries import deliver

DAY = dt.date(2026, 1, 1)
REELHOUSE = Path(sys.prefix) / "bin" / "reelhouse"
SMALL = 12_000_000  # bytes: what a file may hold where the disk is "full"; Spark itself needs some to start


# Sets the limit, then becomes the command. (preexec_fn would fork this process, and gRPC, once used in it, aborts in a fork.)
LIMITED = """
import os, resource, sys
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
os.execv(sys.argv[2], sys.argv[2:])
"""


def ingest(folder: Path, file_bytes_max: int | None) -> subprocess.CompletedProcess[str]:
    """Run the job ingest in a process that may write files of at most so many bytes, as on a disk without room for more."""
    command = [str(REELHOUSE), "job", "ingest", "--date", str(DAY), "--root", "w", "--set", "sources.deliveries=deliveries"]
    if file_bytes_max is not None:
        command = [sys.executable, "-c", LIMITED, str(file_bytes_max), *command]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_a_full_disk_is_named_and_nothing_is_half_written(spark: SparkSession, tmp_path: Path):
    letters = random.Random(0)
    rows = [{"video_id": f"v{n}", "caption": letters.randbytes(10_000).hex()} for n in range(2000)]  # 20 MB when compressed
    deliver(tmp_path / "deliveries", DAY, rows)
    full = ingest(tmp_path, SMALL)
    assert full.returncode != 0
    said = " ".join((full.stdout + full.stderr).split())
    assert re.search(r"(running the job ingest|writing bronze.video_arrivals at \S+) failed: the file would be larger", said)
    assert "Nothing half-written is left; mend that and run again" in said
    assert "Traceback" not in said
    lake = Lake(spark, str(tmp_path / "w"))
    assert lake.read(tables.VIDEO_ARRIVALS).isEmpty()
    assert ingest(tmp_path, None).returncode == 0
    assert lake.read(tables.VIDEO_ARRIVALS).count() == 2000


def test_a_root_that_may_not_be_written_is_named_before_any_work(spark: SparkSession, tmp_path: Path):
    where = tmp_path / "w"
    where.mkdir()
    where.chmod(0o500)
    if os.access(where, os.W_OK):  # root may write anywhere but there
        where = Path("/proc/reelhouse")
    with pytest.raises(StorageError, match=r"writing to the storage root .* failed: .*mend that and run again"):
        Lake(spark, str(where)).check_writable()
