import datetime as dt

import pytest

from jobs import tag_videos
from reelhouse import tables
from reelhouse.tags import tag_id
from reelhouse.text import tokenize
from tests.jobs.small_lake import DAY, NEXT, SmallLake

THIRD = dt.date(2026, 1, 4)


def texts(lake, videos, date=DAY):
    rows = [
        {"video_id": v, "text": t, "tokens": tokenize(t), "hashtags": [], "language": "zh", "is_meaningful": bool(t)}
        for v, t in videos.items()
    ]
    lake.write(tables.VIDEO_TEXT, rows, date)


def library(lake, states, date=DAY):
    facts = {"score": None, "source": "people", "first_seen": DAY, "changed": DAY}
    lake.write(tables.TAG_LIBRARY, [{"tag_id": tag_id(t), "tag": t, "state": s, **facts} for t, s in states.items()], date)


def tagged(lake, date=DAY):
    lake.do(tag_videos, date)
    return sorted((r["video_id"], r["tag"], r["position"], r["matches"]) for r in lake.rows(tables.VIDEO_TAGS, date))


@pytest.fixture
def lake(spark, tmp_path):
    return SmallLake(spark, tmp_path / "warehouse")


def test_active_tags_are_found_with_position_and_number_of_matches(lake):
    texts(lake, {"v1": "我爱北京美食\n美食", "v2": "New York city", "v3": ""})
    library(lake, {"美食": "active", "new york": "active", "city": "blocked", "北京": "candidate"})
    assert tagged(lake) == [("v1", "美食", 3, 2), ("v2", "new york", 0, 1)]
    assert {r["tag_id"] for r in lake.rows(tables.VIDEO_TAGS)} == {tag_id("美食"), tag_id("new york")}


def test_a_tag_that_became_active_is_found_in_earlier_videos_too(lake):
    texts(lake, {"v1": "北京美食", "v2": "北京"})
    library(lake, {"美食": "active", "北京": "candidate"})
    assert tagged(lake) == [("v1", "美食", 1, 1)]
    texts(lake, {"v3": "美食", "v2": "上海"}, NEXT)
    library(lake, {"美食": "active", "北京": "active"}, NEXT)
    assert tagged(lake, NEXT) == [("v1", "北京", 0, 1), ("v3", "美食", 0, 1)]
    library(lake, {"美食": "active", "北京": "active"}, THIRD)
    assert tagged(lake, THIRD) == []


def test_without_library_or_texts_nothing_is_tagged_and_a_rerun_gives_the_same(lake):
    assert tagged(lake) == []
    texts(lake, {"v1": "美食"})
    assert tagged(lake) == []
    library(lake, {"美食": "active"})
    assert tagged(lake) == tagged(lake) == [("v1", "美食", 0, 1)]
