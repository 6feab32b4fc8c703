import datetime as dt
import hashlib

import numpy as np
import pytest
from pyspark.sql import functions as F

from jobs import embed_text
from jobs.embed_text import is_outgrown
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.text import TextEncoder
from tests.jobs.small_lake import DAY, NEXT, SmallLake

SIZES = {"text.vector_dimension": 8, "text.hash_buckets": 1024, "text.refit_growth": 2.0, "text.fit_rows_max": 5}


@pytest.fixture
def lake(spark, tmp_path):
    return SmallLake(spark, tmp_path / "warehouse", **{k.replace(".", "__"): v for k, v in SIZES.items()})


def texts(lake, contents, date=DAY):
    facts = {"hashtags": [], "tokens": [], "language": "en"}
    rows = [{"video_id": v, "text": t, "is_meaningful": bool(t), **facts} for v, t in contents.items()]
    lake.write(tables.VIDEO_TEXT, rows, date)


def vectors(lake, date=DAY):
    return {r["video_id"]: r for r in lake.rows(tables.TEXT_FEATURES, date)}


def test_the_first_day_fits_an_encoder_and_embeds_every_video_with_text(lake):
    texts(lake, {"v1": "red cake", "v2": "blue cake", "v3": ""})
    lake.do(embed_text)
    encoder = TextEncoder.fit(["red cake", "blue cake"], dimension=8, buckets=1024, seed=7)
    stored = lake.rows(tables.TEXT_ENCODERS)
    assert [(r["encoder_id"], r["fitted_on"], r["dimension"]) for r in stored] == [(encoder.encoder_id, 2, 8)]
    assert bytes(stored[0]["parameters"]) == encoder.to_bytes()
    rows = vectors(lake)
    assert sorted(rows) == ["v1", "v2"]
    assert {(r["modality"], r["encoder_id"], r["steps"], r["dimension"]) for r in rows.values()} == {("text", encoder.encoder_id, 1, 8)}
    assert rows["v1"]["source_sha256"] == hashlib.sha256(b"red cake").hexdigest() != rows["v2"]["source_sha256"]
    assert np.allclose([rows["v1"]["values"], rows["v2"]["values"]], encoder.transform(["red cake", "blue cake"]), atol=1e-6)


def test_a_later_day_keeps_the_encoder_and_embeds_only_its_own_texts(lake):
    texts(lake, {"v1": "red cake", "v2": "blue cake"})
    lake.do(embed_text)
    texts(lake, {"v3": "red dog"}, NEXT)
    lake.do(embed_text, NEXT)
    assert lake.rows(tables.TEXT_ENCODERS, NEXT) == []
    assert sorted(vectors(lake, NEXT)) == ["v3"]
    assert vectors(lake, NEXT)["v3"]["encoder_id"] == vectors(lake)["v1"]["encoder_id"]


def test_texts_that_have_outgrown_the_encoder_get_a_new_one_and_all_are_embedded_anew(lake):
    texts(lake, {"v1": "red cake", "v2": "blue cake"})
    lake.do(embed_text)
    texts(lake, {"v1": "green cake", "v3": "red dog", "v4": "blue dog", "v5": "cat"}, NEXT)
    lake.do(embed_text, NEXT)
    (new,) = lake.rows(tables.TEXT_ENCODERS, NEXT)
    everything = ["green cake", "blue cake", "red dog", "blue dog", "cat"]
    assert new["encoder_id"] == TextEncoder.fit(everything, dimension=8, buckets=1024, seed=7).encoder_id
    assert sorted(vectors(lake, NEXT)) == ["v1", "v2", "v3", "v4", "v5"]
    lake.do(embed_text, NEXT)
    assert lake.rows(tables.TEXT_ENCODERS, NEXT)[0]["encoder_id"] == new["encoder_id"]


def test_a_text_that_was_taken_out_leaves_no_vector_and_a_new_encoder_one_for_each_text_that_is_left(lake):
    texts(lake, {"v1": "red cake", "v2": "blue cake"})
    lake.do(embed_text)
    texts(lake, {"v1": ""}, NEXT)
    lake.do(embed_text, NEXT)
    now = lake.run(date=NEXT).current(tables.TEXT_FEATURES).collect()
    assert [(r.video_id, r.data_date) for r in now] == [("v2", DAY)]
    third = DAY + dt.timedelta(days=2)
    texts(lake, {f"w{i}": f"word{i}" for i in range(5)}, third)
    lake.do(embed_text, third)
    (new,) = lake.rows(tables.TEXT_ENCODERS, third)
    now = lake.run(date=third).current(tables.TEXT_FEATURES).where(F.col("encoder_id") == new["encoder_id"]).collect()
    assert sorted(r.video_id for r in now) == ["v2", "w0", "w1", "w2", "w3", "w4"]


def test_no_more_than_fit_rows_max_texts_are_fitted_and_reaching_it_is_no_growth(lake):
    texts(lake, {f"v{i}": f"word{i}" for i in range(9)})
    lake.do(embed_text)
    (row,) = lake.rows(tables.TEXT_ENCODERS)
    assert row["fitted_on"] == 5
    # those of the smallest hash: xxhash64 puts them in the order v4, v1, v3, v5, v0, v2, v6, ...
    corpus = [f"word{n}" for n in (4, 1, 3, 5, 0)]
    assert row["encoder_id"] == TextEncoder.fit(corpus, dimension=8, buckets=1024, seed=embed_text.SEED).encoder_id
    assert row["encoder_id"] != TextEncoder.fit([*corpus[:4], "word2"], dimension=8, buckets=1024, seed=embed_text.SEED).encoder_id
    assert len(vectors(lake)) == 9
    texts(lake, {f"w{i}": f"word{i}" for i in range(9)}, NEXT)
    lake.do(embed_text, NEXT)
    assert lake.rows(tables.TEXT_ENCODERS, NEXT) == []


def test_a_day_without_any_text_writes_nothing(lake):
    texts(lake, {"v1": ""})
    lake.do(embed_text)
    assert (lake.rows(tables.TEXT_ENCODERS), vectors(lake)) == ([], {})


@pytest.mark.parametrize(
    ("fitted_on", "now", "changed", "outgrown"),
    [
        (None, 0, {}, False),
        (None, 1, {}, True),
        (2, 4, {}, False),
        (2, 5, {}, True),
        (3, 100, {}, False),
        (2, 1, {"text.vector_dimension": 9}, True),
    ],
)
def test_when_an_encoder_is_outgrown(fitted_on, now, changed, outgrown):
    settings = settings_module.load(values=SIZES | changed).text
    encoder = None if fitted_on is None else TextEncoder.fit(["a"] * fitted_on, dimension=8, buckets=1024, seed=7)
    assert is_outgrown(encoder, now, settings) is outgrown
