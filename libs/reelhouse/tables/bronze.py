"""What arrived, as it arrived. Events are appended by batch and never overwritten by another batch."""

from reelhouse.tables.schema import Table, column, data_date

_ARRIVAL = [
    column("batch", "string", "delivered file that brought the row: a corrected file replaces its batch", nullable=False),
    column("source_file", "string", "path of that file", sameness="volatile"),
    column("source_row", "bigint", "row in that file, from 1", sameness="volatile"),
    column("ingested_at", "timestamp", "when the row was taken in (UTC)", sameness="volatile"),
    data_date(),
]
_BY_BATCH = ["data_date", "batch"]

VIDEO_ARRIVALS = Table(
    "bronze.video_arrivals",
    "A video as it arrived. One row per video and batch; without a file it is a text-only video.",
    columns=[
        column("video_id", "string", "the manifest's id, else SHA-256 of the content", nullable=False),
        column("uri", "string", "where the file lies; null for a text-only video", sameness="volatile"),
        column("content_sha256", "string", "SHA-256 of the file's bytes; null for a text-only video"),
        column("size_bytes", "bigint", "size of the file"),
        column("title", "string", "title as delivered"),
        column("caption", "string", "caption as delivered"),
        column("hashtags", "array<string>", "hashtags as delivered, without #", nullable=False),
        column("cover_text", "string", "text on the cover, if upstream read it"),
        column("asr_text", "string", "speech as text, if upstream recognised it"),
        column("author_id", "string", "who published it"),
        column("published_at", "timestamp", "when it was published (UTC)"),
        column("item_ids", "array<string>", "items attached to the video (bronze.items)", nullable=False),
        column("category", "string", "category delivered with the video: label id, name or path parent/child; read as a label"),
        *_ARRIVAL,
    ],
    key=["video_id", "batch", "data_date"],
    partition_by=_BY_BATCH,
    newest_by=["video_id"],
)

INTERACTIONS = Table(
    "bronze.interactions",
    "One impression, click or search click of one user on one video.",
    columns=[
        column("event_id", "string", "id of the event, else a hash of its content", nullable=False),
        column("user_id", "string", "who", nullable=False),
        column("video_id", "string", "on which video", nullable=False),
        column("kind", "string", "impression, click or search_click", nullable=False),
        column("query", "string", "the query that led here, for a search click"),
        column("watched_seconds", "double", "how long it was watched"),
        column("happened_at", "timestamp", "when (UTC)"),
        *_ARRIVAL,
    ],
    key=["event_id", "batch", "data_date"],
    partition_by=_BY_BATCH,
)

ITEMS = Table(
    "bronze.items",
    "An item that videos attach (a product, a place) and its category path in the shop's own tree.",
    columns=[
        column("item_id", "string", "id of the item", nullable=False),
        column("title", "string", "its title"),
        column("category_path", "string", "its category in the shop's tree, parent/child"),
        *_ARRIVAL,
    ],
    key=["item_id", "batch", "data_date"],
    partition_by=_BY_BATCH,
    newest_by=["item_id"],
)

LABEL_EVENTS = Table(
    "bronze.label_events",
    "One person's one answer about one video and one label. Never changed; silver.labels is folded from it.",
    columns=[
        column("event_id", "string", "id of the answer, else a hash of its content", nullable=False),
        column("video_id", "string", "which video", nullable=False),
        column("task", "string", "which label tree: category, domain", nullable=False),
        column("label_id", "string", "which label of the tree (any level), by the id that it had then", nullable=False),
        column("answer", "int", "1 yes, 0 no, -1 cannot say", nullable=False),
        column("annotator_id", "string", "who answered; `manifest` when it came with the video", nullable=False),
        column("answered_at", "timestamp", "when (UTC)"),
        column("taxonomy_version", "string", "version of the tree that was in force", nullable=False),
        *_ARRIVAL,
    ],
    key=["event_id", "batch", "data_date"],
    partition_by=_BY_BATCH,
)

LABEL_EXPORTS = Table(
    "bronze.label_exports",
    "A video that was handed out to be labelled, so that it is not handed out twice.",
    columns=[
        column("event_id", "string", "id of the hand-out", nullable=False),
        column("video_id", "string", "which video", nullable=False),
        column("task", "string", "for which label tree", nullable=False),
        column("exported_at", "timestamp", "when (UTC)"),
        *_ARRIVAL,
    ],
    key=["event_id", "batch", "data_date"],
    partition_by=_BY_BATCH,
)

TAG_REVIEWS = Table(
    "bronze.tag_reviews",
    "One person's one decision on one mined phrase. gold.tag_library is folded from it.",
    columns=[
        column("event_id", "string", "id of the review", nullable=False),
        column("phrase", "string", "the phrase in its normal form", nullable=False),
        column("decision", "string", "accept, reject or block", nullable=False),
        column("reviewer_id", "string", "who", nullable=False),
        column("reviewed_at", "timestamp", "when (UTC)"),
        *_ARRIVAL,
    ],
    key=["event_id", "batch", "data_date"],
    partition_by=_BY_BATCH,
)

DELETIONS = Table(
    "bronze.deletions",
    "A takedown of a video. Every current view, the vectors, reports and training leave the video out at once; files after purge.",
    columns=[
        column("video_id", "string", "which video", nullable=False),
        column("reason", "string", "why, in words"),
        column("requested_by", "string", "who asked"),
        column("requested_at", "timestamp", "when (UTC)", sameness="volatile"),
        column("content_sha256", "array<string>", "SHA-256 of each file that the video had: refused under any other id"),
        data_date("UTC day of the request"),
    ],
    key=["video_id", "data_date"],
)

TABLES = [VIDEO_ARRIVALS, INTERACTIONS, ITEMS, LABEL_EVENTS, LABEL_EXPORTS, TAG_REVIEWS, DELETIONS]
