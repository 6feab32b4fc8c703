"""The daily pipeline as an Airflow DAG, for Airflow 2.11 and 3: one task a job of conf/pipeline.yml, one run a day.

Put this folder, a link to this file or a copy of it where Airflow looks for DAGs. Each task runs `reelhouse job NAME --date DAY` as
a process of its own, in the product's own environment; nothing of it is imported here. DAY is the UTC day on which the run's data
interval starts: the run of 2026-01-02 starts at 2026-01-03 00:00, catchup and backfills included, and a run by hand takes the last
whole day before its logical date.

Set in the environment of Airflow, read when this file is parsed:
  REELHOUSE_HOME           the checkout, where it is not two folders above this file; tasks run in it
  REELHOUSE_PIPELINE       another pipeline.yml than the checkout's
  REELHOUSE_START          the first day, 2026-01-01 if not given; catchup begins there
  REELHOUSE_TASKS_AT_ONCE  1 if not given. Where the storage root is a folder, one process at a time may work on a date and open the
                           Milvus Lite file, so a second task would only fail with `locked`. More is for object stores with a Milvus server.
Airflow variables (or AIRFLOW_VAR_... in the environment), read when a task runs:
  reelhouse_conf           settings files laid over conf/base.yml, with `:` between them
  reelhouse_root           storage root, where the settings don't name it
  reelhouse_command        how the shell calls the program, where it is not .venv/bin/reelhouse of the checkout

Days run in order, since jobs read what the day before left: while that day has not succeeded, the first task fails at once and says
so. Clear that day, then this one; or mark it as a success to go on without it. `depends_on_past` would wait instead, and since one run
is active at a time, the cleared day would then wait for this one for ever. Airflow 3 backfills want `--max-active-runs 1`.

A failed task has told `alerts.on_failure` of its cause, unless another run was at work on the day, or Airflow itself ended it; that is
some minutes after those of conf/pipeline.yml, when `alerts.on_late` has been told. `alerts.on_late` is told, too, when the deadline of a
day passes while a task is at work, and the task is no failure for that; of a deadline that passes while none is at work, let Airflow's
own alerts tell. How often a job is tried is up to Airflow alone.
"""

from __future__ import annotations

import datetime as dt
import os
import shlex
from pathlib import Path
from typing import Any

import yaml
from airflow.exceptions import AirflowFailException
from airflow.timetables.interval import CronDataIntervalTimetable

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.operators.bash import BashOperator

UTC = dt.timezone.utc  # noqa: UP017 - Airflow 2.11 runs on Python 3.9 too
HOME = Path(os.environ.get("REELHOUSE_HOME") or Path(__file__).resolve().parents[2])
PIPELINE = Path(os.environ.get("REELHOUSE_PIPELINE") or HOME / "conf" / "pipeline.yml")
START = dt.datetime.fromisoformat(os.environ.get("REELHOUSE_START") or "2026-01-01").replace(tzinfo=UTC)
TASKS_AT_ONCE = int(os.environ.get("REELHOUSE_TASKS_AT_ONCE") or 1)
ONE_DAY = dt.timedelta(days=1)
GRACE = dt.timedelta(minutes=5)  # in which the job itself tells that it takes too long: its minutes begin when Spark is up


def day(dag_run: Any) -> str:
    """The UTC day that a run is for. A run that was triggered without a logical date (Airflow 3) has no data interval."""
    start = dag_run.data_interval_start or dag_run.run_after - ONE_DAY
    return start.astimezone(UTC).date().isoformat()


def program(variables: Any) -> str:
    return variables.get("reelhouse_command", "") or shlex.quote(str(HOME / ".venv" / "bin" / "reelhouse"))


def options(variables: Any) -> str:
    words = [word for file in variables.get("reelhouse_conf", "").split(os.pathsep) if file for word in ("--conf", file)]
    root = variables.get("reelhouse_root", "")
    return shlex.join(words + (["--root", root] if root else []))


def check_the_day_before(context: Any) -> None:
    """Fail, and don't try again, while the day before has not succeeded; days before START and the first one wait for nothing."""
    begin = context["dag_run"].data_interval_start
    if begin is None or begin < START + ONE_DAY:
        return
    # The run of exactly that day, whatever was run by hand since: a scheduled one, or one by hand, whose logical date is the day's end.
    if not succeeded(context["ti"], context["dag_run"].dag_id, [begin - ONE_DAY, begin]):
        raise AirflowFailException(
            f"{(begin - ONE_DAY).date()} has not succeeded, and {begin.date()} builds on it: clear that run first, then this one. "
            "In a backfill of several days: --max-active-runs 1."
        )


def succeeded(ti: Any, dag_id: str, logical_dates: list[dt.datetime]) -> bool:
    """Whether one of the runs of those logical dates has."""
    if hasattr(ti, "get_dr_count"):
        return bool(ti.get_dr_count(dag_id=dag_id, logical_dates=logical_dates, states=["success"]))
    from airflow.models import DagRun  # Airflow 2, where a task may ask the database itself

    return bool(DagRun.find(dag_id=dag_id, execution_date=logical_dates, state="success"))


with DAG(
    "reelhouse_daily",
    description="Takes in a day of videos, up to what is served and searched",
    doc_md=__doc__,
    # The default timetable for a cron string is another one in Airflow 3, where a run has no data interval.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=START,
    catchup=True,
    max_active_runs=1,
    max_active_tasks=TASKS_AT_ONCE,
    user_defined_macros={"day": day, "program": program, "options": options},
    tags=["reelhouse"],
) as dag:
    for job in yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["jobs"]:
        BashOperator(
            task_id=job["name"],
            bash_command="exec {{ program(var.value) }} "
            + f"job {job['name']} --date {{{{ day(dag_run) }}}} --no-retry {{{{ options(var.value) }}}}",
            cwd=str(HOME),
            retries=job.get("retries", 0),
            retry_delay=dt.timedelta(minutes=5),
            execution_timeout=dt.timedelta(minutes=job.get("minutes", 60)) + GRACE,
            skip_on_exit_code=None,  # whatever the status of a failure is, the task has failed
            do_xcom_push=False,
            pre_execute=None if job.get("after") else check_the_day_before,
        )
        for before in job.get("after", ()):
            dag.get_task(before) >> dag.get_task(job["name"])
