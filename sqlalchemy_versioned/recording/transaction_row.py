"""The row of one transaction: written, shown as an object, copied, renumbered, taken back.

Ids are drawn on one connection; databases that hold versions of the transaction get a copy of its
row.  See ``docs/decisions`` for why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Table,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.orm import ColumnProperty, Mapper, Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.interfaces import RelationshipDirection

from .._typing import is_table
from .defaults import Defaults, number_column
from .shapes import Insertion

__all__ = ["TransactionRow", "referring_columns"]


class TransactionRow:
    """One transaction, as a row in each database that has versions of it.

    :param values: column values by key; the id is not among them.
    :param defaults: completes them, and knows the table.
    :param is_wanted: whether the application asked for it, so that it is kept when empty.
    """

    def __init__(
        self,
        mapper: Mapper[Any],
        connection: Connection,
        values: Mapping[str, Any],
        *,
        defaults: Defaults,
        is_wanted: bool,
    ) -> None:
        self.mapper = mapper
        self.is_wanted: bool = is_wanted
        self._authority = connection
        self._table: Table = defaults.table
        #: Where the row is.
        self._tables: dict[Connection, Table] = {connection: defaults.table}
        self._instance: Any = None
        #: What the application says of it.
        self._said = dict(values)
        self._values = dict(values)
        self._defaults = defaults
        self._id: int | None = None
        if is_wanted:
            self._write()

    @property
    def id(self) -> int:
        """The number of the transaction; its row is written when it is first asked for."""
        if self._id is None:
            self._write()
        assert self._id is not None
        return self._id

    @property
    def is_written(self) -> bool:
        """Whether there is a row."""
        return self._id is not None

    def _write(self) -> None:
        self._id = self._insert(self._values)

    def _insert(self, values: Mapping[str, Any]) -> int:
        """Write a row, remember what it holds, and return the number that it has got."""
        # Executed alone, the statement has one primary key and one set of parameters.
        result: Any = self._authority.execute(self._defaults.insert, dict(values))
        number: int = result.inserted_primary_key[0]
        self._values = {**result.last_inserted_params(), self._defaults.key: number}
        return number

    def insertion(self, connection: Connection) -> Insertion | None:
        """Return how to write the row through *connection* along with something else.

        ``None`` if it is written, or must be written alone.
        """
        if self._id is not None or connection is not self._authority:
            return None
        values = self._defaults.complete(self._values)
        return None if values is None else Insertion(self._table, values, self._defaults.numbers)

    def begun(self, insertion: Insertion, number: int) -> None:
        """Note that the row was written so."""
        self._id = number
        self._values = {**insertion.values, self._defaults.key: number}

    def object_in(self, session: Session) -> Any:
        """Return the transaction as an object of *session*, without asking for its row."""
        # Whoever has seen it may refer to it.
        self.is_wanted = True
        if self._instance is None:
            identity = self.mapper.identity_key_from_primary_key((self.id,))
            self._instance = session.identity_map.get(identity)
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

    def ensure_on(self, connection: Connection, table: Table) -> bool:
        """Have the row in a database that is about to hold versions of it.

        :returns: whether it was copied there.
        """
        if connection in self._tables:
            return False
        is_copied = not any(is_same_database(connection, other) for other in self._tables)
        if is_copied:
            self._copy(connection, table)
        self._tables[connection] = table
        return is_copied

    def forget_copy(self, connection: Connection) -> None:
        """Note that the row in another database was rolled back."""
        self._tables.pop(connection, None)

    def lose(self, connection: Connection) -> None:
        """Note that the database has rolled back the transaction of a connection by itself."""
        for each in list(self._tables) if self.is_written else ():
            if is_same_database(each, connection):
                del self._tables[each]

    def _copy(self, connection: Connection, table: Table) -> None:
        stored = self._stored(self.id)
        connection.execute(insert(table), {k: v for k, v in stored.items() if k in table.c})

    def _stored(self, number: int) -> dict[str, Any]:
        """Return the row as it is stored, with all that was added to it since."""
        table = self._table
        if self._authority not in self._tables:
            return self._values | self._seen_values()
        statement = select(table).where(number_column(table) == number)
        row = self._authority.execute(statement).mappings().one()
        return {column.key: row[column] for column in table.columns}

    def _seen_values(self) -> dict[str, Any]:
        """Return what the object has of the row, by column."""
        loaded: dict[str, Any] = {} if self._instance is None else inspect(self._instance).dict
        return {
            column.key: loaded[prop.key]
            for prop in self.mapper.column_attrs
            if prop.key in loaded and isinstance(column := prop.columns[0], Column)
        }

    def take_back(self) -> bool:
        """Remove the row everywhere: it turned out to have nothing to tell, and was not seen.

        So what refers to it is of plugins.

        :returns: whether it is gone.
        """
        for column in referring_columns(self.mapper):
            self._authority.execute(delete(column.table).where(column == self.id))
        self._delete(self.id)
        return True

    def forget(self, session: Session) -> None:
        """Take the object out of *session*; its row is gone."""
        if self._instance is not None and self._instance in session:
            session.expunge(self._instance)
        self._instance = None

    def renumber(self, session: Session, move: Callable[[int, int], None]) -> None:
        """Draw a new, higher id.

        :param move: called with the old and the new id while there are rows of both.
        """
        old = self.id
        number = self._id = self._draw_again(old)
        for connection, there in self._tables.items():
            if not is_same_database(connection, self._authority):
                self._copy(connection, there)
        move(old, number)
        self._move_references(session, old, number)
        self._delete(old)
        self._rename_object(session)

    def _draw_again(self, old: int) -> int:
        """Write the row anew, and return the number that it has got."""
        stored = self._stored(old)
        del stored[self._defaults.key]
        moment = self._moment()
        if moment is not None:
            # It comes after what has overtaken it.
            del stored[moment.columns[0].key]
        number = self._insert(stored)
        if moment is not None and self._instance is not None:
            value = self._values[moment.columns[0].key]
            set_committed_value(self._instance, moment.key, value)
        return number

    def rename(self, session: Session, number: int) -> None:
        """Go back to an id that the row had before a savepoint which was rolled back."""
        old, self._id = self.id, number
        self._values[self._defaults.key] = number
        self._rename_references(session, old, number)
        self._forget_moment(session)
        self._rename_object(session)

    def _rename_object(self, session: Session) -> None:
        if self._instance is not None:
            prop = self.mapper.get_property_by_column(self.mapper.primary_key[0])
            _rename(session, self._instance, prop.key, self.id)

    def _forget_moment(self, session: Session) -> None:
        """Let the object read anew when the row was written."""
        if (moment := self._moment()) is None:
            return
        self._values.pop(moment.columns[0].key, None)
        if self._instance is not None:
            state = inspect(self._instance)
            if not state.attrs[moment.key].history.has_changes():
                session.expire(self._instance, [moment.key])

    def _moment(self) -> ColumnProperty[Any] | None:
        """Return what tells when the row was written, unless the application says that."""
        prop = self.mapper.attrs.get("issued_at")
        if not isinstance(prop, ColumnProperty):
            return None
        column: Any = prop.columns[0]
        if column.key in self._said or not getattr(column.default, "is_callable", False):
            return None
        written, seen = self._values.get(column.key), self._seen_values().get(column.key)
        return prop if None in (written, seen) or written == seen else None

    def _move_references(self, session: Session, old: int, new: int) -> None:
        """Let rows that plugins and applications hang on the transaction follow it."""
        for column in referring_columns(self.mapper):
            moving = update(column.table).where(column == old).values({column: new})
            self._authority.execute(moving)
        self._rename_references(session, old, new)

    def _rename_references(self, session: Session, old: int | None, new: int | None) -> None:
        """Let loaded rows that refer to the transaction know its other number."""
        for prop, instance in [] if old is None else self._referring(session, old):
            _rename(session, instance, prop, new)

    def _referring(self, session: Session, number: int) -> list[tuple[str, Any]]:
        """Return the objects of *session* that refer to the transaction, with the attribute."""
        columns = referring_columns(self.mapper)
        found: list[tuple[str, Any]] = []
        for instance in list(session.identity_map.values()) if columns else ():
            mapper = inspect(instance).mapper
            for column in columns:
                if column.table in mapper.tables:
                    key = mapper.get_property_by_column(column).key
                    if inspect(instance).dict.get(key) == number:
                        found.append((key, instance))
        return found

    def _delete(self, number: int) -> None:
        seen: list[Connection] = []
        for connection, table in self._tables.items():
            if any(is_same_database(connection, other) for other in seen):
                continue
            connection.execute(delete(table).where(number_column(table) == number))
            seen.append(connection)


def referring_columns(mapper: Mapper[Any]) -> list[Column[Any]]:
    """Return the columns of other tables by which rows hang on transactions."""
    number = mapper.primary_key[0]
    return [
        remote
        for relationship in mapper.relationships
        if relationship.direction is RelationshipDirection.ONETOMANY
        for local, remote in relationship.local_remote_pairs or ()
        if local is number and isinstance(remote, Column) and is_table(remote.table)
    ]


def _rename(session: Session, instance: Any, key: str, value: int | None) -> None:
    """Give an object of *session* another value, also where that is part of its identity."""
    state = inspect(instance)
    pending = {
        attribute.key: attribute.value
        for attribute in state.attrs
        if attribute.key != key and attribute.history.has_changes()
    }
    session.expunge(instance)
    set_committed_value(instance, key, value)
    state.key = state.mapper.identity_key_from_instance(instance)
    session.add(instance)
    for name, changed in pending.items():
        setattr(instance, name, changed)


def is_same_database(one: Connection, other: Connection) -> bool:
    """Tell whether two connections are one."""
    return one is other or (not one.closed and one.connection is other.connection)
