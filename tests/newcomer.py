"""A newcomer's first two commands, each in a process of its own, run once for all tests; watched for what they touch."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import psutil

CHECKOUT = Path(__file__).resolve().parents[1]
REELHOUSE = Path(sys.prefix) / "bin" / "reelhouse"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
DONE = "asked.txt"  # written last


def reelhouse(
    folder: Path, *arguments: str, given: str | None = None, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(REELHOUSE), *arguments], cwd=folder, env=environ, input=given, capture_output=True, text=True, timeout=900, check=False
    )


def said(folder: Path, *arguments: str, given: str | None = None, environ: dict[str, str] | None = None) -> str:
    done = reelhouse(folder, *arguments, given=given, environ=environ)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def first_day(folder: Path) -> None:
    """Run `reelhouse sample` (90 videos, one day) and `reelhouse daily --sample` in the folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "home").mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="rc") as cache:  # with a short path: a socket's address must fit
        environ = {name: value for name, value in os.environ.items() if name not in ("TMPDIR", "TEMP", "TMP")}
        environ |= {"HOME": str(folder / "home"), "REELHOUSE_CACHE": cache}
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Gateway) as gateway:
            threading.Thread(target=gateway.serve_forever, daemon=True).start()
            environ |= dict.fromkeys(PROXIES, f"http://127.0.0.1:{gateway.server_address[1]}")
            said(folder, "sample", "--videos", "90", "--days", "1", environ=environ)
            watch = _Watch(Path(cache), folder, CHECKOUT)
            (folder / "daily.txt").write_text(said(folder, "daily", "--sample", environ=environ), encoding="utf-8")
            elsewhere, known = watch.end()
            gateway.shutdown()
        (folder / "elsewhere.txt").write_text("\n".join(elsewhere))
        (folder / "scratch.txt").write_text("\n".join(path.removeprefix(cache) for path in known if path.startswith(cache)))
        (folder / DONE).write_text("\n".join(_Gateway.asked))


class _Gateway(socketserver.StreamRequestHandler):
    """Stands where a way to the outer network would be, lets nothing through and remembers what was asked for."""

    asked: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.asked.append(self.rfile.readline().decode(errors="replace").strip())


class _Watch(threading.Thread):
    """Sees where the processes that a command starts have files and sockets open, and Java its counters, outside of `known`,
    and which other machines they talk to."""

    def __init__(self, *known: Path) -> None:
        super().__init__(daemon=True)
        self._known, self._seen, self._over = tuple(map(str, known)), set[str](), threading.Event()
        self._others = {child.pid for child in psutil.Process().children()}  # such as the tests' own Spark
        self.start()

    def _look(self) -> Iterator[str]:
        started = [child for child in psutil.Process().children() if child.pid not in self._others]
        for child in started + [below for one in started for below in one.children(recursive=True)]:
            yield from (str(file) for file in Path("/tmp").glob(f"hsperfdata_*/{child.pid}"))
            try:
                yield from (file.path for file in child.open_files())
                for connection in child.net_connections("all"):
                    if connection.family == socket.AF_UNIX:
                        yield str(connection.laddr)
                    elif connection.raddr and not ipaddress.ip_address(connection.raddr.ip.removeprefix("::ffff:")).is_loopback:
                        yield f"//{connection.raddr.ip}:{connection.raddr.port}"
            except psutil.Error:
                continue

    def run(self) -> None:
        while not self._over.wait(0.3):
            with suppress(psutil.NoSuchProcess):
                self._seen.update(self._look())

    def end(self) -> tuple[list[str], list[str]]:
        """Paths in the system's folder for temporary files with addresses of other machines, and paths in `known`."""
        self._over.set()
        self.join()
        known = {path for path in self._seen if path.startswith(self._known)}
        return sorted(path for path in self._seen - known if path.startswith(("/tmp/", "//"))), sorted(known)
