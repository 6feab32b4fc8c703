"""The page on a port of this machine, until told to stop."""

from __future__ import annotations

import datetime as dt
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from reelhouse.errors import ServerError, SettingsError
from reelhouse.labelling.desk import Desk
from reelhouse.labelling.guard import LOOPBACK
from reelhouse.labelling.inbox import AnswerLog
from reelhouse.labelling.queue import QueuedVideo
from reelhouse.labels import Taxonomy
from reelhouse.sections import LabellingSettings, SourceSettings
from reelhouse.settings import Settings

TOKEN_LETTERS_MIN = 16
_END_SECONDS = 2  # a video that is being sent may go on for so long after the end was asked for


def check_listening(chosen: LabellingSettings) -> None:
    """SettingsError unless only this machine can connect, or people of others must know a token that nobody guesses."""
    if chosen.token and len(chosen.token) < TOKEN_LETTERS_MIN:
        raise SettingsError(f"labelling.token must have at least {TOKEN_LETTERS_MIN} characters: `openssl rand -hex 16` makes one")
    if chosen.host not in LOOPBACK and not chosen.token:
        raise SettingsError(
            f"labelling.host = {chosen.host} lets other machines in, and nothing asks who comes. Put a token into the environment and name "
            "it: labelling.token = ${NAME}"
        )


def media_roots(sources: SourceSettings) -> list[str]:
    """Folders below which the files of videos may lie: those from which they are taken in."""
    manifest = str(Path(sources.manifest).expanduser().absolute().parent) if sources.manifest else ""
    folders = [sources.deliveries, sources.videos, *sources.roots]
    return [*(str(Path(one.removeprefix("file://")).expanduser().absolute()) for one in folders if one), *([manifest] if manifest else [])]


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. ServerError where it can't."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()  # so that whoever is told of it can connect at once
    except OSError as error:
        made.close()
        raise ServerError(
            f"the page can't listen at {host}:{port}: {error.strerror}. Is one running? Else choose another --port"
        ) from error
    return made


def serve(
    settings: Settings,
    queue: Sequence[QueuedVideo],
    trees: Mapping[str, Taxonomy],
    *,
    annotator: str,
    now: Callable[[], dt.datetime],
    say: Callable[[str], None],
) -> None:
    """Serve the queue until SIGINT or SIGTERM. Answers that the inbox holds count. Errors as check_listening and listen.

    Must be called from the main thread.
    """
    import uvicorn

    from reelhouse.labelling.page import make_app

    chosen = settings.labelling
    check_listening(chosen)
    log = AnswerLog(Path(settings.sources.inbox))
    desk = Desk(queue, chosen.answers_wanted, chosen.lease_minutes * 60, time.monotonic)
    for answer in log.read({video.video_id for video in queue}, trees):
        desk.record(answer)
    app = make_app(desk, log, trees, roots=media_roots(settings.sources), now=now, annotator=annotator, token=chosen.token)
    with listen(chosen.host, chosen.port) as made:
        found = desk.progress()
        host, port = made.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        say(f"{found.total - found.answered:,} of {found.total:,} videos are to be labelled: {address}")
        say("Ctrl-C ends it; every answer is on disk as it is given")
        config = uvicorn.Config(app, access_log=False, server_header=False, log_level="warning", timeout_graceful_shutdown=_END_SECONDS)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Spark, which read the queue, took it for itself
        with suppress(KeyboardInterrupt):  # uvicorn has ended well when it passes the signal on
            uvicorn.Server(config).run(sockets=[made])
    say(f"ended: {desk.progress().answered:,} of {found.total:,} are answered; the next run of `reelhouse daily` takes the answers in")
