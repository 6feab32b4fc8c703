import pytest

from jobs import clean_text
from reelhouse import tables
from reelhouse.text import Noise
from reelhouse.text.frames import clean_video
from tests.jobs.small_lake import DAY, NEXT, SmallLake

NOISE = ["*上热门*", "fyp", "热门"]


def arrival(video_id, batch="m.jsonl", **texts):
    return {"video_id": video_id, "batch": batch, "hashtags": [], "item_ids": [], **texts}


def line(video_id, frame, index, text):
    return {"video_id": video_id, "frame_index": frame, "line_index": index, "text": text, "confidence": 0.9, "box": [0.0, 0.0, 1.0, 1.0]}


@pytest.fixture
def lake(spark, tmp_path):
    return SmallLake(spark, tmp_path / "warehouse", text__noise_tags=NOISE)


def cleaned(lake, arrivals, ocr=(), date=DAY):
    by_batch = {}
    for row in arrivals:
        by_batch.setdefault(row["batch"], []).append(row)
    run = lake.run(date=date)
    schema = tables.VIDEO_ARRIVALS.spark_schema()
    rows = [tuple(r.get(f.name, date if f.name == "data_date" else None) for f in schema) for r in arrivals]
    run.publish(tables.VIDEO_ARRIVALS, lake.lake.spark.createDataFrame(rows, schema))
    run.finish("succeeded")
    run.close()
    lake.write(tables.OCR, list(ocr), date)
    lake.do(clean_text, date)
    return {r["video_id"]: r.asDict() for r in lake.rows(tables.VIDEO_TEXT, date)}


def test_one_video_with_every_text_gives_the_row_written_here(lake):
    whole = arrival(
        "v1", title="做蛋糕 #烘焙", caption="好吃! @小明 https://t.cn/x #甜品 #热门", hashtags=["#甜品", "感谢快手我要上热门", "Cake"],
        cover_text="IMG_2034.MOV",
        asr_text="今天 做蛋糕",
    )  # fmt: skip
    rows = cleaned(
        lake, [whole], [line("v1", 1, 0, "第二行"), line("v1", 0, 1, "加糖"), line("v1", 0, 0, "加糖"), line("v1", 0, 2, "12:30")]
    )
    assert rows == {
        "v1": {
            "video_id": "v1",
            "title": "做蛋糕 烘焙",
            "caption": "好吃!",
            "hashtags": ["甜品", "Cake", "烘焙"],
            "ocr_text": "IMG_2034.MOV\n加糖\n12:30\n第二行",
            "asr_text": "今天 做蛋糕",
            "text": "做蛋糕 烘焙\n好吃!\n甜品\nCake\n烘焙\n加糖\n第二行\n今天 做蛋糕",
            "tokens": ["做", "蛋糕", "烘焙", "好吃", "甜品", "cake", "烘焙", "加糖", "第二行", "今天", "做", "蛋糕"],
            "language": "zh",
            "is_meaningful": True,
            "meaningless_reason": None,
            "data_date": DAY,
        }
    }


def test_a_video_of_several_batches_is_one_row_with_the_last_batch_that_has_each_text(lake):
    rows = cleaned(
        lake,
        [
            arrival("v1", "a.csv", title="old title", caption="only here", hashtags=["one"]),
            arrival("v1", "b.csv", title="new title", hashtags=["two", "one"]),
            arrival("v1", "videos"),
        ],
    )
    assert [(r["title"], r["caption"], r["hashtags"]) for r in rows.values()] == [("new title", "only here", ["one", "two"])]


@pytest.mark.parametrize(
    ("title", "kept", "reason"),
    [
        (None, None, "empty"), (" \u200b", None, "empty"), ("IMG_2034.MOV", "IMG_2034.MOV", "file_name"), ("#fyp", None, "noise"),
        ("😀😀", "😀😀", "emoji_run"), ("a b", "a b", None),
    ],
)  # fmt: skip
def test_the_reason_concerns_the_title_and_a_text_that_says_nothing_stays_out(title, kept, reason):
    row = {"video_id": "v", "title": title, "caption": None, "hashtags": None, "cover_text": None, "asr_text": "", "ocr_lines": None}
    got = clean_video(row, Noise(NOISE))
    assert (got["title"], got["meaningless_reason"]) == (kept, reason)
    assert (got["text"], got["is_meaningful"]) == (("", False) if reason else (kept, True))
    assert got["language"] == ("none" if reason else "en")


def test_a_day_without_videos_gives_no_row_and_a_rerun_the_same_rows(lake):
    rows = cleaned(
        lake, [arrival("v1", title="x" * 20), arrival("v2", title="\x00\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"))]
    )
    lake.do(clean_text)
    assert {r["video_id"]: r.asDict() for r in lake.rows(tables.VIDEO_TEXT)} == rows
    assert cleaned(lake, [], date=NEXT) == {}


def test_a_text_of_a_megabyte_is_cleaned(lake):
    rows = cleaned(lake, [arrival("v1", title="好吃 #a " * 100_000)])
    assert rows["v1"]["title"].startswith("好吃 a 好吃 a")
    assert (len(rows["v1"]["tokens"]), rows["v1"]["hashtags"]) == (200_001, ["a"])
