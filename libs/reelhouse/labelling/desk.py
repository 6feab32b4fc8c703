"""Who answers which video: nobody is asked what he or she answered, nor what another has on the screen. In memory, plain Python."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reelhouse.errors import NotFoundError
from reelhouse.labelling.inbox import Answer
from reelhouse.labelling.queue import QueuedVideo
from reelhouse.labels import Taxonomy
from reelhouse.labels.fold import Position


def key_of(video: QueuedVideo) -> str:
    """Names a question in addresses, the same after a restart. Ids may hold anything, and paths are nobody's business."""
    return hashlib.sha256(f"{video.task}\0{video.video_id}".encode()).hexdigest()[:20]


@dataclass
class Progress:
    """answered: questions that have the answers that are wanted, of total. by_person: questions that each has answered."""

    answered: int
    total: int
    by_person: dict[str, int]


@dataclass(frozen=True)
class Line:
    """What a new line of the inbox says, besides who, when and of which video; see inbox.Answer."""

    label: str
    answer: int
    takes_back: str | None = None
    restates: str | None = None


# by question: who answered it, and whether with an answer that was not folded yet
_Answered = dict[tuple[str, str], dict[str, bool]]


@dataclass
class _Person:
    said: list[Answer] = field(default_factory=list)  # in order of time
    taken_back: set[str] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)

    @property
    def standing(self) -> list[Answer]:
        return [one for one in self.said if one.is_own and one.event_id not in self.taken_back]


class Desk:
    """Hands out the queue's questions one at a time, to several people at once. Safe for threads.

    answers_wanted: people who are to answer a question, besides those whose answers did not settle it. lease_seconds: so long one that a
    person was given is kept from others. now: seconds of a clock that never goes back.
    """

    def __init__(self, queue: Sequence[QueuedVideo], answers_wanted: int, lease_seconds: float, now: Callable[[], float]) -> None:
        self._queue = {key_of(video): video for video in queue}
        self._undecided = {_about(video): video.undecided for video in queue}
        self._wanted, self._lease_seconds, self._now = answers_wanted, lease_seconds, now
        self._people: dict[str, _Person] = {}
        self._leases: dict[str, tuple[str, float]] = {}  # who has it, and until when
        self._lock = threading.RLock()

    def video(self, key: str) -> QueuedVideo:
        """NotFoundError if it is not in the queue."""
        if key not in self._queue:
            raise NotFoundError("this video is not in the queue: the page was opened on another day's queue; load it again")
        return self._queue[key]

    def record(self, answer: Answer) -> None:
        """Count an answer; one that takes back another does away with that."""
        with self._lock:
            person = self._person(answer.annotator_id)
            if all(one.event_id != answer.event_id for one in person.said):
                person.said.append(answer)
                person.taken_back |= {answer.takes_back} if answer.takes_back else set()

    def next(self, person: str, skip: str | None = None) -> str | None:
        """Key of the next question for a person, kept for him or her from now on; None if there is none at the moment.

        skip: the key of one that the person passed over: it is given up to others, and asked again when all else is answered.
        """
        with self._lock:
            skipped = self._person(person).skipped
            if skip in self._queue and skip not in skipped:
                skipped.append(skip)
            self._give_up(person)
            answered = self._answered()
            open_to = [key for key in self._queue if self._is_open_to(person, key, answered)]
            left = [key for key in open_to if key not in skipped] or [key for key in skipped if key in open_to and key != skip] or open_to
            if not left:
                return None
            if left[0] in skipped:
                skipped.remove(left[0])
            self._lease(person, left[0])
            return left[0]

    def show(self, person: str, key: str) -> None:
        """The person looks at a question again. NotFoundError as `video`."""
        with self._lock:
            self.video(key)
            self._give_up(person)
            if not self._is_leased_to_another(person, key):
                self._lease(person, key)

    def undoing(self, person: str, trees: Mapping[str, Taxonomy]) -> tuple[str, list[Line]] | None:
        """How to take back the person's newest answer: (key of its question, lines to write and record); None where there is none.

        The first line takes back; further ones say again what the answer had overruled (see labels.fold.Position).
        """
        with self._lock:
            keys = {_about(video): key for key, video in self._queue.items()}
            known = self._person(person)
            last = next((one for one in reversed(known.standing) if _about(one) in keys), None)
            if last is None:
                return None
            about, tree = _about(last), trees[last.task]
            before, now = Position(), Position()
            earlier = [one for one in known.standing if _about(one) == about and one is not last]
            for one in earlier:
                before.take(one.label, one.answer, tree)
            for one in known.said:
                if _about(one) == about:
                    now.take(one.label, one.answer, tree)
            now.take(last.label, -1, tree)
            lost = [(before.given, 1)] if before.given and before.choice and before.choice != now.choice else []
            lost += [(label, 0) for label in sorted(before.noes - now.noes)]
            events = {(one.label if one.answer == 1 else tree.follow(one.label), one.answer): one.event_id for one in earlier}
            return keys[about], [Line(last.label, -1, last.event_id), *(Line(*one, restates=events[one]) for one in lost)]

    def said(self, person: str, key: str, trees: Mapping[str, Taxonomy]) -> dict[str, int]:
        """Where the person stands about a question: answer by label, at most one yes."""
        with self._lock:
            about, stands = _about(self.video(key)), Position()
            for one in self._person(person).standing:
                if _about(one) == about:
                    stands.take(one.label, one.answer, trees[one.task])
            noes = dict.fromkeys(sorted(stands.passed), -1) | dict.fromkeys(sorted(stands.noes), 0)
            return noes | ({stands.choice: 1} if stands.choice else {})

    def waiting(self, person: str) -> int:
        """Questions that the person might get later, since others have them on the screen now."""
        with self._lock:
            answered = self._answered()
            return sum(self._is_wanted_of(person, key, answered) and not self._is_open_to(person, key, answered) for key in self._queue)

    def progress(self) -> Progress:
        with self._lock:
            answered = self._answered()
            people = [answered.get(_about(video), {}) for video in self._queue.values()]
            counts = Counter(person for of_one in people for person in of_one)
            return Progress(sum(not self._wants_more(of_one) for of_one in people), len(people), dict(sorted(counts.items())))

    def _person(self, person: str) -> _Person:
        return self._people.setdefault(person, _Person())

    def _answered(self) -> _Answered:
        found: _Answered = {}
        for person, known in self._people.items():
            for answer in known.standing:
                people, is_new = found.setdefault(_about(answer), {}), answer.event_id not in self._undecided.get(_about(answer), ())
                people[person] = people.get(person, False) or is_new
        return found

    def _wants_more(self, people: Mapping[str, bool]) -> bool:
        return sum(people.values()) < self._wanted

    def _is_wanted_of(self, person: str, key: str, answered: _Answered) -> bool:
        people = answered.get(_about(self._queue[key]), {})
        return person not in people and self._wants_more(people)

    def _is_open_to(self, person: str, key: str, answered: _Answered) -> bool:
        return self._is_wanted_of(person, key, answered) and not self._is_leased_to_another(person, key)

    def _is_leased_to_another(self, person: str, key: str) -> bool:
        who, until = self._leases.get(key, (person, 0.0))
        return who != person and until > self._now()

    def _lease(self, person: str, key: str) -> None:
        self._leases[key] = person, self._now() + self._lease_seconds

    def _give_up(self, person: str) -> None:
        for key in [key for key, (who, _) in self._leases.items() if who == person]:
            del self._leases[key]


def _about(one: Answer | QueuedVideo) -> tuple[str, str]:
    return one.video_id, one.task
