import datetime as dt
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jobs import find_copies
from jobs.find_copies import build, changed, in_order_of_arrival, regroup
from reelhouse import tables
from reelhouse.sections import CopySettings
from tests.jobs.small_lake import SmallLake

DAY_BEFORE, DAY = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
SETTINGS = CopySettings(hash_distance_max=4, similarity_min=0.9, rows_max=100)
P = 0x0F0F_0F0F_0F0F_0F0F
Q = P ^ 0xFFFF_0000_0000
R = P ^ 0xFFFF_0000
NAMES = tables.COPIES.undated

VISUAL = {"modality": "visual", "encoder_id": "e", "source_sha256": "s"}


def picture(flat=False):
    out = BytesIO()
    side = np.zeros((64, 64, 3), np.uint8)
    if not flat:
        side[:, 32:] = 200
    Image.fromarray(side).save(out, "JPEG")
    return bytearray(out.getvalue())


class Day:
    """Small frames as the tables hold them; a video is {id: hashes}."""

    def __init__(self, spark):
        self.spark = spark

    def rows(self, table, records):
        schema = table.spark_schema()
        full = [tuple(r.get(f.name, DAY if f.name == "data_date" else None) for f in schema) for r in records]
        nullable = type(schema)([type(f)(f.name, f.dataType, True) for f in schema])
        return self.spark.createDataFrame(full, nullable)

    def videos(self, ids, date=DAY):
        return self.rows(tables.VIDEOS, [{"video_id": i, "status": "ok", "data_date": date} for i in ids])

    def frames(self, videos, flat=()):
        return self.rows(
            tables.FRAMES,
            [
                {"video_id": v, "frame_index": i, "jpeg": picture(v in flat), "perceptual_hash": h, "data_date": DAY}
                for v, hashes in videos.items()
                for i, h in enumerate(hashes)
            ],
        )

    def features(self, vectors):
        return self.rows(
            tables.FEATURES,
            [{"video_id": v, "steps": len(x) // 2, "values": x, "dimension": 2, **VISUAL} for v, x in vectors.items()],
        )

    def copies(self, rows):
        columns = ["video_id", "copy_group", "matched_video_id", "hash_distance", "vector_similarity", "frame_hashes"]
        return self.rows(tables.COPIES, [dict(zip(columns, r, strict=True), data_date=DAY_BEFORE) for r in rows])

    def build(self, today, vectors, known=(), *, flat=(), settings=SETTINGS, note=print):
        rows = build(
            self.videos(list(today)),
            self.frames(today, flat),
            self.features(vectors),
            self.videos([r[0] for r in known], DAY_BEFORE),
            self.copies(known),
            date=DAY,
            settings=settings,
            note=note,
        )
        assert rows.columns == NAMES
        return sorted((tuple(r) for r in rows.collect()), key=lambda row: row[0])


@pytest.fixture
def day(spark):
    return Day(spark)


def regrouped(today, vectors, known=(), *, settings=SETTINGS, again=()):
    """The rows to write, without Spark: today {id: hashes}, known rows as in silver.copies, all of which arrived the day before, as
    did those of today that come `again`."""
    before = pd.DataFrame([(*r, DAY_BEFORE) for r in known], columns=[*NAMES, "arrived"])
    new = pd.DataFrame(
        [(v, h, DAY_BEFORE if v in again else None) for v, h in today.items()], columns=["video_id", "frame_hashes", "arrived"]
    )
    collected = in_order_of_arrival(before, new, DAY)
    fetch = lambda rows: np.array([vectors.get(v, [0.0, 0.0]) for v in collected["video_id"][rows]]).reshape(-1, 2)  # noqa: E731
    rows = changed(regroup(collected, fetch, settings))
    rows["frame_hashes"] = [h.tolist() for h in rows["frame_hashes"]]
    return [tuple(None if not isinstance(v, list) and pd.isna(v) else v for v in r) for r in rows[NAMES].itertuples(index=False)]


X, Y = [1.0, 0.0], [0.0, 1.0]


def test_the_first_day_groups_copies_and_leaves_the_rest_alone(day):
    got = day.build(
        {"a": [P, Q], "b": [P ^ 1, Q], "c": [R], "f": [R], "t": []},  # t is a text-only video, f nothing but black
        {"a": X + X, "b": X, "c": X, "f": X},
        flat=("f",),
    )
    assert got == [
        ("a", "a", None, None, None, [P, Q]),
        ("b", "a", "a", 0.5, pytest.approx(1.0), [P ^ 1, Q]),
        ("c", "c", None, None, None, [R]),
        ("f", "f", None, None, None, []),
        ("t", "t", None, None, None, []),
    ]


def test_a_new_video_joins_an_earlier_group_whose_rows_stay():
    known = [("y", "y", None, None, None, [P ^ 1]), ("z", "y", "y", 1.0, 0.99, [P])]
    got = regrouped({"a": [P]}, {"a": X, "y": X, "z": X}, known)
    assert got == [("a", "y", "z", 0.0, pytest.approx(1.0), [P])]


def test_a_merge_rewrites_the_members_of_the_later_group():
    known = [("k1", "k1", None, None, None, [P]), ("k2", "k2", None, None, None, [R]), ("k3", "k2", "k2", 2.0, 0.95, [R ^ 3])]
    got = regrouped({"a": [P, R]}, {"a": X, "k1": X, "k2": X, "k3": X}, known)
    assert got == [
        ("a", "k1", "k1", 0.0, pytest.approx(1.0), [P, R]),
        ("k2", "k1", "a", 0.0, pytest.approx(1.0), [R]),
        ("k3", "k1", "a", 2.0, pytest.approx(1.0), [R ^ 3]),
    ]


def test_frames_alone_are_not_enough_and_missing_vectors_are_no_evidence():
    got = regrouped({"a": [P], "b": [P], "c": [P]}, {"a": X, "b": Y})
    assert [r[1] for r in got] == ["a", "b", "c"]


def test_a_video_that_came_again_is_judged_anew_and_a_new_one_joins_what_is_left(day):
    known = [("k1", "k1", None, None, None, [P]), ("k2", "k1", "k1", 0.0, 1.0, [P]), ("k3", "k1", "k1", 0.0, 1.0, [P ^ 1])]
    got = day.build({"a": [P], "k1": [R]}, dict.fromkeys(("a", "k1", "k2", "k3"), X), known)
    # the old group goes on under its next member; no row points to the copy that k1 no longer is
    assert got == [
        ("a", "k2", "k2", 0.0, pytest.approx(1.0), [P]),
        ("k1", "k1", None, None, None, [R]),
        ("k2", "k2", None, None, None, [P]),
        ("k3", "k2", "a", 1.0, pytest.approx(1.0), [P ^ 1]),
    ]


def test_a_group_keeps_its_name_when_its_first_comes_again(day):
    known = [("b1", "b1", None, None, None, [P]), ("b2", "b1", "b1", 0.0, 1.0, [P])]
    vectors = dict.fromkeys(("a", "b1", "b2"), X)
    assert day.build({"b1": [P]}, vectors, known) == [("b1", "b1", None, None, None, [P])]
    # nor does it matter that all of it comes again, together with a new copy
    assert regrouped({"b2": [P], "b1": [P], "a": [P ^ 1]}, vectors, again=("b1", "b2")) == [
        ("a", "b1", "b1", 1.0, pytest.approx(1.0), [P ^ 1]),
        ("b1", "b1", None, None, None, [P]),
        ("b2", "b1", "b1", 0.0, pytest.approx(1.0), [P]),
    ]


def test_the_name_of_a_group_outlives_the_day_on_which_its_first_came_again(spark, tmp_path):
    lake = SmallLake(spark, tmp_path)
    lake.write(tables.COPIES, [{"video_id": v, "copy_group": "a", "frame_hashes": [P]} for v in ("a", "b")], DAY_BEFORE)
    for date, videos in ((DAY_BEFORE, "ab"), (DAY, "a"), (dt.date(2026, 1, 3), "c")):
        lake.write(tables.VIDEOS, [{"video_id": v, "status": "ok", "has_audio": False} for v in videos], date)
        frame = {"frame_index": 0, "timestamp_seconds": 0.0, "jpeg": picture(), "perceptual_hash": P}
        lake.write(tables.FRAMES, [{"video_id": v, **frame} for v in videos], date)
        vector = {"source_sha256": "s", "modality": "visual", "encoder_id": "e", "steps": 1, "dimension": 2, "values": X}
        lake.write(tables.FEATURES, [{"video_id": v, **vector} for v in videos], date)
    lake.do(find_copies, DAY)
    lake.do(find_copies, dt.date(2026, 1, 3))
    assert [(r.video_id, r.copy_group) for r in lake.rows(tables.COPIES, DAY)] == [("a", "a")]
    assert [(r.video_id, r.copy_group, r.matched_video_id) for r in lake.rows(tables.COPIES, dt.date(2026, 1, 3))] == [("c", "a", "a")]


def test_a_match_with_a_video_that_is_gone_or_no_copy_any_more_is_taken_out():
    known = [
        ("k1", "k1", None, None, None, [P]), ("k2", "k1", "k1", 0.0, 1.0, [P]), ("k3", "k1", "k2", 0.0, 1.0, [P]),
        ("k4", "k1", "gone", 0.0, 1.0, [P]),
    ]  # fmt: skip
    assert regrouped({}, {}, known) == [("k4", "k1", None, None, None, [P])]
    vectors = dict.fromkeys(("k1", "k2", "k3", "k4"), X)
    assert regrouped({"k2": [R]}, vectors, [*known[:1], *known[2:3]], again=("k2",)) == [
        ("k2", "k2", None, None, None, [R]),
        ("k3", "k1", None, None, None, [P]),
    ]


def test_a_group_whose_first_was_taken_down_goes_on_under_the_next():
    known = [("k2", "gone", "gone", 0.0, 1.0, [P]), ("k3", "gone", "gone", 0.0, 1.0, [P])]
    got = regrouped({"a": [R]}, {"a": X}, known)
    assert got == [
        ("a", "a", None, None, None, [R]),
        ("k2", "k2", None, None, None, [P]),
        ("k3", "k2", None, None, None, [P]),
    ]


def test_beyond_rows_max_the_oldest_are_not_compared_but_keep_their_rows():
    known = [("k1", "k1", None, None, None, [P]), ("k2", "k2", None, None, None, [R])]
    settings = SETTINGS.model_copy(update={"rows_max": 3})
    got = regrouped({"a": [P], "b": [R]}, dict.fromkeys(("a", "b", "k1", "k2"), X), known, settings=settings)
    assert [(r[0], r[1]) for r in got] == [("a", "a"), ("b", "k2")]


def test_beyond_rows_max_only_what_is_compared_and_the_firsts_of_its_groups_are_collected_and_the_rows_are_the_same(day, monkeypatch):
    known = [
        ("k1", "k1", None, None, None, [P]), ("k2", "k1", "k1", 0.0, 1.0, [P]),  # not concerned
        ("k3", "k3", None, None, None, [R]), ("k9", "k3", "k3", 0.0, 1.0, [R]),  # k9 is compared, so k3 may be renamed with it
        ("k4", "gone", "gone", 0.0, 1.0, [Q]), ("k5", "gone", "k4", 0.0, 1.0, [Q]),
        ("k6", "k6", None, None, None, [1]), ("k7", "k6", "lost", 0.0, 1.0, [1]),
        ("k8", "k8", None, None, None, [Q ^ 1]),
        ("m1", "m0", "m0", 0.0, 1.0, [P ^ 3]), ("m2", "m0", "m0", 0.0, 1.0, [P ^ 3]),
    ]  # fmt: skip
    today, vectors = {"a": [R], "m0": [Q]}, dict.fromkeys([r[0] for r in known] + ["a", "m0"], X)
    again = [("m0", "m0", None, None, None, [P ^ 3])]
    settings = SETTINGS.model_copy(update={"rows_max": 5})
    wanted = regrouped(today, vectors, known, again=("m0",), settings=settings)
    seen, notes = [], []
    order = find_copies.in_order_of_arrival
    monkeypatch.setattr(find_copies, "in_order_of_arrival", lambda *a: seen.append(a[0]) or order(*a))
    got = day.build(today, vectors, [*known, *again], settings=settings, note=notes.append)
    assert got == wanted
    assert sorted(seen[0]["video_id"]) == ["k3", "k9", "m1", "m2"]
    assert [h is None for h in seen[0].sort_values("video_id")["frame_hashes"]] == [True, False, False, False], "k3 is not compared"
    assert notes == ["8 earlier videos were not compared: copies.rows_max is 5"]
    assert [r[:2] for r in got] == [("a", "k3"), ("k4", "k4"), ("k5", "k4"), ("k7", "k6"), ("m0", "m0"), ("m1", "m1"), ("m2", "m1")]


def test_beyond_rows_max_a_merge_renames_the_members_that_are_not_compared(day):
    known = [
        ("k1", "k1", None, None, None, [P]), ("k8", "k1", "k1", 0.0, 1.0, [P]),
        ("k2", "k2", None, None, None, [R]), ("k3", "k2", "k2", 0.0, 1.0, [R]), ("k9", "k2", "k3", 1.0, 0.9, [R]),
        ("k4", "k4", None, None, None, [Q]), ("k5", "k4", "k4", 0.0, 1.0, [Q]),
    ]  # fmt: skip
    today, vectors = {"a": [P, R]}, dict.fromkeys([r[0] for r in known] + ["a"], X)
    settings = SETTINGS.model_copy(update={"rows_max": 3})
    got = day.build(today, vectors, known, settings=settings)
    assert got == regrouped(today, vectors, known, settings=settings)
    assert got == [
        ("a", "k1", "k8", 0.0, pytest.approx(1.0), [P, R]),
        ("k2", "k1", None, None, None, [R]),
        ("k3", "k1", "k2", 0.0, 1.0, [R]),
        ("k9", "k1", "a", 0.0, pytest.approx(1.0), [R]),
    ]


def test_of_a_day_with_more_videos_the_rest_is_alone_and_is_compared_another_day(day):
    notes = []
    settings = SETTINGS.model_copy(update={"rows_max": 2})
    got = day.build({"a": [P], "b": [P], "c": [P], "t": []}, dict.fromkeys("abc", X), settings=settings, note=notes.append)
    # xxhash64 puts them in the order a, b, c
    assert got == [
        ("a", "a", None, None, None, [P]),
        ("b", "a", "a", 0.0, pytest.approx(1.0), [P]),
        ("c", "c", None, None, None, [P]),
        ("t", "t", None, None, None, []),
    ]
    assert notes == ["1 videos of the day were not compared: copies.rows_max is 2"]


def test_a_day_without_videos_writes_nothing():
    assert regrouped({}, {}, [("k1", "k1", None, None, None, [P])]) == []


def test_twice_the_same_gives_the_same_rows_whatever_their_order():
    today = {"a": [P, Q], "b": [P ^ 1, Q], "c": [P ^ 2], "d": [Q]}
    vectors = dict.fromkeys(today, X)
    turned = dict(reversed(today.items()))
    assert regrouped(today, vectors) == regrouped(turned, dict(reversed(vectors.items())))
