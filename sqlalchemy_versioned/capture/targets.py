"""The tables whose writes are recorded, and what the database does along with writes to them."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sqlalchemy import Delete, Insert, Join, Table, Update

from .. import _sqlalchemy
from ..model.spec import VersionSpec
from .cascades import Cascades
from .recorder import Target
from .textual_writes import TextualActs, TextualWrites, Truncations

__all__ = ["Targets"]


class Targets:
    """The versioned tables of one manager, by what statements know of them."""

    def __init__(self) -> None:
        self._targets: dict[Table, Target] = {}
        self._by_spec: dict[VersionSpec, Target] = {}
        #: By name in small letters, whatever the schema, and by table.
        self._by_name: dict[str, dict[Table, Target]] = {}
        self._texts: TextualWrites | None = None
        self._acts: TextualActs | None = None
        self._truncations: Truncations | None = None
        #: Tables of which writes do nothing to ours.
        self._strangers: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, targets: Mapping[Table, Target]) -> None:
        """Record writes to further tables."""
        self._targets.update(targets)
        self._by_spec.update({target.spec: target for target in targets.values()})
        for table, target in targets.items():
            self._by_name.setdefault(str(table.name).lower(), {})[table] = target
        self._forget()

    def clear(self) -> None:
        """Let go of all tables."""
        self._targets.clear()
        self._by_spec.clear()
        self._by_name.clear()
        self._forget()

    def _forget(self) -> None:
        self._texts = self._acts = self._truncations = None
        vars(self).pop("cascades", None)
        self._strangers.clear()

    def __len__(self) -> int:
        return len(self._targets)

    def get(self, table: Any) -> Target | None:
        """Return the target that is a table, also if it is switched off."""
        return self._targets.get(table)

    def of_spec(self, spec: VersionSpec) -> Target:
        """Return the target of a spec, also if it is switched off."""
        return self._by_spec[spec]

    def written_by(self, statement: Any) -> Target | None:
        """Return the versioned table that *statement* writes."""
        if not isinstance(statement, (Insert, Update, Delete)):
            return None
        return self.recorded(_sqlalchemy.meant_table(statement))

    def are_concerned(self, statement: Any) -> bool:
        """Tell whether an INSERT, UPDATE or DELETE may change their rows, as its tables tell.

        Also if they are switched off.  Asked of every write of an application, of which most may
        be about other tables.
        """
        table = _sqlalchemy.written_table(statement)
        if table not in self._strangers:
            if self._is_known(_sqlalchemy.unaliased(table)):
                return True
            self._strangers.add(table)
        return isinstance(statement, Update) and bool(_sqlalchemy.other_written_tables(statement))

    def _is_known(self, table: Any) -> bool:
        """Tell whether a table is one of them, or called so, or does something to them."""
        return (
            table in self._targets
            or _name_of(table).lower() in self._by_name
            or self.cascades.acts_on_delete(table)
            or self.cascades.acts_on_update(table)
        )

    def recorded(self, table: Any) -> Target | None:
        """Return the target that is a table, if it is switched on."""
        target = self._targets.get(table)
        return target if target is not None and target.is_on() else None

    def called_like(self, table: Any) -> list[Target]:
        """Return the versioned tables that have the name of a table, in any schema."""
        return self._named(_name_of(table))

    def _named(self, name: str) -> list[Target]:
        found = self._by_name.get(name.lower(), {})
        return [target for target in found.values() if target.is_on()]

    def written_by_text(self, text: str) -> list[Target]:
        """Return the versioned tables that SQL text may write."""
        if self._texts is None:
            self._texts = TextualWrites(self._targets)
        name = self._texts.find(text)
        return [] if name is None else self._named(name)

    def behind_text(self, text: str) -> list[Target]:
        """Return the versioned tables that foreign keys may change along with SQL text."""
        if self._acts is None:
            self._acts = self.cascades.textual_acts()
        if self._truncations is None:
            self._truncations = Truncations(self._targets)
        emptied = self._truncations.emptied(text)
        tables = [table for name in self._acts.find(text) for table in self.cascades.named(name)]
        specs = dict.fromkeys(spec for table in tables for spec in self.cascades.reached(table))
        found = dict.fromkeys([*(spec.parent_table for spec in specs), *emptied])
        return [target for table in found if (target := self.recorded(table)) is not None]

    @cached_property
    def cascades(self) -> Cascades:
        """What the database does along with deletions and other keys."""
        targets = self._targets.items()
        specs = {table: target.spec for table, target in targets if target.spec.key}

        def related(spec: VersionSpec) -> tuple[VersionSpec, ...]:
            return self._by_spec[spec].hierarchy.related(spec)

        return Cascades(specs, related)


def _name_of(table: Any) -> str:
    """Return the name of a table; that of a join, which sets columns of others, is empty."""
    return "" if isinstance(table, Join) else str(table.name)
