"""Rows of one table of which versions are to be written, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from .._typing import new_dict, new_list
from ..database.keys import Key, KeySets
from ..model.operation import Operation
from .added import Added
from .shapes import Shape

__all__ = ["Image"]


@dataclass(slots=True)
class Image:
    """Rows of one table that a flush has touched, by what must be written of them."""

    #: Rows that get a new version, by operation.
    fresh: dict[Operation, list[Key]] = field(default_factory=new_dict)
    #: Updated rows that get one only if they differ from their last version.
    checked: list[Key] = field(default_factory=new_list)
    #: Rows of which this transaction has a version already, by what it must become.
    again: dict[Operation, list[Key]] = field(default_factory=new_dict)
    #: Values of columns that are no copies.
    added: Added = field(default_factory=new_list)
    #: Deleted rows that consist of nothing but their key.
    given: list[Key] = field(default_factory=new_list)
    #: The keys of all rows, made ready for the database, if they were needed before.
    sets: KeySets | None = None

    def keys(self) -> list[Key]:
        """Return the keys of all rows."""
        return list(chain(*self.fresh.values(), *self.again.values()))

    def shape(self, *, can_replace: bool, locks: bool) -> tuple[Shape, dict[str, list[Key]]]:
        """Return the statement that writes it, and the lists of keys that this takes.

        :param can_replace: whether one statement can write rows anew.
        """
        operations = self.fresh
        if self.again:
            operations = {operation: list(keys) for operation, keys in self.fresh.items()}
            for operation, keys in self.again.items():
                operations.setdefault(operation, []).extend(keys)
        lists: dict[str, list[Key]] = {}
        # Almost always; then the statement needs no CASE, and no lists beside the keys.
        one = next(iter(operations)) if len(operations) == 1 else None
        if one is None:
            lists["inserts"] = operations.get(Operation.INSERT, [])
            lists["deletes"] = operations.get(Operation.DELETE, [])
        condition = ""
        if self.checked:
            # Then all rows are compared, and no list says which.
            everything = len(self.checked) == len(self.keys())
            condition = "changed" if everything else "listed"
            if not everything:
                lists["checked"] = self.checked
        if self.given:
            lists["given"] = self.given
        replaces = bool(self.again) and can_replace
        added = _name_rows(self.added, lists) if self.added else ()
        return Shape(one, condition, replaces, locks, bool(self.given), added), lists

    def values(self, prefix: str) -> dict[str, Any]:
        """Return the parameters for the values of added columns, behind *prefix*."""
        return {f"{prefix}value_{place}": value for place, (_, value, _) in enumerate(self.added)}


def _name_rows(added: Added, lists: dict[str, list[Key]]) -> tuple[tuple[str, str | None], ...]:
    """Add rows that have values of their own to *lists*, each list of them once."""
    names: dict[int, str] = {}
    for _, _, rows in added:
        if rows is not None and id(rows) not in names:
            names[id(rows)] = name = f"added_{len(names)}"
            lists[name] = rows
    return tuple([(key, None if rows is None else names[id(rows)]) for key, _, rows in added])
