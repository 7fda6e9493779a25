"""Which columns of an object are put back, and with which values."""

from __future__ import annotations

import copy
from typing import Any

from sqlalchemy import Column, Enum, inspect, null, select
from sqlalchemy.orm import Mapper, Session

from ..exc import IncompleteHistory, ReverterException
from ..query.conditions import is_row_of
from .columns import changes_by_itself, column_of, differs, is_filled, is_made
from .nodes import Node, key_of

__all__ = ["values_of"]


def values_of(session: Session, node: Node) -> dict[str, Any]:
    """Return the values to set: those that differ, or all of an object to be restored.

    With those that differ, columns that any UPDATE would change.
    """
    live = node.target.live
    mapper: Mapper[Any] = inspect(node.spec.parent_class)
    values: dict[str, Any] = {}
    kept: list[str] = []
    for key in _writable_keys(mapper, node):
        if _has_to_be_set(mapper, node, key):
            _check_member(mapper, node, key, node.value(key))
            values[key] = _stored(session, node, key, node.value(key))
        elif changes_by_itself(mapper, key):
            kept.append(key)
    if live is None:
        _check_numbering(session, mapper, node)
        _check_unknown(mapper, node)
    # The UPDATE of the others would change them.
    stays = {key: _stored(session, node, key, node.value(key)) for key in kept if values}
    return values | stays


def _writable_keys(mapper: Mapper[Any], node: Node) -> list[str]:
    is_new = node.target.live is None
    asked = (key for key in node.spec.columns if key in node.keys)
    return [key for key in asked if _is_writable(mapper, key, is_new=is_new)]


def _is_counted(mapper: Mapper[Any]) -> bool:
    """Tell whether somebody gives a new row its counter: SQLAlchemy, a default or the database."""
    column: Any = mapper.version_id_col
    return mapper.version_id_generator is not False or _has_default(column)


def _has_to_be_set(mapper: Mapper[Any], node: Node, key: str) -> bool:
    """Tell whether a column would not have its value otherwise."""
    live, value = node.target.live, node.value(key)
    if live is None:
        return True
    # What a pending object has not been given looks like NULL, and may become a default.
    is_open = value is None and _is_new(node) and _has_default(column_of(mapper, key))
    return is_open or differs(mapper, key, getattr(live, key), value)


def _is_writable(mapper: Mapper[Any], key: str, *, is_new: bool) -> bool:
    """Tell whether reverting may write a column.

    Not what the database computes, nor the counter of optimistic locking, which has to go on; a
    new row gets it if nobody else would count.
    """
    columns = mapper.column_attrs[key].columns
    if any(column is mapper.version_id_col for column in columns):
        return is_new and not _is_counted(mapper)
    if any(isinstance(c, Column) and c.computed is not None for c in columns):
        return False
    # The key of a live object may be spelt otherwise than it was.
    if not set(mapper.primary_key).isdisjoint(columns):
        return True
    return not is_made(column_of(mapper, key))


def _stored(session: Session, node: Node, key: str, value: Any) -> Any:
    """Return *value* as it is to be set, so that the row holds just what it held."""
    if value is not None:
        # Mutable values would be shared with the version object.
        return copy.deepcopy(value)
    column = column_of(inspect(node.spec.parent_class), key)
    if column.type.should_evaluate_none:
        return null() if _is_null(session, node, key) else None
    # An INSERT with a plain None takes the default.
    return null() if _is_new(node) and _has_default(column) else None


def _is_new(node: Node) -> bool:
    """Tell whether the row of an object has yet to be inserted."""
    return node.target.live is None or bool(inspect(node.target.live).pending)


def _has_default(column: Column[Any]) -> bool:
    return column.default is not None or column.server_default is not None


def _is_null(session: Session, node: Node, key: str) -> bool:
    """Tell SQL NULL from the JSON value ``null``; both are loaded as ``None``."""
    if key in node.overrides:
        return True
    spec, cls = node.spec, node.spec.version_class
    return bool(
        session.scalar(
            select(getattr(cls, key).is_(null())).where(
                is_row_of(spec, cls, key_of(node.past)),
                *[getattr(cls, each) == getattr(node.past, each) for each in spec.place],
            )
        )
    )


def _check_member(mapper: Mapper[Any], node: Node, key: str, value: Any) -> None:
    """Refuse values that an enum no longer has; of those, history gives the text."""
    enum = column_of(mapper, key).type
    if not isinstance(enum, Enum) or not isinstance(value, str) or value in enum.enums:
        return
    if enum.enum_class is None or not isinstance(value, enum.enum_class):
        raise ReverterException(
            f"{node.target} cannot be put back: {key} = {value!r}, which its enum no longer has; "
            f"members are {', '.join(map(str, enum.enums))}; add the member again, or set another "
            "value and the rest by hand"
        )


def _check_unknown(mapper: Mapper[Any], node: Node) -> None:
    """Refuse to restore rows of which history does not keep all that they cannot be without."""
    for prop in mapper.column_attrs:
        column = prop.columns[0]
        if prop.key in node.spec.columns or not isinstance(column, Column):
            continue
        if column.primary_key or (column is mapper.version_id_col and _is_counted(mapper)):
            continue
        if not is_filled(column):
            raise IncompleteHistory(
                f"{node.target} cannot be restored: {column} takes no NULL, has no default and is "
                "not kept in history; keep it, or give it a default"
            )


def _check_numbering(session: Session, mapper: Mapper[Any], node: Node) -> None:
    """Refuse to restore rows whose keys the database insists on making itself."""
    if not session.get_bind(mapper).dialect.supports_identity_columns:
        return
    for column in mapper.primary_key:
        if isinstance(column, Column) and column.identity is not None and column.identity.always:
            raise ReverterException(
                f"{node.target} cannot be restored: {column} is GENERATED ALWAYS, so the database "
                "takes no value for it; declare it Identity(always=False)"
            )
