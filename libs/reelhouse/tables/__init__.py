"""Every table and view of the lakehouse: the one place that states columns, types, units, comments, keys, partitioning.

`tables.PREDICTIONS` is a table; `ALL` maps names to tables; `VIEWS` lists views in the order in which they can be made.
Each table whose key ends in data_date has a view `<name>_current`: the newest row a key, without videos taken down.
"""

from reelhouse.tables import annotators, bronze, gold, label_queue, ops, questions, silver
from reelhouse.tables.annotators import ANNOTATOR_CONFUSION, ANNOTATORS, LABEL_AGREEMENT
from reelhouse.tables.bronze import DELETIONS, INTERACTIONS, ITEMS, LABEL_EVENTS, LABEL_EXPORTS, TAG_REVIEWS, VIDEO_ARRIVALS
from reelhouse.tables.gold import (
    ACTIVE_BATCH,
    CLUSTER_DAYS,
    CLUSTERS,
    COMPARISONS,
    EMBEDDINGS,
    EVALUATIONS,
    HASHES,
    ITEM_LABEL_MAP,
    LABEL_NOISE,
    LOSS_HISTORY,
    PREDICTIONS,
    SAMPLE_BATCH,
    SNAPSHOTS,
    TAG_CANDIDATES,
    TAG_LIBRARY,
    TAG_PATTERNS,
    TRAINING_EXAMPLES,
    VIDEO_TAGS,
)
from reelhouse.tables.ops import PROMOTIONS, QUARANTINE, REFUSED, REFUSED_CHARACTERS_MAX, RUNS, SERVING, VECTOR_LOADS
from reelhouse.tables.schema import Column, Table, View, column
from reelhouse.tables.silver import COPIES, FEATURES, FRAMES, LABELS, OCR, TAXONOMY, TEXT_ENCODERS, TEXT_FEATURES, VIDEO_TEXT, VIDEOS

ALL: dict[str, Table] = {t.name: t for layer in (bronze, silver, gold, annotators, ops) for t in layer.TABLES}
VIEWS: list[View] = [*label_queue.VIEWS, *gold.VIEWS, *ops.VIEWS, *questions.VIEWS]

__all__ = [
    "ACTIVE_BATCH", "ALL", "ANNOTATORS", "ANNOTATOR_CONFUSION", "CLUSTERS", "CLUSTER_DAYS", "COMPARISONS", "COPIES", "DELETIONS",
    "EMBEDDINGS", "EVALUATIONS", "FEATURES", "FRAMES", "HASHES", "INTERACTIONS", "ITEMS", "ITEM_LABEL_MAP", "LABELS", "LABEL_AGREEMENT",
    "LABEL_EVENTS", "LABEL_EXPORTS", "LABEL_NOISE", "LOSS_HISTORY", "OCR", "PREDICTIONS", "PROMOTIONS", "QUARANTINE", "REFUSED",
    "REFUSED_CHARACTERS_MAX", "RUNS", "SAMPLE_BATCH", "SERVING", "SNAPSHOTS", "TAG_CANDIDATES", "TAG_LIBRARY", "TAG_PATTERNS",
    "TAG_REVIEWS", "TAXONOMY", "TEXT_ENCODERS", "TEXT_FEATURES", "TRAINING_EXAMPLES", "VECTOR_LOADS", "VIDEOS", "VIDEO_ARRIVALS",
    "VIDEO_TAGS", "VIDEO_TEXT", "VIEWS", "Column", "Table", "View", "column",
]  # fmt: skip
