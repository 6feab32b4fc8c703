"""The real Milvus server (PyPI's `milvus`, one process) in a folder of its own, for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

START_SECONDS = 300
STOP_SECONDS = 60
PORTS = (
    "etcd", "root_coord", "proxy", "proxy_internal", "query_coord", "query_node",
    "index_coord", "index_node", "data_coord", "data_node",
)  # fmt: skip


# The kernel kills it when the process that started it ends, in whatever way (PR_SET_PDEATHSIG); then it becomes the command.
# (preexec_fn would fork this process, and gRPC, once used in it, aborts in a fork.)
DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class MilvusServer:
    """Start, kill and start again on the same data and the same ports. It dies with the process that started it."""

    def __init__(self, folder: Path) -> None:
        """folder: fresh; data, logs, binaries and the server's own temporary files lie in it."""
        self.folder = folder
        self.ports = dict(zip((*PORTS, "metrics", "etcd_peers"), free_ports(len(PORTS) + 2), strict=True))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.ports['proxy']}"

    def start(self) -> None:
        """Returns when it takes requests. RuntimeError with the end of its log where it doesn't in START_SECONDS."""
        binary = self.folder / "bin" / "milvus"
        if not binary.exists():
            self._prepare()
        environment = {
            "PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "LD_LIBRARY_PATH": str(binary.parent),
            "TMPDIR": str(self.folder / "tmp"),  # else a folder `milvus` that another user left in the system's blocks it
            "DEPLOY_MODE": "STANDALONE", "METRICS_PORT": str(self.ports["metrics"]), "MILVUS_RUN_DIR": str(self.folder / "run"),
            "ETCD_CONFIG_PATH": str(self.folder / "etcd.yaml"),
        }  # fmt: skip
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DIE_WITH_PARENT, binary, "run", "standalone"], cwd=self.folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait_until_healthy()

    def _prepare(self) -> None:
        """Unpack the binaries and write the configuration: the package's own, with ports of ours."""
        from milvus import MilvusServerConfig, _initialize_data_files

        (self.folder / "tmp").mkdir(parents=True)
        named = {f"{name}_port": port for name, port in self.ports.items() if name not in ("metrics", "etcd_peers")}
        config = MilvusServerConfig(data_dir=str(self.folder), **named)
        config.set("log.level", "warn")
        config.resolve()
        # the embedded etcd knows the port in the package's configuration as a client only; two servers would meet at its own
        clients, peers = (f"http://127.0.0.1:{self.ports[name]}" for name in ("etcd", "etcd_peers"))
        (self.folder / "etcd.yaml").write_text(
            f"listen-client-urls: {clients}\nadvertise-client-urls: {clients}\nlisten-peer-urls: {peers}\n"
            f"initial-advertise-peer-urls: {peers}\ninitial-cluster: default={peers}\n"
        )
        _initialize_data_files(str(self.folder))

    def _wait_until_healthy(self) -> None:
        assert self.process is not None
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}/healthz", timeout=5) as answer:
                    if b"OK" in answer.read():
                        return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"Milvus did not start:\n{(self.folder / 'server.log').read_text(errors='replace')[-4000:]}")

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
            self.process = None


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on; held together until all are found, so that none comes twice."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def running_server(folder: Path) -> Iterator[MilvusServer]:
    """A server that has started; it is killed and its folder removed at the end."""
    server = MilvusServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
