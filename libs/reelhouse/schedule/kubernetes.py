"""Kubernetes objects that run the day before, every day: a CronJob, its settings, and the account that starts executors.

The pod of the CronJob is Spark's driver (client mode), and asks the API server for the executors, which end with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from reelhouse.errors import SettingsError
from reelhouse.pipeline import Job
from reelhouse.schedule import check_sources
from reelhouse.settings import Settings, plain_secrets

NAME = "reelhouse"
PLACE = "/etc/reelhouse"
API = "k8s://https://kubernetes.default.svc:443"
# statuses of runs that go no better when they are tried again: settings, late, over the quarantine limit
FINAL = [2, 3, 4]


def manifest(settings: Settings, jobs: Sequence[Job], overlays: Sequence[Path], words: Sequence[str]) -> str:
    """The objects as YAML documents, for `kubectl apply -f -`. words: further options of `reelhouse schedule run`.

    The overlays become a ConfigMap. Secrets are keys of the Secret `schedule.secret`, which is not printed: SettingsError where
    the settings hold one, and where the storage root, the models or the vectors are in files, which a pod takes with it when it ends.
    """
    if plain := [f"{name} of {path}" for path in overlays for name in plain_secrets(path)]:
        raise SettingsError(
            f"{', '.join(plain)} would be printed: write ${{NAME}} for it, and make NAME a key of the Secret {settings.schedule.secret} "
            "(setting schedule.secret)"
        )
    if "://" not in settings.storage.root or settings.storage.root.startswith("file:"):
        raise SettingsError(f"storage.root must be an address that every pod reaches (s3a://, hdfs://, ...), not {settings.storage.root}")
    for name, uri in (("models.uri", settings.models.uri), ("vectors.uri", settings.vectors.uri)):
        if not uri or uri.endswith(".db"):
            raise SettingsError(f"{name} must be the address of a server that every pod reaches, not {uri or 'a file'}")
    check_sources(settings)
    names = [re.sub(r"[^-._a-zA-Z0-9]", "-", path.name) for path in overlays]  # a ConfigMap's keys hold no other characters
    files = {f"{n}-{name}": path.read_text(encoding="utf-8") for n, (name, path) in enumerate(zip(names, overlays, strict=True), 1)}
    files["spark.yml"] = yaml.safe_dump({"spark": _spark(settings)}, sort_keys=False)
    place = {"namespace": settings.schedule.namespace, "labels": {"app.kubernetes.io/name": NAME}}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, **place}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": NAME, **place},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["pods", "configmaps", "persistentvolumeclaims", "services"],
                    "verbs": ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"],
                }
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": NAME, **place},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": settings.schedule.namespace}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{NAME}-settings", **place}, "data": files},
        _cron_job(settings, jobs, list(files), words, place),
    ]
    return _folders_wanted(settings) + yaml.dump_all(objects, Dumper=_Whole, sort_keys=False, allow_unicode=True, width=1000)


def _folders_wanted(settings: Settings) -> str:
    """A comment that names the folders which the pods must find, for whoever installs the objects; they depend on the cluster."""
    sources = settings.sources
    named = {name: getattr(sources, name) for name in ("deliveries", "videos", "manifest", "inbox")}
    named |= {f"roots[{n}]": root for n, root in enumerate(sources.roots)}
    folders = {f"sources.{name}": place for name, place in named.items() if place}
    if settings.vectors.import_folder:
        folders["vectors.import_folder"] = settings.vectors.import_folder
    return "".join(
        f"# {line}\n"
        for line in (
            "Before you install this: these must be there, at these paths, in the pods of the driver and of the executors.",
            *(f"  {name}: {place}" for name, place in folders.items()),
            "For the driver, add volumes and volumeMounts to the CronJob below; for the executors, the same by",
            "spark.kubernetes.executor.volumes.persistentVolumeClaim.NAME.mount.path and .options.claimName in the setting spark.extra.",
        )
    )


class _Whole(yaml.SafeDumper):
    """Writes what occurs twice twice, instead of pointing to it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _spark(settings: Settings) -> dict[str, Any]:
    schedule = settings.schedule
    extra = {
        "spark.kubernetes.namespace": schedule.namespace,
        "spark.kubernetes.container.image": schedule.image,
    }
    extra |= {f"spark.kubernetes.executor.secretKeyRef.{name}": f"{schedule.secret}:{name}" for name in schedule.executor_secrets}
    master = settings.spark.master if settings.spark.master.startswith("k8s://") else API
    return {"master": master, "extra": extra}


def _cron_job(settings: Settings, jobs: Sequence[Job], files: Sequence[str], words: Sequence[str], place: dict[str, Any]) -> dict[str, Any]:
    hour, minute = settings.schedule.at.split(":")
    driver = {"spark.driver.host": "$(POD_IP)", "spark.kubernetes.driver.pod.name": "$(POD_NAME)"}  # Kubernetes fills these in
    options = [word for file in files for word in ("--conf", f"{PLACE}/{file}")]
    container = {
        "name": NAME,
        "image": settings.schedule.image,
        "command": ["reelhouse", "schedule", "run", "--no-log"],
        "args": ["--slot", "$(JOB_NAME)", *options, *words, "--set", f"spark.extra={json.dumps(driver)}"],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "JOB_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['job-name']"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "envFrom": [{"secretRef": {"name": settings.schedule.secret, "optional": True}}],
        "volumeMounts": [{"name": "settings", "mountPath": PLACE, "readOnly": True}],
    }
    pod = {
        "serviceAccountName": NAME,
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "settings", "configMap": {"name": f"{NAME}-settings"}}],
    }
    final = {"action": "FailJob", "onExitCodes": {"containerName": NAME, "operator": "In", "values": FINAL}}
    seconds = 60 * sum(job.minutes for job in jobs)
    job = {
        "backoffLimit": max((job.retries for job in jobs), default=0),
        "activeDeadlineSeconds": seconds,
        "podFailurePolicy": {"rules": [final]},
        "template": {"metadata": {"labels": place["labels"]}, "spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": f"{NAME}-daily", **place},
        "spec": {
            "schedule": f"{int(minute)} {int(hour)} * * *",
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": seconds,  # a day that has to wait for the one before is late, not left out
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 7,
            "jobTemplate": {"spec": job},
        },
    }
