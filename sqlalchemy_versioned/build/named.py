"""The attributes that options name for change records: looked for, and indexed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.orm import Mapper

from ..database.kinds import taken_type
from ..exc import ImproperlyConfigured
from ..model.mapping import USER_ID, USER_IS_SAID, user_reference
from ..model.spec import VersionSpec
from ..options import ATTRIBUTES, Options
from .indexes import ensure_index

__all__ = ["check_names", "check_users", "index_names"]


def check_names(options: Options, kept: Iterable[str], *, owner: str) -> None:
    """Refuse options that name what is not there.

    :param kept: the keys of the columns that are kept.
    :param owner: what the class or table is called in messages.
    :raises ImproperlyConfigured: if an attribute is named that is not kept.
    """
    known = list(kept)
    for name in ATTRIBUTES:
        key = getattr(options, name)
        if key is not None and key not in known:
            raise ImproperlyConfigured(
                f"{owner}: {name} is {key!r}, which is no column that is kept in history; those "
                f"are {', '.join(known)}"
            )


def check_users(
    options: Options,
    columns: Mapping[str, Column[Any]],
    transaction_class: type[Any],
    *,
    owner: str,
) -> None:
    """Refuse an attribute that names users whom transactions would not know.

    :param columns: the version columns of what is kept, by attribute.
    :param owner: what the class or table is called in messages.
    :raises ImproperlyConfigured: if transactions have no such users, or cannot tell who named them.
    """
    key = options.user_id_attribute
    if key is None:
        return
    mapper: Mapper[Any] = inspect(transaction_class)
    users: list[Any] = [column for column, _ in user_reference(mapper)]
    if not users and USER_ID in mapper.column_attrs:
        users = [mapper.column_attrs[USER_ID].columns[0]]
    asked = f"{owner}: user_id_attribute is {key!r}"
    if len(users) != 1:
        raise ImproperlyConfigured(
            f"{asked}, and the users that transactions know have {len(users)} columns of a key; "
            "give make_versioned() a user_cls with a primary key of one column"
        )
    kinds = [taken_type(column.type) for column in (columns[key], users[0])]
    if None not in kinds and kinds[0] is not kinds[1]:
        raise ImproperlyConfigured(
            f"{asked}, a column of type {columns[key].type!r}, and the key of users is of type "
            f"{users[0].type!r}; name a column that has the keys of users"
        )
    if USER_IS_SAID not in mapper.column_attrs:
        raise ImproperlyConfigured(
            f"{asked}, and {transaction_class.__name__} has no column {USER_IS_SAID!r}, which "
            "tells whether a context has said who the user is; declare the class together with "
            f"the first that are versioned, or give {transaction_class.__name__} that column: "
            f"Column({USER_IS_SAID!r}, Boolean)"
        )


def index_names(
    options: Options, columns: Mapping[str, Column[Any]], tables: Iterable[VersionSpec]
) -> None:
    """Have an index on what objects are called by.

    :param columns: the version columns of what is kept, by attribute.
    :param tables: the tables that have them.
    """
    column = columns.get(options.object_id_attribute or "")
    for spec in tables:
        if column is not None and spec.version_table is column.table:
            ensure_index(spec, [column])
