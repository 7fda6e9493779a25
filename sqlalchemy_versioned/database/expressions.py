"""Expressions that databases spell differently.

Below everything that builds statements; nothing here knows what versioning is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, cast, types
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement, Null
from sqlalchemy.sql.functions import FunctionElement

from .dialects import decimal_places, is_named, is_native_enum, stored_type

__all__ = [
    "AsDeclared",
    "BinaryJSON",
    "DatabaseUser",
    "Holds",
    "LastDrawn",
    "ReadFirst",
    "SameValue",
    "StampedUuid",
]


class SameValue(FunctionElement[bool]):
    """Two columns of one type hold exactly the same value, or both hold NULL.

    Stricter than ``IS NOT DISTINCT FROM`` where a collation or a type takes different values
    for equal, and usable where a type has no equality (``json``, ``xml``).
    """

    name = "same_value"
    inherit_cache: bool | None = True
    type: types.TypeEngine[bool] = Boolean()


class BinaryJSON(types.UserDefinedType[Any]):
    """PostgreSQL's ``jsonb``, to cast text to; its dialect need not be imported for that."""

    cache_ok: bool | None = True

    def get_col_spec(self, **kw: Any) -> str:
        """Return the name of the type."""
        return "JSONB"


class ReadFirst(FunctionElement[Any]):
    """A column by which no rows are looked up, so that its table is read before those joined to it.

    SQLite does not know that a page needs a few rows only.  Without statistics it reads the larger
    table first, and puts all of it in order.
    """

    name = "read_first"
    inherit_cache: bool | None = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type: types.TypeEngine[Any] = column.type


@compiles(ReadFirst)
def _read_first(element: ReadFirst, compiler: SQLCompiler, **kw: Any) -> str:
    (column,) = element.clauses
    return compiler.process(column, **kw)


@compiles(ReadFirst, "sqlite")
def _read_first_sqlite(element: ReadFirst, compiler: SQLCompiler, **kw: Any) -> str:
    (column,) = element.clauses
    return f"+{compiler.process(column, **kw)}"


class StampedUuid(FunctionElement[Any]):
    """A UUID for each row, of sixteen digits that are given and sixteen that the database makes.

    :param digits: the first sixteen.
    :param type_: the type of the column that gets it.
    """

    name = "stamped_uuid"
    inherit_cache: bool | None = True

    def __init__(self, digits: ColumnElement[str], type_: types.TypeEngine[Any]) -> None:
        super().__init__(digits)
        self.type = type_


@compiles(StampedUuid)
def _stamped_uuid(element: StampedUuid, compiler: SQLCompiler, **kw: Any) -> str:
    raise CompileError(
        f"versions on {compiler.dialect.name} cannot have UUIDs, of which the database would have "
        "to make one for each row; use version_id_type='integer'"
    )


@compiles(StampedUuid, "postgresql")
def _stamped_uuid_postgresql(element: StampedUuid, compiler: SQLCompiler, **kw: Any) -> str:
    (digits,) = (compiler.process(clause, **kw) for clause in element.clauses)
    # The second half of a random UUID says of itself, as it must, which kind of UUID it is of.
    return f"CAST({digits} || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID)"


@compiles(StampedUuid, "sqlite")
def _stamped_uuid_sqlite(element: StampedUuid, compiler: SQLCompiler, **kw: Any) -> str:
    (digits,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({digits} || '8' || substr(lower(hex(randomblob(8))), 2))"


@compiles(StampedUuid, "mysql")
@compiles(StampedUuid, "mariadb")
def _stamped_uuid_mysql(element: StampedUuid, compiler: SQLCompiler, **kw: Any) -> str:
    (digits,) = (compiler.process(clause, **kw) for clause in element.clauses)
    # Functions for random bytes are not in every release that is supported.
    return f"concat({digits}, '8', substr(md5(concat(uuid(), rand())), 2, 15))"


class LastDrawn(FunctionElement[int]):
    """The number that was drawn last from a sequence on this connection.

    :param drawing: what draws one.
    """

    name = "last_drawn"
    inherit_cache: bool | None = True

    def __init__(self, drawing: ColumnElement[int]) -> None:
        super().__init__(drawing)
        self.type: types.TypeEngine[int] = drawing.type


@compiles(LastDrawn, "postgresql")
def _last_drawn_postgresql(element: LastDrawn, compiler: SQLCompiler, **kw: Any) -> str:
    (drawing,) = element.clauses
    # Both take the name of the sequence, which is spelled where it is drawn from.
    return f"currval{compiler.process(drawing, **kw).removeprefix('nextval')}"


class Holds(FunctionElement[bool]):
    """A column holds a value that is given as a piece of the statement's text.

    To the ORM that is no comparison: of those in the condition that joins the tables of a class, it
    takes both sides for columns of these.
    """

    name = "holds"
    inherit_cache: bool | None = True
    type: types.TypeEngine[bool] = Boolean()


@compiles(Holds)
def _holds(element: Holds, compiler: SQLCompiler, **kw: Any) -> str:
    column, value = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} = {value}"


class DatabaseUser(FunctionElement[str]):
    """The user as whom a statement is executed; NULL where a database has none."""

    name = "database_user"
    inherit_cache: bool | None = True
    type: types.TypeEngine[str] = types.String()


@compiles(DatabaseUser)
def _database_user(element: DatabaseUser, compiler: SQLCompiler, **kw: Any) -> str:
    return "CURRENT_USER"


@compiles(DatabaseUser, "sqlite")
def _database_user_sqlite(element: DatabaseUser, compiler: SQLCompiler, **kw: Any) -> str:
    return "NULL"


class AsDeclared(FunctionElement[Any]):
    """A version column, or NULL, with the type that its parent column has in the database.

    Enums are kept as text; a native enum compares with nothing but its own type.
    """

    name = "as_declared"
    inherit_cache: bool | None = False

    def __init__(self, kept: ColumnElement[Any], declared: ColumnElement[Any]) -> None:
        super().__init__(kept)
        self.type: types.TypeEngine[Any] = declared.type
        self.declared = declared


@compiles(AsDeclared)
def _as_declared(element: AsDeclared, compiler: SQLCompiler, **kw: Any) -> str:
    (kept,) = element.clauses
    return compiler.process(kept, **kw)


@compiles(AsDeclared, "postgresql")
def _as_declared_postgresql(element: AsDeclared, compiler: SQLCompiler, **kw: Any) -> str:
    (kept,) = element.clauses
    is_enum = is_native_enum(stored_type(element.declared, compiler.dialect))
    # A column of nothing but NULL would be text.
    if is_enum or isinstance(kept, Null):
        kept = cast(kept, element.type)
    return compiler.process(kept, **kw)


# Types of which PostgreSQL has an equality that tells every two images apart.
_COMPARABLE = (
    types.Integer,
    types.Boolean,
    types.Date,
    types.Time,
    types.DateTime,
    types.LargeBinary,
    types.Uuid,
)


@compiles(SameValue)
def _same_value(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = element.clauses
    return f"({compiler.process(left.is_not_distinct_from(right), **kw)})"


@compiles(SameValue, "sqlite")
def _same_value_sqlite(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({left} COLLATE BINARY IS {right})"


@compiles(SameValue, "postgresql")
def _same_value_postgresql(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    if not all(_compares_exactly(clause, compiler.dialect) for clause in element.clauses):
        # Text compares byte by byte under "C"; citext, json, xml and enums need the cast.  To
        # PostgreSQL, a month is 30 days, 1.0 is 1.00 where no scale is said, and 0 is -0.
        left, right = (f'CAST({side} AS TEXT) COLLATE "C"' for side in (left, right))
    return f"({left} IS NOT DISTINCT FROM {right})"


def _compares_exactly(column: ColumnElement[Any], dialect: Dialect) -> bool:
    type_ = stored_type(column, dialect)
    if isinstance(type_, (types.Enum, types.Float)) or is_named(type_, "CITEXT"):
        return False
    if isinstance(type_, types.Numeric):
        return decimal_places(type_, dialect) is not None
    if isinstance(type_, _COMPARABLE) or is_named(type_, "JSONB"):
        return True
    # Only a collation that a column names itself can take different texts for equal.
    return isinstance(type_, types.String) and type_.collation is None


@compiles(SameValue, "mysql")
@compiles(SameValue, "mariadb")
def _same_value_mysql(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    stored = [stored_type(clause, compiler.dialect) for clause in element.clauses]
    if any(isinstance(type_, (types.String, types.JSON)) for type_ in stored):
        # The default collations take 'a' and 'A' for equal, and ignore spaces at the end.
        left, right = (f"CAST({side} AS BINARY)" for side in (left, right))
    return f"({left} <=> {right})"
