"""Which versions a session has loaded, so that a flush can expire those it makes untrue.

Versions are closed and overwritten by statements that the session's objects know nothing of.  A
version that the application holds would keep its former ``end_transaction_id`` and values; with
``expire_on_commit=False``, for ever.  So loading a version notes its key in the session, and a
flush looks up the keys it touched.  A session that loads no versions pays nothing.

The notes hang on ``session.info``; they hold keys, never objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session, object_session

from ..database.keys import bare_key
from ..model.lookup import find_spec
from ..model.spec import ClassSpec, Hierarchy
from .version_api import known_key

__all__ = [
    "LoadedVersions",
    "expire_all_versions",
    "expire_versions",
    "has_loaded_versions",
    "leave_versions",
    "versions_inside",
    "versions_of_other_classes",
    "watch_versions",
]

#: The key of ``Session.info`` under which the notes are.
LOADED = "sqlalchemy_versioned.loaded"

#: The number of noted versions at which those that are gone are forgotten for the first time.
ROOM = 1000


class LoadedVersions:
    """The identity keys of the versions that one session has loaded."""

    def __init__(self) -> None:
        self._by_row: dict[tuple[Hierarchy, Any], set[Any]] = {}
        #: Those that were loaded in a savepoint, and may be of a class that it takes back.
        self.inside: set[Any] = set()
        self._count = 0
        self._room = ROOM

    def add(self, session: Session, row: tuple[Hierarchy, Any], identity_key: Any) -> None:
        """Note a version of *row*: a hierarchy and the key of an object in it."""
        known = self._by_row.setdefault(row, set())
        if identity_key not in known:
            known.add(identity_key)
            self._count += 1
            if self._count > self._room:
                self._forget_gone(session)

    def pop(self, rows: Iterable[tuple[Hierarchy, Any]]) -> list[Any]:
        """Return the identity keys of the noted versions of *rows*, and forget them."""
        found = [key for row in rows for key in self._by_row.pop(row, ())]
        self._count -= len(found)
        return found

    def of(self, session: Session, row: tuple[Hierarchy, Any]) -> list[Any]:
        """Return the noted versions of *row* that are still in the session."""
        return _present(session, self._by_row.get(row, ()))

    def rows(self, hierarchy: Hierarchy | None = None) -> list[tuple[Hierarchy, Any]]:
        """Return all rows of which versions are noted, or those of one hierarchy."""
        return [row for row in self._by_row if hierarchy in (None, row[0])]

    def _forget_gone(self, session: Session) -> None:
        alive = session.identity_map
        kept = {
            row: left
            for row, keys in self._by_row.items()
            if (left := {key for key in keys if key in alive})
        }
        self._by_row = kept
        self.inside = {key for key in self.inside if key in alive}
        self._count = sum(map(len, kept.values()))
        self._room = max(ROOM, 2 * self._count)


def watch_versions(version_class: type[Any]) -> list[tuple[Any, str, Any]]:
    """Return the listeners, as arguments of ``event.listen()``, that note loaded versions."""
    return [(version_class, "load", _on_load), (version_class, "refresh", _on_refresh)]


def has_loaded_versions(session: Session) -> bool:
    """Tell whether *session* has loaded any version."""
    return LOADED in session.info


def expire_versions(
    session: Session, hierarchy: Hierarchy, keys: Iterable[Any] | None, *, since: int | None
) -> None:
    """Expire what may have changed of the loaded versions of the rows with these *keys*.

    :param keys: as in :class:`.Changes`: a value, or a tuple of several; ``None`` for any.
    :param since: the first id of the transaction that has written their history.
    """
    loaded: LoadedVersions | None = session.info.get(LOADED)
    if loaded is None:
        return
    rows = loaded.rows(hierarchy) if keys is None else [(hierarchy, key) for key in keys]
    for row in rows:
        for identity_key in loaded.pop([row]):
            version = session.identity_map.get(identity_key)
            if version is None:
                continue
            # Nobody tells when relationships are loaded again, and it may have to be let go.
            loaded.add(session, row, identity_key)
            if since is None or not _is_before(version, since):
                session.expire(version)
                continue
            changing = _changing(version, since)
            if changing:
                session.expire(version, changing)


def versions_of_other_classes(
    session: Session, classes: Mapping[tuple[Hierarchy, Any], ClassSpec]
) -> list[Any]:
    """Return the loaded versions of rows that are of another class than an object added there.

    :param classes: the classes of objects that were added, by row.
    """
    loaded: LoadedVersions | None = session.info.get(LOADED)
    if loaded is None:
        return []
    return [
        version
        for row, spec in classes.items()
        for version in loaded.of(session, row)
        if type(version) is not spec.version_class
    ]


def versions_inside(session: Session) -> list[Any]:
    """Return the versions loaded in a savepoint that may be of a class it takes back."""
    loaded: LoadedVersions | None = session.info.get(LOADED)
    return [] if loaded is None else _present(session, loaded.inside)


def leave_versions(session: Session, versions: Iterable[Any], *, since: int | None) -> None:
    """Let go of versions of one transaction whose class is not theirs any more.

    SQLAlchemy cannot read them anew.

    :param since: the first id of the transaction.
    """
    for version in versions:
        session.info[LOADED].inside.discard(inspect(version).key)
        if since is not None and not _is_before(version, since):
            session.expunge(version)


def _present(session: Session, identity_keys: Iterable[Any]) -> list[Any]:
    found = map(session.identity_map.get, identity_keys)
    return [version for version in found if version is not None]


def _is_before(version: Any, since: int) -> bool:
    """Tell whether a version is of a transaction before, so that this one can only end it."""
    spec = find_spec(version)
    if spec is None:
        return False
    number = inspect(version).dict.get(spec.transaction_key)
    if number is None:
        # That of an expired one is in its key, at least if its transaction can be met again.
        number = known_key(version).get(spec.transaction_key)
    return number is not None and number < since


def _changing(version: Any, since: int) -> list[str]:
    """Return what is loaded of an older version and may be another now."""
    spec, state = find_spec(version), inspect(version)
    known = [each.key for each in state.mapper.relationships if each.key in state.dict]
    end = None if spec is None else spec.end_key
    if end is not None and end in state.dict:
        ended = state.dict[end]
        if ended is None or ended >= since:
            known.append(end)
    return known


def expire_all_versions(session: Session) -> None:
    """Expire every loaded version; for savepoints that were rolled back."""
    loaded: LoadedVersions | None = session.info.get(LOADED)
    if loaded is not None:
        for row in loaded.rows():
            for version in _present(session, loaded.pop([row])):
                session.expire(version)
                if _is_of_kinds(version):
                    loaded.add(session, row, inspect(version).key)


def _is_of_kinds(version: Any) -> bool:
    """Tell whether a version may become one of an object of another class."""
    return len(inspect(version).mapper.polymorphic_map) > 1


def _on_load(version: Any, context: Any) -> None:
    # A version that is merged without loading, as caches of objects do, comes without a context.
    session = object_session(version) if context is None else context.session
    if session is not None:
        _note(session, version)


def _on_refresh(version: Any, context: Any, attributes: Any) -> None:
    session = object_session(version)
    if session is not None:
        _note(session, version)


def _note(session: Session, version: Any) -> None:
    spec, state = find_spec(version), inspect(version)
    if spec is None or state.key is None:
        return
    values = state.dict
    if not all(key in values for key in spec.key):
        return
    row = (spec.hierarchy, bare_key([values[key] for key in spec.key]))
    loaded: LoadedVersions = session.info.setdefault(LOADED, LoadedVersions())
    loaded.add(session, row, state.key)
    if _is_of_kinds(version) and session.in_nested_transaction():
        loaded.inside.add(state.key)
