from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.sources import INTERACTIONS, VIDEOS
from reelhouse.sources.values import RowError, convert, cut

COLUMNS = {c.name: c for c in (*VIDEOS.columns, *INTERACTIONS.columns)}


@pytest.mark.parametrize("raw", [None, "", "  ", "NaN", "nan", "None", "null", "NULL", float("nan"), b""])
def test_missing_values_are_none_and_an_empty_list(raw):
    assert convert(COLUMNS["title"], raw) is None
    assert convert(COLUMNS["published_at"], raw) is None
    assert convert(COLUMNS["hashtags"], raw) == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (["咖啡", "#手冲", None, "咖啡"], ["咖啡", "手冲"]),
        ('["a", "b c"]', ["a", "b c"]),
        ("[五爱市场,感谢快手我要上热门,搞笑]", ["五爱市场", "感谢快手我要上热门", "搞笑"]),
        ("['a', 'b']", ["a", "b"]),
        ("a, b，c", ["a", "b", "c"]),
        ("#street dance #撒", ["street dance", "撒"]),
        ("[]", []),
        ([b"\xe5\x92\x96", 7], ["咖", "7"]),
    ],
)
def test_hashtags_are_read_in_every_documented_form(raw, expected):
    assert convert(COLUMNS["hashtags"], raw) == expected


@pytest.mark.parametrize("raw", ["[a,b", "a,b]", '{"a": 1}', 3, {"a": 1}, [["a"]], [True]])
def test_hashtags_of_another_form_are_refused(raw):
    with pytest.raises(RowError) as error:
        convert(COLUMNS["hashtags"], raw)
    assert error.value.rule == "bad_hashtags"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026-01-02T08:30:00Z", datetime(2026, 1, 2, 8, 30, tzinfo=UTC)),
        ("2026-01-02 08:30:00.25", datetime(2026, 1, 2, 8, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-01-02T08:30:00+08:00", datetime(2026, 1, 2, 0, 30, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("1767342600", datetime(2026, 1, 2, 8, 30, tzinfo=UTC)),
        (1767342600000, datetime(2026, 1, 2, 8, 30, tzinfo=UTC)),
        (datetime(2026, 1, 2, 8, 30), datetime(2026, 1, 2, 8, 30, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_utc(raw, expected):
    assert convert(COLUMNS["published_at"], raw) == expected


@pytest.mark.parametrize("raw", ["yesterday", "2026-13-01", "0001-01-01", "9999-01-01", True, "12", ["2026-01-01"]])
def test_other_times_are_refused_with_what_was_got(raw):
    with pytest.raises(RowError, match="published_at must be a time like 2026-01-02T08:30:00Z or Unix seconds, got ") as error:
        convert(COLUMNS["published_at"], raw)
    assert error.value.rule == "bad_timestamp"


@pytest.mark.parametrize(
    ("column", "raw", "rule"),
    [
        ("title", "caf\udce9", "bad_encoding"),  # what surrogateescape makes of the Latin-1 byte e9
        ("title", b"\xb0\xa1", "bad_encoding"),
        ("title", "half \ud83d", "bad_utf8"),
        ("title", ["a"], "bad_type"),
        ("title", True, "bad_type"),
        ("video_id", "a\nb", "bad_id"),
        ("video_id", "x" * 257, "bad_id"),
        ("video_id", 1.5, "bad_type"),
        ("file", "a\0.mp4", "path_outside"),
        ("watched_seconds", "-1", "bad_number"),
        ("watched_seconds", "inf", "bad_number"),
        ("watched_seconds", "long", "bad_number"),
        ("kind", "like", "bad_kind"),
    ],
)
def test_a_wrong_value_breaks_its_rule(column, raw, rule):
    with pytest.raises(RowError) as error:
        convert(COLUMNS[column], raw)
    assert error.value.rule == rule


def test_numbers_and_ids_are_plain():
    assert convert(COLUMNS["watched_seconds"], "3.5") == 3.5
    assert convert(COLUMNS["video_id"], 17) == "17"
    assert convert(COLUMNS["video_id"], " v1 ") == "v1"


@given(st.text(), st.integers(1, 40))
def test_cutting_keeps_the_longest_beginning_that_fits_whole_characters(text, room):
    short = cut(text, room)
    assert text.startswith(short)
    assert len(short.encode()) <= room
    assert short == text or len(text[: len(short) + 1].encode()) > room
