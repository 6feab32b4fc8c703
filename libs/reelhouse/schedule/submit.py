"""The spark-submit line of one job: the driver runs here, the executors get the package as an archive."""

from __future__ import annotations

import hashlib
import shlex
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from reelhouse.errors import SettingsError, StorageError
from reelhouse.lake.environment import installed
from reelhouse.lake.session import ARCHIVED_PACKAGE, submit_options
from reelhouse.settings import Settings, plain_secrets

_LIBS = Path(__file__).resolve().parents[2]
_START = "from reelhouse.cli import main\n\nmain()\n"


def submit_line(settings: Settings, job: str, date: str, words: Sequence[str], into: Path) -> str:
    """The line, whose exit status is the job's. Writes the archive and the driver's file into the folder `into`.

    words: further options of `reelhouse job`. The executors need Python with the packages of requirements.lock, of which
    PYSPARK_PYTHON names the interpreter; Reelhouse itself and its jobs come with the archive. StorageError if `into` can't be written,
    SettingsError where a secret is among the options of Spark: they are printed, and every user of the machine sees them at work.
    """
    if secrets := plain_secrets({"spark": {"extra": settings.spark.extra}}):
        raise SettingsError(f"{', '.join(secrets)} would be printed: put it into the cluster's own spark-defaults.conf or core-site.xml")
    try:
        into.mkdir(parents=True, exist_ok=True)
        archive = package_archive(into)
        start = into / "reelhouse_job.py"
        start.write_text(_START, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"the package for the executors can't be written to {into}: {error}. Name another folder by --into.") from error
    options = submit_options(settings.spark)
    jars, memory = options.pop("spark.jars"), options.pop("spark.driver.memory")
    options |= {"spark.executorEnv.PYTHONPATH": ARCHIVED_PACKAGE, "spark.pyspark.driver.python": sys.executable, "spark.log.level": "ERROR"}
    java = installed().java_home
    line = [
        *(["env", f"JAVA_HOME={java}"] if java else []),
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", settings.spark.master),
        *("--name", f"reelhouse {job} {date}"),
        *("--driver-memory", memory),
        # as addresses: Spark takes a path with a blank in it for a file whose name ends in #reelhouse-package
        *("--jars", ",".join(Path(jar).as_uri() for jar in jars.split(","))),
        *("--archives", f"{archive.as_uri()}#{ARCHIVED_PACKAGE}"),
        *(word for name, value in sorted(options.items()) for word in ("--conf", f"{name}={value}")),
        str(start),
        *("job", job, "--date", date),
        *words,
    ]
    return shlex.join(line)


def package_archive(folder: Path) -> Path:
    """Zip the package and the jobs; the name tells the content, so that a line printed before goes on using its own."""
    sources = [(path, path.relative_to(_LIBS)) for path in sorted((_LIBS / "reelhouse").rglob("*.py"))]
    sources += [(path, path.relative_to(_LIBS.parent)) for path in sorted((_LIBS.parent / "jobs").glob("*.py"))]
    contents = [(str(name), path.read_bytes()) for path, name in sources]
    digest = hashlib.sha256(b"\0".join(name.encode() + b"\0" + content for name, content in contents)).hexdigest()[:12]
    archive = folder / f"reelhouse-{digest}.zip"
    unfinished = archive.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents:
            file.writestr(zipfile.ZipInfo(name), content)
    unfinished.replace(archive)
    return archive
