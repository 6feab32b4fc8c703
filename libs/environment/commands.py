"""Running a command: logged, with a clear error, and with settings that keep every cache in one folder."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from environment.layout import Layout

LAST_LINES = 25
# scripts that are run with the .venv's Python
CHECKS = Path(__file__).parent / "checks"
Command = list[str | Path]


class SetupError(Exception):
    """A sentence for the person who ran `make setup`: what failed and what to do."""


def tool_environment(layout: Layout, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of every command: the caller's, less what would change which packages are installed."""
    # a folder of wheels in the caller's pip settings may hold other builds of what the lock names
    dropped = {"PIP_FIND_LINKS", "UV_FIND_LINKS", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "SPARK_HOME", "SPARK_CONF_DIR"}
    kept = {name: value for name, value in environ.items() if name not in dropped}
    kept |= {
        "PATH": f"{layout.bin}{os.pathsep}{environ.get('PATH', os.defpath)}",
        "PIP_CACHE_DIR": str(layout.cache / "pip"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "UV_CACHE_DIR": str(layout.cache / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
        "PYTHONNOUSERSITE": "1",
        "SPARK_LOCAL_IP": "127.0.0.1",
        # Java counts its work in files below /tmp, wherever its temporary folder is
        "JAVA_TOOL_OPTIONS": f"{environ.get('JAVA_TOOL_OPTIONS', '')} -XX:-UsePerfData".strip(),
    }
    kept.setdefault("TMPDIR", str(layout.temporary))
    # uv does not read pip's settings: a machine behind a mirror or a proxy often has only those
    for pip_name, uv_name in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if pip_name in environ and uv_name not in environ:
            kept[uv_name] = environ[pip_name]
    return kept


class Runner:
    """Runs the commands of one set-up; their output goes to the log, and its end into the error if one fails."""

    def __init__(self, layout: Layout) -> None:
        self.log = layout.log
        self.environ = tool_environment(layout)
        layout.temporary.mkdir(parents=True, exist_ok=True)

    def run(
        self,
        command: Command,
        *,
        wanted: str,
        advice: str,
        cwd: Path | None = None,
        extra: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> str:
        """The command's output; a SetupError that says what was `wanted`, the last lines and the `advice` if it fails."""
        words = [str(word) for word in command]
        try:
            done = subprocess.run(
                words,
                cwd=cwd,
                env=self.environ | dict(extra or {}),
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            output, status = done.stdout, done.returncode
        except OSError as error:
            output, status = str(error), 127
        self._write(f"$ {shlex.join(words)}\n{output}\n")
        if status:
            raise SetupError(describe_failure(words, status, output, wanted=wanted, advice=advice, log=self.log))
        return output

    def _write(self, text: str) -> None:
        if self.log.parent.is_dir():
            with self.log.open("a", encoding="utf-8") as log:
                log.write(text)


def describe_failure(words: Sequence[str], status: int, output: str, *, wanted: str, advice: str, log: Path) -> str:
    """The message of a failed command."""
    # frames of a Java trace would push the reason out of sight
    lines = [line for line in output.strip().splitlines() if line.strip() and not line.startswith("\tat ")]
    shown = "\n".join(f"  | {line}" for line in lines[-LAST_LINES:]) or "  | (it printed nothing)"
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    what = f"Could not {wanted}: this command {how}:\n  {shlex.join(words)}"
    return f"{what}\nIts last lines:\n{shown}\n{advice}\nThe whole output is in {log}."
