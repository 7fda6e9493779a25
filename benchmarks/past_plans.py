"""Query plans of reading the past: why versions have the indexes that their tables have.

``python -m benchmarks.past_plans`` writes 100,000 articles with ten versions each, in
transactions of a thousand users and beside half a million of other tables, and asks what
``as_of()`` and ``get_changes()`` ask, with the indexes as they are and without each. It prints
what :mod:`benchmarks.plans` prints::

    python -m benchmarks.past_plans --database sqlite --unanalyzed
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import (
    BigInteger,
    Engine,
    Index,
    Table,
    bindparam,
    case,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.sql import Executable

from benchmarks.databases import DATABASES, new_databases, running_server, unobserved
from benchmarks.histories import Shape, analyze, series, wide, write_rows
from benchmarks.past import PAGE, PastModels, build_past_models, write_past
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

#: Users who take turns; one more has made one transaction only.
USERS = 1_000
#: Transactions of other tables, earlier than those of the articles.
OTHERS = 490_000


def declare() -> PastModels:
    """Declare the models, with users who make transactions."""
    from sqlalchemy_versioned import make_versioned

    make_versioned(user_cls="User")
    return build_past_models()


def fill(engine: Engine, models: PastModels, shape: Shape) -> None:
    """Write the history, in which users take turns."""
    from sqlalchemy_versioned import transaction_class

    write_past(engine, models, shape)
    transactions = transaction_class(models.Article).__table__
    users, others = series("users", 1, USERS + 1).c.n, series("others", 1, OTHERS).c.n
    moment = datetime.now(timezone.utc) - timedelta(days=1)
    earlier = {
        "id": others + shape.transactions,
        "issued_at": literal(moment, transactions.c.issued_at.type),
    }
    turn = case((transactions.c.id == 1, USERS + 1), else_=transactions.c.id % USERS + 1)
    with unobserved(engine) as connection:
        write_rows(connection, models.User.__table__, {"id": users}, select())
        write_rows(connection, transactions, earlier, select())
        connection.execute(update(transactions).values(user_id=turn))
    analyze(engine)


# Asking ----------------------------------------------------------------------


def build_questions(models: PastModels, shape: Shape) -> list[Question]:
    """Build the statements, about objects and moments well inside the history."""
    from sqlalchemy_versioned import select_changes

    article, comment = models.Article, models.Comment
    key = shape.objects // 2
    keys = range(key - key % PAGE, key - key % PAGE + PAGE)
    past = {
        "an article by its key": select(article).where(article.id == key),
        "100 articles by an indexed column": select(article).where(article.category == key // PAGE),
        "comments on 100 articles": select(comment).where(comment.article_id.in_(keys)),
        "number of articles": select(func.count()).select_from(article),
    }
    questions = [
        Question(f"the past: {title}", read_past(statement, shape.transactions // 2))
        for title, statement in past.items()
    ]
    middle = shape.transactions // 2
    changes: dict[str, dict[str, Any]] = {
        "newest 50": {"limit": 50},
        "newest 50 of a user": {"limit": 50, "user_ids": USERS + 1},
        "of a transaction": {"transaction": middle},
        "of an object": {"object_ids": [key]},
    }
    for title, asked in changes.items():
        query = select_changes(article, **asked)
        statement = query.statement.params(**query.parameters)
        questions.append(Question(f"changes: {title}", statement))
    return questions


def read_past(statement: Any, transaction: int) -> Executable:
    """Return *statement* as a session that reads the past sends it."""
    from sqlalchemy_versioned._sqlalchemy import recompile
    from sqlalchemy_versioned.query.temporal import PastCompiler

    at = bindparam("at", transaction, BigInteger(), unique=True)
    past: Executable = recompile(statement, PastCompiler, parameter=at, check=lambda *_: None)
    return past


def list_tables(models: PastModels) -> list[Table]:
    """Return the tables whose indexes are in question."""
    from sqlalchemy_versioned import transaction_class, version_table

    versions = [version_table(cls) for cls in (models.Article, models.Comment)]
    return [*versions, transaction_class(models.Article).__table__]


def build_variants(tables: list[Table]) -> Iterator[Variant]:
    """Build the variants: as declared, and without each index."""
    yield Variant("as declared")
    for table in tables:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield Variant(f"without {title_of(index)}", dropped=index)


def title_of(index: Index) -> str:
    """Return the table and the columns of an index."""
    assert index.table is not None
    return f"{index.table.name} ({', '.join(index.columns.keys())})"


# Printing --------------------------------------------------------------------


def main() -> None:
    """Print what the arguments ask for."""
    parser = build_parser("past_plans", __doc__)
    parser.add_argument("--versions", type=int, default=1_000_000)
    arguments = parser.parse_args()
    models, shape = declare(), wide(arguments.versions)
    for database in arguments.database or DATABASES:
        with (
            running_server(database) as url,
            new_databases(database, url) as new_engine,
        ):
            print_head(f"{arguments.versions:,} versions on {database}")
            engine = new_engine()
            models.Base.metadata.create_all(engine)
            fill(engine, models, shape)
            _compare(engine, models, shape, forget=arguments.unanalyzed)


def _compare(engine: Engine, models: PastModels, shape: Shape, *, forget: bool) -> None:
    questions, tables = build_questions(models, shape), list_tables(models)
    answers: dict[str, list[Answer]] = {}
    for variant in build_variants(tables):
        with applied(engine, variant):
            if forget:
                forget_statistics(engine)
            answers[variant.title] = [ask(engine, question) for question in questions]
    print_times(questions, answers)
    with engine.connect() as connection:
        for table in tables:
            for name, size in index_sizes(connection, table).items():
                print(f"{name}: {size / 2**20:.0f} MiB")
    print_plans(questions, answers)


if __name__ == "__main__":
    main()
