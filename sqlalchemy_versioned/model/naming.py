"""Names of what is made for a table in the database: cut to what databases take, still unique."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Table

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..options import Options

__all__ = [
    "FUNCTION",
    "MAX_NAME",
    "TABLE",
    "TRIGGER",
    "conventional_name",
    "cut_name",
    "index_name",
    "name_indexes",
    "version_table_name",
]

#: The shortest limit of the supported databases (PostgreSQL) that a name must keep.
MAX_NAME = 63

#: The keys of ``MetaData.naming_convention`` for names of version tables, and of the functions and
#: triggers that write them.
TABLE, FUNCTION, TRIGGER = "version.table", "version.function", "version.trigger"


def cut_name(name: str) -> str:
    """Return *name*, cut to what every supported database takes, and still unique.

    >>> cut_name("article_version")
    'article_version'
    >>> len(cut_name("x" * 80))
    63
    """
    if len(name.encode()) <= MAX_NAME:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8]
    room = MAX_NAME - len(digest) - 1
    return f"{name.encode()[:room].decode(errors='ignore')}_{digest}"


def conventional_name(table: Table, convention: str, *, default: str) -> str:
    """Return the name that a naming convention of the ``MetaData`` of *table* gives.

    :param convention: the key of the convention, such as :data:`TRIGGER`.
    :param default: the name if there is no such convention.
    :raises ImproperlyConfigured: if the convention asks for what there is not.

    >>> conventional_name(Article.__table__, TRIGGER, default="article_versioned")
    'article_versioned'
    """
    said = table.metadata.naming_convention.get(convention)
    if said is None:
        return cut_name(default)
    # Names do not depend on the database, so a table without a schema is in that of PostgreSQL.
    words = {"table_name": table.name, "schema": table.schema or "public"}
    try:
        return cut_name(str(said) % words)
    except (KeyError, TypeError, ValueError) as error:
        raise ImproperlyConfigured(
            f"the naming convention {convention!r} is {said!r}; it can have "
            "%(table_name)s and %(schema)s, such as '%(table_name)s_version'"
        ) from error


def name_indexes(table: Table) -> None:
    """Name the indexes of a table that no naming convention names, as SQLAlchemy does by default.

    A ``MetaData`` with conventions for other things has none for indexes, and unnamed ones cannot
    be created.  A name that is too long is left to SQLAlchemy, unless it has other letters than
    those of ASCII: SQLAlchemy counts letters where PostgreSQL counts bytes, and may cut off what
    tells one index from another.
    """
    for index in table.indexes:
        if index.name is None:
            index.name = index_name(table, list(index.columns))
        elif not index.name.isascii():
            index.name = _own_name(index.name)


def index_name(table: Table, columns: Sequence[Column[Any]]) -> Any:
    """Return the name of an index of *table* on *columns* that no naming convention names."""
    return _own_name("_".join(["ix", table.name, *[column.name for column in columns]]))


def _own_name(name: str) -> Any:
    # Old databases take shorter names still, of which SQLAlchemy cuts those of its own making.
    return _sqlalchemy.own_name(cut_name(name))


def version_table_name(table: Table, options: Options) -> str:
    """Return the name of the version table of *table*.

    A naming convention of its ``MetaData`` wins over the option ``table_name``.

    :raises ImproperlyConfigured: if the convention asks for what there is not.
    """
    return conventional_name(table, TABLE, default=options.version_table_name(table.name))
