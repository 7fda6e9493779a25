"""What has to be done with each row of a table, after what the transaction has recorded of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._typing import new_list
from ..database.keys import Key
from ..model.operation import Operation, merge
from ..model.spec import VersionSpec
from .changes import Changes
from .image import Image
from .records import Records

__all__ = ["Sorted", "sort_changes"]


@dataclass(slots=True)
class Sorted:
    """The changes to one table, by what has to be done."""

    image: Image = field(default_factory=Image)
    #: Rows of which nothing is left: they came and went in this transaction.
    vanished: list[Key] = field(default_factory=new_list)
    departed: list[Key] = field(default_factory=new_list)
    #: Departed rows of which this transaction has a version.
    marked: list[Key] = field(default_factory=new_list)

    @property
    def is_fresh(self) -> bool:
        """Whether all are rows to be looked up of which this transaction has no version yet."""
        return not (self.image.again or self.image.given or self.departed)


def sort_changes(spec: VersionSpec, changes: Changes, records: Records) -> Sorted:
    """Tell rows that this transaction has recorded before from those it has not."""
    changes.settle()
    arrived = {
        Operation.INSERT: [*changes.inserted, *changes.returned],
        Operation.UPDATE: changes.updated,
        Operation.DELETE: changes.deleted,
    }
    work = Sorted()
    if not records.knows(spec):
        work.image.fresh = {operation: keys for operation, keys in arrived.items() if keys}
        work.departed, work.image.given = changes.departed, changes.given
        return work
    for operation, keys in arrived.items():
        for key in keys:
            before = records.of(spec, key)
            after = merge(before, operation)
            if after is None:
                work.vanished.append(key)
                continue
            part = work.image.fresh if before is None else work.image.again
            part.setdefault(after, []).append(key)
    for keys, fresh in ((changes.departed, work.departed), (changes.given, work.image.given)):
        for key in keys:
            before = records.of(spec, key)
            after = merge(before, Operation.DELETE)
            if before is None:
                fresh.append(key)
            elif after is None:
                work.vanished.append(key)
            else:
                work.marked.append(key)
    return work
