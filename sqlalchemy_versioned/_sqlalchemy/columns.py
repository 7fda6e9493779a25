"""Columns and their types."""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnClause, FromClause
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.mapped_collection import _AttrGetter, _PlainColumnGetter
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import _truncated_label
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = [
    "are_alike",
    "association_columns",
    "attribute_of_keyfunc",
    "column_of",
    "columns_of_keyfunc",
    "compile_ddl",
    "converts_value",
    "copied_column",
    "has_bind_expression",
    "json_writer",
    "own_name",
    "plain_column",
    "relationship_marks",
    "variants_of",
]


def copied_column(column: Column[Any]) -> Column[Any]:
    """Return a column like another, of no table.

    Uses ``Column._copy()``.
    """
    return column._copy()


def plain_column(column: Column[Any]) -> Column[Any]:
    """Return the column of a table that an attribute of a class stands for.

    Uses ``Column._deannotate()``.
    """
    plain: Column[Any] = column._deannotate()
    return plain


def variants_of(type_: TypeEngine[Any]) -> Mapping[str, TypeEngine[Any]]:
    """Return what :meth:`TypeEngine.with_variant` has put in the place of a type, by dialect.

    Uses ``TypeEngine._variant_mapping``.
    """
    return type_._variant_mapping


def compile_ddl(
    element: ExecutableDDLElement, dialect: Dialect, translated: Mapping[Any, Any] | None
) -> str:
    """Return the text of a DDL element as a connection would execute it.

    Uses ``render_schema_translate`` of ``Compiled``.
    """
    compiled: Any = element.compile(
        dialect=dialect,
        schema_translate_map=translated,
        render_schema_translate=bool(translated),
    )
    return str(compiled)


def own_name(name: str) -> str:
    """Return *name* as one that SQLAlchemy made, and so cuts to what a database takes.

    Uses ``elements._truncated_label``.
    """
    return _truncated_label(name)


def has_bind_expression(type_: TypeEngine[Any]) -> bool:
    """Tell whether values of a type are put into an expression.

    Uses ``TypeEngine._has_bind_expression``.
    """
    return type_._has_bind_expression


def are_alike(one: TypeEngine[Any], other: TypeEngine[Any]) -> bool:
    """Tell whether two types are of one kind.  Uses ``TypeEngine._type_affinity``."""
    return one._type_affinity is other._type_affinity


def converts_value(type_: TypeDecorator[Any]) -> tuple[bool, bool]:
    """Tell whether a decorator converts what goes into the database, and what comes out of it."""
    kind: Any = type(type_)
    plain: Any = TypeDecorator
    return (
        kind.process_bind_param is not plain.process_bind_param,
        kind.process_result_value is not plain.process_result_value,
    )


def json_writer(dialect: Any) -> Callable[[Any], Any]:
    """Return what an engine writes JSON with.

    Uses ``Dialect._json_serializer``.
    """
    write: Callable[[Any], Any] = dialect._json_serializer or json.dumps
    return write


def association_columns(relationship: Any) -> tuple[Column[Any], ...]:
    """Return the columns of the association table that a relationship fills.

    Uses ``RelationshipProperty.synchronize_pairs`` and ``.secondary_synchronize_pairs``.
    """
    pairs = [*relationship.synchronize_pairs, *relationship.secondary_synchronize_pairs]
    return tuple(dict.fromkeys(column for _, column in pairs))


def relationship_marks(column: ClauseElement) -> frozenset[str]:
    """Return which of ``remote``, ``foreign`` and ``local`` a column is in a join condition.

    Uses ``ClauseElement._annotations``.
    """
    return frozenset(column._annotations).intersection(("remote", "foreign", "local"))


def columns_of_keyfunc(keyfunc: Any, mapper: Mapper[Any]) -> tuple[Any, ...] | None:
    """Return the columns that ``column_keyed_dict()`` was given, if *keyfunc* is of its making."""
    getter: Any = _PlainColumnGetter
    return tuple(keyfunc._cols(mapper)) if isinstance(keyfunc, getter) else None


def attribute_of_keyfunc(keyfunc: Any) -> str | None:
    """Return the name that ``attribute_keyed_dict()`` was given, if *keyfunc* is of its making."""
    return keyfunc.attr_name if isinstance(keyfunc, _AttrGetter) else None


def column_of(rows: FromClause, name: str) -> ColumnClause[Any]:
    """Return a column by a name that only the database knows."""
    found: ColumnClause[Any] = ColumnClause(name, _selectable=rows)
    return found
