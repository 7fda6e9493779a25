"""Rows that history cannot tell apart: links without a key that have further columns."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column
from sqlalchemy.exc import IntegrityError

from ..exc import CaptureError
from ..model.spec import VersionSpec

__all__ = ["refusing_rivals"]


@contextmanager
def refusing_rivals(spec: VersionSpec) -> Generator[None, None, None]:
    """Refuse rows that have one key in history and differ, while their versions are written.

    :raises CaptureError: if the database refuses the versions.
    """
    try:
        yield
    except IntegrityError as error:
        if not spec.may_have_rivals:
            raise
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
