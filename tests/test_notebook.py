"""What notebooks open: questions by name, search by text against a computation by hand, contact sheets."""

from __future__ import annotations

import numpy as np
import pytest

from reelhouse import notebook, tables
from reelhouse.errors import NotFoundError, ReadOnlyError
from reelhouse.similar import videos_about
from reelhouse.text import TextEncoder
from tests.jobs.small_lake import DAY, NEXT, SmallLake

TEXTS = {
    "v1": "orange cat diary",
    "v2": "orange cat and dog",
    "v3": "手冲咖啡教程",
    "v4": "street dance for beginners",
    "v5": "orange cat diary",
}


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    """Five videos with texts; v5 says the same as v1 and is taken down. An older encoder gave other vectors."""
    made = SmallLake(spark, tmp_path_factory.mktemp("search") / "w")
    made.write(tables.VIDEO_ARRIVALS, [{"video_id": v, "title": f"<b>{t}</b>", "uri": f"/{v}.mp4"} for v, t in TEXTS.items()], batch="b")
    made.arrive(list(TEXTS))
    encoder = TextEncoder.fit(list(TEXTS.values()), dimension=4, buckets=4096, seed=7)
    older = TextEncoder.fit(["other"], dimension=4, buckets=4096, seed=7)
    made.write(tables.TEXT_ENCODERS, [as_row(older)], DAY)
    made.write(tables.TEXT_ENCODERS, [as_row(encoder)], NEXT)
    vectors = encoder.transform(list(TEXTS.values()))
    rows = [feature(v, encoder.encoder_id, vector) for v, vector in zip(TEXTS, vectors, strict=True)]
    made.write(tables.TEXT_FEATURES, [*rows, feature("v4", older.encoder_id, vectors[0])], NEXT)
    made.write(tables.DELETIONS, [{"video_id": "v5"}], NEXT)
    return made, encoder


def as_row(encoder):
    about = {"encoder_id": encoder.encoder_id, "fitted_on": encoder.fitted_on, "dimension": encoder.dimension}
    return about | {"parameters": encoder.to_bytes()}


def feature(video, encoder_id, vector):
    what = {"video_id": video, "modality": "text", "encoder_id": encoder_id, "source_sha256": "0" * 64}
    return what | {"steps": 1, "dimension": len(vector), "values": [float(x) for x in vector]}


@pytest.fixture
def reel(small, monkeypatch):
    monkeypatch.setattr(type(small[0].lake.spark), "stop", lambda session: None)
    with notebook.open_lake(small[0].lake.root, {"spark.master": "local[2]"}) as opened:
        yield opened


def test_a_text_finds_the_videos_whose_texts_are_nearest(small, reel):
    _, encoder = small
    wanted = encoder.transform(["my orange cat"])[0]
    vectors = dict(zip(TEXTS, encoder.transform(list(TEXTS.values())), strict=True))
    cosines = {v: float(x @ wanted / np.linalg.norm(x) / np.linalg.norm(wanted)) for v, x in vectors.items() if v != "v5"}
    expected = sorted(cosines, key=lambda v: (-cosines[v], v))
    found = reel.search("my orange cat", 4)
    assert set(found["video_id"][:2]) == {"v1", "v2"} == set(expected[:2])
    assert dict(zip(found["video_id"], found["score"], strict=True)) == pytest.approx(cosines, abs=1e-5)
    assert list(found.iloc[0])[2:] == [f"<b>{TEXTS[expected[0]]}</b>", f"/{expected[0]}.mp4"]
    assert reel.search("手冲咖啡教程", 1).values.tolist() == [["v3", pytest.approx(1.0), "<b>手冲咖啡教程</b>", "/v3.mp4"]]


def test_a_text_of_unknown_words_and_a_lake_without_an_encoder_are_named_errors(spark, tmp_path, reel):
    with pytest.raises(NotFoundError, match=r"no word of 'xyzzy' occurs in the texts"):
        reel.search("xyzzy")
    with pytest.raises(NotFoundError, match="no text encoder is fitted yet"):
        videos_about(SmallLake(spark, tmp_path / "w").lake, "cat", 3)


def test_questions_know_every_name_take_values_and_change_nothing(reel):
    asked = reel.sql("select video_id from bronze.video_arrivals_current where title = :title", title="<b>orange cat diary</b>")
    assert [r.video_id for r in asked.collect()] == ["v1"]
    with pytest.raises(ReadOnlyError):
        reel.sql("drop table bronze.video_arrivals")


def test_a_contact_sheet_keeps_the_order_escapes_what_it_shows_and_leaves_out_what_is_gone(reel):
    shown = reel.sheet(["v3", "v5", "v1", "v3"], {"v1": "<i>near</i>"})
    assert [video for video, *_ in shown.videos] == ["v3", "v1"]
    html = shown._repr_html_()
    assert "&lt;b&gt;orange cat diary&lt;/b&gt;" in html
    assert "&lt;i&gt;near&lt;/i&gt;" in html
    assert "<b>orange" not in html
