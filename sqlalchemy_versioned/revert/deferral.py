"""Having the database check a constraint at the end of the transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler

from .. import _sqlalchemy

__all__ = ["DeferConstraint"]


class DeferConstraint(Executable, ClauseElement):
    """``SET CONSTRAINTS … DEFERRED``, which holds until the transaction ends."""

    inherit_cache: bool | None = False

    def __init__(self, constraint: UniqueConstraint) -> None:
        self.constraint = constraint


@compiles(DeferConstraint)
def _defer(element: DeferConstraint, compiler: SQLCompiler, **_: Any) -> str:
    preparer, constraint = compiler.preparer, element.constraint
    name = preparer.format_constraint(constraint)
    schema = _sqlalchemy.schema_shown(preparer, constraint.table)
    if schema is not None:
        name = f"{preparer.quote_schema(schema)}.{name}"
    return f"SET CONSTRAINTS {name} DEFERRED"
