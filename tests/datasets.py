"""Labelled sets of shared/data as vectors: titles and captions as n-grams of characters, pictures as a pretrained network sees them."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from reelhouse.scratch import cache_folder

SHARED = Path(__file__).resolve().parents[2] / "shared"
TEXT_DIMENSION = 128
SMALLEST_CLASS = 20  # smaller ones can't be split into parts for learning and for testing


@dataclass(frozen=True)
class Labelled:
    """vectors (n, d) float32, rows of length 1 (0 where a text is empty); classes (n,) int64 from 0."""

    vectors: np.ndarray
    classes: np.ndarray


def tool(name: str) -> ModuleType:
    """A module of shared/tools."""
    spec = importlib.util.spec_from_file_location(name, SHARED / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def labelled(name: str) -> Labelled:
    """One of TEXTS, or `cifar10n`. Made once: kept in the cache folder until this file or its source changes."""
    sources = sorted(path for path in (SHARED / "data" / name).iterdir() if path.is_file())
    state = "".join(f"{path.name} {path.stat().st_size} " for path in sources) + Path(__file__).read_text(encoding="utf-8")
    kept = cache_folder() / "labelled" / f"{name}-{hashlib.sha256(state.encode()).hexdigest()[:12]}.npz"
    if not kept.exists():
        made = _pictures() if name == "cifar10n" else _texts(TEXTS[name])
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, vectors=made.vectors, classes=made.classes)
    with np.load(kept) as found:
        return Labelled(found["vectors"], found["classes"])


def _json_lines(folder: str, *files: str) -> Iterator[tuple[str, str]]:
    for file in files:
        with (SHARED / "data" / folder / f"{file}.json").open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                yield row["sentence"], row.get("label_desc") or row["label_des"]


def _rows(folder: str, file: str) -> Iterator[dict[str, str]]:
    with (SHARED / "data" / folder / file).open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _kuairec() -> Iterator[tuple[str, str]]:
    for row in _rows("kuairec", "videos.csv"):
        parts = [row[name] for name in ("manual_cover_text", "caption", "topic_tag") if row[name] not in ("", "UNKNOWN", "[]")]
        if parts and row["first_level_category_name"] != "UNKNOWN":
            yield " ".join(parts), row["first_level_category_name"]


def _youtube() -> Iterator[tuple[str, str]]:
    once = {row["video_id"]: row for row in _rows("youtube_trending_us", "USvideos.csv")}
    yield from ((f"{row['title']} {row['channel_title']}", row["category_id"]) for row in once.values())


TEXTS: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "tnews": lambda: _json_lines("tnews", "titles"),
    "fewclue_iflytek": lambda: _json_lines("fewclue_iflytek", "dev_few_all", "train_few_all"),
    "kuairec": _kuairec,
    "youtube_trending_us": _youtube,
}


def _texts(source: Callable[[], Iterator[tuple[str, str]]]) -> Labelled:
    """TF-IDF of 1 to 3 characters -> SVD 128 -> length 1, of the classes that are large enough."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts, names = zip(*source(), strict=True)
    _, number, sizes = np.unique(names, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(sizes[number] >= SMALLEST_CLASS)
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True).fit_transform([texts[i] for i in kept])
    vectors = TruncatedSVD(TEXT_DIMENSION, random_state=0).fit_transform(words)
    return Labelled(_of_length_one(vectors), np.unique(number[kept], return_inverse=True)[1])


def _pictures() -> Labelled:
    """The training pictures of cifar10n, enlarged to 224, by EfficientNet-Lite0, with their clean labels."""
    import cv2

    from reelhouse.video.encoders import encode, encoder_file, session_of

    session = session_of(encoder_file("efficientnet-lite0", cache_folder()).path.read_bytes())
    with np.load(SHARED / "data" / "cifar10n" / "images.npz") as stored:
        content, ends, learned = stored["jpeg_bytes"], stored["offsets"], ~stored["is_test"]
        classes = stored["label"][learned].astype(np.int64)
    vectors = []
    for row in np.flatnonzero(learned).tolist():
        picture = cv2.cvtColor(cv2.imdecode(content[ends[row] : ends[row + 1]], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        vectors.append(encode(session, cv2.resize(picture, (224, 224), interpolation=cv2.INTER_CUBIC)[None])[0])
    return Labelled(_of_length_one(np.stack(vectors)), classes)


def _of_length_one(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)
