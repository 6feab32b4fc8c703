"""What people do in the sample: labels by several annotators (some wrong on purpose), clicks, and other events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import numpy as np

from reelhouse.sample.plan import Plan, Video
from reelhouse.sample.world import LEAVES, Leaf

LABELLED, WRONG, LATE = 0.6, 0.12, 0.15
WRONG_BUT_NEAR = 0.6  # share of wrong labels that stay within the top class
ANSWERS = {1: 0.7, 2: 0.15, 3: 0.15}  # how many people answer about a video
ANNOTATORS = tuple(f"annotator{k}" for k in range(1, 6))
OUTSIDE = ("美甲", "astronomy")  # labels that no tree holds
USERS = 50


@dataclass(frozen=True)
class Labels:
    """Lines by day for labels/*.jsonl; `wrong`: (video_id, label given, true label); `outside`: event ids with unknown labels."""

    lines: list[list[dict[str, Any]]]
    wrong: list[tuple[str, str, str]]
    outside: list[tuple[int, str]]
    labelled: set[str]


def draw_labels(plan: Plan) -> Labels:
    rng = np.random.default_rng([plan.seed, 2])
    lines: list[list[dict[str, Any]]] = [[] for _ in range(plan.days)]
    usable = [v for v in plan.videos if v.kind != "broken"]
    chosen = [usable[at] for at in sorted(rng.permutation(len(usable))[: round(LABELLED * len(usable))].tolist())]
    mistaken = {chosen[at].video_id for at in rng.permutation(len(chosen))[: round(WRONG * len(chosen))].tolist()}
    wrong = []
    for video in chosen:
        given = video.leaf
        if video.video_id in mistaken:
            given = _wrong_leaf(video.leaf, rng)
            wrong.append((video.video_id, given.id, video.leaf.id))
        day = min(video.day + int(rng.random() < LATE), plan.days - 1)
        lines[day] += _answers(video, given, plan, day, rng)
    outside = []
    for k, label in enumerate(OUTSIDE):
        line = _line(chosen[k], label, 1, ANNOTATORS[0], plan, plan.days - 1, f"outside-{k + 1}", rng)
        lines[-1].append(line)
        outside.append((plan.days - 1, line["event_id"]))
    return Labels(lines, wrong, outside, {v.video_id for v in chosen})


def _wrong_leaf(leaf: Leaf, rng: np.random.Generator) -> Leaf:
    near = [other for other in LEAVES if other.top == leaf.top and other is not leaf]
    far = [other for other in LEAVES if other.top != leaf.top]
    pool = near if rng.random() < WRONG_BUT_NEAR else far
    weights = np.array([other.weight for other in pool])
    return pool[rng.choice(len(pool), p=weights / weights.sum())]


def _answers(video: Video, given: Leaf, plan: Plan, day: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One to three people; of three, one may say something else or nothing. The majority says `given`."""
    count = int(rng.choice(list(ANSWERS), p=list(ANSWERS.values())))
    people = [ANNOTATORS[at] for at in rng.permutation(len(ANNOTATORS))[:count]]
    found = []
    for k, person in enumerate(people):
        label, answer = given.id, 1
        if count == 3 and k == 2 and rng.random() < 0.4:
            label, answer = (given.id, -1) if rng.random() < 0.5 else (_wrong_leaf(given, rng).id, 1)
        event = f"{video.video_id}-{person}"
        found.append(_line(video, label, answer, person, plan, day, event, rng))
    return found


def _line(video: Video, label: str, answer: int, person: str, plan: Plan, day: int, event: str, rng: np.random.Generator) -> dict[str, Any]:
    moment = datetime.combine(plan.date(day), time(9), UTC) + timedelta(seconds=int(rng.integers(8 * 3600)))
    return {
        "event_id": event, "video_id": video.video_id, "task": "category", "label": label, "answer": answer, "annotator_id": person,
        "answered_at": moment.isoformat(),
    }  # fmt: skip


def draw_interactions(plan: Plan, day: int) -> list[dict[str, Any]]:
    """What users saw, clicked and searched on a day: users like one or two top classes and click there more."""
    rng = np.random.default_rng([plan.seed, 3, day])
    tops = sorted({leaf.top for leaf in LEAVES})
    tastes = np.random.default_rng([plan.seed, 4]).integers(len(tops), size=(USERS, 2))
    found: list[dict[str, Any]] = []
    for video in (v for v in plan.videos if v.day <= day and v.kind != "broken"):
        for user in rng.integers(USERS, size=rng.poisson(6 if video.day == day else 2)):
            likes = video.leaf.top in (tops[tastes[user][0]], tops[tastes[user][1]])
            draw = rng.random()
            kind = "search_click" if draw < 0.06 else "click" if draw < (0.5 if likes else 0.15) else "impression"
            words = video.leaf.chinese + video.leaf.english
            seconds = None if kind == "impression" else round(float(rng.gamma(2.0, 3.0 if likes else 1.0)), 2)
            moment = datetime.combine(plan.date(day), time(7), UTC) + timedelta(seconds=int(rng.integers(16 * 3600)))
            found.append(
                {
                    "event_id": f"{plan.date(day):%m%d}-{len(found) + 1:05d}", "user_id": f"user{user:02d}", "video_id": video.video_id,
                    "kind": kind, "query": words[rng.integers(len(words))] if kind == "search_click" else None,
                    "watched_seconds": seconds, "happened_at": moment.isoformat(),
                }
            )  # fmt: skip
    return found
