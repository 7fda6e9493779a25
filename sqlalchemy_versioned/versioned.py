"""Ways to say that a class is versioned: a mixin and a decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

    from .collection import VersionCollection

__all__ = ["Versioned", "versioned"]

T = TypeVar("T")


class Versioned:
    """Versions the classes that derive from it, and tells type checkers about ``versions``.

    >>> class Page(Versioned, Base):
    ...     __tablename__ = "page"
    ...     id = mapped_column(Integer, primary_key=True)
    """

    __versioned__: ClassVar[dict[str, Any]] = {}

    if TYPE_CHECKING:

        @property
        def versions(self) -> VersionCollection[Self]: ...


def versioned(**options: Any) -> Callable[[type[T]], type[T]]:
    """Version the decorated class, with *options*; works on classes of other packages too.

    >>> @versioned(exclude=["body"])
    ... class Page(Base):
    ...     __tablename__ = "page"
    ...     id = mapped_column(Integer, primary_key=True)
    ...     body = mapped_column(Text)
    """

    def declare(cls: type[T]) -> type[T]:
        cls.__versioned__ = dict(options)  # type: ignore[attr-defined]
        return cls

    return declare
