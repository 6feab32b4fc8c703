from reelhouse.tags.frames import hashtag_videos

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
