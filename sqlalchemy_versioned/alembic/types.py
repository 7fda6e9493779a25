"""Tables as migrations write them: with types that SQLAlchemy has, not with those of the library.

A migration must run when the library that it was written with has changed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from .. import _sqlalchemy
from .._typing import is_array
from ..build.core import IN_INFO
from ..triggers.entity_names import NAMES

__all__ = ["is_generated", "plain_column", "plain_info", "plain_type"]

_PACKAGE = __name__.partition(".")[0]
#: The keys of ``Table.info`` that hold what no migration can say: options, which may be anything,
#: and what triggers must know.
_UNWRITTEN = {IN_INFO, NAMES}


def plain_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type that stores the values of *type_*, if it is one of ours or made of one.

    >>> from sqlalchemy_versioned.build.transaction import UTCDateTime
    >>> plain_type(UTCDateTime())
    DateTime()
    >>> plain_type(Integer())
    Integer()
    """
    if is_array(type_):
        item = plain_type(type_.item_type)
        if item is type_.item_type:
            return type_
        array = copy.copy(type_)
        array.item_type = item
        return array
    if not isinstance(type_, TypeDecorator):
        return type_
    if type(type_).__module__.partition(".")[0] != _PACKAGE:
        stored = type_.impl_instance
        plain = plain_type(stored)
        return type_ if plain is stored else plain
    variants = {name: plain_type(each) for name, each in _sqlalchemy.variants_of(type_).items()}
    generic = type_.load_dialect_impl(DefaultDialect())
    special = type_.load_dialect_impl(mysql.dialect())
    if repr(special) != repr(generic):
        variants = {"mysql": special, "mariadb": special} | variants
    for name, each in variants.items():
        generic = generic.with_variant(each, name)
    return generic


def is_generated(column: Column[Any]) -> bool:
    """Tell whether the database alone gives a column its values.

    >>> from sqlalchemy import Column, Identity
    >>> is_generated(Column(Identity(always=True)))
    True
    """
    identity = column.identity
    return column.computed is not None or (identity is not None and bool(identity.always))


def plain_column(column: Column[Any], **changes: Any) -> Column[Any]:
    """Return *column*, or a copy with a plain type and with *changes* to its attributes."""
    type_ = plain_type(column.type)
    if type_ is column.type and not changes:
        return column
    copied = _sqlalchemy.copied_column(column)
    for name, value in {"type": type_, **changes}.items():
        setattr(copied, name, value)
    return copied


def plain_info(info: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the info of a table without what the library keeps there.

    >>> plain_info({"versioned": {}, "mine": 1})
    {'mine': 1}
    """
    return {key: value for key, value in info.items() if key not in _UNWRITTEN}
