"""Who is asked what: order, leases, skipping, several people, taking back; against the fold that makes labels of it."""

import datetime as dt
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.errors import NotFoundError
from reelhouse.labelling.desk import Desk, key_of
from reelhouse.labelling.inbox import new_answer
from reelhouse.labels.fold import Position
from tests.labelling.planted import AT, MOVED, TREES, question

QUEUE = [question(f"v{n}", n) for n in range(1, 5)]
K1, K2, K3, K4 = KEYS = [key_of(video) for video in QUEUE]
TREE = TREES["category"]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def desk_of(wanted=1, lease=300.0, clock=None):
    return Desk(QUEUE, wanted, lease, clock or Clock())


class Saying:
    """Records answers as the page does, a second apart."""

    def __init__(self, desk, trees=TREES):
        self.desk, self.lines, self.trees = desk, [], trees

    def say(self, person, video, label="pets", answer=1, **about):
        self.lines.append(new_answer(video, "category", label, answer, person, AT + dt.timedelta(seconds=len(self.lines)), **about))
        self.desk.record(self.lines[-1])

    def undo(self, person):
        found = self.desk.undoing(person, self.trees)
        if found:
            video = self.desk.video(found[0]).video_id
            for line in found[1]:
                self.say(person, video, **asdict(line))
        return found and found[0]


def test_questions_come_in_the_order_of_the_queue_and_an_answered_one_never_again():
    desk = desk_of()
    said = Saying(desk)
    assert desk.next("ann") == K1
    assert desk.next("ann") == K1, "what is on the screen stays"
    said.say("ann", "v1")
    assert desk.next("ann") == K2
    said.say("ann", "v2", answer=-1)
    assert [desk.next("ann"), desk.next("bob")] == [K3, K4], "can't say is an answer of hers"


def test_what_one_has_on_the_screen_is_not_given_to_another_for_a_while():
    clock = Clock()
    desk = desk_of(clock=clock)
    assert [desk.next(person) for person in ("a", "b", "c", "d", "e")] == [*KEYS, None]
    assert (desk.waiting("e"), desk.waiting("a")) == (4, 3)
    clock.now += 301
    assert desk.next("e") == K1
    assert desk.next("a") == K2, "the first is e's now"


def test_a_skipped_question_goes_to_others_and_comes_again_at_the_end():
    desk = desk_of()
    said = Saying(desk)
    assert desk.next("ann") == K1
    assert desk.next("ann", skip=K1) == K2
    assert desk.next("bob") == K1
    desk.next("bob", skip=K1)  # bob has v3 now
    for video in ("v2", "v4"):
        said.say("ann", video)
    assert desk.next("ann") == K1
    assert desk.next("ann", skip=K1) == K1, "all that is left"
    assert desk.next("ann", skip="unknown") == K1


@pytest.mark.parametrize(("wanted", "asked"), [(1, None), (2, K1)])
def test_others_are_asked_only_where_more_answers_are_wanted(wanted, asked):
    desk = desk_of(wanted)
    said = Saying(desk)
    for video in ("v1", "v2", "v3", "v4"):
        said.say("ann", video)
    assert desk.next("ann") is None
    assert desk.next("bob") == asked
    assert desk.progress().answered == (4 if wanted == 1 else 0)
    said.say("bob", "v1")
    assert desk.next("cy") == (None if wanted == 1 else K2)


def test_a_question_that_came_back_undecided_is_asked_of_others_and_of_nobody_twice():
    said = Saying(desk_of())
    said.say("ann", "v1", "pets")
    said.say("bob", "v1", "sport")
    said.say("ann", "v2", answer=-1)
    folded = frozenset(line.event_id for line in said.lines)
    queue = [question("v1", 1, undecided=folded), question("v2", 2, undecided=folded)]
    again = Saying(Desk(queue, 1, 300.0, Clock()))
    for line in said.lines:
        again.desk.record(line)
    assert (again.desk.progress().answered, again.desk.progress().by_person) == (0, {"ann": 2, "bob": 1})
    assert [again.desk.next(person) for person in ("ann", "bob", "cy")] == [None, K2, K1]
    again.lines = list(said.lines)  # so that what is said now comes later
    again.say("cy", "v1", "pets")
    assert (again.desk.progress().answered, again.desk.next("di")) == (1, None), "one more was wanted; bob has the other"
    again.undo("cy")
    assert again.desk.progress().answered == 0
    again.say("bob", "v1", "pets")
    assert again.desk.progress().answered == 1, "a second thought is a new answer"


def test_progress_counts_questions_and_people():
    desk = desk_of()
    said = Saying(desk)
    said.say("bob", "v1", answer=0)
    said.say("bob", "v1", "sport")
    said.say("ann", "v2")
    said.say("ann", "not of this queue")
    found = desk.progress()
    assert (found.answered, found.total, found.by_person) == (2, 4, {"ann": 1, "bob": 1})
    assert desk.said("bob", K1, TREES) == {"pets": 0, "sport": 1}


def test_undo_takes_back_the_newest_answer_and_opens_its_question_again():
    desk = desk_of()
    said = Saying(desk)
    assert said.undo("ann") is None
    said.say("ann", "v1")
    said.say("bob", "v2")
    assert said.undo("ann") == K1
    assert [(line.label, line.answer, line.takes_back) for line in said.lines[2:]] == [("pets", -1, said.lines[0].event_id)]
    assert desk.next("ann") == K1
    assert said.undo("ann") is None
    assert desk.progress().by_person == {"bob": 1}


def test_undo_of_a_second_thought_says_the_first_again():
    desk = desk_of()
    said = Saying(desk)
    said.say("ann", "v1", "food", 0)
    said.say("ann", "v1", "food.baking", 1)  # overrules the no to food
    said.undo("ann")
    assert [(line.label, line.answer) for line in said.lines[2:]] == [("food.baking", -1), ("food", 0)]
    assert desk.said("ann", K1, TREES) == {"food": 0}
    assert said.undo("ann") == K1
    assert said.undo("ann") is None, "what was said again is no answer of its own"


def test_the_same_line_twice_counts_once_and_a_question_of_another_queue_is_not_found():
    desk = desk_of()
    line = new_answer("v1", "category", "pets", 1, "ann", AT)
    desk.record(line)
    desk.record(line)
    found = desk.undoing("ann", TREES)
    desk.record(new_answer("v1", "category", "pets", -1, "ann", AT, found[1][0].takes_back))
    assert desk.undoing("ann", TREES) is None
    for ask in (desk.video, lambda key: desk.show("ann", key)):
        with pytest.raises(NotFoundError, match="not in the queue"):
            ask("0" * 20)


def test_what_was_said_by_a_former_label_is_shown_and_taken_back_as_what_it_became():
    said = Saying(desk_of(), {"category": MOVED})
    said.say("ann", "v1", "food.pasta", 1)
    said.say("ann", "v1", "food.noodles", 0)
    assert said.desk.said("ann", K1, said.trees) == {"food.noodles": 0}
    said.undo("ann")
    assert [(line.label, line.answer) for line in said.lines[2:]] == [("food.noodles", -1), ("food.pasta", 1)]
    assert said.desk.said("ann", K1, said.trees) == {"food.noodles": 1}
    said.say("ann", "v2", "hamsters", 0)
    assert said.desk.said("ann", K2, said.trees) == {"pets": -1}, "not hamsters is not `not pets`"


def position(answers, tree):
    stands = Position()
    for label, answer in answers:
        stands.take(label, answer, tree)
    return stands


def steps_of(*labels):
    return st.lists(st.one_of(st.tuples(st.sampled_from(labels), st.sampled_from([1, 0, -1])), st.just("undo")), max_size=12)


@given(st.one_of(st.tuples(st.just(TREE), steps_of(*TREE.ids)), st.tuples(st.just(MOVED), steps_of(*MOVED.ids, *MOVED.moves))))
def test_after_any_answers_and_undos_the_fold_stands_where_it_would_without_what_was_taken_back(given_steps):
    """The oracle: answers on a stack, popped by undo, folded from the start."""
    tree, steps = given_steps
    said = Saying(desk_of(), {"category": tree})
    stack = []
    for step in steps:
        if step != "undo":
            stack.append(step)
            said.say("ann", "v1", *step)
        elif stack:
            stack.pop()
            said.undo("ann")
    found, wanted = position([(line.label, line.answer) for line in said.lines], tree), position(stack, tree)
    assert (found.choice, found.noes) == (wanted.choice, wanted.noes)
