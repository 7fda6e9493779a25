"""What ``Session.merge()`` takes over from a version that comes from elsewhere, such as a cache.

Such a version is as old as the cache.  What has become of it since, its end or columns that were
redacted, and the live objects that it leads to must not be put back to what it remembers.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import ColumnProperty, InstanceState

__all__ = ["NOT_MERGED", "KeptProperty"]

#: The cascade of relationships to and from versions.  SQLAlchemy merges along view-only ones, too.
NOT_MERGED = ""


class KeptProperty(ColumnProperty[Any]):
    """An attribute of a version, which merging changes only if the application did before."""

    inherit_cache = True

    def merge(self, *given: Any, **more: Any) -> None:
        """Take a value over into what is new, or if it was set since it was loaded.

        What is merged without loading is taken as it is, and is no change.
        """
        # A session, the state and the dict to merge, those to merge into, whether to load, ...
        state: InstanceState[Any] = given[1]
        into: InstanceState[Any] = given[3]
        load: bool = given[5]
        remembers = self.key in state.dict and self.key not in state.committed_state
        if not (load and into.has_identity and remembers):
            super().merge(*given, **more)
