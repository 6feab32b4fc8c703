"""The page on a real server on a free port, and requests to it as a browser sends them."""

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import uvicorn

from reelhouse.labelling.desk import Desk
from reelhouse.labelling.inbox import AnswerLog
from reelhouse.labelling.page import make_app
from reelhouse.labelling.serving import listen
from tests.labelling.planted import AT, TREES


@dataclass
class Page:
    """What a browser knows: the address, and the cookies that it was given."""

    port: int
    cookie: str = ""
    clock: list = field(default_factory=lambda: [100.0])

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path, method="GET", **headers):
        """(status, headers, bytes)"""
        return self._send(urllib.request.Request(self.address + path, headers=self._with_cookie(headers), method=method))

    def post(self, path, body, **headers):
        """(status, what the JSON says)"""
        given = {"Content-Type": "application/json", "Origin": self.address} | headers
        given = {name: value for name, value in self._with_cookie(given).items() if value is not None}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, sent, content = self._send(urllib.request.Request(self.address + path, data, given))
        self.cookie = sent.get("set-cookie", "").partition(";")[0] or self.cookie
        return status, json.loads(content)

    def ask(self, path, **body):
        status, said = self.post(path, body)
        assert status == 200, said
        return said

    def _with_cookie(self, headers):
        return headers | ({"Cookie": self.cookie} if self.cookie else {})

    def _send(self, request):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


class Serving:
    """with Serving(queue, inbox) as page: ...; routes: further ones, by path."""

    def __init__(self, queue, inbox, roots=(), wanted=1, token="", now=lambda: AT, routes=None, trees=TREES):
        log, self.page = AnswerLog(inbox), Page(0)
        desk = Desk(queue, wanted, 300.0, lambda: self.page.clock[0])
        for answer in log.read({video.video_id for video in queue}, trees):
            desk.record(answer)
        app = make_app(desk, log, trees, roots=[str(root) for root in roots], now=now, annotator="ann", token=token)
        for path, answer in (routes or {}).items():
            app.get(path)(answer)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        self._socket = listen("127.0.0.1", 0)
        self.page.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self):
        self._thread.start()
        until = time.monotonic() + 60
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.01)
        return self.page

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(60)
        self._socket.close()
        assert not self._thread.is_alive()
