"""SQL text of PostgreSQL: names through the preparer of a dialect, values through its literals.

The templates of functions are text, so that they can be read whole; this is what fills them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from textwrap import indent
from typing import Any

from sqlalchemy import Column, ColumnElement, Enum, String, Table, literal
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import DDLCompiler

from .. import _sqlalchemy
from ..database.dialects import native_type
from ..model.operation import Operation
from ..model.spec import VersionSpec

__all__ = ["STAMP", "Text", "digest_of", "dollar_quoted", "fill", "stamped", "unstamped"]

#: What the first line of a function says, before the hash of what follows.
STAMP = "-- sqlalchemy_versioned 1 "


class Text:
    """Writes names and expressions for one compilation.

    :param default_schema: the schema of tables that name none.
    """

    def __init__(self, compiler: DDLCompiler, default_schema: str | None) -> None:
        self.dialect: Dialect = compiler.dialect
        self._compiler = compiler
        self._preparer = compiler.preparer
        self._aliased: dict[tuple[Table, str], Any] = {}
        self._default_schema = default_schema or compiler.dialect.default_schema_name or "public"

    def name(self, name: str) -> str:
        """Return *name*, quoted where it must be."""
        return self._preparer.quote(name)

    def table(self, table: Table) -> str:
        """Return a table with its schema."""
        return self.beside(table, table.name)

    def beside(self, table: Any, name: str) -> str:
        """Return the name of something in the schema of a table, or of a sequence."""
        schema = self._preparer.schema_for_object(table) or self._default_schema
        return f"{self._preparer.quote_schema(schema)}.{self.name(name)}"

    def column(self, alias: str, column: Column[Any]) -> str:
        """Return a column of an alias."""
        return f"{alias}.{self._preparer.quote(column.name)}"

    def columns(self, alias: str | None, columns: Iterable[Column[Any]]) -> str:
        """Return a list of columns."""
        if alias is None:
            return ", ".join(self._preparer.quote(column.name) for column in columns)
        return ", ".join(self.column(alias, column) for column in columns)

    def aliased(self, table: Table, alias: str) -> Any:
        """Return the columns of a table under an alias, by key, for expressions."""
        # One function asks dozens of times, and SQLAlchemy makes new columns for every alias.
        known = self._aliased.get((table, alias))
        if known is None:
            known = self._aliased[table, alias] = table.alias(alias).c
        return known

    def expression(self, element: ColumnElement[Any]) -> str:
        """Return an expression, its values as literals."""
        return self._compiler.sql_compiler.process(element, literal_binds=True)

    def value(self, value: Any, column: Column[Any]) -> str:
        """Return a value of a column as a literal."""
        return self.expression(literal(value, column.type))

    def string(self, value: str) -> str:
        """Return text as a literal."""
        return self.expression(literal(str(value), String()))

    def operation(self, spec: VersionSpec, operation: Operation) -> str:
        """Return an operation as the version table keeps it."""
        return self.expression(spec.operation(operation))

    def default(self, column: Column[Any]) -> str | None:
        """Return what the database puts into a column that is not given, if it says so."""
        return self._compiler.get_column_default_string(column)

    def stamped(self, body: str) -> str:
        """Return the body of a function with the hash of what the database keeps of it."""
        return _stamped(body, _sqlalchemy.as_executed(body, self._preparer))

    def kept(self, value: str, column: Column[Any]) -> str:
        """Return a key value of a parent column as its version column keeps it."""
        return f"CAST({value} AS VARCHAR)" if isinstance(native_type(column), Enum) else value


def fill(template: str, **slots: str) -> str:
    """Fill the slots of a template; what is put on a line of its own keeps its indentation.

    >>> fill("IF {condition} THEN\\n    {body}\\nEND IF;", condition="x", body="a;\\nb;")
    'IF x THEN\\n    a;\\n    b;\\nEND IF;'
    """
    lines: list[str] = []
    for line in template.strip("\n").splitlines():
        slot = line.strip()
        if slot.startswith("{") and slot.endswith("}") and slot[1:-1] in slots:
            text = slots[slot[1:-1]]
            if text:
                lines.append(indent(text, line[: line.index("{")]))
        else:
            lines.append(line.format(**slots) if "{" in line else line)
    return "\n".join(lines)


def stamped(body: str) -> str:
    """Return the body of a function with its hash in the first line."""
    return _stamped(body, body)


def _stamped(body: str, kept: str) -> str:
    return f"\n{STAMP}{_digest(kept)}\n{body}\n"


def unstamped(body: str) -> str:
    """Undo :func:`stamped`.

    >>> unstamped(stamped("a;"))
    'a;'
    """
    _, _, rest = body.partition(STAMP)
    return rest.partition("\n")[2].removesuffix("\n")


def digest_of(body: str, *, anew: bool = False) -> str:
    """Return the hash that the body of a function carries.

    :param anew: return the one that it should carry.
    """
    _, _, rest = body.partition(STAMP)
    digest, _, text = rest.partition("\n")
    return _digest(text.removesuffix("\n")) if anew else digest


def _digest(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def dollar_quoted(body: str) -> str:
    """Quote the body of a function by a tag that it does not have.

    >>> dollar_quoted("a")
    '$versioned$a$versioned$'
    """
    tag = "versioned"
    while f"${tag}$" in body:
        tag += "_"
    return f"${tag}${body}${tag}$"
