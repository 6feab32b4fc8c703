"""Find tags in tokens: an exact match of words, whatever way the tokeniser cut the tag itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reelhouse.tags.forms import joined


class TagMatcher:
    """Tags as a set of their prefixes: a walk from each token ends at the first piece that no tag begins with.

    A tag matches a run of tokens whose joined form is the tag's normal form, so a match begins and ends at token edges
    (`art` is not found in `party`) and 和平精英 is found whether it was cut into one token or two.
    """

    def __init__(self, tags: Mapping[str, str]) -> None:
        """tags: normal form -> tag_id."""
        self._ids = {tag: tag_id for tag, tag_id in tags.items() if tag}
        self._begun = {tag[:n] for tag in self._ids for n in range(1, len(tag))}

    def find(self, segments: Iterable[tuple[int, Sequence[str]]]) -> dict[str, tuple[int, int]]:
        """Tag -> (index of the first token of its first match, matches). Overlapping and nested matches all count.

        segments: (index of the first token, tokens), see reelhouse.text.segments; no match reaches over two.
        """
        found: dict[str, tuple[int, int]] = {}
        for offset, tokens in segments:
            for start in range(len(tokens)):
                for tag in self._from(tokens, start):
                    position, matches = found.get(tag, (offset + start, 0))
                    found[tag] = (position, matches + 1)
        return found

    def tag_id(self, tag: str) -> str:
        return self._ids[tag]

    def _from(self, tokens: Sequence[str], start: int) -> Iterable[str]:
        text = ""
        for index in range(start, len(tokens)):
            token = tokens[index]  # no slice: a text of 1 MB is one segment
            text = joined((text, token)) if text else token
            if text in self._ids:
                yield text
            if text not in self._begun:
                return
