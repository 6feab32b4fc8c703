import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.sources.records import header, records


def read(tmp_path, name, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    return [(r.number, r.rule, r.values) for r in records(str(path))]


def test_csv_keeps_emoji_newlines_commas_and_quotes_and_drops_the_byte_order_mark(tmp_path):
    content = '\ufeffvideo_id,title\r\nv1,"第一行\n第二行 😍, ""好"""\r\n\r\nv2,x\r\n'.encode()
    assert read(tmp_path, "m.csv", content) == [
        (1, None, {"video_id": "v1", "title": '第一行\n第二行 😍, "好"'}),
        (2, None, {"video_id": "v2", "title": "x"}),
    ]


def test_a_csv_row_with_too_few_or_too_many_fields_costs_that_row(tmp_path):
    found = read(tmp_path, "m.csv", b"video_id,title\nv1\nv2,a,b\nv3,c\n")
    assert found == [(1, "wrong_field_count", {}), (2, "wrong_field_count", {}), (3, None, {"video_id": "v3", "title": "c"})]


@pytest.mark.parametrize("after", ["v2,fine\nv3,good\n", 'v2,"fine"\nv3,"good"\n', 'v2,fine\nv3,"good"\n'])
def test_a_quote_that_is_never_closed_costs_its_line_only(tmp_path, after):
    found = read(tmp_path, "m.csv", ('video_id,title\nv1,"open\n' + after).encode())
    assert [(number, rule) for number, rule, _ in found] == [(1, "bad_quotes"), (2, None), (3, None)]
    assert [values for _, _, values in found[1:]] == [{"video_id": "v2", "title": "fine"}, {"video_id": "v3", "title": "good"}]


def test_bytes_that_are_not_utf8_stay_in_their_csv_row(tmp_path):
    found = read(tmp_path, "m.csv", "video_id,title\nv1,咖啡\n".encode() + "v2,咖啡\n".encode("gbk") + "v3,茶\n".encode())
    assert [values["video_id"] for _, _, values in found] == ["v1", "v2", "v3"]
    assert [values["title"] for _, _, values in found][::2] == ["咖啡", "茶"]
    assert found[1][2]["title"].encode(errors="surrogateescape").decode("gbk") == "咖啡"


def test_a_json_line_that_is_broken_costs_that_line(tmp_path):
    content = b'\xef\xbb\xbf{"title": "a"}\n\n{"title": \n["a"]\n{"title": "\xb0"}\n{"title": "b"}'
    assert [(number, rule) for number, rule, _ in read(tmp_path, "m.jsonl", content)] == [
        (1, None), (3, "bad_json"), (4, "bad_json"), (5, "bad_encoding"), (6, None),
    ]  # fmt: skip


def test_parquet_gives_rows_of_all_row_groups_with_texts_as_bytes(tmp_path):
    table = pa.table({"title": pa.array(["a", None, "茶"]), "hashtags": pa.array([["x"], [], None], pa.list_(pa.string()))})
    pq.write_table(table, tmp_path / "m.parquet", row_group_size=2)
    assert header(str(tmp_path / "m.parquet")) == ["title", "hashtags"]
    assert [(r.number, r.values) for r in records(str(tmp_path / "m.parquet"))] == [
        (1, {"title": b"a", "hashtags": [b"x"]}),
        (2, {"title": None, "hashtags": []}),
        (3, {"title": "茶".encode(), "hashtags": None}),
    ]


def test_a_damaged_row_group_costs_its_rows_and_not_the_others(tmp_path):
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"title": ["aaaa", "bbbb", "cccc", "dddd"]}), path, row_group_size=2, compression="gzip", use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content = bytearray(path.read_bytes())
    end = column.data_page_offset + column.total_compressed_size
    content[end - 12 : end] = b"\xff" * 12
    path.write_bytes(content)
    found = [(r.number, r.rule, r.values.get("title")) for r in records(str(path))]
    assert found == [(1, "unreadable_rows", None), (3, None, b"cccc"), (4, None, b"dddd")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", b"", "it is empty"),
        ("m.csv", "title\na".encode("utf-16"), "it is UTF-16"),
        ("m.jsonl", '{"a": 1}'.encode("utf-16"), "it is UTF-16"),
        ("m.parquet", b"no parquet", "it is not a Parquet file"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_an_error(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, name, content)


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), max_size=6))
def test_what_csv_writes_is_read_back(tmp_path_factory, rows):
    import csv

    path = tmp_path_factory.mktemp("csv") / "m.csv"
    with open(path, "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    assert [list(r.values.values()) for r in records(str(path))] == rows
