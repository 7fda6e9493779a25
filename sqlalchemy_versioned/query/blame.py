"""The statement that reads who set the columns of an object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, bindparam, case, func, not_, or_, select
from sqlalchemy.orm import aliased

from .._typing import mapper_of, select_rows
from ..model.operation import Operation
from ..model.spec import ClassSpec
from .images import Images
from .named import version_column
from .newest import comes_before

__all__ = ["build_blame"]


def build_blame(spec: ClassSpec, columns: Iterable[str]) -> Select[Any]:
    """Build the statement that reads which transaction last set each column of one object.

    Its parameters are ``key_0`` and so on, ``until`` and, where versions have ids,
    ``until_version``.  Each row has a Transaction, or none, and for each column the id of the one
    that set it.
    """
    images = Images(spec, has_subclasses=False)
    root = spec.root
    wanted = [version_column(spec, key) for key in columns]
    key = [
        column == bindparam(f"key_{place}", type_=column.type)
        for place, column in enumerate(images.key)
    ]
    # Where versions have no ids, there is no second bound.
    bounds = [
        bindparam(name, type_=column.type)
        for name, column in zip(("until", "until_version"), root.place, strict=False)
    ]
    until = comes_before(images.place, bounds, or_is=True)
    differing = set(images.comparable(wanted))
    # Of one row, later versions have greater transactions.
    setting = [func.max(_setter(images, each, may_differ=each in differing)) for each in wanted]
    last = (
        select(*[number.label(f"set_{place}") for place, number in enumerate(setting)])
        .select_from(images.versions())
        .where(*key, until, images.operation != Operation.DELETE)
        .subquery()
    )
    transaction = _transaction_beside(spec)
    is_one = transaction.id.in_(list(last.c))
    return select_rows(transaction, *last.c).select_from(last).outerjoin(transaction, is_one)


def _setter(images: Images, column: Column[Any], *, may_differ: bool) -> ColumnElement[Any]:
    """Return the transaction of a version that has set a column; NULL if it has not."""
    is_made = or_(images.operation == Operation.INSERT, images.operation_before == Operation.DELETE)
    cases: list[Any] = [(is_made, images.transaction)]
    if may_differ:
        # Of a row that was there before its oldest version, nobody knows who set what.
        is_known = images.operation_before.is_not(None)
        cases.append((and_(is_known, not_(images.is_same(column))), images.transaction))
    return case(*cases)


def _transaction_beside(spec: ClassSpec) -> Any:
    """Return the Transaction class, reading the table that is beside the versions."""
    cls, table = spec.transaction_class, spec.root.transaction_table
    if mapper_of(cls).local_table is table:
        return cls
    return aliased(cls, table.alias(), adapt_on_names=True)
