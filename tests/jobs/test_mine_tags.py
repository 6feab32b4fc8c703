import datetime as dt

import pytest

from jobs import mine_tags
from reelhouse import tables
from reelhouse.errors import SettingsError
from reelhouse.tags import tag_id
from reelhouse.tags.forms import with_breaks
from reelhouse.text import segments, tokenize
from tests.jobs.small_lake import DAY, NEXT, SmallLake


def texts(lake, videos, date=DAY):
    """videos: {id: (text, hashtags)}"""
    rows = [
        {"video_id": v, "text": t, "tokens": tokenize(t), "hashtags": h, "language": "zh", "is_meaningful": bool(t)}
        for v, (t, h) in videos.items()
    ]
    lake.write(tables.VIDEO_TEXT, rows, date)


def reviews(lake, decisions, date=DAY):
    rows = [
        {
            "event_id": f"{date}{n}",
            "phrase": p,
            "decision": d,
            "reviewer_id": "r",
            "reviewed_at": dt.datetime(2026, 1, 2),
            "batch": "r.jsonl",
        }
        for n, (p, d) in enumerate(decisions)
    ]
    lake.write(tables.TAG_REVIEWS, rows, date, batch="r.jsonl")


def library(lake, date=DAY):
    return {r["tag"]: r.asDict() for r in lake.rows(tables.TAG_LIBRARY, date)}


@pytest.fixture
def lake(spark, tmp_path):
    lake = SmallLake(spark, tmp_path / "warehouse", tags__minimum_count=4, tags__score_min=0.5)
    videos = {f"v{i}": (f"今天{w},法式长棍 {w}\n美食", ["美食"]) for i, w in enumerate("甲乙丙丁")}
    videos |= {
        "w1": ("", ["旅行"]),
        "w2": ("手帐 本", ["旅行"]),
        "w3": ("独处", ["独处"]),
        "w4": ("", ["2021-01-02"]),
        "w5": ("", ["2021-01-02"]),
    }
    texts(lake, videos | {"w6": ("", ["2021-01-02"])})
    return lake


def test_the_first_day_mines_phrases_with_evidence_and_takes_frequent_hashtags(lake):
    lake.do(mine_tags)
    found = {r["phrase"]: r for r in lake.rows(tables.TAG_CANDIDATES)}
    baguette = found["法式长棍"]
    assert (baguette["count"], baguette["document_count"], baguette["miner"], baguette["pattern"]) == (4, 4, "phrases", None)
    assert baguette["example_video_ids"] == ["v0", "v1", "v2"]
    assert baguette["features"]["right_entropy"] == pytest.approx(1.386, abs=1e-3)  # four different neighbours
    tags = library(lake)
    assert tags["美食"] == {
        "tag_id": tag_id("美食"), "tag": "美食", "state": "active", "score": None, "source": "hashtag", "first_seen": DAY,
        "changed": DAY, "data_date": DAY,
    }  # fmt: skip
    assert "旅行" not in tags  # on two videos only
    assert "2021-01-02" not in tags
    assert tags["法式长棍"]["source"] == "phrases"


def test_a_day_without_news_keeps_the_library_and_reviews_change_it(lake):
    lake.do(mine_tags)
    texts(lake, {}, NEXT)
    reviews(lake, [("美食", "block"), ("旅行", "accept")], NEXT)
    lake.do(mine_tags, NEXT)
    before, after = library(lake), library(lake, NEXT)
    assert (after["美食"]["state"], after["美食"]["first_seen"], after["美食"]["changed"]) == ("blocked", DAY, NEXT)
    assert (after["旅行"]["state"], after["旅行"]["source"]) == ("active", "people")
    kept = before.keys() - {"美食"}
    assert {t: after[t]["state"] for t in kept} == {t: before[t]["state"] for t in kept}
    lake.do(mine_tags, NEXT)
    assert library(lake, NEXT) == after


def test_patterns_of_known_tags_find_rarer_phrases(spark, settings):
    words = ["武汉", "成都", "长沙", "深圳"]
    lines = [(f"v{i}{n}", f"{city}美食,好") for n, city in enumerate(words) for i in range(2)]
    rows = [{"video_id": v, "tokens": with_breaks(segments(t, tokenize(t)))} for v, t in lines]
    candidates, patterns = mine_tags.build(
        rows, {"武汉美食", "成都美食", "长沙美食"}, settings.tags.model_copy(update={"minimum_count": 4}), seed=1
    )
    assert patterns == [{"pattern": "<cjk> 美食", "support": 3, "matches": 4, "precision": 0.75}]
    assert [(c["phrase"], c["miner"], c["pattern"], c["count"], c["example_video_ids"]) for c in candidates] == [
        ("深圳美食", "patterns", "<cjk> 美食", 2, ["v03", "v13"])
    ]
    assert candidates[0]["score"] == pytest.approx(4 / 6)


def test_no_more_candidates_are_written_than_set_best_first(settings):
    rows = [{"video_id": f"v{i}", "tokens": ["a1", "b1", "c1", "\n", "d1", "e1"]} for i in range(6)]
    few = settings.tags.model_copy(update={"daily_candidates": 2})
    everything, _ = mine_tags.build(rows, set(), settings.tags, seed=1)
    assert mine_tags.build(rows, set(), few, seed=1)[0] == everything[:2]
    assert [c["score"] for c in everything] == sorted((c["score"] for c in everything), reverse=True)


def test_known_phrases_are_hashtags_names_and_accepted_ones_less_those_turned_down():
    made = [mine_tags.Review("e", "坏", "block", None), mine_tags.Review("e", "好", "accept", None)]
    assert mine_tags.known({"美食": 2, "坏": 5}, ["New York", "", " new  york ", "!"], made) == {"美食", "好", "new york"}


def test_a_file_of_known_phrases_that_cannot_be_read_is_a_settings_error(spark, tmp_path):
    (tmp_path / "phrases.txt").write_bytes(b"\xff\xfe\xff")
    for path in (tmp_path / "none.txt", tmp_path / "phrases.txt"):
        lake = SmallLake(spark, tmp_path / "warehouse", tags__known_phrases=str(path))
        with pytest.raises(SettingsError, match=rf"{path.name} \(tags.known_phrases\) can't be read as UTF-8 text"):
            mine_tags.inputs(lake.run())


def test_a_day_without_any_text_writes_an_empty_library(spark, tmp_path):
    lake = SmallLake(spark, tmp_path / "warehouse")
    lake.do(mine_tags)
    assert [lake.rows(t) for t in (tables.TAG_CANDIDATES, tables.TAG_PATTERNS, tables.TAG_LIBRARY)] == [[], [], []]


def test_more_tags_or_reviews_than_one_machine_may_hold_are_refused_before_anything_is_written(spark, tmp_path):
    lake = SmallLake(spark, tmp_path, tags__minimum_count=2, tags__library_max=2)
    words = ["美食", "旅行", "独处"]
    texts(lake, {f"v{n}": ("", words[:2]) for n in range(3)})
    lake.do(mine_tags)
    assert sorted(library(lake)) == sorted(words[:2]), "as many as may be held"
    texts(lake, {f"w{n}": ("", words) for n in range(3)}, NEXT)
    said = r"gold\.tag_library has more than tags\.library_max = 2 rows, and mine_tags holds them on one machine: set it higher"
    with pytest.raises(SettingsError, match=said):
        lake.do(mine_tags, NEXT)
    assert lake.rows(tables.TAG_LIBRARY, NEXT) == []
    reviews(lake, [(word, "accept") for word in words], NEXT)
    with pytest.raises(SettingsError, match=r"bronze\.tag_reviews has more than tags\.library_max = 2 rows"):
        lake.do(mine_tags, NEXT)
