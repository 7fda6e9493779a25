"""The attributes that options name for change records: looked for, and indexed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Column

from ..exc import ImproperlyConfigured
from ..model.spec import VersionSpec
from ..options import ATTRIBUTES, Options
from .indexes import ensure_index

__all__ = ["check_names", "index_names"]


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
