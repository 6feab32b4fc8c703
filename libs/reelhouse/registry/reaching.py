"""MLflow's client with two habits changed: a server that is down is said in a sentence, and within seconds rather than minutes."""

from __future__ import annotations

import os
from functools import wraps
from typing import Any

from reelhouse.errors import RegistryError

# MLflow's own defaults, seven tries each waited for twice as long as the one before, keep a job for minutes before it says anything
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}


def be_patient() -> None:
    """Set how long MLflow tries to reach its server, unless the user said so."""
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)


class Reached:
    """A client each of whose calls raises RegistryError where the server does not answer; other errors pass."""

    def __init__(self, client: Any, uri: str) -> None:
        self._reached, self._uri = client, uri

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._reached, name)
        if not callable(value):
            return value

        @wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            from requests.exceptions import ConnectionError as NoConnection
            from requests.exceptions import Timeout

            try:
                return value(*args, **kwargs)
            except Exception as error:
                if any(isinstance(e, NoConnection | Timeout | ConnectionError) for e in _chain(error)):
                    raise RegistryError(
                        f"the MLflow server at {self._uri} (models.uri) does not answer: start it or correct the address, then run again; "
                        "a training that was cut off goes on from its last checkpoint"
                    ) from error
                raise

        return call


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
