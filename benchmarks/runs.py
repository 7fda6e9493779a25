"""Rounds of measurement: which processes to start, and what came of them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.environments import ROOT, NotAvailable, python_of
from benchmarks.libraries import LIBRARIES, UNVERSIONED, Library
from benchmarks.measuring import Stopwatch
from benchmarks.works import Numbers, Work

#: Rounds there are at most where triggers record.
NATIVE_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one process had to say."""

    numbers: Numbers = field(default_factory=dict)
    #: The class of the error it ended with, if it did.
    error: str | None = None
    message: str = ""
    #: Seconds after which it was ended, if it was.
    timed_out: float | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether another round would be of use."""
        return self.error is None and self.timed_out is None


@dataclass(frozen=True, slots=True)
class Job:
    """A work under a library, on a database, of a size."""

    work: Work
    library: Library
    database: str
    size: int

    @property
    def baseline(self) -> Job:
        """The same without a library."""
        return Job(self.work, LIBRARIES[UNVERSIONED], self.database, self.size)

    @property
    def rounds(self) -> int:
        """How often to run it at most."""
        if self.library.is_native:
            # Peers too: what is compared is close.
            return min(self.work.rounds, NATIVE_ROUNDS)
        return self.work.peer_rounds if self.library.is_peer else self.work.rounds

    def seconds(self, limit: float) -> float:
        """How long to wait for it, given the limit of the run."""
        own = self.work.peer_seconds
        return min(own, limit) if own and self.library.is_peer else limit

    def __str__(self) -> str:
        return f"{self.database} {self.work.name} {self.size:,} under {self.library.title}"

    # A work holds functions and bars; names tell jobs apart just as well.
    def __hash__(self) -> int:
        return hash(str(self))


#: The outcomes of the rounds of each job; ``None`` where it was not run in one.
Outcomes = dict[Job, list["Outcome | None"]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and within which limits."""

    works: Iterable[Work]
    databases: Iterable[str]
    libraries: Iterable[Library]
    repeat: int
    quick: bool
    #: Seconds for one process.
    time_limit: float
    #: Seconds after which no round but the first of each job is started.
    budget: float
    #: Seconds after which no peer is started at all, so that the run ends.
    peer_budget: float

    def jobs(self, work: Work, database: str) -> list[Job]:
        """Give the jobs of *work*: those without a library, then the others."""
        jobs = [
            Job(work, library, database, size)
            for library in filter(work.is_for, self.libraries)
            if database in library.databases
            for size in [work.size_for(peer=library.is_peer, quick=self.quick)]
        ]
        return list(dict.fromkeys([*(job.baseline for job in jobs), *jobs]))


class Runner:
    """Runs plans, one process at a time."""

    def __init__(self, urls: dict[str, str | None]) -> None:
        self._urls = urls
        self._elapsed = Stopwatch()

    def run(self, plan: Plan) -> Outcomes:
        """Run every job of *plan*."""
        outcomes: Outcomes = defaultdict(list)
        # Works of one round come last: for them it matters little if time is up.
        for work in plan.works:
            for database in filter(work.databases.__contains__, plan.databases):
                self._run_rounds(plan, plan.jobs(work, database), outcomes)
        return dict(outcomes)

    def _run_rounds(self, plan: Plan, jobs: list[Job], outcomes: Outcomes) -> None:
        """Run the jobs by turns, every other round backwards."""
        for number in range(min(plan.repeat, max(job.rounds for job in jobs))):
            if number and self._elapsed.wall > plan.budget:
                _say("no further rounds: out of time")
                return
            for job in jobs if number % 2 == 0 else reversed(jobs):
                outcome = None
                if job.library.is_peer and self._elapsed.wall > plan.peer_budget:
                    _say(f"{job}: left out, out of time")
                elif _is_due(job, number, outcomes[job]):
                    outcome = self._run_once(job, job.seconds(plan.time_limit))
                outcomes[job].append(outcome)

    def _run_once(self, job: Job, time_limit: float) -> Outcome:
        started = Stopwatch()
        outcome = run_child(job, self._urls[job.database], time_limit)
        came = outcome.error or ("took too long" if outcome.timed_out else "done")
        _say(f"[{self._elapsed.wall:4.0f} s] {job}: {came} in {started.wall:.1f} s")
        return outcome


def _is_due(job: Job, number: int, earlier: list[Outcome | None]) -> bool:
    failed = any(outcome and not outcome.is_complete for outcome in earlier)
    return number < job.rounds and not failed


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run_child(job: Job, url: str | None, time_limit: float) -> Outcome:
    """Run *job* in a process of its own."""
    try:
        command = [python_of(job.library), "-m", "benchmarks.child", job.work.name]
    except NotAvailable as error:
        return Outcome(error="NotAvailable", message=str(error))
    command += ["--library", job.library.name, "--database", job.database]
    command += ["--size", str(job.size)]
    if url is not None:
        command += ["--url", url]
    process = subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        output, errors = process.communicate(timeout=time_limit)
    except subprocess.TimeoutExpired:
        return Outcome(timed_out=time_limit, **_last_answer(_end(process)))
    answer = _last_answer(output)
    if not answer:
        lines = errors.strip().splitlines() or [""]
        return Outcome(error="NoAnswer", message=lines[-1])
    return Outcome(**answer)


def _end(process: subprocess.Popen[str]) -> str:
    """End *process*, and give what it wrote until then."""
    process.terminate()
    try:
        # Time to drop its databases.
        return process.communicate(timeout=10)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]


def _last_answer(output: str) -> dict[str, Any]:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def number_of(outcomes: Iterable[Outcome | None], key: str) -> float | None:
    """Return the median of *key*, ``None`` where it was never measured."""
    numbers = [o.numbers[key] for o in outcomes if o and key in o.numbers]
    return statistics.median(numbers) if numbers else None


def paired(
    outcomes: Outcomes,
    job: Job,
    key: str,
    compare: Callable[[float, float], float],
    other: Job | None = None,
) -> float | None:
    """Return the median of *compare* over the rounds of *job* and of *other*, or its baseline."""
    pairs = zip(outcomes.get(job, ()), outcomes.get(other or job.baseline, ()), strict=True)
    compared = [
        compare(one.numbers[key], two.numbers[key])
        for one, two in pairs
        if one and two and key in one.numbers and key in two.numbers
    ]
    return statistics.median(compared) if compared else None
