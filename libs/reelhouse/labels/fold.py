"""What annotators together say of a video: from single answers to one answer a label, with agreement.

A tree is exclusive: a video has one label of it, given at any level. So an annotator's yes to a label is a yes to its ancestors,
says nothing of its descendants, and is a no to every other label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reelhouse.labels.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

MANIFEST = "manifest"  # annotator_id of labels that came with the video
_FOLDED = (
    "video_id string, task string, label_id string, answer int, agreement double, annotators int, source string, taxonomy_version string"
)


@dataclass
class Position:
    """Where one annotator stands after all of his or her answers about one video: the newest answer counts."""

    choice: str | None = None
    noes: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)  # could not say

    def take(self, label: str, answer: int, tree: Taxonomy) -> None:
        if answer == 1:
            self.choice = label
            self.noes -= {label, *tree.ancestors(label)}
            self.passed.discard(label)
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


@dataclass(frozen=True)
class FoldedLabel:
    """One row of silver.labels for a known video and task."""

    label_id: str
    answer: int
    agreement: float | None
    annotators: int
    source: str


def fold_answers(answers: Iterable[tuple[str, str, int]], tree: Taxonomy, agreement_min: float) -> list[FoldedLabel]:
    """What all answers about one video say, one row a label that anybody answered, sorted by label.

    answers: (label_id, annotator_id, answer 1/0/-1), oldest first. Labels that the tree does not hold (any more) are left out.

    A label's votes are people's yes and no (see the module's text); the manifest votes only where no person does.
    - 1: more yes than no, and their share is at least agreement_min. At most one chain of labels can reach that.
    - 0: more no than yes, their share is at least agreement_min, and it is settled: nobody says yes, or those who answered
      just this label with no outnumber the yes, or another label that excludes it has answer 1.
    - -1 otherwise: a tie, too little agreement, an undecided contest between labels, or nobody could say. Back to the queue.
    agreement: share of the votes that the answer has (of the larger side for -1); None without votes. annotators: people whose
    answers bear on the label.
    """
    positions: dict[str, Position] = {}
    touched: dict[str, set[str]] = {}
    for label, annotator, answer in answers:
        if label in tree:
            positions.setdefault(annotator, Position()).take(label, answer, tree)
            touched.setdefault(label, set()).add(annotator)
    tallies = {label: _Tally.of(label, positions, touched[label], tree) for label in sorted(touched)}
    winners = [label for label, tally in tallies.items() if tally.yes > tally.no and tally.share >= agreement_min]
    rows = []
    for label, tally in tallies.items():
        answer = -1
        if label in winners:
            answer = 1
        elif tally.no > tally.yes and tally.share >= agreement_min:
            excluded = any(not _related(label, winner, tree) for winner in winners)
            answer = 0 if tally.yes == 0 or tally.objections > tally.yes or excluded else -1
        agreement = tally.share if tally.yes + tally.no else None
        rows.append(FoldedLabel(label, answer, agreement, tally.people, tally.source))
    return rows


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


def fold_labels(events: DataFrame, touched: DataFrame, trees: Mapping[str, Taxonomy], agreement_min: float) -> DataFrame:
    """Rows of silver.labels (without data_date) for every label of each (video, task) of `touched`.

    events: bronze.label_events up to the day. touched: frame with video_id and task; rows without either are left out.
    Tasks without a tree are left out. An answer without a time counts from its day of delivery.
    """
    from pyspark.sql import functions as F

    keys = touched.select("video_id", "task").where("video_id IS NOT NULL").where(F.col("task").isin(list(trees))).distinct()
    at = F.coalesce("answered_at", F.col("data_date").cast("timestamp"))
    one = F.struct(at.alias("at"), "data_date", "batch", "source_row", "event_id", "label_id", "annotator_id", "answer")
    by_video = (
        events.join(keys, on=["video_id", "task"], how="left_semi")
        .groupBy("video_id", "task")
        .agg(F.sort_array(F.collect_list(one)).alias("answers"))
        .select("video_id", "task", F.col("answers.label_id"), F.col("answers.annotator_id"), F.col("answers.answer"))
    )

    def fold(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _folded_batch(batch.to_pylist(), trees, agreement_min)

    return by_video.mapInArrow(fold, _FOLDED)


def _folded_batch(videos: Sequence[Mapping[str, Any]], trees: Mapping[str, Taxonomy], agreement_min: float) -> pa.RecordBatch:
    import pyarrow as pa

    types = {"string": pa.string(), "int": pa.int32(), "double": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in (part.split() for part in _FOLDED.split(", "))])
    rows = []
    for video in videos:
        tree = trees[video["task"]]
        answers = zip(video["label_id"], video["annotator_id"], video["answer"], strict=True)
        for row in fold_answers(answers, tree, agreement_min):
            rows.append({"video_id": video["video_id"], "task": video["task"], **vars(row), "taxonomy_version": tree.version})
    return pa.RecordBatch.from_pylist(rows, schema=schema)
