"""Rows that history cannot tell apart: links without a key that have further columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column
from sqlalchemy.exc import IntegrityError

from ..exc import CaptureError
from ..model.spec import VersionSpec

__all__ = ["refuse_rivals"]


def refuse_rivals(spec: VersionSpec, error: IntegrityError) -> None:
    """Refuse rows that have one key in history and differ, if that may be why there is an error.

    :param error: what the database has refused their versions with.
    :raises CaptureError: if it may be.
    """
    if not spec.may_have_rivals:
        return
    table, told = spec.parent_table, [pair.parent for pair in spec.key]
    others = [column for column in table.columns if column not in set(told)]
    raise CaptureError(
        f"versions of {table.fullname} cannot be written: it has no primary key, and history "
        f"tells its rows apart by {_names(told)} alone, of which there may be several rows "
        f"that differ in {_names(others)}; roll back, and give the table a primary key, or a "
        "unique constraint on what its rows link"
    ) from error


def _names(columns: Iterable[Column[Any]]) -> str:
    return ", ".join(column.name for column in columns)
