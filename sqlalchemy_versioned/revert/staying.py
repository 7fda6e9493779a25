"""Rows that are there and stay, be they shown to the session or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, select
from sqlalchemy.orm import Session

from .._typing import mapper_of, type_of
from .columns import have_one_of, keys_of
from .live import chunks
from .nodes import Objects

__all__ = ["StayingRows"]

_Value = tuple[Any, ...]


class StayingRows:
    """The rows that the database has, but for those of objects that go.

    :param deleted: the live objects that are about to be deleted, unless the plan restores them.
    """

    def __init__(self, objects: Objects, deleted: Sequence[Any]) -> None:
        self._objects = objects
        self._session = objects.session
        self._deleted = deleted

    def values(
        self, cls: type[Any] | None, columns: Sequence[Column[Any]], values: Iterable[_Value]
    ) -> set[_Value]:
        """Return those of some values of *columns* that such rows have.

        :param cls: a class of their objects, if there is one.
        """
        stored: set[_Value] = set()
        for some in chunks(values):
            stored |= _existing(self._session, cls, columns, some)
        return stored - self._gone(columns[0].table, columns) if stored else stored

    def _gone(self, table: Any, columns: Iterable[Any]) -> set[_Value]:
        """Return values of rows that are still there, and about to be deleted."""
        gone: set[_Value] = set()
        for each in self._deleted:
            mapper = mapper_of(type_of(each))
            is_kept = self._objects.node_of(self._objects.target_of(each)) is not None
            if table in mapper.tables and not is_kept:
                gone.add(tuple(getattr(each, key) for key in keys_of(mapper, columns)))
        return gone


def _existing(
    session: Session,
    cls: type[Any] | None,
    columns: Sequence[Column[Any]],
    values: list[_Value],
) -> set[_Value]:
    place = {} if cls is None else {"mapper": mapper_of(cls)}
    rows = session.execute(
        select(*columns).where(have_one_of(columns, values)), bind_arguments=place
    )
    return {tuple(row) for row in rows}
