"""What flushes are refused for, unless it is let through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import InstanceState, Mapper

from ..model.spec import ClassSpec
from .refusals import follow_policy
from .touched import ClassReader

__all__ = ["refuse_left_rows", "refuse_shards"]


def refuse_shards(readers: Mapping[Mapper[Any], ClassReader]) -> None:
    """Refuse objects of one class that may be in several databases, or let them through."""
    for reader in readers.values():
        follow_policy(
            reader.spec.options.capture,
            f"objects of {reader.spec.parent_class.__name__} were flushed in a session that finds "
            "a connection for each of them, and whose versions would be in another database. Use "
            "a session for each database, or let it through with paused(session) or the option "
            "capture='ignore'",
        )


def refuse_left_rows(
    readers: Mapping[Mapper[Any], ClassReader], switched: Mapping[InstanceState[Any], ClassSpec]
) -> None:
    """Refuse objects whose row goes on as that of another class, or let them through.

    SQLAlchemy leaves their rows in tables that the other class does not have, with no object.
    """
    for state, new in switched.items():
        former = readers[state.mapper].spec
        left = [str(each.parent_table) for each in former.tables if each not in new.tables]
        if left:
            name, other = former.parent_class.__name__, new.parent_class.__name__
            follow_policy(
                former.options.capture,
                f"{name} {state.identity} was deleted and {other} added with its key in one "
                "flush, of which SQLAlchemy makes an update that leaves the row in "
                f"{', '.join(left)} without an object. Flush in between, or let it through with "
                "paused(session) or the option capture='ignore'",
            )
