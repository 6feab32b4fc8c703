"""Run by Airflow's own Python: loads the folder of DAGs as Airflow does, and prints what it found as JSON."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import pendulum
from airflow.models.dagbag import DagBag
from airflow.timetables.base import TimeRestriction

# Airflow's DAG processor imports the Airflow modules of a file before it forks the process that parses it: no part of parsing.
try:
    import airflow.providers.standard.operators.bash
except ImportError:
    import airflow.operators.bash  # noqa: F401

ADDITIONS = 2_000_000  # how fast the machine is
VARIABLES = {"reelhouse_conf": "/etc/a.yml:/etc/b c.yml", "reelhouse_root": "s3a://bucket/it's"}


def described(folder: str) -> dict:
    def parse() -> DagBag:
        return DagBag(folder, include_examples=False)

    seconds, of_additions = best_seconds_of(parse), best_seconds_of(lambda: sum(range(ADDITIONS)))
    before, bag = set(sys.modules), parse()
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    dag = bag.dags["reelhouse_daily"]
    return {
        "errors": bag.import_errors,
        "cpu_seconds": seconds,
        "additions_a_second": ADDITIONS / of_additions,
        "files": [stat.file.strip("/") for stat in bag.dagbag_stats],
        "loaded": sorted(loaded),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "max_active_tasks": dag.max_active_tasks,
        "start": dag.start_date.isoformat(),
        "tasks": {
            task.task_id: {
                "after": sorted(task.upstream_task_ids),
                "retries": task.retries,
                "minutes": task.execution_timeout.total_seconds() / 60,
                "type": task.task_type,
            }
            for task in dag.tasks
        },
        "commands": commands(dag),
    }


def best_seconds_of(action: Callable[[], object]) -> float:
    """Processor time, the best of three, each in a process of its own that imports anew."""
    return min(seconds_of(action) for _ in range(3))


def seconds_of(action: Callable[[], object]) -> float:
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        try:
            begun = time.process_time()
            action()
            os.write(sending, str(time.process_time() - begun).encode())
        finally:
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as told:
        seconds = float(told.read())
    os.waitpid(child, 0)
    return seconds


def commands(dag) -> dict[str, list[str]]:
    """What the task `train` would run: on schedule from the start on, by hand, and by hand without a logical date."""
    scheduled, last = [], None
    limits = TimeRestriction(earliest=dag.start_date, latest=None, catchup=True)
    for _ in range(3):
        last = dag.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=limits).data_interval
        scheduled.append(SimpleNamespace(data_interval_start=last.start))
    in_shanghai = pendulum.datetime(2026, 3, 2, 7, tz="Asia/Shanghai")  # 2026-03-01 23:00 UTC
    by_hand = [dag.timetable.infer_manual_data_interval(run_after=at) for at in (pendulum.datetime(2026, 1, 5, 9, 30), in_shanghai)]
    local = dt.datetime(2026, 1, 2, 8, tzinfo=dt.timezone(dt.timedelta(hours=8)))  # 2026-01-02 00:00 UTC
    without = SimpleNamespace(data_interval_start=None, run_after=pendulum.datetime(2026, 1, 7, 3))
    return {
        "scheduled": [rendered(dag, run) for run in scheduled],
        "by hand": [rendered(dag, SimpleNamespace(data_interval_start=interval.start)) for interval in by_hand],
        "in another zone": [rendered(dag, SimpleNamespace(data_interval_start=local))],
        "without an interval": [rendered(dag, without)],
        "with variables": [rendered(dag, without, VARIABLES)],
        "with a program": [rendered(dag, without, {"reelhouse_command": "docker run lake reelhouse"})],
    }


def rendered(dag, run: SimpleNamespace, variables: dict[str, str] | None = None) -> str:
    task = dag.get_task("train")
    return task.render_template(task.bash_command, {"dag_run": run, "var": {"value": variables or {}}}, dag.get_template_env())


if __name__ == "__main__":
    print("\n" + json.dumps(described(sys.argv[1])))
