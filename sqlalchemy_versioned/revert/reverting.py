"""Planning a revert and carrying it out: what the package gives away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..database.sessions import awaited_as
from .apply import apply_plan
from .planning import build_plan, session_of
from .steps import RevertPlan

__all__ = ["revert", "revert_plan"]


@awaited_as("revert_plan(…)")
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


@awaited_as("revert(…)")
def revert(
    version: Any, relations: Iterable[str] | str | None = (), on_missing: str = "raise"
) -> Any | None:
    """Put an object, and the relations that are named, back to *version*.

    :param relations: as for :func:`revert_plan`.
    :param on_missing: as for :func:`revert_plan`.
    :returns: the live object, or ``None`` if *version* is a deletion.
    :raises ReverterException: as :func:`revert_plan`; then nothing was changed.  Also if a
        validator of the class refuses what there was; then the session is to be rolled back.
    :raises IncompleteHistory: as :func:`revert_plan`; then nothing was changed.

    >>> revert(article.versions[0]).name
    'Draft'
    """
    plan = revert_plan(version, relations, on_missing)
    return apply_plan(session_of(version), plan)
