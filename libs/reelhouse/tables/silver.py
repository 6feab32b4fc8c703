"""Cleaned: one row per key and day. The newest row of a key up to a day is its state on that day (views *_current)."""

from reelhouse.tables.schema import Column, Table, column, data_date


def video_id() -> Column:
    return column("video_id", "string", "key of silver.videos", nullable=False)


VIDEOS = Table(
    "silver.videos",
    "What the probe says of a video. One row per video and day that brought it; broken files are in ops.quarantine instead.",
    columns=[
        column("video_id", "string", "the manifest's id, else SHA-256 of the content", nullable=False),
        column("status", "string", "ok, audio_only (no picture) or text_only (no file)", nullable=False),
        column("uri", "string", "where the file lies", sameness="volatile"),
        column("content_sha256", "string", "SHA-256 of the file's bytes"),
        column("container", "string", "container format, e.g. mov,mp4"),
        column("codec", "string", "video codec, e.g. h264"),
        column("pixel_format", "string", "e.g. yuv420p, yuv420p10le"),
        column("width", "int", "pixels, as displayed after rotation"),
        column("height", "int", "pixels, as displayed after rotation"),
        column("rotation", "int", "clockwise degrees that were applied: 0, 90, 180, 270"),
        column("duration_seconds", "double", "length"),
        column("fps", "double", "average frames a second"),
        column("has_audio", "boolean", "whether there is a sound track", nullable=False),
        column("audio_codec", "string", "e.g. aac"),
        column("sample_rate", "int", "sound samples a second"),
        data_date(),
    ],
    key=["video_id", "data_date"],
)

FRAMES = Table(
    "silver.frames",
    "A chosen frame of a video, as a 224-pixel JPEG.",
    columns=[
        video_id(),
        column("frame_index", "int", "0, 1, ... in order of time", nullable=False),
        column("timestamp_seconds", "double", "when in the video", nullable=False),
        column("scene_change", "double", "0..1, how much the picture differs from the chosen frame before", sameness="inexact"),
        column("jpeg", "binary", "224 x 224 JPEG, RGB, upright", nullable=False),
        column("perceptual_hash", "bigint", "64-bit DCT hash as a signed number", nullable=False),
        data_date(),
    ],
    key=["video_id", "frame_index", "data_date"],
    follows="silver.videos",
)

_FEATURE_COLUMNS = [
    video_id(),
    column("modality", "string", "visual, audio or text", nullable=False),
    column("encoder_id", "string", "hash of the encoder's weights and preprocessing", nullable=False),
    column(
        "source_sha256",
        "string",
        "SHA-256 of what was encoded: the text, the file, or the file with the times of the chosen frames",
        nullable=False,
    ),
    column("steps", "int", "how many vectors (frames, sound patches; 1 for text)", nullable=False),
    column("dimension", "int", "length of one vector", nullable=False),
    column("values", "array<float>", "steps x dimension values, row after row, not normalised", nullable=False, sameness="inexact"),
    data_date(),
]

FEATURES = Table(
    "silver.features",
    "Vectors of one modality (visual, audio) of a video by one encoder.",
    columns=_FEATURE_COLUMNS,
    key=["video_id", "modality", "encoder_id", "data_date"],
    follows="silver.videos",
)

OCR = Table(
    "silver.ocr",
    "Text that was read in a chosen frame.",
    columns=[
        video_id(),
        column("frame_index", "int", "frame of silver.frames", nullable=False),
        column("line_index", "int", "0, 1, ... from top to bottom", nullable=False),
        column("text", "string", "what it says", nullable=False),
        column("confidence", "double", "0..1", sameness="inexact"),
        column("box", "array<float>", "left, top, right, bottom as shares 0..1 of the frame", sameness="inexact"),
        data_date(),
    ],
    key=["video_id", "frame_index", "line_index", "data_date"],
    follows="silver.videos",
)

VIDEO_TEXT = Table(
    "silver.video_text",
    "Cleaned texts of a video and whether they carry meaning.",
    columns=[
        video_id(),
        column("title", "string", "cleaned title"),
        column("caption", "string", "cleaned caption, hashtags taken out"),
        column("hashtags", "array<string>", "hashtags, cleaned, platform noise left out", nullable=False),
        column("ocr_text", "string", "text read in frames or on the cover, joined"),
        column("asr_text", "string", "cleaned speech"),
        column("text", "string", "all of the above that is meaningful, joined by newline; empty if none", nullable=False),
        column("tokens", "array<string>", "words of `text` in order (jieba for Chinese, lower-cased words for the rest)", nullable=False),
        column("language", "string", "zh, en, mixed or none", nullable=False),
        column("is_meaningful", "boolean", "whether any text is left that says something", nullable=False),
        column(
            "meaningless_reason", "string", "why the title carries no meaning: file_name, timestamp, device_name, emoji_run, empty, ..."
        ),
        data_date(),
    ],
    key=["video_id", "data_date"],
)

TEXT_ENCODERS = Table(
    "silver.text_encoders",
    "A fitted text encoder (hashed n-grams, then SVD). Refitted only when the texts have grown a lot.",
    columns=[
        column("encoder_id", "string", "hash of the preprocessing and of the set of texts that it was fitted on", nullable=False),
        column("fitted_on", "bigint", "how many texts it was fitted on", nullable=False),
        column("dimension", "int", "length of a text vector", nullable=False),
        column("parameters", "binary", "numpy .npz of the matrices", nullable=False, sameness="inexact"),
        data_date("the day up to which texts were used (UTC)"),
    ],
    key=["encoder_id", "data_date"],
)

TEXT_FEATURES = Table(
    "silver.text_features",
    "Text vector of a video by one text encoder.",
    columns=_FEATURE_COLUMNS,
    key=["video_id", "modality", "encoder_id", "data_date"],
    newest_by=["video_id", "modality", "encoder_id"],
    # a video whose text was taken out has no vector of it any more
    follows="silver.video_text",
)

COPIES = Table(
    "silver.copies",
    "Near-copies: which group of copies a video belongs to. Videos without a copy have a group of their own.",
    columns=[
        video_id(),
        column("copy_group", "string", "video_id of the group's first member", nullable=False, names_videos=True),
        column(
            "matched_video_id",
            "string",
            "the video that it matched best, an earlier one if there is one; null for a group's first",
            names_videos=True,
        ),
        column("hash_distance", "double", "mean Hamming distance (bits of 64) of matched frames", sameness="inexact"),
        column("vector_similarity", "double", "cosine of mean frame vectors", sameness="inexact"),
        column(
            "frame_hashes",
            "array<bigint>",
            "hashes of its informative frames in order of time: what later days compare with",
            nullable=False,
        ),
        data_date(),
    ],
    key=["video_id", "data_date"],
)

LABELS = Table(
    "silver.labels",
    "What annotators together say of a video and a label. A row is written on each day that brought an answer about the video, or on which "
    "a label of it was renamed, merged or retired.",
    columns=[
        video_id(),
        column("task", "string", "which label tree", nullable=False),
        column("label_id", "string", "which label of the tree (any level)", nullable=False),
        column("answer", "int", "1 yes, 0 no, -1 no answer (tie, or cannot say)", nullable=False),
        column("agreement", "double", "share of the answers that say so, 0..1"),
        column(
            "confidence",
            "double",
            "how likely it is by what is known of the annotators, 0..1, where several voted and labels.aggregation is dawid-skene",
            sameness="inexact",
        ),
        column("annotators", "int", "how many people answered", nullable=False),
        column("source", "string", "manifest, people or both; migration: the label is one no longer", nullable=False),
        column("taxonomy_version", "string", "version of the tree", nullable=False),
        data_date(),
    ],
    key=["video_id", "task", "label_id", "data_date"],
)

# of the newest rows of one video and task: somebody's yes or no stands, and no label is contested (-1, though people voted on it)
IS_CONTESTED = "answer = -1 AND agreement IS NOT NULL"
IS_ANSWERED = f"max(answer) >= 0 AND count_if({IS_CONTESTED}) = 0"

TAXONOMY = Table(
    "silver.taxonomy",
    "The label trees as of a day, so that SQL knows which label is above which. Each day holds them whole.",
    columns=[
        column("task", "string", "which label tree", nullable=False),
        column("label_id", "string", "id of the label, the same whatever it is called", nullable=False),
        column("parent_id", "string", "the label above; null for a root"),
        column("name", "string", "what it is called", nullable=False),
        column("path", "string", "names from the root down, joined by /", nullable=False),
        column("ancestors", "array<string>", "ids of the labels above, nearest first", nullable=False),
        column("depth", "int", "0 = a root", nullable=False),
        column("is_leaf", "boolean", "whether no label is below it", nullable=False),
        column("taxonomy_version", "string", "version of the tree", nullable=False),
        column("former_ids", "array<string>", "ids of labels that became this one: events may hold them"),
        data_date("the day on which the tree was in force (UTC)"),
    ],
    key=["task", "label_id", "data_date"],
    newest_by=[],
)

TABLES = [VIDEOS, FRAMES, FEATURES, OCR, VIDEO_TEXT, TEXT_ENCODERS, TEXT_FEATURES, COPIES, LABELS, TAXONOMY]
