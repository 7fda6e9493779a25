"""Statements that write: their tables, rows, values and what they return."""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import BinaryExpression, Column, ColumnElement, Join, Update
from sqlalchemy.engine.cursor import _NO_RESULT_METADATA, FullyBufferedCursorFetchStrategy
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.dml import ValuesBase
from sqlalchemy.sql.selectable import AliasedReturnsRows

__all__ = [
    "assigned_columns",
    "assigned_parts",
    "assigned_values",
    "columns_on_conflict",
    "defaulted_keys",
    "has_prefix",
    "hide_returned",
    "inserted_columns",
    "inserted_select",
    "inserted_values",
    "is_inline",
    "is_limited",
    "may_meet_rows",
    "meant_table",
    "narrowing_of",
    "narrows_by_itself",
    "other_written_tables",
    "read_streamed",
    "returned_keys",
    "returns_columns",
    "subject_of",
    "translated_schema",
    "unaliased",
    "with_options_of",
    "written_table",
    "written_tables",
]

# Of Any, checkers would make Column[Unknown] and tuple[Unknown, ...].
_ALIAS: Any = AliasedReturnsRows
_COLUMN: Any = Column
_JOIN: Any = Join
_PAIR: Any = tuple


def written_table(statement: Any) -> Any:
    """Return the table that a statement writes.

    Of an ORM-enabled one, the table of the class that it is about at present.  Uses the annotations
    ``_emit_insert_table`` and ``_emit_update_table``.
    """
    said, table = statement._annotations, statement.table
    if said:
        table = said.get("_emit_insert_table", said.get("_emit_update_table", table))
    if not isinstance(table, _JOIN):
        return table
    # A class that is read together with its subclasses stands for a join; the ORM writes its table.
    subject = table._annotations.get("parententity")
    return table if subject is None else subject.local_table


def meant_table(statement: Any) -> Any:
    """Return the table that an INSERT, UPDATE or DELETE writes, also if it names an alias of it."""
    return unaliased(written_table(statement))


def unaliased(table: Any) -> Any:
    """Return the table that an alias stands for; what is no alias as it is."""
    while isinstance(table, _ALIAS):
        table = table.element
    return table


def written_tables(statement: Any) -> set[Any]:
    """Return the tables that a statement writes, by whatever name it calls them."""
    written = written_table(statement)
    others = other_written_tables(statement) if isinstance(statement, Update) else set[Any]()
    return others if isinstance(written, _JOIN) else {unaliased(written), *others}


def subject_of(statement: Any) -> Mapper[Any] | None:
    """Return the mapper of the class that an ORM-enabled statement is about.

    Uses ``ClauseElement._propagate_attrs``.
    """
    subject: Any = statement._propagate_attrs.get("plugin_subject")
    mapper: Mapper[Any] | None = getattr(subject, "mapper", None)
    # A Core statement may have it of a class in one of its subqueries.
    return mapper if mapper is not None and written_table(statement) in mapper.tables else None


def narrows_by_itself(statement: Any) -> bool:
    """Tell whether more than its conditions decides which rows a statement is about.

    Uses ``Mapper._single_table_criterion``, ``Executable._with_options`` and dialect options,
    such as MySQL's limit.
    """
    mapper = subject_of(statement)
    if mapper is not None and mapper._single_table_criterion is not None:
        return True
    return bool(statement._with_options) or is_limited(statement)


def narrowing_of(mapper: Mapper[Any], statement: Any) -> list[ColumnElement[bool]]:
    """Return the conditions that a statement about a class has besides those that it names.

    Uses ``Mapper._single_table_criterion``, ``Executable._with_options`` and
    ``LoaderCriteriaOption._all_mappers()`` and ``._resolve_where_criteria()``.
    """
    own: ColumnElement[bool] | None = mapper._single_table_criterion
    found: list[ColumnElement[bool]] = [] if own is None else [own]
    for option in statement._with_options:
        if option._is_criteria_option and mapper in option._all_mappers():
            found.append(option._resolve_where_criteria(mapper))
    return found


def is_limited(statement: Any) -> bool:
    """Tell whether a statement stops at some number of rows, as MySQL's can."""
    return any(str(name).endswith("_limit") for name in statement.dialect_kwargs)


def with_options_of(statement: Any, other: Any) -> Any:
    """Return *statement* with the options of another.  Uses ``Executable._with_options``."""
    return statement.options(*other._with_options) if other._with_options else statement


def assigned_values(statement: Any, sets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a statement assigns, by column key; of several sets, the first.

    Uses ``ValuesBase._values``, ``Update._ordered_values`` and ``Insert._multi_values``.
    """
    assigned: dict[Any, Any] = dict(sets[0]) if sets else {}
    if not isinstance(statement, ValuesBase):
        return {}
    for multiple in statement._multi_values:
        assigned.update(multiple[0] if isinstance(multiple[0], Mapping) else {})
    assigned.update(statement._values or {})
    assigned.update(getattr(statement, "_ordered_values", None) or ())
    named = ((_whole(key), value) for key, value in assigned.items())
    return {key if isinstance(key, str) else key.key: value for key, value in named}


def _whole(name: Any) -> Any:
    """Return the column of which a part is assigned, such as ``column[1]``, or what is named."""
    while isinstance(name, BinaryExpression):
        name = name.left
    return name


def assigned_parts(statement: Any) -> set[Column[Any]]:
    """Return the columns of which an UPDATE assigns parts only, such as elements of arrays.

    Uses ``ValuesBase._values`` and ``Update._ordered_values``.
    """
    said = [*(statement._values or ()), *(getattr(statement, "_ordered_values", None) or ())]
    parts = [_whole(name) for name in map(_name_of, said) if isinstance(name, BinaryExpression)]
    return {column for name in parts if (column := _column_of(statement, name)) is not None}


def has_prefix(statement: Any, word: str) -> bool:
    """Tell whether a statement has a prefix with a word in it.  Uses ``HasPrefixes._prefixes``."""
    said = " ".join(str(getattr(each, "text", each)) for each, _ in statement._prefixes)
    return word in said.upper().split()


def _column_of(statement: Any, name: Any) -> Column[Any] | None:
    """Return the column that a statement means by what it names, if there is one."""
    table, mapper = written_table(statement), subject_of(statement)
    if isinstance(name, Column) and _bare(name).table is table:
        return _bare(name)  # type: ignore[no-any-return]
    name = name if isinstance(name, str) else name.key
    if mapper is not None and name in mapper.column_attrs:
        for column in mapper.column_attrs[name].columns:
            if column.table is table:
                return _bare(column)  # type: ignore[no-any-return]
    return table.c.get(name)  # type: ignore[no-any-return]


def _by_column(statement: Any, values: Iterable[tuple[Any, Any]]) -> dict[Column[Any], Any]:
    named = ((_column_of(statement, name), value) for name, value in values)
    return {column: value for column, value in named if column is not None}


def assigned_columns(statement: Any, sets: Sequence[Mapping[str, Any]]) -> dict[Column[Any], Any]:
    """Return what a statement assigns, by column; of several sets, the first."""
    return _by_column(statement, assigned_values(statement, sets).items())


def translated_schema(options: Mapping[str, Any], schema: str | None) -> str | None:
    """Return what a ``schema_translate_map`` in execution options makes of a schema."""
    translated: dict[str | None, str | None] = options.get("schema_translate_map") or {}
    return translated.get(schema, schema)


def other_written_tables(statement: Any) -> set[Any]:
    """Return the tables that an UPDATE sets columns of besides its own, as MySQL's can.

    A join has no columns of its own; of one, all tables are meant if columns are named by text.
    Uses ``ValuesBase._values`` and ``Update._ordered_values``.
    """
    said = [*(statement._values or ()), *(getattr(statement, "_ordered_values", None) or ())]
    written = written_table(statement)
    if not said and not isinstance(written, _JOIN):
        return set()
    columns = [name for name in map(_bare, map(_name_of, said)) if isinstance(name, _COLUMN)]
    if isinstance(written, _JOIN) and (not said or len(columns) < len(said)):
        columns = list(written.columns)
    return {unaliased(column.table) for column in columns} - {unaliased(written)}


def inserted_values(
    statement: Any, sets: Sequence[Mapping[str, Any]]
) -> list[dict[Column[Any], Any]]:
    """Return what an INSERT says of each row, by column.

    Uses ``ValuesBase._values`` and ``Insert._multi_values``.
    """
    rows: list[Any] = []
    columns = list(written_table(statement).columns)
    for multiple in statement._multi_values:
        for row in multiple:
            is_named = isinstance(row, Mapping)
            rows.append(row.items() if is_named else zip(columns, row, strict=False))
    if not rows:
        fixed = dict(statement._values or {})
        rows = [[*fixed.items(), *each.items()] for each in sets or [{}]]
    return [_by_column(statement, row) for row in rows]


def inserted_columns(statement: Any, sets: Sequence[Mapping[str, Any]]) -> set[Column[Any]]:
    """Return the columns that an INSERT says something of."""
    selected = inserted_select(statement)
    if selected is None:
        return {column for row in inserted_values(statement, sets) for column in row}
    return {c for name in selected[0] if (c := _column_of(statement, name)) is not None}


def inserted_select(statement: Any) -> tuple[list[str], Any] | None:
    """Return the columns of an ``INSERT … SELECT``, and the SELECT.

    Uses ``Insert._select_names``.
    """
    if statement.select is None:
        return None
    return list(statement._select_names), statement.select


def columns_on_conflict(statement: Any) -> set[Column[Any]] | None:
    """Return the columns that an INSERT changes of rows that are there, if it changes any.

    Uses ``Insert._post_values_clause``, ``OnConflictDoUpdate.update_values_to_set`` and
    ``OnDuplicateClause.update``.
    """
    clause = statement._post_values_clause
    said: Any = getattr(clause, "update_values_to_set", None)
    if said is None:
        said = getattr(clause, "update", None)
    if said is None:
        return None
    names = map(_name_of, said)
    return {column for name in names if (column := _column_of(statement, name)) is not None}


def may_meet_rows(statement: Any) -> bool:
    """Tell whether an INSERT goes on where a row is there already.

    ``ON CONFLICT`` and the like say so, or a prefix such as ``OR IGNORE``.  Uses
    ``Insert._post_values_clause`` and ``HasPrefixes._prefixes``.
    """
    return statement._post_values_clause is not None or bool(statement._prefixes)


def is_inline(statement: Any) -> bool:
    """Tell whether an INSERT does not ask for the key.  Uses ``Insert._inline``."""
    return bool(statement._inline)


def returns_columns(statement: Any, columns: Iterable[Column[Any]]) -> bool:
    """Tell whether the RETURNING of a statement has *columns*.

    Uses ``UpdateBase._all_selected_columns``.
    """
    return set(map(_bare, statement._all_selected_columns)).issuperset(columns)


def read_streamed(result: Any) -> None:
    """Read what a RETURNING streams: else a driver forgets it when something else is executed.

    Uses ``DefaultExecutionContext._is_server_side``.
    """
    if result.context._is_server_side and result.returns_rows:
        _read_all(result)


def _read_all(result: Any) -> list[Any]:
    """Return all rows, which the application gets nevertheless.

    Uses the ``_rowbuffer`` of what has fetched some of them, or all.
    """
    strategy: Any = result.cursor_strategy
    rows = list(getattr(strategy, "_rowbuffer", ()))
    if not isinstance(strategy, FullyBufferedCursorFetchStrategy):
        rows += result.cursor.fetchall()
        result.cursor_strategy = FullyBufferedCursorFetchStrategy(
            result.cursor, initial_buffer=collections.deque(rows)
        )
    return rows


def returned_keys(result: Any, key: Sequence[Column[Any]]) -> list[Any] | None:
    """Return the keys among the rows of a RETURNING, which the application gets nevertheless.

    Uses ``FullyBufferedCursorFetchStrategy`` and ``CursorResultMetaData._processors``: rows that
    SQLAlchemy has looked at before, as it does for classes, are no more what the driver returned.

    :returns: ``None`` if the key is not among what is returned.
    """
    found = _places_of(result, key)
    if found is None:
        return None
    # Those of some types depend on what the driver says of its columns.
    places = [(n, result._metadata._processors[n]) for n in found]
    rows = _read_all(result)
    if len(places) == 1:
        ((place, process),) = places
        return [process(row[place]) if process else row[place] for row in rows]
    return [tuple(p(row[n]) if p else row[n] for n, p in places) for row in rows]


def defaulted_keys(result: Any, key: Sequence[Column[Any]]) -> list[Any]:
    """Return the keys among what ``return_defaults()`` has returned."""
    rows: Sequence[Any] = result.returned_defaults_rows or ()
    places = _places_of(result, key)
    assert places is not None
    get = itemgetter(*places)
    return [get(row) for row in rows]


def _places_of(result: Any, key: Sequence[Column[Any]]) -> list[int] | None:
    """Return where columns stand in what is returned.  Uses ``SQLCompiler._result_columns``."""
    columns = result.context.compiled._result_columns
    places: list[int] = []
    for column in key:
        found = [n for n, entry in enumerate(columns) if column in set(map(_bare, entry.objects))]
        if not found:
            return None
        places.append(found[0])
    return places


def hide_returned(result: Any, count: int) -> None:
    """Let a result look like that of a statement without the RETURNING that was added to it.

    Uses ``CursorResult._metadata`` and ``DefaultExecutionContext._rowcount``.

    :param count: how many rows the statement has written.
    """
    result.close()
    result.context._rowcount = count
    result._metadata = _NO_RESULT_METADATA


def _bare(column: Any) -> Any:
    return column._deannotate() if isinstance(column, _COLUMN) else column


def _name_of(assignment: Any) -> Any:
    """Return what an assignment, which may be a pair, assigns to."""
    return assignment[0] if isinstance(assignment, _PAIR) else assignment
