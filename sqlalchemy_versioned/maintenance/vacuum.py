"""Removing versions that say nothing new, with a fixed number of statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from ..database.sessions import awaited_as, sync_session
from ..model.lookup import check_no_object, ensure_bound, spec_of
from ..query.neighbours import build_end_repair
from ..query.vacuum import build_redundancy_locks, build_removals
from ..recording.ours import OURS
from ..triggers.upkeep import upkeep
from .turns import take_turn

__all__ = ["vacuum"]


@awaited_as("vacuum(…)")
def vacuum(session: Session, model: type[Any], yield_per: int | None = None) -> int:
    """Remove the versions of a class that do not differ from the one before; return how many.

    Versions that record an insertion or a deletion stay, and what is left is joined: each version
    ends where the next begins.  Everything happens in the transaction of *session*; committing it
    is left to the caller.

    :param yield_per: taken for compatibility; nothing is read.
    :raises ClassNotVersioned: if *model* has no version class.
    :raises InvalidArgumentType: if *model* is an object.

    >>> vacuum(session, Article)
    0
    """
    spec = spec_of(model)
    check_no_object(model, spec)
    session = sync_session(session)
    ensure_bound(session, spec)
    where: dict[str, Any] = {
        "bind_arguments": {"mapper": inspect(spec.version_class)},
        "execution_options": OURS,
    }
    session.flush()
    take_turn(session, spec)
    for lock in build_redundancy_locks(spec):
        session.execute(lock, **where)
    removed = 0
    versions = [table.version_table for table in spec.hierarchy.tables]
    with upkeep(session.connection(bind_arguments=where["bind_arguments"]), *versions):
        for removal in build_removals(spec):
            result: Any = session.execute(removal, **where)
            removed = result.rowcount
        for table in spec.hierarchy.tables:
            if table.end_column is not None:
                session.execute(build_end_repair(table), **where)
    root = spec.superclasses[-1] if spec.superclasses else spec.version_class
    for obj in session.identity_map.values():
        if isinstance(obj, root):
            session.expire(obj)
    return removed
