from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import fs

from reelhouse.errors import VideoError
from reelhouse.video.opening import local_file, opened
from tests.video.made_videos import level, write_video


def rule_of(path: Path) -> tuple[str, str]:
    with pytest.raises(VideoError) as caught, opened(path):
        pass
    return caught.value.rule, str(caught.value)


def test_a_path_and_a_file_address_are_read_in_place(tmp_path: Path):
    odd = tmp_path / "a b#c%41.mp4"
    for uri in (str(odd), odd.as_uri(), f"file:{odd}".replace("%", "%25")):
        with local_file(uri) as path:
            assert path == odd


def test_another_address_is_copied_and_the_copy_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = tmp_path / "there.mp4"
    source.write_bytes(b"content")
    bucket = SimpleNamespace(from_uri=lambda uri: (fs.LocalFileSystem(), str(tmp_path / uri.removeprefix("s3://bucket/"))))
    monkeypatch.setattr(fs, "FileSystem", bucket)
    with local_file("s3a://bucket/there.mp4") as copy:
        assert copy != source
        assert copy.suffix == ".mp4"
        assert copy.read_bytes() == b"content"
    assert not copy.exists()
    with pytest.raises(VideoError, match="not there") as caught, local_file("s3://bucket/gone.mp4"):
        pass
    assert caught.value.rule == "missing_file"


def test_an_unknown_scheme_is_refused_in_words():
    with pytest.raises(VideoError, match="nonsense://x can't be read") as caught, local_file("nonsense://x"):
        pass
    assert caught.value.rule == "unreadable_file"


def test_missing_empty_and_foreign_files_are_told_apart(tmp_path: Path):
    empty, text, folder = tmp_path / "empty.mp4", tmp_path / "notes.mp4", tmp_path / "folder.mp4"
    empty.touch()
    text.write_text("no video\n" * 40)
    folder.mkdir()
    missing = tmp_path / "gone.mp4"
    assert rule_of(missing) == ("missing_file", f"{missing} is not there: it was moved or removed after ingest; deliver it again")
    assert rule_of(empty) == ("empty_file", f"{empty} has no bytes: its transfer failed; deliver it again")
    assert rule_of(text)[0] == "not_a_video"
    assert "deliver MP4, MOV, WebM, MKV or AVI" in rule_of(text)[1]
    assert rule_of(folder) == ("not_a_video", f"{folder} is a folder, not a video file; name the file itself")


def test_a_playlist_can_not_make_us_open_other_files(tmp_path: Path):
    secret = write_video(tmp_path / "secret.ts", [level(50)])
    playlist, script = tmp_path / "list.m3u8", tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n")
    script.write_text(f"ffconcat version 1.0\nfile {secret}\n")
    assert rule_of(playlist)[0] == "not_a_video"
    assert rule_of(script)[0] == "not_a_video"


def test_an_mp4_whose_index_was_cut_away_says_so(tmp_path: Path):
    whole = write_video(tmp_path / "whole.mp4", [level(v) for v in range(0, 250, 10)])
    content = whole.read_bytes()
    assert content.find(b"moov") > len(content) // 2  # the index is at the end
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) // 2])
    rule, reason = rule_of(cut)
    assert rule == "truncated_file"
    assert "its index (moov) can't be read" in reason


def test_an_address_that_leads_nowhere_is_named(tmp_path: Path):
    (tmp_path / "round.mp4").symlink_to(tmp_path / "round.mp4")
    rule, reason = rule_of(tmp_path / "round.mp4")
    assert rule == "unreadable_file"
    assert "Too many levels of symbolic links" in reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_is_named(tmp_path: Path):
    path = write_video(tmp_path / "locked.mp4", [level(50)])
    path.chmod(0)
    assert rule_of(path)[0] == "unreadable_file"
