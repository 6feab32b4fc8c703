"""The page for labelling: what a browser asks, and what it gets. Everything that it shows was read before; answers go to the inbox."""

from __future__ import annotations

import datetime as dt
import hmac
import mimetypes
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from reelhouse.errors import LabelError, NotFoundError, ReelhouseError
from reelhouse.labelling.desk import Desk, Line, key_of
from reelhouse.labelling.guard import COOKIE, Guard, pass_of
from reelhouse.labelling.inbox import AnswerLog, new_answer
from reelhouse.labelling.queue import QueuedVideo, suggested
from reelhouse.labelling.sheets import clock
from reelhouse.labels import Taxonomy
from reelhouse.labels.fold import MANIFEST
from reelhouse.labels.lines import ANSWERS, LABELS
from reelhouse.sources.media import inside
from reelhouse.sources.values import RowError, convert

if TYPE_CHECKING:
    from jinja2 import Environment

_NAME = next(field for field in LABELS.fields if field.name == "annotator_id")
_STATUS = {NotFoundError: 404, LabelError: 422}
_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; connect-src 'self'; "
    "script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    annotator: str


class _Next(_Asked):
    skip: str | None = None


class _Show(_Asked):
    key: str


class _Answer(_Asked):
    key: str
    label: str
    answer: int


class _Token(BaseModel):
    token: str


def make_app(
    desk: Desk,
    log: AnswerLog,
    trees: Mapping[str, Taxonomy],
    *,
    roots: Sequence[str],
    now: Callable[[], dt.datetime],
    annotator: str = "",
    token: str = "",
) -> FastAPI:
    """The application.

    roots: folders below which a video's file must lie to be played. now: the time (UTC) that answers carry. annotator: name that the
    page suggests. token: what people of other machines must know; empty: the page answers this machine alone.
    """
    app = FastAPI(title="reelhouse labels", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, token=token)
    app.add_exception_handler(ReelhouseError, _named_error)
    app.add_exception_handler(RequestValidationError, _bad_request)

    @app.get("/")
    def page() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        html = _template().render(nonce=nonce, annotator=annotator, needs_token=bool(token))
        return HTMLResponse(html, headers={"content-security-policy": _POLICY.format(nonce=nonce)})

    @app.post("/api/enter")
    def enter(asked: _Token) -> Response:
        if not hmac.compare_digest(asked.token.strip().encode(), token.encode()):
            return JSONResponse({"error": "TokenNeeded", "message": "this is not the token; ask whoever started the page"}, 401)
        done = JSONResponse({})
        done.set_cookie(COOKIE, pass_of(token), httponly=True, samesite="strict")
        return done

    @app.get("/api/labels")
    def labels() -> dict[str, list[dict[str, Any]]]:
        return {task: _labels(tree) for task, tree in trees.items()}

    _add_questions(app, desk, log, trees, roots=roots, now=now)
    _add_files(app, desk, roots)
    return app


def _add_questions(
    app: FastAPI, desk: Desk, log: AnswerLog, trees: Mapping[str, Taxonomy], *, roots: Sequence[str], now: Callable[[], dt.datetime]
) -> None:
    """What is asked, and what is answered."""

    def state(person: str, key: str | None) -> dict[str, Any]:
        found = desk.progress()
        progress = {"answered": found.answered, "total": found.total, "by_person": found.by_person, "waiting": desk.waiting(person)}
        return {"video": shown(person, key) if key else None, "progress": progress}

    def shown(person: str, key: str) -> dict[str, Any]:
        said = [{"label": label, "answer": answer} for label, answer in desk.said(person, key, trees).items()]
        video = desk.video(key)
        return _shown(video, trees[video.task], roots) | {"said": said}

    def say(person: str, key: str, line: Line) -> None:
        video = desk.video(key)
        said = new_answer(video.video_id, video.task, annotator_id=person, at=now(), **asdict(line))
        log.append(said)
        desk.record(said)

    @app.post("/api/next")
    def next_video(asked: _Next) -> dict[str, Any]:
        person = name_of(asked.annotator)
        return state(person, desk.next(person, asked.skip))

    @app.post("/api/show")
    def show(asked: _Show) -> dict[str, Any]:
        person = name_of(asked.annotator)
        desk.show(person, asked.key)
        return state(person, asked.key)

    @app.post("/api/answer")
    def answer(asked: _Answer) -> dict[str, Any]:
        person, task = name_of(asked.annotator), desk.video(asked.key).task
        if asked.answer not in ANSWERS or asked.label not in trees[task]:
            raise LabelError(f"{asked.label!r} with answer {asked.answer} is no answer in the label tree {task}: load the page again")
        say(person, asked.key, Line(asked.label, asked.answer))
        return state(person, asked.key)

    @app.post("/api/undo")
    def undo(asked: _Asked) -> dict[str, Any]:
        person = name_of(asked.annotator)
        found = desk.undoing(person, trees)
        if found is None:
            return state(person, None)
        key, lines = found
        for line in lines:
            say(person, key, line)
        desk.show(person, key)
        return state(person, key)


def _add_files(app: FastAPI, desk: Desk, roots: Sequence[str]) -> None:
    """Pictures and films of the queue's videos."""

    @app.get("/frames/{key}/{number}.jpg")
    def frame(key: str, number: int) -> Response:
        frames = desk.video(key).frames
        if not 0 <= number < len(frames):
            raise NotFoundError(f"this video has {len(frames)} frames")
        return Response(frames[number].jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    @app.api_route("/media/{key}", methods=["GET", "HEAD"])
    def media(key: str) -> Response:
        path, problem = _file_of(desk.video(key), roots)
        if path is None:
            raise NotFoundError(problem)
        kind = mimetypes.guess_type(path)[0] or ""
        return FileResponse(path, media_type=kind if kind.startswith(("video/", "audio/")) else "application/octet-stream")


def name_of(text: str) -> str:
    """An annotator's name as lines hold it. LabelError if it can't be one."""
    try:
        name = convert(_NAME, text)
    except RowError as error:
        raise LabelError(f"this name can't be used: {error}") from error
    if not name or name == MANIFEST:
        raise LabelError(f"give a name of your own; {MANIFEST!r} stands for what came with the videos" if name else "give your name")
    return name


def _labels(tree: Taxonomy) -> list[dict[str, Any]]:
    """The tree in the order in which it is walked, each label below its parent."""
    found: list[dict[str, Any]] = []

    def walk(label_id: str) -> None:
        found.append({"id": label_id, "name": tree.name(label_id), "path": tree.path(label_id), "aliases": tree.aliases(label_id)})
        for child in tree.children(label_id):
            walk(child)

    for label_id in tree.ids:
        if tree.parent(label_id) is None:
            walk(label_id)
    return found


def _shown(video: QueuedVideo, tree: Taxonomy, roots: Sequence[str]) -> dict[str, Any]:
    key = key_of(video)
    path, problem = _file_of(video, roots)
    return {
        "key": key,
        "video_id": video.video_id,
        "task": video.task,
        "reason": video.reason,
        "chosen": f"{video.chosen_by}, rank {video.rank} of {video.chosen_on}",
        "is_random": video.is_random,
        "title": video.title,
        "texts": [{"what": what, "words": words} for what, words in video.texts],
        "suggestions": [{"label": one.label_id, "path": one.path, "probability": one.probability} for one in suggested(video, tree)],
        "frames": [
            {"url": f"/frames/{key}/{number}.jpg", "seconds": one.seconds, "clock": clock(one.seconds)}
            for number, one in enumerate(video.frames)
        ],
        "media": f"/media/{key}" if path else None,
        "problem": problem if video.uri else "",
    }


def _file_of(video: QueuedVideo, roots: Sequence[str]) -> tuple[str | None, str]:
    """(path of the video's file, why it can't be played). Looked at anew each time: a link may have been put there since."""
    if not video.uri:
        return None, "this video has no file: it is a text alone"
    found = next((place for root in roots if (place := inside(root, video.uri)) is not None), None)
    if found is None:
        return None, (
            f"{video.uri} can't be played: it lies below no folder of the settings' sources. Start the page with "
            "--set sources.videos=FOLDER, the folder that `daily --videos` was given; further ones go to sources.roots"
        )
    path = os.path.realpath(found)
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        return None, f"{video.uri} is not there any more, or can't be read"
    return path, ""


async def _named_error(request: Request, error: Exception) -> Response:
    status = next((number for kind, number in _STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)


async def _bad_request(request: Request, error: Exception) -> Response:
    said = error.errors() if isinstance(error, RequestValidationError) else []
    why = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in said)
    return JSONResponse({"error": "BadRequest", "message": f"the request is not one of this page's: {why}"}, 422)


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made: Environment = Environment(loader=PackageLoader("reelhouse.labelling"), autoescape=True, undefined=StrictUndefined)
    return made.get_template("page.html.j2")
