"""Association tables, as relationships write them in the midst of flushes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Update, select, tuple_

from ..database.dialects import counts_rows
from ..database.keys import Key, bare_key, key_values
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..recording.changes import Changes
from .work import Work

__all__ = ["LinkTable"]

#: How many keys are looked up by one statement.
_CHUNK = 500


class LinkTable:
    """An association table, and where its rows are recorded.

    :param hierarchy: the table by itself.
    :param mapped: the spec of a versioned class that has the table too: the rows are recorded
        as that class's, by its key, so that both see one history.
    """

    def __init__(self, hierarchy: Hierarchy, mapped: ClassSpec | None) -> None:
        self.hierarchy: Hierarchy = hierarchy if mapped is None else mapped.hierarchy
        self.spec: VersionSpec = hierarchy.root if mapped is None else mapped.tables[-1]
        own, linked = [pair.parent for pair in self.spec.key], self.spec.linked
        #: Whether what is linked tells which row it is.
        self._is_told = set(own) <= set(linked)
        #: The columns of which relationships tell the values.
        self._told = own if self._is_told else list(linked)

    def understands(self, statement: Any, sets: Iterable[Any]) -> bool:
        """Tell whether the parameters of *statement* say which rows it is about."""
        prefixes = ("", "old_") if isinstance(statement, Update) else ("",)
        names = [prefix + column.key for column in self._told for prefix in prefixes]
        return all(name in each for each in sets for name in names)

    def changes(self, statement: Any, sets: Iterable[Any], connection: Connection) -> Changes:
        """Return what *statement* does; inserted rows may only be looked up by :meth:`settle`."""
        if isinstance(statement, Insert):
            return Changes(inserted=[self._key(each) for each in sets])
        if isinstance(statement, Update):
            departed = [self._key(each, prefix="old_") for each in sets]
            return Changes(
                departed=self._known(departed, connection, locks=True),
                inserted=[self._key(each) for each in sets],
            )
        assert isinstance(statement, Delete)
        gone = self._known([self._key(each) for each in sets], connection, locks=True)
        return Changes(given=gone) if self.spec.is_all_key else Changes(deleted=gone)

    def standing(self, changes: Changes, made: Collection[Key], connection: Connection) -> set[Key]:
        """Return the rows that link already what is about to be linked once more.

        :param made: what was linked before by the same flush.
        """
        if not self.spec.may_have_twins and self._is_told:
            return set()
        known = set(made)
        new = [key for key in changes.inserted if key not in known]
        return {*self._look_up(new, connection)}.difference(changes.departed)

    def made(self, work: Work) -> list[Key]:
        """Return the rows that were inserted so far, as far as they are there."""
        assert work.connection is not None
        return self._known(work.changes[self.spec].inserted, work.connection)

    def settle(self, work: Work) -> None:
        """Find the rows that were inserted, once they are."""
        made = self.made(work)
        work.changes[self.spec].inserted = [key for key in made if key not in work.standing]

    def _key(self, parameters: Any, *, prefix: str = "") -> Any:
        return bare_key([parameters[prefix + column.key] for column in self._told])

    def _known(self, keys: list[Any], connection: Connection, *, locks: bool = False) -> list[Any]:
        """Return the keys under which rows are recorded, for what they link.

        :param locks: lock the rows, which are about to be written, as they are by now; others may
            have removed them, and no driver need tell.
        """
        if self._is_told and (counts_rows(connection.dialect) or not locks):
            return keys
        return self._look_up(keys, connection, locks=locks)

    def _look_up(
        self, keys: list[Any], connection: Connection, *, locks: bool = False
    ) -> list[Any]:
        wanted = [pair.parent for pair in self.spec.key]
        given = tuple_(*self._told)
        found: dict[Any, None] = {}
        for start in range(0, len(keys), _CHUNK):
            part = [key_values(key) for key in keys[start : start + _CHUNK]]
            statement = select(*wanted).where(given.in_(part))
            rows = connection.execute(statement.with_for_update() if locks else statement)
            found.update(dict.fromkeys(bare_key(row) for row in rows))
        return list(found)
