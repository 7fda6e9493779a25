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
  (``version_id_col``), not what the database computes; the primary key of restored objects only.
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

from collections.abc import Iterable
from typing import Any

from .apply import apply_plan
from .planning import build_plan, session_of
from .steps import RevertPlan

__all__ = ["RevertPlan", "revert", "revert_plan"]


def revert_plan(
    version: Any, relations: Iterable[str] | str | None = (), on_missing: str = "raise"
) -> RevertPlan:
    """Return what reverting to *version* would do, without doing it.

    :param relations: relationship keys, or dotted paths of them, to put back as well.
    :param on_missing: what to do about a foreign key whose target no longer exists:
        ``'raise'``, ``'null'`` to leave it empty, or ``'restore'`` to bring the target back as it
        was then, and whatever that refers to.
    :raises ReverterException: if a path is no relationship, a target is missing, a unique value
        was given to another row, something refers to what would be deleted, or several rows of an
        association table make one link.
    :raises IncompleteHistory: if history does not tell what there was.

    >>> print(revert_plan(article.versions[0]))
    set Article 1: name = 'Draft'
    """
    return build_plan(version, relations, on_missing)


def revert(
    version: Any, relations: Iterable[str] | str | None = (), on_missing: str = "raise"
) -> Any | None:
    """Put an object, and the relations that are named, back to *version*.

    :param relations: as for :func:`revert_plan`.
    :param on_missing: as for :func:`revert_plan`.
    :returns: the live object, or ``None`` if *version* is a deletion.
    :raises ReverterException: as :func:`revert_plan`; then nothing was changed.
    :raises IncompleteHistory: as :func:`revert_plan`; then nothing was changed.

    >>> revert(article.versions[0]).name
    'Draft'
    """
    plan = revert_plan(version, relations, on_missing)
    return apply_plan(session_of(version), plan)
