"""The attribute ``versions`` of a class: a relationship of the class, a collection of an object."""

from __future__ import annotations

from typing import Any

from .collection import versions_of

__all__ = ["VersionsAttribute"]


class VersionsAttribute:
    """The descriptor behind ``Article.versions`` and ``article.versions``."""

    def __init__(self, relationship_key: str) -> None:
        self._relationship_key = relationship_key

    def __get__(self, obj: Any | None, owner: type[Any]) -> Any:
        if obj is None:
            return getattr(owner, self._relationship_key)
        return versions_of(obj)

    def __set__(self, obj: Any, value: Any) -> None:
        raise AttributeError(
            f"{type(obj).__name__}.versions cannot be assigned: versions are recorded by flushes"
        )
