import datetime as dt

import pytest

from reelhouse import tables
from reelhouse.features import Layout, Part, layout_of

OLD, NEW = dt.date(2026, 1, 1), dt.date(2026, 1, 2)


def rows(spark, *facts):
    """facts: (video_id, modality, encoder_id, dimension, data_date)."""
    full = [(v, m, e, "source", 1, d, [0.0] * d, day) for v, m, e, d, day in facts]
    return spark.createDataFrame(full, tables.FEATURES.spark_schema())


def test_the_encoder_of_the_latest_day_is_in_force_even_with_fewer_videos(spark):
    features = rows(spark, ("a", "visual", "old", 2, OLD), ("b", "visual", "old", 2, OLD), ("c", "visual", "new", 3, NEW))
    assert layout_of(features, rows(spark)).parts == (Part("visual", "new", 3),)


def test_of_two_encoders_on_one_day_the_one_with_more_videos_is_in_force(spark):
    features = rows(spark, ("a", "visual", "few", 2, NEW), ("b", "visual", "many", 2, NEW), ("c", "visual", "many", 2, NEW))
    assert layout_of(features, rows(spark)).parts == (Part("visual", "many", 2),)


def test_modalities_come_in_a_fixed_order_and_those_without_features_are_not_there(spark):
    layout = layout_of(rows(spark, ("a", "audio", "x", 2, OLD)), rows(spark, ("a", "text", "t", 4, NEW)))
    assert [p.modality for p in layout.parts] == ["audio", "text"]
    assert layout.part("visual") is None
    assert layout.width("visual") == 0


def test_no_features_give_an_empty_layout(spark):
    assert layout_of(rows(spark), rows(spark)) == Layout(())


def test_json_gives_the_same_layout_and_the_same_id():
    layout = Layout((Part("visual", "v", 8), Part("text", "t", 5))).with_steps(visual_steps=3, audio_steps=2)
    assert Layout.from_json(layout.to_json()) == layout
    assert Layout.from_json(layout.to_json()).id == layout.id
    assert layout.width("visual") == 24
    assert layout.steps("text") == 1


def test_the_id_depends_on_encoder_dimension_and_steps():
    base = Layout((Part("visual", "v", 8),))
    others = [Layout((Part("visual", "w", 8),)), Layout((Part("visual", "v", 9),)), base.with_steps(visual_steps=2, audio_steps=1)]
    assert len({base.id, *(o.id for o in others)}) == 4


def test_a_modality_twice_or_out_of_order_is_refused():
    with pytest.raises(ValueError, match="at most once, in this order"):
        Layout((Part("text", "t", 1), Part("visual", "v", 1)))
