"""Look for what only chance finds: ``python -m tests.soak 30`` goes on for 30 minutes.

Storms, sessions that take turns, random programs and random declarations are run on one database
after the other, and recorded by sessions and by triggers where both can be, each time with another
seed, which is printed. Seeds that are given are run first: ``python -m tests.soak 5 4711``;
``VERSIONED_TEST_MODES`` names the modes. What fails ends it, with the command that runs the same
seed again.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.databases import has_capabilities, select_databases

STORMS = ("tests/scenarios/test_storms.py", "tests/scenarios/test_turns.py")
PROGRAMS = (
    "tests/scenarios/test_oracle.py",
    "tests/maintenance/test_maintenance.py::test_histories_of_random_programs",
)
DECLARATIONS = ("tests/scenarios/test_declarations.py",)
#: How many schemas are declared with the seed and those after it.
SCHEMAS = 40
#: Transactions of each writer of a storm.
TRANSACTIONS = 40
#: Names the variable that tells when to stop, in seconds of the clock.
UNTIL = "VERSIONED_TEST_UNTIL"
#: Seconds in which the test that runs when the time is over may end.
GRACE = 60
#: What pytest exits with when it is told to stop.
INTERRUPTED = 2


def main(minutes: str = "30", *seeds: str) -> None:
    """Run until the time is over or something fails."""
    end = time.time() + 60 * float(minutes)
    given = [int(seed) for seed in seeds]
    for number, (database, mode) in enumerate(turns()):
        if time.time() >= end:
            break
        seed = given[number] if number < len(given) else random.randrange(10**6)
        print(f"seed {seed} on {database}, recorded by {mode}", flush=True)
        environ = {
            UNTIL: str(end),
            "VERSIONED_TEST_DATABASES": database,
            "VERSIONED_TEST_DECLARATIONS": str(SCHEMAS),
            "VERSIONED_TEST_DECLARATIONS_SEED": str(seed),
            "VERSIONED_TEST_STORM": str(TRANSACTIONS),
            "VERSIONED_TEST_STORM_SEED": str(seed),
        }
        programs = [*PROGRAMS, "--hypothesis-profile=soak", f"--hypothesis-seed={seed}"]
        for arguments in random.sample([[*STORMS], programs, [*DECLARATIONS]], 3):
            if code := run([*arguments, f"--modes={mode}"], environ, end):
                command = f"python -m tests.soak {minutes} {seed}"
                where = f"VERSIONED_TEST_DATABASES={database} VERSIONED_TEST_MODES={mode}"
                print(f"again: {where} {command}")
                sys.exit(code)


def turns() -> Iterator[tuple[str, str]]:
    """Return databases and modes in turn, in another order each time."""
    modes = os.environ.get("VERSIONED_TEST_MODES", "sessions,triggers").split(",")
    found = [
        (name, mode)
        for name in select_databases()
        for mode in modes
        if mode == "sessions" or has_capabilities(name, ["triggers"])
    ]
    while True:
        yield from random.sample(found, len(found))


def run(arguments: list[str], environ: dict[str, str], end: float) -> int:
    """Run tests until *end*; return what they exit with if one fails, and 0 otherwise."""
    remaining = end - time.time()
    if remaining <= 0:
        return 0
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "tests.soak", "--strategies=all"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    process = subprocess.Popen(command, env={**os.environ, **environ})
    try:
        code = process.wait(remaining + GRACE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return 0
    return 0 if code == INTERRUPTED else code


def pytest_runtest_protocol(item: Any) -> None:
    """As a plugin of pytest, run no test after this one if the time is over."""
    if time.time() >= float(os.environ[UNTIL]):
        item.session.shouldstop = "the time is over"


if __name__ == "__main__":
    main(*sys.argv[1:])
