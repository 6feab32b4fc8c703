"""`reelhouse models ...` and `reelhouse vectors ...`, as typed, on a planted lake with a real MLflow (SQLite) and Milvus Lite."""

import re

import numpy as np
import pytest
import yaml

from jobs import build_training_set
from reelhouse import tables
from reelhouse.judging import compare_models
from reelhouse.show import cell
from tests.jobs.small_lake import DAY, SMALL, TREE
from tests.test_promotion import NEW, ODD, OLD, Decided
from tests.typed import typing_in

VIDEOS = [f"v{i:03d}" for i in range(60)]
COLLECTIONS = (f"video_embedding__{OLD}", f"video_hash__{OLD}")


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """OLD is champion and served; the gates passed NEW and never saw ODD. There is a snapshot to compare them on."""
    lake = Decided(spark, tmp_path_factory.mktemp("planted") / "w").plant(len(VIDEOS))
    for seed, version in enumerate((OLD, NEW, ODD)):
        lake.register(version, seed)
    lake.gates(OLD, "promoted", DAY)
    lake.do(build_training_set)
    lake.whole_day(DAY)
    judged = {r.model_version: r.asDict() for r in lake.rows(tables.PROMOTIONS)}
    lake.write(tables.PROMOTIONS, [judged[OLD], {**judged[OLD], "model_version": NEW, "decision": "passed"}], DAY, decided_by="gates")
    yield lake
    lake.services.close()


@pytest.fixture
def typed(lake, spark, tmp_path, monkeypatch):
    """Type a command; what it prints, a list of cells for each line. The lake is let go of first: Milvus Lite is of one process."""
    monkeypatch.setenv("LOGNAME", "zoe")
    (tmp_path / "tree.yml").write_text(yaml.safe_dump(TREE))
    own = {section: {} for section in ("training", "spark", "taxonomy")}
    for name, value in (SMALL | {"taxonomy.category": str(tmp_path / "tree.yml")}).items():
        section, _, key = name.partition(".")
        own[section][key] = value
    (tmp_path / "own.yml").write_text(yaml.safe_dump(own))
    type_ = typing_in(tmp_path, spark, monkeypatch)

    def printed(*words):
        lake.services.close()
        out = type_(*words, "--conf", "own.yml", "--root", lake.lake.root).stdout
        lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in out.splitlines()]
        return [[part.strip() for part in re.split("[│┃]", line)] for line in lines if line.strip()]

    return printed


def test_the_collections_are_shown_loaded_mended_and_searched(lake, typed):
    head, _, *rows = typed("vectors", "status")
    assert head == ["collection", "model", "rows", "served", "alias", "index"]
    assert [row[:5] for row in rows] == [[name, OLD, "60", "served", ""] for name in COLLECTIONS]
    assert all(row[5] for row in rows)

    for command, job, told in (("load", "load_vectors", "60"), ("reconcile", "reconcile", "1")):
        lake.services.vectors.delete("video_embedding", OLD, ["v007"])
        assert lake.services.vectors.count("video_embedding", OLD) == 59
        (line,) = [line for line in typed("vectors", command, "--date", str(DAY)) if line[:2] == [str(DAY), job]]
        assert line[2] == "succeeded"
        assert lake.services.vectors.count("video_embedding", OLD) == 60
        (run,) = lake.lake.read(tables.RUNS).where(f"job = '{job}'").orderBy("started_at", ascending=False).limit(1).collect()
        metric = {"load_vectors": "loaded_video_embedding", "reconcile": "missing"}[job]
        assert cell(run.metrics[metric]).split(".")[0] == told

    vectors = {r.video_id: np.array(r.vector, np.float64) for r in lake.rows(tables.EMBEDDINGS)}
    unit = {name: vector / np.linalg.norm(vector) for name, vector in vectors.items()}
    near = sorted(((float(unit[name] @ unit["v003"]), name) for name in VIDEOS if name != "v003"), reverse=True)[:3]
    title, _, _, *rows = typed("vectors", "search", "v003", "-k", "3")
    assert title == ["most similar to v003"]
    assert [float(row[1]) for row in rows] == [pytest.approx(score, abs=2e-3) for score, _ in near]
    assert {row[0] for row in rows} <= {name for name in VIDEOS if unit[name] @ unit["v003"] >= near[-1][0] - 1e-3} - {"v003"}
    assert not {line[0] for line in typed("vectors", "search", "v003", "--domain", "no such")} & set(VIDEOS)


def test_models_are_listed_compared_promoted_gone_back_from_and_rejected(lake, typed):
    head, _, *rows = typed("models", "list")
    assert head == ["model_version", "no.", "trained for", "aliases", "accuracy", "of rows", "last decision", "readers see it"]
    assert [[row[0], row[1], row[2], row[6], row[7]] for row in rows] == [
        [ODD, "3", str(DAY), "", ""],
        [NEW, "2", str(DAY), f"passed by gates on {DAY}", ""],
        [OLD, "1", str(DAY), f"promoted by gates on {DAY}", f"yes, as of {DAY}"],
    ]
    assert [row[3] for row in rows] == ["", "", "champion"]

    title, head, _, *rows = typed("models", "compare", NEW, OLD)
    assert title == [f"Accuracy on the evaluation rows of {DAY}"]
    assert head == ["slice", "rows", NEW, OLD, "difference", "90% from", "to", "as a gate"]
    run = lake.run()
    wanted = compare_models(run, NEW, OLD)
    run.close()
    assert wanted
    facts = [(c.slice, c.rows, c.candidate, c.champion, c.difference, c.low, c.high, c.outcome) for c in wanted]
    assert rows == [[cell(value) for value in fact] for fact in facts]

    def events():
        rows = lake.lake.read(tables.PROMOTIONS).where("decided_by != 'gates'").orderBy("decided_at").collect()
        return [(r.data_date, r.model_version, r.decision, r.decided_by, r.previous_version, r.snapshot_id, r.reason) for r in rows]

    ((said,),) = typed("models", "promote", NEW, "--by", "anna", "--reason", "asked for by search")
    assert said.startswith(f"{NEW} is the champion from {DAY} on, decided by anna. Readers see {OLD} until ")
    judged = f"asked for by search (gates of {DAY}: passed, all 0.900 against 0.800)"
    promoted = (DAY, NEW, "promoted", "anna", OLD, f"snapshot-{NEW}", judged)
    assert events() == [promoted]
    assert typed("models", "reject", ODD) == [[f"{ODD} is rejected by zoe: the gates will not promote it"]]
    rejected = (DAY, ODD, "rejected", "zoe", NEW, f"snapshot-{ODD}", "no reason given")
    assert events() == [promoted, rejected]
    said = typed("models", "rollback", "--by", "anna", "--reason", "wrong names")
    assert said == [[f"readers see {OLD} on 60 videos from now on; {NEW} is rejected by anna"]]
    assert events() == [
        promoted,
        rejected,
        (DAY, NEW, "rejected", "anna", NEW, f"snapshot-{NEW}", "rolled back: wrong names"),
        (DAY, OLD, "promoted", "anna", NEW, f"snapshot-{OLD}", f"rolled back from {NEW}: wrong names"),
    ]
    (row,) = lake.rows(tables.SERVING)
    assert (row.model_version, row.videos) == (OLD, 60)
    assert {row[0]: row[3] for row in typed("models", "list")[2:]} == {OLD: "champion", NEW: "", ODD: ""}
