import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.tags import joined, normal_form, tag_id
from reelhouse.tags.forms import with_breaks
from reelhouse.text import segments, tokenize


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("ＮＥＷ　York", "new york"),
        ("iPhone 手机", "iphone手机"),
        ("和平 精英", "和平精英"),
        ("#T恤", "t恤"),
        ("！", ""),
        ("5 折", "5折"),
        ("it's OK", "it's ok"),
    ],
)
def test_spellings_of_one_phrase_meet_in_one_form(text, form):
    assert normal_form(text) == form


@given(st.lists(st.sampled_from(["美食", "new", "york", "5", "手机"]), max_size=6))
def test_a_form_is_the_form_of_itself(tokens):
    assert normal_form(joined(tokens)) == joined(tokens)


def test_an_id_is_the_beginning_of_the_sha256_of_the_form():
    assert tag_id("美食") == "5fa29a4e55651354"


def test_documents_keep_their_breaks_and_lose_their_own_hashtags():
    text = "做蛋糕,很甜\n烘焙 课\n烘焙课"
    assert with_breaks(segments(text, tokenize(text)), frozenset({"烘焙课"})) == ["做", "蛋糕", "\n", "很甜"]
