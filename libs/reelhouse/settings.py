"""Settings: conf/base.yml, overlays and single values, validated together.

base.yml is the one place of defaults and of what each setting does; the classes below state types and bounds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelhouse.errors import SettingsError

CONF = Path(os.environ.get("REELHOUSE_CONF_DIR") or Path(__file__).resolve().parents[2] / "conf")

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class StorageSettings(Section):
    root: str
    quarantine_share_max: Share
    quarantine_rows_free: Count
    keep_days: Count


class SparkSettings(Section):
    master: str
    driver_memory: str
    shuffle_partitions: Positive
    jobs_at_once: Positive
    extra: dict[str, str]
    metastore: str


class SourceSettings(Section):
    deliveries: str
    videos: str
    manifest: str
    inbox: str
    text_bytes_max: Positive
    file_bytes_max: Positive


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
    agreement_min: Share


class SamplingSettings(Section):
    task: str
    budget: Count
    active_budget: Count
    random_share: Share
    minimum_cluster_size: Positive
    strategy: Literal["random", "entropy", "margin", "coreset", "uncertainty_by_cluster"]
    cold_start_labels: Count
    rows_max: Positive


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
    slice_rows_min: Count
    rows_max: Positive


class ModelSettings(Section):
    uri: str
    name: str


class VectorSettings(Section):
    uri: str
    token: str
    batch_rows: Positive


class Settings(Section):
    storage: StorageSettings
    spark: SparkSettings
    sources: SourceSettings
    taxonomy: TaxonomySettings
    video: VideoSettings
    text: TextSettings
    copies: CopySettings
    labels: LabelSettings
    sampling: SamplingSettings
    noise: NoiseSettings
    tags: TagSettings
    training: TrainingSettings
    gates: GateSettings
    models: ModelSettings
    vectors: VectorSettings

    def hash_of(self, sections: Sequence[str]) -> str:
        """Short hash of the sections' values: what a job's output depends on."""
        values = {name: getattr(self, name).model_dump() for name in sorted(sections)}
        return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def load(overlays: Sequence[Path | str] = (), values: Mapping[str, Any] | None = None, conf: Path = CONF) -> Settings:
    """Read base.yml, lay `overlays` (YAML files) and then `values` over it, and validate.

    values: {"section.key": value}.
    Raises SettingsError with every unknown key and ill-typed value at once.
    """
    merged = _read(conf / "base.yml")
    for path in overlays:
        _lay(merged, _read(Path(path)))
    for dotted, value in (values or {}).items():
        section, _, key = dotted.partition(".")
        _lay(merged, {section: {key: value}} if key else {section: value})
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"the settings file {path} must hold sections (name: values), not a {type(content).__name__}")
    return content


def pair(text: str) -> tuple[str, Any]:
    """Split `section.key=value`, the value read as YAML."""
    dotted, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--set wants section.key=value, got {text!r}")
    try:
        return dotted.strip(), yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {text!r}: the value is no YAML ({error}); put quotes around it, '{dotted}=\"{value}\"'") from error


def _lay(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _lay(base[key], value)
        else:
            base[key] = value


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        known = ""
        if problem["type"] == "extra_forbidden":
            owner: Any = Settings
            for part in problem["loc"][:-1]:
                owner = owner.model_fields[str(part)].annotation
            known = f" (known here: {', '.join(sorted(owner.model_fields))})"
            lines.append(f"{where}: there is no such setting{known}")
        else:
            lines.append(f"{where}: {problem['msg']}, got {problem.get('input')!r}")
    return "settings are wrong:\n  " + "\n  ".join(lines) + "\nSee conf/base.yml for every setting."
