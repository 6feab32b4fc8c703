"""What the system did: runs, refused rows, loads, promotions, and which model readers see."""

from reelhouse.tables.schema import Table, View, column, data_date

_SLICE = "struct<table:string,slice:string,rows:bigint,fingerprint:string>"

REFUSED = ["rule", "row_key", "reason", "row", "video_id"]  # what a job says of a row that it refuses; all are strings
REFUSED_CHARACTERS_MAX = 10_000  # of such a row

RUNS = Table(
    "ops.runs",
    "A run of a job for a date, with fingerprints of the slices that it read and wrote.",
    columns=[
        column("run_id", "string", "id of the run", nullable=False),
        column("job", "string", "name of the job", nullable=False),
        column("status", "string", "succeeded, stepped_aside or failed", nullable=False),
        column("started_at", "timestamp", "when (UTC)", nullable=False, sameness="volatile"),
        column("seconds", "double", "how long it took", sameness="volatile"),
        column("reads", f"array<{_SLICE}>", "slices read", nullable=False),
        column("writes", f"array<{_SLICE}>", "slices written", nullable=False),
        column("rows_in", "bigint", "rows read", nullable=False),
        column("rows_out", "bigint", "rows written", nullable=False),
        column("quarantined", "bigint", "rows refused", nullable=False),
        column("settings_hash", "string", "hash of the settings that the job reads", nullable=False),
        column("code_version", "string", "hash of the job's code", nullable=False),
        column("inputs", "map<string,string>", "inputs that are no table: files by content, model versions", nullable=False),
        column("metrics", "map<string,double>", "figures that the job reports", nullable=False, sameness="inexact"),
        column("note", "string", "what it wants to say: why it stepped aside, or the error", names_videos="within"),
        column(
            "checks",
            "array<struct<table:string,check:string,column:string,passed:boolean,failed_rows:bigint,total_rows:bigint,details:string>>",
            "results of the Great Expectations suites",
            nullable=False,
        ),
        data_date("the date that was run"),
    ],
    key=["run_id", "data_date"],
)

QUARANTINE = Table(
    "ops.quarantine",
    "A row that was refused: what, where, why and what to do.",
    columns=[
        column("job", "string", "job that refused it", nullable=False),
        column("table", "string", "table that it was meant for", nullable=False),
        column("rule", "string", "name of the rule that it broke", nullable=False),
        column("row_key", "string", "key of the row, or file and row number", nullable=False, names_videos=True),
        column("reason", "string", "what is wrong and what to do, in words", nullable=False),
        column("row", "string", f"the row as JSON, cut at {REFUSED_CHARACTERS_MAX:,} characters", sameness="volatile"),
        column("video_id", "string", "the video concerned, if any"),
        data_date("the date that was run"),
    ],
    key=["job", "table", "rule", "row_key", "data_date"],
    partition_by=["data_date", "job"],
)

VECTOR_LOADS = Table(
    "ops.vector_loads",
    "A load of vectors into a Milvus collection.",
    columns=[
        column("collection", "string", "name of the collection", nullable=False),
        column("model_version", "string", "model whose vectors it holds", nullable=False),
        column("kind", "string", "video_embedding or video_hash", nullable=False),
        column("loaded", "bigint", "rows sent", nullable=False, sameness="volatile"),
        column(
            "deleted", "bigint", "rows of videos taken down that were removed, from all collections", nullable=False, sameness="volatile"
        ),
        column("total", "bigint", "rows in the collection afterwards", nullable=False, sameness="volatile"),
        data_date("the date that was run"),
    ],
    key=["collection", "data_date"],
)

PROMOTIONS = Table(
    "ops.promotions",
    "A decision on a model: from its day on it is the champion, or it is not to be.",
    columns=[
        column("model_version", "string", "hash of snapshot, settings and code", nullable=False),
        column("snapshot_id", "string", "training snapshot", nullable=False),
        column(
            "decision",
            "string",
            "promoted; passed (the gates held, a person decides); refused by the gates; rejected by a person",
            nullable=False,
        ),
        column("decided_by", "string", "gates, or who decided", nullable=False),
        column("decided_at", "timestamp", "when a person did (UTC); of the gates the day's midnight", nullable=False),
        column("previous_version", "string", "champion before"),
        column("reason", "string", "which gates held or failed", nullable=False),
        data_date("the day of the decision (UTC)"),
    ],
    key=["model_version", "decided_by", "decided_at", "data_date"],
    # so that gates that are asked again leave alone what people decided on that day
    partition_by=["data_date", "decided_by"],
    jobs_part={"decided_by": "gates"},
)

SERVING = Table(
    "ops.serving",
    "Which model readers see. Written last, once predictions, embeddings, hashes and vectors of the model are complete.",
    columns=[
        column("model_version", "string", "the model that is served; encoder-<id> without a trained model", nullable=False),
        column("embedding_collection", "string", "Milvus collection of the vectors", nullable=False),
        column("hash_collection", "string", "Milvus collection of the hashes", nullable=False),
        column("videos", "bigint", "videos that are complete", nullable=False),
        data_date("the day from which it is served (UTC)"),
    ],
    key=["data_date"],
)

TABLES = [RUNS, QUARANTINE, VECTOR_LOADS, PROMOTIONS, SERVING]

CHECKS = View(
    "ops.checks",
    "A check of a Great Expectations suite on what a run wanted to publish.",
    "SELECT run_id, job, data_date, started_at, c.* FROM ops.runs LATERAL VIEW explode(checks) t AS c",
)

SERVING_CURRENT = View(
    "ops.serving_now",
    "The one row that says which model readers see.",
    "SELECT * FROM ops.serving ORDER BY data_date DESC LIMIT 1",
)

SERVED_PREDICTIONS = View(
    "gold.predictions_served",
    "Predictions of the model that is served, newest a video.",
    """SELECT p.* FROM gold.predictions_current p JOIN ops.serving_now s ON p.model_version = s.model_version""",
)

VIEWS = [CHECKS, SERVING_CURRENT, SERVED_PREDICTIONS]
