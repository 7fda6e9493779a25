"""Putting an object and its relations back to what a version says.

A revert is planned first: :func:`revert_plan` reads what it needs from history, checks everything
and changes nothing.  :func:`revert` carries the plan out by ordinary attribute sets, adds and
deletes in the session of the version; the next flush records them like any other change.

>>> version = article.versions[0]
>>> print(revert_plan(version))
set Article 1: name = 'Draft'
>>> version.revert().name
'Draft'

What is put back
----------------

* Columns that are kept in history, where they differ.  Not the counter of optimistic locking
  (``version_id_col``), not what the database computes; of restored objects only the primary
  key, and the counter where nobody but the application writes it.
* An object that was deleted, by a new instance that is made as by loading, without ``__init__``.
  Columns that are excluded from history get their defaults.  Where NULL was stored in a column
  that has a default, the attribute is ``null()`` until the flush.
* The relations that are named.  Objects on the other side are put back as well, and restored if
  they were deleted.  Objects that are related now and were not then are unlinked (many-to-many,
  one-to-one), put back to where they belonged, or deleted if they did not exist and nothing that
  stays refers to them.
* The other columns of association tables, such as a position or a role.  A link that exists keeps
  its surrogate key; one that comes back gets its own again, unless another link has that by now.

Rows that exchange unique values cannot do so in one flush, nor can rows that refer to each other,
or by foreign keys without a relationship, be inserted in one.  Then, and only then, reverting
flushes the session in between.  On PostgreSQL a DEFERRABLE unique constraint is deferred instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._on_demand import names_on_demand

if TYPE_CHECKING:
    from .reverting import revert, revert_plan
    from .steps import RevertPlan
else:
    __getattr__ = names_on_demand(
        __name__, {"RevertPlan": "steps", "revert": "reverting", "revert_plan": "reverting"}
    )

__all__ = ["RevertPlan", "revert", "revert_plan"]
