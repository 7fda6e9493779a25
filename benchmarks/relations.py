"""Query plans of relationships between versions: why their foreign keys are indexed.

``python -m benchmarks.relations`` writes 100,000 links and 100,000 comments with ten
versions each, and follows relationships of versions with the indexes as they are,
without them, and with shorter ones. It prints what :mod:`benchmarks.plans` prints, and
how long a flush of 10,000 comments and one of 10,000 links take with and without::

    python -m benchmarks.relations --database sqlite --unanalyzed
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from sqlalchemy import (
    CTE,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
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
    with_parent,
)

from benchmarks.databases import DATABASES, new_databases, running_server, unobserved
from benchmarks.histories import BATCH, Shape, advance_sequences, analyze, series, write_rows
from benchmarks.measuring import stopwatch
from benchmarks.plans import (
    Answer,
    Question,
    Variant,
    applied,
    ask,
    build_parser,
    forget_statistics,
    index_sizes,
    print_head,
    print_plans,
    print_times,
)

#: Versions of each row.
VERSIONS = 10
#: Links of each article, and comments on each.
EACH = 10
#: Objects of one flush.
FLUSHED = 10_000


class Base(DeclarativeBase):
    """The base of the models."""


article_tag = Table(
    "article_tag",
    Base.metadata,
    Column("article_id", ForeignKey("article.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


def declare() -> tuple[Any, Any, Any]:
    """Declare versioned articles, tags and comments, with relationships both ways."""
    from sqlalchemy_versioned import make_versioned

    make_versioned()

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__: ClassVar[dict[str, Any]] = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))

    class Article(Base):
        __tablename__ = "article"
        __versioned__: ClassVar[dict[str, Any]] = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))
        tags: Mapped[list[Any]] = relationship(Tag, secondary=article_tag, backref="articles")

    class Comment(Base):
        __tablename__ = "comment"
        __versioned__: ClassVar[dict[str, Any]] = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))
        article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
        article: Mapped[Any] = relationship(Article, backref="comments")

    configure_mappers()
    return Article, Tag, Comment


# Filling ---------------------------------------------------------------------


def fill(engine: Engine, classes: tuple[Any, Any, Any], rows: int) -> None:
    """Write *rows* links and comments, and as many versions of each as there are."""
    from sqlalchemy_versioned import transaction_class, version_table

    article, tag, comment = (cls.__table__ for cls in classes)
    articles = rows // EACH
    numbered = series("numbered", 1, rows)
    number = numbered.c.n
    name = "row " + cast(number, String)
    link = {
        "article_id": (number - 1) % articles + 1,
        "tag_id": (number * 31 + (number - 1) // articles * 17) % (articles // 2) + 1,
    }
    commented = {"id": number, "name": name, "article_id": (number * 37) % articles + 1}
    named = {"id": number, "name": name}
    with unobserved(engine) as connection:
        transactions = rows // BATCH * VERSIONS
        _write_transactions(connection, transaction_class(classes[0]).__table__, transactions)
        for table, count, values in (
            (article, articles, named),
            (tag, articles // 2, named),
            (comment, rows, commented),
            (article_tag, rows, link),
        ):
            write_rows(connection, table, values, select().where(number <= count))
            every = rows // BATCH
            write_versions(connection, version_table(table), numbered, (count, every), values)
        advance_sequences(connection, Shape(objects=max(rows, transactions), versions=1))
    analyze(engine)


def write_versions(
    connection: Connection,
    table: Table,
    numbered: CTE,
    count_and_period: tuple[int, int],
    values: dict[str, Any],
) -> None:
    """Write versions of numbered rows; links come and go, other rows are updated."""
    count, period = count_and_period
    versions = series("versions", 0, VERSIONS - 1)
    version = versions.c.n
    transaction = version * period + numbered.c.n % period + 1
    is_last = version == VERSIONS - 1
    change = version % 2 * 2 if "tag_id" in values else case((version == 0, 0), else_=1)
    kept = {
        "transaction_id": transaction,
        "end_transaction_id": case((is_last, null()), else_=transaction + period),
        "operation_type": change,
    }
    both = select().select_from(versions.join(numbered, literal(True)))
    write_rows(connection, table, values | kept, both.where(numbered.c.n <= count))


def _write_transactions(connection: Connection, table: Table, count: int) -> None:
    from datetime import datetime, timezone

    issued_at = literal(datetime.now(timezone.utc), table.c.issued_at.type)
    number = series("numbers", 1, count).c.n
    write_rows(connection, table, {"id": number, "issued_at": issued_at}, select())


# Asking ----------------------------------------------------------------------


def build_questions(session: Session, classes: tuple[Any, Any, Any], rows: int) -> list[Question]:
    """Build the statements that load relationships of versions in the middle of history."""
    from sqlalchemy_versioned import version_class

    middle = rows // BATCH * VERSIONS // 2
    article, tag, comment = (version_class(cls) for cls in classes)

    def at_middle(cls: Any, key: int) -> Any:
        found = select(cls).where(cls.id == key, cls.transaction_id <= middle)
        return session.scalars(found.order_by(cls.transaction_id.desc()).limit(1)).one()

    key = rows // EACH // 4
    ways = [
        ("tags of an article", article, article.tags, tag),
        ("articles of a tag", tag, tag.articles, article),
        ("comments on an article", article, article.comments, comment),
        ("article of a comment", comment, comment.article, article),
    ]
    return [
        Question(title, select(target).where(with_parent(at_middle(source, key), way)))
        for title, source, way, target in ways
    ]


def build_variants(tables: list[Table]) -> Iterator[Variant]:
    """Build the variants: as declared, and per table without the index and with a shorter one."""
    yield Variant("as declared")
    for table in tables:
        index = next(i for i in table.indexes if len(i.columns) > 1)
        copied = table.to_metadata(type(table.metadata)()).c
        first = next(iter(index.columns)).key
        yield Variant(f"{table.name} without", dropped=index)
        yield Variant(
            f"{table.name} ({first})", dropped=index, added=Index("shorter", copied[first])
        )


def flush_seconds(engine: Engine, make: Callable[[Session], list[Any]]) -> float:
    """Return how long the flush of what *make* returns takes; it is rolled back."""
    times = []
    for _ in range(5):
        with Session(engine) as session:
            session.add_all(make(session))
            with stopwatch() as watch:
                session.flush()
                times.append(watch.wall)
            session.rollback()
    return min(times)


def build_flushes(
    classes: tuple[Any, Any, Any], rows: int
) -> dict[str, Callable[[Session], list[Any]]]:
    """Build what makes the objects of a flush, by the version table that it fills."""
    article, tag, comment = classes
    keys = itertools.count(10 * rows)

    def comments(session: Session) -> list[Any]:
        places = ((k * 37) % (rows // EACH) + 1 for k in range(FLUSHED))
        return [comment(id=next(keys), name="new", article_id=place) for place in places]

    def links(session: Session) -> list[Any]:
        tags = session.scalars(select(tag).where(tag.id <= 1_000)).all()
        return [
            article(id=next(keys), name="new", tags=tags[k % 100 * EACH :][:EACH])
            for k in range(FLUSHED // EACH)
        ]

    return {"comment_version": comments, "article_tag_version": links}


# Printing --------------------------------------------------------------------


def main() -> None:
    """Print what the arguments ask for."""
    parser = build_parser("relations", __doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    classes = declare()
    for database in arguments.database or DATABASES:
        with (
            running_server(database) as url,
            new_databases(database, url) as new_engine,
        ):
            print_head(f"{arguments.rows:,} links and comments on {database}")
            engine = new_engine()
            Base.metadata.create_all(engine)
            fill(engine, classes, arguments.rows)
            _compare(engine, classes, arguments.rows, forget=arguments.unanalyzed)


def _compare(engine: Engine, classes: tuple[Any, Any, Any], rows: int, *, forget: bool) -> None:
    flushes = build_flushes(classes, rows)
    answers: dict[str, list[Answer]] = {}
    with Session(engine) as session:
        questions = build_questions(session, classes, rows)
    for variant in build_variants([Base.metadata.tables[name] for name in flushes]):
        with applied(engine, variant):
            if forget:
                forget_statistics(engine)
            answers[variant.title] = [ask(engine, question) for question in questions]
            for name, make in flushes.items():
                if variant.title == "as declared" or variant.title.startswith(name):
                    milliseconds = flush_seconds(engine, make) * 1_000
                    print(f"{variant.title:42} {name}: {FLUSHED:,} in {milliseconds:,.0f} ms")
                    _print_sizes(engine, Base.metadata.tables[name])
    print_times(questions, answers)
    print_plans(questions, answers)


def _print_sizes(engine: Engine, table: Table) -> None:
    with engine.connect() as connection:
        sizes = index_sizes(connection, table)
    if sizes:
        print("   ", ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in sizes.items()))


if __name__ == "__main__":
    main()
