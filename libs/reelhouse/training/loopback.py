"""horovodrun for ranks of one machine: python -m reelhouse.training.loopback, with horovodrun's arguments.

Its rendezvous server takes addresses from whoever connects, so it listens on loopback here; on all interfaces otherwise.
"""

from __future__ import annotations

from http.server import HTTPServer

from horovod.runner.http.http_server import RendezvousHTTPServer
from horovod.runner.launch import run_commandline


def bind(server: RendezvousHTTPServer) -> None:
    server.server_address = ("127.0.0.1", server.server_address[1])
    HTTPServer.server_bind(server)


if __name__ == "__main__":
    RendezvousHTTPServer.server_bind = bind
    run_commandline()
