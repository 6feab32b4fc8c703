"""silver.labels of any past date, rebuilt from the events alone, is what stood then: over answers, second thoughts and migrations."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.labels import Taxonomy
from reelhouse.labels.fold import MANIFEST, Crowd, FoldedLabel, fold_answers, positions_of, stances_of
from reelhouse.labels.migrations import with_migrations
from reelhouse.labels.reliability import learn_reliabilities

FIRST = dt.date(2026, 1, 1)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(6)]
TREE = with_migrations(
    Taxonomy.from_dict({"task": "t", "labels": [{"id": "food", "name": "f"}, {"id": "snack", "parent": "food", "name": "n"},
                                                {"id": "pets", "name": "p"}]}),
    {
        "labels": [{"id": "cake", "parent": "food", "name": "c"}, {"id": "tea", "parent": "food", "name": "t", "after": "snack"},
                   {"id": "dogs", "name": "d", "after": "pets"}, {"id": "cars", "name": "r", "after": "dogs"}],
        "steps": [
            {"date": DAYS[2], "rename": "cake", "to": "snack"},
            {"date": DAYS[2], "merge": ["pets", "dogs"], "into": "pets"},
            {"date": DAYS[4], "retire": "tea", "into": "food"},
            {"date": DAYS[4], "retire": "cars"},
        ],
    },
)  # fmt: skip
ENDED = "ended"


class Event(NamedTuple):
    day: dt.date
    video: str
    label: str
    annotator: str
    answer: int


@st.composite
def events_of_days(draw: st.DrawFn) -> list[Event]:
    """In order of days; each label is one of the tree of its day."""
    found = []
    for day in DAYS:
        one = st.tuples(
            st.sampled_from(["v1", "v2", "v3"]), st.sampled_from(TREE.as_of(day).ids), st.sampled_from(["ann", "bob", "cy", MANIFEST]),
            st.sampled_from([1, 1, 0, -1]),
        )  # fmt: skip
        found += [Event(day, *event) for event in draw(st.lists(one, max_size=4))]
    return found


def crowd_of(events: list[Event], tree: Taxonomy) -> Crowd:
    videos = sorted({event.video for event in events})
    stances = [stances_of(positions_of(answers_about(events, video), tree)[0]) for video in videos]
    return Crowd(learn_reliabilities([one for one in stances if len(one) > 1], tree), 0.8)


def answers_about(events: list[Event], video: str) -> list[tuple[str, str, int]]:
    return [(e.label, e.annotator, e.answer) for e in events if e.video == video]


State = dict[tuple[str, str], FoldedLabel | str]


def day_by_day(events: list[Event]) -> list[State]:
    """What stands after each day when every day is folded in its turn, as the job does: only from that day's events, the events before,
    and what stood before."""
    state: State = {}
    after = []
    for day in DAYS:
        tree, upto = TREE.as_of(day), [event for event in events if event.day <= day]
        moved = [(v, label) for (v, label), row in state.items() if label in tree.moves and row != ENDED]
        crowd = crowd_of(upto, tree)
        for video in {event.video for event in events if event.day == day} | {v for v, _ in moved}:
            state |= {(video, row.label_id): row for row in fold_answers(answers_about(upto, video), tree, 0.6, crowd)}
        state |= dict.fromkeys(moved, ENDED)
        after.append(dict(state))
    return after


def rebuilt(events: list[Event], date: dt.date) -> State:
    """The same from the events and the tree's history alone, one video and label at a time: the last day that told of it decides."""
    state: State = {}
    for video in {event.video for event in events if event.day <= date}:
        days = {event.day for event in events if event.video == video}
        for day in DAYS:  # a step that takes a label away which had been answered by a day before tells of the video
            gone = set(TREE.as_of(day).moves) - set(TREE.as_of(day - dt.timedelta(days=1)).moves)
            tree = TREE.as_of(day - dt.timedelta(days=1))
            if gone & {tree.follow(e.label) for e in events if e.video == video and e.day < day}:
                days.add(day)
        for day in sorted(d for d in days if d <= date):
            tree = TREE.as_of(day)
            upto = [event for event in events if event.day <= day]
            rows = {row.label_id: row for row in fold_answers(answers_about(upto, video), tree, 0.6, crowd_of(upto, tree))}
            before = {label for v, label in state if v == video}
            state |= {(video, label): row for label, row in rows.items()}
            state |= {(video, label): ENDED for label in before if label in tree.moves}
    return state


@settings(max_examples=150, deadline=None)
@given(events_of_days())
def test_what_stood_on_any_date_can_be_rebuilt_from_the_events_alone(events: list[Event]) -> None:
    stood = day_by_day(events)
    for day, state in zip(DAYS, stood, strict=True):
        assert rebuilt(events, day) == state
        # what comes later changes nothing of it
        assert day_by_day([event for event in events if event.day <= day])[DAYS.index(day)] == state


@settings(max_examples=150, deadline=None)
@given(events_of_days())
def test_no_label_that_is_one_no_longer_has_an_answer(events: list[Event]) -> None:
    for day, state in zip(DAYS, day_by_day(events), strict=True):
        tree = TREE.as_of(day)
        assert all((row == ENDED) == (label not in tree) for (_, label), row in state.items())


def test_events_keep_their_ids_while_labels_follow_the_steps() -> None:
    events = [Event(DAYS[0], "v1", "cake", "ann", 1), Event(DAYS[1], "v1", "cake", "bob", 1), Event(DAYS[3], "v1", "tea", "ann", 1)]
    seen = [{label: row if row == ENDED else row.answer for (_, label), row in state.items()} for state in day_by_day(events)]
    assert seen == [
        {"cake": 1},
        {"cake": 1},
        {"cake": ENDED, "snack": 1},
        {"cake": ENDED, "snack": -1, "tea": -1},  # Ann thought better of it: a tie
        {"cake": ENDED, "snack": 1, "tea": ENDED, "food": 1},  # her tea is food now, which does not speak against a snack
        {"cake": ENDED, "snack": 1, "tea": ENDED, "food": 1},
    ]
