import json

import av
import numpy as np
import pytest

from reelhouse.errors import SettingsError, StorageError
from reelhouse.sample import Truth, dates, make_sample, write
from reelhouse.sample.clips import Clip, change, write_clip, write_copy
from reelhouse.sample.plan import make_plan
from reelhouse.sample.scenes import frames

SMALL = {"videos": 14, "days": 3, "seed": 3, "processes": 1}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("sample") / "s", **SMALL)


def texts(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".mp4"}


def decoded(path):
    """(upright frames, seconds of sound)"""
    with av.open(str(path)) as container:
        pictures = [np.rot90(f.to_ndarray(format="rgb24"), f.rotation // 90) for f in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = sum(f.samples for f in container.decode(audio=0)) if container.streams.audio else 0
    return pictures, sound / 22_050


def test_the_same_seed_writes_the_same_manifests_labels_and_truth(sample, tmp_path):
    assert texts(make_sample(tmp_path / "again", **SMALL)) == texts(sample)
    assert dates(sample) == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_progress_is_said_and_a_sample_of_other_arguments_or_an_older_version_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "SAID_EVERY", 5)
    said = []
    made = make_sample(tmp_path / "s", **SMALL, say=said.append)
    planned = sum(v.clip is not None for v in make_plan(14, 3, 3).videos)
    assert said == [f"drawing and encoding {planned} videos", *[f"{n} of {planned} videos" for n in range(5, planned + 1, 5)]]
    said.clear()
    make_sample(made, **SMALL, say=said.append)
    assert said == []
    monkeypatch.setattr(write, "VERSION", write.VERSION + 1)
    make_sample(made, **SMALL, say=said.append)
    assert said
    make_sample(made, **SMALL | {"days": 1})
    assert dates(made) == ["2026-01-01"]


def test_a_complete_sample_is_left_and_a_broken_off_one_is_made_anew(tmp_path):
    made = make_sample(tmp_path / "s", **SMALL)
    clip = next(made.rglob("*.mp4"))
    before = clip.stat().st_mtime_ns
    make_sample(made, **SMALL)
    assert clip.stat().st_mtime_ns == before
    (made / ".complete").rename(made / ".making")
    (made / "deliveries" / "stray").mkdir()
    clip.write_bytes(b"half")
    with pytest.raises(StorageError, match="there is no complete sample"):
        dates(made)
    make_sample(made, **SMALL)
    assert clip.stat().st_size > 1000
    assert dates(made) == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_a_folder_with_something_else_in_it_is_not_touched(tmp_path):
    (tmp_path / "deliveries").mkdir()
    (tmp_path / "deliveries" / "mine.txt").write_text("keep")
    with pytest.raises(SettingsError, match="holds something that is no sample"):
        make_sample(tmp_path, **SMALL)
    assert (tmp_path / "deliveries" / "mine.txt").read_text() == "keep"


def test_a_place_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"the sample can't be written below .*/file/s"):
        make_sample(tmp_path / "file" / "s", **SMALL)


def test_files_of_the_sample_are_h264_with_aac_as_planned_and_broken_ones_are_broken(sample):
    plan = make_plan(14, 3, 3)
    truth = {v["video_id"]: v for v in Truth.load(sample / "truth").videos}
    for video in plan.videos:
        path = sample / "deliveries" / plan.date(video.day).isoformat() / "media" / f"{video.video_id}.mp4"
        if video.kind == "text_only" or video.damage == "missing":
            assert not path.exists()
        elif video.damage:
            with pytest.raises(av.FFmpegError):
                decoded(path)
        else:
            pictures, sound = decoded(path)
            with av.open(str(path)) as container:
                codecs = [s.codec_context.name for s in container.streams]
            assert codecs == (["h264", "aac"] if truth[video.video_id]["has_sound"] else ["h264"])
            assert abs(len(pictures) - video.clip.seconds * video.clip.fps) <= 1
            assert (sound > 1.5) == truth[video.video_id]["has_sound"]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_rotated_file_shows_the_drawn_picture_upright(tmp_path, rotation):
    clip = Clip("cups", None, 96, 64, 10, 0.5, rotation, None, 5)
    write_clip(tmp_path / "a.mp4", clip)
    pictures, _ = decoded(tmp_path / "a.mp4")
    drawn = next(frames("cups", 96, 64, 1, 10, seed=5)).astype(int)
    assert pictures[0].shape == (64, 96, 3)
    assert np.abs(pictures[0].astype(int) - drawn).mean() < 8
    with av.open(str(tmp_path / "a.mp4")) as container:
        stored = container.streams.video[0]
        assert (stored.width, stored.height) == ((64, 96) if rotation in (90, 270) else (96, 64))


@pytest.mark.parametrize(
    ("transform", "shape"), [("reencoded", (64, 96)), ("scaled", (48, 72)), ("brighter", (64, 96)), ("bordered", (68, 100))]
)
def test_a_copy_shows_what_its_source_shows(tmp_path, transform, shape):
    write_clip(tmp_path / "a.mp4", Clip("grid", "hum", 96, 64, 10, 1.0, 0, None, 5))
    write_copy(tmp_path / "b.mp4", tmp_path / "a.mp4", transform)
    source, _ = decoded(tmp_path / "a.mp4")
    copy, sound = decoded(tmp_path / "b.mp4")
    assert (len(copy), copy[0].shape[:2]) == (len(source), shape)
    assert sound > 0.9
    assert (tmp_path / "a.mp4").read_bytes() != (tmp_path / "b.mp4").read_bytes()
    assert np.abs(change(source[5], transform).astype(int) - copy[5]).mean() < 10


def test_manifests_of_the_days_are_csv_jsonl_and_parquet_and_hold_the_bad_rows(sample):
    names = {p.relative_to(sample / "deliveries").as_posix() for p in sample.rglob("manifest*")}
    assert names == {"2026-01-01/manifest.csv", "2026-01-02/manifest.jsonl", "2026-01-03/manifest.parquet"}
    lines = [json.loads(line) for line in (sample / "deliveries" / "2026-01-02" / "manifest.jsonl").read_text().splitlines()]
    assert [line["video_id"] for line in lines[-4:-1]] == ["bad-time", "bad-path", "bad-empty"]
    assert lines[-1]["video_id"] in {line["video_id"] for line in lines[:-4]}


def test_truth_is_cut_to_the_days_that_ran(sample):
    truth = Truth.load(sample / "truth")
    assert {v["date"] for v in truth.upto("2026-01-01").videos} == {"2026-01-01"}
    assert truth.upto("2026-01-01").refused_rows == []
    assert truth.upto("2026-01-03") == truth
    with pytest.raises(StorageError, match="make the sample again"):
        Truth.load(sample / "nowhere")
