"""The DAG file in Airflow 2 and 3: what it holds against conf/pipeline.yml, and runs of it that call a stand-in for the program."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from reelhouse.pipeline import load_jobs
from tests.airflow.installed import CHECKOUT, DAGS, VERSIONS, Airflow, airflow
from tests.turns import WHOLE_DAYS

TURN = (WHOLE_DAYS, 120)

PARSE_SECONDS_MAX = 1.0  # of the processor, on a machine that adds up so many numbers a second; a slower one is given more
ADDITIONS_A_SECOND = 80e6


@pytest.fixture(scope="module", params=VERSIONS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    return airflow(request.param, tmp_path_factory.mktemp(f"airflow-{request.param}"))


@pytest.fixture(scope="module")
def found(installed: Airflow) -> dict:
    python = installed.environment / "bin" / "python"
    done = installed.run(str(python), str(CHECKOUT / "tests" / "airflow" / "described.py"), str(DAGS))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_dag_is_the_pipeline_job_for_job(found: dict):
    assert found["errors"] == {}
    wanted = {
        job.name: {"after": sorted(job.after), "retries": job.retries, "minutes": job.minutes + 5, "type": "BashOperator"}
        for job in load_jobs()
    }
    assert found["tasks"] == wanted
    assert (found["catchup"], found["max_active_runs"], found["max_active_tasks"]) == (True, 1, 1)
    assert found["start"] == "2026-01-01T00:00:00+00:00"


def test_to_parse_it_takes_less_than_a_second_and_neither_spark_nor_the_product(found: dict):
    assert found["files"] == ["reelhouse_daily.py"]
    assert found["cpu_seconds"] < PARSE_SECONDS_MAX * max(1, ADDITIONS_A_SECOND / found["additions_a_second"])
    assert not {"pyspark", "reelhouse", "jobs", "torch", "delta"} & set(found["loaded"])


def test_the_date_is_the_utc_day_on_which_the_data_interval_starts(found: dict):
    program = shlex.quote(str(CHECKOUT / ".venv" / "bin" / "reelhouse"))
    commands = {what: [command.strip() for command in lines] for what, lines in found["commands"].items()}
    begin = f"exec {program} job train --date"
    assert commands["scheduled"] == [f"{begin} 2026-01-0{n} --no-retry" for n in (1, 2, 3)]
    assert commands["by hand"] == [f"{begin} 2026-01-04 --no-retry", f"{begin} 2026-02-28 --no-retry"]
    assert commands["in another zone"] == [f"{begin} 2026-01-02 --no-retry"]
    assert commands["without an interval"] == [f"{begin} 2026-01-06 --no-retry"]
    (line,) = commands["with variables"]
    assert shlex.split(line)[5:] == [
        "2026-01-06",
        "--no-retry",
        "--conf",
        "/etc/a.yml",
        "--conf",
        "/etc/b c.yml",
        "--root",
        "s3a://bucket/it's",
    ]
    assert commands["with a program"] == ["exec docker run lake reelhouse job train --date 2026-01-06 --no-retry"]


JOBS = """
jobs:
  - {name: first, minutes: 1}
  - {name: second, after: [first], minutes: 1}
  - {name: third, after: [second], minutes: 1}
"""


def test_a_status_that_is_not_0_fails_the_run(installed: Airflow, tmp_path: Path):
    pipeline, program, said = tmp_path / "pipeline.yml", tmp_path / "it's a program", tmp_path / "said"
    pipeline.write_text(JOBS)
    # 99 is the status with which a BashOperator usually counts as skipped
    program.write_text(f'#!/bin/sh\necho "$@" >>{said}\n[ "$2 $4" != "$FAILING" ] || exit 99\n')
    program.chmod(0o755)
    environ = {"REELHOUSE_PIPELINE": str(pipeline), "AIRFLOW_VAR_REELHOUSE_COMMAND": shlex.quote(str(program))}
    assert installed.dags_test("2026-01-02", **environ).returncode == 0
    failed = installed.dags_test("2026-01-03", FAILING="second 2026-01-02", **environ)
    assert failed.returncode != 0
    ran = ((1, ("first", "second", "third")), (2, ("first", "second")))
    done = [f"job {job} --date 2026-01-0{n} --no-retry" for n, jobs in ran for job in jobs]
    assert said.read_text().splitlines() == done


@pytest.mark.parametrize(("day_before", "month"), [("success", "2026-02"), ("failed", "2026-03")])
def test_a_scheduled_day_asks_for_the_day_before_whatever_was_run_by_hand_since(
    installed: Airflow, tmp_path: Path, day_before: str, month: str
):
    (tmp_path / "pipeline.yml").write_text(JOBS)
    environ = {"REELHOUSE_PIPELINE": str(tmp_path / "pipeline.yml"), "AIRFLOW_VAR_REELHOUSE_COMMAND": "echo it runs:"}
    runs = [
        ("scheduled", f"{month}-05T00:00Z", f"{month}-05", day_before),
        ("manual", f"{month}-05T10:00Z", f"{month}-04", "success"),
        ("scheduled", f"{month}-06T00:00Z", f"{month}-06", "running"),
    ]
    python = str(installed.environment / "bin" / "python")
    planted = installed.run(python, str(CHECKOUT / "tests" / "airflow" / "planted.py"), *(word for run in runs for word in run), **environ)
    assert planted.returncode == 0, planted.stderr[-3000:]
    command = installed.command("tasks", "test", "reelhouse_daily", "first", f"scheduled__{month}-06T00:00:00+00:00")
    done = installed.run(*command, **environ)
    said = done.stdout + done.stderr  # the exit status of `tasks test` is 0 in Airflow 3, come what may
    assert (f"it runs: job first --date {month}-06" in said) == (day_before == "success"), said[-3000:]
    refusal = f"{month}-05 has not succeeded, and {month}-06 builds on it: clear that run first"
    assert (refusal in said) == (day_before == "failed"), said[-3000:]
