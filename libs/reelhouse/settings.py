"""Settings: conf/base.yml, overlays and single values, validated together.

base.yml is the one place of defaults and of what each setting does; the classes below state types and bounds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from reelhouse.errors import SettingsError

CONF = Path(os.environ.get("REELHOUSE_CONF_DIR") or Path(__file__).resolve().parents[2] / "conf")

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

# What nobody may see: a job's output does not depend on it, so that no hash of it is kept either
_SECRET = {"vectors": {"token"}, "labelling": {"token"}}
_SECRET_NAME = re.compile(
    # of encryption only the keys themselves, not spark.io.encryption.keySizeBits; sas: Azure's shared access signatures
    r"secret|token|password|passphrase|credential|(access|account|private)[._-]?key|encryption[\w.-]*key$|\.sas\.",
    re.IGNORECASE,
)
_NO_SECRETS = ("schedule.secret", "schedule.executor_secrets")  # names of a Secret and of its keys
_WEBHOOKS = ("alerts.on_failure", "alerts.on_late")  # who knows such an address may use it
_PASSWORD_IN_ADDRESS = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_FROM_ENVIRONMENT = re.compile(r"\$\{(\w+)\}")


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
    minimum_cluster_size: Positive
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
    drop_max_by_slice: dict[Literal["all", "head", "mid", "tail", "without_visual", "without_audio", "without_text", "newest"], Share]
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


class Settings(Section):
    storage: StorageSettings
    spark: SparkSettings
    sources: SourceSettings
    taxonomy: TaxonomySettings
    video: VideoSettings
    text: TextSettings
    copies: CopySettings
    labels: LabelSettings
    labelling: LabellingSettings
    sampling: SamplingSettings
    plan: PlanSettings
    noise: NoiseSettings
    tags: TagSettings
    training: TrainingSettings
    gates: GateSettings
    models: ModelSettings
    runs: RunSettings
    alerts: AlertSettings
    sql_server: SqlServerSettings
    serving: ServingSettings
    vectors: VectorSettings
    report: ReportSettings
    schedule: ScheduleSettings

    def hash_of(self, sections: Sequence[str]) -> str:
        """Short hash of the sections' values: what a job's output depends on."""
        values = {name: getattr(self, name).model_dump(exclude=_SECRET.get(name)) for name in sorted(sections)}
        return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def load(
    overlays: Sequence[Path | str] = (), values: Mapping[str, Any] | None = None, conf: Path = CONF, *, elsewhere: bool = False
) -> Settings:
    """Read base.yml, lay `overlays` (YAML files) and then `values` over it, and validate.

    values: {"section.key": value}. In a value `${NAME}` stands for the environment's variable NAME, so that secrets need not be in files
    or on command lines; elsewhere: the settings are for another machine, and what is not set here stays as it is written.
    Raises SettingsError with every unknown key and ill-typed value at once, or for a variable that is not set, or an address with a
    password in it.
    """
    merged = _read(conf / "base.yml")
    for path in overlays:
        _lay(merged, _read(Path(path)))
    for dotted, value in (values or {}).items():
        section, _, key = dotted.partition(".")
        _lay(merged, {section: {key: value}} if key else {section: value})
    merged = _filled(merged, "", elsewhere)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def shown(dotted: str, value: Any) -> str:
    """A setting's value for people: secrets, also those among further Spark settings, as stars."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {shown(name, one)}" for name, one in value.items()) + "}"
    return "********" if value and _is_secret(dotted, value) else str(value)


def plain_secrets(given: Path | Mapping[str, Any]) -> list[str]:
    """Names of the secrets of a settings file, or among values (as load takes them), that are written out instead of as `${NAME}`."""
    found: list[str] = []

    def look(value: Any, where: str) -> None:
        if isinstance(value, Mapping):
            for key, one in value.items():
                look(one, f"{where}.{key}".lstrip("."))
        elif value and _is_secret(where, value) and not _FROM_ENVIRONMENT.fullmatch(str(value)):
            found.append(where)

    look(_read(given) if isinstance(given, Path) else given, "")
    return found


def _is_secret(dotted: str, value: Any) -> bool:
    if dotted in _WEBHOOKS:
        return str(value).startswith(("http://", "https://"))
    return dotted not in _NO_SECRETS and bool(_SECRET_NAME.search(dotted))


def _filled(value: Any, where: str, elsewhere: bool) -> Any:
    """The value with what the environment holds in place of each `${NAME}`. SettingsError as load says."""
    if isinstance(value, dict):
        return {key: _filled(one, f"{where}.{key}".lstrip("."), elsewhere) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, where, elsewhere) for one in value]
    if not isinstance(value, str):
        return value

    def held(found: re.Match[str]) -> str:
        if found[1] not in os.environ and elsewhere:
            return found[0]
        if found[1] not in os.environ:
            raise SettingsError(f"{where}: the environment has no variable {found[1]}, which ${{{found[1]}}} asks for")
        return os.environ[found[1]]

    filled = _FROM_ENVIRONMENT.sub(held, value)
    if _PASSWORD_IN_ADDRESS.search(filled) and not _is_secret(where, filled):
        raise SettingsError(
            f"{where}: the address holds a password, which logs and tables would hold too. Leave it out: Milvus takes vectors.token, "
            "MLflow the variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, a database or file system its own variables"
        )
    return filled


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
            lines.append(f"{where}: {problem['msg']}, got {shown(where, repr(problem.get('input')))}")
    return "settings are wrong:\n  " + "\n  ".join(lines) + "\nSee conf/base.yml for every setting."
