"""What databases can do, and what they do otherwise than others: questions to a dialect.

Below everything that builds statements; nothing here knows what versioning is.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, Table, cast, func, literal_column, select, true, types
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ColumnElement

from .. import _sqlalchemy
from .._typing import MAPPING, is_array

__all__ = [
    "can_go_on_after_errors",
    "can_select_from_target",
    "conversion_arguments",
    "counts_rows",
    "decimal_places",
    "enum_places",
    "forgets_whole_keys",
    "groups_by_keys",
    "has_concurrent_writers",
    "has_enum_types",
    "has_native_uuids",
    "has_rolled_back",
    "has_settings",
    "has_short_keys",
    "has_statement_triggers",
    "has_writable_ctes",
    "hides_changes",
    "integer_bits",
    "is_named",
    "is_native_enum",
    "is_text",
    "joins_whole_tables",
    "lacks_equality",
    "locks_one_table",
    "locks_small_tables",
    "locks_what_is_missing",
    "native_type",
    "numbers_may_recur",
    "pads_text",
    "refuses_nul",
    "refuses_rows_of_themselves",
    "repeats_subqueries",
    "returns_inserted",
    "rounds_seconds",
    "schemas_looked_in",
    "second_places",
    "shows_casts_as_kept",
    "state_and_message",
    "stored_type",
    "tells_texts_apart",
    "without_doubled_percents",
    "writes_past_snapshots",
]


def is_native_enum(type_: types.TypeEngine[Any]) -> bool:
    """Tell whether a type is an enum of the database itself, or an array of one."""
    if is_array(type_):
        return is_native_enum(type_.item_type)
    return isinstance(type_, types.Enum) and type_.native_enum


def has_enum_types(dialect: Dialect) -> bool:
    """Tell whether enums are types that nothing but their own values can be compared with."""
    return dialect.name == "postgresql"


def is_named(type_: types.TypeEngine[Any], name: str) -> bool:
    """Tell whether a type is the one of this name, which only some databases have.

    Needs no class: the modules of the dialects take long to import, and one of them will do.
    """
    return type_.__visit_name__ == name


def stored_type(column: ColumnElement[Any], dialect: Dialect) -> types.TypeEngine[Any]:
    """Return the type of *column* on one database, behind decorators and variants."""
    type_ = column.type.dialect_impl(dialect)
    while isinstance(type_, types.TypeDecorator):
        type_ = type_.load_dialect_impl(dialect).dialect_impl(dialect)
    return type_


def shows_casts_as_kept(column: ColumnElement[Any], dialect: Dialect) -> bool:
    """Tell whether a value that is cast to the type of *column* comes back as from there.

    SQLite keeps what it is given.  MySQL has casts to few types, and returns the others so anyway.
    """
    if dialect.name in ("mysql", "mariadb"):
        return isinstance(stored_type(column, dialect), (types.Date, types.Time, types.DateTime))
    return dialect.name != "sqlite"


def native_type(column: ColumnElement[Any]) -> types.TypeEngine[Any]:
    """Return the type of *column* behind decorators."""
    type_: types.TypeEngine[Any] = column.type
    while isinstance(type_, types.TypeDecorator):
        type_ = type_.impl_instance
    return type_


def has_concurrent_writers(dialect: Dialect) -> bool:
    """Tell whether two transactions may write at the same time; SQLite has one writer."""
    return dialect.name != "sqlite"


def can_select_from_target(dialect: Dialect) -> bool:
    """Tell whether an UPDATE may read the table it changes in a subquery; MySQL refuses."""
    return dialect.name not in ("mysql", "mariadb")


def counts_rows(dialect: Dialect) -> bool:
    """Tell whether SQLAlchemy notices that a statement with several sets of values found no row.

    asyncpg does not tell, nor does psycopg2 with ``executemany_mode='values_plus_batch'``.
    """
    return dialect.supports_sane_multi_rowcount


def conversion_arguments(
    dialect: Dialect, column_name: str, old: types.TypeEngine[Any], new: types.TypeEngine[Any]
) -> dict[str, str]:
    """Return what ``ALTER COLUMN`` must be told to give a column another type.

    PostgreSQL converts by itself only what it would convert in an assignment.  It is told nothing
    then, because an explicit conversion cuts texts that are too long.
    """
    is_text = isinstance(new, types.String) and not isinstance(new, types.Enum)
    if dialect.name != "postgresql" or is_text or _sqlalchemy.are_alike(old, new):
        return {}
    name = dialect.identifier_preparer.quote(column_name)
    return {"postgresql_using": f"{name}::{dialect.type_compiler_instance.process(new)}"}


def groups_by_keys(dialect: Dialect) -> bool:
    """Tell whether columns need not be grouped by where the primary key of their table is.

    SQLite and MariaDB never ask for it.
    """
    return dialect.name in ("postgresql", "mysql")


def lacks_equality(column: ColumnElement[Any], dialect: Dialect) -> bool:
    """Tell whether values of a column cannot be compared, and so not grouped by."""
    type_ = stored_type(column, dialect)
    is_json = isinstance(type_, types.JSON) and not is_named(type_, "JSONB")
    return is_json and dialect.name == "postgresql"


def enum_places(column: ColumnElement[Any], dialect: Dialect) -> tuple[str, ...]:
    """Return the values of an enum in the order in which the database sorts them.

    Nothing, where it is text or is cast to its type; MySQL has no such cast.
    """
    type_ = stored_type(column, dialect)
    is_sorted = dialect.name in ("mysql", "mariadb") and is_native_enum(type_)
    return tuple(type_.enums) if is_sorted and isinstance(type_, types.Enum) else ()


def returns_inserted(dialect: Dialect, sets: int) -> bool:
    """Tell whether an INSERT of so many sets of parameters can have a RETURNING.

    Of several, an engine made with ``use_insertmanyvalues=False`` returns nothing.
    """
    return dialect.insert_executemany_returning if sets > 1 else dialect.insert_returning


def can_go_on_after_errors(dialect: Dialect) -> bool:
    """Tell whether a transaction goes on after a statement that failed; PostgreSQL's does not."""
    return dialect.name != "postgresql"


#: Errors after which InnoDB has rolled back the whole transaction: a deadlock, too many locks, a
#: record that changed since the snapshot.
_ENDING_ERRORS = (1213, 1206, 1020)
#: The error after which it does so where ``innodb_rollback_on_timeout`` says so: no lock was got.
_LOCK_TIMEOUT = 1205


def has_rolled_back(connection: Connection, error: BaseException) -> bool:
    """Tell whether a database has rolled back a whole transaction by itself, with an error.

    SQLAlchemy believes that it goes on, if a savepoint was around the statement that failed.  A
    connection that is lost has nobody to be asked.
    """
    if connection.dialect.name in ("mysql", "mariadb"):
        number = _sqlalchemy.error_number(connection.dialect, error)
        if number == _LOCK_TIMEOUT:
            setting = literal_column("@@innodb_rollback_on_timeout", types.Integer)
            return bool(connection.scalar(select(setting)))
        return number in _ENDING_ERRORS
    if connection.dialect.name != "sqlite" or connection.invalidated:
        return False
    driver: Any = connection.connection.driver_connection
    return driver.in_transaction is False


def state_and_message(error: BaseException) -> tuple[str | None, str]:
    """Return the SQLSTATE of an error of PostgreSQL, and its first line."""
    fields: Any = error.args[0] if error.args else None
    if isinstance(fields, MAPPING):
        # pg8000 gives what it was sent.
        return fields.get("C"), str(fields.get("M"))
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state, str(error).partition("\n")[0]


def locks_one_table(dialect: Dialect) -> bool:
    """Tell whether ``FOR UPDATE OF`` exists."""
    return dialect.name in ("postgresql", "mysql", "oracle")


def locks_small_tables(dialect: Dialect) -> bool:
    """Tell whether looking for some keys locks all rows of a small table, unless in their order.

    InnoDB goes through all of an index that has everything which is selected, and locks on its way.
    """
    return dialect.name in ("mysql", "mariadb")


def locks_what_is_missing(dialect: Dialect) -> bool:
    """Tell whether looking for rows that do not exist locks others out of making them.

    InnoDB locks the gap that it finds, in every statement that writes.
    """
    return dialect.name in ("mysql", "mariadb")


def has_short_keys(dialect: Dialect) -> bool:
    """Tell whether a key of some texts of usual length may be too long; InnoDB has 3072 bytes."""
    return dialect.name in ("mysql", "mariadb")


def writes_past_snapshots(dialect: Dialect) -> bool:
    """Tell whether a transaction may write a row of which its reads show an earlier state.

    InnoDB lets it; elsewhere, a row that was changed since the snapshot cannot be written.
    """
    return dialect.name in ("mysql", "mariadb")


def hides_changes(dialect: Dialect) -> bool:
    """Tell whether a statement that copies rows may read what others have changed by then.

    InnoDB reads what is committed where it writes, and SQLite has one writer.
    """
    return dialect.name == "postgresql"


def refuses_rows_of_themselves(dialect: Dialect) -> bool:
    """Tell whether a row that refers to itself cannot be deleted; InnoDB refuses it."""
    return dialect.name in ("mysql", "mariadb")


def numbers_may_recur(dialect: Dialect, table: Table) -> bool:
    """Tell whether the database may number a new row like one that was deleted.

    SQLite does, unless the table says AUTOINCREMENT.
    """
    return dialect.name == "sqlite" and not table.dialect_options["sqlite"]["autoincrement"]


def is_text(column: ColumnElement[Any]) -> bool:
    """Tell whether a column holds text that is compared by a collation."""
    type_ = native_type(column)
    return isinstance(type_, types.String) and not isinstance(type_, types.Enum)


def tells_texts_apart(type_: types.String, dialect: Dialect) -> bool:
    """Tell whether two texts that differ are two keys.

    The collations of MySQL take letter case, or at least spaces at the end, for nothing.
    """
    if dialect.name in ("mysql", "mariadb") or is_named(type_, "CITEXT"):
        return False
    return type_.collation in (None, "C", "POSIX", "BINARY")


def pads_text(type_: types.TypeEngine[Any], dialect: Dialect) -> bool:
    """Tell whether a column returns spaces up to its length: ``CHAR`` on PostgreSQL."""
    # Drivers have types of their own, which no longer tell CHAR from VARCHAR.
    name = dialect.type_compiler_instance.process(type_)
    return dialect.name == "postgresql" and name.startswith("CHAR(")


def without_doubled_percents(dialect: Dialect) -> Dialect:
    """Return a dialect of the same kind that writes names and text as the database gets them.

    Drivers that mark parameters by ``%s`` want percent signs doubled.
    """
    kind: Any = type(dialect)
    plain: Dialect = kind(paramstyle="named")
    return plain


def has_settings(dialect: Dialect) -> bool:
    """Tell whether a transaction has settings of any name: ``set_config()``."""
    return dialect.name == "postgresql"


def integer_bits(type_: types.Integer, dialect: Dialect) -> int:
    """Return how many bits a number of a type has, beside its sign."""
    if dialect.name == "sqlite" or isinstance(type_, types.BigInteger):
        return 63
    return 15 if isinstance(type_, types.SmallInteger) else 31


def refuses_nul(dialect: Dialect) -> bool:
    """Tell whether text cannot have the character of number 0."""
    return dialect.name == "postgresql"


def has_native_uuids(dialect: Dialect) -> bool:
    """Tell whether UUIDs are stored as such, however they are written."""
    return dialect.supports_native_uuid


def schemas_looked_in(dialect: Dialect) -> ColumnElement[Any] | None:
    """Return where a session finds tables by now, if it can be told to look elsewhere."""
    if dialect.name == "postgresql":
        return cast(func.current_schemas(true()), types.ARRAY(types.Text))
    return func.database() if dialect.name in ("mysql", "mariadb") else None


def second_places(type_: types.TypeEngine[Any], dialect: Dialect) -> int | None:
    """Return how many places of seconds a column keeps; ``None`` if all that Python has."""
    has_places = dialect.name in ("mysql", "mariadb")
    if not has_places and dialect.name != "postgresql":
        return None
    # Drivers have types of their own, which no longer have a precision.
    said = re.search(r"\((\d)\)", dialect.type_compiler_instance.process(type_))
    if said:
        return int(said[1])
    return 0 if has_places else None


def rounds_seconds(dialect: Dialect) -> bool:
    """Tell whether moments are rounded to the places that a column keeps; MariaDB cuts them."""
    return not getattr(dialect, "is_mariadb", False)


def decimal_places(type_: types.Numeric[Any], dialect: Dialect) -> int | None:
    """Return to how many places the database rounds; ``None`` where it does not round."""
    # Until SQLAlchemy 2.1 floats are numbers with places as well.
    if dialect.name == "sqlite" or isinstance(type_, types.Float):
        return None
    if type_.scale is not None:
        return type_.scale
    # NUMERIC(10) has no places; plain NUMERIC is one of those on MySQL.
    is_whole = type_.precision is not None or dialect.name in ("mysql", "mariadb")
    return 0 if is_whole else None


def has_writable_ctes(dialect: Dialect) -> bool:
    """Tell whether one statement may hold others that write, in its ``WITH``."""
    return dialect.name == "postgresql"


def has_statement_triggers(dialect: Dialect) -> bool:
    """Tell whether triggers see the rows of a statement as sets: recording may be left to them."""
    return dialect.name == "postgresql"


def repeats_subqueries(dialect: Dialect) -> bool:
    """Tell whether the columns of a subquery are computed each time they are named.

    PostgreSQL makes one query of both, unless the inner one has an OFFSET.
    """
    return dialect.name == "postgresql"


def forgets_whole_keys(dialect: Dialect) -> bool:
    """Tell whether a row is found by the first column of its key where that says enough.

    SQLite does so with what a subquery computes, unless that has an OFFSET: what it learned by
    ANALYZE when each row had one version it believes of a row with thousands.
    """
    return dialect.name == "sqlite"


def joins_whole_tables(dialect: Dialect) -> bool:
    """Tell whether tables can be joined without a look in one for each row of the other."""
    return dialect.name == "postgresql"
