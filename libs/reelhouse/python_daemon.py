"""What Spark starts its Python workers with on one machine: pyspark's own daemon, after two savings.

Spark puts pyspark.zip and its core JAR on the workers' path, and Python reads the tables of contents of all archives on the path
again before every task, once a package imported from them: 124 ms a task, measured. The same pyspark is installed, so the archives
can go. And what every worker needs is imported once, before they are forked, and left alone by the full garbage collection that
pyspark does after each task.
"""

from __future__ import annotations

import gc
import runpy
import sys
from pathlib import PurePath

OWN = ("pyspark", "py4j-", "spark-core_")  # how the names of Spark's archives begin; a user's stay


def leave_out_archives() -> None:
    gone = [e for e in sys.path if e.endswith((".zip", ".jar")) and PurePath(e).name.startswith(OWN)]
    sys.path[:] = [entry for entry in sys.path if entry not in gone]
    for entry in [e for e in sys.path_importer_cache if e.startswith(tuple(gone))]:
        del sys.path_importer_cache[entry]


def main() -> None:
    """The worker module's name is the first argument, as Spark gives it."""
    leave_out_archives()
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401
    import pyspark.sql.pandas.serializers
    import pyspark.sql.pandas.types  # noqa: F401

    for module in [name for name in sys.modules if name.partition(".")[0] == "reelhouse"]:
        del sys.modules[module]  # the workers import the code that was shipped to them
    gc.collect()
    gc.freeze()
    runpy.run_module("pyspark.daemon", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
