"""`make faults`: a full load into the real Milvus server, killed before and after every call that changes something there."""

from __future__ import annotations

import pytest

from reelhouse.vectors import EMBEDDING, VectorStore
from tests.faults.survived import survives
from tests.milvus_server import running_server
from tests.vectors.on_server import load_killed_at

CALLS = ("create_collection", "do_bulk_insert", "flush", "create_index", "load_collection", "rename_collection")


@survives(
    "a full load into Milvus is killed (SIGKILL) at any step",
    seconds=120,
    sees="searches go on with what was there before, whole",
    mends="the same command",
)
@pytest.mark.parametrize("in_place", [False, True], ids=["a new collection", "in place of an older one"])
def test_a_load_killed_anywhere_leaves_each_row_once_when_run_again_and_readers_see_no_gap(tmp_path, in_place):
    steps = [f"{call} {when}" for call in CALLS for when in ("before", "after")]
    # before a name is taken over the alias goes over; once it is, there is nothing to kill any more
    steps = [*steps[:2], "drop_collection after", *steps[2:-2], *(["alter_alias after"] if in_place else []), "rename_collection before"]
    with running_server(tmp_path / "milvus") as server:
        store = VectorStore(server.uri, "", "unused", 500, timeout_seconds=30)
        try:
            load_killed_at(server, store, tmp_path, steps, in_place=in_place)
            assert store.alias_of(EMBEDDING) == "video_embedding__f00d"
        finally:
            store.close()
