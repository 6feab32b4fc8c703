"""MLflow, behind the few questions that the pipeline asks. The only place that names it.

MLflow takes seconds to import and sqlite as long to make ready, so a small index beside the artifacts answers the daily questions
(is this model there, what are its bytes) without it. The index is a cache: what it lacks is looked up in MLflow.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from reelhouse.errors import ModelNotFoundError, RegistryError
from reelhouse.registry.reaching import Reached, be_patient

_TAG = "model_version"
_MODEL = "model/model.pt"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class TrainingRun:
    """An MLflow run that trains one model version. checkpoint: what an earlier, cut-off attempt left, if anything."""

    run_id: str
    checkpoint: bytes | None


@dataclass(frozen=True)
class RegisteredModel:
    """A model in MLflow's registry. number: MLflow's own count. data_date: the day that it was trained for, as text."""

    model_version: str
    number: int
    snapshot_id: str
    data_date: str
    aliases: tuple[str, ...]


def _literal(text: str) -> str:
    """The text in a filter of MLflow, which knows two kinds of quotes and no escapes. RegistryError where it holds both."""
    if "'" in text and '"' in text:
        raise RegistryError(f"MLflow can't look up {text}: it holds quotes of both kinds")
    return f'"{text}"' if "'" in text else f"'{text}'"


class Registry:
    """uri: MLflow tracking URI. artifact_root: folder for artifacts (used when uri is a database, not a server). name: of the model."""

    def __init__(self, uri: str, artifact_root: str, name: str) -> None:
        self.uri, self.name = uri, name
        self.artifact_root = Path(artifact_root)
        self.is_local = not uri.startswith(("http://", "https://", "databricks"))
        self._may_write = True

    def read_only(self) -> Registry:
        """The same models for a replay: aliases are left as they are, and training a model that is not there is an error."""
        other = Registry(self.uri, str(self.artifact_root), self.name)
        other._may_write = False
        return other

    # -- asking

    def exists(self, model_version: str) -> bool:
        """Whether a finished model of that version is registered and its file is there."""
        return self._indexed(model_version) is not None or self._find(model_version) is not None

    def load(self, model_version: str) -> bytes:
        """The registered model's bytes (reelhouse.models.load reads them). ModelNotFoundError lists what is registered."""
        path = self._indexed(model_version)
        if path is None:
            found = self._find(model_version)
            if found is None:
                known = ", ".join(sorted(v.tags.get(_TAG, "?") for v in self._versions())) or "none"
                raise ModelNotFoundError(
                    f"no model of version {model_version} is registered as {self.name} at {self.uri}; registered: {known}. "
                    "Run `reelhouse job train` for the date that trained it"
                )
            with tempfile.TemporaryDirectory() as folder:
                return Path(self._client.download_artifacts(found.run_id, _MODEL, folder)).read_bytes()
        return path.read_bytes()

    def version_of_alias(self, alias: str) -> str | None:
        """The model_version that carries the alias; None if no model does."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self._client.get_model_version_by_alias(self.name, alias).tags[_TAG])
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def models(self) -> list[RegisteredModel]:
        """Every registered model, the newest first."""
        from mlflow.exceptions import MlflowException

        try:
            aliases = self._client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        return [
            RegisteredModel(
                found.tags.get(_TAG, "?"),
                int(found.version),
                found.tags.get("snapshot_id", ""),
                found.tags.get("data_date", ""),
                tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(found.version))),
            )
            for found in reversed(self._versions())
        ]

    # -- training

    def start(self, model_version: str, parameters: Mapping[str, Any]) -> TrainingRun:
        """The MLflow run for training this version, which is not registered: that of an earlier attempt, else a new one.

        Of several the newest goes on and the others are marked KILLED.
        """
        if not self._may_write:
            raise ModelNotFoundError(
                f"a replay takes its models from {self.uri}, and {model_version} is not registered there: code, settings or rows differ "
                "from those that it was trained with"
            )
        open_runs = [r for r in self._runs(model_version) if r.data.tags.get("superseded") != "yes"]
        for old in open_runs[1:]:
            self._client.set_tag(old.info.run_id, "superseded", "yes")
            self._client.set_terminated(old.info.run_id, status="KILLED")
        if open_runs:
            run_id = str(open_runs[0].info.run_id)
            self._client.update_run(run_id, status="RUNNING")
            return TrainingRun(run_id, self._newest_checkpoint(run_id))
        created = self._client.create_run(self._experiment, run_name=model_version, tags={_TAG: model_version})
        from mlflow.entities import Param

        self._client.log_batch(created.info.run_id, params=[Param(k, str(v)[:6000]) for k, v in sorted(parameters.items())])
        return TrainingRun(str(created.info.run_id), None)

    def log_metrics(self, run_id: str, figures: Iterable[tuple[str, float, int]]) -> None:
        """(name, value, step), all in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        rows = [Metric(name, float(value), now, step) for name, value, step in figures]
        if rows:
            self._client.log_batch(run_id, metrics=rows)

    def save_checkpoint(self, run_id: str, path: Path) -> None:
        """Keeps a checkpoint file; names sort by age (checkpoint-00005.pt)."""
        self._client.log_artifact(run_id, str(path), _CHECKPOINTS)

    def fail(self, run_id: str) -> None:
        """Marks a run as failed; a later attempt goes on from its checkpoints."""
        self._client.set_terminated(run_id, status="FAILED")

    def register(self, run_id: str, model_version: str, content: bytes, tags: Mapping[str, str], card: str = "") -> None:
        """Stores the model, finishes the run and registers it, last and in one step with its tags and its card (Markdown): whoever finds
        it registered need not look whether an attempt was cut off. Doing it again, whole or after a cut, changes nothing.
        """
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(_MODEL).name
            path.write_bytes(content)
            self._client.log_artifact(run_id, str(path), str(Path(_MODEL).parent))
        try:
            self._client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        self._client.set_terminated(run_id, status="FINISHED")
        if self._find(model_version) is None:
            source = f"{self._client.get_run(run_id).info.artifact_uri}/{Path(_MODEL).parent}"
            tags = {_TAG: model_version, **tags}
            self._client.create_model_version(self.name, source, run_id=run_id, tags=tags, description=card)
        self._find(model_version)

    def set_alias(self, alias: str, model_version: str) -> None:
        """Moves the alias to the model of that version. ModelNotFoundError if it is not registered."""
        if not self._may_write:
            return
        found = self._find(model_version)
        if found is None:
            raise ModelNotFoundError(f"the alias {alias} can't point to {model_version}: no such model is registered as {self.name}")
        self._client.set_registered_model_alias(self.name, alias, found.version)

    def remove_alias(self, alias: str) -> None:
        """No model carries the alias any more; nothing happens where none did."""
        if not self._may_write or self.version_of_alias(alias) is None:
            return
        self._client.delete_registered_model_alias(self.name, alias)

    def describe(self, model_version: str, card: str) -> None:
        """Set the model card (Markdown) that MLflow's pages show. ModelNotFoundError if the model is not registered."""
        if not self._may_write:
            return
        found = self._find(model_version)
        if found is None:
            raise ModelNotFoundError(f"{model_version} can't be described: no such model is registered as {self.name} at {self.uri}")
        if found.description != card:
            self._client.update_model_version(self.name, found.version, description=card)

    # -- inside

    @cached_property
    def _client(self) -> Any:
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        be_patient()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        if self.is_local:
            self.artifact_root.mkdir(parents=True, exist_ok=True)
            database = urlparse(self.uri)
            if database.scheme == "sqlite":
                Path(unquote(database.path.removeprefix("/"))).parent.mkdir(parents=True, exist_ok=True)
        client = mlflow.tracking.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return client if self.is_local else Reached(client, self.uri)

    @cached_property
    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.name)
        if found is not None:
            return str(found.experiment_id)
        place = self.artifact_root.resolve().as_uri() if self.is_local else None
        return str(self._client.create_experiment(self.name, artifact_location=place))

    def _runs(self, model_version: str) -> list[Any]:
        wanted = f"tags.{_TAG} = {_literal(model_version)}"
        return list(self._client.search_runs([self._experiment], wanted, order_by=["attributes.start_time DESC", "attributes.run_id"]))

    def _newest_checkpoint(self, run_id: str) -> bytes | None:
        files = sorted(a.path for a in self._client.list_artifacts(run_id, _CHECKPOINTS))
        if not files:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(run_id, files[-1], folder)).read_bytes()

    def _versions(self, model_version: str | None = None) -> list[Any]:
        wanted = f"name = {_literal(self.name)}" + (f" AND tags.{_TAG} = {_literal(model_version)}" if model_version else "")
        return sorted(self._client.search_model_versions(wanted), key=lambda v: int(v.version))

    def _find(self, model_version: str) -> Any | None:
        """The newest registered version whose model is there; remembered in the index."""
        for found in reversed(self._versions(model_version)):
            if any(a.path == _MODEL for a in self._client.list_artifacts(found.run_id, str(Path(_MODEL).parent))):
                if self.is_local:
                    uri = f"{self._client.get_run(found.run_id).info.artifact_uri}/{_MODEL}"
                    self._keep(model_version, {"number": int(found.version), "run_id": found.run_id, "file": uri})
                return found
        return None

    def _index(self, name: str) -> Path:
        return self.artifact_root.parent / "index" / self.name / f"{name}.json"

    def _indexed(self, model_version: str) -> Path | None:
        if not self.is_local or not self._index(model_version).exists():
            return None
        address = urlparse(json.loads(self._index(model_version).read_text(encoding="utf-8"))["file"])
        path = Path(unquote(address.path))
        return path if path.exists() else None

    def _keep(self, name: str, content: Mapping[str, Any]) -> None:
        path = self._index(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(path)
