"""What stands before the page: who may come in, from where, and what a browser may do with what it gets.

The page has no accounts. Three things keep strangers out: it answers to the names of this machine alone (so that no web site can make a
browser speak to it under a name of its own, "DNS rebinding"), changes are taken only as JSON from the page itself (so that no other page
can make a browser send one, "CSRF"), and from other machines only with a token.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

COOKIE = "reelhouse_labels"
BODY_BYTES_MAX = 64 * 1024
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPEN = ("/", "/api/enter")  # what is shown, and asked, before the token is known
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def pass_of(token: str) -> str:
    """What a browser that knew the token carries from then on."""
    return hmac.new(token.encode(), b"labels page", "sha256").hexdigest()


class Guard:
    """ASGI middleware. token: empty where only this machine's own people come."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refusal is None:
            return await self._app(scope, receive, send_with_headers)
        status, name, why = refusal
        return await JSONResponse({"error": name, "message": why}, status)(scope, receive, send_with_headers)

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str, str] | None:
        host = headers.get("host", "")
        if not self._token and _hostname(host) not in LOOPBACK:
            return 421, "WrongHost", f"this page is at localhost or 127.0.0.1, not at {host!r}"
        if self._token and path not in _OPEN and not hmac.compare_digest(_cookie(headers), pass_of(self._token)):
            return 401, "TokenNeeded", "load the page and give the token"
        if method in ("GET", "HEAD"):
            return None
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "NotJson", "changes are taken as application/json"
        if headers.get("origin", "").partition("://")[2] != host:
            return 403, "OtherOrigin", "changes are taken from this page alone"
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return 413, "TooLarge", f"a request has a length, of at most {BODY_BYTES_MAX} bytes"
        return None


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _cookie(headers: Headers) -> str:
    found = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")  # others of this host, on whatever port, set what they like beside it
    return found if found.isascii() else ""
