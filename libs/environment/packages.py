"""The .venv and the Python packages of the lock, installed by uv."""

import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from environment.commands import Command, Runner, SetupError
from environment.layout import Layout
from environment.record import hash_of, packages_present

NETWORK = (
    "Check that this machine reaches its package registry and has 15 GB of free disk, then run `make setup` again: "
    "it goes on where it stopped."
)

# Python runs this line of a .pth file at every start, in Spark's workers and Horovod's ranks too: these libraries otherwise
# write into the home folder and call home as soon as they are imported
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "ORT_DISABLE_TELEMETRY": "1", "GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "true"}


def site_packages(layout: Layout) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(layout.venv)}))


@contextmanager
def changing_packages(layout: Layout) -> Iterator[None]:
    """Marks the .venv while packages change: killed in here, a package may be half laid down or half removed, and no installer
    mends that (tried: setuptools without its RECORD). A failure that touched nothing, such as a lost network, leaves no mark."""
    before = installed(layout)
    layout.unfinished.touch()
    try:
        yield
    except BaseException:
        if installed(layout) == before:
            layout.unfinished.unlink()
        raise
    layout.unfinished.unlink()


def installed(layout: Layout) -> dict[str, int]:
    """What says that a package is there -> when that last changed."""
    return {folder.name: folder.stat().st_mtime_ns for folder in site_packages(layout).glob("*.dist-info")}


def make_venv(layout: Layout, run: Runner) -> None:
    """A .venv whose Python and pip start; one left half made, or with packages half installed, is made anew."""
    if layout.python.exists() and layout.share.is_dir() and not layout.unfinished.exists():
        try:
            run.run([layout.python, "-m", "pip", "--version"], wanted="start the .venv's pip", advice="")
            return
        except SetupError:
            pass
    if layout.venv.exists():
        shutil.rmtree(layout.venv)
    run.run(
        [sys.executable, "-m", "venv", layout.venv],
        wanted="make the virtual environment .venv",
        advice="On Debian and Ubuntu the package python3.11-venv is needed: `apt-get install python3.11-venv`.",
    )
    layout.share.mkdir(parents=True)


def install_uv(layout: Layout, run: Runner) -> Path:
    """uv of the pinned version in the .venv; its path."""
    pins = layout.pins / "tools.lock"
    uv = layout.bin / "uv"
    try:
        answer = run.run([uv, "--version"], wanted="start uv", advice=NETWORK)
    except SetupError:
        answer = ""
    if not uv_is_pinned(answer, pins.read_text(encoding="utf-8")):
        command: Command = [layout.python, "-m", "pip", "install", "--require-hashes", "--force-reinstall", "-r", pins]
        with changing_packages(layout):
            run.run(command, wanted="install uv", advice=NETWORK)
    return uv


def uv_is_pinned(answer: str, pins: str) -> bool:
    """Whether `uv --version` answered with the version that the file of hashes names."""
    wanted = re.search(r"^uv==(\S+)", pins, flags=re.MULTILINE)
    got = re.match(r"uv (\S+)", answer)
    return bool(wanted and got and wanted.group(1) == got.group(1))


def install_lock(layout: Layout, run: Runner, uv: Path) -> None:
    """Exactly the packages of the lock."""
    command: Command = [uv, "pip", "sync", "--python", layout.python, "--require-hashes", layout.lock]
    with changing_packages(layout):
        run.run(command, wanted="install the packages of requirements.lock", advice=NETWORK)


def describe_project(layout: Layout) -> str:
    """What an editable install depends on."""
    return f"{layout.top} {hash_of(layout.top / 'setup.py')} {packages_present(layout)}"


def install_project(layout: Layout, run: Runner, uv: Path) -> None:
    """Reelhouse itself, in place, so that `reelhouse` is on .venv/bin and edits need no new set-up."""
    command: Command = [uv, "pip", "install", "--python", layout.python, "--no-deps", "--no-build-isolation", "--reinstall"]
    advice = "Look at setup.py: its packages must exist under libs/."
    with changing_packages(layout):
        run.run([*command, "--editable", layout.top], wanted="install reelhouse itself", advice=advice)


def check_packages(layout: Layout, run: Runner, uv: Path) -> None:
    """No package lacks what it declares that it needs."""
    run.run(
        [uv, "pip", "check", "--python", layout.python],
        wanted="get a consistent set of packages",
        advice="A pin in setup.py and requirements.lock disagree: `make lock`, then `make setup`.",
    )


def write_quiet_start(layout: Layout) -> None:
    """Switches off the usage reports of the libraries, wherever the .venv's Python starts; a caller's own setting wins."""
    settings = "; ".join(f"os.environ.setdefault({name!r}, {value!r})" for name, value in QUIET.items())
    (site_packages(layout) / "reelhouse_quiet.pth").write_text(f"import os; {settings}\n", encoding="utf-8")
