"""Schedules outside of Airflow: cron, Kubernetes, spark-submit. What is printed is text; only nightly.py runs anything."""

import sys
from pathlib import Path

from reelhouse.errors import SettingsError
from reelhouse.settings import Settings

# the command of this environment, which cron's PATH does not hold
PROGRAM = str(Path(sys.executable).with_name("reelhouse"))

LOGS, LOCK = "logs", "schedule.lock"  # a folder below the root, where the settings name no other; what a run at work holds in it


def check_sources(settings: Settings) -> None:
    """SettingsError where a day would find nothing to take in: every night would end with status 2."""
    if not settings.sources.are_named:
        raise SettingsError(
            "no source is set, so that every night would end with exit status 2. Add sources.deliveries (a folder with one folder a date), "
            "sources.videos, sources.manifest or sources.inbox to a file that --conf names, or --set sources.deliveries=FOLDER"
        )
