"""Version classes: ordinary mapped classes, made in a way that suits every kind of base."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import MappedAsDataclass, registry

from .. import _sqlalchemy
from .._typing import mapper_of
from ..reading.version import Version

__all__ = ["build_mapped_class", "displace", "forget_mapped_class", "place_beside"]


def build_mapped_class(
    name: str,
    *,
    bases: Sequence[type[Any]],
    declarative_base: type[Any] | None,
    registry: registry,
    table: Table | None,
    properties: Mapping[str, Any],
    module: str,
    **mapper_args: Any,
) -> type[Any]:
    """Make a class and map it imperatively.

    Declarative scanning would add what mixins and dataclass bases declare for live tables, so
    the class is abstract while it is being made, and mapped by hand afterwards.

    :param declarative_base: a base to put before *bases*, if it can bear it.
    """
    above = (declarative_base,) if _is_plain(declarative_base) else ()
    ordered = tuple(dict.fromkeys((*above, *bases)))
    # What a base says of its models (__versioned__) is not said of what is built here.
    namespace = {"__abstract__": True, "__module__": module, "__versioned__": None}
    cls = types.new_class(name, ordered, {}, lambda body: body.update(namespace))
    type.__delattr__(cls, "__abstract__")
    if not hasattr(super(cls, cls), "__versioned__"):  # pyright: ignore[reportUnknownArgumentType]
        type.__delattr__(cls, "__versioned__")
    is_taken = _is_taken(registry, name)
    with _nameless(cls) if is_taken else nullcontext():
        registry.map_imperatively(cls, table, properties=dict(properties), **mapper_args)
        if is_taken:
            _sqlalchemy.forget_class_name(registry, cls.__name__, cls)
    # As declarative does; mapping by hand leaves a class without a table of its own none at all.
    type.__setattr__(cls, "__table__", mapper_of(cls).local_table)
    if _sqlalchemy.named_class(registry, name) is None:
        _sqlalchemy.register_class_name(registry, name, cls)
    return cls


def _is_taken(reg: registry, name: str) -> bool:
    """Tell whether a class of the application has the name, which its relationships may use."""
    found = _sqlalchemy.named_class(reg, name)
    return found is not None and not issubclass(found, Version)


@contextmanager
def _nameless(cls: type[Any]) -> Generator[None, None, None]:
    """Give a class a name that nobody else has, for as long as its registry is asked."""
    name = cls.__name__
    type.__setattr__(cls, "__name__", f"{name} {id(cls)}")
    try:
        yield
    finally:
        type.__setattr__(cls, "__name__", name)


def _is_plain(base: type[Any] | None) -> bool:
    """Tell whether a class without fields of its own can be derived from *base*."""
    if base is None:
        return False
    if issubclass(base, MappedAsDataclass) or dataclasses.is_dataclass(base):
        return False
    # Pydantic's (SQLModel's) classes turn attributes into fields and validate on creation.
    return not hasattr(base, "model_fields") and not hasattr(base, "__fields__")


def forget_mapped_class(cls: type[Any], reg: registry) -> None:
    """Undo :func:`build_mapped_class`."""
    if _sqlalchemy.named_class(reg, cls.__name__) is cls:
        _sqlalchemy.forget_class_name(reg, cls.__name__, cls)
    # Disposing of a class removes its name, whosever it is.
    with _nameless(cls) if _is_taken(reg, cls.__name__) else nullcontext():
        _sqlalchemy.dispose_class(cls)


def place_beside(cls: type[Any], owner: type[Any], *, attribute: str) -> None:
    """Make *cls* importable from where *owner* is, so that it pickles as *owner* does.

    :param attribute: the attribute of *owner* by which *cls* is found where its name is taken in
        the module, or *owner* itself is not at the module's top.
    """
    type.__setattr__(cls, "__module__", owner.__module__)
    name, module = cls.__name__, sys.modules.get(owner.__module__)
    if "<locals>" in owner.__qualname__:
        prefix = owner.__qualname__.rpartition(".")[0]
        type.__setattr__(cls, "__qualname__", f"{prefix}.{name}")
    elif "." not in owner.__qualname__ and module is not None and name not in vars(module):
        type.__setattr__(cls, "__qualname__", name)
        setattr(module, name, cls)
    else:
        type.__setattr__(cls, "__qualname__", f"{owner.__qualname__}.{attribute}")
        type.__setattr__(owner, attribute, cls)


def displace(cls: type[Any], owner: type[Any] | None, *, attribute: str) -> None:
    """Undo :func:`place_beside`."""
    module = sys.modules.get(cls.__module__)
    if module is not None and vars(module).get(cls.__name__) is cls:
        delattr(module, cls.__name__)
    if owner is not None and vars(owner).get(attribute) is cls:
        type.__delattr__(owner, attribute)
