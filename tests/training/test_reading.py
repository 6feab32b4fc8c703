import numpy as np
import pytest

from reelhouse.errors import TrainingError
from reelhouse.training import reading
from tests.training.one_rank import OneRank
from tests.training.planted import LAYOUT, write_snapshot


class Rank(OneRank):
    """One of several, seen alone: enough for what does not talk."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


def ids(shard):
    return [v for rows in reading.read(shard, LAYOUT) for v in rows["video_id"].tolist()]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_shards_of_all_ranks_are_the_snapshot_each_row_once(tmp_path, size):
    files = write_snapshot(tmp_path, 7, 4, 9)
    shards = [reading.open_shard(files, Rank(r, size), 20) for r in range(size)]
    read = [ids(shard) for shard in shards]
    assert sorted(v for part in read for v in part) == sorted(f"v{n}-{i:03d}" for n, rows in enumerate((7, 4, 9)) for i in range(rows))
    # what a rank expects of split train is what it gets
    splits = [[s for rows in reading.read(shard, LAYOUT) for s in rows["split"].tolist()].count("train") for shard in shards]
    assert splits == [shard.train_rows for shard in shards]
    assert [shard.is_empty for shard in shards] == [r >= 3 for r in range(size)]


def test_rows_come_with_the_right_shapes_and_values(tmp_path):
    shard = reading.open_shard(write_snapshot(tmp_path, 7), OneRank(), 7)
    (rows,) = reading.read(shard, LAYOUT)
    assert {n: v.shape for n, v in rows.items() if n not in ("video_id", "split")} == {
        "weight": (7,), "targets": (7, 3), "visual": (7, 12), "visual_mask": (7, 2), "text": (7, 5), "text_mask": (7, 1),
    }  # fmt: skip
    assert rows["targets"].sum(axis=1).tolist() == [1] * 7
    assert rows["visual"].dtype == np.float32


def test_files_that_hold_other_rows_than_the_snapshot_says_are_refused(tmp_path):
    files = write_snapshot(tmp_path, 5, 5)
    with pytest.raises(TrainingError, match="files hold 10 rows, the snapshot says 11: videos were taken down"):
        reading.open_shard(files, OneRank(), 11)
    with pytest.raises(TrainingError, match="the snapshot has no files"):
        reading.open_shard([], OneRank(), 0)


def test_a_lost_and_a_repeated_row_are_named(tmp_path):
    shard = reading.open_shard(write_snapshot(tmp_path, 5), OneRank(), 5)
    reading.check_seen(shard, OneRank(), [np.array(ids(shard)[::-1])], 1)
    with pytest.raises(TrainingError) as lost:
        reading.check_seen(shard, OneRank(), [np.array(["v0-000", "v0-001", "v0-003", "v0-004"])], 3)
    assert str(lost.value).startswith("epoch 3: the readers gave 4 rows, the snapshot holds 5: 1 missing ['v0-002'], 0 too many []")
    with pytest.raises(TrainingError, match=r"1 missing \['v0-004'\], 1 too many \['v0-000'\]"):
        reading.check_seen(shard, OneRank(), [np.array(["v0-000", "v0-000", "v0-001", "v0-002", "v0-003"])], 3)
