"""The row of one transaction: written, shown as an object, copied, renumbered, taken back.

Ids are drawn on one connection; databases that hold versions of the transaction get a copy of its
row.  See ``docs/decisions`` for why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, Connection, Table, delete, insert, inspect
from sqlalchemy.orm import Mapper, Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from .exc import ImproperlyConfigured

__all__ = ["TransactionRow", "split_attributes"]


class TransactionRow:
    """One transaction, as a row in each database that has versions of it.

    :param values: column values by key; the id is not among them.
    :param is_wanted: whether the application asked for it, so that it is kept when empty.
    """

    def __init__(
        self,
        mapper: Mapper[Any],
        connection: Connection,
        values: Mapping[str, Any],
        *,
        is_wanted: bool,
    ) -> None:
        table = mapper.local_table
        assert isinstance(table, Table)
        self.mapper = mapper
        self.is_wanted = is_wanted
        self._authority = connection
        self._tables: dict[Connection, Table] = {connection: table}
        self._instance: Any = None
        self.id, self._values = _write(connection, table, values)

    def object_in(self, session: Session) -> Any:
        """Return the transaction as an object of *session*, without asking for its row."""
        if self._instance is None:
            self._instance = self._build_object()
            session.add(self._instance)
        return self._instance

    def _build_object(self) -> Any:
        instance = self.mapper.class_manager.new_instance()
        for prop in self.mapper.column_attrs:
            column = prop.columns[0]
            if isinstance(column, Column) and column.key in self._values:
                set_committed_value(instance, prop.key, self._values[column.key])
        make_transient_to_detached(instance)
        return instance

    def ensure_on(self, connection: Connection, table: Table) -> None:
        """Copy the row to a database that is about to hold versions of it."""
        if connection in self._tables:
            return
        if not any(is_same_database(connection, other) for other in self._tables):
            self._copy(connection, table)
        self._tables[connection] = table

    def _copy(self, connection: Connection, table: Table) -> None:
        values = {key: value for key, value in self._values.items() if key in table.c}
        connection.execute(insert(table), values)

    def take_back(self, session: Session) -> None:
        """Remove the row everywhere: it turned out to have nothing to tell."""
        self._delete(self.id)
        self.forget(session)

    def forget(self, session: Session) -> None:
        """Take the object out of *session*; its row is gone."""
        if self._instance is not None and self._instance in session:
            session.expunge(self._instance)
        self._instance = None

    def renumber(self, session: Session, move: Callable[[int, int], None]) -> None:
        """Draw a new, higher id.

        :param move: called with the old and the new id while there are rows of both.
        """
        old, key = self.id, _id_column(self._tables[self._authority])
        rest = {name: value for name, value in self._values.items() if name != key.key}
        self.id, self._values = _write(self._authority, self._tables[self._authority], rest)
        for connection, table in self._tables.items():
            if connection is not self._authority and not is_same_database(
                connection, self._authority
            ):
                self._copy(connection, table)
        move(old, self.id)
        self._delete(old)
        self._rename_object(session)

    def _rename_object(self, session: Session) -> None:
        if self._instance is None:
            return
        instance = self._instance
        prop = self.mapper.get_property_by_column(self.mapper.primary_key[0])
        pending = {
            attribute.key: attribute.value
            for attribute in inspect(instance).attrs
            if attribute.key != prop.key and attribute.history.has_changes()
        }
        session.expunge(instance)
        state = inspect(instance)
        state.key = self.mapper.identity_key_from_primary_key((self.id,))
        set_committed_value(instance, prop.key, self.id)
        session.add(instance)
        for key, value in pending.items():
            setattr(instance, key, value)

    def _delete(self, number: int) -> None:
        seen: list[Connection] = []
        for connection, table in self._tables.items():
            if any(is_same_database(connection, other) for other in seen):
                continue
            connection.execute(delete(table).where(_id_column(table) == number))
            seen.append(connection)


def _write(
    connection: Connection, table: Table, values: Mapping[str, Any]
) -> tuple[int, dict[str, Any]]:
    result = connection.execute(insert(table), dict(values))
    number: int = result.inserted_primary_key[0]
    written = {**result.last_inserted_params(), _id_column(table).key: number}
    return number, written


def _id_column(table: Table) -> Column[Any]:
    return next(iter(table.primary_key.columns))


def is_same_database(one: Connection, other: Connection) -> bool:
    """Tell whether two connections are one."""
    return one is other or (not one.closed and one.connection is other.connection)


def split_attributes(
    mapper: Mapper[Any], attributes: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split attributes of a transaction into column values and what only a flush can write.

    :raises ImproperlyConfigured: if the class has no such attribute.
    """
    values: dict[str, Any] = {}
    later: dict[str, Any] = {}
    for key, value in attributes.items():
        if key not in mapper.all_orm_descriptors:
            known = ", ".join(sorted(mapper.all_orm_descriptors.keys()))
            raise ImproperlyConfigured(
                f"{mapper.class_.__name__} has no attribute {key!r}; it has {known}"
            )
        if key in mapper.column_attrs:
            values[mapper.column_attrs[key].columns[0].key] = value  # type: ignore[union-attr]
        elif (foreign := _foreign_values(mapper, key, value)) is not None:
            values.update(foreign)
        else:
            later[key] = value
    return values, later


def _foreign_values(mapper: Mapper[Any], key: str, value: Any) -> dict[str, Any] | None:
    """Return the foreign key that a relationship to *value* means, if it is known already."""
    relationship = mapper.relationships.get(key)
    if relationship is None or relationship.direction.name != "MANYTOONE":
        return None
    if value is None:
        return {}
    found = {}
    for local, remote in relationship.local_remote_pairs:
        prop = relationship.mapper.get_property_by_column(remote)
        found[local.key] = getattr(value, prop.key)
    return None if None in found.values() else found
