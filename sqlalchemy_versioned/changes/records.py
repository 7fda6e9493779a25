"""Change records: what happened to one object in one transaction, as values.

They hold no object and no session, so they can be kept, sorted, pickled and sent away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from .._typing import ITERABLE, TUPLE
from ..exc import InvalidArgumentType
from ..model.operation import Operation
from .plain import plain_value

__all__ = ["ChangeRecord", "FieldChange", "FlatChange", "flatten"]


class _Dumped:
    """What can be written as JSON."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything by name, as ``json.dumps`` takes it.

        The operation is told by its name.  Moments become ISO 8601, bytes base64, members of enums
        their values, sets sorted lists, and what else JSON has no word for its ``str()``.
        """
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}  # type: ignore[arg-type]

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)


class _Attributed(_Dumped):
    """What knows what was said of its transaction."""

    __slots__ = ()

    context: Mapping[str, Any]

    @property
    def reason(self) -> Any:
        """Why it was done, or ``None``; see :class:`.transaction_context`."""
        return self.context.get("reason")

    @property
    def impersonated_by(self) -> Any:
        """Who acted for the user, or ``None``."""
        return self.context.get("impersonated_by")


def _plain(value: Any) -> Any:
    if isinstance(value, Operation):
        return value.name
    if isinstance(value, TUPLE) and any(isinstance(each, FieldChange) for each in value):
        return [each.to_dict() for each in value]
    return plain_value(value)


@dataclass(frozen=True, slots=True)
class FieldChange(_Dumped):
    """What became of one field.

    Of a relationship with many members, ``old`` lists the keys of those that were lost and ``new``
    the keys of those that were gained; members that stayed are in neither.

    >>> FieldChange("name", "Draft", "Final").to_dict()
    {'field': 'name', 'old': 'Draft', 'new': 'Final'}
    """

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class ChangeRecord(_Attributed):
    """What happened to one object in one transaction.

    >>> record = get_changes(Article, session, limit=1)[0]
    >>> record.object_type, record.object_id, record.operation.name
    ('article', 1, 'UPDATE')
    >>> record.changes
    (FieldChange(field='name', old='Draft', new='Final'),)
    """

    #: What the class is called: the name of its table.
    object_type: str
    #: The primary key: a value, or a tuple of the values of several columns.  With the option
    #: ``object_id_attribute``, the value that this attribute had.
    object_id: Any
    operation: Operation
    #: When; aware, in UTC.
    issued_at: datetime | None
    #: The id of the transaction.
    transaction: int
    #: The key of the user: a value, or a tuple of the values of several columns; or ``None``.  With
    #: the option ``user_id_attribute``, it may be whom the object names.
    user_id: Any
    #: What else is known of the transaction, by attribute or by what the context calls it.
    context: Mapping[str, Any]
    #: What became of the fields, in the order of the class; relationships come last.
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class FlatChange(_Attributed):
    """What became of one field of one object in one transaction; made by :func:`flatten`.

    >>> row = flatten(get_changes(Article, session, limit=1))[0]
    >>> row.object_id, row.operation.code, row.field, row.old, row.new
    (1, 'U', 'name', 'Draft', 'Final')
    """

    object_type: str
    object_id: Any
    operation: Operation
    issued_at: datetime | None
    transaction: int
    user_id: Any
    context: Mapping[str, Any]
    field: str
    old: Any
    new: Any


def flatten(records: Iterable[ChangeRecord]) -> list[FlatChange]:
    """Return one row for each field that *records* tell of, with all they say about it.

    :raises InvalidArgumentType: if it is one record, or something else that is no list.

    >>> [(row.object_id, row.field, row.old, row.new)
    ...  for row in flatten(get_changes(Article, session, fields=["name"]))]
    [(1, 'name', 'Draft', 'Final'), (1, 'name', None, 'Draft')]
    """
    found: list[Any] = list(records) if isinstance(records, ITERABLE) else [None]
    if not all(isinstance(each, ChangeRecord) for each in found):
        raise InvalidArgumentType(f"records is {records!r:.80}; give a list of change records")
    return [
        FlatChange(
            object_type=record.object_type,
            object_id=record.object_id,
            operation=record.operation,
            issued_at=record.issued_at,
            transaction=record.transaction,
            user_id=record.user_id,
            context=record.context,
            field=change.field,
            old=change.old,
            new=change.new,
        )
        for record in found
        for change in record.changes
    ]
