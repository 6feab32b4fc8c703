"""What annotators together say of a video: from single answers to one answer a label, with agreement.

A tree is exclusive: a video has one label of it, given at any level. So an annotator's yes to a label is a yes to its ancestors,
says nothing of its descendants, and is a no to every other label. Answers keep the label id that they were given by; what became of it
(reelhouse.labels.migrations) is followed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reelhouse.labels.reliability import Reliability, Stance, posterior
from reelhouse.labels.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

MANIFEST = "manifest"  # annotator_id of labels that came with the video
MIGRATION = "migration"  # source of the row that ends a label which was renamed, merged or retired
_FOLDED = (
    "video_id string, task string, label_id string, answer int, agreement double, confidence double, annotators int, source string, "
    "taxonomy_version string"
)
Answer = tuple[str, str, int]  # label_id, annotator_id, 1 yes / 0 no / -1 cannot say


@dataclass(frozen=True)
class Crowd:
    """How reliable people are, and how likely an answer must be to count where several people vote on it (above 0.5)."""

    reliabilities: Mapping[str, Reliability]
    confidence_min: float


@dataclass
class Position:
    """Where one annotator stands after all of his or her answers about one video: the newest answer counts."""

    choice: str | None = None
    given: str | None = None  # the id by which it was chosen; the choice is what that stands for now
    noes: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)  # could not say

    def take(self, given: str, answer: int, tree: Taxonomy) -> None:
        """given: an id that the tree knows. A no to what is now a part of a wider label says nothing of that."""
        label = tree.follow(given)
        if label is None:
            return
        if answer == 1:
            self.choice, self.given = label, given
            self.noes -= {label, *tree.ancestors(label)}
            self.passed.discard(label)
            return
        if tree.is_part(given):
            self.choice = None if given == self.given else self.choice
            self.passed.add(label)
            return
        withdrawn = self.choice is not None and (label == self.choice or (answer == 0 and label in tree.ancestors(self.choice)))
        self.choice = None if withdrawn else self.choice
        gains, loses = (self.noes, self.passed) if answer == 0 else (self.passed, self.noes)
        gains.add(label)
        loses.discard(label)

    def says(self, label: str, tree: Taxonomy) -> int | None:
        """1 yes, 0 no, -1 cannot say, None where nothing follows for this label."""
        above = tree.ancestors(label)
        if self.choice is not None and (label == self.choice or label in tree.ancestors(self.choice)):
            return 1
        if self.objects(label, tree):
            return 0
        if self.choice is not None and self.choice not in above:
            return 0
        return -1 if label in self.passed else None

    def objects(self, label: str, tree: Taxonomy) -> bool:
        """Whether the label, or one above it, was answered with no."""
        return label in self.noes or not self.noes.isdisjoint(tree.ancestors(label))


def positions_of(answers: Iterable[Answer], tree: Taxonomy) -> tuple[dict[str, Position], dict[str, set[str]]]:
    """(annotator -> where he or she stands, label -> annotators who answered just it), from answers about one video, oldest first.

    Labels are those that the tree holds; answers to what it never held, or to what was retired, are left out.
    """
    positions: dict[str, Position] = {}
    touched: dict[str, set[str]] = {}
    for given, annotator, answer in answers:
        label = tree.follow(given)
        if label is not None:
            positions.setdefault(annotator, Position()).take(given, answer, tree)
            touched.setdefault(label, set()).add(annotator)
    return positions, touched


def stances_of(positions: Mapping[str, Position]) -> list[Stance]:
    """What each person says who says yes or no to anything, sorted by annotator; not what came with the video."""
    people = sorted(positions.keys() - {MANIFEST})
    stances = [Stance(name, positions[name].choice, tuple(sorted(positions[name].noes))) for name in people]
    return [stance for stance in stances if stance.choice or stance.noes]


@dataclass(frozen=True)
class FoldedLabel:
    """One row of silver.labels for a known video and task."""

    label_id: str
    answer: int
    agreement: float | None
    annotators: int
    source: str
    confidence: float | None = None


def fold_answers(answers: Iterable[Answer], tree: Taxonomy, agreement_min: float, crowd: Crowd | None = None) -> list[FoldedLabel]:
    """What all answers about one video say, one row a label that anybody answered, sorted by label.

    answers: oldest first; what label ids became is followed, and what the tree never held is left out.

    A label's votes are people's yes and no (see the module's text); the manifest votes only where no person does. Without a crowd,
    and where one votes alone:
    - 1: more yes than no, and their share is at least agreement_min. At most one chain of labels can reach that.
    - 0: more no than yes, their share is at least agreement_min, and it is settled: nobody says yes, or those who answered
      just this label with no outnumber the yes, or another label that excludes it has answer 1.
    - -1 otherwise: a tie, too little agreement, an undecided contest between labels, or nobody could say. Back to the queue.
    With a crowd, where several people vote: 1 if somebody says yes and it is at least confidence_min likely (reliability.posterior); 0 if
    somebody says no, its opposite is so likely, and it is settled: nobody says yes, or one thing that excludes it is so likely; else -1.
    agreement: share of the votes that the answer has (of the larger side for -1); None without votes. confidence: how likely the
    answer is (the likelier side for -1), None where votes were counted. annotators: people whose answers bear on the label.
    """
    positions, touched = positions_of(answers, tree)
    tallies = {label: _Tally.of(label, positions, touched[label], tree) for label in sorted(touched)}
    truth: dict[str | None, float] = {}
    if crowd and any(tally.yes + tally.no > 1 for tally in tallies.values()):
        truth = posterior(stances_of(positions), crowd.reliabilities, tree)
    believed = {label: _likely(label, truth, tree) for label, tally in tallies.items() if truth and tally.yes + tally.no > 1}
    confidence_min = crowd.confidence_min if crowd else 1.0

    def wins(label: str, tally: _Tally) -> bool:
        if label in believed:
            return tally.yes > 0 and believed[label] >= confidence_min
        return tally.yes > tally.no and tally.share >= agreement_min

    winners = [label for label, tally in tallies.items() if wins(label, tally)]
    rows = []
    for label, tally in tallies.items():
        answer = -1
        excluded = any(not _related(label, winner, tree) for winner in winners)
        if label in winners:
            answer = 1
        elif label in believed:
            rival = max((p for t, p in truth.items() if t is None or label not in (t, *tree.ancestors(t))), default=0.0)
            settled = tally.yes == 0 or excluded or rival >= confidence_min
            answer = 0 if tally.no > 0 and 1 - believed[label] >= confidence_min and settled else -1
        elif tally.no > tally.yes and tally.share >= agreement_min:
            answer = 0 if tally.yes == 0 or tally.objections > tally.yes or excluded else -1
        confidence = None
        if label in believed:
            confidence = {1: believed[label], 0: 1 - believed[label]}.get(answer, max(believed[label], 1 - believed[label]))
        rows.append(FoldedLabel(label, answer, tally.share_of(answer), tally.people, tally.source, confidence))
    return rows


def _likely(label: str, truth: Mapping[str | None, float], tree: Taxonomy) -> float:
    return min(1.0, sum(p for t, p in truth.items() if t is not None and label in (t, *tree.ancestors(t))))


@dataclass(frozen=True)
class _Tally:
    yes: int
    no: int
    objections: int
    people: int
    source: str

    @property
    def share(self) -> float:
        return max(self.yes, self.no) / (self.yes + self.no) if self.yes + self.no else 0.0

    def share_of(self, answer: int) -> float | None:
        """Share of the votes that an answer has."""
        if not self.yes + self.no:
            return None
        return {1: self.yes, 0: self.no}.get(answer, max(self.yes, self.no)) / (self.yes + self.no)

    @classmethod
    def of(cls, label: str, positions: Mapping[str, Position], touched: set[str], tree: Taxonomy) -> _Tally:
        said = {annotator: position.says(label, tree) for annotator, position in positions.items()}
        bearing = {annotator for annotator, answer in said.items() if answer is not None} | touched
        people = bearing - {MANIFEST}
        voting = {annotator for annotator in people if said[annotator] in (0, 1)} or (bearing & {MANIFEST})
        votes = [said[annotator] for annotator in voting]
        objections = sum(said[a] == 0 and positions[a].objects(label, tree) for a in voting)
        source = "both" if people and MANIFEST in bearing else "people" if people else MANIFEST
        return cls(votes.count(1), votes.count(0), objections, len(people), source)


def _related(one: str, other: str, tree: Taxonomy) -> bool:
    return one == other or one in tree.ancestors(other) or other in tree.ancestors(one)


def fold_labels(
    events: DataFrame, touched: DataFrame, trees: Mapping[str, Taxonomy], agreement_min: float, crowds: Mapping[str, Crowd] | None = None
) -> DataFrame:
    """Rows of silver.labels (without data_date) for every label of each (video, task) of `touched`.

    events: bronze.label_events up to the day. touched: frame with video_id and task; rows without either are left out.
    crowds: by task; without one votes are counted. Tasks without a tree are left out. An answer without a time counts from its
    day of delivery.
    """
    from pyspark.sql import functions as F

    keys = touched.select("video_id", "task").where("video_id IS NOT NULL").where(F.col("task").isin(list(trees))).distinct()

    def fold(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _folded_batch(batch.to_pylist(), trees, agreement_min, crowds or {})

    return answers_by_video(events.join(keys, on=["video_id", "task"], how="left_semi")).mapInArrow(fold, _FOLDED)


def answers_by_video(events: DataFrame) -> DataFrame:
    """video_id, task, answers: array of label_id, annotator_id, answer, oldest first; people: how many annotators, the manifest apart."""
    from pyspark.sql import functions as F

    at = F.coalesce("answered_at", F.col("data_date").cast("timestamp"))
    one = F.struct(at.alias("at"), "data_date", "batch", "source_row", "event_id", "label_id", "annotator_id", "answer")
    return (
        events.groupBy("video_id", "task")
        .agg(
            F.sort_array(F.collect_list(one)).alias("all"),
            F.countDistinct(F.when(F.col("annotator_id") != MANIFEST, F.col("annotator_id"))).alias("people"),
        )
        .select("video_id", "task", "people", F.transform("all", _answer).alias("answers"))
    )


def _answer(one: Column) -> Column:
    from pyspark.sql import functions as F

    return F.struct(one["label_id"].alias("label_id"), one["annotator_id"].alias("annotator_id"), one["answer"].alias("answer"))


def answers_of(video: Mapping[str, Any]) -> list[Answer]:
    """The answers of a row of `answers_by_video`."""
    return [(one["label_id"], one["annotator_id"], one["answer"]) for one in video["answers"]]


def standing_moved(standing: DataFrame, trees: Mapping[str, Taxonomy]) -> DataFrame | None:
    """video_id, task, label_id of the rows of silver.labels that hold a label which is one no longer and that no row has ended yet: their
    videos are to be folded again. standing: the newest rows before the day. None where no label was ever moved."""
    from pyspark.sql import functions as F

    moved = [(F.col("task") == task) & F.col("label_id").isin(sorted(tree.moves)) for task, tree in trees.items() if tree.moves]
    if not moved:
        return None
    concerned = moved[0]
    for one in moved[1:]:
        concerned = concerned | one
    return standing.where(concerned & (F.col("source") != MIGRATION)).select("video_id", "task", "label_id")


def ended(moved: DataFrame, trees: Mapping[str, Taxonomy]) -> DataFrame:
    """Rows of silver.labels (without data_date) that end labels which are labels no longer: no answer. moved: as of `standing_moved`."""
    from pyspark.sql import functions as F

    version = F.create_map(*[F.lit(part) for task, tree in trees.items() for part in (task, tree.version)])
    nothing = [F.lit(None).cast("double").alias(name) for name in ("agreement", "confidence")]
    return moved.select(
        "video_id", "task", "label_id", F.lit(-1).alias("answer"), *nothing, F.lit(0).alias("annotators"),
        F.lit(MIGRATION).alias("source"), version[F.col("task")].alias("taxonomy_version"),
    )  # fmt: skip


def _folded_batch(
    videos: Sequence[Mapping[str, Any]], trees: Mapping[str, Taxonomy], agreement_min: float, crowds: Mapping[str, Crowd]
) -> pa.RecordBatch:
    import pyarrow as pa

    types = {"string": pa.string(), "int": pa.int32(), "double": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in (part.split() for part in _FOLDED.split(", "))])
    rows = []
    for video in videos:
        tree = trees[video["task"]]
        for row in fold_answers(answers_of(video), tree, agreement_min, crowds.get(video["task"])):
            rows.append({"video_id": video["video_id"], "task": video["task"], **vars(row), "taxonomy_version": tree.version})
    return pa.RecordBatch.from_pylist(rows, schema=schema)
