from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.tags import TagMatcher, joined, tag_id
from reelhouse.text import segments, tokenize

WORDS = st.sampled_from(["a", "b", "ab", "美", "食", "美食", "1"])
SEGMENTS = st.lists(st.lists(WORDS, min_size=1, max_size=8), max_size=4)


def found(tags, text):
    return TagMatcher({t: tag_id(t) for t in tags}).find(segments(text, tokenize(text)))


def test_position_is_the_first_token_of_the_first_match_and_every_match_counts():
    assert found(["new york", "york", "new york city"], "I love New York, new york city!") == {
        "new york": (2, 2), "york": (3, 2), "new york city": (4, 1),
    }  # fmt: skip


def test_a_tag_is_matched_at_word_edges_only():
    assert found(["art", "美"], "party 美食") == {}


def test_no_match_reaches_over_punctuation_or_a_line_end():
    assert found(["machine learning", "美食推荐"], "machine. learning machine\nlearning 美食,推荐") == {}


def test_a_chinese_tag_is_found_however_it_was_cut():
    matcher = TagMatcher({"和平精英": "x"})
    assert matcher.find([(0, ["玩", "和平", "精英"]), (3, ["和平精英"]), (4, ["和", "平精英"])]) == {"和平精英": (1, 3)}
    assert matcher.find([(0, ["和平", "精英们"])]) == {}


def test_a_mixed_tag_is_found_with_and_without_a_blank():
    assert found(["iphone手机"], "iPhone手机 和 iPhone 手机") == {"iphone手机": (0, 2)}


@settings(max_examples=300)
@given(st.lists(st.lists(WORDS, min_size=1, max_size=4).map(joined), max_size=6), SEGMENTS)
def test_agrees_with_trying_every_run_of_tokens(tags, parts):
    expected, offset, placed = {}, 0, []
    for tokens in parts:
        placed.append((offset, tokens))
        for start in range(len(tokens)):
            for end in range(start + 1, len(tokens) + 1):
                tag = joined(tokens[start:end])
                if tag in tags:
                    expected.setdefault(tag, []).append(offset + start)
        offset += len(tokens)
    got = TagMatcher({t: tag_id(t) for t in tags}).find(placed)
    assert got == {tag: (min(places), len(places)) for tag, places in expected.items()}
