from collections import Counter

import pytest

from reelhouse.labels import Taxonomy
from reelhouse.sample.events import draw_interactions, draw_labels
from reelhouse.sample.plan import make_plan
from reelhouse.sample.scenes import SCENES
from reelhouse.sample.sounds import MAKERS
from reelhouse.sample.world import BORN, LEAVES
from reelhouse.settings import CONF

PLAN = make_plan(200, 3, 7)


def holds(video, phrase):
    text = video.text
    return any(phrase in part for part in (text.title, text.caption, text.asr_text, text.cover_text, *text.hashtags) if part)


def test_classes_are_the_leaves_of_the_shipped_label_tree():
    tree = Taxonomy.load(CONF / "taxonomy" / "categories.yml")
    assert sorted(leaf.id for leaf in LEAVES) == sorted(tree.leaves)
    assert (len(LEAVES), len({leaf.top for leaf in LEAVES})) == (30, 8)


def test_picture_and_sound_tell_a_class_together_and_neither_alone():
    assert len({(leaf.scene, leaf.sound) for leaf in LEAVES}) == len(LEAVES)
    assert min(Counter(leaf.scene for leaf in LEAVES).values()) >= 2
    assert min(Counter(leaf.sound for leaf in LEAVES).values()) >= 2
    assert {leaf.scene for leaf in LEAVES} == set(SCENES)
    assert {leaf.sound for leaf in LEAVES} == set(MAKERS)


def test_no_phrase_is_of_two_classes_and_texts_tell_the_class_of_some_videos_only():
    phrases = [phrase for leaf in LEAVES for phrase in leaf.chinese + leaf.english]
    assert len(phrases) == len(set(phrases))
    levels = Counter(v.text.level for v in PLAN.videos)
    assert 0.5 < levels["leaf"] / 200 < 0.75
    assert all(levels[level] > 5 for level in ("top", "generic", "none"))


def test_the_same_seed_gives_the_same_plan_and_another_seed_another():
    assert make_plan(200, 3, 7) == PLAN
    assert make_plan(200, 3, 8) != PLAN
    assert draw_labels(PLAN) == draw_labels(PLAN)
    assert draw_interactions(PLAN, 1) == draw_interactions(PLAN, 1)


def test_classes_have_a_long_tail_and_videos_come_on_every_day():
    counts = [n for _, n in Counter(v.leaf.id for v in PLAN.videos).most_common()]
    assert (len(PLAN.videos), len(counts)) == (200, 30)
    assert counts[0] > 20
    assert counts[-1] <= 2
    assert Counter(v.day for v in PLAN.videos)[0] > Counter(v.day for v in PLAN.videos)[1] > 20
    assert len({v.video_id for v in PLAN.videos}) == 200


def test_what_is_planted_is_there():
    assert Counter(v.kind for v in PLAN.videos) == {"original": 170, "copy": 16, "broken": 6, "text_only": 8}
    assert set(Counter(v.damage for v in PLAN.videos)) == {None, "truncated", "not_a_video", "zero_byte", "missing"}
    assert Counter(v.transform for v in PLAN.videos if v.copy_of) == {"reencoded": 4, "scaled": 4, "brighter": 4, "bordered": 4}
    by_id = PLAN.by_id
    copies = [v for v in PLAN.videos if v.copy_of]
    assert all(by_id[v.copy_of].day <= v.day and by_id[v.copy_of].leaf == v.leaf for v in copies)
    assert any(by_id[v.copy_of].day < v.day for v in copies)
    assert {v.text.title_kind for v in PLAN.videos} == {"plain", "none", "file_name", "timestamp", "device_name", "emoji_run"}
    assert sum(v.clip is not None and v.clip.sound is None for v in PLAN.videos) >= 8
    assert {v.clip.rotation for v in PLAN.videos if v.clip} == {0, 90, 180, 270}
    assert all(2 <= v.clip.seconds <= 8 for v in PLAN.videos if v.clip)


@pytest.mark.parametrize("phrase", BORN)
def test_a_born_phrase_is_in_many_videos_of_the_last_day_and_in_none_before(phrase):
    days = Counter(v.day for v in PLAN.videos if holds(v, phrase))
    assert set(days) == {2}
    assert days[2] >= 6


def test_labels_cover_the_planned_share_and_their_majority_is_what_the_truth_says():
    labels = draw_labels(PLAN)
    by_id = PLAN.by_id
    assert len(labels.labelled) == round(0.6 * 194)
    assert len(labels.wrong) == round(0.12 * len(labels.labelled))
    wrong = {video_id: given for video_id, given, _ in labels.wrong}
    assert all(given != by_id[video_id].leaf.id == true for video_id, given, true in labels.wrong)
    lines = [line for day in labels.lines for line in day if not line["event_id"].startswith("outside")]
    for video_id in labels.labelled:
        said = Counter(line["label"] for line in lines if line["video_id"] == video_id and line["answer"] == 1)
        assert said.most_common(1)[0][0] == wrong.get(video_id, by_id[video_id].leaf.id)
        assert 1 <= sum(said.values()) <= 3
    assert len({line["event_id"] for line in lines}) == len(lines)
    assert all(by_id[line["video_id"]].day <= day for day, held in enumerate(labels.lines) for line in held)
    tree = Taxonomy.load(CONF / "taxonomy" / "categories.yml")
    outside = [line for day in labels.lines for line in day if line["event_id"].startswith("outside")]
    assert [tree.resolve(line["label"]) for line in outside] == [None, None]
    assert all(tree.resolve(line["label"]) == line["label"] for line in lines)


def test_users_click_only_what_has_arrived():
    by_id = PLAN.by_id
    for day in range(3):
        clicks = draw_interactions(PLAN, day)
        assert all(by_id[c["video_id"]].day <= day for c in clicks)
        assert {c["kind"] for c in clicks} == {"impression", "click", "search_click"}
        assert all((c["query"] is not None) == (c["kind"] == "search_click") for c in clicks)


def test_too_small_a_sample_is_refused():
    with pytest.raises(ValueError, match="at least 12 videos and 1 day, got 5 and 3"):
        make_plan(5, 3, 7)
