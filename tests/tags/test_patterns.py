import pytest

from reelhouse.tags import find_by_patterns, mine_patterns
from reelhouse.tags.counting import count_ngrams
from reelhouse.tags.patterns import generalised, word_class

KNOWN = ["武汉美食", "成都美食", "长沙美食", "how to bake", "武汉旅行"]
DOCUMENTS = [
    ["武汉", "美食"],
    ["成都", "美食"],
    ["重庆", "美食"],
    ["重庆", "美食"],
    ["重庆", "美食"],
    ["的", "美食"],
    ["深圳", "旅行"],
    ["2020", "美食"],
]


@pytest.mark.parametrize(
    ("token", "kind"),
    [("美食", "<cjk>"), ("t恤", "<cjk>"), ("cake", "<latin>"), ("3.5", "<number>"), ("5g", "<latin>"), ("été", "<latin>")],
)
def test_a_word_belongs_to_one_class(token, kind):
    assert word_class(token) == kind


def test_every_word_but_stop_words_becomes_a_slot_beside_a_word_with_a_topic():
    assert list(generalised(["how", "to", "bake", "cake"])) == ["how to <latin> cake", "how to bake <latin>"]
    assert list(generalised(["how", "to", "bake"])) == []
    assert list(generalised(["的", "美食"])) == []


def test_a_pattern_is_kept_with_its_support_matches_and_precision():
    counts = count_ngrams(DOCUMENTS, minimum_count=1, maximum_tokens=3)
    patterns = mine_patterns(counts, KNOWN)
    # three known tags end in 美食; in the corpus 武汉, 成都 (known) and 重庆 (not) do
    assert patterns.to_dict("records") == [{"pattern": "<cjk> 美食", "support": 3, "matches": 3, "precision": pytest.approx(2 / 3)}]


def test_a_pattern_finds_the_phrases_that_are_not_known_yet():
    counts = count_ngrams(DOCUMENTS, minimum_count=1, maximum_tokens=3)
    found = find_by_patterns(counts, mine_patterns(counts, KNOWN), leave_out=KNOWN)
    assert found.to_dict("records") == [
        {
            "phrase": "重庆美食",
            "tokens": ("重庆", "美食"),
            "score": pytest.approx(3 / 5),
            "count": 3,
            "document_count": 3,
            "features": {"precision": pytest.approx(2 / 3), "support": 3.0},
            "examples": [2, 3, 4],
            "pattern": "<cjk> 美食",
        }
    ]


def test_without_known_tags_or_texts_there_is_no_pattern():
    for documents, known in ((DOCUMENTS, []), ([], KNOWN), (DOCUMENTS, KNOWN[:2])):
        counts = count_ngrams(documents, minimum_count=1, maximum_tokens=3)
        patterns = mine_patterns(counts, known)
        assert (len(patterns), len(find_by_patterns(counts, patterns, leave_out=[]))) == (0, 0)


def test_a_pattern_whose_phrases_are_rarely_known_is_left_out():
    for others, kept in ((9, 1), (10, 0)):  # one in ten is known, one in eleven
        documents = [[f"城{i}", "美食"] for i in range(others)] + [["武汉", "美食"]]
        assert len(mine_patterns(count_ngrams(documents, minimum_count=1, maximum_tokens=3), KNOWN)) == kept
