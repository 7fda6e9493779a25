"""Run one work under one library and print the numbers as JSON.

``python -m benchmarks.child`` is what every measurement is a process of. It ends
with a line on standard output, whether the work went well or not; lines before it
hold what there is of the numbers, for who stops waiting.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.bench import Bench, Numbers
from benchmarks.databases import BATCHED, DATABASES, URL_VARIABLE, new_databases
from benchmarks.libraries import LIBRARIES, Library, build_models
from benchmarks.works import WORKS


def main() -> None:
    """Run what the arguments say."""
    arguments = _parse_arguments()
    library = LIBRARIES[arguments.library]
    versions = installed_versions(library)
    # Whoever ends us wants no databases left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))

    def answer(**parts: Any) -> None:
        print(json.dumps({"versions": versions} | parts), flush=True)

    try:
        numbers = _run(arguments, library, lambda some: answer(numbers=some))
    # Whatever a library raises is a result.
    except Exception as error:
        answer(error=type(error).__name__, message=str(error))
    else:
        answer(numbers=numbers)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument("--database", choices=(*DATABASES, BATCHED), required=True)
    parser.add_argument("--url", help=f"as {URL_VARIABLE}")
    parser.add_argument("--size", type=int, required=True)
    return parser.parse_args()


def _run(
    arguments: argparse.Namespace, library: Library, keep: Callable[[Numbers], None]
) -> Numbers:
    models = build_models(library)
    with new_databases(arguments.database, arguments.url) as new_engine:
        bench = Bench(models, new_engine, arguments.size, keep)
        return WORKS[arguments.work].run(bench)


def installed_versions(library: Library) -> dict[str, str]:
    """Say which versions of the packages that matter this process runs."""
    names = ("SQLAlchemy", "psycopg2-binary", library.distribution)
    versions = {}
    for name in filter(None, names):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    main()
