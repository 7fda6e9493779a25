"""What history must be, judged from the live tables alone: images of rows, compared.

A :class:`History` looks at the tables after each flush and each commit, and works out which
versions each transaction makes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Table, event, select
from sqlalchemy.orm import Session

Row = dict[str, Any]
Image = dict[Any, Row]


class Version(NamedTuple):
    """One expected version of one row."""

    operation: int
    values: Row


class Watched(NamedTuple):
    """A table, and what is known of it beside its columns."""

    table: Table
    #: The columns that its rows are recognised by.
    key: Sequence[Column[Any]]
    #: Names of columns that are not kept.
    excluded: frozenset[str] = frozenset()
    #: Names of columns whose change alone makes no version.
    ignored: frozenset[str] = frozenset()
    #: Names of columns whose change is told, but not their values.
    masked: frozenset[str] = frozenset()

    def read(self, connection: Connection) -> Image:
        """Return the rows by key, as far as they are kept."""
        found = read_rows(connection, self.table, self.key)
        if self.excluded:
            for row in found.values():
                for name in self.excluded:
                    del row[name]
        return found

    def is_same(self, old: Row | None, new: Row | None) -> bool:
        """Tell whether a row that was one and is the other needs no version."""
        if old is None or new is None or not self.ignored:
            return old == new
        return all(old[name] == new[name] for name in old if name not in self.ignored)


class History:
    """What version tables must hold, judged from the live tables alone.

    :param groups: the names of tables, those that share objects together.
    :param merges: whether a transaction makes one version of a row, and not one with each flush.
    """

    def __init__(
        self,
        session: Session,
        tables: Mapping[str, Watched],
        groups: Iterable[Iterable[str]],
        *,
        merges: bool = True,
    ) -> None:
        self.session = session
        self._merges = merges
        #: What the flushes of the transaction have done, where each makes versions.
        self._events: list[tuple[str, Any, Version]] = []
        self.versions: dict[str, dict[Any, list[Version]]] = {}
        self.tables = tables
        self.groups = [list(group) for group in groups]
        self._before: dict[str, Image] = {name: {} for name in tables}
        self._seen: dict[str, Image] = {name: {} for name in tables}
        #: What the rows were after the last flush.
        self._last: dict[str, Image] = dict(self._before)
        self._kept: list[tuple[Any, Any]] = []
        self._listeners = [
            ("after_flush_postexec", self._after_flush),
            ("after_transaction_create", self._keep),
            ("after_transaction_end", self._restore),
            ("after_commit", self._settle),
        ]
        for name, listener in self._listeners:
            event.listen(session, name, listener)

    def read_live(self) -> dict[str, Image]:
        """Return all rows of the live tables, by key."""
        connection = self.session.connection()
        return {name: watched.read(connection) for name, watched in self.tables.items()}

    def look(self) -> None:
        """Take notice of what was written, also where no flush has."""
        now = self.read_live()
        for name, image in now.items():
            self._seen[name] = {**self._seen[name], **image}
        self._events += self._compare(self._last, now, gone=self._last)
        self._last = now

    def _after_flush(self, session: Session, context: Any) -> None:
        self.look()

    def _keep(self, session: Session, transaction: Any) -> None:
        if transaction.nested:
            kept = dict(self._seen), dict(self._last), list(self._events)
            self._kept.append((transaction, kept))
        elif transaction.parent is None:
            self._seen, self._last, self._events = dict(self._before), dict(self._before), []
            self._kept = []

    def _restore(self, session: Session, transaction: Any) -> None:
        while self._kept and transaction.nested and self._kept[-1][0] is transaction:
            _, kept = self._kept.pop()
            if not getattr(transaction, "was_released", False):
                self._seen, self._last, self._events = kept

    def _settle(self, session: Session) -> None:
        nested = session.get_nested_transaction()
        if nested is not None:
            nested.was_released = True

    def commit(self) -> list[tuple[str, Any, Version]]:
        """Return the versions of the transaction that was just committed, with table and key."""
        last_seen, events = self._seen, self._events
        after = self.read_live()
        if self._merges:
            events = list(self._compare(self._before, after, gone=last_seen))
        for name, key, version in events:
            self.versions.setdefault(name, {}).setdefault(key, []).append(version)
        self._before, self._seen = after, dict(after)
        self._last, self._events = dict(after), []
        return events

    def _compare(
        self, before: dict[str, Image], after: dict[str, Image], *, gone: dict[str, Image]
    ) -> Iterator[tuple[str, Any, Version]]:
        """Yield what became of each row, by table and key.

        :param gone: what those were that are there no more.
        """
        for group in self.groups:
            for key in {k for name in group for k in (*before[name], *after[name])}:
                if all(
                    self.tables[n].is_same(before[n].get(key), after[n].get(key)) for n in group
                ):
                    continue
                for name in group:
                    old, new = before[name].get(key), after[name].get(key)
                    if old is not None or new is not None:
                        operation = 0 if old is None else 2 if new is None else 1
                        yield name, key, Version(operation, gone[name][key] if new is None else new)


def read_rows(connection: Connection, table: Table, key: Iterable[Column[Any]]) -> Image:
    """Return the rows of a table by key."""
    rows = connection.execute(select(table)).mappings()
    return {tuple(row[c] for c in key): {c.name: row[c] for c in table.c} for row in rows}
