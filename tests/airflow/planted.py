"""Run by Airflow's own Python: puts runs of the DAG into its database. planted.py KIND LOGICAL_DATE DATA_INTERVAL_START STATE..."""

from __future__ import annotations

import sys

import pendulum
from airflow.models import DagRun
from airflow.utils.session import create_session


def planted(kind: str, logical_date: str, start: str, state: str) -> DagRun:
    """A run of one day. Airflow 2 calls the logical date the execution date, and does not know when a run may begin."""
    when, begin = pendulum.parse(logical_date), pendulum.parse(start)
    interval = (begin, begin.add(days=1))
    known = {"run_id": f"{kind}__{when.isoformat()}", "run_type": kind, "state": state, "data_interval": interval}
    if hasattr(DagRun, "run_after"):
        return DagRun("reelhouse_daily", logical_date=when, run_after=interval[1], **known)
    return DagRun("reelhouse_daily", execution_date=when, external_trigger=kind == "manual", **known)


if __name__ == "__main__":
    words = sys.argv[1:]
    with create_session() as session:
        for n in range(0, len(words), 4):
            session.add(planted(*words[n : n + 4]))
