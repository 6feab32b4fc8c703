import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.text import Noise, clean, clean_hashtags, scrub

NOISE = Noise(["感谢快手我要上热门", "热门", "*上热门*", "感谢快手*", "FYP", "viral", "*小助手"])
NOTHING = Noise()
# what real captions are made of, so that hypothesis meets the rules and not only random letters
PIECES = st.sampled_from(
    ["#", "@", "热门", "感谢快手我要上热门", "fyp", "viral", " ", "\n", ",", "。", "http://", "www.", "t.co/", "(O12345)", "a", "1", "美食",
     "☺️", "\u200b", "é", "ﷺ",
     "\ud800", "\x00", "＃", "Ａ", "\u0300", "[", "]", "-", ":"]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=30).map("".join)


def test_width_case_of_blanks_and_invisible_signs_are_normalised():
    assert scrub("　Ｈｅｌｌｏ\u200b\x07 ①２３\t\n\n  世\u00ad界\ufeff ") == "Hello 123\n世界"


def test_lone_surrogates_and_nul_are_dropped():
    assert scrub("a\ud800b\x00c\udfffd") == "ab cd"


def test_an_emoji_written_as_two_surrogates_is_kept():
    assert scrub("\ud83d\ude00!") == "😀!"


def test_emoji_stay_without_joiners_and_variation_selectors():
    assert scrub("❤️ 👨‍👩‍👧") == "❤ 👨👩👧"


def test_a_run_of_combining_marks_is_cut_to_four():
    assert scrub("e" + "\u0323" * 50) == unicodedata.normalize("NFKC", "e" + "\u0323" * 4)


def test_links_and_mentions_are_taken_out():
    text = "看 https://t.cn/AbC?x=1好看 @快手时尚 @橙🍊子 （OH）(O1065688586) www.x.com/a mail a@b.com youtu.be/xyz 3.5折"
    assert clean(text, NOTHING).text == "看 好看 mail a@b.com 3.5折"


def test_hashtags_are_taken_out_of_a_caption_and_collected_in_order():
    found = clean("超迷你 #瓶子里的龙猫 #美食# 好吃 ##特卖 #8090后#作品 #Travel,ok", NOTHING)
    assert (found.text, found.hashtags) == ("超迷你 好吃 ,ok", ("瓶子里的龙猫", "美食", "特卖", "8090后", "作品", "Travel"))


def test_numbers_and_c_sharp_are_no_hashtags():
    assert clean("We are #1 in C# and F#", NOTHING) == clean("We are #1 in C# and F#", NOTHING, hashtags="keep_words")
    assert clean("We are #1 in C#", NOTHING).text == "We are #1 in C#"


def test_a_title_keeps_the_word_of_a_hashtag_but_not_noise():
    found = clean("Cooking #pasta at home #fyp", NOISE, hashtags="keep_words")
    assert (found.text, found.hashtags) == ("Cooking pasta at home", ("pasta",))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("吃面 感谢快手我要上热门谢谢", "吃面 谢谢"),
        ("吃面 热门", "吃面"),
        ("热门歌曲推荐", "热门歌曲推荐"),
        ("用快影上热门", ""),
        ("this went viral", "this went viral"),
        ("nice, fyp viral", "nice,"),
        ("好看, @推广小助手", "好看,"),
    ],
)
def test_platform_noise_goes_only_where_it_stands_alone(text, left):
    assert clean(text, NOISE).text == left


def test_a_rule_matches_in_any_case_and_with_stars_at_its_ends():
    assert [NOISE.matches(t) for t in ("FyP", "#fyp", "求上热门啊", "感谢快手平台", "快手感谢", "推广小助手", "小助手机", "fyp2")] == [
        True, True, True, True, False, True, False, False,
    ]  # fmt: skip


def test_hashtags_are_cleaned_and_kept_once():
    assert clean_hashtags(["#美食 ", None, "Food", "热门", "", "！"], ["food", "旅行\u200b"], NOISE) == ["美食", "Food", "旅行"]


@settings(max_examples=300)
@given(TEXTS, st.sampled_from(["take_out", "keep_words"]))
def test_cleaning_never_raises_and_a_second_time_changes_nothing(text, hashtags):
    once = clean(text, NOISE, hashtags=hashtags)
    again = clean(once.text, NOISE, hashtags=hashtags)
    assert again.text == once.text
    assert again.hashtags == ()
    once.text.encode("utf-8")


@settings(max_examples=500)
@given(TEXTS)
def test_a_text_that_needs_no_work_is_seen_as_such_only_where_the_work_changes_nothing(text):
    assert scrub(text) == scrub(text + "\u200b")  # the invisible sign makes it do all of the work


@given(TEXTS)
def test_a_clean_text_is_in_normal_form_and_free_of_controls(text):
    left = clean(text, NOTHING).text
    assert left == unicodedata.normalize("NFKC", left) == left.strip()
    assert not [c for c in left if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") and c != "\n"]
    assert "  " not in left


@pytest.mark.parametrize(
    "unit", ["a", "#", "@", "#a", "@a ", "\u0300\u0316", "http://", "a-", "a.", "热门 ", "(O12345", "@a(O", "##热", "ﷺ", "\ud800"]
)
def test_ten_times_the_text_takes_about_ten_times_as_long(unit):
    def seconds(length):
        text = unit * (length // len(unit))
        start = time.process_time()
        clean(text, NOISE)
        return time.process_time() - start

    seconds(1000)
    assert seconds(300_000) < 40 * max(seconds(30_000), 0.005)  # quadratic would be 100
