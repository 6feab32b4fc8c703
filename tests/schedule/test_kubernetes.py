"""`reelhouse schedule kubernetes`: the printed documents, field by field; and that the settings in them are settings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse.cli.options import settings_of
from reelhouse.cli.schedule import due_at
from reelhouse.errors import SettingsError
from reelhouse.pipeline import load_jobs
from reelhouse.settings import CONF, load
from tests.typed import typing_in

CLUSTER = CONF / "cluster.yml"


@pytest.fixture
def objects(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict]:
    own = tmp_path / "my own (site's) größe.yml"
    own.write_text(
        yaml.safe_dump(
            {"sources": {"deliveries": "/mnt/in"}}
            | {"schedule": {"namespace": "lake", "image": "hub/reelhouse:7", "executor_secrets": ["AWS_ACCESS_KEY_ID"]}}
        )
    )
    typed = typing_in(tmp_path, spark, monkeypatch)
    printed = typed("schedule", "kubernetes", "--at", "04:30", "--conf", str(CLUSTER), "--conf", str(own), "--root", "s3a://other/it's")
    return {document["kind"]: document for document in yaml.safe_load_all(printed.stdout)}


def test_every_object_has_its_place(objects: dict[str, dict]):
    assert list(objects) == ["ServiceAccount", "Role", "RoleBinding", "ConfigMap", "CronJob"]
    versions = ["v1", "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1", "v1", "batch/v1"]
    assert [document["apiVersion"] for document in objects.values()] == versions
    assert {document["metadata"]["namespace"] for document in objects.values()} == {"lake"}
    assert objects["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": "reelhouse", "namespace": "lake"}]
    assert objects["RoleBinding"]["roleRef"]["name"] == objects["Role"]["metadata"]["name"] == "reelhouse"
    assert "pods" in objects["Role"]["rules"][0]["resources"]


def test_one_run_at_a_time_ended_after_the_minutes_of_all_jobs_and_not_repeated_where_that_is_no_use(objects: dict[str, dict]):
    spec = objects["CronJob"]["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("30 4 * * *", "Etc/UTC", "Forbid")
    job = spec["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] == 60 * sum(job.minutes for job in load_jobs())
    assert job["backoffLimit"] == max(job.retries for job in load_jobs()) == 2
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule == {"action": "FailJob", "onExitCodes": {"containerName": "reelhouse", "operator": "In", "values": [2, 3, 4]}}
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_the_container_runs_the_day_with_secrets_from_its_environment(objects: dict[str, dict]):
    pod = objects["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"]
    (container,) = pod["containers"]
    assert container["image"] == "hub/reelhouse:7"
    assert container["command"] == ["reelhouse", "schedule", "run", "--no-log"]
    assert container["envFrom"] == [{"secretRef": {"name": "reelhouse", "optional": True}}]
    assert {entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in container["env"]} == {
        "POD_NAME": "metadata.name",
        "POD_IP": "status.podIP",
        "JOB_NAME": "metadata.labels['job-name']",
    }
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/etc/reelhouse")
    assert volume["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]


def test_the_keys_of_the_settings_are_such_as_kubernetes_takes(objects: dict[str, dict]):
    assert list(objects["ConfigMap"]["data"]) == ["1-cluster.yml", "2-my-own--site-s--gr--e.yml", "spark.yml"]


def test_what_the_container_is_given_are_settings(objects: dict[str, dict], tmp_path: Path):
    arguments = objects["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
    files = {f"/etc/reelhouse/{name}": text for name, text in objects["ConfigMap"]["data"].items()}
    given = dict.fromkeys(("--slot", "--conf", "--root", "--set"))
    assert set(arguments[::2]) == given.keys()
    overlays, values = [], {}
    for option, value in zip(arguments[::2], arguments[1::2], strict=True):
        value = value.replace("$(POD_IP)", "10.0.0.7").replace("$(POD_NAME)", "reelhouse-daily-1-x")
        if option == "--conf":
            overlays.append(tmp_path / Path(value).name)
            overlays[-1].write_text(files.pop(value))
        elif option == "--set":
            values |= [settings_module.pair(value)]
    assert files == {}
    loaded = load(overlays, values)
    assert arguments[arguments.index("--root") + 1] == "s3a://other/it's"
    assert loaded.spark.master == "k8s://https://kubernetes.default.svc:443"
    assert loaded.spark.extra == load([CLUSTER]).spark.extra | {
        "spark.kubernetes.namespace": "lake",
        "spark.kubernetes.container.image": "hub/reelhouse:7",
        "spark.kubernetes.executor.secretKeyRef.AWS_ACCESS_KEY_ID": "reelhouse:AWS_ACCESS_KEY_ID",
        "spark.driver.host": "10.0.0.7",
        "spark.kubernetes.driver.pod.name": "reelhouse-daily-1-x",
    }
    assert loaded.spark.shuffle_partitions == load([CLUSTER]).spark.shuffle_partitions


def test_a_pod_that_begins_late_or_again_runs_the_day_of_its_slot(objects: dict[str, dict]):
    (container,) = objects["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][:2] == ["--slot", "$(JOB_NAME)"]
    due = dt.datetime(2026, 1, 3, 4, 30, tzinfo=dt.UTC)
    for late in (dt.timedelta(minutes=-59), dt.timedelta(0), dt.timedelta(hours=30), dt.timedelta(days=30)):
        assert due_at("reelhouse-daily-29456910", due + late) == due  # the controller's way: minutes since 1970
    assert objects["CronJob"]["spec"]["startingDeadlineSeconds"] >= 24 * 3600  # else a day behind a long one is left out


@pytest.mark.parametrize("name", ["by-hand", "2", "20260102", "29456910", "29500172", ""])
def test_a_job_made_by_hand_with_a_name_that_tells_no_day_runs_none(name: str):
    now = dt.datetime(2026, 2, 2, 4, 31, tzinfo=dt.UTC)  # 30 days and a minute after minute 29456910
    with pytest.raises(SettingsError, match=rf"one of the last 30 days; got 'reelhouse-daily-{name}'\. Give a Job") as refused:
        due_at(f"reelhouse-daily-{name}", now)
    named, runs = str(refused.value).split("`kubectl create job --from=cronjob/reelhouse-daily ")[1].split("` runs ")
    assert due_at(named, now) == now
    assert runs == "2026-02-01"


def test_two_values_for_parts_of_one_setting_are_both_kept(tmp_path: Path):
    given = ["spark.extra={spark.executor.memory: 8g, spark.a: x}", 'spark.extra={"spark.driver.host": "10.0.0.1", spark.a: y}']
    extra = settings_of(None, given, None).spark.extra
    assert extra == {"spark.executor.memory": "8g", "spark.driver.host": "10.0.0.1", "spark.a": "y"}


def test_a_secret_is_not_printed_and_a_folder_is_no_root_for_a_pod(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch):
    typed = typing_in(tmp_path, spark, monkeypatch)
    own = tmp_path / "own.yml"
    own.write_text("vectors: {token: sesame}\nspark: {extra: {spark.hadoop.fs.s3a.secret.key: '${KEY}x'}}\n")
    names = rf"vectors\.token of {own}, spark\.extra\.spark\.hadoop\.fs\.s3a\.secret\.key of {own} would be printed: write \$\{{NAME\}}"
    with pytest.raises(SettingsError, match=names) as refused:
        typed("schedule", "kubernetes", "--conf", str(CLUSTER), "--conf", str(own))
    assert "sesame" not in str(refused.value)
    twice = ("--set", "spark.extra={spark.hadoop.fs.s3a.secret.key: sesame}", "--set", "spark.extra={spark.ui.enabled: 'true'}")
    for command in ("kubernetes", "cron"):
        with pytest.raises(SettingsError, match=r"^vectors\.token would be printed: write \$\{NAME\} for it"):
            typed("schedule", command, "--conf", str(CLUSTER), "--set", "vectors.token=sesame")
        with pytest.raises(SettingsError, match=r"^spark\.extra\.spark\.hadoop\.fs\.s3a\.secret\.key would be printed: "):
            typed("schedule", command, "--conf", str(CLUSTER), *twice)
    # one that the environment holds is looked up in the pod, whether or not it is known here
    own.write_text("vectors: {token: '${TOKEN}', uri: 'http://${HOST}:19530'}\n")
    monkeypatch.setenv("TOKEN", "sesame")
    with pytest.raises(
        SettingsError, match=r"^no source is set, so that every night would end with exit status 2\. Add sources\.deliveries"
    ):
        typed("schedule", "kubernetes", "--conf", str(CLUSTER), "--conf", str(own))
    sources = [word for value in ("sources.manifest=/mnt/m.csv", "sources.roots=[/mnt/a, /mnt/b]") for word in ("--set", value)]
    printed = typed("schedule", "kubernetes", "--conf", str(CLUSTER), "--conf", str(own), *sources).stdout
    comment = [line for line in printed.splitlines() if line.startswith("#")]
    assert comment[0].startswith(
        "# Before you install this: these must be there, at these paths, in the pods of the driver and of the exec"
    )
    folders = ["sources.manifest: /mnt/m.csv", "sources.roots[0]: /mnt/a", "sources.roots[1]: /mnt/b"]
    assert [line.removeprefix("#   ") for line in comment if line.startswith("#   ")] == folders
    assert "${TOKEN}" in printed
    assert "sesame" not in printed
    with pytest.raises(SettingsError, match=r"storage\.root must be an address .*, not warehouse"):
        typed("schedule", "kubernetes")
    for name, uri, shown in (("models", "", "a file"), ("models", "sqlite:///m.db", "sqlite:///m.db"), ("vectors", "v.db", "v.db")):
        with pytest.raises(SettingsError, match=rf"{name}\.uri must be the address of a server that every pod reaches, not {shown}"):
            typed("schedule", "kubernetes", "--conf", str(CLUSTER), "--set", f"{name}.uri={uri}")
