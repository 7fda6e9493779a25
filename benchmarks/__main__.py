"""``python -m benchmarks``: measure all libraries and print what came of it."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.databases import (
    BATCHED,
    POSTGRESQL,
    SQLITE,
    running_server,
    server_version,
)
from benchmarks.environments import ROOT
from benchmarks.libraries import LIBRARIES
from benchmarks.report import Run, build_report
from benchmarks.runs import Outcomes, Plan, Runner
from benchmarks.works import WORKS

REPORT = ROOT / "docs" / "benchmarks-table.rst"
TITLES = {
    SQLITE: "SQLite {}",
    POSTGRESQL: "PostgreSQL {}",
    BATCHED: "PostgreSQL {}, with ``executemany_mode='values_plus_batch'``",
}


def main() -> None:
    """Run what the command line asks for."""
    arguments = _parse_arguments()
    databases = arguments.database or list(TITLES)
    with ExitStack() as stack:
        urls = {name: stack.enter_context(running_server(name)) for name in databases}
        titles = {
            name: TITLES[name].format(server_version(name, url)) for name, url in urls.items()
        }
        outcomes = Runner(urls).run(_plan(arguments, databases))
    report = build_report(Run(_command(arguments.json), outcomes, titles))
    print(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(_raw(outcomes), indent=1))
    if arguments.write:
        REPORT.write_text(report)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    several: dict[str, Any] = {"action": "append"}
    parser.add_argument("--only", choices=WORKS, help="a work", **several)
    parser.add_argument("--database", choices=TITLES, **several)
    parser.add_argument("--library", choices=LIBRARIES, **several)
    parser.add_argument("--repeat", type=int, default=5, help="rounds at most")
    parser.add_argument("--quick", action="store_true", help="small, to try it out")
    parser.add_argument("--time-limit", type=float, default=60, help="seconds for one process")
    parser.add_argument(
        "--budget",
        type=float,
        default=480,
        help="seconds after which only first rounds are run",
    )
    parser.add_argument(
        "--peer-budget",
        type=float,
        default=600,
        help="seconds after which peers are left out",
    )
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--write", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    return parser.parse_args()


def _plan(arguments: argparse.Namespace, databases: list[str]) -> Plan:
    return Plan(
        works=[WORKS[name] for name in arguments.only or WORKS],
        databases=databases,
        libraries=[LIBRARIES[name] for name in arguments.library or LIBRARIES],
        repeat=arguments.repeat,
        quick=arguments.quick,
        time_limit=arguments.time_limit,
        budget=arguments.budget,
        peer_budget=arguments.peer_budget,
    )


def _command(numbers: Path | None) -> str:
    # Others keep their numbers somewhere else.
    words = ["numbers.json" if word == str(numbers) else word for word in sys.argv[1:]]
    return shlex.join(["python", "-m", "benchmarks", *words])


def _raw(outcomes: Outcomes) -> list[dict[str, Any]]:
    return [
        {
            "work": job.work.name,
            "library": job.library.name,
            "database": job.database,
            "size": job.size,
            "rounds": [
                outcome
                and {
                    "numbers": outcome.numbers,
                    "error": outcome.error,
                    "message": outcome.message,
                    "timed_out": outcome.timed_out,
                }
                for outcome in rounds
            ],
        }
        for job, rounds in outcomes.items()
    ]


if __name__ == "__main__":
    main()
