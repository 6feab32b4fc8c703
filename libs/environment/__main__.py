"""`python3.11 libs/environment [setup|lock]`: makes the checkout's .venv, or the lock that it is made from."""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

if __name__ == "__main__":
    # this folder is run, not installed: its modules are found as `environment.*`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from environment import horovod, jars, java, packages
from environment.commands import Runner, SetupError
from environment.layout import Layout, find_layout
from environment.lock import write_locks
from environment.record import fingerprint, hash_of, is_done, once, write_record, write_whole

USAGE = "usage: python3.11 libs/environment [setup|lock]"
Result = TypeVar("Result")


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """One set-up of a checkout at a time; a second one waits."""
    folder = os.open(layout.top, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up of this checkout is running: waiting for it.")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def say(text: str) -> None:
    print(text, flush=True)


def step(what: str, action: Callable[[], Result]) -> Result:
    """Runs one step and says how long it took."""
    print(f"  {what} ...", end="", flush=True)
    begun = time.monotonic()
    try:
        result = action()
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - begun:.1f} s", flush=True)
    return result


def set_up(layout: Layout) -> None:
    """Brings .venv to what the lock and these scripts say; nothing to do is found out in milliseconds."""
    wanted = fingerprint(layout)
    if is_done(layout, wanted):
        return
    begun = time.monotonic()
    say("Bringing .venv up to date" if layout.steps.exists() else "Setting up .venv: about 5 GB to fetch, some minutes to build Horovod")
    run = Runner(layout)
    step("virtual environment", lambda: packages.make_venv(layout, run))
    layout.log.write_text("", encoding="utf-8")
    layout.stamp.unlink(missing_ok=True)
    uv = step("uv", lambda: packages.install_uv(layout, run))
    install_lock(layout, run, uv)
    left_out = horovod.reason_to_leave_out()
    if left_out:
        say(f"  Horovod is left out: {left_out}. Training uses the `torch` launcher.")
    else:
        install_horovod(layout, run, uv)
    java_home, origin = step("Java", lambda: java.provide_java(layout, run, uv))
    say(f"  ({origin})")
    delta = step("Delta's JARs", lambda: jars.provide_jars(layout, run, java_home))
    once(layout, "reelhouse", packages.describe_project(layout), lambda: install_project(layout, run, uv))
    step("check: packages fit together", lambda: packages.check_packages(layout, run, uv))
    write_record(layout, java_home=java_home, jars=delta, horovod_left_out=left_out)
    once(layout, "check of Delta", f"{java_home} {delta} {jars.hash_of_check()}", lambda: check_delta(layout, run))
    write_whole(layout.stamp, wanted + "\n")
    say(f"Ready in {time.monotonic() - begun:.0f} s.")


def install_lock(layout: Layout, run: Runner, uv: Path) -> None:
    """The packages of the lock; this takes away what is not in it, so all that comes after has to come again."""

    def install() -> None:
        step("packages of requirements.lock", lambda: packages.install_lock(layout, run, uv))

    once(layout, "lock", hash_of(layout.lock), install, undoes=("horovod", "java", "reelhouse", "check of Delta"))
    packages.write_quiet_start(layout)


def install_horovod(layout: Layout, run: Runner, uv: Path) -> None:
    """Horovod into the .venv, from the cache folder if it was built before."""
    wheel = step("Horovod's wheel (built once, about 3 minutes)", lambda: horovod.find_or_build_wheel(layout, run))

    def install() -> None:
        step("Horovod", lambda: horovod.install_wheel(layout, run, uv, wheel))
        step("check: two Horovod processes agree", lambda: horovod.check_two_ranks(layout, run))

    once(layout, "horovod", str(wheel), install)


def install_project(layout: Layout, run: Runner, uv: Path) -> None:
    step("reelhouse itself", lambda: packages.install_project(layout, run, uv))


def check_delta(layout: Layout, run: Runner) -> None:
    step("check: Spark writes and reads a Delta table", lambda: jars.check_delta(layout, run))


def make_locks(layout: Layout) -> None:
    """Writes the lock with the .venv's uv; a .venv with nothing in it but uv is enough."""
    run = Runner(layout)
    packages.make_venv(layout, run)
    uv = packages.install_uv(layout, run)
    for file in step("resolving", lambda: write_locks(layout, run, uv)):
        say(f"  {file.relative_to(layout.top)}")


def main(words: list[str]) -> int:
    actions = {"setup": set_up, "lock": make_locks}
    action = actions.get(words[0] if words else "setup")
    if action is None or len(words) > 1:
        say(USAGE)
        return 2
    if sys.version_info[:2] != (3, 11):
        say(f"Reelhouse needs Python 3.11; {sys.executable} is {sys.version.split()[0]}. Run `make setup PYTHON=/path/to/python3.11`.")
        return 2
    try:
        layout = find_layout()
        with alone(layout):
            action(layout)
    except SetupError as error:
        say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped. The next `make setup` goes on from here.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
