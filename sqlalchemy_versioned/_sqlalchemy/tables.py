"""Tables and the names of their aliases."""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Table
from sqlalchemy.sql.elements import _anonymous_label

__all__ = ["ShortAliasTable", "short_alias"]

#: The bytes of a table's name that its aliases have, which leaves room for their numbers.
_LENGTH = 40


def short_alias(table: Table) -> Any:
    """Return an alias of *table* whose name no database cuts off.

    SQLAlchemy cuts names that it makes, but counts letters where PostgreSQL counts bytes.  What
    numbers aliases may be cut off then, and an alias hide another, without an error.  Uses
    ``elements._anonymous_label``.
    """
    alias = Table.alias(table)
    if not table.name.isascii():
        start = table.name.encode()[:_LENGTH].decode(errors="ignore")
        alias.name = _anonymous_label.safe_construct(secrets.randbits(80), start)
    return alias


class ShortAliasTable(Table):
    """A table whose aliases have short names, whoever makes them: SQLAlchemy makes some itself."""

    inherit_cache = True

    def alias(self, name: str | None = None, flat: bool = False) -> Any:
        """Return an alias, named by :func:`short_alias` unless it is given a name."""
        return short_alias(self) if name is None else super().alias(name, flat)
