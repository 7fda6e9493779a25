"""Rows, looked up by their keys or by the keys of those that they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Connection, select

from ..database.dialects import locks_one_table
from ..database.foreign_keys import Edge
from ..database.key_conditions import KeyConditions
from ..database.keys import Key, KeyParameters, as_asked, bare_key

__all__ = ["read_rows", "referring_rows"]

#: The columns by which the rows of a table are told apart.
KeyColumns = list[Column[Any]]


def read_rows(
    connection: Connection, own: KeyColumns, keys: list[Key], columns: list[Column[Any]]
) -> Iterator[tuple[Key, list[Any]]]:
    """Yield the keys of rows that are there, with the values of some columns.

    :param own: what their table tells rows apart by.
    """

    def look_for(some: list[Key]) -> Iterator[tuple[Key, list[Any]]]:
        for part in KeyParameters(own, connection.dialect).sets(some).chunks():
            member = KeyConditions(own, part.style).member(own, "keys")
            statement = select(*_labelled(own, "key"), *_labelled(columns, "value")).where(member)
            for row in connection.execute(statement, part.parameters()):
                yield bare_key(row[: len(own)]), list(row[len(own) :])

    return as_asked(look_for, keys)


def referring_rows(
    connection: Connection, edge: Edge, own: KeyColumns, key: KeyColumns, keys: list[Key]
) -> Iterator[tuple[Key, Key]]:
    """Yield the keys of rows that refer to rows with *keys*, each with its row's; lock them.

    :param own: what the table of the foreign key tells rows apart by.
    :param key: what the table that it refers to tells rows apart by.
    """
    rows = edge.referred.alias("versioned_referred")
    columns = [rows.c[column.key] for column in key]
    same = [mine == rows.c[theirs.key] for mine, theirs in edge.pairs]
    of = edge.table if locks_one_table(connection.dialect) else None
    shown = [*_labelled(own, "key"), *_labelled(columns, "referred")]
    locked = select(*shown).where(*same).with_for_update(of=of)

    def look_for(some: list[Key]) -> Iterator[tuple[Key, Key]]:
        for part in KeyParameters(key, connection.dialect).sets(some).chunks():
            member = KeyConditions(key, part.style).member(columns, "keys")
            for row in connection.execute(locked.where(member), part.parameters()).all():
                yield bare_key(row[len(own) :]), bare_key(row[: len(own)])

    return ((row, referred) for referred, row in as_asked(look_for, keys))


def _labelled(columns: Iterable[Any], word: str) -> list[Any]:
    return [column.label(f"{word}_{place}") for place, column in enumerate(columns)]
