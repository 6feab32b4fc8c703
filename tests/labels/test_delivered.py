"""Delivered JSON-line files: which count, complete lines only, and chunks that keep line numbers."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.errors import StorageError
from reelhouse.labels.delivered import delivered_files, read_chunk

PathFactory = pytest.TempPathFactory
DAY = dt.date(2026, 1, 2)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_files_of_the_days_delivery_and_of_the_inbox_are_found_by_folder(tmp_path: Path) -> None:
    for name in ("in/2026-01-02/labels/b.jsonl", "in/2026-01-02/labels/a.jsonl", "in/2026-01-02/exports/e.jsonl", "box/labels/a.jsonl"):
        write(tmp_path / name, b"{}\n")
    for name in ("in/2026-01-01/labels/old.jsonl", "in/2026-01-02/labels/.part.jsonl", "in/2026-01-02/labels/notes.txt", "box/x.jsonl"):
        write(tmp_path / name, b"{}\n")
    files = delivered_files(str(tmp_path / "in"), str(tmp_path / "box"), DAY)
    assert [(f.folder, f.batch) for f in files] == [
        ("labels", "labels/a.jsonl"),
        ("labels", "labels/b.jsonl"),
        ("labels", "inbox/labels/a.jsonl"),
        ("exports", "exports/e.jsonl"),
    ]
    assert delivered_files("", "", DAY) == delivered_files(str(tmp_path / "nowhere"), "", DAY) == []


def test_a_half_written_last_line_is_left_for_next_time(tmp_path: Path) -> None:
    file = write(tmp_path / "labels/a.jsonl", b'{"a": 1}\r\n\n{"b"')
    half = delivered_files("", str(tmp_path), DAY)[0]
    assert [read_chunk(chunk) for chunk in half.chunks] == [[(1, b'{"a": 1}'), (2, b"")]]
    file.write_bytes(b'{"a": 1}\r\n\n')
    assert delivered_files("", str(tmp_path), DAY)[0].content == half.content, "what is not read does not count"
    file.write_bytes(b'{"a": 1}\r\n\n{"b": 2}\n')
    whole = delivered_files("", str(tmp_path), DAY)[0]
    assert whole.content != half.content
    assert read_chunk(whole.chunks[0])[-1] == (3, b'{"b": 2}')


def test_a_file_without_a_complete_line_holds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "labels/a.jsonl", b"")
    write(tmp_path / "labels/b.jsonl", b"{")
    assert [f.chunks for f in delivered_files("", str(tmp_path), DAY)] == [(), ()]


def test_the_last_line_of_a_delivered_file_needs_no_newline_and_one_of_the_inbox_does(tmp_path: Path) -> None:
    for name in ("in/2026-01-02/labels/a.jsonl", "box/labels/a.jsonl"):
        write(tmp_path / name, b'{"a": 1}\n{"b": 2}')
    write(tmp_path / "in/2026-01-02/labels/blank.jsonl", b"{}\n  ")
    given, blank, inbox = delivered_files(str(tmp_path / "in"), str(tmp_path / "box"), DAY, block_bytes=9)
    assert [pair for chunk in given.chunks for pair in read_chunk(chunk)] == [(1, b'{"a": 1}'), (2, b'{"b": 2}')]
    assert [pair for chunk in blank.chunks for pair in read_chunk(chunk)] == [(1, b"{}")]
    assert [pair for chunk in inbox.chunks for pair in read_chunk(chunk)] == [(1, b'{"a": 1}')]
    assert [file.is_unfinished for file in (given, blank, inbox)] == [False, False, True]
    assert given.content != inbox.content


LINES = st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"")), max_size=20)


@settings(deadline=None, max_examples=50)
@given(LINES, st.integers(1, 40))
def test_no_line_is_lost_or_renumbered_whatever_the_size_of_blocks(tmp_path_factory: PathFactory, lines: list, block: int) -> None:
    root = tmp_path_factory.mktemp("box")
    write(root / "labels/a.jsonl", b"".join(line + b"\n" for line in lines) + b"tail")
    chunks = delivered_files("", str(root), DAY, block_bytes=block)[0].chunks
    read = [pair for chunk in chunks for pair in read_chunk(chunk)]
    expected = [line.removeprefix(b"\xef\xbb\xbf") if i == 0 else line for i, line in enumerate(lines)]
    assert read == list(enumerate(expected, 1))


def test_a_file_that_changes_or_vanishes_while_it_is_read_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "labels/a.jsonl", b"{}\n")
    chunk = delivered_files("", str(tmp_path), DAY)[0].chunks[0]
    file.write_bytes(b"[]\n")
    with pytest.raises(StorageError, match=r"a\.jsonl was changed while it was read: run again"):
        read_chunk(chunk)
    file.unlink()
    with pytest.raises(StorageError, match=r"a\.jsonl could be listed but not read"):
        read_chunk(chunk)
