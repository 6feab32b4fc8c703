import datetime as dt
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reelhouse.errors import ManifestError, SettingsError, StorageError
from reelhouse.sources import find_delivery, fingerprints, manifest_columns
from reelhouse.sources.media import inside

DAY = dt.date(2026, 1, 2)


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def sources(settings, **values):
    return settings.sources.model_copy(update={name: str(value) for name, value in values.items()})


def test_a_days_folder_holds_manifests_interactions_and_items_at_any_depth(settings, tmp_path):
    day = tmp_path / "d" / "2026-01-02"
    write(day / "manifest-a.csv", "file\na.mp4\n")
    write(day / "east" / "manifest.jsonl", '{"title": "x"}\n')
    write(day / "interactions.csv", "user_id,video_id,kind\n")
    write(day / "items.csv", "item_id\n")
    write(day / "labels" / "manifest.jsonl", "not a manifest: import_labels reads it")
    write(day / ".manifest.csv", "hidden")
    write(day / "manifest.csv.part", "unfinished")
    write(day / "a.mp4")
    write(day / "notes.txt")
    write(tmp_path / "d" / "2026-01-03" / "manifest.csv", "title\nlater\n")
    found = find_delivery(sources(settings, deliveries=tmp_path / "d"), DAY)
    assert [(f.kind, f.batch, f.folder) for f in found.files] == [
        ("interactions", "interactions.csv", str(day)),
        ("items", "items.csv", str(day)),
        ("videos", "manifest-a.csv", str(day)),
        ("videos", "east/manifest.jsonl", str(day / "east")),
    ]
    assert found.videos == ()
    assert found.notes == (f"1 files of {day} are neither video nor manifest*, interactions*, items* (.csv, .jsonl, .parquet): not read",)


def test_a_date_without_a_folder_is_a_day_without_data(settings, tmp_path):
    found = find_delivery(sources(settings, deliveries=tmp_path), DAY)
    assert (found.files, found.videos, fingerprints(found)) == ((), (), {})


def test_a_days_folder_of_videos_without_a_manifest_is_taken_as_a_bare_folder(settings, tmp_path):
    clip = write(tmp_path / DAY.isoformat() / "x" / "a.mp4")
    found = find_delivery(sources(settings, deliveries=tmp_path), DAY)
    assert found.videos == ((str(clip), str(tmp_path / DAY.isoformat())),)
    assert "has no manifest" in found.notes[0]


def test_a_bare_folder_is_scanned_for_videos_and_says_what_it_left_out(settings, tmp_path):
    for name in ("b.MOV", "a/c.webm", ".hidden.mp4", ".trash/d.mp4", "readme.txt", "e.mp4.part"):
        write(tmp_path / name)
    found = find_delivery(sources(settings, videos=tmp_path), DAY)
    assert [path for path, _ in found.videos] == [str(tmp_path / "b.MOV"), str(tmp_path / "a" / "c.webm")]
    assert found.notes == (f"{tmp_path}: 2 video files; 1 other and 3 hidden or unfinished files were left out",)


def test_a_folder_that_is_not_there_or_no_folder_is_named(settings, tmp_path):
    with pytest.raises(StorageError, match=f"sources.videos: there is no folder {tmp_path}/no"):
        find_delivery(sources(settings, videos=tmp_path / "no"), DAY)
    with pytest.raises(StorageError, match=r"sources.deliveries: .*/file is no folder"):
        find_delivery(sources(settings, deliveries=write(tmp_path / "file")), DAY)
    with pytest.raises(StorageError, match="mount it and give the path"):
        find_delivery(sources(settings, videos="s3a://bucket/x"), DAY)


def test_a_folder_that_may_not_be_read_is_named(settings, tmp_path, monkeypatch):
    write(tmp_path / "locked" / "a.mp4")
    real = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StorageError, match=f"the folder {tmp_path}/locked can't be read: Permission denied"):
        find_delivery(sources(settings, videos=tmp_path), DAY)


def test_no_source_at_all_is_an_error_that_says_what_to_give(settings):
    with pytest.raises(SettingsError, match="no source is set: wanted"):
        find_delivery(settings.sources, DAY)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "video_id,category\n", "none of the columns file, title, caption, hashtags, cover_text, asr_text is there"),
        ("m.csv", "titel\nx\n", "unknown column 'titel': did you mean 'title'.* Got the columns 'titel'"),
        ("m.csv", "title,Published At\nx,y\n", "unknown column 'Published At': did you mean 'published_at'"),
        ("m.csv", "title,title\nx,y\n", "column 'title' is there 2 times"),
        ("m.csv", "title,published_at\nx,soon\ny,later\n", "no value of column 'published_at' fits .2 looked at.. Row 1: "),
        ("m.jsonl", '{"title": {"a": 1}}\n{"title": ["b"]}\n', "column 'title' fits .2 looked at.. Row 1: title must be text, got dict"),
        ("m.jsonl", '{"titel": "a"}\n{"titel": "b"}\n', "unknown column 'titel': did you mean 'title'"),
        ("m.csv", "", "it is empty: wanted a first line"),
        ("m.parquet", "PAR1 no", "it is not a Parquet file"),
        ("m.xlsx", "x", "must end in .csv, .jsonl, .parquet"),
    ],
)  # fmt: skip
def test_a_manifest_with_wrong_columns_is_refused_as_a_whole(settings, tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(ManifestError, match=message) as error:
        find_delivery(sources(settings, manifest=path), DAY)
    assert str(path) in str(error.value)


def test_a_parquet_column_of_another_type_is_named_with_its_type(settings, tmp_path):
    pq.write_table(pa.table({"title": ["a"], "video_id": [1.5]}), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="column 'video_id' must be a string or an integer, got double"):
        find_delivery(sources(settings, manifest=tmp_path / "m.parquet"), DAY)


def test_a_missing_needed_column_and_a_missing_manifest_are_named(settings, tmp_path):
    write(tmp_path / DAY.isoformat() / "interactions.csv", "user_id,kind\nu,click\n")
    with pytest.raises(ManifestError, match=r"column 'video_id' is missing \(on which video\)"):
        find_delivery(sources(settings, deliveries=tmp_path), DAY)
    with pytest.raises(ManifestError, match="there is no manifest"):
        find_delivery(sources(settings, manifest=tmp_path / "no.csv"), DAY)


def test_fingerprints_change_with_the_manifest_and_with_the_files_it_names_only(settings, tmp_path):
    path = write(tmp_path / "m.csv", "file,title\na.mp4,x\n")
    clip = write(tmp_path / "a.mp4", "1")
    given = sources(settings, manifest=path)
    first = fingerprints(find_delivery(given, DAY))
    assert list(first) == ["videos:m.csv"]
    write(tmp_path / "other.mp4", "2")
    assert fingerprints(find_delivery(given, DAY)) == first
    write(clip, "12")
    second = fingerprints(find_delivery(given, DAY))
    clip.unlink()
    third = fingerprints(find_delivery(given, DAY))
    write(path, "file,title\na.mp4,y\n")
    assert len({*first.values(), *second.values(), *third.values(), *fingerprints(find_delivery(given, DAY)).values()}) == 4


def test_fingerprints_of_a_bare_folder_change_when_a_file_comes_or_changes(settings, tmp_path):
    write(tmp_path / "a.mp4", "1")
    given = sources(settings, videos=tmp_path)
    seen = [fingerprints(find_delivery(given, DAY))]
    write(tmp_path / "b.mp4", "1")
    seen.append(fingerprints(find_delivery(given, DAY)))
    os.utime(tmp_path / "a.mp4", ns=(1, 1))
    seen.append(fingerprints(find_delivery(given, DAY)))
    assert len({s["folder:videos"] for s in seen}) == 3


@pytest.mark.parametrize("path", ["../x.mp4", "a/../../x.mp4", "/etc/passwd", "..", ".", "link/x.mp4"])
def test_a_path_that_leaves_the_folder_is_outside(tmp_path, path):
    write(tmp_path / "x.mp4")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    assert inside(str(tmp_path / "in"), path) is None


def test_a_path_below_the_folder_is_inside_however_it_is_written(tmp_path):
    (tmp_path / "seen").symlink_to(tmp_path / "in")
    clip = write(tmp_path / "in" / "a" / "x.mp4")
    (tmp_path / "in" / "same").symlink_to(clip)
    for path in ("a/x.mp4", "./a/../a/x.mp4", str(clip)):
        assert inside(str(tmp_path / "seen"), path) == str(clip)
    assert inside(str(tmp_path / "in"), "same") == str(tmp_path / "in" / "same")


def test_every_column_that_may_be_delivered_is_explained():
    rows = manifest_columns()
    assert [r["column"] for r in rows if r["file"].startswith("manifest")] == [
        "video_id", "file", "title", "caption", "hashtags", "cover_text", "asr_text", "author_id", "published_at", "item_ids", "category",
    ]  # fmt: skip
    assert {(r["column"], r["needed"]) for r in rows if r["needed"] == "yes"} == {
        ("user_id", "yes"), ("video_id", "yes"), ("kind", "yes"), ("item_id", "yes"),
    }  # fmt: skip
    assert all(r["meaning"] and r["example"] for r in rows)
