"""What a delivered file may hold: the columns of manifests, interactions and items. The one place; `reelhouse manifest` prints it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reelhouse import tables
from reelhouse.tables import Table

Kind = Literal["id", "text", "path", "list", "timestamp", "number", "choice"]

# Delivered in place of a value by pandas, databases and spreadsheets; counts as missing in every column.
MISSING = frozenset({"", "NaN", "nan", "None", "null", "NULL"})


@dataclass(frozen=True)
class ManifestColumn:
    """A column that a delivered file may hold. `needed`: the file is refused without it, a row with no value in it too."""

    name: str
    kind: Kind
    comment: str
    example: str
    needed: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileKind:
    """A kind of delivered file. `any_of`: at least one of these columns, with a value in each row; `key` is made up where missing."""

    name: str
    prefix: str
    table: Table
    key: str
    columns: tuple[ManifestColumn, ...]
    any_of: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    @property
    def content(self) -> list[str]:
        """Columns of the table that say whether two rows are the same."""
        skipped = {self.key, "batch", "data_date"}
        return [name for name in self.table.named("exact", "inexact") if name not in skipped]


VIDEOS = FileKind(
    "videos",
    "manifest",
    tables.VIDEO_ARRIVALS,
    "video_id",
    (
        ManifestColumn("video_id", "id", "your id of the video; left out: SHA-256 of the file (or of the text, without a file)", "v00017"),
        ManifestColumn(
            "file", "path", "video file, relative to the manifest's folder and inside of it; left out: a text-only video", "a/17.mp4"
        ),
        ManifestColumn("title", "text", "title", "手工咖啡的做法"),
        ManifestColumn("caption", "text", "text below the video; may hold emoji, newlines, #hashtags", "慢慢冲一杯 #咖啡"),
        ManifestColumn("hashtags", "list", "list, JSON list, or a,b or [a,b] or #a #b", '["咖啡", "手冲"]'),
        ManifestColumn("cover_text", "text", "text on the cover, if you have read it", "三分钟学会"),
        ManifestColumn("asr_text", "text", "speech as text, if you have recognised it", "今天我们来冲一杯咖啡"),
        ManifestColumn("author_id", "id", "who published it", "u42"),
        ManifestColumn("published_at", "timestamp", "ISO 8601 (UTC unless it names a zone), or Unix seconds", "2026-01-02T08:30:00Z"),
        ManifestColumn("item_ids", "list", "items attached to the video, written as hashtags are", "i7,i9"),
        ManifestColumn("category", "text", "its class, taken as a label: id, name or path of the label tree", "美食/咖啡"),
    ),
    any_of=("file", "title", "caption", "hashtags", "cover_text", "asr_text"),
)

INTERACTIONS = FileKind(
    "interactions",
    "interactions",
    tables.INTERACTIONS,
    "event_id",
    (
        ManifestColumn("event_id", "id", "id of the event; left out: a hash of its content", "e1"),
        ManifestColumn("user_id", "id", "who", "u42", needed=True),
        ManifestColumn("video_id", "id", "on which video", "v00017", needed=True),
        ManifestColumn("kind", "choice", "impression, click or search_click", "click", True, ("impression", "click", "search_click")),
        ManifestColumn("query", "text", "the query that led here, for a search click", "手冲咖啡"),
        ManifestColumn("watched_seconds", "number", "how long it was watched, 0 or more", "3.5"),
        ManifestColumn("happened_at", "timestamp", "ISO 8601 (UTC unless it names a zone), or Unix seconds", "2026-01-02T08:30:00Z"),
    ),
)

ITEMS = FileKind(
    "items",
    "items",
    tables.ITEMS,
    "item_id",
    (
        ManifestColumn("item_id", "id", "id of the item", "i7", needed=True),
        ManifestColumn("title", "text", "its title", "手冲壶"),
        ManifestColumn("category_path", "text", "its category in your own tree, parent/child", "厨房/咖啡器具"),
    ),
)

KINDS = {kind.name: kind for kind in (VIDEOS, INTERACTIONS, ITEMS)}


def manifest_columns() -> list[dict[str, str]]:
    """Rows for a person: file, column, kind, needed, what it is, example."""
    rows = []
    for kind in KINDS.values():
        for column in kind.columns:
            needed = "yes" if column.needed else "one of these" if column.name in kind.any_of else "no"
            rows.append(
                {
                    "file": f"{kind.prefix}*.csv|jsonl|parquet",
                    "column": column.name,
                    "type": column.kind,
                    "needed": needed,
                    "meaning": column.comment,
                    "example": column.example,
                }
            )
    return rows
