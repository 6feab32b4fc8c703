"""Horovod: built from its PyPI sdist with one change, kept as a wheel in the cache folder.

The sdist asks for C++14 and the headers of today's torch need C++20; that, and a policy for CMake 4, is the whole change.
"""

import hashlib
import json
import os
import platform
import shutil
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from environment.commands import CHECKS, Command, Runner, SetupError
from environment.layout import Layout
from environment.packages import changing_packages

STANDARD = ("set(CMAKE_CXX_STANDARD 14)", "set(CMAKE_CXX_STANDARD 20)")
PATCHED_FILES = ("CMakeLists.txt", "horovod/torch/CMakeLists.txt")
BUILD_SETTINGS = {
    "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
    "HOROVOD_WITH_PYTORCH": "1",
    "HOROVOD_WITH_GLOO": "1",
    "HOROVOD_WITHOUT_MPI": "1",
    "HOROVOD_WITHOUT_TENSORFLOW": "1",
    "HOROVOD_WITHOUT_MXNET": "1",
}
ADVICE = (
    "Run `make setup` again after mending it, or go without Horovod: `REELHOUSE_HOROVOD=no make setup` "
    "(training then uses the `torch` launcher)."
)


def reason_to_leave_out(environ: Mapping[str, str] = os.environ) -> str | None:
    """Why Horovod is not built on this machine; None if it is."""
    if environ.get("REELHOUSE_HOROVOD", "").lower() in {"no", "0", "off", "false"}:
        return "REELHOUSE_HOROVOD says so"
    path = environ.get("PATH")
    missing = [names[0] for names in (("c++", "g++", "clang++"), ("make",)) if not any(shutil.which(name, path=path) for name in names)]
    return f"this machine has no {' and no '.join(missing)} (on Debian and Ubuntu: `apt-get install g++ make`)" if missing else None


def build_settings(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The settings of the build: Gloo and torch only, and whatever HOROVOD_* the caller adds, such as HOROVOD_GPU_OPERATIONS=NCCL."""
    return BUILD_SETTINGS | {name: value for name, value in sorted(environ.items()) if name.startswith("HOROVOD_")}


def patch(text: str) -> str:
    """A CMakeLists.txt with the C++ standard raised; an error if it is not the text that the change was written for."""
    old, new = STANDARD
    if text.count(old) != 1:
        what = f"Horovod's CMakeLists.txt holds `{old}` {text.count(old)} times, not once"
        raise SetupError(f"{what}: its release changed, and so must libs/environment/horovod.py.")
    return text.replace(old, new)


def wheel_key(facts: Mapping[str, object]) -> str:
    """The name of a build's folder in the cache: one for each set of inputs."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def gather_facts(layout: Layout, run: Runner) -> dict[str, object]:
    """All that a built wheel depends on."""
    question = "import importlib.metadata as m, sys; print(m.version('torch'), sys.implementation.cache_tag)"
    compiler = run.environ.get("CXX") or next(name for name in ("c++", "g++", "clang++") if shutil.which(name, path=run.environ["PATH"]))
    return {
        "source": (layout.pins / "horovod.lock").read_text(encoding="utf-8"),
        "torch, python": run.run([layout.python, "-c", question], wanted="ask for torch's version", advice=ADVICE).strip(),
        "compiler": run.run([compiler, "--version"], wanted="ask the C++ compiler's version", advice=ADVICE).splitlines()[0],
        "machine": [platform.system(), platform.machine(), *platform.libc_ver()],
        "change": [STANDARD, PATCHED_FILES],
        "settings": build_settings(),
    }


def find_or_build_wheel(layout: Layout, run: Runner) -> Path:
    """The wheel for these inputs; built unless the cache folder holds it."""
    facts = gather_facts(layout, run)
    folder = layout.cache / "horovod" / wheel_key(facts)
    found = sorted(folder.glob("horovod-*.whl"))
    if found:
        return found[0]
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder.parent)
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder.parent) as work:
        built = build_wheel(layout, run, Path(work))
        (built.parent / "inputs.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        try:
            # a rename is all or nothing: a killed build leaves no wheel that looks whole
            built.parent.rename(folder)
        except OSError:
            # another checkout was faster; its wheel has the same inputs
            if not (folder / built.name).exists():
                raise
    return folder / built.name


def remove_abandoned(builds: Path) -> None:
    """Builds that were killed leave their folder; one that is a day old is nobody's any more."""
    for folder in builds.glob("build-*"):
        if time.time() - folder.stat().st_mtime > 86400:
            shutil.rmtree(folder, ignore_errors=True)


def build_wheel(layout: Layout, run: Runner, work: Path) -> Path:
    """Fetches the sdist, checked against its hash, applies the change, builds."""
    fetch: Command = [layout.python, "-m", "pip", "download", "--require-hashes", "--no-deps", "--no-binary", "horovod"]
    fetch += ["--no-build-isolation", "-r", layout.pins / "horovod.lock", "-d", work]
    run.run(fetch, wanted="fetch Horovod's source", advice=ADVICE)
    with tarfile.open(next(work.glob("horovod-*.tar.gz"))) as archive:
        archive.extractall(work / "source", filter="data")
    source = next((work / "source").iterdir())
    for name in PATCHED_FILES:
        file = source / name
        file.write_text(patch(file.read_text(encoding="utf-8")), encoding="utf-8")
    temporary = work / "tmp"
    temporary.mkdir()
    run.run(
        [layout.python, "-m", "pip", "wheel", "--verbose", "--no-build-isolation", "--no-deps", "--wheel-dir", work / "wheel", source],
        wanted="build Horovod",
        advice=ADVICE,
        cwd=work,
        extra=build_settings()
        | {"HOROVOD_CMAKE": str(layout.bin / "cmake"), "MAKEFLAGS": f"-j{os.cpu_count() or 1}", "TMPDIR": str(temporary)},
    )
    return next((work / "wheel").glob("horovod-*.whl"))


def install_wheel(layout: Layout, run: Runner, uv: Path, wheel: Path) -> None:
    """The wheel into the .venv."""
    command: Command = [uv, "pip", "install", "--python", layout.python, "--no-deps", "--reinstall", wheel]
    with changing_packages(layout):
        run.run(command, wanted="install the built Horovod", advice=ADVICE)


def check_two_ranks(layout: Layout, run: Runner) -> None:
    """Two processes under horovodrun agree on a sum."""
    run.run(
        [layout.bin / "horovodrun", "-np", "2", "--gloo", "--disable-cache", layout.python, CHECKS / "sum_two_ranks.py"],
        wanted="run two Horovod processes",
        advice=ADVICE,
        cwd=layout.share,
    )
