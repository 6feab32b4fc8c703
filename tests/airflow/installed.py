"""Airflow in environments of its own below the cache folder, each made once: it never shares one with the product."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from reelhouse.scratch import cache_folder

CHECKOUT = Path(__file__).resolve().parents[2]
DAGS = CHECKOUT / "conf" / "airflow"
VERSIONS = ("2.11.2", "3.1.8")
UV = Path(sys.prefix) / "bin" / "uv"
INSTALL_SECONDS_MAX, COMMAND_SECONDS_MAX = 1800, 2400


@dataclass(frozen=True)
class Airflow:
    """One version, with a home folder (its database and logs) of its own."""

    environment: Path
    home: Path

    def command(self, *words: str) -> list[str]:
        return [str(self.environment / "bin" / "airflow"), *words]

    def environ(self, **more: str) -> dict[str, str]:
        """What Airflow is started with: nothing of the tests' own but where programs and the cache folder are."""
        kept = {name: os.environ[name] for name in ("PATH", "JAVA_HOME", "REELHOUSE_CACHE", "LANG") if name in os.environ}
        own = {
            "HOME": str(self.home),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        return kept | {"REELHOUSE_CACHE": str(cache_folder())} | own | more

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environ(**environ), cwd=self.home, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False
        )

    def dags_test(self, date: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run(*self.command("dags", "test", "reelhouse_daily", date), **environ)


def airflow(version: str, home: Path) -> Airflow:
    """That version, installed unless the cache folder has it, with a fresh database in `home`."""
    pins = Path(__file__).with_name(f"airflow-{version}.txt")
    key = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    environment = cache_folder() / "airflow" / f"{version}-{key}"
    database = environment / "airflow.db"
    environment.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(environment.with_suffix(".lock"), timeout=INSTALL_SECONDS_MAX):
        if not database.exists():  # it is made last
            shutil.rmtree(environment, ignore_errors=True)
            _checked(UV, "venv", "--python", sys.executable, environment)
            _checked(UV, "pip", "install", "--python", environment / "bin" / "python", "--requirement", pins)
            made = Airflow(environment, environment / "home")
            made.home.mkdir()
            done = made.run(*made.command("db", "migrate"))
            assert done.returncode == 0, done.stderr[-3000:]
            (made.home / "airflow.db").replace(database)
    shutil.copy(database, home / "airflow.db")
    return Airflow(environment, home)


def _checked(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
