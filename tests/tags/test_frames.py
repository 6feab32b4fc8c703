from reelhouse.tags.frames import documents, hashtag_videos

CARRIED = {
    "a": ["Coffee", "美食", "ＣＯＦＦＥＥ"],
    "b": ["coffee", "美食"],
    "c": ["ｃｏｆｆｅｅ", "yoga"],
    "d": ["美食", "20260101", "once"],
    "e": ["YOGA", "x" * 200],
}


def counted(spark, minimum, tags_max):
    return hashtag_videos(spark.createDataFrame(list(CARRIED.items()), "video_id string, hashtags array<string>"), minimum, tags_max)


def test_spellings_of_a_hashtag_are_counted_together_before_rare_ones_are_left_out(spark):
    assert list(counted(spark, 2, 100).items()) == [("coffee", 4), ("yoga", 2), ("美食", 3)]  # both spellings on video a count
    assert counted(spark, 3, 100) == {"coffee": 4, "美食": 3}
    assert counted(spark, 3, 1) == {"coffee": 4}
    assert counted(spark, 9, 100) == {}


def test_of_many_texts_those_of_the_smallest_hash_are_mined(spark):
    rows = [(f"v{n}", f"text {n}", ["text", str(n)], []) for n in range(10)] + [("v", "", [], [])]
    texts = spark.createDataFrame(rows, "video_id string, text string, tokens array<string>, hashtags array<string>")
    # xxhash64 puts them in the order v4, v1, v3, v5, v0, v2, v6, ...
    found = documents(texts, 4).collect()
    assert [r.video_id for r in found] == ["v1", "v3", "v4", "v5"]
    assert [r.tokens for r in found] == [["text", r.video_id[1]] for r in found]
    assert [r.video_id for r in documents(texts, 100).collect()] == [f"v{n}" for n in range(10)]
