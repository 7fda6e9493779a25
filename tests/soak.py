"""Look for what only chance finds: ``python -m tests.soak 30`` goes on for 30 minutes.

Storms and random programs are run with one seed after the other, which is printed; a seed that was
given is run first: ``python -m tests.soak 1 4711``.
"""

import os
import random
import subprocess
import sys
import time

STORMS = ("tests/scenarios/test_storms.py",)
PROGRAMS = (
    "tests/scenarios/test_oracle.py",
    "tests/test_maintenance.py::test_histories_of_random_programs",
)


def main(minutes: str = "30", *seeds: str) -> None:
    """Run until the time is over or something fails."""
    end = time.monotonic() + 60 * float(minutes)
    given = [int(seed) for seed in seeds]
    while time.monotonic() < end:
        seed = given.pop(0) if given else random.randrange(10**6)
        print(f"seed {seed}", flush=True)
        environ = {
            "VERSIONED_TEST_STORM": "100",
            "VERSIONED_TEST_STORM_SEED": str(seed),
        }
        run(STORMS, environ)
        if time.monotonic() < end:
            run([*PROGRAMS, "--hypothesis-profile=thorough", f"--hypothesis-seed={seed}"], {})


def run(arguments: tuple[str, ...] | list[str], environ: dict[str, str]) -> None:
    """Run tests; end if one fails."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    code = subprocess.run(command, env={**os.environ, **environ}).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
