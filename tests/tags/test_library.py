import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.tags import Proposal, Review, Tag, fold_library, tag_id

DAY, NEXT, LATER = dt.date(2026, 1, 2), dt.date(2026, 1, 3), dt.date(2026, 1, 4)


def tag(name, state="active", score=None, source="hashtag", first=DAY, changed=DAY):
    return Tag(tag_id(name), name, state, score, source, first, changed)


def review(phrase, decision, hour=0, event="e"):
    return Review(event, phrase, decision, dt.datetime(2026, 1, 2, hour))


def fold(previous=(), proposals=(), reviews=(), day=NEXT):
    return fold_library(previous, proposals, reviews, day=day, score_min=0.6)


def test_the_first_day_takes_hashtags_and_good_phrases_as_active_and_others_as_candidates():
    proposals = [
        Proposal("美食", None, "hashtag"),
        Proposal("法式刘海", 0.6, "phrases"),
        Proposal("点个赞", 0.59, "phrases"),
        Proposal("x y", 0.7, "patterns"),
    ]
    assert fold(proposals=proposals, day=DAY) == [
        tag("x y", score=0.7, source="patterns"),
        tag("法式刘海", score=0.6, source="phrases"),
        tag("点个赞", "candidate", 0.59, "phrases"),
        tag("美食"),
    ]


def test_a_candidate_becomes_active_when_its_score_suffices_and_an_active_tag_stays_so():
    previous = [tag("a", "candidate", 0.3, "phrases"), tag("b", "active", 0.9, "phrases"), tag("c", "active", 0.8, "phrases")]
    got = fold(previous, [Proposal("a", 0.8, "patterns"), Proposal("b", 0.1, "phrases")])
    assert got == [
        tag("a", "active", 0.8, "patterns", changed=NEXT),
        tag("b", "active", 0.1, "phrases"),
        tag("c", "active", 0.8, "phrases"),
    ]


@pytest.mark.parametrize(("decision", "state"), [("accept", "active"), ("reject", "rejected"), ("block", "blocked")])
@pytest.mark.parametrize("score", [0.1, 0.9])
def test_a_decision_by_people_wins_over_any_score_and_stays(decision, state, score):
    day_one = fold([], [Proposal("a", score, "phrases")], [review("A", decision)], DAY)
    assert day_one == [tag("a", state, score, "phrases")]
    assert fold(day_one, [Proposal("a", 1 - score, "phrases"), Proposal("a", None, "hashtag")], [review("A", decision)], NEXT) == [
        tag("a", state, 1 - score, "phrases")
    ]


def test_a_decision_stays_although_its_review_is_not_given_again():
    got = fold([tag("a", "blocked"), tag("b", "rejected")], [Proposal("a", 0.9, "phrases"), Proposal("b", None, "hashtag")])
    assert [t.state for t in got] == ["blocked", "rejected"]


def test_the_latest_decision_counts_and_then_the_last_event():
    assert fold([tag("a")], (), [review("a", "accept", 3), review("a", "block", 2)])[0].state == "active"
    assert fold([tag("a")], (), [review("a", "block", 2, "e2"), review("a", "accept", 2, "e1")])[0] == tag("a", "blocked", changed=NEXT)
    undated = Review("e", "a", "reject", None)
    assert fold([tag("a")], (), [undated, review("a", "block", 1)])[0].state == "blocked"


def test_people_may_add_a_tag_that_nobody_mined():
    assert fold((), (), [review("New　YORK", "accept")]) == [tag("new york", "active", None, "people", NEXT, NEXT)]


def test_a_change_of_mind_is_dated():
    first = fold([tag("a", "candidate", 0.2, "phrases")], (), [review("a", "reject")], NEXT)
    second = fold(first, (), [review("a", "reject"), review("a", "accept", 5, "e2")], LATER)
    assert [t.changed for t in (*first, *second)] == [NEXT, LATER]


def test_a_phrase_of_more_than_64_characters_is_no_tag():
    assert fold((), [Proposal("a" * 65, None, "hashtag"), Proposal("b" * 64, None, "hashtag"), Proposal("", 1.0, "phrases")]) == [
        tag("b" * 64, first=NEXT, changed=NEXT)
    ]


NAMES = st.sampled_from(["a", "b", "c"])
PROPOSALS = st.lists(st.builds(Proposal, NAMES, st.floats(0, 1), st.sampled_from(["phrases", "patterns"])), max_size=4)
REVIEWS = st.lists(st.builds(review, NAMES, st.sampled_from(["accept", "reject", "block"]), st.integers(0, 3)), max_size=3)


@given(st.lists(st.tuples(PROPOSALS, REVIEWS), max_size=5))
def test_over_any_days_ids_and_first_days_never_change_and_decisions_hold(days):
    library, reviews, first = [], [], {}
    for n, (proposals, new) in enumerate(days):
        reviews = [*reviews, *new]
        before = library
        library = fold(before, proposals, reviews, DAY + dt.timedelta(n))
        assert {t.tag for t in before} <= {t.tag for t in library}
        for row in library:
            assert row.tag_id == tag_id(row.tag)
            assert first.setdefault(row.tag, row.first_seen) == row.first_seen <= row.changed
        assert [t.state for t in fold(library, (), reviews, LATER)] == [t.state for t in library]
        decided = {r.phrase for r in reviews}
        assert all(row.state != "candidate" for row in library if row.tag in decided)
