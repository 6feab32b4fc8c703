"""Texts of videos: cleaning, what says nothing, tokens, vectors. Plain functions; `frames` runs them on Spark."""

from reelhouse.text.cleaning import CleanText, Noise, clean, clean_hashtags, scrub
from reelhouse.text.encoder import TextEncoder
from reelhouse.text.meaning import meaningless_reason
from reelhouse.text.tokens import language_of, segments, tokenize

__all__ = [
    "CleanText", "Noise", "TextEncoder", "clean", "clean_hashtags", "language_of", "meaningless_reason", "scrub", "segments", "tokenize",
]  # fmt: skip
