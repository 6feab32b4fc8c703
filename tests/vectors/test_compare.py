import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.errors import VectorStoreError
from reelhouse.vectors import Difference, differences

SIDE = st.dictionaries(st.text(max_size=3), st.integers(0, 2), max_size=12)


def in_order(rows: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(rows.items(), key=lambda row: row[0].encode())


def test_each_kind_of_difference_is_told():
    wanted = [("a", 1), ("b", 2), ("d", 4), ("é", 5)]
    held = [("b", 2), ("c", 3), ("d", 9)]
    assert list(differences(wanted, held)) == [
        Difference("a", "missing"), Difference("c", "extra"), Difference("d", "different"), Difference("é", "missing"),
    ]  # fmt: skip


def test_equal_and_empty_sides_do_not_differ():
    assert list(differences([], [])) == []
    assert list(differences([("a", 1)], [("a", 1)])) == []


@given(wanted=SIDE, held=SIDE)
def test_agrees_with_set_differences(wanted, held):
    found = {(d.video_id, d.kind) for d in differences(in_order(wanted), in_order(held))}
    assert found == (
        {(i, "missing") for i in wanted.keys() - held.keys()}
        | {(i, "extra") for i in held.keys() - wanted.keys()}
        | {(i, "different") for i in wanted.keys() & held.keys() if wanted[i] != held[i]}
    )


@pytest.mark.parametrize("held", [[("b", 1), ("a", 1)], [("a", 1), ("a", 1)]])
def test_a_side_out_of_order_or_with_an_id_twice_is_an_error(held):
    with pytest.raises(VectorStoreError, match="Milvus listed 'a' after"):
        list(differences([], held))
