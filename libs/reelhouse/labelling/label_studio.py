"""What Label Studio imports: a labelling configuration (XML) and tasks with pre-filled predictions (JSON).

Formats: labelstud.io/tags/taxonomy (Taxonomy, Choice with `alias`, which is what results hold), labelstud.io/guide/predictions
(`data`, `predictions` with `result`), labelstud.io/guide/storage (files below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT are named
`/data/local-files/?d=<path below it>`). Results name labels by id, so that a tree whose names change meanwhile still reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from reelhouse.labelling.queue import QueuedVideo, suggested
from reelhouse.labels import Taxonomy
from reelhouse.labels.exchange import NOT_THIS

LABEL = "label"
_PICTURE = "sheet"  # the object that both controls are about
_ILLEGAL = {code: None for code in range(32) if code not in (9, 10, 13)}  # characters that XML can't hold


def labelling_config(tree: Taxonomy) -> str:
    """The project's labelling interface: the sheet, title and texts, and two trees, `label` (one choice) and `not` (any number)."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="$title", size="4")
    ElementTree.SubElement(view, "Image", name=_PICTURE, value="$sheet")
    ElementTree.SubElement(view, "Text", name="words", value="$words", selectionEnabled="false")
    ElementTree.SubElement(view, "Text", name="about", value="$about", selectionEnabled="false")
    for name, heading, most in ((LABEL, "What is it?", "1"), (NOT_THIS, "What is it certainly not?", None)):
        ElementTree.SubElement(view, "Header", value=heading, size="5")
        control = ElementTree.SubElement(view, "Taxonomy", name=name, toName=_PICTURE, showFullPath="true", pathSeparator=" / ")
        if most:
            control.set("maxUsages", most)
        for label_id in tree.ids:
            if tree.parent(label_id) is None:
                _add_choice(control, tree, label_id)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def tasks(videos: Sequence[QueuedVideo], sheets: Sequence[str], tree: Taxonomy) -> list[dict[str, Any]]:
    """One task a video of the tree. sheets: of each the picture's path below Label Studio's document root.

    Every field that the configuration names is there, also where it says nothing. A video's task carries one prediction, the model's
    first suggestion by the tree as it is (see queue.suggested).
    """
    return [_task(video, sheet, tree) for video, sheet in zip(videos, sheets, strict=True)]


def _task(video: QueuedVideo, sheet: str, tree: Taxonomy) -> dict[str, Any]:
    suggestions = suggested(video, tree)
    said = ", ".join(f"{one.path} {one.probability:.0%}" for one in suggestions)
    data = {
        "video_id": video.video_id,
        "task": video.task,
        "sheet": "/data/local-files/?d=" + quote(sheet),
        "title": video.title or video.video_id,
        "words": "\n".join(f"{what}: {words}" for what, words in video.texts) or "(no text)",
        "about": f"Chosen because: {video.reason}" + (f"\nThe model suggests: {said}" if said else ""),
        "file": video.uri or "",
    }
    task: dict[str, Any] = {"data": data}
    if suggestions:
        best = suggestions[0]
        result = {
            "id": hashlib.sha256(f"{video.task}\0{video.video_id}".encode()).hexdigest()[:10],
            "type": "taxonomy",
            "from_name": LABEL,
            "to_name": _PICTURE,
            "value": {"taxonomy": [[*reversed(tree.ancestors(best.label_id)), best.label_id]]},
        }
        task["predictions"] = [{"model_version": "reelhouse", "score": round(best.probability, 4), "result": [result]}]
    return task


def _add_choice(above: ElementTree.Element, tree: Taxonomy, label_id: str) -> None:
    choice = ElementTree.SubElement(above, "Choice", value=tree.name(label_id).translate(_ILLEGAL), alias=label_id)
    aliases = ", ".join(tree.aliases(label_id)).translate(_ILLEGAL)
    if aliases:
        choice.set("hint", aliases)
    for child in tree.children(label_id):
        _add_choice(choice, tree, child)
