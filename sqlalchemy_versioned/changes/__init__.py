"""What changed, when, and who did it: change records, read from versions.

:func:`get_changes` reads records by object, field, user, time and operation, a page at a time.  A
record tells what one transaction did to one object: each field with its old and its new value.

>>> for record in get_changes(Article, session):
...     print(record.operation.name, *[(c.field, c.old, c.new) for c in record.changes])
UPDATE ('name', 'Draft', 'Final')
INSERT ('id', None, 1) ('name', None, 'Draft') ('description', None, 'No description')

Nothing is stored for it: records are made of versions by one statement, in which the database looks
up the version before each, filters, sorts and counts.  :func:`select_changes` returns it, with what
makes records of its rows, for whoever executes statements in another way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._on_demand import names_on_demand

if TYPE_CHECKING:
    from .getting import get_changes
    from .objects import blame, difference_of_relations
    from .queries import ChangeQuery, select_changes
    from .records import ChangeRecord, FieldChange, FlatChange, flatten
else:
    __getattr__ = names_on_demand(
        __name__,
        {
            "ChangeQuery": "queries",
            "ChangeRecord": "records",
            "FieldChange": "records",
            "FlatChange": "records",
            "blame": "objects",
            "difference_of_relations": "objects",
            "flatten": "records",
            "get_changes": "getting",
            "select_changes": "queries",
        },
    )

__all__ = [
    "ChangeQuery",
    "ChangeRecord",
    "FieldChange",
    "FlatChange",
    "blame",
    "difference_of_relations",
    "flatten",
    "get_changes",
    "select_changes",
]
