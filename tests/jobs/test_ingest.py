import datetime as dt
import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from jobs import ingest
from reelhouse import tables
from reelhouse.errors import ManifestError, QuarantineLimitError
from reelhouse.sample import Truth, make_sample
from reelhouse.sample.plan import make_plan
from reelhouse.takedown import take_down
from tests.jobs.small_lake import SmallLake
from tests.turns import JOBS

TURN = (JOBS, 160)

TO_WITHDRAW = "(deliver an empty file of the name to withdraw them)"
FIRST, SECOND, THIRD = (dt.date(2026, 1, day) for day in (1, 2, 3))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def source(spark, tmp_path):
    (tmp_path / "in").mkdir()
    return SmallLake(spark, tmp_path / "warehouse", sources__deliveries=str(tmp_path / "in"))


def arrivals(source, day):
    return sorted((r["batch"], r["video_id"], r["title"]) for r in source.rows(tables.VIDEO_ARRIVALS, day))


def refused(source, day):
    return sorted((r["table"], r["rule"], r["row_key"]) for r in source.rows(tables.QUARANTINE, day))


def test_days_take_in_what_is_new_and_a_corrected_file_replaces_its_batch(source, tmp_path):
    write(tmp_path / "in" / "2026-01-01" / "manifest-a.csv", "video_id,title\nv1,one\nv2,two\n")
    write(tmp_path / "in" / "2026-01-01" / "manifest-b.csv", "video_id,title,published_at\nv3,three,\nv4,four,soon\nv5,five,2026-01-01\n")
    write(tmp_path / "in" / "2026-01-01" / "interactions.csv", "event_id,user_id,video_id,kind\ne1,u,v1,click\n,u,v1,like\n")
    write(tmp_path / "in" / "2026-01-01" / "items.csv", "item_id,title\ni1,pot\n")
    first = source.do(ingest, FIRST)
    untouched = [("manifest-a.csv", "v1", "one"), ("manifest-a.csv", "v2", "two")]
    assert arrivals(source, FIRST) == [*untouched, ("manifest-b.csv", "v3", "three"), ("manifest-b.csv", "v5", "five")]
    assert refused(source, FIRST) == [
        ("bronze.interactions", "bad_kind", "interactions.csv:2"),
        ("bronze.video_arrivals", "bad_timestamp", "manifest-b.csv:2"),
    ]
    assert [(r["event_id"], r["kind"]) for r in source.rows(tables.INTERACTIONS, FIRST)] == [("e1", "click")]
    assert [(r["item_id"], r["title"]) for r in source.rows(tables.ITEMS, FIRST)] == [("i1", "pot")]
    assert (first.rows_in, first.rows_out, first.quarantined) == (8, 6, 2)

    again = source.do(ingest, FIRST)
    assert [(w.table, w.fingerprint) for w in again.writes] == [(w.table, w.fingerprint) for w in first.writes]

    # the next day delivers everything again, one title corrected, one video new
    lines = [{"video_id": "v1", "title": "one"}, {"video_id": "v2", "title": "TWO"}, {"video_id": "v6", "title": "six"}]
    write(tmp_path / "in" / "2026-01-02" / "manifest.jsonl", "\n".join(map(json.dumps, lines)))
    write(tmp_path / "in" / "2026-01-02" / "items.csv", "item_id,title\ni1,pot\n")
    source.do(ingest, SECOND)
    assert arrivals(source, SECOND) == [("manifest.jsonl", "v2", "TWO"), ("manifest.jsonl", "v6", "six")]
    assert source.rows(tables.ITEMS, SECOND) == []

    # the first day's second file comes corrected: its batch is replaced, the other stays, and its refused row is gone
    write(tmp_path / "in" / "2026-01-01" / "manifest-b.csv", "video_id,title\nv3,three\nv4,FOUR\n")
    source.do(ingest, FIRST)
    assert arrivals(source, FIRST) == [*untouched, ("manifest-b.csv", "v3", "three"), ("manifest-b.csv", "v4", "FOUR")]
    assert refused(source, FIRST) == [("bronze.interactions", "bad_kind", "interactions.csv:2")]

    # a date without a folder has no rows, and says nothing is wrong
    record = source.do(ingest, THIRD)
    assert (arrivals(source, THIRD), record.rows_out, record.quarantined) == ([], 0, 0)


def test_what_a_file_brought_stays_when_the_file_is_gone_until_an_empty_one_withdraws_it(source, tmp_path):
    day = tmp_path / "in" / "2026-01-01"
    write(day / "manifest-a.csv", "video_id,title,published_at\nv1,one,\nv2,two,\nv9,nine,soon\nv1,another,\n")
    write(day / "manifest-b.csv", "video_id,title\nv3,three\n")
    write(day / "interactions.csv", "event_id,user_id,video_id,kind\ne1,u,v1,click\ne2,u,v1,like\n")
    source.do(ingest, FIRST)
    taken_in = {r["video_id"]: r["ingested_at"] for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)}
    refusals = [
        ("bronze.interactions", "bad_kind", "interactions.csv:2"),
        ("bronze.video_arrivals", "bad_timestamp", "manifest-a.csv:3"),
        ("bronze.video_arrivals", "duplicate_id", "manifest-a.csv:4"),
    ]
    assert refused(source, FIRST) == refusals

    # everything was archived
    for name in ("manifest-a.csv", "manifest-b.csv", "interactions.csv"):
        (day / name).unlink()
    record = source.do(ingest, FIRST)
    of_a = [("manifest-a.csv", "v1", "one"), ("manifest-a.csv", "v2", "two")]
    assert arrivals(source, FIRST) == [*of_a, ("manifest-b.csv", "v3", "three")]
    assert [r["event_id"] for r in source.rows(tables.INTERACTIONS, FIRST)] == ["e1"]
    assert refused(source, FIRST) == refusals
    assert {r["video_id"]: r["ingested_at"] for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)} == taken_in
    assert record.note == (
        f"bronze.video_arrivals: rows of 2 files stay that are gone: manifest-a.csv, manifest-b.csv {TO_WITHDRAW}; "
        f"bronze.interactions: rows of 1 files stay that are gone: interactions.csv {TO_WITHDRAW}"
    )

    # one comes again, corrected; a new one says otherwise of a video that stays
    write(day / "manifest-b.csv", "video_id,title\nv3,THREE\n")
    write(day / "manifest-0.csv", "video_id,title\nv1,not one\nv2,two\nv7,seven\n")
    source.do(ingest, FIRST)
    rest = [("manifest-b.csv", "v3", "THREE")]
    assert arrivals(source, FIRST) == [("manifest-0.csv", "v7", "seven"), *of_a, *rest]
    assert refused(source, FIRST) == sorted([*refusals, ("bronze.video_arrivals", "duplicate_id", "manifest-0.csv:1")])

    # an empty file withdraws what its namesake brought, and what was refused of it
    write(day / "manifest-a.csv", "video_id,title\n")
    source.do(ingest, FIRST)
    assert arrivals(source, FIRST) == [
        ("manifest-0.csv", "v1", "not one"), ("manifest-0.csv", "v2", "two"), ("manifest-0.csv", "v7", "seven"), *rest,
    ]  # fmt: skip
    assert refused(source, FIRST) == refusals[:1]


def test_a_bare_folder_loses_no_video_that_moved_out_of_it(spark, tmp_path):
    folder = tmp_path / "clips"
    for name in ("a", "b", "same"):
        write(folder / f"{name}.mp4", name)
    source = SmallLake(spark, tmp_path / "warehouse", sources__videos=str(folder))
    source.do(ingest, FIRST)
    before = {r["uri"]: r["video_id"] for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)}
    (folder / "a.mp4").unlink()
    (folder / "b.mp4").rename(folder / "moved.mp4")
    write(folder / "new.mp4", "new")
    record = source.do(ingest, FIRST)
    rows = {r["uri"].rsplit("/", 1)[1]: r["video_id"] for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)}
    old = {uri.rsplit("/", 1)[1]: video_id for uri, video_id in before.items()}
    assert rows.keys() == {"a.mp4", "moved.mp4", "same.mp4", "new.mp4"}
    assert (rows["a.mp4"], rows["moved.mp4"], rows["same.mp4"]) == (old["a.mp4"], old["b.mp4"], old["same.mp4"])
    assert f"rows of 1 files stay that are gone: {folder}/a.mp4 {TO_WITHDRAW}" in record.note

    # the sources are set to something else: all stays
    other = SmallLake(spark, tmp_path / "warehouse", sources__inbox=str(tmp_path))
    other.do(ingest, FIRST)
    assert {r["uri"].rsplit("/", 1)[1] for r in other.rows(tables.VIDEO_ARRIVALS, FIRST)} == rows.keys()


def test_content_that_was_taken_down_is_refused_under_another_id(spark, tmp_path):
    folder, manifest = tmp_path / "in", tmp_path / "in" / "manifest.csv"
    write(folder / "a.mp4", "unwanted")
    write(folder / "b.mp4", "wanted")
    write(manifest, "video_id,file,title\nv1,a.mp4,a secret\n")
    source = SmallLake(spark, tmp_path / "warehouse", sources__manifest=str(manifest), sources__videos=str(folder))
    source.do(ingest, FIRST)
    unwanted, wanted = (hashlib.sha256(text).hexdigest() for text in (b"unwanted", b"wanted"))
    assert [r["video_id"] for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)] in (["v1", wanted], [wanted, "v1"])
    take_down(source.lake, source.services.vectors, "v1", SECOND, "asked", "desk")
    source.services.close()
    deletion = source.rows(tables.DELETIONS, SECOND)[0]
    assert (deletion["video_id"], deletion["content_sha256"]) == ("v1", [unwanted])

    write(manifest, "video_id,file,title\nv1,a.mp4,a secret\nv2,a.mp4,a secret\n")
    for day in (FIRST, SECOND):  # also a day before the takedown
        source.do(ingest, day)
        told = [(r["rule"], r["row_key"], r["video_id"], r["reason"], r["row"]) for r in source.rows(tables.QUARANTINE, day)]
        reason = f"the content of {folder}/a.mp4 was taken down (`reelhouse delete`): take the file out of the delivery"
        shown = json.dumps({"uri": f"{folder}/a.mp4"}, separators=(",", ":"))
        assert sorted(told) == [
            ("taken_down", "manifest.csv:2", "v2", reason, shown), ("taken_down", "videos:a.mp4", unwanted, reason, shown),
        ]  # fmt: skip
    assert [r["video_id"] for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)] == [wanted]
    assert source.rows(tables.VIDEO_ARRIVALS, SECOND) == []


def test_a_parquet_manifest_comes_in_and_its_bad_rows_are_told(source, tmp_path):
    day = tmp_path / "in" / "2026-01-01"
    day.mkdir(parents=True)
    names = pa.array([b"caf\xe9"]).view(pa.string())  # a writer that does not check what it calls text
    columns = {
        "video_id": pa.array(["v1", "v2", "v3", "v4", "v5"]),
        "title": pa.chunked_array([pa.array(["one", "NaN", None, "four"]), names]).combine_chunks(),
        "caption": pa.array([None, "two", None, "", "five"]),
        "hashtags": pa.array([["tea", None], [], None, ["x"], []], pa.list_(pa.string())),
        "published_at": pa.array(["2026-01-01T08:00:00Z", None, None, "soon", None]),
    }
    pq.write_table(pa.table(columns), day / "manifest.parquet")
    record = source.do(ingest, FIRST)
    rows = {r["video_id"]: r for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)}
    assert {v: (r["title"], r["caption"], r["hashtags"], r["published_at"], r["source_row"]) for v, r in rows.items()} == {
        "v1": ("one", None, ["tea"], dt.datetime(2026, 1, 1, 8), 1),
        "v2": (None, "two", [], None, 2),
    }
    told = sorted((r["rule"], r["row_key"], r["video_id"], r["reason"]) for r in source.rows(tables.QUARANTINE, FIRST))
    assert [row[:3] for row in told] == [
        ("bad_encoding", "manifest.parquet:5", "v5"), ("bad_timestamp", "manifest.parquet:4", "v4"),
        ("empty_row", "manifest.parquet:3", "v3"),
    ]  # fmt: skip
    assert "title is not UTF-8" in told[0][3]
    assert "published_at must be a time like 2026-01-02T08:30:00Z or Unix seconds, got 'soon'" in told[1][3]
    assert (record.rows_in, record.rows_out, record.quarantined) == (5, 2, 3)


def test_nan_in_a_text_column_is_a_missing_text(source, tmp_path):
    day = tmp_path / "in" / "2026-01-01"
    write(day / "manifest-a.csv", "video_id,title,caption,author_id\nv1,NaN,one,nan\nv2,nan,NaN,u\n")
    write(day / "manifest-b.jsonl", '{"video_id": "v3", "title": NaN, "caption": "three"}\n{"video_id": "v4", "title": 1.5}\n')
    source.do(ingest, FIRST)
    rows = {r["video_id"]: (r["title"], r["caption"], r["author_id"]) for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)}
    assert rows == {"v1": (None, "one", None), "v3": (None, "three", None)}
    told = {r["video_id"]: (r["rule"], r["row_key"], r["reason"]) for r in source.rows(tables.QUARANTINE, FIRST)}
    assert told["v2"][:2] == ("empty_row", "manifest-a.csv:2")
    assert told["v4"] == ("bad_type", "manifest-b.jsonl:2", "title must be text, got float 1.5")
    assert told.keys() == {"v2", "v4"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("interactions.csv", "user_id,kind\nu,click\n", r"column 'video_id' is missing \(on which video\)"),
        ("items.jsonl", '{"title": "pot"}\n{"title": "pan"}\n', r"column 'item_id' is missing \(id of the item\)"),
        ("manifest-b.csv", "video_id,author_id\nv2,u\n", "none of the columns file, title, .* is there"),
        ("manifest-b.csv", "video_id,titel\nv2,x\n", "unknown column 'titel': did you mean 'title'"),
        ("manifest-b.parquet", {"title": [1.5, float("nan")]}, "column 'title' must be a string, got double"),
        ("manifest-b.parquet", {"title": ["x"], "published_at": [1.5]}, "column 'published_at' must be a timestamp, .*, got double"),
        ("items.parquet", {"item_id": ["i"], "colour": ["red"]}, "unknown column 'colour'"),
        ("manifest-b.csv", "title,published_at\nx,soon\ny,later\n", "no value of column 'published_at' fits .2 looked at"),
    ],
)  # fmt: skip
def test_a_file_with_wrong_columns_stops_the_job_and_nothing_arrives(source, tmp_path, name, content, message):
    day = tmp_path / "in" / "2026-01-01"
    write(day / "manifest-a.csv", "video_id,title\nv1,one\n")
    if isinstance(content, dict):
        pq.write_table(pa.table(content), day / name)
    else:
        write(day / name, content)
    with pytest.raises(ManifestError, match=message) as error:
        source.do(ingest, FIRST)
    assert str(error.value).startswith(f"{day / name}: ")
    assert arrivals(source, FIRST) == []
    assert source.rows(tables.INTERACTIONS, FIRST) + source.rows(tables.ITEMS, FIRST) == []


def test_too_many_bad_rows_fail_the_job_before_anything_is_published(source, tmp_path):
    bad = "".join(f"v{n},title,never {n}\n" for n in range(30))
    write(tmp_path / "in" / "2026-01-01" / "manifest.csv", "video_id,title,published_at\nv,title,2026-01-01\n" + bad)
    with pytest.raises(QuarantineLimitError, match=r"video_arrivals for 2026-01-01: 30 of 31 rows were refused") as error:
        source.do(ingest, FIRST)
    assert "[bad_timestamp] manifest.csv:10: published_at must be a time" in str(error.value)
    assert source.rows(tables.VIDEO_ARRIVALS, FIRST) == []


def test_bad_rows_are_a_share_of_all_that_was_delivered_known_rows_too(source, tmp_path):
    good = "".join(f"v{n},title,2026-01-01\n" for n in range(30))
    bad = "".join(f"w{n},title,never {n}\n" for n in range(25))
    for day in ("2026-01-01", "2026-01-02"):
        write(tmp_path / "in" / day / "manifest.csv", f"video_id,title,published_at\n{good}{bad}")
    first, second = source.do(ingest, FIRST), source.do(ingest, SECOND)
    assert [(record.rows_out, record.quarantined) for record in (first, second)] == [(30, 25), (0, 25)]
    assert {r["video_id"] for r in source.rows(tables.QUARANTINE, SECOND)} == {f"w{n}" for n in range(25)}
    write(tmp_path / "in" / "2026-01-03" / "manifest.csv", "video_id,title,published_at\nv1,title,2026-01-01\n" + bad)
    with pytest.raises(QuarantineLimitError, match=r"video_arrivals for 2026-01-03: 25 of 26 rows were refused"):
        source.do(ingest, THIRD)


def test_inputs_change_when_what_was_delivered_changes(source, tmp_path):
    run = source.run("ingest", FIRST)
    assert ingest.inputs(run) == {}
    write(tmp_path / "in" / "2026-01-01" / "manifest.csv", "title\none\n")
    first = ingest.inputs(run)
    write(tmp_path / "in" / "2026-01-01" / "manifest.csv", "title\ntwo\n")
    assert (list(first), first == ingest.inputs(run)) == (["videos:manifest.csv"], False)
    run.close()


def test_a_video_that_arrives_keeps_where_it_came_from(source, tmp_path):
    write(tmp_path / "in" / "2026-01-01" / "media" / "a.mp4", "bytes")
    write(tmp_path / "in" / "2026-01-01" / "manifest.csv", "file,title\nmedia/a.mp4,x\n")
    source.do(ingest, FIRST)
    row = source.lake.read(tables.VIDEO_ARRIVALS).withColumn("recent", F.col("ingested_at") > F.lit("2026-01-01")).collect()[0]
    day = tmp_path / "in" / "2026-01-01"
    assert (row["uri"], row["source_file"], row["source_row"], row["recent"]) == (
        str(day / "media" / "a.mp4"), str(day / "manifest.csv"), 1, True,
    )  # fmt: skip


def test_the_samples_days_come_in_as_they_were_planned(spark, tmp_path):
    sample = make_sample(tmp_path / "sample", videos=16, days=2, seed=3, processes=1)
    plan, truth = make_plan(16, 2, 3), Truth.load(sample / "truth")
    source = SmallLake(spark, tmp_path / "warehouse", sources__deliveries=str(sample / "deliveries"))
    for day in (FIRST, SECOND):
        source.do(ingest, day)
    there = [{v.video_id for v in plan.videos if v.day == day and v.damage != "missing"} for day in (0, 1)]
    corrected = {video_id for _, video_id in plan.corrected}
    assert corrected
    assert {r["video_id"] for r in source.rows(tables.VIDEO_ARRIVALS, FIRST)} == there[0]
    assert {r["video_id"] for r in source.rows(tables.VIDEO_ARRIVALS, SECOND)} == there[1] | corrected
    refusals = {(r["rule"], r["video_id"]) for r in source.rows(tables.QUARANTINE, SECOND)}
    missing = {("missing_file", v.video_id) for v in plan.videos if v.day == 1 and v.damage == "missing"}
    assert refusals == {(r["rule"], r["video_id"]) for r in truth.refused_rows} | missing
    row = next(r for r in source.rows(tables.VIDEO_ARRIVALS, FIRST) if r["video_id"] == truth.copies[0]["copy_of"])
    text = plan.by_id[row["video_id"]].text
    assert (row["title"], row["caption"], row["hashtags"]) == (text.title, text.caption, list(text.hashtags))
