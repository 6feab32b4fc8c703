"""Which files a date is given: delivery folders, a manifest, a bare folder of videos. Lists and fingerprints; reads no row.

A delivered file is a batch. Delivered again, with other content, it replaces what it brought; a file that is gone when a day is
run again leaves its rows where they are (see staying.py). To withdraw a batch, leave an empty file of its name: a CSV file with
its header only, JSON lines without a line, Parquet without a row, a video of zero bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from reelhouse.errors import ManifestError, SettingsError, StorageError
from reelhouse.sections import SourceSettings
from reelhouse.sources.columns import KINDS, VIDEOS, FileKind
from reelhouse.sources.heads import check_head
from reelhouse.sources.media import inside
from reelhouse.sources.records import FORMATS, records

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".3gp", ".3g2",
        ".ogv", ".rm", ".rmvb", ".vob", ".f4v", ".asf", ".divx", ".gif",
    }
)  # fmt: skip
BARE_BATCH = "videos"
# Folders of a delivery that import_labels reads.
_EVENT_FOLDERS = frozenset({"labels", "exports", "tag_reviews"})
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", "~")


@dataclass(frozen=True)
class DeliveredFile:
    """A manifest, interactions or items file. `folder`: paths in it are relative to this; `columns`: those that it holds."""

    kind: str
    path: str
    folder: str
    batch: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Delivery:
    """All that a date is given. `videos`: (path, folder) of each file of bare folders, in order; `notes`: what was left out."""

    files: tuple[DeliveredFile, ...] = ()
    videos: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())

    def of(self, kind: str) -> tuple[DeliveredFile, ...]:
        return tuple(f for f in self.files if f.kind == kind)

    def batches(self, kind: FileKind) -> list[str]:
        """What there is to read of a kind: its files, and the bare folder, which holds videos."""
        return [f.batch for f in self.of(kind.name)] + ([BARE_BATCH] if kind is VIDEOS and self.videos else [])


def find_delivery(settings: SourceSettings, day: date) -> Delivery:
    """What `settings` hold for `day`; an empty Delivery where the day has no folder.

    Raises SettingsError where no source is set at all, StorageError for a folder that can't be read, ManifestError for a
    file whose columns are wrong.
    """
    if not settings.are_named:
        raise SettingsError(
            "no source is set: wanted sources.deliveries, sources.videos or sources.manifest (on the command line: --videos FOLDER, "
            "--manifest FILE, or --sample)"
        )
    files: list[DeliveredFile] = []
    videos: list[tuple[str, str]] = []
    notes: list[str] = []
    if settings.deliveries:
        folder = _folder(settings.deliveries, "sources.deliveries") / day.isoformat()
        if folder.is_dir():
            _add_delivery(folder, files, videos, notes)
    if settings.manifest:
        _add_manifest(settings.manifest, files)
    if settings.videos:
        found, note = scan_videos(_folder(settings.videos, "sources.videos"))
        videos += found
        notes += note
    return Delivery(tuple(files), tuple(videos), tuple(notes))


def _add_delivery(folder: Path, files: list[DeliveredFile], videos: list[tuple[str, str]], notes: list[str]) -> None:
    strangers = 0
    has_media = False
    for path in walk(folder, skip=_EVENT_FOLDERS):
        kind = _kind_of(path)
        if kind is not None:
            files.append(_delivered(path, kind, path.relative_to(folder).as_posix()))
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            has_media = True
        else:
            strangers += 1
    if strangers:
        notes.append(
            f"{strangers} files of {folder} are neither video nor manifest*, interactions*, items* ({', '.join(FORMATS)}): not read"
        )
    if has_media and not any(f.kind == VIDEOS.name for f in files):
        found, _ = scan_videos(folder)
        videos += found
        notes.append(f"{folder} has no manifest: its {len(found)} video files are taken in without texts")


def _add_manifest(manifest: str, files: list[DeliveredFile]) -> None:
    path = Path(manifest).expanduser().absolute()
    if path.suffix.lower() not in FORMATS:
        raise ManifestError(f"the manifest {path} must end in {', '.join(FORMATS)}")
    if not path.is_file():
        raise ManifestError(f"there is no manifest {path}")
    taken = {f.batch for f in files}
    batch = path.name if path.name not in taken else f"manifest/{path.name}"
    files.append(_delivered(path, VIDEOS, batch))


def _delivered(path: Path, kind: FileKind, batch: str) -> DeliveredFile:
    columns = check_head(str(path), kind)
    if path.suffix.lower() == ".jsonl":
        columns = kind.names  # any later line may hold any of them
    return DeliveredFile(kind.name, str(path), str(path.parent), batch, tuple(columns))


def _kind_of(path: Path) -> FileKind | None:
    if path.suffix.lower() not in FORMATS:
        return None
    return next((kind for kind in KINDS.values() if path.name.startswith(kind.prefix)), None)


def _folder(text: str, setting: str) -> Path:
    if "://" in text and not text.startswith("file://"):
        raise StorageError(f"{setting} is {text!r}: videos are read from folders that every worker sees; mount it and give the path")
    path = Path(text.removeprefix("file://")).expanduser().absolute()
    if not path.is_dir():
        raise StorageError(f"{setting}: {path} is no folder" if path.exists() else f"{setting}: there is no folder {path}")
    return path


def walk(folder: Path, skip: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Files below `folder` in order of name, without hidden and unfinished ones, linked folders and top folders in `skip`."""

    def fail(error: OSError) -> None:
        raise StorageError(f"the folder {error.filename} can't be read: {error.strerror}") from error

    for here, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not (Path(here) == folder and f in skip))
        yield from (Path(here, name) for name in sorted(names) if not name.startswith(".") and not name.endswith(_UNFINISHED))


def scan_videos(folder: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """(path, folder) of the video files below `folder`, in order of path, and a note on what was left out."""
    others, videos = 0, []
    for path in walk(folder):
        if path.suffix.lower() in VIDEO_SUFFIXES:
            videos.append((str(path), str(folder)))
        else:
            others += 1
    everything = sum(len(names) for _, _, names in os.walk(folder))
    hidden = everything - others - len(videos)
    notes = []
    if others or hidden:
        notes.append(f"{folder}: {len(videos)} video files; {others} other and {hidden} hidden or unfinished files were left out")
    return videos, notes


def fingerprints(delivery: Delivery) -> dict[str, str]:
    """What the day was given, by content: changes when a file that would be read changes.

    Manifests by their bytes; media files by path, size and time of change, so that a look takes no reading of media.
    """
    found = {}
    for file in delivery.files:
        digest = _file_digest(file.path)
        if "file" in file.columns:
            media = (_media_path(file, record.values.get("file")) for record in records(file.path))
            digest += "-" + _stat_digest((path, file.folder) for path in media if path)
        found[f"{file.kind}:{file.batch}"] = digest
    if delivery.videos:
        found[f"folder:{BARE_BATCH}"] = _stat_digest(delivery.videos)
    return found


def _media_path(file: DeliveredFile, raw: object) -> str | None:
    text = raw.decode(errors="surrogateescape") if isinstance(raw, bytes) else raw
    return inside(file.folder, text) if isinstance(text, str) and text.strip() and "\0" not in text else None


def _file_digest(path: str) -> str:
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()[:32]
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}") from error


def _stat_digest(paths: Iterator[tuple[str, str]] | tuple[tuple[str, str], ...]) -> str:
    digest = hashlib.sha256()
    for path, folder in paths:
        try:
            state = os.stat(path)
            seen = f"{state.st_size} {state.st_mtime_ns}"
        except OSError:
            seen = "missing"
        digest.update(os.fsencode(f"{os.path.relpath(path, folder)}\0{seen}\n"))
    return digest.hexdigest()[:32]
