"""Query plans at a million versions: why a version table has its indexes.

``python -m benchmarks.plans`` fills histories, and asks of each what the library
asks: with the indexes as they are, without each of them, and with each of the
others that come to mind. It prints the time of every question under every set of
indexes, what each index costs in space and writing, and the plans::

    python -m benchmarks.plans --database postgresql --shape deep

An index that no question becomes slower without is not worth its price.
:mod:`benchmarks.relations` does the same for relationships between versions, and
:mod:`benchmarks.past_plans` for reading the past and change records.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Index,
    Integer,
    SmallInteger,
    Table,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.schema import CreateIndex, DropIndex
from sqlalchemy.sql import Executable

from benchmarks.databases import DATABASES, SQLITE, new_databases, running_server
from benchmarks.histories import Shape, analyze, deep, wide, write_history
from benchmarks.libraries import LIBRARIES, OURS, Models, build_models
from benchmarks.measuring import Stopwatch

SHAPES: dict[str, Callable[[int], Shape]] = {"wide": wide, "deep": deep}


# What is asked ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """A statement that the library issues."""

    title: str
    statement: Executable


def build_questions(models: Models, shape: Shape) -> list[Question]:
    """Build the questions, about objects and moments well inside the history."""
    table = models.version_table
    assert table is not None
    key, column = shape.objects // 2, table.c
    middle = shape.transactions // 2
    step = max(shape.objects // 100, 1)
    keys = list(range(1, shape.objects + 1, step))[:100]
    of_object = select(table).where(column.id == key)
    after = shape.transactions + 1
    return [
        Question(
            "close the versions of 100 rows, being the newest",
            _closing_newest(table, models.Article.__table__, keys, after),
        ),
        Question(
            "close the versions of 100 rows, being open",
            update(table)
            .where(column.id.in_(keys), column.end_transaction_id.is_(None))
            .values(end_transaction_id=after),
        ),
        Question("add 1,000 versions", _addition(table, after)),
        Question(
            "versions[-1]",
            of_object.order_by(column.transaction_id.desc()).limit(1),
        ),
        Question("version of a row at a time", of_object.where(_valid_at(table, middle))),
        Question(
            "count of rows at a time",
            select(func.count()).select_from(table).where(_valid_at(table, middle)),
        ),
        Question(
            "what a transaction changed",
            select(table).where(column.transaction_id == middle),
        ),
        Question(
            "newest 50 versions of all",
            select(table).order_by(column.transaction_id.desc(), column.id.desc()).limit(50),
        ),
        Question(
            "last version of deleted rows",
            select(table).where(column.operation_type == 2, column.end_transaction_id.is_(None)),
        ),
        *_change_questions(models, key),
    ]


def _change_questions(models: Models, key: int) -> Iterator[Question]:
    """Yield what the library asks for change records; other libraries have none."""
    if models.library != OURS:
        return
    from sqlalchemy_versioned import select_changes

    asked: dict[str, dict[str, Any]] = {
        "newest 50 changes of all": {"limit": 50},
        "changes of an object": {"object_ids": [key]},
    }
    for title, arguments in asked.items():
        query = select_changes(models.Article, **arguments)
        yield Question(title, query.statement.params(**query.parameters))


def _closing_newest(table: Table, parent: Table, keys: list[int], transaction: int) -> Executable:
    """Find each version to close by its key, of which it has the last."""
    changed = select(parent.c.id).where(parent.c.id.in_(keys)).subquery("changed")
    older = table.alias("older")
    of_changed = and_(older.c.id == changed.c.id, older.c.transaction_id < transaction)
    newest = select(func.max(older.c.transaction_id)).where(of_changed).scalar_subquery()
    last = select(changed.c.id, newest.label("transaction_id")).subquery("last")
    return (
        update(table)
        .where(table.c.id == last.c.id, table.c.transaction_id == last.c.transaction_id)
        .where(table.c.end_transaction_id.is_(None))
        .values(end_transaction_id=transaction)
    )


def _valid_at(table: Table, transaction: int) -> ColumnElement[bool]:
    column = table.c
    return and_(
        column.transaction_id <= transaction,
        or_(
            column.end_transaction_id.is_(None),
            column.end_transaction_id > transaction,
        ),
        column.operation_type != 2,
    )


def _addition(table: Table, transaction: int) -> Executable:
    """Write versions as a flush does, from rows that are there."""
    copied: dict[str, ColumnElement[Any]] = {c.name: c for c in table.columns}
    copied["transaction_id"] = literal(transaction, Integer)
    oldest = select(*copied.values()).where(table.c.operation_type == 0).limit(1_000)
    return insert(table).from_select(list(copied), oldest)


# With which indexes ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variant:
    """The indexes as declared, less one or plus one."""

    title: str
    dropped: Index | None = None
    added: Index | None = None


def build_variants(table: Table, transactions: Table | None) -> list[Variant]:
    """Build all variants: as declared, without each, without any, with others.

    :param transactions: the transaction table, whose indexes are left out in turn, too.
    """
    indexes = [*table.indexes, *(() if transactions is None else transactions.indexes)]
    declared = sorted(indexes, key=lambda index: str(index.name))
    variants = [Variant("as declared")]
    variants += [Variant(f"without {_title(index)}", dropped=index) for index in declared]
    known = {_title(index) for index in declared}
    candidates = _build_candidates(table)
    others = [index for index in candidates if _title(index) not in known]
    variants += [Variant(f"with {_title(index)}", added=index) for index in others]
    return variants


def _build_candidates(table: Table) -> list[Index]:
    """Build the indexes that come to mind, on a copy that is never created."""
    column = table.to_metadata(type(table.metadata)()).c
    is_open = column.end_transaction_id.is_(None)
    partial: dict[str, Any] = {"postgresql_where": is_open, "sqlite_where": is_open}
    return [
        Index("candidate_transaction", column.transaction_id),
        Index("candidate_open", column.id, **partial),
        Index("candidate_end", column.end_transaction_id),
        Index("candidate_operation", column.operation_type),
        Index("candidate_key_end", column.id, column.end_transaction_id),
        Index("candidate_both", column.transaction_id, column.end_transaction_id),
    ]


def _title(index: Index) -> str:
    columns = ", ".join(str(getattr(e, "name", e)) for e in index.expressions)
    condition = index.dialect_options["postgresql"]["where"]
    partial = "" if condition is None else " where open"
    unique = "unique " if index.unique else ""
    return f"{unique}({columns}){partial}"


@contextmanager
def applied(engine: Engine, variant: Variant) -> Iterator[None]:
    """Have the indexes of *variant* inside the block, and the declared after it."""
    _change_indexes(engine, drop=variant.dropped, create=variant.added)
    try:
        yield
    finally:
        _change_indexes(engine, drop=variant.added, create=variant.dropped)


def _change_indexes(engine: Engine, *, drop: Index | None, create: Index | None) -> None:
    with engine.begin() as connection:
        if drop is not None:
            connection.execute(DropIndex(drop))
        if create is not None:
            connection.execute(CreateIndex(create))
    analyze(engine)


def forget_statistics(engine: Engine) -> None:
    """Leave SQLite as most applications do, which never tell it to analyze.

    PostgreSQL analyzes by itself; there is nothing to leave out.
    """
    if engine.dialect.name == SQLITE:
        with engine.begin() as connection:
            for name in ("sqlite_stat1", "sqlite_stat4"):
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        # A connection reads them once, when it is made.
        engine.dispose()


# Asking ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """How long a question took under a variant, and how it was answered."""

    seconds: float
    plan: str


def ask(engine: Engine, question: Question, rounds: int = 5) -> Answer:
    """Put *question* several times, leaving the tables as they were."""
    times = []
    with engine.connect() as connection:
        for _ in range(rounds):
            watch = Stopwatch()
            result = connection.execute(question.statement)
            if result.returns_rows:
                result.all()
            times.append(watch.wall)
            connection.rollback()
        plan = explain(connection, question.statement)
        connection.rollback()
    # The first round reads what the others find in memory.
    return Answer(statistics.median(times[1:] or times), plan)


_LONG_LIST = re.compile(r"(\{\d+(?:,\d+){2})(?:,\d+)+")


def explain(connection: Connection, statement: Executable) -> str:
    """Return the plan of *statement*, run for it where the database can."""
    compiled = statement.compile(  # type: ignore[attr-defined]
        connection.engine, compile_kwargs={"literal_binds": True}
    )
    if connection.dialect.name == SQLITE:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
        return "\n".join(row.detail for row in rows)
    command = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF)"
    lines = connection.exec_driver_sql(f"{command} {compiled}").scalars()
    return "\n".join(_LONG_LIST.sub(r"\1, …", line) for line in lines)


def index_sizes(connection: Connection, table: Table) -> dict[str, int]:
    """Return the bytes that each index of *table* takes, where that is known."""
    if connection.dialect.name == SQLITE:
        return {}
    rows = connection.exec_driver_sql(
        "SELECT indexrelid::regclass::text, pg_relation_size(indexrelid)"
        f" FROM pg_index WHERE indrelid = '{table.name}'::regclass"
    )
    return {row[0]: row[1] for row in rows}


# Printing --------------------------------------------------------------------


def main() -> None:
    """Print what the arguments ask for."""
    arguments = _parse_arguments()
    models, title = _models(arguments.library)
    for database in arguments.database or DATABASES:
        with (
            running_server(database) as url,
            new_databases(database, url) as new_engine,
        ):
            for name in arguments.shape or SHAPES:
                shape = SHAPES[name](arguments.versions)
                print_head(
                    f"{title} on {database}: {shape.versions:,} versions of each of "
                    f"{shape.objects:,} objects"
                )
                engine = new_engine()
                models.Base.metadata.create_all(engine)
                write_history(engine, models, shape)
                _delete_some(engine, models)
                _print_comparison(engine, models, shape, forget=arguments.unanalyzed)


def _delete_some(engine: Engine, models: Models) -> None:
    """Turn the last version of one object in a hundred into its deletion."""
    assert models.version_table is not None
    column = models.version_table.c
    deletion = update(models.version_table).values(operation_type=2)
    with engine.begin() as connection:
        last = column.end_transaction_id.is_(None)
        connection.execute(deletion.where(column.id % 100 == 0, last))
    analyze(engine)


def build_parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """Return what parses the arguments that all comparisons of plans take.

    :param doc: the docstring of the module.
    """
    parser = argparse.ArgumentParser(
        prog=f"benchmarks.{module}", description=(doc or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument(
        "--unanalyzed", action="store_true", help="leave SQLite without the statistics of ANALYZE"
    )
    return parser


def _parse_arguments() -> argparse.Namespace:
    parser = build_parser("plans", __doc__)
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--versions", type=int, default=1_000_000)
    parser.add_argument("--library", choices=[*LIBRARIES], default=OURS, help="whose version table")
    return parser.parse_args()


def _models(name: str) -> tuple[Models, str]:
    """Declare the models, with a bare version table where no library brings one."""
    library = LIBRARIES[name]
    models = build_models(library)
    if models.version_table is not None:
        return models, library.title
    return _with_bare_tables(models), "a version table with no index but its key"


def _with_bare_tables(models: Models) -> Models:
    metadata = models.Base.metadata
    parent = models.Article.__table__
    columns = [
        Column(column.name, column.type, primary_key=column.primary_key, autoincrement=False)
        for column in parent.columns
    ]
    table = Table(
        "article_version",
        metadata,
        *columns,
        Column("transaction_id", BigInteger, primary_key=True, autoincrement=False),
        Column("end_transaction_id", BigInteger),
        Column("operation_type", SmallInteger, nullable=False),
    )
    return Models(
        models.Base,
        models.Article,
        models.Tag,
        models.Note,
        version_table=table,
        transaction_table=_bare_transaction_table(models),
    )


def _bare_transaction_table(models: Models) -> Table:
    return Table(
        "transaction",
        models.Base.metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("issued_at", models.Article.__table__.c.updated_at.type),
    )


def _print_comparison(engine: Engine, models: Models, shape: Shape, *, forget: bool) -> None:
    table = models.version_table
    assert table is not None
    questions = build_questions(models, shape)
    variants = build_variants(table, models.transaction_table)
    answers = {}
    for variant in variants:
        with applied(engine, variant):
            if forget:
                forget_statistics(engine)
            answers[variant.title] = [ask(engine, question) for question in questions]
            with engine.connect() as connection:
                sizes = index_sizes(connection, table)
        if variant.added is not None and sizes:
            size = sizes[str(variant.added.name)]
            print(f"{variant.title}: {size / 2**20:.0f} MiB")
        elif sizes:
            listed = (f"{name} {size / 2**20:.0f} MiB" for name, size in sizes.items())
            print(f"{variant.title}: {', '.join(listed)}")
    print_times(questions, answers)
    print_plans(questions, answers)


def print_times(questions: list[Question], answers: dict[str, list[Answer]]) -> None:
    """Print milliseconds: a line for each variant, a column for each question."""
    print()
    for number, question in enumerate(questions, start=1):
        print(f"({number}) {question.title}")
    print(f"\n{'milliseconds':42}", *(f"{f'({n})':>9}" for n in range(1, len(questions) + 1)))
    for title, row in answers.items():
        print(f"{title:42}", *(f"{answer.seconds * 1000:9.2f}" for answer in row))


def print_plans(questions: list[Question], answers: dict[str, list[Answer]]) -> None:
    """Print the plans, each variant's only where it is another than declared."""
    for number, question in enumerate(questions):
        print_head(question.title, "-")
        declared, *others = answers.items()
        print(_indented(declared[1][number].plan))
        shapes = {_outline(declared[1][number].plan)}
        for title, row in others:
            plan = row[number].plan
            if _outline(plan) not in shapes:
                print(f"\n{title}:\n{_indented(plan)}")


def _outline(plan: str) -> str:
    """Reduce *plan* to what it does, leaving out how long it took."""
    kept = (line.split("(")[0] for line in plan.splitlines() if _is_step(line))
    return "\n".join(kept)


def _is_step(line: str) -> bool:
    measured = (
        "Planning",
        "Execution",
        "Buffers",
        "Memory",
        "Sort Method",
        "Heap",
        "Index Searches",
        "Rows Removed",
    )
    return not line.strip().startswith(measured)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def print_head(title: str, mark: str = "=") -> None:
    """Print a heading."""
    print(f"\n{title}\n{mark * len(title)}\n", flush=True)


if __name__ == "__main__":
    main()
