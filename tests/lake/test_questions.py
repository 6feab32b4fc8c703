"""The views for people's questions, on a small planted lake whose answers are worked out by hand."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.labels.taxonomy import Move
from reelhouse.lake import Ledger, RunRecord, catalog
from reelhouse.tables import questions
from tests.jobs.small_lake import DAY, TREE, SmallLake

BEFORE, NEXT = DAY - dt.timedelta(days=1), DAY + dt.timedelta(days=1)
FAR = DAY + dt.timedelta(days=6)  # DAY is in its week, BEFORE in the week before
NAMED = ("video_id", "label_id", "answer", "agreement", "annotators")
SPLITS = {"train_rows": 2, "calibration_rows": 1, "evaluation_rows": 1}


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    """Five videos over three days; v5 is taken down. m2 is served; m1 was the champion before."""
    made = SmallLake(spark, tmp_path_factory.mktemp("questions"))
    for day, ids in ((BEFORE, ["v1", "v2", "v5"]), (DAY, ["v3"]), (FAR, ["v4"])):
        made.write(tables.VIDEO_ARRIVALS, [{"video_id": v, "title": f"title of {v}"} for v in ids], day, batch="b")
        made.write(tables.VIDEOS, [{"video_id": v, "status": "ok", "has_audio": True} for v in ids], day)
        made.arrive(ids, day)
    made.write(tables.DELETIONS, [{"video_id": "v5"}], FAR)
    tree = Taxonomy.from_dict(TREE)
    tree = Taxonomy("category", tree.definitions, {"cake": Move("food.baking", False, DAY, ("蛋糕",))})  # models know it by its old id
    rows = [dict(zip(tables.TAXONOMY.undated, row, strict=True)) for row in tree.rows()]
    made.write(tables.TAXONOMY, rows, DAY)
    plant_labels(made)
    plant_model(made)
    plant_tags(made)
    plant_clusters(made)
    plant_runs(made)
    return made


def plant_labels(made):
    people = [
        ("e1", "v1", "food.baking", "ann", 1), ("e2", "v1", "food.baking", "bob", 1), ("e3", "v1", "pets", "cy", 1),
        ("e4", "v2", "pets", "ann", 1), ("e5", "v2", "pets", "bob", -1), ("e6", "v3", "food", "cy", 0),
        ("e7", "v5", "pets", "ann", 1),
    ]  # fmt: skip
    first = [answered(*one) for one in people]
    again = answered("e8", "v3", "food", "cy", 1, hour=9)  # thought better of it
    instead = answered("e9", "v1", "food.noodles", "ann", 1, hour=7)  # then she saw that it is baking
    made.write(tables.LABEL_EVENTS, [*first, again, instead], DAY, batch="b")
    folded = [
        ("v1", "food.baking", 1, 2 / 3, 3),
        ("v1", "food.noodles", 0, 1.0, 3),
        ("v1", "pets", 0, 2 / 3, 3),
        ("v2", "pets", 1, 1.0, 2),
        ("v3", "food", 1, 1.0, 1),
    ]
    facts = {"task": "category", "source": "people", "taxonomy_version": "t"}
    made.write(tables.LABELS, [dict(zip(NAMED, row, strict=True)) | facts for row in folded], DAY)
    verdicts = [("v1", "food.baking", "clean", None), ("v2", "pets", "wrong", "sport")]
    made.write(
        tables.LABEL_NOISE,
        [{"video_id": v, "task": "category", "label_id": one, "verdict": w, "suggested_label_id": s} for v, one, w, s in verdicts],
        DAY,
    )


def answered(event, video, label, who, answer, hour=8):
    what = {"event_id": event, "video_id": video, "task": "category", "label_id": label, "annotator_id": who, "answer": answer}
    return what | {"answered_at": dt.datetime(2026, 1, 2, hour), "taxonomy_version": "t"}


def plant_model(made):
    layout = [{"modality": "visual", "encoder_id": "e1"}, {"modality": "text", "encoder_id": "t1"}]
    made.write(tables.SNAPSHOTS, [{"snapshot_id": "s2", "task": "category", "layout": json.dumps(layout), **SPLITS}], DAY)
    decided = {"decided_at": dt.datetime(2026, 1, 1), "previous_version": None, "reason": "r"}
    made.write(tables.PROMOTIONS, [promoted("m1", "s1") | decided], BEFORE, decided_by="gates")
    made.write(tables.PROMOTIONS, [promoted("m2", "s2") | decided], DAY, decided_by="gates")
    # a person promotes another and goes back to it within the day
    said = [promoted(model, "s2") | decided | {"decided_at": dt.datetime(2026, 1, 2, hour)} for hour, model in ((9, "m0"), (10, "m2"))]
    made.write(tables.PROMOTIONS, said, DAY, decided_by="ann")
    serving = {"model_version": "m2", "embedding_collection": "e", "hash_collection": "h", "videos": 4}
    made.write(tables.SERVING, [serving], DAY)
    steps = {"source_sha256": "0" * 64, "steps": 1, "dimension": 1, "values": [1.0]}
    seen = [("v1", "visual", "e1"), ("v1", "audio", "not of the model"), ("v2", "visual", "an older one")]
    for day, videos in ((BEFORE, ("v1", "v2")), (DAY, ("v3",))):
        rows = [{"video_id": v, "modality": m, "encoder_id": e, **steps} for v, m, e in seen if v in videos]
        made.write(tables.FEATURES, rows, day) if rows else None
        texts = [{"video_id": v, "modality": "text", "encoder_id": "t1", **steps} for v in videos if v != "v2"]
        made.write(tables.TEXT_FEATURES, texts, day)
    tops = {"v1": ("cake", "food"), "v2": ("sport", "pets"), "v3": ("food", "food.baking"), "v4": ("food.noodles", "food")}
    paths = {row[1]: row[4] for row in Taxonomy.from_dict(TREE).rows()}
    paths["cake"] = paths["food.baking"]
    said = [
        {"video_id": v, "task": "category", "entropy": 0.5, "top": [(a, paths[a], 0.75), (b, paths[b], 0.25)]} for v, (a, b) in tops.items()
    ]
    made.write(tables.PREDICTIONS, said, FAR, model_version="m2")
    made.write(tables.PREDICTIONS, [{"video_id": "v1", "task": "category", "top": []}], FAR, model_version="m1")
    vectors = {"v1": [1.0, 0.0], "v2": [0.0, 1.0], "v3": [0.6, 0.8], "v4": [0.8, 0.6]}
    made.write(tables.EMBEDDINGS, [{"video_id": v, "vector": x} for v, x in vectors.items()], FAR, model_version="m2")
    made.write(tables.EMBEDDINGS, [{"video_id": "v4", "vector": [0.0, 1.0]}], FAR, model_version="m1")
    made.write(tables.EVALUATIONS, [measured("m1", "accuracy", 0.5), measured("m1", "log_loss", 2.0)], BEFORE)
    both = [measured("m1", "accuracy", 0.5), measured("m2", "accuracy", 0.75), measured("m2", "log_loss", 1.5)]
    made.write(tables.EVALUATIONS, [*both, measured("m1", "log_loss", 2.0)], DAY)
    made.write(tables.EVALUATIONS, [measured("m3", "accuracy", 0.25)], NEXT)


def promoted(model, snapshot):
    return {"model_version": model, "snapshot_id": snapshot, "decision": "promoted"}


def measured(model, metric, value):
    return {"model_version": model, "slice": "all", "metric": metric, "value": value, "rows": 4}


def plant_tags(made):
    state = {"state": "active", "source": "hashtag", "first_seen": BEFORE, "changed": BEFORE}
    library = [{"tag_id": t, "tag": f"#{t}", **state} for t in "ab"] + [{"tag_id": "c", "tag": "#c", **state, "state": "blocked"}]
    made.write(tables.TAG_LIBRARY, library)
    for day, tagged in ((BEFORE, ("v1a", "v2a", "v2c", "v5a")), (DAY, ("v3a", "v3b")), (FAR, ("v4b",))):
        rows = [{"video_id": one[:2], "tag_id": one[2], "tag": f"#{one[2]}", "position": 0, "matches": 1} for one in tagged]
        made.write(tables.VIDEO_TAGS, rows, day)


def plant_clusters(made):
    """On the newest day v1, v2, v4 and v5 are one cluster and v3 is like few; the day before there was another."""
    gone = {"cluster_id": "20260101-0002", "name": "old", "size": 2, "previous_size": 0, "change": "born", "first_seen": BEFORE}
    cats = {"cluster_id": "20260101-0001", "name": "cat, milk", "words": ["cat", "milk"], "size": 3, "previous_size": 0, "change": "born"}
    cats |= {"exemplar_video_id": "v1", "density": 0.9, "first_seen": BEFORE}
    made.write(tables.CLUSTER_DAYS, [cats, gone], DAY)
    now = {"size": 4, "previous_size": 3, "change": "merged", "came_from": ["20260101-0002"], "exemplar_video_id": "v2"}
    made.write(tables.CLUSTER_DAYS, [cats | now, gone | {"size": 0, "previous_size": 2, "change": "dying"}], FAR)
    for day in (DAY, FAR):
        rows = [{"video_id": v, "cluster_id": cats["cluster_id"], "is_noise": False, "density": 0.5} for v in ("v1", "v2", "v4", "v5")]
        lonely = {"video_id": "v3", "is_noise": True, "density": 0.1}
        made.write(tables.CLUSTERS, [row | {"placed_on": DAY} for row in (*rows, lonely)], day)


def plant_runs(made):
    ledger = Ledger(made.lake)
    for number, (job, status, seconds, read, wrote) in enumerate(
        [("ingest", "failed", 1.0, 0, 0), ("ingest", "succeeded", 2.0, 10, 8), ("extract", "succeeded", 6.0, 8, 24)]
    ):
        record = RunRecord(f"r{number}", job, DAY, dt.datetime(2026, 1, 3, 2, number), status=status, seconds=seconds)
        record.rows_in, record.rows_out, record.quarantined = read, wrote, 2 * (job == "ingest")
        ledger.append(record, ledger.row(record))


def asked(small, question):
    catalog.register(small.lake, question)
    return [tuple(row) for row in small.lake.spark.sql(question).collect()]


def test_why_predicted_tells_what_the_served_model_said_and_had(small):
    rows = asked(
        small,
        "select video_id, title, path, probability, runner_up, margin, entropy, modalities, tags, snapshot_id from gold.why_predicted "
        "order by video_id",
    )
    sure = (0.5, 0.5)
    assert rows == [
        ("v1", "title of v1", "美食/烘焙", 0.75, "美食", *sure, ["text", "visual"], ["#a"], "s2"),
        ("v2", "title of v2", "运动", 0.75, "宠物", *sure, [], ["#a"], None),  # its only vector is of an encoder that the model has not
        ("v3", "title of v3", "美食", 0.75, "美食/烘焙", *sure, ["text"], ["#a", "#b"], "s2"),
        ("v4", "title of v4", "美食/面条", 0.75, "美食", *sure, [], ["#b"], None),
    ]
    labels = asked(small, "select labels from gold.why_predicted where video_id in ('v1', 'v2', 'v4') order by video_id")
    assert [[tuple(one) for one in row[0]] for row in labels] == [
        [
            ("food.baking", 1, pytest.approx(2 / 3), "clean", None),
            ("food.noodles", 0, 1.0, None, None),
            ("pets", 0, pytest.approx(2 / 3), None, None),
        ],
        [("pets", 1, 1.0, "wrong", "sport")],
        [],
    ]


def test_nearest_labelled_is_the_nearest_other_video_with_a_label(small):
    rows = asked(small, "select video_id, nearest_video_id, label_id, similarity from gold.nearest_labelled order by video_id")
    assert rows == [
        ("v1", "v3", "food", pytest.approx(0.6)),
        ("v2", "v3", "food", pytest.approx(0.8)),
        ("v3", "v2", "pets", pytest.approx(0.8)),
        ("v4", "v3", "food", pytest.approx(0.96)),
    ]


def test_a_video_is_shown_with_the_name_and_the_exemplar_of_its_cluster(small):
    columns = "video_id, name, size, exemplar_video_id, words, change, previous_size, came_from, first_seen, placed_on, data_date"
    rows = asked(small, f"select {columns} from gold.clusters_named order by video_id")
    cats = ("cat, milk", 4, "v2", ["cat", "milk"], "merged", 3, ["20260101-0002"], BEFORE, DAY, FAR)
    assert rows == [("v1", *cats), ("v2", *cats), ("v3", *[None] * 8, DAY, FAR), ("v4", *cats)]
    shown = asked(small, "select name, change, size from gold.cluster_days_current order by size desc")
    assert shown == [("cat, milk", "merged", 4), ("old", "dying", 0)]


def test_coverage_counts_a_video_at_its_label_and_at_every_label_above(small):
    rows = asked(
        small,
        "select label_id, videos, labelled_videos, predicted_videos, suspect_videos, labelled_share, rarity "
        "from gold.coverage_by_category order by label_id",
    )
    assert rows == [
        ("food", 3, 2, 3, 0, pytest.approx(2 / 3), None),
        ("food.baking", 1, 1, 1, 0, 1.0, 3),
        ("food.noodles", 1, 0, 1, 0, 0.0, 1),
        ("pets", 1, 1, 0, 1, 1.0, 3),
        ("sport", 1, 0, 1, 0, 0.0, 1),
    ]
    assert asked(small, "select path, depth, is_leaf from gold.coverage_by_category where label_id like 'food%' order by path") == [
        ("美食", 0, False),
        ("美食/烘焙", 1, True),
        ("美食/面条", 1, True),
    ]


def test_annotator_quality_counts_newest_answers_shared_ones_and_suspects(small):
    rows = asked(
        small,
        "select annotator_id, answers, videos, cannot_say, shared_answers, agreed_answers, agreement, judged, suspects, suspect_share "
        "from gold.annotator_quality order by 1",
    )
    assert rows == [
        ("ann", 2, 2, 0, 2, 2, 1.0, 2, 1, 0.5),  # her answer about v5 went with it
        ("bob", 2, 2, 1, 1, 1, 1.0, 1, 0, 0.0),
        ("cy", 2, 2, 0, 1, 0, 0.0, 0, 0, None),  # he alone answered about v3: the newer answer counts, shared with nobody
    ]


def test_tag_trend_sums_weeks_and_tells_of_days_without_videos(small):
    rows = asked(small, "select tag, day, videos, week, week_before, change, is_newest from gold.tag_trend order by tag, day")
    assert rows == [
        ("#a", BEFORE, 2, 2, 0, 2, False),
        ("#a", DAY, 1, 3, 0, 3, False),
        ("#a", FAR, 0, 1, 2, -1, True),
        ("#b", DAY, 1, 1, 0, 1, False),
        ("#b", FAR, 1, 2, 0, 2, True),
    ]


def test_a_model_is_compared_with_the_champion_before_its_day(small):
    rows = asked(
        small,
        "select data_date, model_version, metric, champion_version, champion_value, improvement, is_champion from gold.model_comparison "
        "order by 1, 2, 3",
    )
    assert rows == [
        (BEFORE, "m1", "accuracy", None, None, None, False),
        (BEFORE, "m1", "log_loss", None, None, None, False),
        (DAY, "m1", "accuracy", "m1", 0.5, 0.0, True),
        (DAY, "m1", "log_loss", "m1", 2.0, 0.0, True),
        (DAY, "m2", "accuracy", "m1", 0.5, 0.25, False),
        (DAY, "m2", "log_loss", "m1", 2.0, 0.5, False),
        (NEXT, "m3", "accuracy", "m2", None, None, False),
    ]


def test_cost_per_step_sums_runs_and_rates_the_last(small):
    rows = asked(
        small,
        "select job, runs, failed_runs, seconds, share_of_day, last_status, last_seconds, rows_in, quarantined, rows_in_per_second, "
        "rows_out_per_second from ops.cost_per_step order by job",
    )
    assert rows == [
        ("extract", 1, 0, 6.0, pytest.approx(2 / 3), "succeeded", 6.0, 8, 0, pytest.approx(8 / 6), 4.0),
        ("ingest", 2, 1, 3.0, pytest.approx(1 / 3), "succeeded", 2.0, 10, 2, 5.0, 4.0),
    ]


def test_items_are_judged_by_what_people_said_of_the_videos_queued_for_them(spark, tmp_path):
    made = SmallLake(spark, tmp_path)
    rows = [dict(zip(tables.TAXONOMY.undated, row, strict=True)) for row in Taxonomy.from_dict(TREE).rows()]
    made.write(tables.TAXONOMY, rows)
    mapped = {"task": "category", "videos": 2, "labelled_videos": 2, "precision": 1.0, "precision_low": 0.425, "label_videos": 2}
    made.write(tables.ITEM_LABEL_MAP, [mapped | {"item_category": c, "label_id": "food.baking", "is_rare": True} for c in ("cups", "mugs")])
    queued = {"task": "category", "rank": 1, "reason": "r", "is_random": False}
    because = {"item_category": "cups", "expected_label_id": "food.baking"}
    answers = {
        "right": [("food", 1), ("food.baking", 1)], "other leaf": [("food.noodles", 1)], "other branch": [("pets", 1)],
        "no": [("food.baking", 0)], "no food": [("food", 0)], "food at least": [("food", 1)], "cannot say": [("food.baking", -1)],
        "of another": [("pets", 0)], "nothing yet": [],
    }  # fmt: skip
    made.write(tables.ACTIVE_BATCH, [{"video_id": v, **queued, **because} for v in answers] + [{"video_id": "unsure", **queued}])
    forgotten = because | {"item_category": "pots"}
    made.write(tables.ACTIVE_BATCH, [{"video_id": "old", **queued, **forgotten}], BEFORE)
    given = [(v, label, answer, 1.0, 1) for v, said in answers.items() for label, answer in said]
    facts = {"task": "category", "source": "people", "taxonomy_version": "t"}
    made.write(tables.LABELS, [dict(zip(NAMED, row, strict=True)) | facts for row in given], NEXT)
    found = asked(
        made,
        "select item_category, videos, precision_low, is_rare, queued_videos, answered_videos, right_videos, queued_precision "
        "from gold.item_label_precision order by 1",
    )
    assert found == [
        ("cups", 2, 0.425, True, 9, 5, 1, 0.2),
        ("mugs", 2, 0.425, True, 0, 0, 0, None),
        ("pots", None, None, False, 1, 0, 0, None),
    ]


@pytest.mark.parametrize("view", questions.VIEWS, ids=lambda view: view.name)
def test_a_view_gives_the_columns_that_it_states_each_with_a_comment(small, view):
    catalog.register(small.lake, f"select * from {view.name}")
    told = [(f.name, f.metadata.get("comment")) for f in small.lake.spark.table(view.name).schema.fields]
    assert told == list(view.columns.items())
    inner = small.lake.spark.sql(view.sql).columns  # names that the view renames would hide two columns that changed places
    assert inner == list(view.columns)


def test_an_empty_lake_answers_each_question_with_no_rows(spark, tmp_path):
    empty = SmallLake(spark, tmp_path / "w")
    for view in questions.VIEWS:
        assert asked(empty, f"select * from {view.name}") == [], view.name
