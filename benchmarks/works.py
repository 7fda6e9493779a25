"""The works that are measured, each declared once for all libraries.

A work is a function from a ``Bench`` to numbers, and what those numbers are
judged by. It runs in a process of its own, where one library is switched on and
which ends after it. Nothing here knows which library that is.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from sqlalchemy import Engine, create_engine, func, select, update
from sqlalchemy.orm import Session, selectinload

from benchmarks import past, writers
from benchmarks.bench import (
    Bench,
    NothingToMeasure,
    Numbers,
    change_articles,
    empty_database,
    new_articles,
)
from benchmarks.databases import BATCHED, DATABASES, POSTGRESQL
from benchmarks.histories import Shape, analyze, deep, wide, write_history
from benchmarks.libraries import CONTEXT, Library, Models
from benchmarks.measuring import (
    Stopwatch,
    counted_statements,
    peak_memory,
    stopwatch,
)


def _store_articles(engine: Engine, models: Models, count: int) -> None:
    """Put in articles, each with the version of its insertion."""
    empty_database(engine, models)
    write_history(engine, models, Shape(objects=count, versions=1))


def _load_articles(session: Session, models: Models) -> Sequence[Any]:
    """Load all articles with their tags, which a deletion would ask for."""
    statement = select(models.Article).options(selectinload(models.Article.tags))
    return session.scalars(statement.order_by(models.Article.id)).all()


# Works 1: large flushes ------------------------------------------------------


def insert_rows(bench: Bench) -> Numbers:
    """Flush new articles."""
    with Session(bench.new_warm_database(), expire_on_commit=False) as session:
        session.add_all(new_articles(bench.models, bench.size))
        return _timed_flush(session)


def update_rows(bench: Bench) -> Numbers:
    """Flush changes of two attributes of every article."""
    engine = bench.new_warm_database()
    _store_articles(engine, bench.models, bench.size)
    with Session(engine, expire_on_commit=False) as session:
        change_articles(_load_articles(session, bench.models), "changed")
        return _timed_flush(session)


def delete_rows(bench: Bench) -> Numbers:
    """Flush the deletion of every article."""
    engine = bench.new_warm_database()
    _store_articles(engine, bench.models, bench.size)
    with Session(engine, expire_on_commit=False) as session:
        for article in _load_articles(session, bench.models):
            session.delete(article)
        return _timed_flush(session)


def update_in_bulk(bench: Bench) -> Numbers:
    """Change two columns of every article by one statement."""
    engine = bench.new_warm_database()
    _store_articles(engine, bench.models, bench.size)
    article = bench.models.Article
    statement = update(article).values(name="changed", views=article.views + 1)
    with Session(engine) as session, stopwatch() as watch:
        session.execute(statement, execution_options={"synchronize_session": False})
        elapsed = watch.wall
        session.commit()
        return {"statement": elapsed, "statement and commit": watch.wall}


def write_by_statements(bench: Bench) -> Numbers:
    """Insert, change and delete articles by a statement each, as any program may send it."""
    engine = bench.new_warm_database()
    tenth = _time_statements(engine, bench.models, bench.size // 10)
    numbers = _time_statements(engine, bench.models, bench.size)
    _check_recorded(engine, bench.models, 3 * bench.size)
    return numbers | {"growth": numbers["update"] / tenth["update"] / 10}


def _time_statements(engine: Engine, models: Models, count: int) -> Numbers:
    empty_database(engine, models)
    statements = {
        "insert": "INSERT INTO article (id, name, content, views) "
        "SELECT n, 'article ' || n, repeat('content ' || n, 10), n "
        f"FROM generate_series(1, {count}) AS n",
        "update": "UPDATE article SET name = 'changed ' || id, views = views + 1",
        "delete": "DELETE FROM article",
    }
    plain = create_engine(engine.url)
    numbers = {}
    for name, statement in statements.items():
        analyze(engine)
        with plain.begin() as connection, stopwatch() as watch:
            connection.exec_driver_sql(statement)
            numbers[name] = watch.wall
    plain.dispose()
    return numbers


class NotRecorded(Exception):
    """Raised where versions are missing."""


def _check_recorded(engine: Engine, models: Models, expected: int) -> None:
    if models.version_table is not None:
        with create_engine(engine.url).connect() as connection:
            found = connection.scalar(select(func.count()).select_from(models.version_table))
        if found != expected:
            raise NotRecorded(f"{found:,} of {expected:,} versions, without an application")


def _timed_flush(session: Session) -> Numbers:
    with stopwatch() as watch:
        session.flush()
        flush = watch.wall
        session.commit()
        return {"flush": flush, "flush and commit": watch.wall}


# Work 2: small commits -------------------------------------------------------


def commit_often(bench: Bench) -> Numbers:
    """Change one article and commit, once for each article."""
    engine = bench.new_warm_database()
    _store_articles(engine, bench.models, bench.size)
    with Session(engine, expire_on_commit=False) as session:
        articles = _load_articles(session, bench.models)
        session.commit()
        # The quickest of three: whatever else the machine and its disk did only adds.
        series = [_time_commits(session, articles, f"changed {n}") for n in range(3)]
        return {key: min(watch[key] for watch in series) for key in series[0]}


def _time_commits(session: Session, articles: Sequence[Any], name: str) -> Numbers:
    with stopwatch() as watch:
        for article in articles:
            article.name = name
            session.commit()
        return {"commits": watch.wall, "processor": watch.processor}


# Work 3: statements ----------------------------------------------------------

FLUSHES = ("insert", "update", "delete", "link", "unlink")
COUNTED_SIZES = (1, 100, 1_000, 10_000)
#: Objects and versions of each, for the count over a long history.
LONG_HISTORY = Shape(objects=100, versions=1_000)


def count_statements(bench: Bench) -> Numbers:
    """Count the statements of each kind of flush, at each size up to the limit."""
    numbers: Numbers = {}
    for count_flushes in (_count_row_flushes, _count_link_flushes):
        for size in COUNTED_SIZES:
            if size <= bench.size:
                engine = bench.new_warm_database()
                for name, count in count_flushes(engine, bench.models, size):
                    numbers[f"{name} {size}"] = count
                    bench.keep(numbers)
        if count_flushes is _count_row_flushes:
            numbers["update 100 late"] = _count_late_update(bench)
    return numbers


def _count_row_flushes(engine: Engine, models: Models, size: int) -> Iterator[tuple[str, int]]:
    with Session(engine, expire_on_commit=False) as session:
        session.add_all(new_articles(models, size))
        yield "insert", _counted_commit(engine, session)
        # Loaded collections, or each would be one statement more.
        articles = _load_articles(session, models)
        change_articles(articles, "changed")
        yield "update", _counted_commit(engine, session)
        for article in articles:
            session.delete(article)
        yield "delete", _counted_commit(engine, session)


def _count_link_flushes(engine: Engine, models: Models, size: int) -> Iterator[tuple[str, int]]:
    with Session(engine, expire_on_commit=False) as session:
        session.add_all([tag := models.Tag(name="tag"), *new_articles(models, size)])
        session.commit()
        articles = _load_articles(session, models)
        for article in articles:
            article.tags.append(tag)
        yield "link", _counted_commit(engine, session)
        for article in articles:
            article.tags.remove(tag)
        yield "unlink", _counted_commit(engine, session)


def _count_late_update(bench: Bench) -> int:
    engine = bench.new_warm_database()
    empty_database(engine, bench.models)
    write_history(engine, bench.models, LONG_HISTORY)
    with Session(engine) as session:
        change_articles(_load_articles(session, bench.models), "changed")
        return _counted_commit(engine, session)


def _counted_commit(engine: Engine, session: Session) -> int:
    """Count what is left to a commit too: some libraries write there."""
    with counted_statements(engine) as counter:
        session.commit()
    return counter.count


# Work 4: sessions that touch nothing versioned -------------------------------


def leave_alone(bench: Bench) -> Numbers:
    """Use sessions for a class that is not versioned."""
    engine = bench.new_warm_database()
    _use_notes(engine, bench.models)
    # The quickest of ten: whatever else the machine did only adds.
    series = [_time_notes(engine, bench) for _ in range(10)]
    # Who counts has the engine tell of all its events from then on, which takes time.
    with counted_statements(engine) as counter:
        _use_notes(engine, bench.models)
    return {
        "processor": min(watch["processor"] for watch in series),
        "wall": min(watch["wall"] for watch in series),
        "statements": counter.count,
    }


def _time_notes(engine: Engine, bench: Bench) -> Numbers:
    with stopwatch() as watch:
        for _ in range(bench.size // 10):
            _use_notes(engine, bench.models)
        return {"processor": watch.processor, "wall": watch.wall}


def _use_notes(engine: Engine, models: Models) -> None:
    """Add, change, read and delete a few notes in one session."""
    with Session(engine) as session:
        notes = [models.Note(body=f"note {n}") for n in range(5)]
        session.add_all(notes)
        session.flush()
        for note in notes:
            note.body += ", changed"
        session.flush()
        session.scalars(select(models.Note)).all()
        for note in notes:
            session.delete(note)
        session.commit()


# Work 5: memory --------------------------------------------------------------


def hold_rows(bench: Bench) -> Numbers:
    """Flush new articles and say how much memory that took at its peak."""
    with Session(bench.new_warm_database(), expire_on_commit=False) as session:
        before = peak_memory()
        session.add_all(new_articles(bench.models, bench.size))
        session.flush()
        peak = peak_memory()
        session.rollback()
    return {"peak": peak, "growth": peak - before}


# Works 6: the size of history ------------------------------------------------

SMALL_HISTORY = 1_000
UPDATED_ROWS = 100


def update_in_wide_history(bench: Bench) -> Numbers:
    """Update some of ever more objects with ten versions each."""
    return _compare_updates(bench, Shape(100, 10), wide(bench.size))


def update_in_deep_history(bench: Bench) -> Numbers:
    """Update some of a thousand objects with ever more versions each."""
    return _compare_updates(bench, deep(SMALL_HISTORY), deep(bench.size))


def _compare_updates(bench: Bench, small: Shape, large: Shape) -> Numbers:
    def update(engine: Engine, shape: Shape) -> float:
        return _time_update(engine, bench.models, shape)

    return _compare_shapes(bench, (small, large), update, rounds=25)


def _time_update(engine: Engine, models: Models, shape: Shape) -> float:
    """Time a flush of changed articles, and leave the history as it was."""
    step = shape.objects // UPDATED_ROWS
    keys = range(1, shape.objects + 1, step)[:UPDATED_ROWS]
    with Session(engine) as session:
        articles = session.scalars(select(models.Article).where(models.Article.id.in_(keys))).all()
        change_articles(articles, "changed")
        with stopwatch() as watch:
            session.flush()
            seconds = watch.wall
        session.rollback()
    return seconds


# Work 7: the newest version --------------------------------------------------


def read_last_version(bench: Bench) -> Numbers:
    """Read the newest version of an object with ever more versions."""
    if bench.models.last_version is None:
        raise NothingToMeasure("there are no versions")

    def read(engine: Engine, shape: Shape) -> float:
        return _time_last_version(engine, bench.models, shape)

    shapes = (Shape(1, 10), Shape(1, bench.size))
    return _compare_shapes(bench, shapes, read, rounds=200)


def _time_last_version(engine: Engine, models: Models, shape: Shape) -> float:
    assert models.last_version is not None
    with Session(engine) as session:
        article = session.get(models.Article, 1)
        with stopwatch() as watch:
            version = models.last_version(article)
            seconds = watch.wall
        assert version.views == shape.versions, "not the newest version"
    return seconds


# Works 6 and 7 ---------------------------------------------------------------

#: Seconds after which a comparison makes do with the rounds it has.
ENOUGH = 6.0


def _compare_shapes(
    bench: Bench,
    shapes: tuple[Shape, Shape],
    measure: Callable[[Engine, Shape], float],
    *,
    rounds: int,
) -> Numbers:
    """Measure in a small and a large history, by turns."""
    engines = [bench.new_warm_database() for _ in shapes]
    for engine, shape in zip(engines, shapes, strict=True):
        empty_database(engine, bench.models)
        write_history(engine, bench.models, shape)
        measure(engine, shape)
    times: tuple[list[float], list[float]] = ([], [])
    elapsed = Stopwatch()
    while len(times[1]) < rounds and elapsed.wall < ENOUGH:
        for engine, shape, series in zip(engines, shapes, times, strict=True):
            series.append(measure(engine, shape))
    small, large = (statistics.median(series) for series in times)
    return {
        "small": small,
        "large": large,
        "growth": large / small,
        "rounds": len(times[1]),
    }


# What is judged --------------------------------------------------------------


class Kind(Enum):
    """How a number is held against a bar."""

    #: At most so many times the unversioned one.
    TIMES = "times"
    #: At most so much more than the unversioned one.
    EXTRA = "extra"
    #: At most this; the unversioned one stands beside it.
    WITHIN = "within"
    #: At most so many times what ours takes where sessions record.
    BESIDE = "beside"
    #: As ``TIMES``, but Continuum's, at least so many times ours; where nothing is measured
    #: unversioned, Continuum's time by ours.
    LEAD = "lead"
    #: At least so many times the unversioned one, of what is done in a second.
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Bar:
    """Numbers of a work, and where the bar for them lies."""

    #: May name the ``size`` of the work.
    title: str
    keys: tuple[str, ...]
    kind: Kind
    limit: float
    #: Where it lies elsewhere on PostgreSQL.
    postgresql_limit: float | None = None

    def limit_on(self, database: str) -> float:
        """Give the bar for *database*."""
        if database == POSTGRESQL and self.postgresql_limit is not None:
            return self.postgresql_limit
        return self.limit

    def is_met_by(self, value: float, database: str) -> bool:
        """Say whether *value* is on the right side of the bar."""
        limit = self.limit_on(database)
        is_least = self.kind in (Kind.LEAD, Kind.KEPT)
        return value >= limit if is_least else value <= limit


@dataclass(frozen=True, slots=True)
class Work:
    """What to run, how much of it, how often and what to make of it."""

    name: str
    run: Callable[[Bench], Numbers]
    bars: tuple[Bar, ...]
    size: int
    quick_size: int
    #: Where a peer would take too long for a bounded run.
    peer_size: int | None = None
    #: Rounds there are at most: ours, and a peer's.
    rounds: int = 5
    peer_rounds: int = 2
    #: Seconds that a peer is given, where it is known not to need more or to
    #: need very many.
    peer_seconds: float | None = None
    #: Where it makes sense.
    databases: tuple[str, ...] = DATABASES
    #: The ways of running ours that it is for, beside the plain one.
    variants: tuple[str, ...] = ()
    #: What libraries are judged by of which triggers record, if they take part.
    native_bars: tuple[Bar, ...] = ()

    def is_for(self, library: Library) -> bool:
        """Tell whether *library* takes part."""
        if library.is_native:
            return bool(self.native_bars)
        return bool(self.bars) and (library.variant is None or library.name in self.variants)

    def size_for(self, *, peer: bool, quick: bool) -> int:
        """Say how much to do."""
        if quick:
            return self.quick_size
        return self.peer_size or self.size if peer else self.size


#: Rows take longer than transactions, of which each library has one.
LEAD_OF_TRIGGERS = Bar("… Continuum's time by ours", ("flush",), Kind.LEAD, 1.0)
LEAD_OF_COMMITS = replace(LEAD_OF_TRIGGERS, keys=("commits",))


def _server_bars() -> tuple[Bar, ...]:
    limits = {"insert": 4.0, "update": 6.0, "delete": 40.0}
    bars = [
        Bar(f"{name.upper()} of {{size:,}} rows by one statement", (name,), Kind.TIMES, limit)
        for name, limit in limits.items()
    ]
    growth = Bar("… UPDATE of a row, by one of a tenth as many", ("growth",), Kind.WITHIN, 1.5)
    return (*bars, growth)


def _flush_work(
    name: str, run: Callable[[Bench], Numbers], limit: float, *more_databases: str
) -> Work:
    bars = (
        Bar(f"flush of {{size:,}} {name}s", ("flush",), Kind.TIMES, limit),
        Bar("… Continuum's time by ours", ("flush",), Kind.LEAD, 15.0),
    )
    native_bars = (
        Bar(f"flush of {{size:,}} {name}s by that of sessions", ("flush",), Kind.BESIDE, 1.5),
        LEAD_OF_TRIGGERS,
    )
    return Work(
        name,
        run,
        bars,
        10_000,
        500,
        peer_rounds=1,
        databases=(*DATABASES, *more_databases),
        variants=(CONTEXT,),
        native_bars=native_bars,
    )


#: Two for the version table that each of these flushes touches, plus one.
EXTRA_STATEMENTS = 3


def _statement_bars() -> tuple[Bar, ...]:
    bars = [
        Bar(
            f"statements to {flush} 1 / 100 / 1,000 / 10,000 rows",
            tuple(f"{flush} {size}" for size in COUNTED_SIZES),
            Kind.EXTRA,
            EXTRA_STATEMENTS,
        )
        for flush in FLUSHES
    ]
    late = "statements to update 100 rows of 1,000 versions each"
    return (*bars, Bar(late, ("update 100 late",), Kind.EXTRA, EXTRA_STATEMENTS))


def _history_work(name: str, run: Callable[[Bench], Numbers], shape: str) -> Work:
    title = f"update of 100 rows, 1,000 to {{size:,}} versions, {shape}"
    bars = (Bar(title, ("growth",), Kind.WITHIN, 1.5),)
    return Work(name, run, bars, 1_000_000, 10_000, rounds=1, peer_rounds=1)


def _past_work(name: str, run: Callable[[Bench], Numbers], *bars: Bar) -> Work:
    return Work(name, run, bars, 1_000_000, 10_000, rounds=1, peer_rounds=1)


def _writers_work(kind: str, run: Callable[[Bench], Numbers], size: int) -> Work:
    bars = (
        Bar(
            f"commits a second, {writers.WRITERS} {kind}, rows of their own",
            ("own",),
            Kind.KEPT,
            0.6,
        ),
        Bar("… any of 1,000 rows", ("shared",), Kind.KEPT, 0.6),
        Bar(
            f"commits a second of {writers.OBJECTS} objects each, {writers.WRITERS} {kind}",
            ("several",),
            Kind.KEPT,
            0.6,
        ),
    )
    return Work(f"writing-{kind}", run, bars, size, 10, peer_rounds=1, databases=(POSTGRESQL,))


WORKS = {
    work.name: work
    for work in (
        _flush_work("insert", insert_rows, 1.5),
        _flush_work("update", update_rows, 1.5, BATCHED),
        _flush_work("delete", delete_rows, 2.0, BATCHED),
        Work(
            "bulk-update",
            update_in_bulk,
            (Bar("update() of {size:,} rows", ("statement",), Kind.TIMES, 3.0),),
            size=100_000,
            quick_size=1_000,
            rounds=3,
            peer_rounds=1,
        ),
        Work(
            "commits",
            commit_often,
            (Bar("{size:,} commits of one object", ("commits",), Kind.TIMES, 1.5, 2.2),),
            size=500,
            quick_size=50,
            peer_rounds=1,
            variants=(CONTEXT,),
            native_bars=(
                Bar(
                    "{size:,} commits of one object by those of sessions",
                    ("commits",),
                    Kind.BESIDE,
                    1.5,
                ),
                LEAD_OF_COMMITS,
            ),
        ),
        Work(
            "server",
            write_by_statements,
            (),
            size=100_000,
            quick_size=1_000,
            rounds=3,
            peer_rounds=1,
            databases=(POSTGRESQL,),
            native_bars=_server_bars(),
        ),
        _writers_work("threads", writers.commit_in_threads, 100),
        _writers_work("processes", writers.commit_in_processes, 100),
        Work(
            "statements",
            count_statements,
            _statement_bars(),
            size=10_000,
            quick_size=100,
            peer_size=1_000,
            rounds=1,
            peer_rounds=1,
            peer_seconds=20,
        ),
        Work(
            "unversioned-session",
            leave_alone,
            (
                # Two runs of the same differ by this much.
                Bar("sessions of unversioned objects", ("processor",), Kind.TIMES, 1.05),
                Bar("… statements", ("statements",), Kind.EXTRA, 0),
            ),
            size=1_000,
            quick_size=100,
        ),
        Work(
            "memory",
            hold_rows,
            (Bar("peak memory, {size:,} inserts", ("peak",), Kind.TIMES, 1.15),),
            size=100_000,
            quick_size=2_000,
            peer_size=10_000,
            rounds=3,
            peer_rounds=1,
        ),
        _history_work("wide-history", update_in_wide_history, "10 of each row"),
        _history_work("deep-history", update_in_deep_history, "of 1,000 rows"),
        Work(
            "last-version",
            read_last_version,
            (Bar("versions[-1], 10 to {size:,} versions", ("growth",), Kind.WITHIN, 2.0),),
            size=100_000,
            quick_size=1_000,
            rounds=1,
            peer_rounds=1,
        ),
        _past_work(
            "past-get",
            past.get_from_past,
            Bar("past.get(), times live get()", ("ratio",), Kind.WITHIN, 3.0),
            Bar("… statements", ("extra statements",), Kind.WITHIN, 0),
        ),
        _past_work(
            "past-page",
            past.read_page_of_past,
            Bar("100 objects and two selectinloads, past by live", ("ratio",), Kind.WITHIN, 3.0),
            Bar("… statements", ("extra statements",), Kind.WITHIN, 0),
        ),
        _past_work(
            "version-relations",
            past.load_relations_of_versions,
            Bar(
                "statements for a relationship of 200 versions",
                ("statements for each",),
                Kind.WITHIN,
                1,
            ),
        ),
        Work(
            "object-changes",
            past.read_changes_of_object,
            (
                Bar(
                    "changes of one object with {size:,} versions, Continuum's time by ours",
                    ("changes",),
                    Kind.LEAD,
                    20.0,
                ),
            ),
            size=1_000,
            quick_size=50,
            rounds=3,
            peer_rounds=3,
        ),
        _past_work(
            "table-changes",
            past.read_newest_changes,
            Bar("newest 50 changes, times 50 plain rows", ("ratio",), Kind.WITHIN, 5.0),
            Bar("… 100,000 to {size:,} versions", ("growth",), Kind.WITHIN, 1.5),
        ),
    )
}
