"""Eight writers at once, each committing changes of one object, or of ten, on PostgreSQL.

A change is what a request does: a session of its own loads articles by their keys, changes them and
commits.  Writers are threads of one process, which share its interpreter, or processes.  Each
changes rows of its own, or any of a pool of rows that all share.
"""

from __future__ import annotations

import gc
import multiprocessing
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import URL, Engine, create_engine, select
from sqlalchemy.orm import Session

from benchmarks.bench import Bench, Numbers
from benchmarks.histories import Shape, write_history
from benchmarks.measuring import Stopwatch

WRITERS = 8
#: Rows that each writer has to itself.
OWN = 100
#: Rows that all share: many, so that few writers wait for each other's.
SHARED = 1_000
#: Objects of the larger transactions, of rows of their own.
OBJECTS = 10
#: How often it is measured; the best counts, as whatever else a machine does only slows it down.
SERIES = 3
#: Commits of each writer before the clock starts, which fill its caches.
WARM_UP = 10

#: Starts writers and says how many seconds they took together.
Start = Callable[["Task", Sequence[Sequence[int]]], float]


@dataclass(frozen=True, slots=True)
class Task:
    """What every writer does."""

    url: URL
    Article: Any
    commits: int
    #: How many articles each of them changes.
    objects: int = 1


def commit_in_threads(bench: Bench) -> Numbers:
    """Let threads commit changes."""
    return _commit_at_once(bench, _run_threads)


def commit_in_processes(bench: Bench) -> Numbers:
    """Let processes commit changes."""
    return _commit_at_once(bench, _run_processes)


def _commit_at_once(bench: Bench, start: Start) -> Numbers:
    engine = bench.new_database()
    write_history(engine, bench.models, Shape(objects=max(SHARED, WRITERS * OWN), versions=1))
    # Processes must not inherit connections.
    engine.dispose()
    task = Task(engine.url, bench.models.Article, bench.size)
    # As long a series, nearly.
    large = replace(task, commits=max(1, bench.size // 4), objects=OBJECTS)
    own = [range(1 + number * OWN, 1 + (number + 1) * OWN) for number in range(WRITERS)]
    shared = [range(1, 1 + SHARED)] * WRITERS
    works = {"own": (task, own), "shared": (task, shared), "several": (large, own)}
    numbers: Numbers = dict.fromkeys(works, 0.0)
    for _ in range(SERIES):
        for name, (each, rows) in works.items():
            seconds = start(each, rows)
            numbers[name] = max(numbers[name], WRITERS * each.commits / seconds)
    return numbers


def _run_threads(task: Task, rows: Sequence[Sequence[int]]) -> float:
    engine = create_engine(task.url, pool_size=WRITERS)
    barrier = threading.Barrier(WRITERS + 1)
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            _write(task, engine, _drawn(rows[number], task.objects, number), barrier)
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    seconds = _run([threading.Thread(target=write, args=(n,)) for n in range(WRITERS)], barrier)
    engine.dispose()
    if errors:
        raise errors[0]
    return seconds


def _run_processes(task: Task, rows: Sequence[Sequence[int]]) -> float:
    processes = multiprocessing.get_context("fork")
    barrier = processes.Barrier(WRITERS + 1)

    def write(number: int) -> None:
        try:
            engine = create_engine(task.url, pool_size=1)
            _write(task, engine, _drawn(rows[number], task.objects, number), barrier)
        except BaseException:
            barrier.abort()
            raise

    return _run([processes.Process(target=write, args=(n,)) for n in range(WRITERS)], barrier)


def _run(writers: Sequence[Any], barrier: Any) -> float:
    """Start threads or processes, and time them from when all are ready until all are done."""
    for writer in writers:
        writer.start()
    gc.collect()
    barrier.wait()
    watch = Stopwatch()
    barrier.wait()
    seconds = watch.wall
    for writer in writers:
        writer.join()
    return seconds


def _drawn(rows: Sequence[int], count: int, seed: int) -> Iterable[list[int]]:
    chance = random.Random(seed)
    while True:
        yield chance.sample(rows, count)


def _write(task: Task, engine: Engine, keys: Iterable[list[int]], barrier: Any) -> None:
    """Commit changes, some before the clock starts; the barrier is where it starts and ends."""
    drawn = iter(keys)
    for _ in range(WARM_UP):
        _change(task, engine, next(drawn))
    barrier.wait()
    for _ in range(task.commits):
        _change(task, engine, next(drawn))
    barrier.wait()


def _change(task: Task, engine: Engine, keys: list[int]) -> None:
    with Session(engine) as session:
        for article in _load(session, task.Article, keys):
            article.views += 1
        session.commit()


def _load(session: Session, Article: Any, keys: list[int]) -> Iterable[Any]:
    if len(keys) == 1:
        return [session.get_one(Article, keys[0])]
    return session.scalars(select(Article).where(Article.id.in_(keys)))
