"""Which rows of a version table stood at a transaction, said so that relationships can bear it.

:mod:`..query.conditions` says the same of entities in ordinary statements.  The conditions here
become part of a relationship's join, which SQLAlchemy takes apart and puts together again for each
way of loading; they are about tables, and hold no subquery that it could look into.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, FromClause, and_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ..model.operation import Operation
from ..model.spec import VersionSpec
from ..query.newest import has_not_ended, newest_version, row_key

__all__ = ["is_link_alive", "is_row_alive"]


class NewestVersion(FunctionElement[Any]):
    """What identifies the row that was the newest of its object at a transaction.

    Its arguments are the key of the object and the transaction.  It is rendered as a
    subquery, but is none to SQLAlchemy, which loses the marks ``remote()`` and ``local`` of columns
    when it copies a subquery of a relationship; self-referential ones then join a row to itself.
    """

    inherit_cache: bool | None = True
    #: Set by subclasses, so that the table is part of the key under which statements are cached.
    table_spec: ClassVar[VersionSpec]


@compiles(NewestVersion)
def _newest_version(element: NewestVersion, compiler: SQLCompiler, **kw: Any) -> str:
    spec = element.table_spec
    *values, at = element.clauses
    number = spec.transaction_column.key
    newest = newest_version(spec, values, lambda rows: rows.c[number] <= at, key=row_key(spec))
    return compiler.process(newest, **kw)


def is_row_alive(
    spec: VersionSpec,
    rows: FromClause,
    at: ColumnElement[Any],
    *,
    mark: Callable[[Any], Any] = lambda column: column,
) -> ColumnElement[bool]:
    """Match the rows of a class's version table that stood at a transaction and are no deletions.

    :param rows: the version table or an alias of it.
    :param mark: put around the columns of *rows*, such as :func:`sqlalchemy.orm.remote`.
    """
    if spec.end_column is None:
        return is_link_alive(spec, rows, at, mark=mark)
    end = mark(rows.c[spec.end_column.key])
    started = mark(rows.c[spec.transaction_column.key]) <= at
    return and_(started, has_not_ended(end, at), _is_no_deletion(spec, rows, mark))


def is_link_alive(
    spec: VersionSpec,
    rows: FromClause,
    at: ColumnElement[Any],
    *,
    mark: Callable[[Any], Any] = lambda column: column,
) -> ColumnElement[bool]:
    """Match the rows of any version table that stood at a transaction and are no deletions.

    Never looks at the end column, which association tables made by others did not fill.
    """
    kind = _newest_version_of(spec)
    key = [mark(rows.c[column.key]) for column in row_key(spec)]
    newest: ColumnElement[Any] = kind(*key, at)
    is_newest = mark(rows.c[spec.identifier.key]) == newest
    # The second comparison is implied, and lets an index narrow the rows before the subquery runs.
    is_begun = mark(rows.c[spec.transaction_column.key]) <= at
    return and_(is_newest, is_begun, _is_no_deletion(spec, rows, mark))


def _newest_version_of(spec: VersionSpec) -> type[NewestVersion]:
    # SQLAlchemy looks for inherit_cache on each class itself.
    body = {"table_spec": spec, "inherit_cache": True, "type": spec.identifier.type}
    return type("NewestVersion", (NewestVersion,), body)


def _is_no_deletion(
    spec: VersionSpec, rows: FromClause, mark: Callable[[Any], Any]
) -> ColumnElement[bool]:
    alive: ColumnElement[bool] = mark(rows.c[spec.operation_column.key]) != Operation.DELETE.value
    return alive
