"""Settings: conf/base.yml, overlays and single values, validated together.

base.yml is the one place of defaults and of what each setting does; reelhouse.sections states types and bounds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from reelhouse.errors import SettingsError
from reelhouse.sections import (
    AlertSettings,
    CopySettings,
    GateSettings,
    LabellingSettings,
    LabelSettings,
    ModelSettings,
    NoiseSettings,
    PlanSettings,
    ReportSettings,
    RunSettings,
    SamplingSettings,
    ScheduleSettings,
    Section,
    ServingSettings,
    SourceSettings,
    SparkSettings,
    SqlServerSettings,
    StorageSettings,
    TagSettings,
    TaxonomySettings,
    TextSettings,
    TrainingSettings,
    VectorSettings,
    VideoSettings,
)

CONF = Path(os.environ.get("REELHOUSE_CONF_DIR") or Path(__file__).resolve().parents[2] / "conf")

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
    merged = _filled(_merged(overlays, values or {}, conf), "", elsewhere)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def variables_of(overlays: Sequence[Path | str], values: Mapping[str, Any], conf: Path = CONF) -> list[str]:
    """Names of the environment's variables that the same settings ask for as `${NAME}`, sorted."""
    return sorted(set(_FROM_ENVIRONMENT.findall(json.dumps(_merged(overlays, values, conf), default=str))))


def _merged(overlays: Sequence[Path | str], values: Mapping[str, Any], conf: Path) -> dict[str, Any]:
    merged = _read(conf / "base.yml")
    for path in overlays:
        _lay(merged, _read(Path(path)))
    for dotted, value in values.items():
        section, _, key = dotted.partition(".")
        _lay(merged, {section: {key: value}} if key else {section: value})
    return merged


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
