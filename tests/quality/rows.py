"""For each table a row that passes, and for each check of its suite the change that breaks it: (words of the check, change)."""

from datetime import date, datetime
from typing import Any

DAY = date(2026, 1, 2)
SHA = "a" * 64
ARRIVAL = {"batch": "manifest.jsonl", "source_row": 1, "data_date": DAY}
NO_ID = ("video_id must have 1 to 256 bytes", {"video_id": ""})
LONG_ID = ("video_id must have 1 to 256 bytes", {"video_id": "视" * 86})
SOURCE_ROW = ("source_row must be at least 1", {"source_row": 0})
NAN = float("nan")
ANSWER = ("answer must be one of -1, 0, 1", {"answer": 2})
MODEL = ("model_version must be letters", {"model_version": "a b"})
QUEUE = {"video_id": "v", "task": "category", "rank": 1, "reason": "dense", "score": 0.5, "is_random": False, "data_date": DAY}
QUEUE_BROKEN = [
    NO_ID, ("task must not be empty", {"task": ""}), ("reason must not be empty", {"reason": ""}),
    ("rank must be at least 1", {"rank": 0}), ("score must not be NaN", {"score": NAN}),
]  # fmt: skip
FEATURE = {
    "video_id": "v", "encoder_id": "e1", "source_sha256": SHA, "steps": 2, "dimension": 2, "values": [0.5, 1.0, -1.0, 0.0],
    "data_date": DAY,
}  # fmt: skip
FEATURE_BROKEN = [
    NO_ID, ("modality must be one of", {"modality": "smell"}), ("encoder_id must not be empty", {"encoder_id": ""}),
    ("source_sha256 must be 64", {"source_sha256": "A" * 64}),
    ("steps must be at least 1", {"steps": 0, "values": []}), ("dimension must be at least 1", {"dimension": 0, "values": []}),
    ("values must hold steps x dimension numbers", {"values": [1.0]}),
    ("values must be finite numbers", {"values": [0.5, NAN, 0.0, 0.0]}),
]  # fmt: skip
LABEL = {"video_id": "v", "task": "category", "label_id": "food", "data_date": DAY}
LABEL_BROKEN: list[tuple[str, dict[str, Any]]] = [
    NO_ID,
    ("task must not be empty", {"task": ""}),
    ("label_id must not be empty", {"label_id": ""}),
]
TOP = [("food", "美食", 0.6), ("cars", "汽车", 0.4)]
NOT_FINITE = "must be finite numbers"

GOOD: dict[str, dict[str, Any]] = {
    "bronze.video_arrivals": {"video_id": "v", "content_sha256": SHA, "size_bytes": 9, "hashtags": ["a"], "item_ids": [], **ARRIVAL},
    "bronze.interactions": {"event_id": "e", "user_id": "u", "video_id": "v", "kind": "click", "watched_seconds": 1.5, **ARRIVAL},
    "bronze.items": {"item_id": "i", **ARRIVAL},
    "bronze.label_events": {"event_id": "e", "answer": 1, "annotator_id": "ann", "taxonomy_version": "t", **LABEL, **ARRIVAL},
    "bronze.label_exports": {"event_id": "e", "video_id": "v", "task": "category", **ARRIVAL},
    "bronze.tag_reviews": {"event_id": "e", "phrase": "p", "decision": "accept", "reviewer_id": "r", **ARRIVAL},
    "bronze.deletions": {"video_id": "v", "content_sha256": [SHA], "data_date": DAY},
    "silver.videos": {
        "video_id": "v", "status": "ok", "content_sha256": SHA, "width": 320, "height": 240, "rotation": 90, "duration_seconds": 2.5,
        "fps": 25.0, "has_audio": True, "sample_rate": 44100, "data_date": DAY,
    },
    "silver.frames": {
        "video_id": "v", "frame_index": 0, "timestamp_seconds": 0.0, "scene_change": 0.5, "jpeg": b"\xff\xd8\xff",
        "perceptual_hash": -5, "data_date": DAY,
    },
    "silver.features": {"modality": "visual", **FEATURE},
    "silver.text_features": {"modality": "text", **FEATURE},
    "silver.ocr": {
        "video_id": "v", "frame_index": 0, "line_index": 0, "text": "SALE", "confidence": 0.9, "box": [0.0, 0.1, 1.0, 0.2],
        "data_date": DAY,
    },
    "silver.video_text": {
        "video_id": "v", "hashtags": ["a"], "text": "hello", "tokens": ["hello"], "language": "en", "is_meaningful": True,
        "meaningless_reason": None, "data_date": DAY,
    },
    "silver.text_encoders": {"encoder_id": "e1", "fitted_on": 3, "dimension": 8, "parameters": b"npz", "data_date": DAY},
    "silver.copies": {
        "video_id": "v", "copy_group": "w", "matched_video_id": "w", "hash_distance": 3.5, "vector_similarity": 0.99,
        "frame_hashes": [-5], "data_date": DAY,
    },
    "silver.taxonomy": {
        "task": "category", "label_id": "pets.cats", "parent_id": "pets", "name": "cats", "path": "pets/cats", "ancestors": ["pets"],
        "depth": 1, "is_leaf": True, "taxonomy_version": "t", "former_ids": ["cats"], "data_date": DAY,
    },
    "silver.labels": {
        "answer": -1, "agreement": 0.5, "confidence": 0.7, "annotators": 2, "source": "both", "taxonomy_version": "t", **LABEL,
    },
    "gold.annotators": {
        "annotator_id": "ann", "task": "category", "settled_videos": 4, "agreed_videos": 2, "agreement": 0.5, "sensitivity": 0.6,
        "reliability": 0.7, "learned_from": 5, "confused_label_id": "food", "confused_given_label_id": "cars", "confused_videos": 1,
        "data_date": DAY,
    },
    "gold.annotator_confusion": {
        "annotator_id": "ann", "task": "category", "label_id": "food", "given_label_id": "cars", "is_consistent": False, "videos": 1,
        "data_date": DAY,
    },
    "gold.label_agreement": {"task": "category", "domain": "*", "path": None, "alpha": -0.1, "answers": 4, "data_date": DAY},
    "gold.clusters": {
        "video_id": "v", "cluster_id": None, "density": 1.0, "is_noise": True, "placed_on": DAY, "features_version": "f", "data_date": DAY,
    },
    "gold.cluster_days": {
        "cluster_id": "20260101-0001", "name": "cats, milk", "words": ["cats", "milk"], "size": 6, "previous_size": 5, "change": "grown",
        "came_from": [], "exemplar_video_id": "v", "density": 0.5, "first_seen": date(2026, 1, 1), "data_date": DAY,
    },
    "gold.sample_batch": QUEUE,
    "gold.active_batch": {"item_category": "a/b", "expected_label_id": "food", **QUEUE},
    "gold.item_label_map": {
        "task": "category", "item_category": "a/b", "label_id": "food", "videos": 2, "labelled_videos": 3, "precision": 2 / 3,
        "precision_low": 0.3, "label_videos": 2, "is_rare": True, "data_date": DAY,
    },
    "gold.loss_history": {"mean_loss": -0.5, "loss_spread": 0.1, "losses": [0.1, -0.2], "features_version": "f", **LABEL},
    "gold.label_noise": {
        "score": 0.3, "rank_in_class": 1, "verdict": "wrong", "suggested_label_id": "cars", "suggestion_confidence": 0.9, **LABEL,
    },
    "gold.tag_candidates": {
        "phrase": "hot pot", "score": 0.9, "count": 5, "document_count": 4, "miner": "phrases", "features": {"pmi": 1.0},
        "example_video_ids": ["v"], "data_date": DAY,
    },
    "gold.tag_patterns": {"pattern": "<noun> 攻略", "support": 2, "matches": 5, "precision": 0.4, "data_date": DAY},
    "gold.tag_library": {
        "tag_id": "t1", "tag": "hot pot", "state": "active", "score": 0.9, "source": "phrases", "first_seen": date(2026, 1, 1),
        "changed": DAY, "data_date": DAY,
    },
    "gold.video_tags": {"video_id": "v", "tag_id": "t1", "tag": "hot pot", "position": 0, "matches": 1, "data_date": DAY},
    "gold.training_snapshots": {
        "snapshot_id": "s", "task": "category", "label_ids": ["cars", "food"], "layout": '{"visual": 4}', "train_rows": 8,
        "calibration_rows": 1, "evaluation_rows": 2, "data_date": DAY,
    },
    "gold.training_examples": {
        "video_id": "v", "snapshot_id": "s", "split": "train", "weight": 1.0, "targets": [1.0, 0.0, -1.0], "visual": [0.5, 0.0],
        "visual_mask": [1.0, 0.0], "audio": [], "audio_mask": [], "text": [0.1], "text_mask": [1.0], "data_date": DAY,
    },
    "gold.evaluations": {"model_version": "abc", "slice": "all", "metric": "accuracy", "value": 0.5, "rows": 9, "data_date": DAY},
    "gold.comparisons": {
        "model_version": "abc", "champion_version": "def", "slice": "all", "rows": 9, "accuracy": 0.5, "champion_accuracy": 0.4,
        "difference": 0.1, "low": -0.1, "high": 0.2, "limit": -0.02, "outcome": "held", "data_date": DAY,
    },
    "gold.predictions": {"video_id": "v", "model_version": "abc", "task": "category", "top": TOP, "entropy": 0.67, "data_date": DAY},
    "gold.embeddings": {"video_id": "v", "model_version": "encoder-12ab", "vector": [0.6, 0.8], "data_date": DAY},
    "gold.hashes": {"video_id": "v", "model_version": "encoder-12ab", "hash": b"0123456789abcdef", "data_date": DAY},
    "ops.runs": {
        "run_id": "r", "job": "ingest", "status": "succeeded", "started_at": datetime(2026, 1, 2), "seconds": 1.0, "reads": [],
        "writes": [],
        "rows_in": 1, "rows_out": 1, "quarantined": 0, "settings_hash": "h", "code_version": "c", "inputs": {}, "metrics": {}, "checks": [],
        "data_date": DAY,
    },
    "ops.quarantine": {
        "job": "ingest", "table": "bronze.items", "rule": "r", "row_key": "k", "reason": "why", "row": "{}", "data_date": DAY,
    },
    "ops.vector_loads": {
        "collection": "video_embedding__abc", "model_version": "abc", "kind": "video_embedding", "loaded": 1, "deleted": 0, "total": 1,
        "data_date": DAY,
    },
    "ops.promotions": {
        "model_version": "abc", "snapshot_id": "s", "decision": "promoted", "decided_by": "gates", "decided_at": datetime(2026, 1, 2),
        "reason": "all hold", "data_date": DAY,
    },
    "ops.serving": {
        "model_version": "abc", "embedding_collection": "video_embedding__abc", "hash_collection": "video_hash__abc", "videos": 3,
        "data_date": DAY,
    },
}  # fmt: skip

BROKEN: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "bronze.video_arrivals": [
        LONG_ID, ("content_sha256 must be 64", {"content_sha256": "xyz"}), ("size_bytes must be at least 0", {"size_bytes": -1}),
        ("hashtags must hold no null", {"hashtags": ["a", None]}), ("item_ids must hold no null", {"item_ids": [None]}), SOURCE_ROW,
        ("batch must not be null", {"batch": None}),
    ],
    "bronze.interactions": [
        ("event_id must not be empty", {"event_id": ""}), ("user_id must not be empty", {"user_id": ""}), LONG_ID,
        ("kind must be one of impression, click, search_click", {"kind": "stare"}),
        ("watched_seconds must be at least 0", {"watched_seconds": NAN}), SOURCE_ROW,
    ],
    "bronze.items": [("item_id must not be empty", {"item_id": ""}), SOURCE_ROW],
    "bronze.label_events": [
        ("event_id must not be empty", {"event_id": ""}), ("annotator_id must not be empty", {"annotator_id": ""}),
        *LABEL_BROKEN, ANSWER, SOURCE_ROW,
    ],
    "bronze.label_exports": [("event_id must not be empty", {"event_id": ""}), ("task must not be empty", {"task": ""}), NO_ID, SOURCE_ROW],
    "bronze.tag_reviews": [
        ("event_id must not be empty", {"event_id": ""}), ("phrase must not be empty", {"phrase": ""}),
        ("reviewer_id must not be empty", {"reviewer_id": ""}),
        ("decision must be one of accept, reject, block", {"decision": "maybe"}), SOURCE_ROW,
    ],
    "bronze.deletions": [
        ("video_id must not be empty", {"video_id": ""}), ("content_sha256 must hold SHA-256", {"content_sha256": [SHA, "A" * 64]}),
    ],
    "silver.videos": [
        LONG_ID, ("status must be one of", {"status": "broken"}), ("content_sha256 must be 64", {"content_sha256": "A" * 64}),
        ("width must be at least 1", {"width": 0}), ("height must be at least 1", {"height": -2}),
        ("rotation must be one of 0, 90", {"rotation": 45}),
        ("duration_seconds must be at least 0", {"duration_seconds": -0.1}), ("fps must be at least 0", {"fps": float("inf")}),
        ("sample_rate must be at least 1", {"sample_rate": 0}), ("status ok must have a width", {"width": None}),
        ("without a file can't have sound", {"status": "text_only"}),
    ],
    "silver.frames": [
        LONG_ID, ("frame_index must be at least 0", {"frame_index": -1}),
        ("timestamp_seconds must be at least 0", {"timestamp_seconds": -1.0}),
        ("scene_change must be at least 0 and at most 1", {"scene_change": 1.5}), ("mark of a JPEG", {"jpeg": b"PNG"}),
        ("jpeg must not be null", {"jpeg": None}),
    ],
    "silver.features": FEATURE_BROKEN,
    "silver.text_features": FEATURE_BROKEN,
    "silver.ocr": [
        LONG_ID, ("frame_index must be at least 0", {"frame_index": -1}), ("line_index must be at least 0", {"line_index": -1}),
        ("text must not be empty", {"text": ""}), ("confidence must be at least 0 and at most 1", {"confidence": 1.01}),
        ("box must be left, top, right, bottom", {"box": [0.9, 0.1, 0.1, 0.2]}), ("box must be left, top, right, bottom", {"box": [0.1]}),
    ],
    "silver.video_text": [
        LONG_ID, ("language must be one of zh, en, mixed, none", {"language": "fr"}), ("hashtags must hold no null", {"hashtags": [None]}),
        ("tokens must hold no null", {"tokens": [None]}), ("empty text can't be meaningful", {"text": ""}),
        ("meaningless_reason must be a short name", {"meaningless_reason": "File name!"}),
    ],
    "silver.text_encoders": [
        ("encoder_id must not be empty", {"encoder_id": ""}), ("fitted_on must be at least 1", {"fitted_on": 0}),
        ("dimension must be at least 1", {"dimension": 0}), ("parameters must not be empty", {"parameters": b""}),
    ],
    "silver.copies": [
        LONG_ID, ("copy_group must not be empty", {"copy_group": ""}),
        ("hash_distance must be at least 0 and at most 64", {"hash_distance": 65.0}),
        ("vector_similarity must be", {"vector_similarity": NAN}), ("copy of itself", {"matched_video_id": "SELF"}),
        ("frame_hashes must hold no null", {"frame_hashes": [1, None]}),
    ],
    "silver.taxonomy": [
        ("task must not be empty", {"task": ""}),
        ("label_id must not be empty", {"label_id": ""}),
        ("depth must be the number of labels above", {"depth": 2}),
        ("parent_id must be the nearest of the labels above", {"parent_id": None}),
    ],
    "silver.labels": [
        *LABEL_BROKEN, ANSWER, ("agreement must be at least 0 and at most 1", {"agreement": 1.2}),
        ("annotators must be at least 0", {"annotators": -1}),
        ("source must be one of manifest, people, both, migration", {"source": "robot"}),
        ("confidence must be at least 0 and at most 1", {"confidence": 1.2}),
    ],
    "gold.annotators": [
        ("agreed_videos must not be more", {"agreed_videos": 5}), ("agreement must be at least 0 and at most 1", {"agreement": 1.5}),
        ("sensitivity must be at least 0 and at most 1", {"sensitivity": -0.5}),
        ("reliability must be at least 0 and at most 1", {"reliability": 1.5}),
        ("confused_videos must be among", {"confused_videos": 3}),
    ],
    "gold.annotator_confusion": [("videos must be at least 1", {"videos": 0})],
    "gold.label_agreement": [("alpha must be at most 1", {"alpha": 1.5}), ("answers must be at least 1", {"answers": 0})],
    "gold.clusters": [
        LONG_ID, ("density must not be NaN", {"density": NAN}), ("noise if and only if", {"is_noise": False}),
        ("noise if and only if", {"cluster_id": "c"}), ("placed_on must not be later", {"placed_on": date(2026, 1, 3)}),
    ],
    "gold.cluster_days": [
        ("cluster_id must not be empty", {"cluster_id": ""}), ("name must not be empty", {"name": ""}),
        ("at most eight words", {"words": list("abcdefghi")}), ("at most eight words", {"words": ["a", ""]}),
        ("change must be one of kept, grown", {"change": "odd"}), ("has videos unless it is dying", {"size": 0}),
        ("has videos unless it is dying", {"change": "dying", "exemplar_video_id": None}),
        ("previous_size must be at least 0", {"previous_size": -1}), ("came from others if and only if", {"came_from": ["x"]}),
        ("came from others if and only if", {"change": "split"}), ("has an exemplar unless it is dying", {"exemplar_video_id": None}),
        ("density must not be NaN", {"density": NAN}), ("first_seen must not be later", {"first_seen": date(2026, 1, 3)}),
    ],
    "gold.sample_batch": QUEUE_BROKEN,
    "gold.active_batch": [*QUEUE_BROKEN, ("expected_label_id and item_category must both be there", {"item_category": None})],
    "gold.item_label_map": [
        ("task must not be empty", {"task": ""}), ("item_category must not be empty", {"item_category": ""}),
        ("label_id must not be empty", {"label_id": ""}),
        ("videos must be at least 1", {"videos": 0}), ("labelled_videos must be at least videos", {"labelled_videos": 1}),
        ("label_videos must be at least videos", {"label_videos": 1}),
        ("precision must be at least 0 and at most 1", {"precision": 1.5}),
        ("precision_low must be between 0 and precision", {"precision_low": 0.7}),
    ],
    "gold.loss_history": [
        *LABEL_BROKEN, ("features_version must not be empty", {"features_version": ""}), ("mean_loss must be", {"mean_loss": NAN}),
        ("loss_spread must be at least 0", {"loss_spread": -0.1}), ("losses must be finite numbers", {"losses": [0.1, None]}),
        ("losses must be finite numbers", {"losses": []}),
    ],
    "gold.label_noise": [
        *LABEL_BROKEN, ("score must not be NaN", {"score": NAN}), ("rank_in_class must be at least 1", {"rank_in_class": 0}),
        ("verdict must be one of wrong, hard, clean", {"verdict": "odd"}), ("suggested in place of itself", {"suggested_label_id": "food"}),
        ("suggestion_confidence must be", {"suggestion_confidence": 1.5}),
    ],
    "gold.tag_candidates": [
        ("phrase must not be empty", {"phrase": ""}), ("score must be at least 0 and at most 1", {"score": -0.5}),
        ("count must be at least 1", {"count": 0, "document_count": 0}), ("in no more videos than it occurs", {"document_count": 6}),
        ("miner must be one of", {"miner": "luck"}), ("must name the pattern", {"miner": "patterns"}),
        ("at most three examples", {"example_video_ids": ["1", "2", "3", "4"]}),
    ],
    "gold.tag_patterns": [
        ("pattern must not be empty", {"pattern": ""}), ("support must be at least 0", {"support": -1}),
        ("matches must be at least 0", {"matches": -1}),
        ("precision must be at least 0 and at most 1", {"precision": 2.0}),
    ],
    "gold.tag_library": [
        ("tag_id must not be empty", {"tag_id": ""}), ("tag must not be empty", {"tag": ""}), ("state must be one of", {"state": "new"}),
        ("score must be at least 0", {"score": NAN}), ("source must be one of", {"source": "aunt"}),
        ("between first_seen and the day", {"changed": date(2026, 1, 3)}),
    ],
    "gold.video_tags": [
        LONG_ID, ("tag_id must not be empty", {"tag_id": ""}), ("tag must not be empty", {"tag": ""}),
        ("position must be at least 0", {"position": -1}),
        ("matches must be at least 1", {"matches": 0}),
    ],
    "gold.training_snapshots": [
        ("snapshot_id must not be empty", {"snapshot_id": ""}), ("task must not be empty", {"task": ""}),
        ("label_ids must be different", {"label_ids": ["food", "food"]}), ("label_ids must be different", {"label_ids": []}),
        ("layout must be JSON", {"layout": "{visual"}), ("train_rows must be at least 1", {"train_rows": 0}),
        ("evaluation_rows must be at least 0", {"evaluation_rows": -1}), ("calibration_rows must be at least 0", {"calibration_rows": -1}),
    ],
    "gold.training_examples": [
        LONG_ID, ("snapshot_id must not be empty", {"snapshot_id": ""}),
        ("split must be one of train, calibration, evaluation", {"split": "test"}),
        ("weight must be at least 0 and at most 1", {"weight": 1.5}), ("targets must be 1, 0 or -1", {"targets": [-1.0, -1.0]}),
        ("targets must be 1, 0 or -1", {"targets": [0.5]}), ("visual_mask must hold 0 and 1", {"visual_mask": [0.5]}),
        ("audio_mask must hold 0 and 1", {"audio_mask": [None]}), ("text_mask must hold 0 and 1", {"text_mask": [2.0]}),
        (f"visual {NOT_FINITE}", {"visual": [NAN, 0.0]}), (f"audio {NOT_FINITE}", {"audio": [float("-inf")]}),
        (f"text {NOT_FINITE}", {"text": [None]}),
    ],
    "gold.comparisons": [
        MODEL, ("slice must be one of", {"slice": "left"}), ("outcome must be one of", {"outcome": "hm"}),
        ("accuracy must be at least 0 and at most 1", {"accuracy": 1.5}),
        ("champion_accuracy must be at least 0", {"champion_accuracy": -0.1}),
        ("low before high", {"low": 0.3}), ("rows must be at least 1", {"rows": 0}),
    ],
    "gold.evaluations": [
        MODEL, ("slice must be one of", {"slice": "some"}), ("metric must be one of", {"metric": "beauty"}),
        ("value must be at least 0", {"value": NAN, "metric": "log_loss"}),
        ("a share can't be above 1", {"value": 1.5}), ("rows must be at least 0", {"rows": -1}),
    ],
    "gold.predictions": [
        LONG_ID, MODEL, ("task must not be empty", {"task": ""}), ("one to five labels", {"top": []}),
        ("one to five labels", {"top": [("a", "A", NAN)]}),
        ("in order of probability", {"top": TOP[::-1]}), ("entropy must be", {"entropy": -0.5}),
    ],
    "gold.embeddings": [
        LONG_ID, MODEL, ("length 1 (L2-normalised)", {"vector": [0.6, 0.9]}), ("length 1 (L2-normalised)", {"vector": [NAN, 0.8]}),
        ("length 1 (L2-normalised)", {"vector": [1.0, None]}), ("length 1 (L2-normalised)", {"vector": []}),
    ],
    "gold.hashes": [LONG_ID, MODEL, ("hash must have 16 bytes", {"hash": b"short"})],
    "ops.runs": [
        ("run_id must not be empty", {"run_id": ""}), ("job must not be empty", {"job": ""}), ("status must be one of", {"status": "fine"}),
        ("seconds must be at least 0", {"seconds": -1.0}), ("rows_in must be at least 0", {"rows_in": -1}),
        ("rows_out must be at least 0", {"rows_out": -1}), ("quarantined must be at least 0", {"quarantined": -1}),
    ],
    "ops.quarantine": [
        ("job must not be empty", {"job": ""}), ("table must not be empty", {"table": ""}), ("rule must not be empty", {"rule": ""}),
        ("reason must not be empty", {"reason": ""}), ("cut at 10,000", {"row": "x" * 10001}),
    ],
    "ops.vector_loads": [
        MODEL, ("collection must be letters", {"collection": "a-b"}), ("kind must be one of", {"kind": "video"}),
        ("loaded must be at least 0", {"loaded": -1}),
        ("deleted must be at least 0", {"deleted": -1}), ("total must be at least 0", {"total": -1}),
    ],
    "ops.promotions": [
        MODEL, ("decision must be one of", {"decision": "hm"}), ("snapshot_id must not be empty", {"snapshot_id": ""}),
        ("decided_by must not be empty", {"decided_by": ""}), ("reason must not be empty", {"reason": ""}),
    ],
    "ops.serving": [
        MODEL, ("embedding_collection must be letters", {"embedding_collection": "a-b"}),
        ("hash_collection must be letters", {"hash_collection": ""}),
        ("videos must be at least 0", {"videos": -1}),
    ],
}  # fmt: skip
