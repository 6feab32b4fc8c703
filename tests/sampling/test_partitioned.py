"""Density clusters on Spark are those of one machine, wherever the borders lie."""

from collections.abc import Callable

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn.metrics import adjusted_rand_score

from reelhouse.errors import VectorError
from reelhouse.features import as_lists
from reelhouse.sampling import NOISE, density_clusters
from reelhouse.sampling.partitioned import density_clusters_on_spark


@pytest.fixture
def clusters_of(spark: SparkSession) -> Callable:
    """clusters_of(vectors, minimum_size, values_a_part, partitions) -> labels (n,), density (n,), each by row."""
    kept: list[DataFrame] = []

    def keep(frame: DataFrame) -> DataFrame:
        kept.append(frame.persist())
        return frame

    def run(vectors: np.ndarray, minimum_size: int, values_a_part: int, partitions: int = 3) -> tuple[np.ndarray, np.ndarray]:
        import pyarrow as pa

        ids = [f"v{row:06d}" for row in range(len(vectors))]
        table = pa.table([pa.array(ids), as_lists(np.asarray(vectors, np.float32))], names=["video_id", "vector"])
        frame = spark.createDataFrame(table).repartition(partitions)
        found = density_clusters_on_spark(frame, minimum_size=minimum_size, keep=keep, values_a_part=values_a_part)
        rows = found.orderBy("video_id").collect()
        assert [row.video_id for row in rows] == ids
        assert all((row.cluster is None) == row.is_noise for row in rows)
        labels = [NOISE if row.cluster is None else row.cluster for row in rows]
        return np.array(labels), np.array([row.density for row in rows])

    yield run
    for frame in kept:
        frame.unpersist()


def test_many_parts_agree_with_one_machine_and_with_what_was_planted(planted: Callable, clusters_of: Callable) -> None:
    vectors, truth = planted(9000, 32, 30)
    here = density_clusters(vectors, minimum_size=10)
    labels, density = clusters_of(vectors, 10, 300 * 32)  # about 40 parts
    assert adjusted_rand_score(here.labels, labels) >= 0.97  # other cells: of neighbours one in ten is another
    assert adjusted_rand_score(truth, labels) >= 0.97
    assert np.abs(density - here.density).mean() <= 0.005
    assert ((labels == NOISE) == (here.labels == NOISE)).mean() >= 0.98


def test_how_rows_are_partitioned_changes_nothing(planted: Callable, clusters_of: Callable) -> None:
    vectors, _ = planted(1500, 16, 8)
    one, density = clusters_of(vectors, 5, 10**9, partitions=1)
    many, densities = clusters_of(vectors, 5, 100 * 16, partitions=7)
    assert adjusted_rand_score(one, many) == 1.0
    assert ((one == NOISE) == (many == NOISE)).all()
    assert density.tolist() == densities.tolist()


def test_copies_fill_cells_and_far_groups_are_joined(clusters_of: Callable) -> None:
    copies = np.concatenate([np.ones((300, 4)), np.zeros((200, 4))])
    assert clusters_of(copies, 5, 50 * 4)[0].tolist() in ([0] * 300 + [1] * 200, [1] * 300 + [0] * 200)
    rng = np.random.default_rng(0)
    far = np.concatenate([rng.normal(loc=(1000 * i, 0), size=(60, 2)) for i in range(4)])
    labels, _ = clusters_of(far, 10, 20 * 2)
    assert adjusted_rand_score(density_clusters(far, minimum_size=10).labels, labels) >= 0.95


def test_few_rows_and_rows_that_are_none(clusters_of: Callable) -> None:
    assert clusters_of(np.eye(3), 3, 100)[0].tolist() == [NOISE] * 3
    assert clusters_of(np.ones((6, 2)), 3, 100)[0].tolist() == [0] * 6
    with pytest.raises(ValueError, match="minimum_size must be at least 2 and no more than there are rows, got 3 and 2 rows"):
        clusters_of(np.eye(2), 3, 100)
    with pytest.raises(VectorError, match="not finite"):
        clusters_of(np.full((4, 2), np.nan), 3, 100)
