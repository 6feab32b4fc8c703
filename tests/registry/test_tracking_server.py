"""The registry against a real `mlflow server` on loopback: models, checkpoints and cards go through it, files included."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urljoin

import pytest

from reelhouse.errors import ModelNotFoundError
from reelhouse.registry import Registry


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("mlflow-server"), free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "files"),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 300
        while not _answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < until, "mlflow server did not answer in five minutes"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it has workers of its own
        process.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_models_their_files_aliases_and_cards_are_kept_by_the_server_alone(server: str, tmp_path: Path):
    unused = tmp_path / "artifacts"

    def opened() -> Registry:
        return Registry(server, str(unused), "on a server")

    registry = opened()
    assert registry.models() == []
    attempt = registry.start("v1", {"epochs": 3})
    checkpoint = tmp_path / "checkpoint-00001.pt"
    checkpoint.write_bytes(b"half way")
    registry.save_checkpoint(attempt.run_id, checkpoint)
    registry.fail(attempt.run_id)
    again = opened().start("v1", {"epochs": 3})
    assert (again.run_id, again.checkpoint) == (attempt.run_id, b"half way")
    registry.log_metrics(again.run_id, [("loss", 0.5, 1)])
    for _ in range(2):
        registry.register(again.run_id, "v1", b"the model", {"snapshot_id": "s1", "data_date": "2026-01-02"}, "# v1\n\nA card.")
    for alias in ("candidate", "champion", "champion"):
        registry.set_alias(alias, "v1")
    other = opened()
    assert other.load("v1") == b"the model"
    assert other.version_of_alias("champion") == "v1"
    (model,) = other.models()
    assert (model.model_version, model.number, model.snapshot_id, model.data_date) == ("v1", 1, "s1", "2026-01-02")
    assert model.aliases == ("candidate", "champion")
    other.remove_alias("candidate")
    assert opened().models()[0].aliases == ("champion",)
    assert [v.description for v in other._versions("v1")] == ["# v1\n\nA card."]
    with pytest.raises(ModelNotFoundError, match=r"no model of version v9 is registered as on a server at http://127\.0\.0\.1"):
        other.load("v9")
    assert not unused.exists()


def test_the_pages_of_mlflow_open_and_show_the_card_of_a_model(server: str, tmp_path: Path):
    registry = Registry(server, str(tmp_path / "artifacts"), "seen by people")
    attempt = registry.start("v1", {"epochs": 3})
    card = "# Model v1\n\nTrained on 60 videos | 视频 | “quoted” & <b>"
    registry.register(attempt.run_id, "v1", b"the model", {}, card)
    with urllib.request.urlopen(server, timeout=60) as answer:
        assert (answer.status, answer.headers.get_content_type()) == (200, "text/html")
        page = answer.read().decode()
    program = re.search(r'<script[^>]*src="([^"]+)"', page)[1]  # which makes the page
    with urllib.request.urlopen(urljoin(f"{server}/", program), timeout=60) as answer:
        assert "javascript" in answer.headers.get_content_type()
    assert card_on_the_page(server, "seen by people", "1") == card
    registry.describe("v1", "Another card")
    assert card_on_the_page(server, "seen by people", "1") == "Another card"


def card_on_the_page(server: str, name: str, version: str) -> str:
    """What the page of a model version asks for and shows."""
    asked = urlencode({"name": name, "version": version})
    with urllib.request.urlopen(f"{server}/ajax-api/2.0/mlflow/model-versions/get?{asked}", timeout=60) as answer:
        return json.load(answer)["model_version"]["description"]
