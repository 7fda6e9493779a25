"""Does the suite notice?  ``python -m tests.mutants`` breaks the writer of history on purpose.

Each of the faults in :mod:`tests.faults` is put into a copy of the package, alone, and the tests
run there until one fails, those first that are likely to.  A fault that none of them notices
survives; there should be a test that does.  The working tree is not touched.

``python -m tests.mutants end-unwritten never-overtaken`` tries some faults only, ``--minutes=10``
stops after ten minutes, and ``--quick`` looks no further than into the tests that a fault names.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults import FAULTS, PACKAGE, Fault

ROOT = Path(__file__).parent.parent
COPIED = (PACKAGE, "tests", "examples", "docs", "README.rst", "CONTRIBUTING.rst", "pyproject.toml")

#: How many of the faults must be noticed.
ENOUGH = 0.95
#: How many seconds the tests have for one fault.  What takes longer has not been noticed.
TIMEOUT = 400

#: What is run after the tests that a fault names, on the database that it names.
REST = {
    "sqlite": (
        "tests/model/test_operation.py",
        "tests/recording/test_records.py",
        "tests/capture/test_tracking.py",
        "tests/recording/test_unit_of_work.py",
        "tests/recording/test_recording.py",
        "tests/scenarios/test_statements.py",
        "tests/scenarios/test_changed_keys.py",
        "tests/scenarios/test_key_forms.py",
        "tests/query/test_rows.py",
        "tests/query/test_temporal.py",
        "tests/build/test_relationships.py",
        "tests/scenarios/test_write_paths.py",
        "tests/scenarios/test_demanding_schemas.py",
        "tests/scenarios/test_bind_styles.py",
        "tests/scenarios/test_association_tables.py",
        "tests/scenarios/test_inheritance.py",
        "tests/scenarios/test_operation_sequences.py",
        "tests/scenarios/test_failures.py",
        "tests/scenarios/test_stored_values.py",
        "tests/scenarios/test_tenants.py",
        "tests/maintenance/test_maintenance.py",
        "tests/scenarios/test_savepoints.py",
        "tests/scenarios/test_oracle.py",
    ),
    "embedded": (
        "tests/scenarios/test_concurrency.py",
        "tests/capture/test_tracking.py",
        "tests/scenarios/test_statements.py",
        "tests/scenarios/test_changed_keys.py",
        "tests/scenarios/test_key_forms.py",
        "tests/scenarios/test_storms.py",
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What has become of a fault."""

    fault: Fault
    #: The test that has failed, if one has.
    test: str | None
    #: Why none has.
    reason: str
    seconds: float


class Copy:
    """The package and its tests, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ignored = shutil.ignore_patterns("__pycache__", "_build")
        for name in COPIED:
            source, target = ROOT / name, directory / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=ignored)
            else:
                shutil.copy(source, target)

    def text_with(self, fault: Fault) -> str:
        """Return the text of the file that a fault is in, with the fault."""
        text = self._path(fault).read_text("utf-8")
        if (count := text.count(fault.old)) != 1:
            sys.exit(f"{fault.name}: what it replaces is {count} times in {fault.file}, not once")
        return text.replace(fault.old, fault.new)

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """Have a fault in the copy."""
        path = self._path(fault)
        text = path.read_text("utf-8")
        _write(path, self.text_with(fault))
        try:
            yield
        finally:
            _write(path, text)

    def _path(self, fault: Fault) -> Path:
        return self.directory / PACKAGE / fault.file

    def run_tests(self, tests: Iterable[str], *options: str, database: str) -> Run:
        """Run tests on one database; asynchronous drivers tell nothing new about a fault."""
        arguments = ("-q", "-n0", "--tb=no", "-rfE", "-p", "no:cacheprovider")
        sync = ("-k", "not aiosqlite and not asyncpg", "--hypothesis-seed=0", "--strategies=all")
        command = [sys.executable, "-m", "pytest", *arguments, *sync, *options, *tests]
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env={**os.environ, "VERSIONED_TEST_DATABASES": database},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return Run(None, [], "")
        finally:
            _end(process)
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", output, re.MULTILINE)
        return Run(process.returncode, failed, output)


@dataclass(frozen=True)
class Run:
    """What pytest has said."""

    #: ``None`` if it had to be stopped.
    code: int | None
    failed: list[str]
    output: str


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    # Within one second, a file of the same size passes for the one that was compiled.
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _end(process: subprocess.Popen[str]) -> None:
    """Stop a process that goes on after it had its time, or after an interruption."""
    # As from a keyboard, so that it stops the server that it has started.
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=30)


def try_fault(copy: Copy, fault: Fault, *, is_quick: bool) -> Outcome:
    """Run tests with a fault until one notices it."""
    began = time.monotonic()
    rest = [each for each in REST[fault.database] if each not in fault.look]
    with copy.broken(fault):
        # Apart, because it takes a while to collect the others.
        for tests in (fault.look,) if is_quick else (fault.look, rest):
            run = copy.run_tests(tests, "-x", database=fault.database)
            if run.code != 0:
                break
    return Outcome(fault, *_conclude(run), time.monotonic() - began)


def _conclude(run: Run) -> tuple[str | None, str]:
    """Return the test that has failed, or else why none has."""
    if run.code == 0:
        return None, "not noticed"
    if run.code is None:
        return None, f"not noticed in {TIMEOUT} seconds"
    if run.code != 1 or not run.failed:
        # Nobody could overlook such a fault; it says nothing about the tests.
        return None, f"the tests do not run: {run.output[-300:]}"
    return run.failed[0], ""


def confirm(copy: Copy, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Take back what was noticed by tests that fail without a fault as well."""
    wrong: set[str] = set()
    for database in REST:
        tests = {each.test for each in outcomes if each.test and each.fault.database == database}
        if tests:
            run = copy.run_tests(sorted(tests), database=database)
            wrong |= tests if run.code not in (0, 1) else set(run.failed)
    return [
        replace(each, test=None, reason=f"{each.test} fails without it")
        if each.test in wrong
        else each
        for each in outcomes
    ]


def try_all(copy: Copy, faults: Sequence[Fault], *, until: float, is_quick: bool) -> list[Outcome]:
    """Try one fault after the other, and say how far that is."""
    outcomes = []
    for number, fault in enumerate(faults, 1):
        if time.monotonic() > until:
            outcomes.append(Outcome(fault, None, "not tried, the time was over", 0))
            continue
        print(f"{number:3}/{len(faults)} {fault.name} ... ", end="", flush=True)
        outcome = try_fault(copy, fault, is_quick=is_quick)
        print(f"{outcome.test or outcome.reason} ({outcome.seconds:.0f} s)", flush=True)
        outcomes.append(outcome)
    return outcomes


def report(outcomes: Sequence[Outcome]) -> bool:
    """Print what was noticed by which test, and what was not; tell whether it is enough."""
    width = max(len(each.fault.name) for each in outcomes)
    print()
    for each in outcomes:
        print(f"{each.fault.name:{width}}  {each.test or each.reason.upper()}")
    missed = [each for each in outcomes if each.test is None]
    for each in missed:
        print(f"\n{each.fault.name} ({each.fault.file}): {each.reason}\n  {each.fault.breaks}")
    noticed = len(outcomes) - len(missed)
    print(f"\n{noticed} of {len(outcomes)} faults were noticed ({noticed / len(outcomes):.0%})")
    return noticed >= ENOUGH * len(outcomes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the faults that were named, or all; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("names", nargs="*", metavar="fault")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    known = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"there is no fault {', '.join(unknown)}; see tests/faults.py")
    faults = [known[name] for name in given.names] or FAULTS
    with tempfile.TemporaryDirectory(prefix="versioned-mutants-") as directory:
        copy = Copy(Path(directory))
        for fault in faults:
            copy.text_with(fault)
        until = time.monotonic() + 60 * given.minutes
        outcomes = try_all(copy, faults, until=until, is_quick=given.quick)
        outcomes = confirm(copy, outcomes)
    return 0 if report(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
