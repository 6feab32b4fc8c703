"""What a table is: columns with type, unit and comment, a key, a partitioning. Data only; no session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructType

Sameness = Literal["exact", "inexact", "volatile"]
Naming = Literal[False, True, "within"]


@dataclass(frozen=True)
class Column:
    """One column. `sameness` says how two builds of a row are compared: `exact` columns enter the row hash, `inexact`
    ones (scores, vectors) are compared within a tolerance, `volatile` ones (times of ingest, paths) are left out.
    `names_videos`: the value names other videos (`within`: somewhere in a text), which a purge must remove too."""

    name: str
    type: str
    comment: str
    nullable: bool
    sameness: Sameness
    names_videos: Naming


def column(
    name: str, type: str, comment: str, *, nullable: bool = True, sameness: Sameness = "exact", names_videos: Naming = False
) -> Column:
    return Column(name, type, comment, nullable, sameness, names_videos)


def task() -> Column:
    return column("task", "string", "which label tree: category, domain", nullable=False)


def label(comment: str = "which label of the tree") -> Column:
    return column("label_id", "string", comment, nullable=False)


def data_date(comment: str = "UTC day of delivery: the day's slice that this row belongs to") -> Column:
    return column("data_date", "date", comment, nullable=False)


@dataclass(frozen=True, eq=False)
class Table:
    """A Delta table. Everything that needs a schema (writer, checks, SQL comments, docs, tests) reads this.

    `partition_by` starts with data_date, so that a day is replaced whole. `properties` are Delta's table properties.
    `newest_by` names what a newer day replaces in the current state: by default the key without data_date; [] where each
    day holds the whole state; ["video_id"] where a day holds all rows of a video. `follows` names a table of videos: only
    rows from the day of its newest row on count, so that a new version of a video without frames has none. With `newest_by`
    given too, of those the newest day's. `jobs_part`: the partitions that a job writes, where people write others.
    """

    name: str
    comment: str
    columns: list[Column]
    key: list[str]
    partition_by: list[str] = field(default_factory=lambda: ["data_date"])
    properties: dict[str, str] = field(default_factory=dict)
    newest_by: list[str] | None = None
    follows: str | None = None
    jobs_part: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [c for c in [*self.key, *self.partition_by] if c not in self.names]
        if unknown or len(set(self.names)) != len(self.names):
            raise ValueError(f"{self.name}: key or partition columns not among its columns, or a column twice: {unknown}")

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    @property
    def undated(self) -> list[str]:
        """The columns that a builder gives: all but data_date, which is added when they are published."""
        return [name for name in self.names if name != "data_date"]

    @property
    def unit(self) -> list[str]:
        """What a newer day replaces in the current state."""
        return [c for c in self.key if c != "data_date"] if self.newest_by is None else self.newest_by

    @property
    def database(self) -> str:
        return self.name.split(".")[0]

    @property
    def path(self) -> str:
        """Folder below the storage root, e.g. `gold/predictions`."""
        return self.name.replace(".", "/")

    @property
    def has_video(self) -> bool:
        """Whether a takedown of a video concerns this table's rows."""
        return "video_id" in self.names

    def named(self, *sameness: Sameness) -> list[str]:
        return [c.name for c in self.columns if c.sameness in sameness]

    def spark_schema(self, *without: str) -> StructType:
        """The schema for Spark, `without` some columns; needs no session, so that executors can call it too."""
        from pyspark.sql.types import StructField, StructType

        kept = [c for c in self.columns if c.name not in without]
        return StructType([StructField(c.name, spark_type(c.type), c.nullable, {"comment": c.comment}) for c in kept])


def spark_type(text: str) -> DataType:
    """Spark's type for a DDL string such as array<struct<a:string,b:double>>. ValueError if there is no such type."""
    from pyspark.sql import types

    simple = {
        "string": types.StringType, "int": types.IntegerType, "bigint": types.LongType,
        "float": types.FloatType, "double": types.DoubleType,
        "boolean": types.BooleanType, "binary": types.BinaryType, "date": types.DateType, "timestamp": types.TimestampType,
    }  # fmt: skip
    if text in simple:
        return simple[text]()
    outer, _, inner = text.removesuffix(">").partition("<")
    parts = _split(inner)
    if outer == "array" and len(parts) == 1:
        return types.ArrayType(spark_type(parts[0]))
    if outer == "map" and len(parts) == 2:
        return types.MapType(spark_type(parts[0]), spark_type(parts[1]))
    if outer == "struct" and parts:
        return types.StructType([types.StructField(name, spark_type(kind)) for name, _, kind in (p.partition(":") for p in parts)])
    raise ValueError(f"no such column type: {text!r}")


def _split(text: str) -> list[str]:
    """Split at the commas that are outside of angle brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts if p.strip()]


@dataclass(frozen=True)
class View:
    """A named question over tables. `sql` may use any table or earlier view by name.

    `columns`: name and comment of every column that it gives, in order; empty where they are those of the tables that it asks.
    """

    name: str
    comment: str
    sql: str
    columns: dict[str, str] = field(default_factory=dict)
