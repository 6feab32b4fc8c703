"""Everything that is known about one video, with the run that made each row and the chain behind the model's values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.lake import Lake
from reelhouse.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import Row

_CHAIN = (tables.PROMOTIONS, tables.EVALUATIONS, tables.SNAPSHOTS)
_KINDS = {"day": "the day", "upto": "up to the day", "before": "the days before"}
_INPUTS_SHOWN = 12


@dataclass(frozen=True)
class Fact:
    """One row about the video: where it stands and the run that made it (a row of ops.runs; None where no job did, but a person)."""

    table: Table
    row: dict[str, Any]
    run: Row | None

    @property
    def run_id(self) -> str:
        return self.run.run_id if self.run else ""


class Runs:
    """The rows of ops.runs without their checks."""

    def __init__(self, lake: Lake) -> None:
        columns = [name for name in tables.RUNS.names if name not in ("checks", "metrics")]
        self._rows = lake.read(tables.RUNS).select(*columns).orderBy("started_at", "run_id").collect()

    def writer(self, table: Table, row: Mapping[str, Any]) -> Row | None:
        """The newest run that wrote the slice of the table that the row is in."""
        of_day = [run for run in self._rows if run.data_date == row["data_date"]]
        if table is tables.QUARANTINE:  # each run writes what it refused, beside its own tables
            found = [run for run in of_day if run.job == row["job"]]
        else:
            found = [run for run in of_day if any(s.table == table.name and _holds(s.slice, row) for s in run.writes)]
        return found[-1] if found else None

    def trainer(self, model_version: str) -> Row | None:
        """The first run of the job train that made the model: later ones find it registered."""
        return next((run for run in self._rows if run.job == "train" and run.inputs.get("model") == model_version), None)


def facts(lake: Lake, video_id: str) -> Iterator[Fact]:
    """Rows about a video from every table, bronze first, then the models and snapshots that they name.

    Raises NotFoundError if no table knows the video, or it was taken down.
    """
    if video_id in lake.taken_down:
        raise NotFoundError(f'the video {video_id} was taken down; see `reelhouse sql "select * from bronze.deletions"`')
    from pyspark.sql import functions as F

    runs = Runs(lake)
    found: dict[str, set[str]] = {"model_version": set(), "snapshot_id": set()}
    any_row = False
    for table in tables.ALL.values():
        if not table.has_video or not lake.exists(table):
            continue
        for row in lake.read(table).where(F.col("video_id") == video_id).orderBy(*table.key).collect():
            any_row = True
            values = row.asDict(recursive=True)
            for column, seen in found.items():
                seen.update([values[column]] if column in values else [])
            yield Fact(table, values, runs.writer(table, values))
    if not any_row:
        raise NotFoundError(f'no table knows a video {video_id!r}; `reelhouse sql "select video_id from silver.videos"` lists them')
    for table in _CHAIN:
        column = "snapshot_id" if table is tables.SNAPSHOTS else "model_version"
        wanted = sorted(found[column])
        if not wanted or not lake.exists(table):
            continue
        for row in lake.read(table).where(F.col(column).isin(wanted)).orderBy(*table.key).collect():
            values = row.asDict(recursive=True)
            found["snapshot_id"].update([values["snapshot_id"]] if "snapshot_id" in values else [])
            yield Fact(table, values, runs.writer(table, values))


def made_by(run: Row | None) -> list[str]:
    """What made a row, in lines: the run and its code and settings, the tables that it read, its inputs."""
    if run is None:
        return ["made by no run: a person decided it"]
    lines = [f"made by {run.job}  run {run.run_id}  code {run.code_version}  settings {run.settings_hash}"]
    reads = [f"{s.table} ({_KINDS[s.slice]}, {s.rows} rows)" for s in run.reads if s.rows]
    lines += [f"  from {', '.join(reads)}"] if reads else []
    inputs = sorted((name, value) for name, value in run.inputs.items() if name != "taken down")
    lines += [f"  with {name} = {value}" for name, value in inputs[:_INPUTS_SHOWN]]
    return lines + ([f"  with {len(inputs) - _INPUTS_SHOWN} more inputs: `reelhouse runs {run.run_id}`"] if inputs[_INPUTS_SHOWN:] else [])


def chain(lake: Lake, known: list[Fact]) -> Iterator[str]:
    """From the video's embeddings back to the files of labels that their models learned from, a line a step."""
    from pyspark.sql import functions as F

    runs = Runs(lake)
    snapshots = {f.row["model_version"]: f.row["snapshot_id"] for f in known if f.table is tables.PROMOTIONS}
    for embedding in (f for f in known if f.table is tables.EMBEDDINGS):
        version = embedding.row["model_version"]
        yield f"embedding of {embedding.row['data_date']}, made by run {embedding.run_id}"
        if version not in snapshots:
            yield f"  <- model {version}: frozen encoders, nothing was trained"
            continue
        snapshot = snapshots[version]
        trainer = runs.trainer(version)
        yield f"  <- model {version}, trained by run {trainer.run_id if trainer else '(of another lake)'}"
        videos = lake.read(tables.TRAINING_EXAMPLES).where(F.col("snapshot_id") == snapshot).select("video_id").distinct()
        yield f"  <- snapshot {snapshot} of {videos.count()} videos"
        days = [f.row["data_date"] for f in known if f.table is tables.SNAPSHOTS and f.row["snapshot_id"] == snapshot]
        answers = lake.read(tables.LABEL_EVENTS, f"data_date <= date'{max(days)}'" if days else "true")
        told = answers.join(videos, on="video_id", how="left_semi").groupBy("annotator_id", "source_file", "batch")
        for row in told.agg(F.count("*").alias("answers")).orderBy("annotator_id", "source_file", "batch").collect():
            yield f"  <- {row.answers} labels by {row.annotator_id}, from {row.source_file or row.batch}"


def _holds(part: str, row: Mapping[str, Any]) -> bool:
    """Whether the row is in a slice that is named as the ledger does: `key=value,key=value`, empty for the whole day."""
    pairs = (pair.split("=", 1) for pair in part.split(",") if pair)
    return all(str(row.get(key)) == value for key, value in pairs)
