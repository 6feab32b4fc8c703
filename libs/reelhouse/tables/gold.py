"""What people and systems query: batches to label, verdicts, tags, training snapshots, predictions, vectors."""

from reelhouse.tables.schema import Column, Table, View, column, data_date, label, task
from reelhouse.tables.silver import video_id


def _model_version() -> Column:
    return column("model_version", "string", "hash of snapshot, settings and code; encoder-<id> without a trained model", nullable=False)


CLUSTERS = Table(
    "gold.clusters",
    "Density cluster of each video known so far. What the clusters are called: gold.cluster_days.",
    columns=[
        video_id(),
        # rows of before clusters had ids of their own name a video here
        column("cluster_id", "string", "key of gold.cluster_days, the same from day to day; null for noise", names_videos=True),
        column("density", "double", "density around the video, larger is denser", sameness="inexact"),
        column("is_noise", "boolean", "true where the video belongs to no cluster", nullable=False),
        column("placed_on", "date", "the day that put it there: all videos were clustered then, or it joined (UTC)"),
        column("features_version", "string", "encoders whose vectors were clustered"),
        data_date("day of the clustering (UTC)"),
    ],
    key=["video_id", "data_date"],
    newest_by=[],
)

CLUSTER_DAYS = Table(
    "gold.cluster_days",
    "A density cluster on a day: what it is called, how large it is, and what became of it since the day before.",
    columns=[
        column("cluster_id", "string", "id of the cluster: the day it was born and a number; never given again", nullable=False),
        column("name", "string", "readable name: its first three words; its id where its videos share no word", nullable=False),
        column("words", "array<string>", "its most characteristic words, best first, at most eight", nullable=False),
        column("size", "bigint", "videos of it; 0 on the day that it is dying", nullable=False),
        column("previous_size", "bigint", "size on the day before; 0 for a new id", nullable=False),
        column(
            "change",
            "string",
            "since the day before: kept, grown or shrunk (by a tenth or more), born, split (born of a part of another), merged (took up "
            "others), dying (nobody has its id any more)",
            nullable=False,
        ),
        column("came_from", "array<string>", "ids of the clusters that it split from or took up", nullable=False),
        column("exemplar_video_id", "string", "its densest video; null for a dying cluster", names_videos=True),
        column("density", "double", "density around the exemplar, larger is denser", sameness="inexact"),
        column("first_seen", "date", "day that it was born (UTC)", nullable=False),
        data_date("day of this state (UTC)"),
    ],
    key=["cluster_id", "data_date"],
    newest_by=[],
)

_QUEUE_COLUMNS = [
    video_id(),
    task(),
    column("rank", "int", "1 = label first", nullable=False),
    column("reason", "string", "why this video, in words", nullable=False),
    column("score", "double", "what it was ranked by, larger is sooner; null where it was drawn at random", sameness="inexact"),
    column("is_random", "boolean", "true for the share that is drawn at random, for unbiased evaluation", nullable=False),
    data_date("the day that it was chosen (UTC)"),
]

SAMPLE_BATCH = Table(
    "gold.sample_batch",
    "Videos that people should label, chosen by density sampling.",
    columns=_QUEUE_COLUMNS,
    key=["video_id", "task", "data_date"],
)

ACTIVE_BATCH = Table(
    "gold.active_batch",
    "Videos that people should label: those whose item speaks for a class of few labels, then those of active learning.",
    columns=[
        *_QUEUE_COLUMNS,
        column("item_category", "string", "category of its item that it was chosen for; null for others"),
        column("expected_label_id", "string", "the label that this category speaks for; null for others"),
    ],
    key=["video_id", "task", "data_date"],
)

ITEM_LABEL_MAP = Table(
    "gold.item_label_map",
    "What an item's category says of a video's label, as learned from labelled videos. Each day holds the whole map.",
    columns=[
        task(),
        column("item_category", "string", "category in the shop's tree, at any level, from the root down", nullable=False),
        label("leaf of the label tree that it speaks for"),
        column("videos", "bigint", "labelled videos with an item of the category that have the label", nullable=False),
        column("labelled_videos", "bigint", "all labelled videos with such an item", nullable=False),
        column("precision", "double", "videos / labelled_videos, 0..1", nullable=False),
        column("precision_low", "double", "lower end of its 90 % interval (Wilson)", nullable=False),
        column("label_videos", "bigint", "labelled videos that have the label, with or without an item", nullable=False),
        column("is_rare", "boolean", "whether those are few, so that videos with such an item are queued", nullable=False),
        data_date("the day up to which labels were used (UTC)"),
    ],
    key=["task", "item_category", "label_id", "data_date"],
    newest_by=[],
)

LOSS_HISTORY = Table(
    "gold.loss_history",
    "Statistics of a label's loss over the cycles of O2U.",
    columns=[
        video_id(),
        task(),
        label("the label that was given"),
        column("mean_loss", "double", "normalised loss, mean over epochs and cycles", sameness="inexact"),
        column("loss_spread", "double", "standard deviation of that loss over the epochs", sameness="inexact"),
        column("losses", "array<float>", "normalised loss after each epoch", sameness="inexact"),
        column("features_version", "string", "encoders whose vectors were used", nullable=False),
        data_date("the day that was judged (UTC)"),
    ],
    key=["video_id", "task", "label_id", "data_date"],
)

LABEL_NOISE = Table(
    "gold.label_noise",
    "Verdict on a label: is it likely wrong?",
    columns=[
        video_id(),
        task(),
        label("the label that was given"),
        column("score", "double", "larger = more likely wrong", sameness="inexact"),
        column("rank_in_class", "int", "1 = most suspect label of its class", sameness="inexact"),
        column("verdict", "string", "wrong, hard or clean", nullable=False),
        column("suggested_label_id", "string", "what it should be, where the verdict is wrong"),
        column("suggestion_confidence", "double", "0..1", sameness="inexact"),
        column("reason", "string", "why, in words", sameness="inexact"),
        data_date("the day that was judged (UTC)"),
    ],
    key=["video_id", "task", "label_id", "data_date"],
)

TAG_CANDIDATES = Table(
    "gold.tag_candidates",
    "A mined phrase with its evidence.",
    columns=[
        column("phrase", "string", "normal form of the phrase", nullable=False),
        column("score", "double", "probability of being a quality phrase, 0..1", sameness="inexact"),
        column("count", "bigint", "occurrences up to the day", nullable=False),
        column("document_count", "bigint", "videos that hold it", nullable=False),
        column("miner", "string", "phrases or patterns", nullable=False),
        column("pattern", "string", "pattern that found it, for miner patterns"),
        column("features", "map<string,double>", "parts of the score", sameness="inexact"),
        column("example_video_ids", "array<string>", "at most three videos", nullable=False, names_videos=True),
        data_date("the day that it was mined (UTC)"),
    ],
    key=["phrase", "miner", "data_date"],
    newest_by=[],
)

TAG_PATTERNS = Table(
    "gold.tag_patterns",
    "A composition pattern learned from known tags, with its record.",
    columns=[
        column("pattern", "string", "word classes and literals, e.g. <noun> 攻略", nullable=False),
        column("support", "bigint", "known tags that follow it", nullable=False),
        column("matches", "bigint", "phrases of the corpus that it matched", nullable=False),
        column("precision", "double", "share of its matches that are known tags, 0..1", sameness="inexact"),
        data_date("the day that it was learned (UTC)"),
    ],
    key=["pattern", "data_date"],
    newest_by=[],
)

TAG_LIBRARY = Table(
    "gold.tag_library",
    "The tag library as of a day: folded from the day before, the day's candidates and people's reviews.",
    columns=[
        column("tag_id", "string", "stable id of the tag", nullable=False),
        column("tag", "string", "normal form", nullable=False),
        column("state", "string", "candidate, active, rejected or blocked", nullable=False),
        column("score", "double", "score when it was last mined, 0..1", sameness="inexact"),
        column("source", "string", "hashtag, phrases, patterns or people", nullable=False),
        column("first_seen", "date", "day that it entered the library", nullable=False),
        column("changed", "date", "day of its last change of state", nullable=False),
        data_date("the day of this state (UTC)"),
    ],
    key=["tag_id", "data_date"],
    newest_by=[],
)

VIDEO_TAGS = Table(
    "gold.video_tags",
    "A tag on a video, by exact match of tokens, with where it was found.",
    columns=[
        video_id(),
        column("tag_id", "string", "key of gold.tag_library", nullable=False),
        column("tag", "string", "normal form of the tag", nullable=False),
        column("position", "int", "index of the first token of the first match in silver.video_text.tokens", nullable=False),
        column("matches", "int", "how often", nullable=False),
        data_date("the day that was tagged (UTC)"),
    ],
    key=["video_id", "tag_id", "data_date"],
    follows="silver.video_text",
)

SNAPSHOTS = Table(
    "gold.training_snapshots",
    "A training snapshot as a whole: its classes and the layout of its features.",
    columns=[
        column("snapshot_id", "string", "hash of its rows, classes and layout", nullable=False),
        task(),
        column("label_ids", "array<string>", "classes in the order of the model's outputs", nullable=False),
        column("layout", "string", "JSON: per modality encoder_id, steps, dimension", nullable=False),
        column("train_rows", "bigint", "rows of split train", nullable=False),
        column("calibration_rows", "bigint", "rows of split calibration", nullable=False),
        column("evaluation_rows", "bigint", "rows of split evaluation", nullable=False),
        data_date("the day up to which labels were used (UTC)"),
    ],
    key=["snapshot_id", "data_date"],
)

TRAINING_EXAMPLES = Table(
    "gold.training_examples",
    "One labelled video of a training snapshot: padded features with masks, classes, split. No nulls, no ragged lists.",
    columns=[
        video_id(),
        column("snapshot_id", "string", "which snapshot", nullable=False),
        column("split", "string", "train, calibration or evaluation; a copy group stays in one split", nullable=False),
        column("weight", "float", "weight in the loss; below 1 for suspect labels", nullable=False),
        column("targets", "array<float>", "per class of the snapshot: 1 yes, 0 no, -1 unknown (masked)", nullable=False),
        column("visual", "array<float>", "steps x dimension, padded with zeros", nullable=False, sameness="inexact"),
        column("visual_mask", "array<float>", "1 where the step holds a frame", nullable=False),
        column("audio", "array<float>", "steps x dimension, padded with zeros", nullable=False, sameness="inexact"),
        column("audio_mask", "array<float>", "1 where the step holds sound", nullable=False),
        column("text", "array<float>", "one text vector; zeros without text", nullable=False, sameness="inexact"),
        column("text_mask", "array<float>", "one value: 1 where there is text", nullable=False),
        data_date("the day up to which labels were used (UTC)"),
    ],
    key=["video_id", "snapshot_id", "data_date"],
    partition_by=["data_date", "snapshot_id"],
    properties={"delta.enableDeletionVectors": "false"},
)

EVALUATIONS = Table(
    "gold.evaluations",
    "A metric of a model on a slice of its frozen evaluation set.",
    columns=[
        _model_version(),
        column("slice", "string", "all, head, mid, tail, without_visual, without_audio, without_text, newest, random", nullable=False),
        column("metric", "string", "accuracy, macro_recall or log_loss", nullable=False),
        column("value", "double", "value of the metric", sameness="inexact"),
        column("rows", "bigint", "rows of the slice", nullable=False),
        data_date("the day of the evaluation (UTC)"),
    ],
    key=["model_version", "slice", "metric", "data_date"],
)

COMPARISONS = Table(
    "gold.comparisons",
    "A candidate against the champion on a slice of the same evaluation rows: what its gates saw.",
    columns=[
        _model_version(),
        column("champion_version", "string", "the champion of the day before", nullable=False),
        column("slice", "string", "as in gold.evaluations", nullable=False),
        column("rows", "bigint", "rows of the slice", nullable=False),
        column("accuracy", "double", "of the candidate, 0..1", sameness="inexact"),
        column("champion_accuracy", "double", "of the champion, 0..1", sameness="inexact"),
        column("difference", "double", "of the first to the second", sameness="inexact"),
        column("low", "double", "lower end of the bootstrap interval of the difference", sameness="inexact"),
        column("high", "double", "its upper end", sameness="inexact"),
        column("limit", "double", "lowest difference that the gates let pass", nullable=False),
        column("outcome", "string", "held, failed, unsure (the limit lies inside the interval) or too few rows", sameness="inexact"),
        data_date("the day of the evaluation (UTC)"),
    ],
    key=["model_version", "slice", "data_date"],
)

# What a model says of a video holds until the video comes again; every delivery of one writes a row of silver.video_text.
PREDICTIONS = Table(
    "gold.predictions",
    "What the model says of a video. One row per video, model version and task.",
    columns=[
        video_id(),
        _model_version(),
        task(),
        column(
            "top",
            "array<struct<label_id:string,path:string,probability:double>>",
            "five best labels, best first; probability in 0..1",
            sameness="inexact",
        ),
        column("entropy", "double", "entropy of all classes' probabilities, in nats", sameness="inexact"),
        data_date("the day that was predicted (UTC)"),
    ],
    key=["video_id", "model_version", "task", "data_date"],
    partition_by=["data_date", "model_version"],
    newest_by=["video_id", "model_version", "task"],
    follows="silver.video_text",
)

EMBEDDINGS = Table(
    "gold.embeddings",
    "The vector of a video by one model; rows of length 1.",
    columns=[
        video_id(),
        _model_version(),
        column("vector", "array<float>", "L2-normalised", nullable=False, sameness="inexact"),
        data_date("the day that was predicted (UTC)"),
    ],
    key=["video_id", "model_version", "data_date"],
    partition_by=["data_date", "model_version"],
    newest_by=["video_id", "model_version"],
    follows="silver.video_text",
)

HASHES = Table(
    "gold.hashes",
    "The 128-bit hash of a video's vector: sign of a fixed random projection.",
    columns=[
        video_id(),
        _model_version(),
        column("hash", "binary", "16 bytes", nullable=False, sameness="inexact"),
        data_date("the day that was predicted (UTC)"),
    ],
    key=["video_id", "model_version", "data_date"],
    partition_by=["data_date", "model_version"],
    newest_by=["video_id", "model_version"],
    follows="silver.video_text",
)

TABLES = [
    CLUSTERS, CLUSTER_DAYS, SAMPLE_BATCH, ACTIVE_BATCH, ITEM_LABEL_MAP, LOSS_HISTORY,
    LABEL_NOISE, TAG_CANDIDATES, TAG_PATTERNS, TAG_LIBRARY, VIDEO_TAGS, SNAPSHOTS, TRAINING_EXAMPLES, EVALUATIONS, COMPARISONS,
    PREDICTIONS, EMBEDDINGS, HASHES,
]  # fmt: skip

TAGS_OF_VIDEOS = View(
    "gold.tags_of_videos",
    "Tags that are active now, on the newest text of each video; since: the day from which the video has it.",
    """SELECT t.video_id, t.tag_id, t.tag, min(t.position) AS position, max(t.matches) AS matches, min(t.data_date) AS since
       FROM gold.video_tags_current t LEFT SEMI JOIN gold.tag_library_current l ON l.tag_id = t.tag_id AND l.state = 'active'
       GROUP BY ALL""",
)

VIEWS = [TAGS_OF_VIDEOS]
