import re
from pathlib import Path

import pytest
import yaml

from reelhouse import settings
from reelhouse.errors import SettingsError
from reelhouse.sections import memory_bytes

LINES = (settings.CONF / "base.yml").read_text(encoding="utf-8").split("\n")


def test_every_mistake_is_reported_at_once_with_what_is_known():
    with pytest.raises(SettingsError) as error:
        settings.load(values={"video.framez": 3, "video.frames": "many", "colour": 1, "noise.folds": 1})
    text = str(error.value)
    assert "video.framez: there is no such setting (known here: audio, audio_patches" in text
    assert "video.frames: Input should be a valid integer, unable to parse string as an integer, got 'many'" in text
    assert "noise.folds: Input should be greater than or equal to 2, got 1" in text
    assert "colour: there is no such setting (known here: alerts," in text


@pytest.mark.parametrize("size", ["300m", "511m", "4096", "1 gibibyte", "-2g"])
def test_a_size_that_spark_would_not_start_with_is_refused(size: str):
    with pytest.raises(SettingsError, match=r"spark\.driver_memory: .*of at least 512m, is needed, got"):
        settings.load(values={"spark.driver_memory": size})


@pytest.mark.parametrize(("size", "mib"), [("512m", 512), ("2g", 2048), ("1t", 1024**2), ("1048576k", 1024), ("2G", 2048)])
def test_a_java_size_in_bytes(size: str, mib: int):
    assert memory_bytes(size) == mib * 1024**2
    assert settings.load(values={"spark.driver_memory": size}).spark.driver_memory == size


def test_overlays_are_laid_in_order_and_single_values_last(tmp_path: Path):
    one, two = tmp_path / "one.yml", tmp_path / "two.yml"
    one.write_text("video: {frames: 5, ocr_frames: 2}\n")
    two.write_text("video: {frames: 6}\n")
    video = settings.load([one, two], {"video.ocr_frames": 0}).video
    assert (video.frames, video.ocr_frames) == (6, 0)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("spark.extra.spark.hadoop.fs.s3a.secret.key", "x", True),
        ("spark.extra.spark.ssl.keyStorePassword", "x", True),
        ("spark.extra.spark.hadoop.fs.azure.account.key.me.dfs.core.windows.net", "x", True),
        ("spark.extra.spark.hadoop.fs.s3a.access.key", "x", True),
        ("spark.extra.spark.hadoop.fs.gs.auth.service.account.private.key", "x", True),
        ("spark.extra.spark.ssl.rpc.privateKey", "x", True),
        ("spark.extra.spark.hadoop.fs.s3a.encryption.key", "x", True),
        ("spark.extra.spark.hadoop.fs.s3a.server-side-encryption.key", "x", True),
        ("spark.extra.spark.hadoop.fs.azure.encryption.encoded.client-provided-key", "x", True),
        ("spark.extra.spark.hadoop.fs.azure.sas.box.me.blob.core.windows.net", "x", True),
        ("spark.extra.spark.io.encryption.keySizeBits", "256", False),
        ("spark.extra.spark.hadoop.fs.s3a.encryption.algorithm", "SSE-KMS", False),
        ("alerts.on_failure", "https://hooks.example/T0/B0/x", True),
        ("alerts.on_failure", "page the-team", False),
        ("schedule.secret", "reelhouse", False),
        ("spark.extra.spark.executor.memory", "8g", False),
        ("vectors.token", "", False),
    ],
)
def test_what_is_a_secret_is_not_shown(name: str, value: str, secret: bool):
    assert settings.shown(name, value) == ("********" if secret else value)
    assert settings.plain_secrets({name: value}) == ([name] if secret else [])
    assert settings.plain_secrets({name: "${NAME}"}) == []


def test_the_environment_fills_lists_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATA", "/data")
    assert settings.load(values={"sources.roots": ["${DATA}/x", "/y"]}).sources.roots == ["/data/x", "/y"]
    with pytest.raises(SettingsError, match=r"^sources\.roots: the environment has no variable NO_SUCH, which"):
        settings.load(values={"sources.roots": ["/y", "${NO_SUCH}"]})


@pytest.mark.parametrize("name", ["models.uri", "vectors.uri", "storage.root", "spark.extra", "sources.roots"])
def test_an_address_with_a_password_is_refused_without_showing_it(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ADDRESS", "https://me:hunter2@lake.example:443/x")
    value = {"spark.extra": {"spark.x": "${ADDRESS}"}, "sources.roots": ["/y", "${ADDRESS}"]}.get(name, "${ADDRESS}")
    with pytest.raises(SettingsError, match=rf"^{name}[a-z.]*: the address holds a password") as refused:
        settings.load(values={name: value})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("storage.root", "abfss://container@account.dfs.core.windows.net/lake"),  # the part before @ is no user's
        ("vectors.uri", "http://milvus.example:19530"),
        ("alerts.on_late", "https://me:hunter2@hooks.example/x"),  # never shown
    ],
)
def test_an_address_without_a_password_or_that_nobody_sees_is_taken(name: str, value: str):
    section, key = name.split(".")
    assert getattr(getattr(settings.load(values={name: value}), section), key) == value


def test_an_unreadable_file_is_named(tmp_path: Path):
    bad = tmp_path / "bad.yml"
    bad.write_text("video: [\n")
    with pytest.raises(SettingsError, match=r"bad\.yml can't be read"):
        settings.load([bad])


@pytest.mark.parametrize("text", ["vectors.token=@x", "vectors.token=[a", "a=%b"])
def test_a_value_that_is_no_yaml_is_named(text: str):
    with pytest.raises(SettingsError, match=re.escape(f"--set {text!r}: the value is no YAML")):
        settings.pair(text)


def test_the_hash_covers_only_the_sections_asked_for():
    base, other = settings.load(), settings.load(values={"video.frames": 9})
    assert base.hash_of(["text"]) == other.hash_of(["text"])
    assert base.hash_of(["video"]) != other.hash_of(["video"])


def test_every_setting_says_what_it_does():
    for line in LINES:
        if line.startswith("  ") and not line.lstrip().startswith("#"):
            assert " # " in line, f"no comment on {line.strip()}"


def test_every_setting_is_read_by_code():
    sources = "\n".join(
        p.read_text(encoding="utf-8")
        for folder in ("libs/reelhouse", "jobs")
        for p in (settings.CONF.parent / folder).rglob("*.py")
        if p.name not in ("settings.py", "sections.py")
    )
    defaults = yaml.safe_load("\n".join(LINES))
    unread = [f"{section}.{key}" for section, keys in defaults.items() for key in keys if not re.search(rf"\.{key}\b", sources)]
    assert unread in ([], ["taxonomy.category"])  # a task's tree is read by the task's name
