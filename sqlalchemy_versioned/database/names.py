"""Names in statements that are ours, apart from those of the application."""

from __future__ import annotations

from sqlalchemy import Table

__all__ = ["free_prefix"]


def free_prefix(*tables: Table) -> str:
    """Return how names in statements begin that are ours, as no name of these tables does.

    SQLAlchemy sets a column to the parameter of its name, asked or not.
    """
    columns = (each for table in tables for column in table.c for each in (column.key, column.name))
    taken = [*[table.name for table in tables], *columns]
    prefix = "versioned_"
    while any(name.lower().startswith(prefix) for name in taken):
        prefix += "_"
    return prefix
