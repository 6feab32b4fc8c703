"""Density clusters on Spark: as reelhouse.sampling.density finds them, with no process that holds all vectors.

Vectors are partitioned by cells of a k-means. A part is given its own cells and those near its border, so that no neighbour across a
border is lost; of the edges that it finds only those of their own spanning tree are kept (an edge that closes a circle among some
edges closes one among all). What is left, about two edges a row, is joined on the driver, which so holds some numbers a row and few
vectors: those that the cells are made from, and at most 8,192 that stand for parts of the graph that are not connected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reelhouse.features import as_lists, as_matrix, to_numpy
from reelhouse.sampling.candidates import place_at_most
from reelhouse.sampling.cells import TRAINED_ON_A_CELL, near_cells, nearest_centre, splits_of, train_centres, wanted_cells
from reelhouse.sampling.density import NOISE, clusters_of_tree, core_distances, neighbours_a_row
from reelhouse.sampling.neighbours import check_vectors, nearest_among
from reelhouse.sampling.partition import kmeans_parts
from reelhouse.sampling.spanning import grow, join, reach

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    Keep = Callable[[DataFrame], DataFrame]

CLUSTERED = "video_id string, cluster int, density double, is_noise boolean"
# Values of a part's own vectors: 128 MB. With its borders a worker holds about three times that.
VALUES_A_PART = 2**25
# Values of the vectors that the cells are made from, on the driver: 512 MB.
_VALUES_TRAINED_ON = 2**27
_FOUND = "number int, video_id string, neighbours array<int>, distances array<float>, core float"
_EDGES = "source int, target int, length float"
_ROWS_GROWN = 2**17  # rows of whose edges a tree is kept at once


def density_clusters_on_spark(vectors: DataFrame, *, minimum_size: int, keep: Keep, values_a_part: int = VALUES_A_PART) -> DataFrame:
    """The columns of CLUSTERED for every row of `vectors`: video_id, unique, and vector, array<float>, all of one length, none null.

    minimum_size as in density_clusters; cluster is 0, 1, ..., null for noise. keep: gives a frame that is computed once and held while
    the result is in use, such as Run.keep. The same rows give the same clusters, however they are partitioned.
    ValueError for fewer than minimum_size rows, VectorError for vectors of other lengths or with NaN.
    """
    rows = vectors.count()
    if minimum_size < 2 or rows < minimum_size:
        raise ValueError(f"minimum_size must be at least 2 and no more than there are rows, got {minimum_size} and {rows} rows")
    celled, plan = _celled(vectors, rows, min(neighbours_a_row(rows, minimum_size), rows - 1), keep, values_a_part)
    found = keep(_neighbours(celled, plan, minimum_size))
    cores = _by_number(found.select("number", "core"), rows)

    def vectors_of(numbers: np.ndarray) -> np.ndarray:
        wanted = vectors.sparkSession.createDataFrame([(n,) for n in numbers.tolist()], "number int")
        named = found.select("number", "video_id").join(wanted, on="number", how="left_semi").withColumnRenamed("number", "n")
        ids, matrix = to_numpy(celled.join(named, on="video_id", how="inner").selectExpr("lpad(n, 10, '0') AS video_id", "vector"))
        return matrix[np.searchsorted(ids.astype(np.int64), numbers)]

    tree = join(*_own_trees(found, cores), cores, vectors_of)
    labels, _ = clusters_of_tree(*tree, minimum_size)
    return _labelled(found, labels)


@dataclass(frozen=True)
class _Plan:
    """count: neighbours a row. begins (c + 1,): rows of cell i are numbered from begins[i] to begins[i + 1]; near: of each cell it and
    those near it; part (c,): which part it belongs to; given: the parts that see it."""

    count: int
    begins: np.ndarray
    near: list[np.ndarray]
    part: np.ndarray
    given: list[list[int]]


def _celled(vectors: DataFrame, rows: int, count: int, keep: Keep, values_a_part: int) -> tuple[DataFrame, _Plan]:
    """Every row with its cell, and how cells are dealt out."""
    from pyspark.sql import functions as F

    centres = _centres(vectors, rows)
    raw = keep(_with_cell(vectors, centres))
    sizes = _sizes(raw, len(centres))
    splits = np.array([splits_of(size, rows) for size in sizes.tolist()])  # 0 of an empty cell
    deal = [(cell, int(begin), int(n)) for cell, (begin, n) in enumerate(zip(np.cumsum(splits) - splits, splits, strict=True))]
    dealt = F.broadcast(vectors.sparkSession.createDataFrame(deal, "cell int, begin int, splits int"))
    cell = "int(begin + pmod(xxhash64(video_id), splits)) AS cell"
    celled = raw.join(dealt, on="cell", how="inner").selectExpr("video_id", "vector", cell)
    centres = np.repeat(centres, splits, axis=0)
    sizes = _sizes(celled, len(centres))
    near = [cells[sizes[cells] > 0] for cells in near_cells(centres, sizes, count + 1)]
    part = _parts(centres, sizes, max(1, values_a_part // centres.shape[1]))
    given: list[set[int]] = [set() for _ in near]
    for owner, cells in zip(part.tolist(), near, strict=True):
        for other in cells.tolist():
            given[other].add(owner)
    return celled, _Plan(count, np.concatenate([[0], np.cumsum(sizes)]), near, part, [sorted(parts) for parts in given])


def _centres(vectors: DataFrame, rows: int) -> np.ndarray:
    first = vectors.select("vector").head()
    assert first is not None
    wanted = wanted_cells(rows)
    most = min(wanted * TRAINED_ON_A_CELL, max(wanted, _VALUES_TRAINED_ON // max(len(first.vector), 1)))
    fits, _ = place_at_most(vectors.select("video_id"), most)
    return train_centres(to_numpy(vectors.where(fits))[1], wanted)


def _with_cell(vectors: DataFrame, centres: np.ndarray) -> DataFrame:
    shipped = vectors.sparkSession.sparkContext.broadcast(centres)

    def over(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        _one_thread()
        for batch in batches:
            matrix = check_vectors(as_matrix(batch["vector"], shipped.value.shape[1]))
            cells = pa.array(nearest_centre(matrix, shipped.value))
            yield pa.RecordBatch.from_arrays([batch["video_id"], as_lists(matrix), cells], ["video_id", "vector", "cell"])

    return vectors.select("video_id", "vector").mapInArrow(over, "video_id string, vector array<float>, cell int")


def _sizes(celled: DataFrame, cells: int) -> np.ndarray:
    counts = celled.groupBy("cell").count().toArrow()
    sizes = np.zeros(cells, np.int64)
    sizes[counts["cell"].to_numpy()] = counts["count"].to_numpy()
    return sizes


def _parts(centres: np.ndarray, sizes: np.ndarray, rows_a_part: int) -> np.ndarray:
    """Part of each cell, (c,): cells that lie near each other, of at most rows_a_part rows unless a single one holds more."""
    groups, _ = kmeans_parts(np.ascontiguousarray(centres), max(1, min(len(centres), -(-int(sizes.sum()) // rows_a_part))), 1)
    part, number, filled, last = np.zeros(len(centres), np.int64), -1, 0, -1
    for cell in np.argsort(groups, kind="stable").tolist():
        if groups[cell] != last or filled + sizes[cell] > rows_a_part:
            number, filled, last = number + 1, 0, groups[cell]
        part[cell] = number
        filled += int(sizes[cell])
    return part


def _neighbours(celled: DataFrame, plan: _Plan, minimum_size: int) -> DataFrame:
    """The columns of _FOUND for every row: its nearest others among the cells near its own."""
    from pyspark.sql import functions as F

    shipped = celled.sparkSession.sparkContext.broadcast(plan)

    def deal(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            given = [shipped.value.given[cell] for cell in batch["cell"].to_pylist()]
            rows = pa.array(np.repeat(np.arange(len(given)), [len(parts) for parts in given]))
            parts = pa.array(np.array([part for parts in given for part in parts], np.int32))
            yield pa.RecordBatch.from_arrays([parts, *(batch[name].take(rows) for name in names)], ["part", *names])

    def find(table: pa.Table) -> pa.Table:
        _one_thread()
        return _of_part(table, shipped.value, minimum_size)

    names = ["video_id", "vector", "cell"]
    dealt = celled.select(*names).mapInArrow(deal, "part int, video_id string, vector array<float>, cell int")
    parts = int(plan.part.max()) + 1
    return dealt.repartition(parts, F.col("part")).groupBy("part").applyInArrow(find, _FOUND)


def _of_part(table: pa.Table, plan: _Plan, minimum_size: int) -> pa.Table:
    import pyarrow as pa

    part = table["part"][0].as_py()
    table = table.sort_by([("cell", "ascending"), ("video_id", "ascending")]).combine_chunks()
    cells = table["cell"].to_numpy()
    lists = table["vector"].combine_chunks()
    vectors = as_matrix(lists, int(lists.value_lengths()[0].as_py()))
    there, begins, sizes = np.unique(cells, return_index=True, return_counts=True)
    rows_of = {cell: np.arange(at, at + n) for cell, at, n in zip(there.tolist(), begins.tolist(), sizes.tolist(), strict=True)}
    numbers = plan.begins[cells] + np.arange(len(cells)) - np.repeat(begins, sizes)
    own = [cell for cell in there.tolist() if plan.part[cell] == part]
    rows, near, far = [], [], []
    for cell in own:
        among = np.sort(np.concatenate([rows_of[other] for other in plan.near[cell].tolist()]))
        distances, found = nearest_among(vectors, rows_of[cell], among, plan.count)
        rows.append(rows_of[cell])
        near.append(found)
        far.append(distances)
    mine, distances = np.concatenate(rows), np.concatenate(far)
    cores = core_distances(distances, minimum_size).astype(np.float32)
    return pa.table(
        [
            pa.array(numbers[mine].astype(np.int32)),
            table["video_id"].take(pa.array(mine)),
            as_lists(numbers[np.concatenate(near)].astype(np.int32)),
            as_lists(distances.astype(np.float32)),
            pa.array(cores),
        ],
        names=["number", "video_id", "neighbours", "distances", "core"],
    )


def _by_number(frame: DataFrame, rows: int) -> np.ndarray:
    """The second column in order of the first, which numbers all rows."""
    table = frame.toArrow()
    values = np.empty(rows, np.float32)
    values[table.column(0).to_numpy()] = table.column(1).to_numpy()
    return values


def _own_trees(found: DataFrame, cores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges that are left when each lot of rows keeps those of its own spanning tree: source, target, length."""
    shipped = found.sparkSession.sparkContext.broadcast(cores)

    def over(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        lot: list[pa.RecordBatch] = []
        for batch in batches:
            lot.append(batch)
            if sum(one.num_rows for one in lot) >= _ROWS_GROWN:
                yield _tree_of(lot, shipped.value)
                lot = []
        if lot:
            yield _tree_of(lot, shipped.value)

    edges = found.select("number", "neighbours", "distances").mapInArrow(over, _EDGES).toArrow()
    return edges["source"].to_numpy(), edges["target"].to_numpy(), edges["length"].to_numpy()


def _tree_of(lot: list[pa.RecordBatch], cores: np.ndarray) -> pa.RecordBatch:
    import pyarrow as pa

    table = pa.Table.from_batches(lot).combine_chunks()
    lists = table["neighbours"].combine_chunks()
    source = np.repeat(table["number"].to_numpy(), lists.value_lengths().to_numpy())
    target, distances = lists.flatten().to_numpy(), table["distances"].combine_chunks().flatten().to_numpy()
    length = reach(cores, source, target, distances)
    rows, ends = np.unique(np.concatenate([source, target]), return_inverse=True)
    a, b, length, _ = grow(np.arange(len(rows)), ends[: len(source)], ends[len(source) :], length)
    columns = [rows[a].astype(np.int32), rows[b].astype(np.int32), length.astype(np.float32)]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], ["source", "target", "length"])


def _labelled(found: DataFrame, labels: np.ndarray) -> DataFrame:
    shipped = found.sparkSession.sparkContext.broadcast(labels.astype(np.int32))

    def over(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            cluster = shipped.value[batch["number"].to_numpy()]
            density = 1 / (1 + batch["core"].to_numpy().astype(np.float64))
            is_noise = cluster == NOISE
            columns: list[Any] = [batch["video_id"], pa.array(cluster, mask=is_noise), pa.array(density), pa.array(is_noise)]
            yield pa.RecordBatch.from_arrays(columns, ["video_id", "cluster", "density", "is_noise"])

    return found.select("number", "video_id", "core").mapInArrow(over, CLUSTERED)


def _one_thread() -> None:
    """Tasks run side by side, one a core."""
    import faiss

    faiss.omp_set_num_threads(1)
