"""How much of what a sample planted was found: rows for the closing table of a run on the sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from reelhouse.sample.truth import Truth

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    Tables = Callable[[str], DataFrame | None] | Mapping[str, DataFrame]

NOT_RUN = "not run"
HEAD, TAIL = 10, 4  # a class with so many videos or more is head; with fewer than so many, tail


@dataclass(frozen=True)
class Score:
    """`planted`: how many there are; `found`: how many of them were found, None where the step wrote nothing.
    `precision`: share of what was reported that is right (0..1); None where that has no meaning."""

    what: str
    planted: int
    found: int | None = None
    precision: float | None = None
    note: str = ""

    @property
    def recall(self) -> float | None:
        return None if self.found is None or not self.planted else self.found / self.planted


def score_sample(truth: Truth, tables: Tables) -> list[Score]:
    """Compare `truth` (cut it with `upto` to the dates that ran) with the tables, asked by name: whole tables or `*_current`.

    Only videos of the sample count. A table that is missing or empty gives rows that say `not run`.
    """
    reader = _Reader(truth, tables)
    return [
        *_refusals(truth, reader),
        _titles(truth, reader),
        _silence(truth, reader),
        _wordless(truth, reader),
        *_vectors_nonetheless(truth, reader),
        _copies(truth, reader),
        *_wrong_labels(truth, reader),
        *_tags(truth, reader),
        *_predictions(truth, reader),
    ]


class _Reader:
    """Newest row a key of a table, of the sample's videos only."""

    def __init__(self, truth: Truth, tables: Tables) -> None:
        self.ids = {v["video_id"] for v in truth.videos}
        self.ask: Callable[[str], DataFrame | None] = tables.get if isinstance(tables, Mapping) else tables

    def rows(self, name: str, columns: Iterable[str]) -> list[Row]:
        frame = self.ask(name)
        return [] if frame is None else frame.select(*columns, "data_date").orderBy("data_date", *columns).collect()

    def newest(self, name: str, key: list[str], columns: list[str]) -> list[Row]:
        frame = self.ask(name)
        if frame is None:
            return []
        found = {}
        for row in frame.select(*key, *columns, "data_date").orderBy("data_date", *key).collect():
            if "video_id" not in key or row["video_id"] in self.ids:
                found[tuple(row[k] for k in key)] = row
        return list(found.values())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _whole(truth: Truth) -> list[dict[str, Any]]:
    return [v for v in truth.videos if v["damage"] is None]


def _refusals(truth: Truth, reader: _Reader) -> list[Score]:
    broken = {v["video_id"] for v in truth.videos if v["damage"]}
    rows = reader.rows("ops.quarantine", ["table", "rule", "row_key", "row", "video_id"])
    names = ("broken files refused", "bad manifest rows refused", "labels outside the tree refused")
    if not rows:
        return [
            Score(name, planted, note=NOT_RUN)
            for name, planted in zip(names, (len(broken), len(truth.refused_rows), len(truth.unknown_labels)), strict=True)
        ]
    bad_rows = {(r["rule"], r["video_id"]) for r in truth.refused_rows}
    seen = {(r["rule"], r["video_id"]) for r in rows}
    videos = {
        r["video_id"] for r in rows if r["table"] != "bronze.label_events" and (r["rule"], r["video_id"]) not in bad_rows
    } & reader.ids
    said = "\n".join(f"{r['row_key']} {r['row']}" for r in rows if r["table"] == "bronze.label_events")
    return [
        Score(names[0], len(broken), len(broken & videos), _share(len(broken & videos), len(videos))),
        Score(names[1], len(bad_rows), len(bad_rows & seen)),
        Score(names[2], len(truth.unknown_labels), sum(e["event_id"] in said for e in truth.unknown_labels)),
    ]


def _titles(truth: Truth, reader: _Reader) -> Score:
    planted = {v["video_id"] for v in _whole(truth) if v["title_kind"] not in ("plain", "none")}
    whole = {v["video_id"] for v in _whole(truth)}
    rows = reader.newest("silver.video_text", ["video_id"], ["meaningless_reason"])
    if not rows:
        return Score("meaningless titles", len(planted), note=NOT_RUN)
    flagged = {r["video_id"] for r in rows if r["meaningless_reason"] not in (None, "", "empty")} & whole
    return Score("meaningless titles", len(planted), len(planted & flagged), _share(len(planted & flagged), len(flagged)))


def _silence(truth: Truth, reader: _Reader) -> Score:
    planted = {v["video_id"] for v in _whole(truth) if v["has_picture"] and not v["has_sound"]}
    rows = reader.newest("silver.videos", ["video_id"], ["has_audio", "status"])
    if not rows:
        return Score("videos without sound", len(planted), note=NOT_RUN)
    silent = {r["video_id"] for r in rows if not r["has_audio"] and r["status"] != "text_only"}
    return Score("videos without sound", len(planted), len(planted & silent), _share(len(planted & silent), len(silent)))


def _wordless(truth: Truth, reader: _Reader) -> Score:
    planted = {v["video_id"] for v in _whole(truth) if v["text"] == "none"}
    rows = reader.newest("silver.video_text", ["video_id"], ["is_meaningful"])
    if not rows:
        return Score("videos without words", len(planted), note=NOT_RUN)
    whole = {v["video_id"] for v in _whole(truth)}
    found = {r["video_id"] for r in rows if not r["is_meaningful"]} & whole
    return Score("videos without words", len(planted), len(planted & found), _share(len(planted & found), len(found)))


def _vectors_nonetheless(truth: Truth, reader: _Reader) -> list[Score]:
    """What lacks a modality must come out with a vector all the same."""
    pictured = [v for v in _whole(truth) if v["has_picture"]]
    lacking = {
        "videos without sound": [v for v in pictured if not v["has_sound"]],
        "videos without words": [v for v in pictured if v["text"] == "none"],
        "texts without a video": [v for v in _whole(truth) if not v["has_picture"]],
    }
    with_vector = {r["video_id"] for r in reader.newest("gold.embeddings", ["video_id"], [])}
    scores = []
    for name, videos in lacking.items():
        found = sum(v["video_id"] in with_vector for v in videos) if with_vector else None
        scores.append(Score(f"{name}: with a vector nonetheless", len(videos), found, note="" if with_vector else NOT_RUN))
    return scores


def _copies(truth: Truth, reader: _Reader) -> Score:
    families: dict[str, set[str]] = {}
    for copy in truth.copies:
        families.setdefault(copy["copy_of"], {copy["copy_of"]}).add(copy["video_id"])
    planted = _pairs(families.values())
    rows = reader.newest("silver.copies", ["video_id"], ["copy_group"])
    if not rows:
        return Score("pairs of near-copies", len(planted), note=NOT_RUN)
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(row["copy_group"], set()).add(row["video_id"])
    found = _pairs(groups.values())
    return Score("pairs of near-copies", len(planted), len(planted & found), _share(len(planted & found), len(found)))


def _pairs(groups: Iterable[set[str]]) -> set[tuple[str, str]]:
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def _wrong_labels(truth: Truth, reader: _Reader) -> list[Score]:
    wrong = {(w["video_id"], w["label_id"]): w["true_label_id"] for w in truth.wrong_labels}
    rows = reader.newest("gold.label_noise", ["video_id", "task", "label_id"], ["verdict", "score", "suggested_label_id"])
    if not rows:
        return [Score("wrong labels", len(wrong), note=NOT_RUN)]
    of = {(r["video_id"], r["label_id"]): r for r in rows}
    judged = wrong.keys() & of.keys()
    reported = {key for key, r in of.items() if r["verdict"] == "wrong"}
    found = wrong.keys() & reported
    first = sorted(of, key=lambda key: (-of[key]["score"], key))[: len(judged)]
    right = sum(of[key]["suggested_label_id"] == wrong[key] for key in found)
    return [
        Score("wrong labels", len(wrong), len(found), _share(len(found), len(reported)), f"{len(judged)} of them were judged"),
        Score("wrong labels among as many of the highest score", len(judged), sum(key in wrong for key in first)),
        Score("wrong labels found: right class suggested", len(found), right),
    ]


def _tags(truth: Truth, reader: _Reader) -> list[Score]:
    rows = reader.newest("gold.tag_library", ["tag_id"], ["tag", "state", "first_seen"])
    found = []
    for what, is_born in (("common phrases in the tag library", False), ("phrases born on the last day", True)):
        planted = {_plain(t["phrase"]) for t in truth.tags if t["is_born"] is is_born}
        if not planted:
            continue
        if not rows:
            found.append(Score(what, len(planted), note=NOT_RUN))
            continue
        known = {_plain(r["tag"]): r["state"] for r in rows if r["state"] in ("candidate", "active")}
        active = sum(known.get(phrase) == "active" for phrase in planted)
        found.append(Score(what, len(planted), len(planted & known.keys()), note=f"{active} of them active"))
    return found


def _plain(phrase: str) -> str:
    return "".join(phrase.lower().split())


def _predictions(truth: Truth, reader: _Reader) -> list[Score]:
    """Is the best label right, of videos that nobody labelled: by exact class, by top class, and by slice."""
    videos = [v for v in _whole(truth) if not v["is_labelled"]]
    serving = reader.rows("ops.serving", ["model_version"])
    rows = reader.newest("gold.predictions", ["video_id", "model_version", "task"], ["top"])
    versions = [r["model_version"] for r in serving[-1:]] or [r["model_version"] for r in rows[-1:]]
    best = {r["video_id"]: r["top"][0]["label_id"] for r in rows if r["top"] and r["model_version"] in versions and r["task"] == "category"}
    if not best:
        return [Score("class of unlabelled videos", len(videos), note=NOT_RUN)]
    counts = Counter(v["label_id"] for v in truth.videos)
    slices: dict[str, Callable[[dict[str, Any]], bool]] = {
        "": lambda v: True,
        ", head classes": lambda v: counts[v["label_id"]] >= HEAD,
        ", mid classes": lambda v: TAIL <= counts[v["label_id"]] < HEAD,
        ", tail classes": lambda v: counts[v["label_id"]] < TAIL,
        ", no sound": lambda v: v["has_picture"] and not v["has_sound"],
        ", no words": lambda v: v["text"] == "none",
        ", words only": lambda v: not v["has_picture"],
    }
    scores = []
    for name, belongs in slices.items():
        chosen = [v for v in videos if belongs(v)]
        right = sum(best.get(v["video_id"]) == v["label_id"] for v in chosen)
        scores.append(
            Score(f"class of unlabelled videos{name}", len(chosen), right, note=f"{sum(v['video_id'] in best for v in chosen)} predicted")
        )
    top = sum(best.get(v["video_id"], "").split(".")[0] == v["label_id"].split(".")[0] for v in videos)
    return [scores[0], Score("top class of unlabelled videos", len(videos), top), *(s for s in scores[1:] if s.planted)]
