import datetime as dt
import json
from itertools import combinations, product
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from reelhouse import tables
from reelhouse.errors import SchemaMismatchError, StorageError
from reelhouse.lake import Lake, conform
from reelhouse.lake.fingerprint import fingerprint
from reelhouse.lake.maintenance import maintain
from tests.typed import typing_in

DAY1, DAY2, DAY3 = dt.date(2026, 1, 1), dt.date(2026, 1, 2), dt.date(2026, 1, 3)
TAGS = "video_id string, tag_id string, tag string, position int, matches int"
T = tables.VIDEO_TAGS


def write(lake: Lake, day: dt.date, rows: list[tuple[str, str, int]]) -> None:
    frame = lake.spark.createDataFrame([(v, t, t.upper(), p, 1) for v, t, p in rows], TAGS)
    place = {"data_date": day}
    lake.replace(T, conform(T, frame, place), place, count=len(rows), metadata={"job": "test"})


def filled(lake: Lake, table: tables.Table, **values: object) -> DataFrame:
    """One row of a table, null where nothing is given."""
    fields = table.spark_schema("data_date")
    schema = StructType([StructField(f.name, f.dataType) for f in fields])
    return lake.spark.createDataFrame([tuple(values.get(f.name) for f in fields)], schema)


def take_down(lake: Lake, video_id: str) -> None:
    place = {"data_date": DAY3}
    frame = filled(lake, tables.DELETIONS, video_id=video_id)
    lake.replace(tables.DELETIONS, conform(tables.DELETIONS, frame, place), place, count=1, metadata={})


def read(frame) -> list[tuple[str, str, int, dt.date]]:
    return sorted((r.video_id, r.tag_id, r.position, r.data_date) for r in frame.collect())


def test_a_table_that_was_never_written_reads_as_empty_with_its_columns(lake: Lake):
    frame = lake.read(T)
    assert frame.columns == T.names
    assert frame.count() == 0


def test_replacing_a_day_leaves_other_days_alone_and_running_twice_changes_nothing(lake: Lake):
    write(lake, DAY1, [("a", "x", 0), ("b", "x", 1)])
    write(lake, DAY2, [("c", "x", 2)])
    write(lake, DAY1, [("a", "x", 5)])
    write(lake, DAY1, [("a", "x", 5)])
    assert read(lake.read(T)) == [("a", "x", 5, DAY1), ("c", "x", 2, DAY2)]


def test_days_written_out_of_order_are_all_there(lake: Lake):
    for day, video in [(DAY3, "c"), (DAY1, "a"), (DAY2, "b")]:
        write(lake, day, [(video, "x", 0)])
    assert read(lake.read(T)) == [("a", "x", 0, DAY1), ("b", "x", 0, DAY2), ("c", "x", 0, DAY3)]


def probed(lake: Lake, day: dt.date, widths: dict[str, int]) -> None:
    """Rows of silver.videos, told apart by their width."""
    known = "video_id string, status string, width int, has_audio boolean"
    frame = lake.spark.createDataFrame([(v, "ok", w, False) for v, w in widths.items()], known)
    others = tables.VIDEOS.spark_schema(*frame.columns, "data_date")
    missing = [F.lit(None).cast(f.dataType).alias(f.name) for f in others]
    place = {"data_date": day}
    lake.replace(tables.VIDEOS, conform(tables.VIDEOS, frame.select("*", *missing), place), place, count=len(widths), metadata={})


def widths(frame: DataFrame) -> list[tuple[str, int, dt.date]]:
    return sorted((r.video_id, r.width, r.data_date) for r in frame.collect())


def test_the_current_state_is_the_newest_row_a_key_up_to_the_day(lake: Lake):
    probed(lake, DAY1, {"a": 10, "b": 11})
    probed(lake, DAY2, {"a": 70})
    probed(lake, DAY3, {"b": 90})
    upto = f"data_date <= date'{DAY2}'"
    assert widths(lake.current(tables.VIDEOS, upto)) == [("a", 70, DAY2), ("b", 11, DAY1)]
    some = lake.spark.createDataFrame([("b",), ("unknown",)], "video_id string")
    assert widths(lake.current(tables.VIDEOS, upto, of=some)) == [("b", 11, DAY1)]
    with pytest.raises(ValueError, match=r"gold\.clusters is not folded video by video"):
        lake.current(tables.CLUSTERS, upto, of=some)


def test_a_table_that_holds_the_whole_state_each_day_shows_only_its_newest_day(lake: Lake):
    for day, videos in [(DAY1, ["a", "b"]), (DAY2, ["b"])]:
        place = {"data_date": day}
        frame = lake.spark.createDataFrame(
            [(v, None, 1.0, True, day, "f") for v in videos],
            "video_id string, cluster_id string, density double, is_noise boolean, placed_on date, features_version string",
        )
        lake.replace(tables.CLUSTERS, conform(tables.CLUSTERS, frame, place), place, count=len(videos), metadata={})
    assert [r.video_id for r in lake.current(tables.CLUSTERS, "true").collect()] == ["b"]


def test_rows_of_an_older_version_of_a_video_are_not_current(lake: Lake):
    """Day 2 brings the video anew, without frames: its frames of day 1 must not live on."""
    for day in (DAY1, DAY2):
        place = {"data_date": day}
        full = filled(lake, tables.VIDEOS, video_id="a", status="ok", has_audio=False)
        lake.replace(tables.VIDEOS, conform(tables.VIDEOS, full, place), place, count=1, metadata={})
    frames = filled(lake, tables.FRAMES, video_id="a", frame_index=0, timestamp_seconds=0.0, jpeg=b"x", perceptual_hash=1)
    lake.replace(tables.FRAMES, conform(tables.FRAMES, frames, {"data_date": DAY1}), {"data_date": DAY1}, count=1, metadata={})
    assert lake.current(tables.FRAMES, f"data_date <= date'{DAY1}'").count() == 1
    assert lake.current(tables.FRAMES, f"data_date <= date'{DAY2}'").count() == 0


def test_of_a_table_that_follows_another_the_newest_rows_since_the_leaders_newest_day_count(lake: Lake):
    """Every pattern of days on which the video's text and its text vector may have come, against the rule in plain Python."""
    days = (DAY1, DAY2, DAY3)
    some_days = [some for n in range(4) for some in combinations(days, n)]
    cases = {f"v{i}": case for i, case in enumerate(product(some_days, some_days))}  # video -> days of its text, of its vector
    text = {"title": "", "hashtags": [], "text": "", "tokens": [], "language": "none", "is_meaningful": False}
    vector = {"modality": "text", "encoder_id": "e", "source_sha256": "s", "steps": 1, "dimension": 1, "values": [1.0]}
    for day, (turn, (table, values)) in product(days, enumerate([(tables.VIDEO_TEXT, text), (tables.TEXT_FEATURES, vector)])):
        came = lake.spark.createDataFrame([(video,) for video, case in cases.items() if day in case[turn]], "video_id string")
        rows = filled(lake, table, **values).drop("video_id").crossJoin(came)
        lake.replace(table, conform(table, rows, {"data_date": day}), {"data_date": day}, count=32, metadata={})
    for last in days:
        wanted = []
        for video, (texts, vectors) in cases.items():
            begun = max((d for d in texts if d <= last), default=None)
            newest = max((d for d in vectors if d <= last), default=None)
            if begun and newest and newest >= begun:
                wanted.append((video, newest))
        got = lake.current(tables.TEXT_FEATURES, f"data_date <= date'{last}'").collect()
        assert sorted((r.video_id, r.data_date) for r in got) == sorted(wanted)


def test_a_video_that_was_taken_down_is_in_no_read(lake: Lake):
    probed(lake, DAY1, {"a": 10, "b": 11})
    take_down(lake, "a")
    assert widths(lake.read(tables.VIDEOS)) == [("b", 11, DAY1)]
    assert widths(lake.current(tables.VIDEOS, "true")) == [("b", 11, DAY1)]


def test_a_write_with_another_schema_names_every_wrong_column_and_commits_nothing(lake: Lake):
    frame = lake.spark.createDataFrame([("a", 1, 2)], "video_id string, position bigint, colour int")
    with pytest.raises(SchemaMismatchError) as error:
        conform(T, frame, {"data_date": DAY1})
    assert str(error.value) == (
        "gold.video_tags: tag_id is missing; tag is missing; matches is missing; colour is unknown; "
        "position should be int, is bigint. Nothing was written. Columns: libs/reelhouse/tables"
    )
    assert not lake.exists(T)


def test_the_writer_itself_refuses_rows_of_another_schema(lake: Lake):
    write(lake, DAY1, [("a", "x", 0)])
    before = sorted((Path(lake.path(T)) / "_delta_log").iterdir())
    rows = conform(T, lake.spark.createDataFrame([("b", "x", "X", 1, 1)], TAGS), {"data_date": DAY1})
    wider = rows.withColumn("position", F.col("position").cast("bigint"))
    for attempt in (
        lambda: lake.replace(T, wider, {"data_date": DAY1}, count=1, metadata={}),
        lambda: lake.append(T, rows.drop("tag"), metadata={}),
    ):
        with pytest.raises(SchemaMismatchError, match=r"gold.video_tags: .*(position|tag).* differ. Nothing was written"):
            attempt()
    assert sorted((Path(lake.path(T)) / "_delta_log").iterdir()) == before
    assert read(lake.read(T)) == [("a", "x", 0, DAY1)]


def test_a_first_write_that_was_cut_off_is_no_table_yet(lake: Lake):
    (Path(lake.path(T)) / "_delta_log").mkdir(parents=True)
    (Path(lake.path(T)) / "data_date=2026-01-01").mkdir()
    assert not lake.exists(T)
    assert lake.read(T).count() == 0
    write(lake, DAY1, [("a", "x", 0)])
    assert read(lake.read(T)) == [("a", "x", 0, DAY1)]


def test_a_table_whose_first_commits_were_cleaned_away_is_there(lake: Lake):
    for n in range(12):  # Delta makes a checkpoint at the tenth
        write(lake, DAY1, [("a", "x", n)])
    log = Path(lake.path(T)) / "_delta_log"
    for n in range(3):
        (log / f"{n:020d}.json").unlink()
    assert Lake(lake.spark, lake.root).exists(T)
    assert read(Lake(lake.spark, lake.root).read(T)) == [("a", "x", 11, DAY1)]


def test_a_takedown_by_another_process_is_seen_at_once(lake: Lake):
    other = Lake(lake.spark, lake.root)
    probed(lake, DAY1, {"a": 10, "b": 11, "c": 12})
    assert lake.taken_down == []
    take_down(other, "a")
    assert lake.taken_down == ["a"]
    take_down(other, "b")  # the event before it is replaced: the day is written whole
    assert widths(lake.read(tables.VIDEOS)) == [("a", 10, DAY1), ("c", 12, DAY1)]


def test_the_slices_of_a_day_are_the_partitions_that_hold_rows(lake: Lake):
    odd = "m/2 = 'x'"  # escaped in the folder's name
    for version, day in [("m1", DAY1), (odd, DAY1), ("m3", DAY1), ("m1", DAY2)]:
        place = {"data_date": day, "model_version": version}
        hashes = conform(tables.HASHES, filled(lake, tables.HASHES, video_id="a", hash=b"1").drop("model_version"), place)
        lake.replace(tables.HASHES, hashes, place, count=1, metadata={})
    lake.replace(tables.HASHES, hashes.limit(0), {"data_date": DAY1, "model_version": "m3"}, count=0, metadata={})
    assert lake.slices(tables.HASHES, DAY1) == [{"model_version": odd}, {"model_version": "m1"}]
    assert lake.slices(tables.HASHES, DAY3) == lake.slices(T, DAY1) == []
    write(lake, DAY1, [("a", "x", 0)])
    assert lake.slices(T, DAY1) == [{}]


def test_a_root_given_as_a_files_address_is_that_folder(spark: SparkSession, tmp_path: Path):
    for address in (f"file:{tmp_path}", f"file://{tmp_path}"):
        lake = Lake(spark, address)
        assert (lake.root, lake.is_local) == (str(tmp_path), True)
    assert not Lake(spark, "s3a://bucket/w").is_local


def test_every_commit_says_who_wrote_it(lake: Lake):
    write(lake, DAY1, [("a", "x", 0)])
    commit = json.loads((Path(lake.path(T)) / "_delta_log" / "00000000000000000000.json").read_text().split("\n")[0])
    assert json.loads(commit["commitInfo"]["userMetadata"]) == {"job": "test"}


def test_the_log_holds_no_values_of_columns(lake: Lake):
    """A purge could not remove a value from the log's column statistics."""
    write(lake, DAY1, [("needle-in-the-log", "x", 0)])
    log = Path(lake.path(T)) / "_delta_log"
    files = [file for file in log.rglob("*") if file.is_file()]
    assert any(file.suffix == ".json" for file in files)
    assert all(b"needle" not in file.read_bytes() for file in files)


def test_columns_carry_their_comments(lake: Lake):
    write(lake, DAY1, [("a", "x", 0)])
    comments = {f.name: f.metadata.get("comment") for f in lake.spark.read.format("delta").load(lake.path(T)).schema}
    assert comments == {c.name: c.comment for c in T.columns}


def test_files_are_the_active_ones_of_the_slice(lake: Lake):
    write(lake, DAY1, [("a", "x", 0)])
    write(lake, DAY1, [("a", "x", 1)])
    write(lake, DAY2, [("b", "x", 1)])
    files = lake.files(T, {"data_date": DAY1})
    assert len(files) == 1
    assert "data_date=2026-01-01" in files[0]
    on_disk = list((Path(lake.path(T)) / "data_date=2026-01-01").glob("*.parquet"))
    assert len(on_disk) == 2  # the replaced file still lies there


def test_a_slice_is_cut_into_files_by_rows_and_by_what_they_weigh(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    light = lake.spark.range(5000).persist()
    heavy = lake.spark.range(5000).selectExpr("sha2(cast(id as string), 512) text").persist()  # 128 bytes a row
    assert (light.count(), heavy.count()) == (5000, 5000)
    assert [lake.files_for(light, count) for count in (0, 1, 250_000, 250_001, 10_000_000)] == [1, 1, 1, 2, 40]
    monkeypatch.setattr("reelhouse.lake.lake.BYTES_OF_ONE_FILE", 200_000)
    assert lake.files_for(light, 5000) == 1
    assert lake.files_for(heavy, 5000) in (4, 5)
    assert lake.files_for(heavy, 2000) == 2, "not below a thousand rows a file"
    light.unpersist()
    heavy.unpersist()


def test_compaction_keeps_rows_and_fingerprints(lake: Lake):
    for n in range(3):
        place = {"data_date": DAY1}
        frame = conform(T, lake.spark.createDataFrame([(f"v{n}", "x", "X", n, 1)], TAGS), place)
        lake.append(T, frame, metadata={})
    before = fingerprint(T, lake.read(T))
    lake.optimize(T)
    assert len(lake.files(T, {})) == 1
    assert fingerprint(T, lake.read(T)) == before


def test_maintenance_leaves_few_files_and_the_same_rows(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for n in range(3):
        frame = conform(T, lake.spark.createDataFrame([(f"v{n}", "x", "X", n, 1)], TAGS), {"data_date": DAY1})
        lake.append(T, frame, metadata={})
    before = read(lake.read(T))
    typed = typing_in(tmp_path, lake.spark, monkeypatch)
    assert f"{T.name}: 3 files, now 1" in typed("maintain", "--root", lake.root).output
    assert len(list(Path(lake.path(T)).rglob("*.parquet"))) == 4  # for storage.keep_days, older versions can be read
    assert list(maintain(lake, keep_days=0)) == [(T.name, 1, 1)]
    assert read(lake.read(T)) == before
    assert len(list(Path(lake.path(T)).rglob("*.parquet"))) == 1  # what no version needs is gone


def test_a_root_that_is_a_file_is_a_named_error(spark: SparkSession, tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match=r"is a file, not a folder|File exists"):
        Lake(spark, str(tmp_path / "taken")).check_writable()
