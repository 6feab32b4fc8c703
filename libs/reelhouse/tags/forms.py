"""Normal forms of phrases, their ids, and the words that carry no topic."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from reelhouse.text import scrub, tokenize
from reelhouse.text.cleaning import HAN

BREAK = "\n"  # a token that no phrase reaches over
LONGEST_TAG = 64  # characters; longer phrases are sentences

_HAN = re.compile(f"[{HAN}]")

_WITHOUT_TOPIC = """
的 了 是 在 我 你 他 她 它 们 我们 你们 他们 她们 这 那 这个 那个 这些 那些 这样 那样 这么 那么 一个 一 个
和 与 及 或 而 且 就 都 也 还 又 很 太 最 更 不 没 没有 有 要 会 能 可以 可 吗 呢 吧 啊 呀 哦 嗯 把
被 给 让 向 从 到 对 为 以 于 等 着 过 地 得 之 其 所 因为 所以 但 但是 如果 什么 怎么 怎样 如何 谁 哪
哪里 几 多少 自己 大家 上 下 中 里 后 前 时 去 来 说 做 想 看 用 好 真 真的 请 再 才 只 只是 只有 已
已经 正在 还是 就是 不是 而且 并 并且 虽然 然后 于是 啦 嘛 哈 喔 哎 咱 您 别 每 各 某 一下 一些 一样 一起
一直 一定 有点 现在 今天 时候 知道 觉得 起来 出来 下来 什么样 为什么 多 少 人
a an the and or but nor of to in on at by for from with without into onto over under about as is are was were be been being am do
does did done have has had having i me my mine we us our ours you your yours he him his she her hers it its they them their theirs
this that these those there here who whom whose which what when where why how not no yes so if then than too very just only also
can could will would shall should may might must up down out off again while between even using two more most some any all each
every both few other such own same s t don now via vs per
"""
STOP_WORDS = frozenset(_WITHOUT_TOPIC.split())


def joined(tokens: Iterable[str]) -> str:
    """Tokens as they are written: no blank beside a Chinese character, else one (`iphone手机`, `new york`)."""
    text = ""
    for token in tokens:
        if text and not (_HAN.match(token[0]) or _HAN.match(text[-1])):
            text += " "
        text += token
    return text


def normal_form(text: str) -> str:
    """The form in which two spellings of one phrase meet: NFKC, lower case, words as the tokeniser cuts them. May be empty."""
    return joined(tokenize(scrub(text)))


def tag_id(normal: str) -> str:
    """Stable id of a tag: 16 hex digits of SHA-256 of its normal form."""
    return hashlib.sha256(normal.encode("utf-8", "replace")).hexdigest()[:16]


def is_break(token: str) -> bool:
    return not any(c.isalnum() for c in token)


def with_breaks(parts: Sequence[tuple[int, Sequence[str]]], leave_out: frozenset[str] = frozenset()) -> list[str]:
    """Segments of a text (reelhouse.text.segments) as one token list with BREAK between; segments whose phrase is in
    `leave_out` (the video's own hashtags) are dropped."""
    tokens: list[str] = []
    for _, segment in parts:
        if joined(segment) not in leave_out:
            tokens.extend([BREAK, *segment] if tokens else segment)
    return tokens
