"""Where objects that are related now were at a transaction, if they were there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from ..model.operation import Operation
from ..model.spec import ClassSpec
from .live import chunks, identity_of
from .nodes import is_deletion, key_of
from .past import select_first_operations, select_versions_of

__all__ = ["origins_of"]


def origins_of(
    session: Session, spec: ClassSpec, objects: Iterable[Any], at: int
) -> dict[int, Any | None]:
    """Return where *objects* were at a transaction, by their ids.

    :returns: a version, or ``None`` for an object that did not exist; objects are left out
        whose history does not tell.
    """
    by_key: dict[tuple[Any, ...], Any] = {}
    origins: dict[int, Any | None] = {}
    for live in objects:
        identity = identity_of(live)
        # Nobody has committed it yet, so it was not there at any transaction.
        if inspect(live).pending:
            origins[id(live)] = None
        if identity is not None:
            by_key[identity] = live
    for some in chunks(by_key):
        for version in session.scalars(
            select_versions_of(spec, some, at),
            execution_options={"populate_existing": True},
        ):
            live = by_key[key_of(version)]
            origins[id(live)] = None if is_deletion(version) else version
        for *key, operation in session.execute(select_first_operations(spec, some)):
            if operation == Operation.INSERT:
                # Later than the transaction, or there would be a version of then.
                origins.setdefault(id(by_key[tuple(key)]), None)
    return origins
