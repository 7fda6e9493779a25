"""What tells the statements by which the library writes version tables from all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["OURS", "is_ours"]

_NAME = "sqlalchemy_versioned_ours"
#: Execution options of statements by which the library writes version tables.
#:
#: Some are asked how many rows an INSERT has written, which psycopg forgets with its cursor.
OURS = {_NAME: True, "preserve_rowcount": True}


def is_ours(options: Mapping[str, Any]) -> bool:
    """Tell by its execution options whether a statement is one of the library."""
    return _NAME in options
