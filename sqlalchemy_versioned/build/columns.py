"""Columns of version tables: what is kept of a parent column, and the bookkeeping columns.

A version column holds values and promises nothing: no default, onupdate, identity, computed
expression, unique, check or foreign key.  It is indexed where its parent is.
"""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Enum,
    Integer,
    SmallInteger,
    String,
    false,
    types,
)
from sqlalchemy.engine import Dialect

from .. import _sqlalchemy
from .._typing import Processor, is_array
from ..database.dialects import has_short_keys, is_named
from ..database.expressions import DatabaseUser
from ..exc import ImproperlyConfigured
from ..model.operation import Operation
from ..options import Options
from ..recording.stamps import utc_now

__all__ = [
    "StoredEnum",
    "UTCDateTime",
    "build_bookkeeping_columns",
    "build_flag",
    "build_id_column",
    "build_stamp_columns",
    "build_version_column",
    "transaction_id_type",
]

_BY_CODE = {each.code: each for each in Operation}


def transaction_id_type() -> types.TypeEngine[Any]:
    """Return the type of transaction ids.

    SQLite numbers rows by itself only in columns that are called INTEGER.
    """
    return BigInteger().with_variant(Integer(), "sqlite")


class OperationType(types.TypeDecorator[Operation]):
    """Keeps an operation as a small integer, and loads it as an :class:`.Operation`."""

    impl: types.TypeEngine[Any] | type[types.TypeEngine[Any]] = SmallInteger
    cache_ok: bool | None = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        """Store the number."""
        return None if value is None else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Operation | None:
        """Load the member."""
        return None if value is None else Operation(value)


class OperationCode(types.TypeDecorator[Operation]):
    """Keeps an operation as its letter, and loads it as an :class:`.Operation`."""

    impl: types.TypeEngine[Any] | type[types.TypeEngine[Any]] = String(1)
    cache_ok: bool | None = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Store the letter."""
        return None if value is None else Operation(value).code

    def process_result_value(self, value: Any, dialect: Dialect) -> Operation | None:
        """Load the member."""
        return None if value is None else _BY_CODE[value]


class UTCDateTime(types.TypeDecorator[datetime]):
    """A moment, aware and in UTC on every database; stored without its zone.

    A naive value is refused, because nobody could tell which moment it means.
    """

    impl: types.TypeEngine[Any] | type[types.TypeEngine[Any]] = DateTime
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        """Keep microseconds where a plain DATETIME drops them."""
        if dialect.name in ("mysql", "mariadb"):
            from sqlalchemy.dialects.mysql import DATETIME

            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ImproperlyConfigured(
                f"issued_at is {value!r}, which has no time zone; give an aware datetime, "
                "such as datetime.now(timezone.utc)"
            )
        return value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Load aware UTC."""
        if value is None:
            return None
        loaded: datetime = value
        if loaded.tzinfo is not None:
            return loaded.astimezone(timezone.utc)
        return loaded.replace(tzinfo=timezone.utc)


class StoredEnum(types.TypeDecorator[Any]):
    """Keeps an enum as plain text, so that members can be renamed or dropped later.

    Values that the enum no longer has are loaded as the text that was stored.

    :param is_key: whether it is part of a key, which InnoDB gives only so much room.
    """

    impl: types.TypeEngine[Any] | type[types.TypeEngine[Any]] = String
    cache_ok: bool | None = True

    def __init__(self, enum: Enum, is_key: bool = False) -> None:
        self.enum = enum
        self.is_key = is_key
        super().__init__(length=_text_length(enum, 255))

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        """Take as little of a key as a member with another name may need."""
        if self.is_key and has_short_keys(dialect):
            return dialect.type_descriptor(String(_text_length(self.enum, 64)))
        return super().load_dialect_impl(dialect)

    def has_room_in(self, column_type: types.TypeEngine[Any], dialect: Dialect) -> bool:
        """Tell whether a column of some type takes every value: of text, and as long at least."""
        if not isinstance(column_type, String) or isinstance(column_type, Enum):
            return False
        wanted: Any = self.load_dialect_impl(dialect)
        length: int = wanted.length
        return column_type.length is None or column_type.length >= length

    def bind_processor(self, dialect: Dialect) -> Processor | None:
        """Store what the enum itself would store."""
        plain = _plain_enum(self.enum).bind_processor(dialect)

        def process(value: Any) -> Any:
            return value if value is None or plain is None else plain(value)

        return process

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        """Load members where they exist, text where they do not."""
        plain = _plain_enum(self.enum).result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            try:
                return value if value is None or plain is None else plain(value)
            except LookupError:
                return value

        return process

    def coerce_compared_value(self, op: Any, value: Any) -> types.TypeEngine[Any]:
        """Compare with members and with text alike."""
        return self


def _text_length(enum: Enum, room: int) -> int:
    return max(enum.length or 0, room)


def _plain_enum(enum: Any) -> Any:
    # The generic type has the processors; a dialect's own (PostgreSQL's) expects the driver's.
    return enum.adapt(Enum, native_enum=False, create_constraint=False)


def version_type(type_: types.TypeEngine[Any], *, is_key: bool = False) -> types.TypeEngine[Any]:
    """Return the type in which values of *type_* are kept.

    :param is_key: whether they are part of a key, or refer to one.
    """
    kept = _replacing_type(type_, is_key)
    if kept is None:
        return _copied_type(type_, is_key)
    for dialect, variant in _sqlalchemy.variants_of(type_).items():
        kept = kept.with_variant(version_type(variant, is_key=is_key), dialect)
    return kept


def _replacing_type(type_: types.TypeEngine[Any], is_key: bool) -> types.TypeEngine[Any] | None:
    """Return another type in which values are kept, for those that bring something along."""
    if isinstance(type_, Enum):
        return StoredEnum(type_, is_key)
    if isinstance(type_, Boolean):
        return Boolean()
    if is_named(type_, "DOMAIN"):
        return version_type(type_.data_type, is_key=is_key)  # type: ignore[attr-defined]
    return None


def _copied_type(type_: types.TypeEngine[Any], is_key: bool) -> types.TypeEngine[Any]:
    if is_array(type_):
        array = copy.copy(type_)
        array.item_type = version_type(type_.item_type)
        return array
    # A copy: extensions such as sqlalchemy.ext.mutable know a type by its identity.
    copied = copy.copy(type_)
    if isinstance(copied, types.TypeDecorator) and isinstance(copied.impl, types.TypeEngine):
        # Both names, as SQLAlchemy itself does: the second is a copy that it may have made.
        kept = version_type(copied.impl, is_key=is_key)
        vars(copied).update(dict.fromkeys(("impl", "impl_instance"), kept))
    return copied


def build_version_column(
    column: Column[Any], *, key: str, is_key: bool, key_is_primary: bool = True
) -> Column[Any]:
    """Build the column that keeps the values of *column*.

    :param key: the key under which the version table has it.
    :param is_key: whether rows are recognised by it.
    :param key_is_primary: whether such columns are part of the version table's primary key.
    """
    return Column(
        column.name,
        version_type(column.type, is_key=is_key or bool(column.foreign_keys)),
        key=key,
        primary_key=is_key and key_is_primary,
        nullable=not is_key,
        # Whoever looks for rows by it looks for them in the past as well.
        index=bool(column.index),
        # MySQL numbers a lone integer key column by itself unless told not to.
        autoincrement=False,
        comment=column.comment,
    )


def build_id_column(options: Options, *, is_numbered: bool) -> Column[Any]:
    """Build the column of the ids of versions.

    :param is_numbered: whether the database numbers the rows, if the ids are numbers; the tables
        of subclasses have the ids that the base-most table has.
    """
    is_number = options.version_id_type == "integer"
    return Column(
        options.version_id_column_name,
        transaction_id_type() if is_number else version_uuid_type(),
        primary_key=True,
        nullable=False,
        autoincrement=is_number and is_numbered,
    )


def version_uuid_type() -> types.TypeEngine[Any]:
    """Return the type of ids that are UUIDs.

    MariaDB puts its own UUIDs in another order than that of their digits.
    """
    text = types.Uuid(native_uuid=False)
    return types.Uuid().with_variant(text, "mariadb", "mysql")


def build_flag(column: Column[Any], *, name: str, key: str) -> Column[Any]:
    """Build the flag that stands in a version table for a masked column."""
    return Column(
        name,
        Boolean,
        key=key,
        nullable=False,
        default=False,
        server_default=false(),
        comment=column.comment,
    )


def build_bookkeeping_columns(options: Options, *, has_end: bool) -> list[Column[Any]]:
    """Build the transaction, end (where the strategy has one) and operation columns."""
    merges = options.strategy.merges
    transaction = Column(
        options.transaction_column_name,
        transaction_id_type(),
        primary_key=merges,
        nullable=False,
        autoincrement=False,
        index=True,
    )
    end = Column(options.end_transaction_column_name, transaction_id_type(), nullable=True)
    kind = OperationCode if options.operation_type_format == "code" else OperationType
    operation = Column(options.operation_type_column_name, kind, nullable=False)
    return [transaction, *([end] if has_end else []), operation]


def build_stamp_columns(options: Options) -> list[Column[Any]]:
    """Build the columns that say when a version was written, and by which database user."""
    issued_at, db_user = options.stamp_names
    columns: list[Column[Any]] = []
    if issued_at is not None:
        columns.append(Column(issued_at, UTCDateTime(), default=utc_now))
    if db_user is not None:
        columns.append(Column(db_user, String(255), default=DatabaseUser()))
    return columns
