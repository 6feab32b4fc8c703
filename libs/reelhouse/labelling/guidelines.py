"""The page that tells annotators what is asked: the label tree, and how to answer. Markdown, made from the tree."""

from __future__ import annotations

import re

from reelhouse.labels import Taxonomy

_HEAD = """# Guidelines: {task}

Say of each video what it is, with one label of the tree below.

- **Yes**: the video is mainly about this. Choose the lowest label that you are sure of; a label says yes to all labels above it.
  Where no label below it fits, a label of a higher level is a right answer.
- **Not this label**: the video is certainly not about it, and not about anything below it. That helps too when you don't know what it is.
- **Can't say**: it can't be told from picture, sound and text, or two labels fit equally well. Rather this than a guess.

One label a video: what most of it shows decides, not a thing at its edge. Picture and sound count more than the title, which may mislead.
A suggestion is what a model holds likely; it is there to be wrong. Your newest answer about a video counts.

## Labels

"""
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~-])")


def guidelines(tree: Taxonomy) -> str:
    """The page. Names and aliases stand in it as they are written, whatever they hold."""
    lines = []
    for label_id in tree.ids:
        if tree.parent(label_id) is None:
            lines += _branch(tree, label_id, 0)
    return _HEAD.format(task=_plain(tree.task)) + "\n".join(lines) + "\n"


def _branch(tree: Taxonomy, label_id: str, depth: int) -> list[str]:
    aliases = ", ".join(_plain(alias) for alias in tree.aliases(label_id))
    line = f"{'  ' * depth}- **{_plain(tree.name(label_id))}** `{label_id.replace('`', '')}`" + (f" (also: {aliases})" if aliases else "")
    return [line, *(below for child in tree.children(label_id) for below in _branch(tree, child, depth + 1))]


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
