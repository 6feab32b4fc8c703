"""What clusters are called: counted by hand."""

import math

from reelhouse.sampling.words import characteristic_words, name_of

MEMBERS = [("a1", "A"), ("a2", "A"), ("a3", "A"), ("b1", "B"), ("b2", "B"), ("n1", None), ("n2", None), ("silent", "B")]
TEXTS = [
    ("a1", ["cat", "cat", "milk", "the", "the", "2026"]),
    ("a2", ["milk", "cat", "the", "2026"]),
    ("a3", ["cat", "unmistakable", "video"]),
    ("b1", ["soup", "video", "bread"]),
    ("b2", ["bread", "soup", "video", "milk"]),
    ("n1", ["video", "milk"]),
    ("n2", ["video"]),
    ("silent", []),
    ("unknown", ["cat", "soup"]),
]


def found(spark, members, texts):
    rows = characteristic_words(
        spark.createDataFrame(members, "video_id string, cluster_id string").repartition(3),
        spark.createDataFrame(texts, "video_id string, tokens array<string>").repartition(2),
    )
    return {row.cluster_id: row.words for row in rows.collect()}


def test_words_that_a_cluster_shares_and_others_lack_come_first_and_ties_go_by_the_word(spark):
    words = found(spark, MEMBERS, TEXTS)
    # of A: cat in 3 of 3, milk in 2 of 3 (of all in 4 of 7); of B: bread and soup alike in 2 of 2, video in 2 of 2 (of all in 5 of 7)
    assert words == {"A": ["cat", "milk"], "B": ["bread", "soup", "video"]}
    average = (3 + 4 + 5 + 2 + 2 + 1) / 3  # words a class: cat, milk, video, bread, soup, unmistakable
    score = {"cat": math.log1p(average / 3), "milk": 2 / 3 * math.log1p(average / 4)}
    assert score["cat"] > score["milk"]


def test_a_cluster_without_a_word_that_two_of_it_share_is_not_there(spark):
    assert found(spark, MEMBERS, [("a1", ["one"]), ("a2", ["two"]), ("b1", ["the"]), ("b2", ["the"])]) == {}
    assert found(spark, MEMBERS, []) == {}


def test_at_most_eight_words_are_kept_the_rarest_first(spark):
    texts = [("a1", [f"w{n:02d}" for n in range(12)]), ("a2", [f"w{n:02d}" for n in range(12)]), ("n1", ["w00", "w01"]), ("b1", ["x"])]
    assert found(spark, MEMBERS, texts) == {"A": [f"w{n:02d}" for n in range(2, 10)]}


def test_a_name_is_three_words_or_the_id():
    assert name_of("20260102-0001", ["烘焙", "蛋糕", "cake", "oven"]) == "烘焙, 蛋糕, cake"
    assert name_of("20260102-0001", []) == "20260102-0001"
