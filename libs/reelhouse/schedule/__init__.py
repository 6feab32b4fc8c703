"""Schedules outside of Airflow: cron, Kubernetes, spark-submit. What is printed is text; only nightly.py runs anything."""

import sys
from pathlib import Path

# the command of this environment, which cron's PATH does not hold
PROGRAM = str(Path(sys.executable).with_name("reelhouse"))

LOGS, LOCK = "logs", "schedule.lock"  # a folder below the root, where the settings name no other; what a run at work holds in it
