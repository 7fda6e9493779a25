"""Columns of version tables hold values and promise nothing."""

import enum
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Enum,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Sequence,
    String,
    Table,
    TypeDecorator,
    func,
)
from sqlalchemy.dialects import mysql, postgresql

from sqlalchemy_versioned.alembic.types import plain_type
from sqlalchemy_versioned.build.columns import (
    StoredEnum,
    build_bookkeeping_columns,
    build_version_column,
    version_type,
)
from sqlalchemy_versioned.said_options import build_options


class Color(enum.Enum):
    """Values differ from names."""

    RED = "r"
    BLUE = "b"


def build(*arguments: Any, is_key: bool = False, **keywords: Any) -> Column[Any]:
    """Return the version column of a column of a table."""
    column = Column("x", *arguments, **keywords)
    Table("t", MetaData(), Column("id", Integer, primary_key=True), column)
    return build_version_column(column, key="x", is_key=is_key)


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ((Integer,), {"default": 1}),
        ((Integer,), {"onupdate": 1, "server_onupdate": func.now()}),
        ((Integer,), {"server_default": "1"}),
        ((Integer, Sequence("s")), {}),
        ((Integer, Identity(always=True)), {}),
        ((Integer, Computed("id * 2")), {}),
        ((Integer, ForeignKey("t.id")), {}),
        ((Integer, CheckConstraint("x > 0")), {}),
        ((Integer,), {"unique": True, "index": True, "nullable": False}),
    ],
)
def test_nothing_but_the_value_is_copied(arguments, keywords):
    """Defaults, generators and constraints stay with the live column."""
    column = build(*arguments, **keywords)

    assert column.default is column.onupdate is None
    assert column.server_default is column.server_onupdate is None
    assert column.computed is column.identity is None
    assert not column.constraints
    assert not column.foreign_keys
    assert not column.unique
    assert column.nullable


@pytest.mark.parametrize("index", [True, False])
def test_indexes_are_kept(index):
    """The past of a column is looked up like its present; a unique index becomes a plain one."""
    column = build(Integer, index=index, unique=index)

    assert column.index is index
    assert not column.unique


def test_key_columns():
    """A key is not null and never numbered by the database."""
    column = build(Integer, is_key=True)

    assert column.primary_key
    assert not column.nullable
    assert column.autoincrement is False


def test_comment_is_kept():
    """What a column means does not change."""
    assert build(Integer, comment="in cents").comment == "in cents"


def test_type_is_a_copy():
    """Extensions that know a type by identity do not take the version column for the live one."""
    type_ = String(9)
    copied = build(type_).type

    assert copied is not type_
    assert copied.length == 9


@pytest.mark.parametrize(
    "type_",
    [
        Enum(Color),
        Enum("a", "b", name="ab"),
        postgresql.ENUM(Color, name="color"),
        mysql.ENUM("a", "b"),
    ],
)
def test_enums_become_text(type_):
    """No type of the database, and no check, is in the way of a renamed member."""
    column = build(type_)

    assert isinstance(column.type, StoredEnum)
    assert column.type.compile(dialect=postgresql.dialect()) == "VARCHAR(255)"


def test_enum_inside_other_types():
    """Enums in arrays and behind decorators become text as well."""

    class Decorated(TypeDecorator[Any]):
        impl = Enum(Color)
        cache_ok = True

    array = version_type(ARRAY(Enum(Color)))

    assert array.compile(dialect=postgresql.dialect()) == "VARCHAR(255)[]"
    assert version_type(Decorated()).compile(dialect=postgresql.dialect()) == "VARCHAR(255)"


def test_boolean_without_check():
    """The CHECK of a boolean has a name that cannot be used twice."""
    column = build(Boolean(create_constraint=True, name="flag"))

    assert not column.type.create_constraint


@pytest.mark.parametrize("type_", [Boolean(), Enum(Color)], ids=["boolean", "enum"])
def test_variants_stay(type_):
    """Where another type is said for one database, versions have it there; migrations write it."""
    varied = version_type(type_.with_variant(Integer(), "postgresql"))

    for written in (varied, plain_type(varied)):
        assert written.compile(dialect=postgresql.dialect()) == "INTEGER"
        elsewhere = version_type(type_).compile(dialect=mysql.dialect())
        assert written.compile(dialect=mysql.dialect()) == elsewhere


def test_stored_enum_loads_what_it_knows():
    """Members are loaded as members, retired ones as text."""
    dialect = postgresql.dialect()
    load = StoredEnum(Enum(Color)).result_processor(dialect, None)
    store = StoredEnum(Enum(Color)).bind_processor(dialect)

    assert [load("RED"), load("PINK"), load(None)] == [Color.RED, "PINK", None]
    assert [store(Color.RED), store("RED"), store(None)] == ["RED", "RED", None]


@pytest.mark.parametrize("has_end", [True, False])
def test_bookkeeping_columns(has_end):
    """The columns that are ours come in a fixed order, named by options."""
    options = build_options({"transaction_column_name": "tx"}, owner="test")
    columns = build_bookkeeping_columns(options, has_end=has_end)

    names = [column.name for column in columns]
    assert names == ["tx", *(["end_transaction_id"] if has_end else []), "operation_type"]
    assert [column.primary_key for column in columns] == [True] + [False] * (len(names) - 1)
