"""Reading the past: its models, a history of a million versions, and the works on it.

The same statements run against the present and as of a moment in the middle of
history, on one database and by turns, so that their ratio says what the past costs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    String,
    Table,
    case,
    cast,
    literal,
    null,
    select,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    relationship,
    selectinload,
)

from benchmarks.bench import Bench, NothingToMeasure, Numbers, empty_database
from benchmarks.databases import unobserved
from benchmarks.histories import (
    BATCH,
    Shape,
    advance_sequences,
    analyze,
    series,
    write_history,
    write_rows,
)
from benchmarks.libraries import CONTINUUM, OURS
from benchmarks.measuring import Stopwatch, counted_statements, stopwatch

#: Objects of one category, which are read together.
PAGE = 100
#: Comments on each article, and tags of each.
COMMENTS, TAGS = 2, 2
#: Versions of which relationships are read together.
VERSIONS = 200
#: Seconds after which a comparison makes do with the rounds it has.
ENOUGH = 6.0


@dataclass(frozen=True, slots=True)
class PastModels:
    """Versioned classes with relationships and an indexed column."""

    Base: type[DeclarativeBase]
    Article: Any
    Comment: Any
    Tag: Any
    #: Not versioned; who did it, where asked for.
    User: Any


@cache
def build_past_models() -> PastModels:
    """Declare the classes, once in a process."""

    class Base(DeclarativeBase):
        pass

    article_tag = Table(
        "past_article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("past_article.id"), primary_key=True),
        Column("tag_id", ForeignKey("past_tag.id"), primary_key=True),
    )

    class User(Base):
        __tablename__ = "past_user"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Tag(Base):
        __tablename__ = "past_tag"
        __versioned__: ClassVar[dict[str, Any]] = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))

    class Comment(Base):
        __tablename__ = "past_comment"
        __versioned__: ClassVar[dict[str, Any]] = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))
        article_id: Mapped[int] = mapped_column(ForeignKey("past_article.id"), index=True)

    class Article(Base):
        __tablename__ = "past_article"
        __versioned__: ClassVar[dict[str, Any]] = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))
        category: Mapped[int] = mapped_column(index=True)
        comments: Mapped[list[Any]] = relationship(Comment, order_by=Comment.id)
        tags: Mapped[list[Any]] = relationship(Tag, secondary=article_tag, order_by=Tag.id)

    configure_mappers()
    return PastModels(Base, Article, Comment, Tag, User)


# Filling ---------------------------------------------------------------------


def write_past(engine: Engine, models: PastModels, shape: Shape) -> None:
    """Write articles with *shape*, and their comments, tags and links with one version each."""
    from sqlalchemy_versioned import transaction_class, version_class, version_table

    articles = series("articles", 1, shape.objects)
    numbers = series("numbers", 1, shape.versions)
    number, key = numbers.c.n, articles.c.n
    several = select().select_from(numbers.join(articles, literal(True)))
    one = select().select_from(articles)
    transaction = (number - 1) * shape.batches + (key - 1) // BATCH + 1
    end = case((number < shape.versions, transaction + shape.batches), else_=null())
    kept = {
        "transaction_id": transaction,
        "end_transaction_id": end,
        "operation_type": case((number == 1, 0), else_=1),
    }
    link = models.Article.tags.property.secondary
    with unobserved(engine) as connection:
        _write_transactions(connection, transaction_class(models.Article), shape)
        article = _article(key, literal(shape.versions))
        write_rows(connection, models.Article.__table__, article, one)
        version = version_class(models.Article).__table__
        write_rows(connection, version, _article(key, number) | kept, several)
        names = {"id": key, "name": "tag " + cast(key, String)}
        write_rows(connection, models.Tag.__table__, names, one)
        first = {"transaction_id": literal(1), "operation_type": literal(0)}
        write_rows(connection, version_class(models.Tag).__table__, names | first, one)
        for place in range(COMMENTS):
            comment = {
                "id": key + place * shape.objects,
                "name": "comment " + cast(key, String),
                "article_id": key,
            }
            table = version_class(models.Comment).__table__
            write_rows(connection, models.Comment.__table__, comment, one)
            write_rows(connection, table, comment | first, one)
        for place in range(TAGS):
            tag = (key + place * 7) % shape.objects + 1
            pair = {"article_id": key, "tag_id": tag}
            write_rows(connection, link, pair, one)
            write_rows(connection, version_table(link), pair | first, one)
        advance_sequences(connection, shape)
    analyze(engine)


def _write_transactions(connection: Connection, cls: Any, shape: Shape) -> None:
    from datetime import datetime, timezone

    numbers = series("numbers", 1, shape.transactions)
    issued_at = literal(datetime.now(timezone.utc), cls.__table__.c.issued_at.type)
    values = {"id": numbers.c.n, "issued_at": issued_at}
    write_rows(connection, cls.__table__, values, select().select_from(numbers))


def _article(key: Any, number: Any) -> dict[str, Any]:
    name = "article " + cast(key, String) + ", version " + cast(number, String)
    return {"id": key, "name": name, "category": cast(key / PAGE, Integer)}


def _new_past(bench: Bench) -> tuple[Engine, PastModels, Shape]:
    """Make a database with a history of *size* versions, ten of each article."""
    if bench.models.library != OURS:
        raise NothingToMeasure("nobody else reads the past as a database")
    models = build_past_models()
    shape = Shape(objects=bench.size // 10, versions=10)
    engine = bench.new_engine()
    models.Base.metadata.create_all(engine)
    write_past(engine, models, shape)
    return engine, models, shape


# Works -----------------------------------------------------------------------


def get_from_past(bench: Bench) -> Numbers:
    """Get objects by their keys, each once, from the present and from the past."""
    engine, models, shape = _new_past(bench)
    keys = range(1, shape.objects + 1, max(1, shape.objects // 200))

    def read(session: Session) -> None:
        for key in keys:
            assert session.get(models.Article, key) is not None
        session.expunge_all()

    return _compare(engine, shape, read)


def read_page_of_past(bench: Bench) -> Numbers:
    """Read a hundred objects by an indexed column, with two relationships."""
    engine, models, shape = _new_past(bench)
    article = models.Article
    statement = (
        select(article)
        .where(article.category == shape.objects // PAGE // 2)
        .options(selectinload(article.comments), selectinload(article.tags))
    )

    def read(session: Session) -> None:
        found = session.scalars(statement).all()
        assert len(found) == min(PAGE, shape.objects // 2)
        assert all(len(each.comments) == COMMENTS and len(each.tags) == TAGS for each in found)
        session.expunge_all()

    return _compare(engine, shape, read)


def _compare(
    engine: Engine, shape: Shape, read: Callable[[Session], None], rounds: int = 40
) -> Numbers:
    """Time *read* in the present and in the past, by turns."""
    from sqlalchemy_versioned import as_of

    with Session(engine) as live, as_of(live, shape.transactions // 2) as past:
        counts = []
        for session in (live, past):
            read(session)
            with counted_statements(engine) as counter:
                read(session)
            counts.append(counter.count)
        times: tuple[list[float], list[float]] = ([], [])
        elapsed = Stopwatch()
        while len(times[1]) < rounds and elapsed.wall < ENOUGH:
            for session, seconds in zip((live, past), times, strict=True):
                with stopwatch() as watch:
                    read(session)
                    seconds.append(watch.wall)
    now, then = (statistics.median(seconds) for seconds in times)
    return {
        "live": now,
        "past": then,
        "ratio": then / now,
        "extra statements": counts[1] - counts[0],
    }


def load_relations_of_versions(bench: Bench) -> Numbers:
    """Load two relationships of two hundred versions."""
    from sqlalchemy_versioned import version_class

    engine, models, _ = _new_past(bench)
    version = version_class(models.Article)
    statement = (
        select(version)
        .where(version.id <= VERSIONS // 10)
        .options(selectinload(version.comments), selectinload(version.tags))
    )
    with Session(engine) as session, counted_statements(engine) as counter:
        with stopwatch() as watch:
            found = session.scalars(statement).all()
            seconds = watch.wall
        assert len(found) == VERSIONS
        assert all(each.comments and each.tags for each in found)
    return {"seconds": seconds, "statements for each": (counter.count - 1) / 2}


def read_changes_of_object(bench: Bench) -> Numbers:
    """Read all changes of one object with a thousand versions."""
    if bench.models.library not in (OURS, CONTINUUM):
        raise NothingToMeasure("only the established library is compared")
    engine = bench.new_warm_database()
    empty_database(engine, bench.models)
    write_history(engine, bench.models, Shape(1, bench.size))
    article = bench.models.Article

    def of_ours(session: Session) -> int:
        from sqlalchemy_versioned import get_changes

        return len(get_changes(article, session, object_ids=[1]))

    def of_other(session: Session) -> int:
        found: Any = session.get(article, 1)
        return len([version.changeset for version in found.versions])

    read = of_ours if bench.models.library == OURS else of_other
    times = []
    for _ in range(5 if bench.models.library == OURS else 2):
        with Session(engine) as session, stopwatch() as watch:
            assert read(session) == bench.size
            times.append(watch.wall)
    return {"changes": min(times)}


def read_newest_changes(bench: Bench) -> Numbers:
    """Read the newest fifty changes of a table, beside its fifty newest rows."""
    from sqlalchemy_versioned import get_changes, version_class

    if bench.models.library != OURS:
        raise NothingToMeasure("nobody else has change records")
    engines = []
    for size in (bench.size // 10, bench.size):
        engine = bench.new_warm_database()
        empty_database(engine, bench.models)
        write_history(engine, bench.models, Shape(size // 10, 10))
        engines.append(engine)
    version = version_class(bench.models.Article)
    plain = select(version).order_by(version.transaction_id.desc()).limit(50)

    def read_plainly(session: Session) -> None:
        assert len(session.scalars(plain).all()) == 50
        session.expunge_all()

    def read_changes(session: Session) -> None:
        assert len(get_changes(bench.models.Article, session, limit=50)) == 50
        session.expunge_all()

    with Session(engines[0]) as small, Session(engines[1]) as large:
        few, many, plainly = _medians(
            partial(read_changes, small),
            partial(read_changes, large),
            partial(read_plainly, large),
        )
    return {"plain": plainly, "changes": many, "ratio": many / plainly, "growth": many / few}


def _medians(*reads: Callable[[], None], rounds: int = 40) -> list[float]:
    """Time several ways of reading by turns."""
    times: list[list[float]] = [[] for _ in reads]
    for read in reads:
        read()
    for _ in range(rounds):
        for read, seconds in zip(reads, times, strict=True):
            with stopwatch() as watch:
                read()
                seconds.append(watch.wall)
    return [statistics.median(seconds) for seconds in times]
