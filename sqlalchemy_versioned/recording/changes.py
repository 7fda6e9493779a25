"""What one flush or statement did to the rows of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from .._typing import new_dict, new_list, new_set
from ..database.keys import Key, key_values
from ..model.operation import Operation
from ..model.spec import VersionSpec

__all__ = ["Changes", "objects_in_parts"]


@dataclass(slots=True)
class Changes:
    """What one flush did to the rows of one table, by key."""

    inserted: list[Key] = field(default_factory=new_list)
    updated: list[Key] = field(default_factory=new_list)
    deleted: list[Key] = field(default_factory=new_list)
    #: Former keys of rows whose primary key was changed.
    departed: list[Key] = field(default_factory=new_list)
    #: Values for columns that plugins have added, by key.
    added: dict[Key, Mapping[str, Any]] = field(default_factory=new_dict)
    #: Updated rows that may be as they were before.
    doubtful: set[Key] = field(default_factory=new_set)
    #: Deleted rows that consist of nothing but their key, and so are known without a look.
    given: list[Key] = field(default_factory=new_list)
    #: Keys of objects that were deleted while their rows were given to new objects.
    replaced: list[Key] = field(default_factory=new_list)
    #: Rows that were recorded as deleted, and are there.
    returned: list[Key] = field(default_factory=new_list)
    #: For the keys of rows whose primary key was changed, what they were before.
    former: dict[Key, Key] = field(default_factory=new_dict)

    def __bool__(self) -> bool:
        return any(self._lists)

    def keys(self) -> list[Key]:
        """Return the keys of all rows."""
        return list(chain(*self._lists))

    @property
    def _lists(self) -> tuple[list[Key], ...]:
        lists = (self.inserted, self.updated, self.deleted, self.departed, self.given)
        return (*lists, self.returned)

    def extend(self, other: Changes) -> None:
        """Add further changes to the same table."""
        self.inserted += other.inserted
        self.updated += other.updated
        self.deleted += other.deleted
        self.departed += other.departed
        self.given += other.given
        self.replaced += other.replaced
        self.returned += other.returned
        self.added.update(other.added)
        self.doubtful |= other.doubtful
        self.former.update(other.former)

    def rename(self, forms: Mapping[Key, Key]) -> None:
        """Give keys the forms that *forms* has of them."""
        self.unite(forms)
        if forms:
            self.former = {forms.get(k, k): forms.get(v, v) for k, v in self.former.items()}

    def unite(self, forms: Mapping[Key, Key]) -> None:
        """Take keys for the rows that *forms* has them for; what rows had before stays as it is."""
        if not forms:
            return
        for keys in self._lists:
            # Two spellings of one key may have become one, which counts once.
            keys[:] = dict.fromkeys(forms.get(key, key) for key in keys)
        self.replaced = [forms.get(key, key) for key in self.replaced]
        self.added = {forms.get(key, key): values for key, values in self.added.items()}
        self.doubtful = {forms.get(key, key) for key in self.doubtful}

    def leave_doubtful(self) -> None:
        """Take rows for what they were that may be so."""
        self.updated = [key for key in self.updated if key not in self.doubtful]
        self.doubtful.clear()

    def lose_replaced(self) -> None:
        """Take rows for deleted that were given to new objects, and then went all the same."""
        lost = set(self.replaced).intersection(self.inserted)
        self.inserted = [key for key in self.inserted if key not in lost]
        self.replaced = [key for key in self.replaced if key not in lost]
        self.deleted.extend(lost)

    def born(self, recorded: Mapping[Key, Operation]) -> Changes:
        """Return the rows that were inserted and are not recorded yet, as far as they have keys.

        :param recorded: what is, by key.
        """
        known = {key for key, operation in recorded.items() if operation is not Operation.DELETE}
        known.update(self.replaced)
        keys = [k for k in self.inserted if k not in known and None not in key_values(k)]
        return Changes(inserted=keys, added={k: self.added[k] for k in keys if k in self.added})

    def look_again(self) -> None:
        """Make these changes those that have come since they were recorded."""
        # Whatever came of them since: inserted rows are there, and may differ from their versions.
        self.updated += self.inserted
        self.doubtful.update(self.updated)
        for keys in (self.inserted, self.deleted, self.departed, self.given, self.replaced):
            keys.clear()

    def settle(self) -> None:
        """Make one change of what happened to one key: a row that went and came is changed."""
        gone = {*self.deleted, *self.departed, *self.given}
        both = gone.union(self.replaced).intersection(self.inserted)
        if both:
            for keys in (self.inserted, self.deleted, self.departed, self.given):
                keys[:] = [key for key in keys if key not in both]
            self.updated.extend(both)
            # The new row may hold what the old one did.
            self.doubtful |= both


def objects_in_parts(root: VersionSpec, changes: Mapping[VersionSpec, Changes]) -> list[Key]:
    """Return the objects in several tables that others may be writing in another table.

    Versions tell of all tables of an object, so their order is that of locks on the base-most row.
    """
    if set(changes) == {root}:
        return []
    # Images of rows that are to be deleted lock them, that of the base-most table first.
    locked = set(changes[root].deleted) if root in changes else set[Key]()
    touched = dict.fromkeys(k for each in changes.values() for k in (*each.updated, *each.deleted))
    return [key for key in touched if key not in locked]
