import os
import tempfile
from pathlib import Path

import pytest

from reelhouse import scratch
from reelhouse.errors import StorageError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(scratch, "FOLDER_BYTES_MAX", 200)  # a test's folder has a long path
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("REELHOUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", "")
    return tmp_path / "cache"


def age(path: Path, hours: float) -> None:
    then = path.stat().st_mtime - hours * 3600
    os.utime(path, (then, then))


def test_temporary_files_of_this_process_and_its_children_lie_in_the_cache_folder(cache: Path):
    scratch.use_cache_folder()
    assert (tempfile.gettempdir(), os.environ["TMPDIR"]) == (f"{cache}/tmp", f"{cache}/tmp")
    assert Path(tempfile.mkdtemp()).parent == cache / "tmp"


def test_a_temporary_folder_of_the_users_own_stays(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    scratch.use_cache_folder()
    assert tempfile.gettempdir() == str(tmp_path)
    assert not cache.exists()


def test_a_folder_too_deep_for_a_socket_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scratch, "FOLDER_BYTES_MAX", len(str(cache)) + 3)
    scratch.use_cache_folder()
    assert not cache.exists()
    assert os.environ["TMPDIR"] == ""


def test_a_cache_folder_that_can_not_be_made_is_named(cache: Path):
    cache.write_text("a file")
    with pytest.raises(StorageError, match=r"the folder for temporary files, .*/cache/tmp, can't be made: .*Set REELHOUSE_CACHE or TMPDIR"):
        scratch.use_cache_folder()


def test_what_killed_runs_left_goes_after_a_day_and_what_is_written_to_stays(cache: Path):
    folder = cache / "tmp"
    for name in ("killed/deep", "alive/deep", "new/deep"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("x")
    (folder / "log").write_text("x")
    for name in ("killed/deep/file", "killed/deep", "killed", "alive/deep", "alive", "log"):
        age(folder / name, 25)
    scratch.use_cache_folder()
    assert sorted(p.name for p in folder.iterdir()) == ["alive", "new"]
    assert (folder / "alive/deep/file").read_text() == "x"
