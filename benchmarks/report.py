"""The table that a run ends with, in reStructuredText."""

from __future__ import annotations

import operator
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from benchmarks.libraries import (
    CONTINUUM,
    CONTINUUM_NATIVE,
    LIBRARIES,
    NATIVE,
    OURS,
    UNVERSIONED,
    Library,
)
from benchmarks.runs import Job, Outcome, Outcomes, number_of, paired
from benchmarks.works import Bar, Kind, Work

MISSING = "n/a"
#: Ours, and with whom it is compared.
OURS_AND_PEER = {OURS: CONTINUUM, NATIVE: CONTINUUM_NATIVE}


@dataclass(frozen=True, slots=True)
class Run:
    """What was run, how, and what came of it."""

    command: str
    outcomes: Outcomes
    #: Title of each database, with its version.
    databases: dict[str, str]

    def jobs(self, work: Work, database: str, library: str) -> list[Job]:
        """Give the jobs of *library*, the largest first."""
        found = [
            job
            for job in self.outcomes
            if job.work.name == work.name
            and job.database == database
            and job.library.name == library
        ]
        return sorted(found, key=lambda job: -job.size)

    def job(self, work: Work, database: str, library: str) -> Job | None:
        """Give the largest job of *library*."""
        return next(iter(self.jobs(work, database, library)), None)

    @property
    def works(self) -> list[Work]:
        """The works, in the order they were run in."""
        return list({job.work.name: job.work for job in self.outcomes}.values())

    @property
    def libraries(self) -> list[Library]:
        """The libraries that took part, in the order they are declared in."""
        names = {job.library.name for job in self.outcomes}
        return [library for name, library in LIBRARIES.items() if name in names]


def build_report(run: Run) -> str:
    """Build the whole report."""
    parts = [_heading(run)]
    for database in run.databases:
        sides = {library.is_native for library in run.libraries if database in library.databases}
        parts += [_table(run, database, is_native=side) for side in sorted(sides)]
    parts.append(_remarks(run))
    return "\n".join(parts)


def _heading(run: Run) -> str:
    machine = f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()})"
    return f"""\
.. Written by ``python -m benchmarks --write``; do not edit.

Measured on {date.today().isoformat()}, on a machine with {machine}, with
Python {platform.python_version()}::

    {run.command}

Every figure comes from this one run. ``x`` is the time, memory or rate of the same
work unversioned, which was run by turns with it, each in a process of its own;
``+`` is what came on top of it. Of several rounds they are the median. Where a
time may grow with history, the figure is by how much it grew.

{_versions(run)}
"""


def _versions(run: Run) -> str:
    lines = []
    for library in run.libraries:
        if versions := _versions_of(run, library):
            listed = ", ".join(f"{name} {number}" for name, number in versions.items())
            lines.append(f"* {library.title}: {listed}")
    return "\n".join(lines)


def _versions_of(run: Run, library: Library) -> dict[str, str]:
    for job, outcomes in run.outcomes.items():
        for outcome in outcomes:
            if job.library is library and outcome and outcome.versions:
                return outcome.versions
    return {}


def _table(run: Run, database: str, *, is_native: bool) -> str:
    """Build the table of what sessions record, or triggers."""
    libraries = [
        library
        for library in run.libraries
        if library.name != UNVERSIONED and library.is_native is is_native
    ]
    header = ["work", "bar", UNVERSIONED]
    for library in libraries:
        header.append(library.title)
        if library.name in OURS_AND_PEER:
            header.append("")
    title = run.databases[database] + (", recorded by triggers" if is_native else "")
    lines = [f".. list-table:: {title}", "   :class: benchmarks", "   :header-rows: 1", ""]
    lines += _row(header)
    for work in run.works:
        bars = work.native_bars if is_native else work.bars
        for bar in bars if database in work.databases else ():
            lines += _row(_cells(run, work, bar, database, libraries))
    return "\n".join([*lines, ""])


def _row(cells: list[str]) -> list[str]:
    marks = ["   * - "] + ["     - "] * (len(cells) - 1)
    return [(mark + cell).rstrip() for mark, cell in zip(marks, cells, strict=True)]


def _cells(run: Run, work: Work, bar: Bar, database: str, libraries: list[Library]) -> list[str]:
    plain = run.job(work, database, UNVERSIONED)
    size = plain.size if plain else work.size
    cells = [bar.title.format(size=size), _limit(bar, database), _plain(run, bar, plain)]
    for library in libraries:
        job = run.job(work, database, library.name)
        values = [_value(run, bar, key, job) for key in bar.keys]
        cells.append(_cell(run, bar, job, size, values))
        if library.name in OURS_AND_PEER:
            cells.append(_verdict(run, bar, job, values))
    return cells


def _limit(bar: Bar, database: str) -> str:
    limit = f"{bar.limit_on(database):g}"
    signs = {
        Kind.TIMES: "≤ {}x",
        Kind.BESIDE: "≤ {}x",
        Kind.EXTRA: "≤ +{}",
        Kind.LEAD: "≥ {}x",
        Kind.KEPT: "≥ {}x",
    }
    return signs.get(bar.kind, "≤ {}").format(limit)


def _plain(run: Run, bar: Bar, job: Job | None) -> str:
    """Say what the unversioned work took, which is a magnitude and no more."""
    if job is None or bar.kind is Kind.LEAD:
        return ""
    numbers = [number_of(run.outcomes[job], key) for key in bar.keys]
    return _joined(MISSING if n is None else _magnitude(bar, n) for n in numbers)


def _magnitude(bar: Bar, number: float) -> str:
    if bar.kind is Kind.EXTRA:
        return f"{number:,g}"
    if bar.kind is Kind.WITHIN:
        return f"{number:.2f}"
    if bar.kind is Kind.KEPT:
        return f"{number:,.0f}"
    if bar.keys == ("peak",):
        return f"{number / 2**20:.0f} MiB"
    return f"{number:.2f} s" if number >= 0.1 else f"{number * 1000:.1f} ms"


def _value(run: Run, bar: Bar, key: str, job: Job | None) -> float | None:
    """Give what is held against the bar, ``None`` where there is nothing."""
    if job is None:
        return None
    if bar.kind is Kind.WITHIN:
        return number_of(run.outcomes[job], key)
    if bar.kind is Kind.EXTRA:
        return paired(run.outcomes, job, key, operator.sub)
    if bar.kind is Kind.BESIDE:
        sessions = run.job(job.work, job.database, OURS)
        return sessions and paired(run.outcomes, job, key, operator.truediv, other=sessions)
    if bar.kind in (Kind.TIMES, Kind.KEPT):
        return paired(run.outcomes, job, key, operator.truediv)
    return _lead(run, key, job)


def _lead(run: Run, key: str, job: Job) -> float | None:
    """Say how many times ours Continuum takes, each by its own unversioned run if there is one."""
    peer = run.job(job.work, job.database, OURS_AND_PEER.get(job.library.name, ""))
    if peer is None:
        return None
    if number_of(run.outcomes[job.baseline], key) is None:
        return paired(run.outcomes, peer, key, operator.truediv, other=job)
    ours = paired(run.outcomes, job, key, operator.truediv)
    theirs = paired(run.outcomes, peer, key, operator.truediv)
    return theirs / ours if ours and theirs else None


def _cell(run: Run, bar: Bar, job: Job | None, size: int, values: list[float | None]) -> str:
    if job is None or (bar.kind is Kind.LEAD and job.library.name not in OURS_AND_PEER):
        return MISSING
    if failed := _failed(run, job):
        return failed
    figures = [
        _unmeasured(run, job, key) if value is None else _figure(bar, value)
        for key, value in zip(bar.keys, values, strict=True)
    ]
    smaller = job.size != size and bar.kind is not Kind.EXTRA
    return _joined(figures) + (f" ({job.size:,})" if smaller else "")


def _joined(figures: Iterable[str]) -> str:
    return " / ".join(figures)


def _figure(bar: Bar, value: float) -> str:
    if bar.kind is Kind.EXTRA:
        return f"{value:+,g}"
    figure = f"{value:.2f}" if value < 10 else f"{value:,.0f}"
    return figure if bar.kind is Kind.WITHIN else f"{figure}x"


def _failed(run: Run, job: Job) -> str | None:
    errors = (outcome.error for outcome in run.outcomes[job] if outcome)
    return next((f"fails: {error}" for error in errors if error), None)


def _unmeasured(run: Run, job: Job, key: str) -> str:
    """Say why there is no figure: it took too long, or was never asked for."""
    was_asked = number_of(run.outcomes.get(job.baseline, ()), key) is not None
    for outcome in filter(None, run.outcomes[job]):
        if outcome.timed_out and (was_asked or not outcome.numbers):
            return f"> {outcome.timed_out:g} s"
    return MISSING


def _verdict(run: Run, bar: Bar, job: Job | None, values: list[float | None]) -> str:
    """Judge what was measured; what was begun and not ended is missed."""
    if job is None:
        return MISSING
    known = [value for value in values if value is not None]
    ended = all(outcome.is_complete for outcome in run.outcomes[job] if outcome)
    if ended and not known:
        return MISSING
    met = ended and all(bar.is_met_by(value, job.database) for value in known)
    return "met" if met else "**missed**"


def _remarks(run: Run) -> str:
    """Say what the figures cannot: other sizes, and why something failed."""
    lines = [
        "A number in brackets is the size of the work where it was made smaller for a peer;",
        "its ratio is to the unversioned work of that size. ``n/a`` was not run.",
    ]
    failures: dict[str, list[str]] = {}
    for job, outcomes in run.outcomes.items():
        for outcome in filter(None, outcomes):
            if outcome.error is not None and job.library.name != UNVERSIONED:
                failed = f"{job.library.title}, {_failure(outcome)}"
                failures.setdefault(failed, []).append(job.work.name)
    for failed, works in failures.items():
        lines += ["", f"* {failed} ({', '.join(dict.fromkeys(works))})"]
    return "\n".join([*lines, ""])


def _failure(outcome: Outcome) -> str:
    message = " ".join(outcome.message.split()).replace("`", "'")
    return f"``{outcome.error}: {message[:200]}``"
