"""Tables that are versioned without a class: what is said of them, and what is built for them.

A version table is made as soon as its table is declared, so that ``create_all()`` knows it.  What
needs mappers, which are the Transaction class and the class through which versions are read, is
made when it is first needed: an application of tables alone never configures any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Table, types
from sqlalchemy.orm import Mapper, registry

from .._typing import LISTS, MAPPING, is_table
from ..exc import ImproperlyConfigured
from ..model.lookup import SPEC
from ..model.mapping import superclass_mappers
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..options import KEY_LISTS, MANAGER_ONLY, Options
from .classes import build_mapped_class
from .columns import version_type
from .table_columns import check_masked

__all__ = [
    "build_reader",
    "check_core_options",
    "check_key",
    "core_attribute_keys",
    "core_masked_keys",
    "said_in_info",
    "said_of",
    "settle_types",
]

#: The key of ``Table.info`` under which an application says how a table is versioned.
IN_INFO = "versioned"

#: Options that are about classes.
_OF_CLASSES = frozenset({"base_classes", "class_name", *MANAGER_ONLY})


# -- what is said ------------------------------------------------------------------------------


def said_in_info(table: Table) -> dict[str, Any] | None:
    """Return the options that the info of a table has; ``None`` if it is not to be versioned.

    :raises ImproperlyConfigured: if what it says are no options.
    """
    said = table.info.get(IN_INFO)
    if said is None or said is False:
        return None
    if said is True:
        return {}
    if not isinstance(said, MAPPING):
        raise ImproperlyConfigured(
            f"Table {table.fullname!r} has {said!r} in info[{IN_INFO!r}]; give a dict of options, "
            "such as {}"
        )
    return dict(said) if said.get("versioning", True) else None


def said_of(mapper: Mapper[Any]) -> dict[str, Any] | None:
    """Return the options that a class has, or its table, or a class above or the table of that.

    :returns: ``None`` if nothing is said.
    :raises ImproperlyConfigured: if what is said are no options.
    """
    said: Any = getattr(mapper.class_, "__versioned__", None)
    if isinstance(said, MAPPING):
        return dict(said)
    if said is not None:
        raise ImproperlyConfigured(
            f"{mapper.class_.__name__}.__versioned__ is {said!r}; give a dict of options, such as "
            "{}"
        )
    tables = [each.local_table for each in superclass_mappers(mapper)]
    found = (said_in_info(table) for table in tables if is_table(table))
    return next((each for each in found if each is not None), None)


def check_core_options(table: Table, said: Mapping[str, Any], *, owner: str) -> None:
    """Refuse what cannot be said of a table, or asks for what it does not have.

    :raises ImproperlyConfigured: for the first such option.
    """
    for name in _OF_CLASSES.intersection(said):
        raise ImproperlyConfigured(f"{owner} has {name!r}, which is about classes; take it out")
    known = [column.key for column in table.columns]
    for name in KEY_LISTS:
        value = said.get(name, ())
        # What is no list is refused with the other values.
        for key in value if isinstance(value, LISTS) else ():
            if key not in known:
                raise ImproperlyConfigured(
                    f"{owner}: {name!r} names {key!r}, which is no column; columns are "
                    f"{', '.join(known)}"
                )


def check_key(table: Table, options: Options, *, owner: str) -> None:
    """Refuse a table without a primary key, unless what can be known of it is asked for.

    :raises ImproperlyConfigured: if more is asked for.
    """
    if table.primary_key.columns:
        return
    if options.strategy.merges:
        raise ImproperlyConfigured(
            f"{owner}: the table has no primary key, by which its rows could be recognised; give "
            "it one, or choose strategy='append', which needs none"
        )
    if options.ignore or options.mask:
        raise ImproperlyConfigured(
            f"{owner}: the table has no primary key, so nothing tells what was changed of a row; "
            "give it one, or leave out 'ignore' and 'mask'"
        )
    for key in table.foreign_keys:
        if _acts(key.ondelete) or _acts(key.onupdate):
            raise ImproperlyConfigured(
                f"{owner}: the table has no primary key, and the foreign key of {key.parent.name!r}"
                " lets the database change its rows, which ones nothing tells; give it a primary "
                "key, or leave out ON DELETE and ON UPDATE"
            )


def _acts(action: str | None) -> bool:
    return action is not None and action.upper() not in ("NO ACTION", "RESTRICT")


def core_attribute_keys(table: Table, options: Options) -> dict[Column[Any], str]:
    """Return the columns of a table to keep, with the keys their version columns get.

    :raises ImproperlyConfigured: if a column of the primary key is excluded.
    """
    kept = {
        column: column.key
        for column in table.columns
        if not column.system and (column.primary_key or not options.is_left_out(column.key))
    }
    for column in table.primary_key.columns:
        if column.key in options.exclude | options.mask:
            raise ImproperlyConfigured(
                f"Table {table.fullname!r}: {column.key!r} cannot be excluded, because versions "
                "are recognised by it; take it out of 'exclude' or 'mask'"
            )
    return kept


def core_masked_keys(table: Table, options: Options) -> dict[Column[Any], str]:
    """Return the masked columns of a table, with the keys of their attributes.

    :raises ImproperlyConfigured: if a column could change without its being known.
    """
    masked = {c: c.key for c in table.columns if options.is_masked(c.key)}
    check_masked(masked, owner=f"Table {table.fullname!r}")
    return masked


# -- what is built -----------------------------------------------------------------------------


def settle_types(spec: VersionSpec) -> bool:
    """Give version columns the types that their columns have got from foreign keys by now.

    A foreign key may name a table that is declared later.

    :returns: whether all of them have types.
    """
    waiting = [pair for pair in spec.pairs if isinstance(pair.version.type, types.NullType)]
    for pair in waiting:
        pair.version.type = version_type(pair.parent.type, is_key=True)
    return not any(isinstance(pair.version.type, types.NullType) for pair in waiting)


def build_reader(
    spec: VersionSpec,
    hierarchy: Hierarchy,
    options: Options,
    *,
    transaction_class: type[Any],
    registry: registry,
) -> ClassSpec:
    """Map the version table of a table without a class, so that it is read as all others are.

    :param registry: where nobody else looks for classes.
    """
    name = spec.parent_table.name
    version_class = build_mapped_class(
        f"{name}Version",
        bases=(),
        declarative_base=None,
        registry=registry,
        table=spec.version_table,
        properties={},
        module=__name__,
    )
    reader = ClassSpec(
        parent_class=type(str(name), (), {}),
        version_class=version_class,
        transaction_class=transaction_class,
        options=options,
        hierarchy=hierarchy,
        tables=(spec,),
        columns=tuple(pair.version.key for pair in spec.pairs),
        key=tuple(pair.version.key for pair in spec.key),
        transaction_key=spec.transaction_column.key,
        end_key=None if spec.end_column is None else spec.end_column.key,
        operation_key=spec.operation_column.key,
        id_key=None if spec.id_column is None else spec.id_column.key,
        masked={pair.parent.key: pair.version.key for pair in spec.masked},
        is_core=True,
    )
    setattr(version_class, SPEC, reader)
    return reader
