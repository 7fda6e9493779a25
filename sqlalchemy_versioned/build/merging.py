"""What ``Session.merge()`` takes over from a version that comes from elsewhere, such as a cache.

Such a version is as old as the cache.  What the library changes of versions later, and the live
objects that they lead to, must not be put back to what it remembers.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import ColumnProperty, InstanceState

__all__ = ["NOT_MERGED", "EndProperty"]

#: The cascade of relationships to and from versions.  SQLAlchemy merges along view-only ones, too.
NOT_MERGED = ""


class EndProperty(ColumnProperty[int]):
    """The attribute for the end of a version, which merging does not change."""

    inherit_cache = True

    def merge(self, *given: Any, **more: Any) -> None:
        """Take the end over into what has none, because it is new.

        What is merged without loading is taken as it is, and is no change.
        """
        # A session, the state and the dict to merge, those to merge into, whether to load, ...
        into: InstanceState[Any] = given[3]
        load: bool = given[5]
        if not (load and into.has_identity):
            super().merge(*given, **more)
