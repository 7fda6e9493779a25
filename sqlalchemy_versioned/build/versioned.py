"""Ways to say that a class is versioned: a mixin and a decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .._typing import LISTS, find_mapper
from ..exc import InvalidArgument, InvalidArgumentType
from ..options import ATTRIBUTES, KEY_LISTS

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..reading.collection import VersionCollection

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

    :param options: as ``__versioned__`` has them.  Names in ``exclude``, ``include``, ``ignore``
        and ``mask`` are looked for at once, if the class is mapped by then; name what a backref or
        a subclass adds in ``__versioned__``.
    :raises InvalidArgument: if a name is no attribute of the class; it is a ``ValueError``, too.
    :raises InvalidArgumentType: if what should be a list of names is none; it is a ``TypeError``,
        too.

    >>> @versioned(exclude=["body"])
    ... class Page(Base):
    ...     __tablename__ = "page"
    ...     id = mapped_column(Integer, primary_key=True)
    ...     body = mapped_column(Text)
    """

    def declare(cls: type[T]) -> type[T]:
        for name in KEY_LISTS:
            _check_keys(cls, name, options.get(name, ()))
        for name in ATTRIBUTES:
            if options.get(name) is not None:
                _check_keys(cls, name, [options[name]])
        cls.__versioned__ = dict(options)  # type: ignore[attr-defined]
        return cls

    return declare


def _check_keys(cls: type[Any], name: str, keys: Any) -> None:
    """Refuse what is no list of attribute keys of a class, as far as they are known."""
    is_list = isinstance(keys, LISTS)
    if not is_list or not all(isinstance(key, str) for key in keys):
        raise InvalidArgumentType(
            f"@versioned({name}={keys!r}) on {cls.__name__}: give a list of keys of attributes, "
            "such as ['name']"
        )
    mapper = find_mapper(cls, raiseerr=False)
    if mapper is None:
        return
    known = mapper.all_orm_descriptors.keys()
    for key in keys:
        if key not in known:
            raise InvalidArgument(
                f"@versioned({name}=...) on {cls.__name__} names {key!r}, which is no attribute; "
                f"attributes are {', '.join(sorted(known))}"
            )
