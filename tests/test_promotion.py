"""What people decide on models, on a real lake with a real MLflow and Milvus Lite: who is champion, and what readers see, at each step."""

import datetime as dt

import pytest

from jobs import load_vectors, predict, serve
from reelhouse import promotion, tables
from reelhouse.errors import ModelNotFoundError, PromotionError, VectorStoreError
from reelhouse.pipeline import load_jobs
from reelhouse.promotion import newest_day, overview, promote, reject, rollback
from reelhouse.run import Run
from reelhouse.training.champion import champions_of
from reelhouse.vectors import VectorStore
from tests.jobs.small_lake import DAY, NEXT, SmallLake, random_model
from tests.turns import WHOLE_DAYS

TURN = (WHOLE_DAYS, 380)

OLD, NEW, ODD = "aaaa00000000", "bbbb00000000", "cccc00000000"


WRITES = {job.name: job.writes for job in load_jobs()}
TABLES = (tables.PREDICTIONS, tables.EMBEDDINGS, tables.HASHES)


class Decided(SmallLake):
    def run(self, job="a_test", date=DAY):
        return Run(job, date, self.settings, self.lake, self.ledger, self.services, self.said.append, WRITES.get(job, ()))

    def register(self, version, seed):
        registry = self.services.registry
        facts = {"snapshot_id": f"snapshot-{version}", "data_date": str(DAY)}
        registry.register(registry.start(version, {}).run_id, version, random_model(seed), facts)

    def gates(self, version, decision, date):
        facts = {"snapshot_id": f"snapshot-{version}", "decision": decision, "decided_by": "gates", "reason": "all 0.900 against 0.800"}
        at = dt.datetime.combine(date, dt.time())
        self.write(tables.PROMOTIONS, [{"model_version": version, "decided_at": at, **facts}], date, decided_by="gates")

    def whole_day(self, date):
        for job in (predict, load_vectors, serve):
            self.do(job, date)

    def decide(self, action, *words, date=NEXT, by="anna", **options):
        """As the command line does it."""
        run = self.run("models", date)
        try:
            said = action(run, *words, by=by, **options)
            run.finish("succeeded")
        finally:
            run.close()
        return said

    def champions(self, date=NEXT):
        return champions_of(self.run(date=date).upto(tables.PROMOTIONS))

    def served(self):
        rows = self.lake.read(tables.SERVING).orderBy("data_date").collect()
        return [(r.data_date, r.model_version, r.videos) for r in rows]

    def scored(self, version):
        rows = self.lake.current(tables.EMBEDDINGS, "true").where(f"model_version = '{version}'").collect()
        return sorted(r.video_id for r in rows)

    def aliases(self):
        return {m.model_version: m.aliases for m in self.services.registry.models() if m.aliases}


@pytest.fixture(scope="module")
def served(spark, tmp_path_factory):
    """OLD is champion and served since DAY; NEW and ODD are registered, and the gates passed NEW."""
    lake = Decided(spark, tmp_path_factory.mktemp("lake")).plant(8)
    for seed, version in enumerate((OLD, NEW, ODD)):
        lake.register(version, seed)
    lake.gates(OLD, "promoted", DAY)
    lake.whole_day(DAY)
    assert lake.served() == [(DAY, OLD, 8)]
    lake.gates(NEW, "passed", NEXT)
    yield lake
    lake.services.close()


def test_a_day_that_comes_to_another_champion_takes_from_readers_nothing_of_the_one_they_see(spark, tmp_path):
    lake = Decided(spark, tmp_path / "w").plant(8)
    for seed, version in enumerate((OLD, NEW)):
        lake.register(version, seed)
    everything = [f"v{i:03d}" for i in range(8)]

    def rows_of(version):
        return [sorted(r.video_id for r in lake.lake.read(t).where(f"model_version = '{version}'").collect()) for t in TABLES]

    lake.gates(OLD, "promoted", DAY)
    lake.whole_day(DAY)
    lake.gates(NEW, "promoted", DAY)  # the day again, with other labels: OLD was never promoted
    lake.do(predict)
    assert rows_of(OLD) == rows_of(NEW) == [everything] * 3
    lake.do(predict)  # once more, as nothing was served since
    lake.do(load_vectors)
    assert lake.served() == [(DAY, OLD, 8)]
    assert rows_of(OLD) == [everything] * 3
    lake.do(serve)
    assert lake.served() == [(DAY, NEW, 8)]
    assert (rows_of(OLD), rows_of(NEW)) == ([[]] * 3, [everything] * 3)

    # readers see a later day, while the day is run again on which their model was promoted
    lake.plant(2, seed=1, date=NEXT, first=8, labelled=False)
    lake.whole_day(NEXT)
    lake.gates(OLD, "promoted", DAY)
    lake.whole_day(DAY)
    assert lake.served() == [(DAY, OLD, 8), (NEXT, NEW, 10)]
    everything = [f"v{i:03d}" for i in range(10)]
    assert rows_of(NEW) == [everything] * 3
    lake.whole_day(NEXT)
    assert lake.served() == [(DAY, OLD, 8), (NEXT, OLD, 10)]
    assert (rows_of(OLD), rows_of(NEW)) == ([everything] * 3, [[]] * 3)
    lake.services.close()


def test_a_promotion_that_was_cut_off_after_its_commit_is_in_the_ledger_once_asked_for_again(spark, tmp_path, monkeypatch):
    lake = Decided(spark, tmp_path / "w")
    lake.register(OLD, 0)
    lake.gates(OLD, "passed", DAY)
    with monkeypatch.context() as patch:
        patch.setattr(promotion, "mirror", cut_off)
        with pytest.raises(VectorStoreError, match="planted"):
            lake.decide(promote, OLD, reason="", date=DAY)
    assert lake.champions(DAY).champion == OLD
    before = lake.ledger.written("ops.promotions", "upto", DAY)
    assert lake.decide(promote, OLD, reason="", date=DAY) == f"{OLD} is the champion already"
    assert lake.aliases() == {OLD: ("champion",)}
    assert lake.ledger.written("ops.promotions", "upto", DAY) != before  # so that predict runs
    assert [(r.model_version, r.decision, r.decided_by) for r in lake.rows(tables.PROMOTIONS) if r.decided_by == "anna"] == [
        (OLD, "promoted", "anna")
    ]
    lake.services.close()


def cut_off(*given):
    raise VectorStoreError("planted")


def test_a_promotion_a_rollback_and_a_rejection_follow_each_other_and_readers_never_lack_a_video(served, monkeypatch):
    everything = [f"v{i:03d}" for i in range(10)]
    assert newest_day(served.lake) == DAY
    with pytest.raises(PromotionError, match=f"there is no champion before {OLD} to go back to"):
        served.decide(rollback, reason="too early")

    # a promotion: readers keep the old one until the new one has scored every video
    said = served.decide(promote, NEW, reason="asked for by search")
    assert said == (
        f"{NEW} is the champion from {NEXT} on, decided by anna. Readers see {OLD} until `reelhouse daily --date {NEXT}`, or the next "
        "day's run, has scored every video by it"
    )
    assert (served.champions().champion, served.champions().previous) == (NEW, OLD)
    assert served.aliases() == {NEW: ("champion",), OLD: ("previous",)}
    assert served.served()[-1] == (DAY, OLD, 8)
    (event,) = [r for r in served.rows(tables.PROMOTIONS, NEXT) if r.decided_by == "anna"]
    assert (event.decision, event.snapshot_id, event.previous_version) == ("promoted", f"snapshot-{NEW}", OLD)
    assert event.reason == f"asked for by search (gates of {NEXT}: passed, all 0.900 against 0.800)"
    assert abs(event.decided_at - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=10)
    assert served.decide(promote, NEW, reason="again") == f"{NEW} is the champion already"

    # the next day: the new one scores every video, the old one those that came, and both are loaded
    served.plant(2, seed=1, date=NEXT, first=8, labelled=False)
    served.whole_day(NEXT)
    assert served.scored(NEW) == served.scored(OLD) == everything
    served.do(predict, DAY)  # an old date again, when the other was the champion
    assert served.aliases() == {NEW: ("champion",), OLD: ("previous",)}
    assert [served.services.vectors.count(kind, OLD) for kind in ("video_embedding", "video_hash")] == [10, 10]
    assert served.served() == [(DAY, OLD, 8), (NEXT, NEW, 10)]

    # what is decided for an old date would be overruled
    for action, words in ((promote, (OLD,)), (reject, (OLD,)), (rollback, ())):
        with pytest.raises(PromotionError, match=rf"what is decided for {DAY} would be overruled by what was decided or served on {NEXT}"):
            served.decide(action, *words, date=DAY, reason="late")

    # a rollback: one commit, no video lost, and the gates may not bring the bad one back
    served.services.registry.set_alias("candidate", NEW)  # as train leaves it
    commits = served.lake._newest_version(tables.SERVING, -1)
    with monkeypatch.context() as patch:  # one that is cut off can be asked for again
        patch.setattr(VectorStore, "point_alias", cut_off)
        with pytest.raises(VectorStoreError, match="planted"):
            served.decide(rollback, reason="wrong names")
    assert (served.champions().champion, served.champions().previous) == (NEW, OLD)
    said = served.decide(rollback, reason="wrong names")
    assert said == f"readers see {OLD} on 10 videos from now on; {NEW} is rejected by anna"
    assert served.lake._newest_version(tables.SERVING, -1) == commits + 2
    assert served.served()[-1] == (NEXT, OLD, 10)
    assert (served.champions().champion, served.champions().rejected) == (OLD, {NEW})
    assert served.aliases() == {OLD: ("champion",)}
    before = served.served()
    served.do(serve, NEXT)
    assert served.served() == before

    # and a person may
    served.decide(promote, NEW, reason="mended upstream")
    assert served.champions().champion == NEW
    lines = {line[0]: line for line in overview(served.lake, served.services.registry)}
    assert lines[NEW][1:] == (2, str(DAY), "champion", None, None, f"promoted by anna on {NEXT}", "")
    assert lines[OLD][3:] == ("previous", None, None, f"promoted by anna on {NEXT}", f"yes, as of {NEXT}")


def test_what_the_gates_did_not_pass_is_promoted_only_by_force(served):
    with pytest.raises(PromotionError, match=rf"{ODD} was not promoted: the gates never judged it\. To promote it .*, add --force"):
        served.decide(promote, ODD, reason="")
    served.gates(ODD, "refused", NEXT)
    with pytest.raises(PromotionError, match=rf"the gates refused it on {NEXT}: all 0\.900 against 0\.800"):
        served.decide(promote, ODD, reason="")
    served.decide(promote, ODD, by="zoe", reason="I saw it", force=True)
    assert served.champions().champion == ODD
    # it has scored nothing yet: going back to it later would leave readers without videos
    served.decide(promote, OLD, by="zoe", reason="no", force=True)
    with pytest.raises(
        PromotionError,
        match=f"readers stay with {OLD}: {ODD} lacks {len(served.scored(OLD))} videos that {OLD} has, "
        f"10 rows of video_embedding__{ODD}, 10 rows of video_hash__{ODD}",
    ):
        served.decide(rollback, reason="no")
    with pytest.raises(PromotionError, match=r"reconcile for 2026-01-13 again with --set serving\.previous_days=10 \("):
        served.decide(rollback, reason="no", date=NEXT + dt.timedelta(days=10))
    assert served.champions().champion == OLD


def test_what_is_decided_last_counts_though_the_clock_was_set_back(spark, tmp_path):
    lake = Decided(spark, tmp_path / "w")
    for seed, version in enumerate((OLD, NEW)):
        lake.register(version, seed)
    ahead = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(hours=2)
    facts = {"snapshot_id": "s", "decision": "promoted", "decided_by": "zoe", "decided_at": ahead, "reason": "r"}
    lake.write(tables.PROMOTIONS, [{"model_version": NEW, **facts}], NEXT, decided_by="zoe")
    lake.decide(promote, OLD, reason="better", force=True)
    assert (lake.champions().champion, lake.champions().previous) == (OLD, NEW)
    (event,) = [r for r in lake.rows(tables.PROMOTIONS, NEXT) if r.decided_by == "anna"]
    assert event.decided_at == ahead + dt.timedelta(microseconds=1)
    # its file is gone: readers would go back to what can score nothing new
    file = lake.services.registry._indexed(NEW)
    file.rename(file.with_suffix(".away"))
    with pytest.raises(PromotionError, match=f"readers stay with {OLD}: the file of {NEW} is gone"):
        lake.decide(rollback, reason="no")
    lake.services.close()


def test_a_rejection_holds_and_neither_the_champion_nor_an_unknown_model_can_be_rejected(served):
    served.services.registry.set_alias("candidate", ODD)
    assert served.decide(reject, ODD, reason="no") == f"{ODD} is rejected by anna: the gates will not promote it"
    assert ODD in served.champions().rejected
    assert "candidate" not in [alias for found in served.aliases().values() for alias in found]
    served.services.registry.set_alias("candidate", ODD)  # train finds it registered on a later day
    served.do(predict, NEXT)
    assert "candidate" not in [alias for found in served.aliases().values() for alias in found]
    champion = served.champions().champion
    with pytest.raises(PromotionError, match=rf"{champion} is the champion; `reelhouse models rollback` goes back"):
        served.decide(reject, champion, reason="no")
    with pytest.raises(ModelNotFoundError, match=rf"no model dddd is registered; there are: {OLD}, {NEW}, {ODD}"):
        served.decide(reject, "dddd", reason="no")
    for nobody in ("gates", " "):
        with pytest.raises(PromotionError, match="--by wants the name of a person"):
            served.decide(reject, OLD if champion != OLD else NEW, by=nobody, reason="no")
