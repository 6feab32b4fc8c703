"""The daily pipeline: jobs in order, what is up to date and why not, resume and retry."""

from __future__ import annotations

import datetime as dt
import importlib
import importlib.util
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from reelhouse import tables
from reelhouse.codeversion import code_version
from reelhouse.errors import LockedError, NotFoundError, ReelhouseError, SettingsError
from reelhouse.lake import ROWS_TO_COMPILE, Lake, Ledger, RunRecord, compile_queries, spark_errors
from reelhouse.lake.fingerprint import combined
from reelhouse.lake.ledger import DONE, ReadKind
from reelhouse.lake.trouble import damage_errors, storage_errors
from reelhouse.oncall import Watch
from reelhouse.progress import Heartbeat
from reelhouse.run import Run, Services, StepAside
from reelhouse.settings import CONF, Settings


@dataclass(frozen=True)
class Job:
    """One step, as conf/pipeline.yml states it."""

    name: str
    after: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    previous: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    retries: int = 0
    minutes: int = 60

    @cached_property
    def module(self) -> ModuleType:
        return importlib.import_module(f"jobs.{self.name}")

    @cached_property
    def code_version(self) -> str:
        spec = importlib.util.find_spec(f"jobs.{self.name}")
        if spec is None or spec.origin is None:
            raise SettingsError(f"conf/pipeline.yml names the job {self.name}, but there is no jobs/{self.name}.py")
        suites = [CONF / "expectations" / f"{name}.yml" for name in self.writes]  # what they refuse is not in the tables
        return code_version(Path(spec.origin), *suites)


def load_jobs(path: Path = CONF / "pipeline.yml") -> list[Job]:
    """Read pipeline.yml; the jobs in the order of the file, which must agree with `after`. SettingsError if it does not."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    jobs: list[Job] = []
    before: dict[str, set[str]] = {}  # all that a job waits for, directly or not
    for entry in entries:
        job = Job(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})  # type: ignore[arg-type]
        unknown = [t for t in (*job.reads, *job.previous, *job.writes) if t not in tables.ALL]
        if unknown or not set(job.after) <= before.keys():
            raise SettingsError(
                f"{path}: job {job.name}: unknown tables {unknown} or a job in `after` that doesn't come before: {job.after}"
            )
        before[job.name] = set(job.after).union(*(before[name] for name in job.after))
        unordered = [t for t in job.reads for other in jobs if t in other.writes and other.name not in before[job.name]]
        if unordered:
            raise SettingsError(f"{path}: job {job.name} reads {', '.join(unordered)}, but does not wait for the job that writes it")
        jobs.append(job)
    return jobs


@dataclass(frozen=True)
class Outcome:
    """How one job of a date ended: `up to date`, `succeeded`, `stepped aside`, `failed` or `blocked`."""

    job: str
    date: dt.date
    status: str
    record: RunRecord | None = None
    error: Exception | None = None
    why: str = ""

    @property
    def words(self) -> str:
        return in_words(self.error)


_WORKER_DIED = "Python worker exited unexpectedly"


def in_words(error: Exception | None) -> str:
    """What an error says, without Java's stack."""
    if _WORKER_DIED in str(error):
        return (
            "a Python worker process of Spark was killed or crashed. If it happens again, see whether the machine ran out of memory: "
            "set spark.master=local[1], or fewer video.partition_videos"
        )
    return re.split(r"\n\s+at |\n\nJVM stacktrace", str(error))[0].strip()[:2000]


class WarmUp:
    """Imports of the jobs that take seconds, done in the background while the first job waits for Spark."""

    MODULES = ("torch", "mlflow", "pymilvus")

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start_once(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="warm-up", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        from reelhouse.quality import warm

        warm()
        for name in self.MODULES:
            importlib.import_module(name)


@dataclass
class Pipeline:
    """All that is needed to run jobs in one process. Close it: Milvus Lite is a child process."""

    settings: Settings
    lake: Lake
    say: Callable[[str], None]
    jobs: list[Job] = field(default_factory=load_jobs)
    services: Services = field(init=False)
    warm_up: WarmUp = field(init=False, default_factory=lambda: WarmUp())
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.settings.alerts, self.lake.root, self.say)
        self.services = Services(self.settings, self.lake.root)

    @cached_property
    def ledger(self) -> Ledger:
        with damage_errors():
            return Ledger(self.lake)

    def close(self) -> None:
        self.services.close()

    def job(self, name: str) -> Job:
        for job in self.jobs:
            if job.name == name:
                return job
        raise NotFoundError(f"there is no job {name!r}; there are: {', '.join(j.name for j in self.jobs)}")

    # -- what is to be done

    def why_run(self, job: Job, date: dt.date, inputs: dict[str, str]) -> str | None:
        """Why the job must run for the date, in words; None if it is up to date."""
        last = self.ledger.latest(job.name, date)
        if last is None:
            return "never run"
        if last.status not in DONE:
            return f"last run {last.status}"
        if self.lake.is_marked(marker(job.name, date)):
            return "last run was cut off"
        if last.settings_hash != self.settings.hash_of(job.settings):
            return "settings changed"
        if last.code_version != job.code_version:
            return "code changed"
        for name in sorted(inputs.keys() | last.inputs.keys()):
            if name in inputs and inputs[name] != last.inputs.get(name):
                return f"input {name} changed"
        if last.inputs.get("taken down") != self._taken_down():
            return "a video was taken down"
        for read in last.reads:
            kind: Any = read.slice
            if self.ledger.written(read.table, kind, date)[1] != read.fingerprint:
                return f"{read.table} changed ({_in_words(kind)})"
        return None

    def plan(self, date: dt.date) -> list[tuple[str, str | None]]:
        """Each job with the reason to run it now; a job after one that must run may turn out to be up to date."""
        return [(job.name, self.why_run(job, date, self._inputs(job, date))) for job in self.jobs]

    def _inputs(self, job: Job, date: dt.date) -> dict[str, str]:
        known = getattr(job.module, "inputs", None)
        return known(self._run(job, date)) if known else {}

    def _taken_down(self) -> str:
        """Which videos are gone, as a hash: the ledger must not name them after a purge."""
        return combined((video_id,) for video_id in self.lake.taken_down)

    def _run(self, job: Job, date: dt.date) -> Run:
        return Run(job.name, date, self.settings, self.lake, self.ledger, self.services, self.say, job.writes)

    @contextmanager
    def by_hand(self, what: str, date: dt.date) -> Iterator[Run]:
        """A run that a person asked for, outside of the day's jobs; it is in the ledger if it is finished."""
        run = Run(what, date, self.settings, self.lake, self.ledger, self.services, self.say)
        try:
            yield run
        finally:
            run.close()

    # -- doing it

    def run_day(self, date: dt.date, only: Sequence[str] = (), *, force: bool = False) -> list[Outcome]:
        """Run the jobs of a date in order; what is up to date is skipped, what depends on a failed job is blocked.

        One process at a time works on a date: the second raises LockedError, at once or after the wait that the settings allow.
        """
        for name in only:
            self.job(name)
        self.lake.check_writable()
        jobs = [job for job in self.jobs if not only or job.name in only]
        with self._alone_on(date), self.watch.day(date, whole=not only):
            outcomes = self._run_in_order(jobs, date, force)
        return [outcomes[job.name] for job in jobs]

    @contextmanager
    def _alone_on(self, date: dt.date) -> Iterator[None]:
        from filelock import Timeout

        if not self.lake.is_local:  # no file lock there: whoever schedules runs lets one at a time work on a date
            yield
            return
        runs = self.settings.runs
        lock, minutes = self.lake.lock(f"run-{date}", timeout=0), runs.wait_minutes if runs.when_locked == "wait" else 0
        try:
            held = lock.acquire()
        except Timeout:
            busy = f"another run is at work on {date} in {self.lake.root}"
            if minutes:
                self.say(f"{busy}; waiting for it, {minutes:g} minutes at most (runs.wait_minutes)")
            try:
                held = lock.acquire(timeout=minutes * 60)
            except Timeout as error:
                asked = f" after {minutes:g} minutes" if minutes else ""
                raise LockedError(f"{busy}{asked}; wait for it to end, then run again (runs.when_locked: wait does so)") from error
            self.__dict__.pop("ledger", None)  # the other run wrote to it
        with held:
            yield

    def _run_in_order(self, jobs: Sequence[Job], date: dt.date, force: bool) -> dict[str, Outcome]:
        """Each job once those before it are done; the ledger and every table have one writer at a time, so some may run side by side."""
        outcomes: dict[str, Outcome] = {}
        waiting, running = list(jobs), dict[Future[Outcome], Job]()
        with ThreadPoolExecutor(self.settings.spark.jobs_at_once, thread_name_prefix="job") as pool:
            while waiting or running:
                open_names = {job.name for job in (*waiting, *running.values())}
                ready = sorted((j for j in waiting if not open_names.intersection(j.after)), key=lambda j: -len(self._followers(j)))
                for job in ready[: self.settings.spark.jobs_at_once - len(running)]:
                    waiting.remove(job)
                    running[pool.submit(self._run_job, job, date, outcomes, force)] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    outcomes[running.pop(future).name] = outcome = future.result()
                    self.say(f"{self._place(outcome.job)}{_line(outcome)}")
        return outcomes

    def _followers(self, job: Job) -> set[str]:
        """Jobs that wait for this one, directly or not: where many do, it should not wait itself."""
        found = {job.name}
        for other in self.jobs:
            if found.intersection(other.after):
                found.add(other.name)
        return found

    def _run_job(self, job: Job, date: dt.date, outcomes: dict[str, Outcome], force: bool) -> Outcome:
        broken = [name for name in job.after if name in outcomes and outcomes[name].status in ("failed", "blocked")]
        if broken:
            return Outcome(job.name, date, "blocked", why=f"waits for {', '.join(broken)}")
        try:
            with spark_errors(self.lake.spark), damage_errors():
                inputs = self._inputs(job, date)
                why = "asked for" if force else self.why_run(job, date, inputs)
        except Exception as error:  # noqa: BLE001 - as in _attempt
            run = self._run(job, date)
            return Outcome(job.name, date, "failed", self._failed(run, error), error=error)
        if why is None:
            return Outcome(job.name, date, "up to date", self.ledger.latest(job.name, date))
        for attempt in range(job.retries + 1):
            outcome = self._attempt(job, date, inputs, why)
            # What a user must mend (a named error) does not mend itself by trying again.
            if outcome.status != "failed" or isinstance(outcome.error, ReelhouseError) or attempt == job.retries:
                break
            self.say(f"{job.name} {date} failed ({outcome.words}); trying again")
        return outcome

    def _attempt(self, job: Job, date: dt.date, inputs: dict[str, str], why: str) -> Outcome:
        self.say(f"{self._place(job.name)}{date}  {job.name} ... ({why})")
        self.warm_up.start_once()
        begun, run = marker(job.name, date), self._run(job, date)
        try:
            with spark_errors(self.lake.spark):
                record = self._do(job, run, begun, inputs)
            self.lake.unmark(begun)
            return Outcome(job.name, date, record.status.replace("_", " "), record, why=why)
        except Exception as error:  # noqa: BLE001 - the boundary of a job: recorded, shown, and the rest of the day goes on without it
            return Outcome(job.name, date, "failed", self._failed(run, error), error=error, why=why)
        finally:
            run.close()

    def _do(self, job: Job, run: Run, begun: str, inputs: dict[str, str]) -> RunRecord:
        # jobs side by side share the cores evenly, else a long one would hold up the small steps of the other
        self.lake.spark.sparkContext.setLocalProperty("spark.scheduler.pool", job.name)
        self.fit_session_to(job)
        run.record.inputs = {**inputs, "taken down": self._taken_down()}
        run.record.settings_hash = self.settings.hash_of(job.settings)
        run.record.code_version = job.code_version
        self.lake.mark(begun)
        try:
            heartbeat = Heartbeat(self.lake.spark.sparkContext, self.say)
            with storage_errors(f"running the job {job.name}"), heartbeat.of(job.name), self.watch.job(job.name, run.date, job.minutes):
                job.module.main(run)
            return run.finish("succeeded")
        except StepAside as aside:
            run.note(str(aside))
            return run.finish("stepped_aside")

    def fit_session_to(self, job: Job) -> None:
        """Once a job reads a large table the session stays one for many rows: jobs side by side share it."""
        read = (self.ledger.slices_of(name) for name in (*job.reads, *job.previous))
        if any(sum(s.rows for _, s in slices) >= ROWS_TO_COMPILE for slices in read):
            compile_queries(self.lake.spark, self.settings.spark)

    def _place(self, name: str) -> str:
        """Which of how many, for a person who waits."""
        return f"{next(n for n, job in enumerate(self.jobs, 1) if job.name == name):2}/{len(self.jobs)}  "

    def _failed(self, run: Run, error: Exception) -> RunRecord | None:
        """The ledger's record of a failed run; None where what failed it (a full disk) keeps the ledger from being written too."""
        noted, run.record.note = run.record.note, f"{type(error).__name__}: {in_words(error)}"  # next_step looks for the name
        if noted:
            run.note(f"before that: {noted}")
        try:
            return run.finish("failed")
        except Exception as second:  # noqa: BLE001 - the first error is what the day ends with
            self.say(f"the ledger could not be written: {in_words(second)}")
            return None


def days(first: dt.date, last: dt.date) -> Iterable[dt.date]:
    """Every date from first to last, both included."""
    return (first + dt.timedelta(days=n) for n in range((last - first).days + 1))


def flow_chart(jobs: Sequence[Job]) -> str:
    """The pipeline as a Mermaid flow chart: jobs in order, each with the tables that it writes."""
    lines = ["flowchart LR"]
    for job in jobs:
        written = "".join(f"<br/><small>{name}</small>" for name in job.writes)
        lines.append(f'  {job.name}["<b>{job.name}</b>{written}"]')
    lines += [f"  {before} --> {job.name}" for job in jobs for before in job.after]
    return "\n".join(lines)


def marker(job: str, date: dt.date) -> str:
    """Name of the lake's mark that a job has begun: it stays where the job failed or was killed."""
    return f"{date}-{job}"


def begun(marks: Iterable[str]) -> dict[dt.date, set[str]]:
    """Names of the jobs that marks of a lake are of, by the date that they were run for; marks of other things are left out."""
    found: dict[dt.date, set[str]] = {}
    for name in marks:
        if match := re.fullmatch(r"(\d{4}-\d{2}-\d{2})-(\w+)", name):
            found.setdefault(dt.date.fromisoformat(match[1]), set()).add(match[2])
    return found


def _in_words(kind: ReadKind) -> str:
    return {"day": "the day", "upto": "up to the day", "before": "the days before"}[kind]


def _line(outcome: Outcome) -> str:
    record = outcome.record
    text = f"{outcome.date}  {outcome.job}: {outcome.status}"
    if outcome.status in ("succeeded", "stepped aside", "failed") and record:
        text += f", {record.rows_in} rows in, {record.rows_out} out, {record.quarantined} refused, {record.seconds:.1f} s"
    if outcome.error:
        text += f"\n    {type(outcome.error).__name__}: {outcome.words}"
    elif outcome.why and outcome.status == "blocked":
        text += f" ({outcome.why})"
    elif record and record.note and outcome.status != "up to date":
        text += f" - {record.note}"
    return text
