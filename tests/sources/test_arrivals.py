import datetime as dt
import hashlib
import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.sources import INTERACTIONS, ITEMS, VIDEOS, find_delivery
from reelhouse.sources.arrivals import settle
from reelhouse.sources.reading import content_id, read_rows
from tests.kuairec import write_manifest

DAY = dt.date(2026, 1, 2)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def take_in(spark, settings):
    """take_in(before=frame, **source settings) -> (rows that arrive, refused rows, the frame that arrived, dated the day before)."""

    def take(kind=VIDEOS, before=None, **values):
        given = settings.sources.model_copy(update={name: str(v) if isinstance(v, Path) else v for name, v in values.items()})
        rows = read_rows(spark, find_delivery(given, DAY), kind, given).persist()
        known = spark.createDataFrame([], kind.table.spark_schema()) if before is None else before
        arrivals = settle(rows, known, kind)
        new = sorted(arrivals.new.collect(), key=lambda r: (r["batch"], r["source_row"]))
        refused = sorted(arrivals.refused.collect(), key=lambda r: (r["rule"], r["row_key"]))
        kept = arrivals.new.withColumns({"data_date": F.lit("2026-01-01").cast("date"), "ingested_at": F.current_timestamp()})
        return new, refused, kept

    return take


def test_every_row_arrives_or_is_refused_with_its_reason(take_in, tmp_path):
    write(tmp_path / "in" / "a.mp4", b"aaaa")
    write(tmp_path / "in" / "big.mp4", b"b" * 101)
    (tmp_path / "in" / "folder.mp4").mkdir()
    (tmp_path / "in" / "out.mp4").symlink_to(write(tmp_path / "out.mp4", b"secret"))
    lines = [
        ("v1", "a.mp4", "你好 😍\n第二行", "", "[茶,咖]"),
        ("", "a.mp4", "", "", ""),
        ("t1", "", "只有文字", "2026-01-01T08:00:00+08:00", ""),
        ("", "", "text without an id", "", "x"),
        ("long", "", "长" * 350_000, "", ""),  # 1 MB
        ("e", "", "NaN", "", "[]"),
        ("t", "", "x", "soon", ""),
        ("h", "", "x", "", "[open"),
        ("p1", "../a.mp4", "x", "", ""),
        ("p2", "out.mp4", "x", "", ""),
        ("m", "gone.mp4", "x", "", ""),
        ("b", "big.mp4", "x", "", ""),
        ("f", "folder.mp4", "x", "", ""),
    ]
    cells = [",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines]
    utf8 = "\n".join(["video_id,file,title,published_at,hashtags", *cells, ""]).encode()
    content = utf8 + "g,,咖啡,,\n".encode("gbk") + b"last,,fine,,\n"
    path = write(tmp_path / "in" / "m.csv", content)
    new, refused, _ = take_in(manifest=path, text_bytes_max=10, file_bytes_max=100)
    nameless = content_id({"title": "text witho", "hashtags": ["x"]})
    assert [(r["video_id"], r["title"], r["size_bytes"], r["source_row"]) for r in new] == [
        ("v1", "你好 ", 4, 1),  # the emoji's four bytes don't fit into ten
        (sha(b"aaaa"), None, 4, 2),
        ("t1", "只有文", None, 3),
        (nameless, "text witho", None, 4),
        ("long", "长长长", None, 5),
        ("last", "fine", None, 15),
    ]
    first, _, text, *_ = new
    assert (first["uri"], first["content_sha256"], first["hashtags"]) == (str(tmp_path / "in" / "a.mp4"), sha(b"aaaa"), ["茶", "咖"])
    assert (text["uri"], text["hashtags"], text["published_at"]) == (None, [], datetime(2026, 1, 1))
    assert {r["batch"] for r in new} == {"m.csv"}
    assert [(r["rule"], r["row_key"], r["video_id"]) for r in refused] == [
        ("bad_encoding", "m.csv:14", "g"),
        ("bad_hashtags", "m.csv:8", "h"),
        ("bad_timestamp", "m.csv:7", "t"),
        ("empty_row", "m.csv:6", "e"),
        ("file_too_large", "m.csv:12", "b"),
        ("missing_file", "m.csv:11", "m"),
        ("not_a_file", "m.csv:13", "f"),
        ("path_outside", "m.csv:10", "p2"),
        ("path_outside", "m.csv:9", "p1"),
        *[("text_too_long", f"m.csv:{n}", v) for n, v in ((1, "v1"), (3, "t1"), (4, nameless), (5, "long"))],
    ]
    reasons = {r["row_key"]: r["reason"] for r in refused}
    assert reasons["m.csv:9"] == (
        f"../a.mp4 leads out of the manifest's folder {tmp_path}/in: put the file below that folder, or name its folder in sources.roots"
    )
    assert reasons["m.csv:5"] == "title was cut to 10 bytes (sources.text_bytes_max); the row was kept"
    assert all(len(r["row"]) <= 10_000 for r in refused)
    assert json.loads(refused[2]["row"]) == {"video_id": "t", "file": "", "title": "x", "published_at": "soon", "hashtags": ""}


def test_of_rows_with_one_id_the_first_stays_a_copy_adds_nothing_and_another_is_refused(take_in, tmp_path):
    day = tmp_path / DAY.isoformat()
    write(day / "manifest-b.csv", "video_id,title\nv1,second\nv2,only\n")
    write(day / "manifest-a.csv", "video_id,title\nv1,first\nv1,first\nv1,third\n")
    new, refused, _ = take_in(deliveries=tmp_path)
    assert [(r["video_id"], r["title"], r["batch"]) for r in new] == [("v1", "first", "manifest-a.csv"), ("v2", "only", "manifest-b.csv")]
    assert [(r["rule"], r["row_key"], json.loads(r["row"])["title"], r["video_id"]) for r in refused] == [
        ("duplicate_id", "manifest-a.csv:3", "third", "v1"),
        ("duplicate_id", "manifest-b.csv:1", "second", "v1"),
    ]


def test_what_is_known_from_earlier_days_adds_nothing_in_any_format_and_what_changed_arrives_anew(take_in, tmp_path, spark):
    write(tmp_path / "old" / "a.mp4", b"a")
    old = write(tmp_path / "old" / "m.csv", 'video_id,file,title,hashtags\nv1,a.mp4,x,"p,q"\nv2,,y,\nv3,,z,\n')
    _, _, before = take_in(manifest=old)
    before = before.persist()
    write(tmp_path / "new" / "moved.mp4", b"a")
    lines = [
        {"video_id": "v1", "file": "moved.mp4", "title": "x", "hashtags": ["p", "q"]},
        {"video_id": "v2", "title": "y, corrected"},
        {"video_id": "v3", "title": "z"},
        {"video_id": "v4", "title": "new"},
    ]
    path = write(tmp_path / "new" / "m.jsonl", "\n".join(json.dumps(line) for line in lines))
    new, refused, changed = take_in(manifest=path, before=before)
    assert [(r["video_id"], r["title"]) for r in new] == [("v2", "y, corrected"), ("v4", "new")]
    assert refused == []
    # the newest row counts: the first title, delivered again after the correction, arrives anew
    later = before.unionByName(changed.withColumn("data_date", F.lit("2026-01-02").cast("date")))
    again, _, _ = take_in(manifest=old, before=later)
    assert [(r["video_id"], r["title"]) for r in again] == [("v2", "y")]


def test_files_of_a_bare_folder_arrive_once_by_content(take_in, tmp_path):
    write(tmp_path / "a" / "1.mp4", b"one")
    write(tmp_path / "a" / "twin.mp4", b"one")
    write(tmp_path / "b.mp4", b"two")
    write(tmp_path / "empty.mp4", b"")
    (tmp_path / "link.mp4").symlink_to(write(tmp_path.parent / "outside.mp4", b"three"))
    new, refused, before = take_in(videos=tmp_path)
    assert {(r["video_id"], r["uri"].removeprefix(f"{tmp_path}/")) for r in new} == {
        (sha(b"one"), "a/1.mp4"), (sha(b"two"), "b.mp4"), (sha(b""), "empty.mp4"),
    }  # fmt: skip
    assert {(r["batch"], r["title"], len(r["hashtags"])) for r in new} == {("videos", None, 0)}
    assert [(r["rule"], r["row_key"]) for r in refused] == [("path_outside", "videos:link.mp4")]
    write(tmp_path / "renamed.mp4", b"two")
    write(tmp_path / "c.mp4", b"four")
    new, _, _ = take_in(videos=tmp_path, before=before.persist())
    assert [r["uri"] for r in new] == [str(tmp_path / "c.mp4")]


def test_a_file_that_a_manifest_names_does_not_arrive_again_from_the_bare_folder(take_in, tmp_path):
    write(tmp_path / "1.mp4", b"one")
    write(tmp_path / "2.mp4", b"two")
    path = write(tmp_path / "m.csv", "video_id,file,title\nv1,1.mp4,x\n")
    new, _, _ = take_in(manifest=path, videos=tmp_path)
    assert [(r["video_id"], r["batch"]) for r in new] == [("v1", "m.csv"), (sha(b"two"), "videos")]


def test_interactions_and_items_are_typed_and_refused_alike(take_in, tmp_path):
    day = tmp_path / DAY.isoformat()
    write(
        day / "interactions.jsonl",
        '{"user_id": 7, "video_id": "v1", "kind": "click", "watched_seconds": 2.5, "happened_at": 1767340800}\n'
        '{"user_id": 7, "video_id": "v1", "kind": "click", "watched_seconds": 2.5, "happened_at": 1767340800}\n'
        '{"event_id": "e1", "user_id": "u", "video_id": "v1", "kind": "search_click", "query": "咖啡", "watched_seconds": NaN}\n'
        '{"event_id": "e1", "user_id": "u", "video_id": "v2", "kind": "click"}\n'
        '{"user_id": "u", "kind": "click"}\n'
        '{"user_id": "u", "video_id": "v1", "kind": "like"}\n'
        '{"user_id": "u", "video_id": "v1", "kind": "click", "colour": "red"}\n',
    )
    pq.write_table(pa.table({"item_id": pa.array([1, 2]), "category_path": ["厨房/锅具", None]}), day / "items.parquet")
    new, refused, _ = take_in(INTERACTIONS, deliveries=tmp_path)
    assert [(r["user_id"], r["kind"], r["query"], r["watched_seconds"], r["happened_at"]) for r in new] == [
        ("7", "click", None, 2.5, datetime(2026, 1, 2, 8)),
        ("u", "search_click", "咖啡", None, None),
    ]
    assert len(new[0]["event_id"]) == 64
    assert [(r["rule"], r["row_key"], r["video_id"]) for r in refused] == [
        ("bad_kind", "interactions.jsonl:6", "v1"),
        ("duplicate_id", "interactions.jsonl:4", "v2"),
        ("missing_value", "interactions.jsonl:5", None),
        ("unknown_column", "interactions.jsonl:7", "v1"),
    ]
    items, _, _ = take_in(ITEMS, deliveries=tmp_path)
    assert [(r["item_id"], r["title"], r["category_path"]) for r in items] == [("1", None, "厨房/锅具"), ("2", None, None)]


@pytest.mark.data
def test_kuairec_goes_through_whole(take_in, tmp_path, shared_data):
    path = write_manifest(shared_data / "kuairec" / "videos.csv", tmp_path / "manifest.csv")
    new, refused, _ = take_in(manifest=path)
    assert len(new) + len(refused) == 7470
    # three rows of the real file are the torn ends of others and share an empty id; 699 videos have a category and no text
    assert [r["row_key"] for r in refused if r["rule"] == "duplicate_id"] == ["manifest.csv:4117", "manifest.csv:4404"]
    assert [r["rule"] for r in refused].count("empty_row") == len(refused) - 2 == 699
    of = {r["video_id"]: r for r in new}
    assert (of["kuairec-0"]["caption"], of["kuairec-0"]["category"]) == ("精神小伙路难走 程哥你狗粮慢点撒", "颜值/颜值随拍")
    rich = of["kuairec-4"]
    assert (rich["title"], rich["category"]) == ("五爱街最美美女 一天1q", "时尚/营销售卖/女装")
    assert rich["hashtags"] == ["五爱市场", "感谢快手我要上热门", "搞笑"]
    assert not [r for r in new if "UNKNOWN" in (r["title"] or "")]


def test_content_takes_in_every_column_but_key_and_place():
    names = "content_sha256 size_bytes title caption hashtags cover_text asr_text author_id published_at item_ids category"
    assert VIDEOS.content == names.split()
    assert set(VIDEOS.content) < set(tables.VIDEO_ARRIVALS.names)
