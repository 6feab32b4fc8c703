"""Types and bounds of each section of the settings; conf/base.yml says what each one does."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]


def memory_bytes(text: str) -> int:
    """Bytes of a size as Java takes it, with a unit: 2g, 512m. 0 if it is none."""
    found = re.fullmatch(r"(\d+)([kmgt])", text.lower())
    return int(found[1]) * 1024 ** (" kmgt".index(found[2])) if found else 0


def _enough_for_spark(text: str) -> str:
    if memory_bytes(text) < 512 * 1024**2:  # Spark ends at once with less than 450 MiB, and Java keeps some of it for itself
        raise ValueError("a size such as 2g, of at least 512m, is needed")
    return text


Memory = Annotated[str, AfterValidator(_enough_for_spark)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class StorageSettings(Section):
    root: str
    quarantine_share_max: Share
    quarantine_rows_free: Count
    keep_days: Count


class SparkSettings(Section):
    master: str
    driver_memory: Memory
    shuffle_partitions: Positive
    jobs_at_once: Positive
    extra: dict[str, str]
    metastore: str


class SourceSettings(Section):
    deliveries: str
    videos: str
    manifest: str
    inbox: str
    roots: list[str]
    text_bytes_max: Positive
    file_bytes_max: Positive

    @property
    def are_named(self) -> bool:
        """Whether a day could find anything to take in."""
        return bool(self.deliveries or self.videos or self.manifest or self.inbox)


class TaxonomySettings(Section):
    category: str


class VideoSettings(Section):
    frames: Positive
    scene_threshold: Share
    candidates: Positive
    encoder: str
    ocr_frames: Count
    ocr_confidence_min: Share
    audio: bool
    audio_patches: Positive
    seconds_max: Positive
    file_timeout_seconds: Positive
    partition_videos: Positive


class TextSettings(Section):
    noise_tags: list[str]
    vector_dimension: Positive
    hash_buckets: Positive
    fit_rows_max: Positive
    refit_growth: Annotated[float, Field(gt=1)]


class CopySettings(Section):
    hash_distance_max: Count
    similarity_min: Share
    rows_max: Positive


class LabelSettings(Section):
    aggregation: Literal["dawid-skene", "majority"]
    agreement_min: Share
    confidence_min: Annotated[float, Field(gt=0.5, lt=1)]
    rows_max: Positive


class LabellingSettings(Section):
    queue_max: Annotated[int, Field(gt=0, le=5000)]
    answers_wanted: Positive
    lease_minutes: Annotated[float, Field(gt=0)]
    host: str
    port: Annotated[int, Field(ge=0, le=65535)]
    token: str


class SamplingSettings(Section):
    task: str
    budget: Count
    active_budget: Count
    random_share: Share
    minimum_cluster_size: Annotated[int, Field(ge=2)]
    recluster_share: Share
    recluster_days: Positive
    domain_share_max: Share
    day_share_max: Share
    strategy: Literal["random", "entropy", "margin", "coreset", "badge", "typiclust", "uncertainty_by_cluster"]
    uncertainty: Literal["margin", "entropy", "disagreement"]
    cold_start_p_max: Share
    rare_labels: Count
    rare_share: Share
    item_precision_min: Share
    rows_max: Positive
    spark_rows_max: Positive


class PlanSettings(Section):
    rows_max: Positive
    half_width: Annotated[float, Field(gt=0, lt=1)]


class NoiseSettings(Section):
    task: str
    minimum_labels: Count
    minimum_per_class: Positive
    folds: Annotated[int, Field(ge=2)]
    cycles: Positive
    epochs_per_cycle: Positive
    rows_max: Positive


class TagSettings(Section):
    minimum_count: Positive
    maximum_tokens: Positive
    score_min: Share
    daily_candidates: Positive
    known_phrases: str
    texts_max: Positive
    library_max: Positive


class TrainingSettings(Section):
    task: str
    launcher: Literal["auto", "horovod", "torch"]
    ranks: Positive
    hosts: str
    epochs: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    minimum_labels: Positive
    minimum_per_class: Positive
    evaluation_share: Share
    visual_steps: Positive
    audio_steps: Positive
    embedding_dimension: Positive
    suspect_weight: Share
    timeout_minutes: Positive
    seed: int


class GateSettings(Section):
    accuracy_drop_max: Share
    drop_max_by_slice: dict[
        Literal["all", "head", "mid", "tail", "without_visual", "without_audio", "without_text", "newest", "random"], Share
    ]
    slice_rows_min: Count
    confidence: Annotated[float, Field(gt=0, lt=1)]
    resamples: Positive
    unsure: Literal["estimate", "refuse", "promote"]
    promote: bool
    rows_max: Positive


class ModelSettings(Section):
    uri: str
    name: str


class RunSettings(Section):
    when_locked: Literal["leave", "wait"]
    wait_minutes: Annotated[float, Field(ge=0)]


class AlertSettings(Section):
    deadline_hours: Annotated[float, Field(ge=0)]
    on_failure: str
    on_late: str
    timeout_seconds: Annotated[float, Field(gt=0)]


class SqlServerSettings(Section):
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    authentication: Literal["none", "ldap"]
    ldap_url: str
    ldap_base: str
    ldap_domain: str
    behind_gateway: bool
    without_boundary: Literal["go_on", "leave"]
    query_seconds: Positive
    idle_minutes: Positive
    result_megabytes: Positive
    refresh_seconds: Annotated[float, Field(gt=0)]


class ServingSettings(Section):
    previous_days: Count


class VectorSettings(Section):
    uri: str
    token: str
    batch_rows: Positive
    timeout_seconds: Positive
    index: Literal["HNSW", "AUTOINDEX"]
    import_folder: str
    import_rows: Positive
    imports_at_once: Positive
    import_minutes: Positive


class ReportSettings(Section):
    pictures_max: Annotated[int, Field(ge=0, le=60)]
    picture_pixels: Annotated[int, Field(ge=32, le=160)]
    rows_max: Annotated[int, Field(gt=0, le=200)]
    days: Annotated[int, Field(gt=0, le=90)]


def _clock(value: Any) -> Any:
    """A time of day without quotes is a number of minutes to YAML: 10:30 is 630."""
    return f"{value // 60:02}:{value % 60:02}" if isinstance(value, int) else value


Clock = Annotated[str, BeforeValidator(_clock), Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class ScheduleSettings(Section):
    at: Clock
    logs: str
    image: str
    namespace: str
    secret: str
    executor_secrets: list[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]]
