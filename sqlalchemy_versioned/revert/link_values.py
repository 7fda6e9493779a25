"""Values for links that a revert has restored or changed, until the next flush writes them.

A relationship inserts its links by itself, with nothing but what they link.  So the values wait in
the session: those of links that are stored are written when a flush begins, the others go into the
relationship's own INSERT.  Recording sees both, as it sees everything that a flush writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Insert, Null, Table, and_, bindparam, event, inspect, null
from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty, Session
from sqlalchemy.orm.attributes import flag_dirty

from .. import _sqlalchemy
from .associations import Association, Key, Row, association_of, link_columns

__all__ = ["keep_until_flush", "unwritten"]

#: The key of ``Session.info`` under which the values of a session are found.
_INFO = "sqlalchemy_versioned.link_values"


def keep_until_flush(
    session: Session,
    relationship: RelationshipProperty[Any],
    link: tuple[Any, Any],
    *,
    values: Mapping[str, Any],
    is_stored: bool,
) -> None:
    """Have the next flush write values into the row of a link.

    :param link: the object that has the relationship, and the one it is linked to.
    :param values: by column key.
    :param is_stored: whether the row is there; if not, the relationship is going to insert it.
    """
    association = association_of(relationship)
    assert association is not None
    waiting = session.info.get(_INFO)
    if waiting is None:
        waiting = session.info[_INFO] = _LinkValues(session)
    owner, _ = link
    columns = link_columns(relationship, *link)
    row = {column: values[column.key] for column in association.more if column.key in values}
    waiting.add(_Values(association, relationship.mapper, owner, columns, row, is_stored))
    if inspect(owner).persistent:
        # Or the session may have nothing to flush.
        flag_dirty(owner)


def unwritten(session: Session, association: Association) -> dict[Key, Row]:
    """Return the values that wait for a flush, by what is linked."""
    waiting = session.info.get(_INFO)
    return {} if waiting is None else waiting.rows(association.table)


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """What the row of one link is to hold."""

    association: Association
    #: Says which database the row is in, where a session has several.
    mapper: Mapper[Any]
    owner: Any
    link: Row
    values: Row
    is_stored: bool

    @property
    def key(self) -> Key:
        """What is linked."""
        return self.association.key(self.link)

    def parameters(self) -> dict[str, Any]:
        """Return the whole row, by column key."""
        return {column.key: value for column, value in (*self.link.items(), *self.values.items())}

    def is_wanted(self, session: Session) -> bool:
        """Tell whether the revert still stands: nobody has refreshed or expunged the object."""
        state: InstanceState[Any] = inspect(self.owner)
        return state.session is session and (state.pending or state.modified)


class _LinkValues:
    """The values that wait in one session, and what has them written."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: dict[Table, dict[Key, _Values]] = {}
        #: Those that the flush going on is to insert.
        self._inserting: dict[Table, dict[Key, _Values]] = {}
        self._watched: list[Connection] = []
        event.listen(session, "before_flush", self._before_flush)
        event.listen(session, "after_flush", self._after_flush)
        event.listen(session, "after_soft_rollback", self._after_rollback)

    def add(self, values: _Values) -> None:
        """Let some values wait, instead of those that waited for the same row."""
        self._waiting.setdefault(values.association.table, {})[values.key] = values

    def rows(self, table: Table) -> dict[Key, Row]:
        """Return the values that wait for rows of *table*."""
        waiting = self._waiting.get(table, {})
        return {k: each.values for k, each in waiting.items() if each.is_wanted(self._session)}

    # -- the next flush ----------------------------------------------------------------------

    def _before_flush(self, session: Session, *_: Any) -> None:
        waiting, self._waiting = self._waiting, {}
        for table, by_key in waiting.items():
            wanted = {key: each for key, each in by_key.items() if each.is_wanted(session)}
            if not wanted:
                continue
            place = next(iter(wanted.values())).mapper
            connection = session.connection(bind_arguments={"mapper": place})
            _update(connection, table, [each for each in wanted.values() if each.is_stored])
            self._inserting[table] = {k: each for k, each in wanted.items() if not each.is_stored}
            if connection not in self._watched:
                self._watched.append(connection)
                event.listen(connection, "before_execute", self._before_execute, retval=True)

    def _after_rollback(self, *_: Any) -> None:
        self._waiting.clear()
        self._after_flush()

    def _after_flush(self, *_: Any) -> None:
        for connection in self._watched:
            event.remove(connection, "before_execute", self._before_execute)
        self._watched.clear()
        self._inserting.clear()

    def _before_execute(
        self,
        connection: Connection,
        statement: Any,
        multiparams: Any,
        params: Any,
        execution_options: Mapping[str, Any],
    ) -> tuple[Any, Any, Any]:
        """Add the values to the rows that a relationship inserts."""
        table = statement.table if isinstance(statement, Insert) else None
        inserting = self._inserting.get(cast("Table", table))
        if not inserting:
            return statement, multiparams, params
        sets = _sqlalchemy.statement_parameters(multiparams, params)
        (first, some), *others = _grouped(statement, _completed(sets, inserting))
        for another, rest in others:
            connection.execute(another, rest)
        return first, some, {}


def _completed(
    sets: Iterable[Mapping[str, Any]], inserting: dict[Key, _Values]
) -> Iterator[Mapping[str, Any]]:
    """Add values to the rows that wait for them, and let these wait no longer."""
    link = next(iter(inserting.values())).association.link
    for each in sets:
        key = tuple(each.get(column.key) for column in link)
        values = inserting.pop(key, None) if len(each) == len(link) else None
        yield each if values is None else values.parameters()


def _grouped(
    statement: Any, sets: Iterable[Mapping[str, Any]]
) -> list[tuple[Any, list[dict[str, Any]]]]:
    """Split rows so that those of one statement have the same columns, and the same NULLs."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for each in sets:
        nulls = tuple(key for key, value in each.items() if isinstance(value, Null))
        given = {key: value for key, value in each.items() if key not in nulls}
        groups.setdefault((nulls, tuple(given)), []).append(given)
    # NULL is no parameter: JSON types take it for the JSON value null.
    return [
        (statement.values(dict.fromkeys(nulls, null())) if nulls else statement, some)
        for (nulls, _), some in groups.items()
    ]


def _update(connection: Connection, table: Table, rows: Iterable[_Values]) -> None:
    """Change rows, in the form in which relationships change links, which recording knows."""
    sets = [
        {**each.parameters(), **{f"old_{c.key}": value for c, value in each.link.items()}}
        for each in rows
    ]
    if not sets:
        return
    link = [column for column in table.c if f"old_{column.key}" in sets[0]]
    where = and_(*[column == bindparam(f"old_{column.key}", type_=column.type) for column in link])
    for statement, some in _grouped(table.update().where(where), sets):
        connection.execute(statement, some)
