import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from reelhouse import tables
from reelhouse.errors import VectorError
from reelhouse.features import Layout, Part, as_lists, as_matrix, assemble, pooled_vectors, to_numpy

DAY = dt.date(2026, 1, 1)
BOTH = Layout((Part("visual", "v", 2), Part("text", "t", 3)))


def rows(spark, *facts):
    """facts: (video_id, modality, encoder_id, steps, values)."""
    full = [(v, m, e, "source", s, len(x) // s, [float(y) for y in x], DAY) for v, m, e, s, x in facts]
    return spark.createDataFrame(full, tables.FEATURES.spark_schema())


def by_id(frame):
    return {row.video_id: row for row in frame.collect()}


def test_short_videos_are_padded_and_of_long_ones_evenly_spaced_steps_are_kept(spark):
    features = rows(
        spark,
        ("short", "visual", "v", 1, [1, 2]),
        ("fits", "visual", "v", 2, [1, 2, 3, 4]),
        ("long", "visual", "v", 5, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
    )
    got = by_id(assemble(features, rows(spark), BOTH, visual_steps=2, audio_steps=9))
    assert {i: (r.visual, r.visual_mask) for i, r in got.items()} == {
        "short": ([1, 2, 0, 0], [1, 0]),
        "fits": ([1, 2, 3, 4], [1, 1]),
        "long": ([0, 0, 2, 2], [1, 1]),
    }


def test_a_video_without_a_modality_has_zeros_and_mask_zero_there(spark):
    got = by_id(assemble(rows(spark), rows(spark, ("a", "text", "t", 1, [1, 2, 3])), BOTH, visual_steps=2, audio_steps=1))
    assert got["a"].asDict() == {
        "video_id": "a", "visual": [0, 0, 0, 0], "visual_mask": [0, 0], "audio": [], "audio_mask": [], "text": [1, 2, 3], "text_mask": [1],
    }  # fmt: skip


def test_rows_of_other_encoders_are_not_used_and_their_videos_left_out(spark):
    features = rows(spark, ("a", "visual", "other", 1, [7, 7]), ("b", "visual", "v", 1, [1, 1]), ("b", "visual", "other", 1, [7, 7]))
    got = by_id(assemble(features, rows(spark), BOTH, visual_steps=1, audio_steps=1))
    assert {i: r.visual for i, r in got.items()} == {"b": [1, 1]}


def test_no_array_is_null_and_all_of_a_column_are_as_long(spark):
    features = rows(spark, ("a", "visual", "v", 3, [1] * 6), ("b", "visual", "v", 1, [1, 1]))
    text = rows(spark, ("b", "text", "t", 1, [1, 1, 1]), ("c", "text", "t", 1, [1, 1, 1]))
    frame = assemble(features, text, BOTH, visual_steps=2, audio_steps=4)
    assert all(not field.nullable for field in frame.schema)
    lengths = {name: {len(r[name]) for r in frame.collect()} for name in frame.columns[1:]}
    assert lengths == {"visual": {4}, "visual_mask": {2}, "audio": {0}, "audio_mask": {0}, "text": {3}, "text_mask": {1}}


def test_pooled_vectors_are_means_of_length_one_side_by_side_and_of_length_one_again(spark):
    features = rows(spark, ("both", "visual", "v", 2, [6, 0, 0, 8]), ("zero", "visual", "v", 1, [0, 0]))
    text = rows(spark, ("both", "text", "t", 1, [0, 0, 5]), ("text", "text", "t", 1, [2, 0, 0]))
    ids, matrix = to_numpy(pooled_vectors(features, text, BOTH))
    assert ids.tolist() == ["both", "text"]  # a video of zeros has no direction
    half = 0.5**0.5
    np.testing.assert_allclose(matrix, [[0.6 * half, 0.8 * half, 0, 0, half], [0, 0, 1, 0, 0]], atol=1e-6)


def test_an_empty_layout_gives_no_vectors(spark):
    ids, matrix = to_numpy(pooled_vectors(rows(spark), rows(spark), Layout(())))
    assert ids.shape == (0,)
    assert matrix.shape == (0, 0)


def test_to_numpy_sorts_by_id_and_keeps_rows_together(spark):
    frame = spark.createDataFrame([("b", [3.0, 4.0]), ("a", [1.0, 2.0]), ("c", [5.0, 6.0])], "video_id string, vector array<float>")
    ids, matrix = to_numpy(frame.repartition(3))
    assert ids.tolist() == ["a", "b", "c"]
    assert matrix.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert matrix.dtype == np.float32


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "video b has no vector of 2 values like the others in vector (1 of 3 such rows)"),
        ([1.0], "video b has no vector of 2 values like the others in vector (1 of 3 such rows)"),
        ([1.0, float("nan")], "video b has values in vector that are null or not finite (1 of 3 such rows)"),
        ([1.0, None], "video b has values in vector that are null or not finite (1 of 3 such rows)"),
    ],
)
def test_a_vector_that_can_not_be_computed_with_is_named(spark, bad, message):
    frame = spark.createDataFrame([("a", [1.0, 2.0]), ("b", bad), ("c", [5.0, 6.0])], "video_id string, vector array<float>")
    with pytest.raises(VectorError) as error:
        to_numpy(frame)
    assert str(error.value) == message


def test_lists_of_arrow_and_a_matrix_are_the_same_numbers():
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert as_lists(matrix).to_pylist() == [[0, 1], [2, 3], [4, 5]]
    assert as_matrix(as_lists(matrix).slice(1), 2).tolist() == [[2, 3], [4, 5]]
    assert as_matrix(as_lists(matrix[:0]), 2).shape == (0, 2)
    with pytest.raises(VectorError, match="1 of 2 lists do not hold 2 values; the first of them holds 1"):
        as_matrix(pa.array([[1.0, 2.0], [3.0]]), 2)
    with pytest.raises(VectorError, match="2 of 3 lists do not hold 2 values; the first of them holds 3"):
        as_matrix(pa.array([[1.0, 2.0], [3.0, 4.0, 5.0], [6.0]]), 2)
    with pytest.raises(VectorError, match="1 of 2 lists do not hold 2 values; the first of them holds 0"):
        as_matrix(pa.array([[1.0, 2.0], None]), 2)
