"""Every kind of odd and broken video, each made here, read whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reelhouse import settings as settings_module
from reelhouse.sections import VideoSettings
from reelhouse.video import decode, probe
from reelhouse.video.reading import Extracted, Reader
from tests.video.made_videos import corner_marked, level, tone, write_video

STEPS = [level(20 * i) for i in range(1, 11)]  # a second of ten grey levels


def settings(**changes: Any) -> VideoSettings:
    return settings_module.load().video.model_copy(update={"ocr_frames": 0, **changes})


def read(path: Path, **changes: Any) -> Extracted:
    return Reader(settings(**changes)).read("v", str(path), "sha")


def times(video: Extracted) -> list[float]:
    return [round(f["timestamp_seconds"], 2) for f in video.columns["frames"]]


def noise(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(i).integers(0, 255, (48, 64, 3), dtype=np.uint8) for i in range(count)]


def corners(video: Extracted) -> str:
    """Where the first frame is red: upper left, upper right, lower left, lower right."""
    frame = video.pictures[0].astype(int)
    side = len(frame)
    quarters = [frame[y, x] for y in (side // 8, -side // 8) for x in (side // 8, -side // 8)]
    return "".join("R" if red > 150 and green < 90 else "." for red, green, _ in quarters)


def test_an_ordinary_video_gives_probe_frames_sound_and_jpegs(tmp_path: Path):
    video = read(write_video(tmp_path / "a.mp4", STEPS, sound=tone(1.0)))
    columns = video.columns
    assert {k: columns[k] for k in ("status", "container", "codec", "pixel_format", "width", "height", "rotation", "damage")} == {
        "status": "ok",
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": "h264",
        "pixel_format": "yuv420p",
        "width": 64,
        "height": 48,
        "rotation": 0,
        "damage": None,
    }
    assert (columns["duration_seconds"], columns["fps"]) == (pytest.approx(1.0), 10.0)
    assert (columns["has_audio"], columns["audio_codec"], columns["sample_rate"]) == (True, "aac", 16_000)
    frames = columns["frames"]
    assert [f["frame_index"] for f in frames] == [0, 1, 2, 3]
    assert times(video) == sorted(times(video))
    for frame, picture in zip(frames, video.pictures, strict=True):
        shown = 20 * (1 + round(frame["timestamp_seconds"] * 10))  # the level that was drawn at that time
        assert abs(int(picture.mean()) - shown) <= 3
        jpeg = np.asarray(Image.open(io.BytesIO(frame["jpeg"])))
        assert jpeg.shape == (224, 224, 3)
        assert abs(int(jpeg.mean()) - shown) <= 3
    assert frames[0]["scene_change"] is None
    assert frames[1]["scene_change"] == pytest.approx(
        (frames[1]["timestamp_seconds"] - frames[0]["timestamp_seconds"]) * 200 / 255, abs=0.02
    )
    assert [(f["modality"], f["steps"], f["dimension"], len(f["values"])) for f in video.features] == [("audio", 1, 192, 192)]


def test_the_same_bytes_give_the_same_row(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", noise(30), sound=tone(2.0), gop=7)
    one, two = read(path), read(path)
    assert one.columns == two.columns
    assert np.array_equal(one.pictures, two.pictures)
    assert np.array_equal(one.features[0]["values"], two.features[0]["values"])


@pytest.mark.parametrize(
    ("counter_clockwise", "clockwise", "size", "red"),
    [(0, 0, (96, 64), "R..."), (90, 270, (64, 96), "..R."), (180, 180, (96, 64), "...R"), (270, 90, (64, 96), ".R..")],
)
def test_a_rotated_video_comes_out_upright(tmp_path: Path, counter_clockwise: int, clockwise: int, size: tuple[int, int], red: str):
    video = read(write_video(tmp_path / "r.mp4", [corner_marked()], rotation=counter_clockwise))
    assert video.columns["rotation"] == clockwise
    assert (video.columns["width"], video.columns["height"]) == size
    assert corners(video) == red


def test_a_rotated_video_has_the_hash_of_its_upright_twin(tmp_path: Path):
    photo = np.asarray(Image.fromarray(noise(1)[0][:8, :10]).resize((96, 64), Image.Resampling.BICUBIC))
    flat = read(write_video(tmp_path / "flat.mp4", [photo]))
    turned = read(write_video(tmp_path / "turned.mp4", [np.ascontiguousarray(np.rot90(photo))], rotation=270))
    difference = flat.columns["frames"][0]["perceptual_hash"] ^ turned.columns["frames"][0]["perceptual_hash"]
    assert (difference & (2**64 - 1)).bit_count() <= 4


def test_non_square_pixels_are_stretched():
    assert probe.displayed_size(720, 576, 16 / 15, 0) == (768, 576)
    assert probe.displayed_size(720, 576, 16 / 15, 90) == (576, 768)


def test_the_middle_of_a_wide_picture_is_what_the_encoder_sees(tmp_path: Path):
    wide = level(20, 192, 64)
    wide[:, 64:128] = 220  # the middle third is bright: a square of 64 x 64
    frame = read(write_video(tmp_path / "w.mp4", [wide])).pictures[0]
    assert frame[20:-20, 20:-20].min() > 200


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "size"),
    [
        ("ten.mp4", "libx264", "yuv420p10le", (64, 48)),
        ("odd.mp4", "libx264", "yuv444p", (67, 45)),
        ("odd.avi", "mpeg4", "yuv420p", (67, 45)),
        ("a.mov", "libx264", "yuv420p", (64, 48)),
        ("a.mkv", "libx264", "yuv420p", (64, 48)),
        ("a.webm", "libvpx-vp9", "yuv420p", (64, 48)),
        ("a.ts", "libx264", "yuv420p", (64, 48)),
    ],
)
def test_other_containers_depths_and_odd_sizes(tmp_path: Path, name: str, codec: str, pixel_format: str, size: tuple[int, int]):
    pictures = [level(20 * i, *size) for i in range(1, 11)]
    video = read(write_video(tmp_path / name, pictures, codec=codec, pixel_format=pixel_format))
    columns = video.columns
    assert (columns["status"], columns["pixel_format"], columns["damage"]) == ("ok", pixel_format, None)
    assert (columns["width"], columns["height"], columns["fps"]) == (*size, 10.0)
    assert len(video.pictures) == 4
    for time, picture in zip(times(video), video.pictures, strict=True):
        assert abs(int(picture.mean()) - 20 * (1 + round(time * 10))) <= 6


def test_a_video_of_one_picture_gives_one_frame(tmp_path: Path):
    video = read(write_video(tmp_path / "one.mp4", STEPS[:1]))
    assert (video.columns["status"], times(video)) == ("ok", [0.0])


def test_a_variable_frame_rate_keeps_the_times_of_its_pictures(tmp_path: Path):
    shown = [0.0, 0.1, 2.0, 5.0]
    for name in ("vfr.mp4", "vfr.mkv"):
        video = read(write_video(tmp_path / name, STEPS[:4], times=shown))
        assert set(times(video)) <= set(shown)
        assert {2.0, 5.0} <= set(times(video))
        assert video.columns["duration_seconds"] == pytest.approx(5.1, abs=0.15)
        assert video.columns["damage"] is None


def test_sound_without_pictures_is_audio_only(tmp_path: Path):
    video = read(write_video(tmp_path / "s.m4a", sound=tone(3.0)))
    assert (video.columns["status"], video.columns["width"], video.pictures) == ("audio_only", None, [])
    assert video.columns["duration_seconds"] == pytest.approx(3.0, abs=0.1)
    assert video.features[0]["steps"] == 3
    without = read(tmp_path / "s.m4a", audio=False)
    assert (without.columns["status"], without.features) == ("audio_only", [])


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv", "long.avi"])
def test_a_truncated_video_is_used_as_far_as_it_goes(tmp_path: Path, name: str):
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    front = {"movflags": "faststart"} if name.endswith("mp4") else {}
    whole = write_video(tmp_path / name, noise(200), codec=codec, gop=30, options=front).read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(whole[: len(whole) // 2])
    video = read(cut)
    assert video.columns["status"] == "ok"
    assert len(video.pictures) == 4
    assert 8 < video.columns["duration_seconds"] < 11
    assert max(times(video)) < 10.5
    assert min(times(video)) < 3  # spread over what is left
    if not name.endswith("avi"):  # an AVI's index is at its end, so nothing says how long it was
        assert "of the 20.00 s that its header states" in video.columns["damage"]


def test_a_file_cut_in_its_last_bytes_still_gives_its_pictures(tmp_path: Path):
    whole = write_video(tmp_path / "w.mp4", noise(60), gop=10, options={"movflags": "faststart"}).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[:-300])
    video = read(cut)
    assert video.columns["status"] == "ok"
    assert len(video.pictures) == 4


def test_only_the_first_seconds_max_seconds_are_looked_at(tmp_path: Path):
    path = write_video(tmp_path / "l.mp4", noise(100), gop=5)
    assert max(times(read(path, seconds_max=4))) < 4
    assert max(times(read(path))) > 8


def test_a_giant_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "PIXELS_MAX", 64 * 48 - 1)
    video = read(write_video(tmp_path / "g.mp4", STEPS))
    assert (video.columns["rule"], video.pictures) == ("too_large", [])
    assert video.columns["reason"] == "the picture has 64 x 48 pixels, 3071 are allowed; deliver a smaller rendition"


def test_a_video_of_endless_packets_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode, "PACKETS_A_SECOND", 1)
    video = read(write_video(tmp_path / "p.mp4", noise(60)), seconds_max=10)
    assert video.columns["rule"] == "undecodable"


@pytest.mark.parametrize(("name", "b_frames"), [("k.mp4", 0), ("k.mp4", 3), ("k.mkv", 3), ("k.avi", 0)])
def test_keyframes_are_taken_where_every_part_has_one_and_little_else_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, b_frames: int
):
    path = write_video(tmp_path / name, noise(240), gop=10, b_frames=b_frames)
    monkeypatch.setattr(decode, "PACKETS_A_SECOND", 5)
    video = read(path, seconds_max=16)  # 80 packets for 8 places among 160: decoding in order would need 150
    assert video.columns.get("reason") is None
    assert len(video.pictures) == 4
    late = 0.1 if name.endswith("avi") else 0.0  # AVI says nothing of display times, and FFmpeg assumes a picture's delay
    assert all(time == pytest.approx(round(time) + late) for time in times(video))  # a keyframe a second


def test_large_pictures_are_shrunk_while_they_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_video(tmp_path / "big.mp4", [level(v, 640, 480) for v in (50, 90)])
    usual = read(path)
    monkeypatch.setattr(decode, "KEPT_PIXELS", 320 * 240)
    shrunk = read(path)
    assert [p.shape for p in shrunk.pictures] == [(224, 224, 3)] * 2
    assert np.abs(shrunk.pictures[0].astype(int) - usual.pictures[0]).max() <= 2
    assert shrunk.columns["width"] == 640


@pytest.mark.data
def test_damage_in_the_middle_refuses_the_video_with_its_place(shared_data: Path):
    video = read(shared_data / "clips/decord/corrupted.mp4")
    assert video.columns == {
        "rule": "corrupt_data",
        "reason": "its data is damaged 3.00 s from its start and goes on after that: "
        "pictures would be wrong; re-encode it or deliver it again",
    }


def test_an_error_of_the_decoder_becomes_a_refused_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("bad stride")

    monkeypatch.setattr("reelhouse.video.images.square", fail)
    video = read(write_video(tmp_path / "a.mp4", STEPS))
    assert video.columns["rule"] == "unreadable_video"
    assert "ValueError: bad stride" in video.columns["reason"]


@pytest.mark.data
@pytest.mark.parametrize(("name", "rotation", "size"), [("90", 90, (320, 568)), ("180", 180, (568, 320)), ("270", 270, (320, 568))])
def test_real_rotated_clips_look_like_the_unrotated_one(shared_data: Path, name: str, rotation: int, size: tuple[int, int]):
    video = read(shared_data / f"clips/decord/video_{name}.mov")
    assert (video.columns["rotation"], (video.columns["width"], video.columns["height"])) == (rotation, size)


@pytest.mark.data
def test_real_clips_without_stated_length_or_with_a_late_start_are_read(shared_data: Path):
    endless = read(shared_data / "clips/moviepy/no_duration.webm")
    assert endless.columns["duration_seconds"] == pytest.approx(4.94, abs=0.1)
    assert len(endless.pictures) == 4
    late = read(shared_data / "clips/videohash/rocket.mkv")  # its first picture is at 28 s
    assert times(late)[0] < 10
    assert late.columns["duration_seconds"] == pytest.approx(52.08, abs=0.1)
