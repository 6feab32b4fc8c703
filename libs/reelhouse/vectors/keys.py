"""Video ids as Milvus' primary keys: without quotes and backslashes, in the same order.

pymilvus 3.0.2 puts keys unescaped into its expressions (get, delete by ids, the cursor of a listing), and milvus-lite 2.5.1 into
the SQL of its upsert and delete: there `it's` is a syntax error, and `x'] or video_id not in ['y` is every row.
"""

from __future__ import annotations

import re

# Each such character becomes its predecessor and 1, and the predecessor itself that and 0, so that the order of bytes stays.
_WRITTEN = {"!": "!0", '"': "!1", "&": "&0", "'": "&1", "[": "[0", "\\": "[1"}
_READ = {written: letter for letter, written in _WRITTEN.items()}
_TABLE = str.maketrans(_WRITTEN)
_PAIR = re.compile(r"[!&\[][01]")
GROWTH = 2  # a key has at most so many times the bytes of its id


def key_of(video_id: str) -> str:
    return video_id.translate(_TABLE)


def id_of(key: str) -> str:
    return _PAIR.sub(lambda pair: _READ[pair[0]], key)
