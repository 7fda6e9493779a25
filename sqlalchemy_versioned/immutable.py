"""Versions that nobody can change through a session: the option ``immutable_versions``.

The listeners sit on version classes, and end with them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import Mapper, object_session

from .exc import VersionIsImmutableDelete, VersionIsImmutableUpdate
from .spec import ClassSpec

__all__ = ["guard_versions"]


def guard_versions(spec: ClassSpec) -> None:
    """Refuse flushes that would change or delete versions of a class."""
    mapper: Mapper[Any] = inspect(spec.version_class)
    event.listen(mapper, "before_update", _refuse_update)
    event.listen(mapper, "before_delete", _refuse_delete)


def _refuse_update(mapper: Mapper[Any], connection: Connection, version: Any) -> None:
    session = object_session(version)
    if session is not None and not session.is_modified(version, include_collections=False):
        return
    state = inspect(version)
    changed = [each.key for each in state.attrs if each.history.has_changes()]
    raise VersionIsImmutableUpdate(
        f"{version!r} was given another {', '.join(changed)}, but its class has the option "
        "'immutable_versions'; expire or expunge it, and change the live object instead"
    )


def _refuse_delete(mapper: Mapper[Any], connection: Connection, version: Any) -> None:
    raise VersionIsImmutableDelete(
        f"{version!r} was about to be deleted, but its class has the option 'immutable_versions'"
    )
