import csv
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.text import Noise, clean, meaningless_reason

SAYS_NOTHING = {
    "empty": [None, "", "  \n ", "\u200b\ufeff"],
    "file_name": [
        "IMG_2034.MOV", "VID_20230101_123456", "微信视频20210304112233.mp4", "wx_camera_1612345.mp4",
        "Screenshot_20210101-101010", "mmexport1577836800000",
        "PXL_20210101_101010101", "DJI_0012", "DSC00123.JPG", "IMG 2034 (1)", "Screen Shot 2020-01-01 at 10.11.12 AM",
        "屏幕录制2021-03-04 11.22.33",
        "WhatsApp Video 2020-01-01 at 10.11.12", "final_cut_v2.mp4", "7d793037a0760186574b0282f2f435e7",
        "123e4567-e89b-12d3-a456-426614174000", "视频 1",
        "lv_0_20210304112233", "剪映20210304", "0a1b.mp4",
    ],
    "timestamp": [
        "2021-01-02 10:11:12", "2021年3月4日", "2021/1/2", "20210304", "10月1日", "Jan 5, 2023", "5th March 2021",
        "4:44", "2021-01-02T10:11:12Z", "上午 10:30",
        "1612345678", "1612345678901", "2021-03-04 星期四 11:22",
    ],
    "device_name": [
        "iPhone 13 Pro", "iPhone13 Pro Max", "HUAWEI P40", "华为Mate 60 Pro", "小米11 Ultra", "Redmi Note 8",
        "vivo X90", "OPPO Reno5", "Galaxy S21 Ultra",
        "SM-G9980", "Canon EOS R5", "Sony A7", "GoPro HERO9", "SHOT ON MI 9T", "Shot on OnePlus", "Shot on iPhone 12",
        "由HUAWEI P40拍摄", "来自iPhone 13",
        "REDMI NOTE 8 AI QUAD CAMERA", "DJI Mini 3 Pro",
    ],
    "emoji_run": ["😀😀🎉", "❤️", "👨‍👩‍👧", "🏀 🌇", "[赞][赞]", "🕊️ ------"],
    "punctuation": ["...!!", "？？？", "。", "——", "[]"],
    "digits": ["12345", "05", "12 34", "100%", "1" * 400],
    "repeated_character": ["哈哈哈哈", "aaaa", "Rrrrrr", "啊啊啊!!"],
    "keyboard_mash": ["asdfgh", "qweqwe", "asdfasdf", "qwer tyui", "lkjh", "sdkfjghsl"],
}  # fmt: skip
SAYS_SOMETHING = [
    "iPhone 13 Pro 评测", "My trip to Rome 2019.mp4", "我们的婚礼2019.mp4", "video games are fun",
    "IMG worlds of adventure", "Movie 43", "2020年高考加油",
    "10月1日国庆阅兵", "shot on my iphone in paris", "Canon Rock", "were", "type", "power", "哈哈 太好笑了",
    "666个好友", "瘦", "Mi", "May", "was it a cat", "7 rings",
    "P40 vs Mate 30", "Galaxy of stars", "DJI drone crash", "attention", "HUAWEI", "1 YEAR OF VLOGGING",
    "hahaha lol", "dad", "国庆节", "😀 hello",
]  # fmt: skip


@pytest.mark.parametrize(("reason", "text"), [(r, t) for r, texts in SAYS_NOTHING.items() for t in texts])
def test_a_text_that_says_nothing_gets_its_reason(reason, text):
    assert meaningless_reason(text) == reason


@pytest.mark.parametrize("text", SAYS_SOMETHING)
def test_a_real_title_is_kept(text):
    assert meaningless_reason(text) is None


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(text):
    assert meaningless_reason(text) in {None, *SAYS_NOTHING}


@pytest.mark.parametrize("unit", ["a", "a ", "1", "1-", "😀", "se", "asdf", "[赞]", "_", "IMG_1 ", "canon "])
@pytest.mark.parametrize("begin", ["", "iphone 13 ", "IMG_", "2021-01-02 "])
def test_no_text_takes_long(begin, unit):
    start = time.process_time()
    meaningless_reason((begin + unit * 80)[:159] + "!")
    meaningless_reason(begin + unit * (200_000 // len(unit)))
    assert time.process_time() - start < 5


@pytest.mark.data
def test_of_17_thousand_real_titles_only_two_are_called_meaningless(shared_data):
    with open(shared_data / "tnews" / "titles.json", encoding="utf-8") as lines:
        titles = [json.loads(line)["sentence"] for line in lines]
    for path, column in (("youtube_trending_us/USvideos.csv", "title"), ("bilibili_rank/bilibili.csv", "title")):
        with open(shared_data / path, encoding="utf-8-sig", newline="") as file:
            titles += [row[column] for row in csv.DictReader(file) if row[column]]
    noise = Noise(["*上热门*", "fyp", "viral"])
    flagged = [t for t in titles if meaningless_reason(clean(t, noise, hashtags="keep_words").text)]
    assert (len(titles), sorted(flagged)) == (17_298, ["Rrrrrrrrrrrrr", "Rrrrrrrrrrrrr"])


@pytest.mark.data
def test_of_the_captions_of_kuairec_only_runs_of_signs_are_called_meaningless(shared_data):
    with open(shared_data / "kuairec" / "videos.csv", encoding="utf-8", newline="") as file:
        captions = [clean(row["caption"], Noise()).text for row in csv.DictReader(file) if row["caption"]]
    flagged = {(c, meaningless_reason(c)) for c in captions if c and meaningless_reason(c)}
    by_shape = {"repeated_character", "digits", "timestamp"}
    assert sorted(c for c, reason in flagged if reason in by_shape) == KUAIREC_FLAGGED
    assert {reason for _, reason in flagged} == by_shape | {"emoji_run", "punctuation"}


KUAIREC_FLAGGED = [
    "-124",
    "1",
    "34",
    "6",
    "666",
    "70-120",
    "8月4",
    "9010",
    "吃!吃!吃!",
    "哈哈哈",
    "哈哈哈哈哈哈",
    "哈哈哈哈哈哈哈",
    "哈哈哈哈哈哈哈哈哈哈哈",
    "哒哒哒.",
    "哦哦哦哦哦哦!",
    "帅帅帅",
    "早早早",
]
