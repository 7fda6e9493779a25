"""Statements that write without objects: which rows of a versioned table they touch.

A :class:`Write` is made of a statement and its parameters before it is executed.  It tells which
rows it is going to change or delete, as a statement that locks them, and afterwards which rows it
has made.  Nothing is executed or recorded here; see :mod:`.capture`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Select,
    Update,
    and_,
    bindparam,
    false,
    func,
    or_,
    select,
    types,
)
from sqlalchemy.engine import Dialect

from .. import _sqlalchemy
from ..database.dialects import has_concurrent_writers, locks_one_table, locks_small_tables
from ..database.key_conditions import KeyConditions
from ..database.keys import Key, KeyParameters, Style, bare_key, key_values
from ..database.names import free_prefix
from .bound import as_kept, bound_values
from .conditions import conjuncts, equality, is_lasting, key_of, value_of, with_value, with_values

__all__ = ["Write"]

#: How many sets of parameters one look for rows can take.
_CHUNK = 200


class Write:
    """An INSERT, UPDATE or DELETE, about to be executed.

    :param key: the columns by which the rows of the table are told apart.
    :param sets: the sets of parameters it is given, none for a statement that has its values.
    """

    def __init__(
        self, key: Sequence[Column[Any]], statement: Any, sets: Sequence[Mapping[str, Any]]
    ) -> None:
        self.statement = statement
        self._sets = sets
        self._key = list(key)
        self._table = key[0].table

    @property
    def width(self) -> int:
        """How many columns the key has."""
        return len(self._key)

    @property
    def is_repeated(self) -> bool:
        """Whether it is executed for several sets of parameters."""
        return len(self._sets) > 1

    @cached_property
    def assigned(self) -> Mapping[Column[Any], Any]:
        """What is assigned, by column; of several sets of parameters, by the first."""
        return _sqlalchemy.assigned_columns(self.statement, self._sets)

    # -- rows that are there -----------------------------------------------------------------

    @property
    def moves_keys(self) -> bool:
        """Whether an UPDATE assigns key columns."""
        return isinstance(self.statement, Update) and not self.assigned.keys().isdisjoint(self._key)

    @property
    def moves_parts_of_keys(self) -> bool:
        """Whether an UPDATE assigns a part of a key column only, such as an element of an array."""
        if not self.moves_keys:
            return False
        return not _sqlalchemy.assigned_parts(self.statement).isdisjoint(self._key)

    def known_keys(self) -> list[Key] | None:
        """Return the keys of the rows, if conditions and parameters tell them."""
        wanted = None if self.moves_keys else self._told_keys()
        if wanted is None:
            return None
        keys: list[Key] = []
        for values in self._sets or [{}]:
            key = key_of(wanted, values)
            if key is None or (isinstance(key, tuple) and None in key):
                return None
            keys.append(key)
        return list(dict.fromkeys(keys))

    def _told_keys(self) -> list[BindParameter[Any]] | None:
        """Return what the key columns are compared with, if conditions are about nothing else."""
        if _sqlalchemy.narrows_by_itself(self.statement):
            return None
        conditions = list(conjuncts(self.statement._where_criteria))
        wanted = self._equal_values(conditions)
        return None if wanted is None or len(conditions) > len(wanted) else wanted

    def _equal_values(
        self, conditions: Iterable[ColumnElement[bool]]
    ) -> list[BindParameter[Any]] | None:
        """Return what each key column is compared with."""
        found: dict[Column[Any], BindParameter[Any]] = {}
        for condition in conditions:
            pair = equality(condition)
            if pair is not None:
                found[pair[0]] = pair[1]
        if set(found) != set(self._key):
            return None
        return [found[column] for column in self._key]

    def told_moves(self) -> dict[Key, Key] | None:
        """Return what keys become, if conditions and parameters tell both for each of many sets."""
        wanted = self._told_keys() if self.is_repeated and self.moves_keys else None
        if wanted is None:
            return None
        found: dict[Key, Key] = {}
        for values in self._sets:
            before = [value_of(parameter, values) for parameter in wanted]
            said = _sqlalchemy.assigned_columns(self.statement, [values])
            pairs = zip(self._key, before, strict=True)
            after = [with_value(said.get(column, value), values) for column, value in pairs]
            if any(isinstance(value, ColumnElement) for value in after):
                return None
            found[bare_key(before)] = bare_key(after)
        return found

    def select_rows(
        self, dialect: Dialect, *, moves: bool = True
    ) -> Iterator[tuple[Select[Any], Mapping[str, Any]]]:
        """Select the keys of the rows and lock them; after each key, what it is going to be.

        The second half is there where the statement assigns key columns.

        :param moves: whether that is wanted.
        :returns: statements, each with its parameters.
        """
        assigned = self._assigned_keys() if moves else {}
        if len(self._sets) <= 1:
            values: Mapping[str, Any] = self._sets[0] if self._sets else {}
            yield self._select(self.statement._where_criteria, assigned, dialect), values
            return
        # One look for many sets: a key could only be said for each of them.
        for start in range(0, len(self._sets), 1 if assigned else _CHUNK):
            part = self._sets[start : start + (1 if assigned else _CHUNK)]
            criteria = [self._bound(each) for each in part]
            said = self._assigned_keys(part[:1]) if assigned else {}
            moved = {c: with_values(v, part[0]) for c, v in said.items()}
            yield self._select([or_(*criteria)], moved, dialect), {}

    def can_be_listed(self, connection: Connection) -> bool:
        """Tell whether :meth:`list_rows` finds the rows that the statement is going to touch.

        Only where nobody can write in between, and nothing in the conditions may then have another
        value.
        """
        if has_concurrent_writers(connection.dialect) or self.is_repeated or self.moves_keys:
            return False
        if _sqlalchemy.commits_by_itself(connection) or self.statement._with_options:
            return False
        are_numbers = all(isinstance(column.type, types.Integer) for column in self._key)
        return are_numbers and all(map(is_lasting, self.statement._where_criteria))

    def list_rows(self) -> tuple[Select[Any], Mapping[str, Any]]:
        """Select the keys of the rows as one text of JSON, with the parameters for that."""
        columns = [column.label(f"key_{place}") for place, column in enumerate(self._selected())]
        criteria = (*self.statement._where_criteria, *self._beside)
        rows = select(*columns).where(*criteria).subquery()
        key = rows.c[0] if len(columns) == 1 else func.json_array(*rows.c)
        return select(func.json_group_array(key)), self._sets[0] if self._sets else {}

    def listed_keys(self, text: str) -> list[Key]:
        """Return the keys of what :meth:`list_rows` has selected; one may be there repeatedly."""
        keys: list[Any] = json.loads(text)
        return keys if self.width == 1 else list(map(tuple, keys))

    def _bound(self, values: Mapping[str, Any]) -> ColumnElement[bool]:
        return and_(*[with_values(each, values) for each in self.statement._where_criteria])

    def _select(
        self,
        criteria: Iterable[ColumnElement[bool]],
        assigned: Mapping[Column[Any], Any],
        dialect: Dialect,
    ) -> Select[Any]:
        columns, criteria = self._selected(), list(criteria)
        moved = [as_kept(assigned.get(c, c), c, dialect) for c in self._key] if assigned else []
        named = [each.label(f"moved_{place}") for place, each in enumerate(moved)]
        found: Any = select(*columns, *named).where(*criteria, *self._beside)
        found = _sqlalchemy.with_options_of(found, self.statement)
        if locks_small_tables(dialect) and self._are_by_key(criteria):
            found = found.order_by(*columns)
        of = self._table if locks_one_table(dialect) else None
        locked: Select[Any] = found.with_for_update(of=of)
        return locked

    def _are_by_key(self, criteria: Iterable[ColumnElement[bool]]) -> bool:
        """Tell whether conditions are about nothing but the key."""
        columns = [column for each in criteria for column in _sqlalchemy.columns_in(each)]
        return all(_sqlalchemy.plain_column(column) in self._key for column in columns)

    def _selected(self) -> list[Any]:
        """Return the key columns, by the class that the statement is about if there is one."""
        mapper = _sqlalchemy.subject_of(self.statement)
        if mapper is None or self._names_superclass:
            return list(self._key)
        # Of the class itself: a superclass's attributes are not narrowed to it.
        keys = [mapper.get_property_by_column(column).key for column in self._key]
        return [getattr(mapper.class_, key) for key in keys]

    @cached_property
    def _names_superclass(self) -> bool:
        """Whether conditions are about columns that the class has in tables of superclasses.

        By the class, their rows would be joined to its own.  The statement joins nothing unless it
        says so.
        """
        mapper = _sqlalchemy.subject_of(self.statement)
        if mapper is None or len(mapper.tables) == 1:
            return False
        narrowing = _sqlalchemy.narrowing_of(mapper, self.statement)
        columns = [
            _sqlalchemy.plain_column(column)
            for each in (*self.statement._where_criteria, *narrowing)
            for column in _sqlalchemy.columns_in(each)
        ]
        above = {*mapper.tables} - {self._table}
        return any(column.table in above for column in columns)

    @property
    def _beside(self) -> list[ColumnElement[bool]]:
        """What the class adds to the conditions, where rows are not selected by the class."""
        mapper = _sqlalchemy.subject_of(self.statement) if self._names_superclass else None
        return [] if mapper is None else _sqlalchemy.narrowing_of(mapper, self.statement)

    def _assigned_keys(
        self, sets: Sequence[Mapping[str, Any]] | None = None
    ) -> dict[Column[Any], Any]:
        assigned = _sqlalchemy.assigned_columns(self.statement, sets) if sets else self.assigned
        found = {c: assigned[c] for c in self._key if c in assigned}
        return bound_values(found)

    def restricted_to(self, keys: list[Key], dialect: Dialect) -> Any:
        """Return the statement for the rows that were selected, and no more.

        Rows that others have committed since then would escape otherwise.
        """
        prefix = free_prefix(self._table)
        found = KeyParameters(self._key, dialect, prefix).sets(keys)
        # A list cannot be given to a statement that has several sets of parameters.
        if found.style is Style.LIST and self.is_repeated:
            return self.statement.where(or_(false(), *[self._is(key, prefix) for key in keys]))
        condition = KeyConditions(self._key, found.style, prefix).member(self._key, "keys")
        return self.statement.where(with_values(condition, found.parameters(), are_ours=True))

    def _is(self, key: Key, prefix: str) -> ColumnElement[bool]:
        return and_(
            *[
                column == bindparam(f"{prefix}key", value, column.type, unique=True)
                for column, value in zip(self._key, key_values(key), strict=True)
            ]
        )

    def without(self, absent: Collection[Key]) -> tuple[Any, Sequence[Mapping[str, Any]]]:
        """Return the statement and its parameters, for rows of :meth:`known_keys` but *absent*.

        A row that another transaction adds under such a key by then is not meant.
        """
        wanted = self._equal_values(conjuncts(self.statement._where_criteria))
        assert wanted is not None
        there = [values for values in self._sets or [{}] if key_of(wanted, values) not in absent]
        if not there:
            return self.statement.where(false()), self._sets
        return self.statement, there if self._sets else self._sets

    # -- rows that are made ------------------------------------------------------------------

    @property
    def is_upsert(self) -> bool:
        """Whether rows that are there already may be changed instead."""
        return _sqlalchemy.may_meet_rows(self.statement)

    def needs_returning(self, dialect: Dialect) -> bool:
        """Tell whether only the database can say which rows an INSERT makes."""
        statement = self.statement
        if statement._returning or statement._return_defaults:
            return False
        if self._is_special or self._has_expressions:
            return True
        lacking = self._lacking_keys()
        return bool(lacking) and (len(self._sets) > 1 or any(map(_is_unforeseen, lacking)))

    @property
    def hides_keys(self) -> bool:
        """Whether an INSERT has a RETURNING that keeps from us which rows it makes."""
        statement = self.statement
        if not statement._returning or statement._return_defaults:
            return False
        if _sqlalchemy.returns_columns(statement, self._key):
            return False
        return self._is_special or self._has_expressions or bool(self._lacking_keys())

    @property
    def _is_special(self) -> bool:
        """Whether an INSERT does more than make one row of each set of parameters."""
        statement = self.statement
        is_multiple = statement.select is not None or bool(statement._multi_values)
        return self.is_upsert or is_multiple or _sqlalchemy.is_inline(statement)

    @property
    def _has_expressions(self) -> bool:
        return any(isinstance(value, ColumnElement) for value in self._given().values())

    def _lacking_keys(self) -> list[Column[Any]]:
        """Return the key columns whose values only the database knows."""
        given = self._given()
        return [c for c in self._key if c.key not in given and not _is_made_here(c)]

    def given_keys(self) -> list[Key]:
        """Return the keys that an INSERT is given in its sets of parameters."""
        given = _sqlalchemy.inserted_values(self.statement, self._sets)
        rows = [[each.get(column) for column in self._key] for each in given]
        return [
            bare_key(row)
            for row in rows
            if not any(value is None or isinstance(value, ColumnElement) for value in row)
        ]

    def _given(self) -> dict[str, Any]:
        """Return what an INSERT says of key columns."""
        said = self.assigned
        return {c.key: said[c] for c in self._key if said.get(c) is not None}

    def returning(self) -> Any:
        """Return the INSERT, telling the keys of the rows that it makes."""
        return self.statement.returning(*self._key)

    def can_tell_changed_rows(self, dialect: Dialect) -> bool:
        """Tell whether an UPDATE can say itself which rows it has changed."""
        statement = self.statement
        if self.is_repeated or self.moves_keys or not dialect.update_returning:
            return False
        return self._table.implicit_returning and not (
            statement._returning or statement._return_defaults
        )

    def telling(self) -> Any:
        """Return the UPDATE, telling the keys of the rows that it changes."""
        return self.statement.return_defaults(*self._key)

    def changed_keys(self, result: Any) -> list[Key]:
        """Return the keys of the rows that were changed by what :meth:`telling` returned."""
        keys = _sqlalchemy.defaulted_keys(result, self._key)
        # An ORM-enabled one may look at them as well.
        if _sqlalchemy.subject_of(self.statement) is None:
            _sqlalchemy.hide_returned(result, len(keys))
        return keys

    def made_keys(self, result: Any) -> list[Key] | None:
        """Return the keys of the rows that were made; ``None`` if nothing tells them."""
        if result.context.invoked_statement._returning:
            keys = _sqlalchemy.returned_keys(result, self._key)
            if keys is not None:
                return keys
        rows = result.context.compiled_parameters
        names = [column.key for column in self._key]
        if all(row.get(name) is not None for row in rows for name in names):
            return [bare_key([row[name] for name in names]) for row in rows]
        return self._numbered_keys(result.inserted_primary_key_rows, rows)

    def _numbered_keys(
        self, made: Sequence[Sequence[Any]], rows: Sequence[Mapping[str, Any]]
    ) -> list[Key] | None:
        """Put keys together of primary keys that the database has made, and of what was given."""
        if len(made) != len(rows):
            return None
        primary = list(self._table.primary_key.columns)
        rest = [column for column in self._key if column not in primary]
        keys: list[Key] = []
        for numbers, row in zip(made, rows, strict=True):
            values = {column: row.get(column.key) for column in rest}
            values |= zip(primary, numbers, strict=True)
            if any(value is None for value in values.values()):
                return None
            keys.append(bare_key([values[column] for column in self._key]))
        return keys


def _is_made_here(column: Column[Any]) -> bool:
    """Tell whether Python makes the value of a column that is not given."""
    default: Any = column.default
    return default is not None and (default.is_scalar or default.is_callable)


def _is_unforeseen(column: Column[Any]) -> bool:
    """Tell whether SQLAlchemy does not ask for the value that the database gives a column.

    SQLite numbers rows whose key is an integer, whatever the table says of it.
    """
    is_declared = column.default is not None or column.server_default is not None
    return (
        column.primary_key and not is_declared and column is not column.table.autoincrement_column
    )
