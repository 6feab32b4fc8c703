import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.text import language_of, scrub, segments, tokenize

TEXTS = st.lists(
    st.sampled_from(["美食", "和平精英", "new york", "T恤", "3.5", " ", ",", "\n", "it's", "é", "😀", "カ", "-"]) | st.text(max_size=3),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我爱北京天安门", ["我", "爱", "北京", "天安门"]),
        ("New York's state-of-the-art, 3.5!", ["new", "york's", "state-of-the-art", "3.5"]),
        ("AA制和T恤", ["aa制", "和", "t恤"]),
        ("iPhone手机 😀 #1", ["iphone", "手机", "1"]),
        ("Café über", ["café", "über"]),
        ("...!!! 😀", []),
    ],
)
def test_words_are_cut_and_lower_cased(text, tokens):
    assert tokenize(text) == tokens


@given(TEXTS)
def test_tokens_are_the_letters_and_digits_of_the_text_in_order(text):
    text = scrub(text)
    letters = [c for c in text.lower() if c.isalnum()]
    assert [c for token in tokenize(text) for c in token if c.isalnum()] == letters


@given(TEXTS)
def test_segments_hold_every_token_once_and_none_reaches_over_punctuation(text):
    text = scrub(text)
    tokens = tokenize(text)
    parts = segments(text, tokens)
    assert [t for _, part in parts for t in part] == tokens
    assert [index for index, _ in parts] == [sum(len(p) for _, p in parts[:i]) for i in range(len(parts))]


def test_a_segment_ends_at_punctuation_and_at_a_line_end():
    text = "做蛋糕 很甜,new york\ncity"
    assert segments(text, tokenize(text)) == [(0, ["做", "蛋糕", "很甜"]), (3, ["new", "york"]), (5, ["city"])]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("我爱美食", "zh"),
        ("I love food", "en"),
        ("我爱 food a lot 美食", "mixed"),
        ("😀 123", "none"),
        ("", "none"),
        ("用iPhone拍的城市夜景视频", "zh"),
        ("été", "en"),
    ],
)
def test_the_language_is_that_of_most_of_the_text(text, language):
    assert language_of(text) == language


def test_jieba_leaves_no_cache_behind(tmp_path):
    code = "from reelhouse.text import tokenize; print(tokenize('我爱北京'))"
    libs = str(Path(__file__).resolve().parents[2] / "libs")
    run = [sys.executable, "-W", "error", "-c", code]
    out = subprocess.run(run, env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": libs}, capture_output=True, text=True, check=True)
    assert (out.stdout.strip(), out.stderr, list(tmp_path.iterdir())) == ("['我', '爱', '北京']", "", [])
