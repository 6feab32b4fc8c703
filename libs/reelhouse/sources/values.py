"""One delivered value -> one typed value, or why it can't be one. Plain Python; runs inside Spark executors."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime
from typing import Any

from reelhouse.sources.columns import MISSING, ManifestColumn

ID_BYTES_MAX = 256
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_UNIX = re.compile(r"\d{9,13}(\.\d+)?")
_SEPARATORS = re.compile(r"[,，、]")


class RowError(Exception):
    """A row that can't be taken: `rule` for ops.quarantine, and the reason in words."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def convert(column: ManifestColumn, raw: Any) -> Any:
    """The value of `raw` for `column`; None where it is missing (lists: empty). Raises RowError with the rule that it broke."""
    if isinstance(raw, bytes):
        raw = _decoded(column, raw)
    if isinstance(raw, str):
        _refuse_surrogates(column, raw)
    if is_missing(raw):
        return [] if column.kind == "list" else None
    return _CONVERTERS[column.kind](column, raw)


def is_missing(raw: Any) -> bool:
    if raw is None or (isinstance(raw, float) and math.isnan(raw)):
        return True
    return isinstance(raw, str) and raw.strip() in MISSING


def cut(text: str, bytes_max: int) -> str:
    """The longest beginning of `text` that fits into `bytes_max` bytes of UTF-8, ending on a character."""
    data = text.encode()
    return text if len(data) <= bytes_max else data[:bytes_max].decode(errors="ignore")


def _decoded(column: ManifestColumn, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise RowError(
            "bad_encoding", f"{column.name} is not UTF-8 ({error.reason} at byte {error.start}): save the file as UTF-8"
        ) from None


def _refuse_surrogates(column: ManifestColumn, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        if any("\udc80" <= letter <= "\udcff" for letter in text):
            raise RowError("bad_encoding", f"{column.name} is not UTF-8 at character {error.start}: save the file as UTF-8") from None
        raise RowError("bad_utf8", f"{column.name} holds half a character (a lone surrogate) at {error.start}: write it whole") from None


def _scalar(column: ManifestColumn, raw: Any) -> str:
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise RowError("bad_type", f"{column.name} must be text, got {type(raw).__name__} {_shown(raw)}")
    return str(raw)


def _text(column: ManifestColumn, raw: Any) -> str:
    return _scalar(column, raw)


def _id(column: ManifestColumn, raw: Any) -> str:
    value = _scalar(column, raw).strip()
    if len(value.encode()) > ID_BYTES_MAX or any(ord(letter) < 32 for letter in value):
        raise RowError("bad_id", f"{column.name} must be one line of at most {ID_BYTES_MAX} bytes, got {_shown(value)}")
    return value


def _path(column: ManifestColumn, raw: Any) -> str:
    value = _scalar(column, raw)
    if "\0" in value:
        raise RowError("path_outside", f"{column.name} holds a NUL character: {_shown(value)}")
    return value


def _list(column: ManifestColumn, raw: Any) -> list[str]:
    rule = f"bad_{column.name}"
    parts = raw if isinstance(raw, list | tuple) else _split(column, raw)
    values: list[str] = []
    for part in parts:
        if isinstance(part, bytes):
            part = _decoded(column, part)
        if is_missing(part):
            continue
        if isinstance(part, bool) or not isinstance(part, str | int):
            raise RowError(rule, f"{column.name} must be a list of texts, but holds {type(part).__name__} {_shown(part)}")
        value = str(part).strip().strip("#＃").strip()
        _refuse_surrogates(column, value)
        if value and value not in values:
            values.append(value)
    return values


def _split(column: ManifestColumn, raw: Any) -> list[Any]:
    if not isinstance(raw, str):
        raise RowError(f"bad_{column.name}", f"{column.name} must be a list or text like a,b, got {type(raw).__name__} {_shown(raw)}")
    text = raw.strip()
    if text.startswith(("[", "{")) != text.endswith(("]", "}")) or text.startswith("{"):
        raise RowError(f"bad_{column.name}", f"{column.name} must look like a,b or [a,b] or a JSON list, got {_shown(text)}")
    if text.startswith("["):
        try:
            return list(json.loads(text))
        except (ValueError, RecursionError):
            return [part.strip().strip("'\"") for part in _SEPARATORS.split(text[1:-1])]
    if text.startswith(("#", "＃")) and not _SEPARATORS.search(text):
        return re.split(r"[#＃]", text)
    return _SEPARATORS.split(text)


def _timestamp(column: ManifestColumn, raw: Any) -> datetime:
    try:
        value = _instant(raw)
    except (ValueError, OverflowError, OSError):
        value = None
    if value is None or not _EARLIEST <= value < _LATEST:
        raise RowError("bad_timestamp", f"{column.name} must be a time like 2026-01-02T08:30:00Z or Unix seconds, got {_shown(raw)}")
    return value


def _instant(raw: Any) -> datetime | None:
    if isinstance(raw, datetime):
        value = raw.to_pydatetime() if hasattr(raw, "to_pydatetime") else raw
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(raw, date):
        return datetime(raw.year, raw.month, raw.day, tzinfo=UTC)
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    text = str(raw).strip() if not isinstance(raw, float) else f"{raw:.6f}"
    if _UNIX.fullmatch(text):
        seconds = float(text)
        return datetime.fromtimestamp(
            seconds / 1000 if seconds >= 1e11 else seconds, UTC
        )  # 1e11 s is the year 5138: those are milliseconds
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _number(column: ManifestColumn, raw: Any) -> float:
    try:
        value = math.nan if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise RowError("bad_number", f"{column.name} must be a number of 0 or more, got {_shown(raw)}")
    return value


def _choice(column: ManifestColumn, raw: Any) -> str:
    value = _scalar(column, raw).strip()
    if value not in column.choices:
        raise RowError(f"bad_{column.name}", f"{column.name} must be one of {', '.join(column.choices)}, got {_shown(value)}")
    return value


def _shown(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= 80 else text[:77] + "..."


_CONVERTERS = {
    "id": _id, "text": _text, "path": _path, "list": _list, "timestamp": _timestamp, "number": _number, "choice": _choice,
}  # fmt: skip
