"""Delta's JARs, resolved once by Spark's own Ivy, checked against their hashes, kept in the .venv."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from environment.commands import CHECKS, Command, Runner, SetupError
from environment.layout import Layout
from environment.network import java_options

CHECK = CHECKS / "write_delta_table.py"
ADVICE = (
    "Check that this machine reaches its Maven registry (behind a mirror: set DEFAULT_ARTIFACT_REPOSITORY to its address), "
    "then run `make setup` again."
)


def read_hashes(text: str) -> dict[str, str]:
    """File name -> SHA-256, from lines as `sha256sum` writes them."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {name: digest for digest, name in lines}


def wrong_files(folder: Path, hashes: Mapping[str, str]) -> list[str]:
    """The names that are missing from the folder or hold something else."""
    return [name for name, digest in hashes.items() if not (folder / name).is_file() or sha256(folder / name) != digest]


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def provide_jars(layout: Layout, run: Runner, java_home: Path) -> list[Path]:
    """The JARs in the .venv; fetched only if the cache folder does not hold them."""
    hashes = read_hashes((layout.pins / "jars.lock").read_text(encoding="utf-8"))
    ivy = layout.cache / "ivy"
    if wrong_files(ivy / "jars", hashes):
        resolve(layout, run, java_home, ivy)
        wrong = wrong_files(ivy / "jars", hashes)
        if wrong:
            raise SetupError(
                f"What was fetched from Maven is not what conf/environment/jars.lock names: {', '.join(wrong)}.\n"
                f"Remove {ivy} and run `make setup` again; if it stays so, delta-spark's version and jars.lock disagree."
            )
    layout.jars.mkdir(parents=True, exist_ok=True)
    for stale in layout.jars.iterdir():
        if stale.name not in hashes:
            stale.unlink()
    for name in wrong_files(layout.jars, hashes):
        # by rename: a session that reads the old file keeps it
        partial = layout.share / f"{name}.partial"
        shutil.copyfile(ivy / "jars" / name, partial)
        partial.replace(layout.jars / name)
    return [layout.jars / name for name in sorted(hashes)]


def resolve(layout: Layout, run: Runner, java_home: Path, ivy: Path) -> None:
    """Has Spark fetch the JARs into the Ivy folder: as Java is set up, else with what Python knows of certificates and proxies."""
    # Ivy keeps a broken download for good: what it holds of these is fetched anew
    for part in ("jars", "cache/io.delta", "cache/org.antlr"):
        shutil.rmtree(ivy / part, ignore_errors=True)
    command: Command = [layout.python, CHECKS / "resolve_jars.py", ivy]
    wanted, java = "fetch Delta's JARs", {"JAVA_HOME": str(java_home)}
    try:
        run.run(command, wanted=wanted, advice=ADVICE, cwd=layout.share, extra=java)
    except SetupError:
        options = {"JAVA_TOOL_OPTIONS": java_options(run.environ, layout.share / "trusted.jks")}
        run.run(command, wanted=wanted, advice=ADVICE, cwd=layout.share, extra=java | options)


def hash_of_check() -> str:
    """Of what check_delta does: a change to it makes another archive."""
    return sha256(CHECK) + sha256(Path(__file__))


def check_delta(layout: Layout, run: Runner) -> None:
    """Spark starts on this Java, and writes and reads Delta tables with the local JARs alone. Java leaves an archive of the classes
    that it loaded; with it, every later start takes half the time. A Java that can't make one leaves none."""
    partial = layout.share / "classes.partial"
    layout.classes.unlink(missing_ok=True)
    run.run(
        [layout.python, CHECK],
        wanted="write and read a Delta table",
        advice="If it is Java that fails, set JAVA_HOME to a Java 17 or 21 and run `make setup` again.",
        cwd=layout.share,
        extra={"JAVA_TOOL_OPTIONS": f"-XX:ArchiveClassesAtExit={partial} -XX:-UsePerfData -Xlog:disable -Xlog:all=error:stderr"},
    )
    if partial.is_file():
        partial.replace(layout.classes)
