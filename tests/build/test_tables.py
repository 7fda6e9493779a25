"""Layout and names of version tables."""

import pickle
import re

import pytest
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.exc import CompileError
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column, relationship
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

from sqlalchemy_versioned import ImproperlyConfigured, version_table, versioning_manager
from sqlalchemy_versioned.model.naming import MAX_NAME, cut_name
from sqlalchemy_versioned.plugins import (
    ActivityPlugin,
    PropertyModTrackerPlugin,
    TransactionChangesPlugin,
)
from tests.models import build_base

DIALECTS = {
    "sqlite": sqlite.dialect(),
    "postgresql": postgresql.dialect(),
    "mysql": mysql.dialect(),
    "mariadb": MariaDBDialect(),
    "mssql": mssql.dialect(),
    "oracle": oracle.dialect(),
}

GOLDEN = {
    "sqlite": """
CREATE TABLE article_version (
    seat INTEGER NOT NULL,
    "group" VARCHAR(5) NOT NULL,
    name VARCHAR(50),
    status VARCHAR(255),
    double INTEGER,
    transaction_id INTEGER NOT NULL,
    end_transaction_id INTEGER,
    operation_type SMALLINT NOT NULL,
    PRIMARY KEY ("group", seat, transaction_id)
)
CREATE INDEX ix_article_version_name ON article_version (name)
CREATE INDEX ix_article_version_transaction_id ON article_version (transaction_id)
""",
    "postgresql": """
CREATE TABLE article_version (
    seat INTEGER NOT NULL,
    "group" VARCHAR(5) NOT NULL,
    name VARCHAR(50),
    status VARCHAR(255),
    double INTEGER,
    transaction_id BIGINT NOT NULL,
    end_transaction_id BIGINT,
    operation_type SMALLINT NOT NULL,
    PRIMARY KEY ("group", seat, transaction_id)
)
CREATE INDEX ix_article_version_name ON article_version (name)
CREATE INDEX ix_article_version_transaction_id ON article_version (transaction_id)
""",
    "mysql": """
CREATE TABLE article_version (
    seat INTEGER NOT NULL,
    `group` VARCHAR(5) NOT NULL,
    name VARCHAR(50),
    status VARCHAR(255),
    `double` INTEGER,
    transaction_id BIGINT NOT NULL,
    end_transaction_id BIGINT,
    operation_type SMALLINT NOT NULL,
    PRIMARY KEY (`group`, seat, transaction_id)
)
CREATE INDEX ix_article_version_name ON article_version (name)
CREATE INDEX ix_article_version_transaction_id ON article_version (transaction_id)
""",
    "mariadb": """
CREATE TABLE article_version (
    seat INTEGER NOT NULL,
    `group` VARCHAR(5) NOT NULL,
    name VARCHAR(50),
    status VARCHAR(255),
    `double` INTEGER,
    transaction_id BIGINT NOT NULL,
    end_transaction_id BIGINT,
    operation_type SMALLINT NOT NULL,
    PRIMARY KEY (`group`, seat, transaction_id)
)
CREATE INDEX ix_article_version_name ON article_version (name)
CREATE INDEX ix_article_version_transaction_id ON article_version (transaction_id)
""",
    "mssql": """
CREATE TABLE article_version (
    seat INTEGER NOT NULL,
    [group] VARCHAR(5) NOT NULL,
    name VARCHAR(50) NULL,
    status VARCHAR(255) NULL,
    [double] INTEGER NULL,
    transaction_id BIGINT NOT NULL,
    end_transaction_id BIGINT NULL,
    operation_type SMALLINT NOT NULL,
    PRIMARY KEY ([group], seat, transaction_id)
)
CREATE INDEX ix_article_version_name ON article_version (name)
CREATE INDEX ix_article_version_transaction_id ON article_version (transaction_id)
""",
    "oracle": """
CREATE TABLE article_version (
    seat INTEGER NOT NULL,
    "group" VARCHAR2(5 CHAR) NOT NULL,
    name VARCHAR2(50 CHAR),
    status VARCHAR2(255 CHAR),
    double INTEGER,
    transaction_id NUMBER(19) NOT NULL,
    end_transaction_id NUMBER(19),
    operation_type SMALLINT NOT NULL,
    PRIMARY KEY ("group", seat, transaction_id)
)
CREATE INDEX ix_article_version_name ON article_version (name)
CREATE INDEX ix_article_version_transaction_id ON article_version (transaction_id)
""",
}


def ddl(table, dialect):
    """Return the statements that make a table, without differences of white space."""
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    statements = [CreateTable(table), *map(CreateIndex, indexes)]
    lines = "\n".join(str(each.compile(dialect=DIALECTS[dialect])) for each in statements)
    return [line.strip().rstrip(",").strip() for line in lines.splitlines() if line.strip()]


def lines_of(text):
    """Return the lines of a golden text in the same form."""
    return [line.strip().rstrip(",") for line in text.splitlines() if line.strip()]


@pytest.fixture
def Article(Base):
    """A table with all that must not get into its version table."""

    class Other(Base):
        __tablename__ = "other"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        __table_args__ = (
            PrimaryKeyConstraint("group", "seat"),
            UniqueConstraint("name"),
            CheckConstraint("double > 0", name="positive"),
            Index("ix_name_status", "name", "status"),
            ForeignKeyConstraint(["double"], ["other.id"]),
            {"comment": "live"},
        )
        seat: Mapped[int] = mapped_column(ForeignKey("other.id"))
        group: Mapped[str] = mapped_column(String(5))
        name: Mapped[str] = mapped_column(String(50), index=True, unique=True, default="x")
        status = mapped_column(Enum("a", "b", name="status"), server_default="a", nullable=False)
        double: Mapped[int] = mapped_column(Computed("seat * 2"))

    configure_mappers()
    return Article


@pytest.mark.parametrize("dialect", DIALECTS)
def test_version_table_ddl(dialect, Article):
    """Columns in the parent's order, then ours; one key, indexes, no other promise."""
    assert ddl(version_table(Article), dialect) == lines_of(GOLDEN[dialect])


@pytest.mark.options(strategy="subquery")
def test_subquery_has_no_end_column(Article):
    """The strategy without ends has no column for them."""
    names = [column.name for column in version_table(Article).c]

    assert names[-2:] == ["transaction_id", "operation_type"]


def test_one_key_column_is_not_numbered(Base):
    """MySQL, SQL Server and PostgreSQL leave the key of versions to us."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(Identity(), primary_key=True)

    configure_mappers()
    # SQL Server would be told to take numbers for it (IDENTITY_INSERT).
    assert version_table(Article).autoincrement_column is None
    for dialect in DIALECTS:
        text = " ".join(ddl(version_table(Article), dialect)).upper()
        assert not any(word in text for word in ("AUTO_INCREMENT", "IDENTITY", "SERIAL"))


# -- names -------------------------------------------------------------------------------------


def declare(Base, name="article", schema=None, **versioned):
    """Return a versioned class with the least columns."""
    body = {
        "__tablename__": name,
        "__versioned__": versioned,
        "__table_args__": {"schema": schema},
        "id": mapped_column(Integer, primary_key=True),
    }
    cls = type(name.title(), (Base,), body)
    configure_mappers()
    return cls


@pytest.mark.options(table_name="history_of_%s")
def test_table_name_option(Base):
    """The option of make_versioned() holds for classes that say nothing else."""
    assert version_table(declare(Base)).name == "history_of_article"
    assert version_table(declare(Base, "tag", table_name="%s_history")).name == "tag_history"


@pytest.mark.parametrize(
    ("convention", "name"),
    [
        ("%(table_name)s_audit", "article_audit"),
        ("%(schema)s_%(table_name)s_v", "blog_article_v"),
    ],
)
def test_naming_convention_wins(convention, name, versioning):
    """The convention of the MetaData is what version tables are called by."""

    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention={"version.table": convention})

    table = version_table(declare(Base, schema="blog", table_name="%s_unheard"))

    assert (table.name, table.schema) == (name, "blog")


def test_bad_naming_convention(versioning):
    """A convention that asks for something unknown is refused, with what there is."""

    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention={"version.table": "%(table)s_v"})

    with pytest.raises(ImproperlyConfigured, match=r"%\(table_name\)s and %\(schema\)s"):
        declare(Base)


def test_conventions_for_keys_and_indexes(versioning):
    """Keys and indexes of version tables are named like others."""

    class Base(DeclarativeBase):
        metadata = MetaData(
            naming_convention={"ix": "i_%(column_0_label)s", "pk": "p_%(table_name)s"}
        )

    table = version_table(declare(Base))

    assert [str(index.name) for index in table.indexes] == ["i_article_version_transaction_id"]
    assert str(table.primary_key.name) == "p_article_version"


def test_version_schema(Base):
    """Version tables can live in a schema of their own."""
    table = version_table(declare(Base, schema="blog", version_schema="audit"))

    assert table.fullname == "audit.article_version"


def test_table_outside_the_default_schema(versioning):
    """The versions of a table without schema have none, whatever the default is."""
    from sqlalchemy.schema import BLANK_SCHEMA

    class Base(DeclarativeBase):
        metadata = MetaData(schema="blog")

    assert version_table(declare(Base, schema=BLANK_SCHEMA)).fullname == "article_version"


def test_taken_table_name(Base):
    """A live table of the version table's name is refused when mappers are configured."""
    Table("article_version", Base.metadata, Column("id", Integer))

    with pytest.raises(ImproperlyConfigured, match="set another 'table_name'"):
        declare(Base)


@pytest.mark.parametrize("name", ["transaction_id", "end_transaction_id", "operation_type"])
def test_taken_column_name(name, Base):
    """A column that is called like one of ours is refused, unless ours is renamed."""

    def build(**versioned):
        body = {
            "__tablename__": f"article{len(versioned)}",
            "__versioned__": versioned,
            "id": mapped_column(Integer, primary_key=True),
            name: mapped_column(Integer),
        }
        cls = type(f"Article{len(versioned)}", (Base,), body)
        configure_mappers()
        return cls

    option = {"operation_type": "operation_type_column_name"}.get(
        name, f"{name.removesuffix('_id')}_column_name"
    )
    assert name in version_table(build(**{option: "renamed"})).c
    with pytest.raises(ImproperlyConfigured, match=f"set the option '{option}'"):
        build()


@pytest.mark.parametrize("name", ["x" * 62, "x" * 64, "ü" * 40, "é" * 63])
def test_names_are_cut_to_the_limit(name):
    """A long name is cut in bytes, and what was cut off still tells names apart."""
    cut, other = cut_name(f"{name}_version"), cut_name(f"{name}y_version")

    assert len(cut.encode()) <= MAX_NAME
    assert cut != other
    assert cut_name(f"{name}_version") == cut


@pytest.mark.parametrize("convention", [None, {"ix": "ix_%(table_name)s_%(column_0_name)s"}])
def test_names_of_indexes_are_cut_to_the_limit(versioning, convention):
    """SQLAlchemy counts letters of names that are too long, PostgreSQL counts bytes."""

    class Base(DeclarativeBase):
        metadata = MetaData(schema="ж" * 15, naming_convention=convention)

    for last in "ab":
        body = {"id": mapped_column(Integer, primary_key=True)}
        table = {"__tablename__": "ж" * 20 + last, "__versioned__": {}}
        type(f"Page{last}", (Base,), table | body)
    configure_mappers()
    indexes = [index for table in Base.metadata.tables.values() for index in table.indexes]
    names = [str(CreateIndex(each).compile(dialect=postgresql.dialect())) for each in indexes]
    names = [re.search(r'INDEX "?(\S+?)"? ON', name)[1].encode() for name in names]
    assert len(set(names)) == len(indexes) == 3
    assert max(map(len, names)) <= MAX_NAME
    Base.registry.dispose(cascade=True)


#: Databases with the length that their names may have.
LIMITS = [
    pytest.param(postgresql.dialect(), 63, id="postgresql"),
    pytest.param(mysql.dialect(), 64, id="mysql"),
    pytest.param(MariaDBDialect(), 64, id="mariadb"),
    pytest.param(oracle.dialect(), 128, id="oracle"),
    pytest.param(mssql.dialect(), 128, id="mssql"),
    pytest.param(oracle.dialect(max_identifier_length=30), 30, id="old oracle"),
]


def names_in(statement):
    """Return the names that a statement gives, without quotes."""
    quoted = r'["`\[]?([^"`\]\s(]+)["`\]]?'
    found = re.findall(
        rf"(?:CREATE TABLE|CREATE INDEX|CREATE SEQUENCE|CONSTRAINT) {quoted}", statement
    )
    columns = re.findall(rf"^\t{quoted} [A-Z]", statement, re.MULTILINE)
    return found, [name for name in columns if name not in ("CONSTRAINT", "PRIMARY", "FOREIGN")]


@pytest.mark.parametrize(("dialect", "limit"), LIMITS)
def test_all_names_keep_the_limits(versioning, dialect, limit):
    """Tables, keys, indexes, columns and sequences fit, and none is called like another."""
    convention = {
        "ix": "ix_%(column_0_label)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }

    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention=convention)

    # The longest names that there may be, or that leave room for "_version" if that is too short.
    room = limit - 8 if limit < 63 else min(limit, 64)
    long = "x" * (room - 2)

    def declare(last, **body):
        body |= {f"{long}_k": mapped_column(Integer, primary_key=True)}
        names = {"__tablename__": long + last, "__versioned__": {}}
        return type(f"Page{last}", (Base,), names | body)

    One = declare("1")
    key = mapped_column(f"{long}_f", ForeignKey(One.__table__.c[f"{long}_k"]), index=True)
    Two = declare("2", key=key, one=relationship(One, backref="twos"))
    ends = [
        Column(f"{long}{n}", ForeignKey(cls.__table__.c[f"{long}_k"]), primary_key=True)
        for n, cls in enumerate((One, Two))
    ]
    Two.others = relationship(One, secondary=Table(f"{long}3", Base.metadata, *ends))
    configure_mappers()
    sequence = versioning.transaction_cls.__table__.c.id.default
    statements = [CreateSequence(sequence), *map(CreateTable, Base.metadata.tables.values())]
    indexes = [index for table in Base.metadata.tables.values() for index in table.indexes]
    given = []
    for statement in (*statements, *map(CreateIndex, indexes)):
        found, columns = names_in(str(statement.compile(dialect=dialect)))
        assert max(map(len, (*found, *columns))) <= limit, found
        assert len(set(columns)) == len(columns)
        given += found
    assert len(set(given)) == len(given)
    assert len(given) > 12
    Base.registry.dispose(cascade=True)


def test_mysql_text_options(Base):
    """Keys of a table with its own collation compare alike in its versions."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        __table_args__ = {"mysql_charset": "latin1", "postgresql_partition_by": "LIST (id)"}
        id: Mapped[str] = mapped_column(String(5), primary_key=True)

    configure_mappers()
    assert "CHARSET=latin1" in ddl(version_table(Article), "mysql")[-1 - 1]
    assert "PARTITION" not in " ".join(ddl(version_table(Article), "postgresql"))


# -- transactions ------------------------------------------------------------------------------

TRANSACTION = {
    "sqlite": "id INTEGER NOT NULL",
    "postgresql": "id BIGINT NOT NULL",
    "mysql": "id BIGINT NOT NULL AUTO_INCREMENT",
    "mariadb": "id BIGINT NOT NULL AUTO_INCREMENT",
    "mssql": "id BIGINT NOT NULL",
    "oracle": "id NUMBER(19) NOT NULL",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_transaction_table_ddl(dialect, blog):
    """Transactions are stored as they always were."""
    configure_mappers()
    lines = ddl(blog.metadata.tables["transaction"], dialect)

    assert lines[1].startswith(TRANSACTION[dialect])
    assert [line.split()[0] for line in lines[2:5]] == ["issued_at", "remote_addr", "PRIMARY"]


def test_transaction_sequence(blog):
    """Ids come from a sequence where there are sequences."""
    configure_mappers()
    sequence = versioning_manager.transaction_cls.__table__.c.id.default

    made = str(CreateSequence(sequence).compile(dialect=postgresql.dialect()))
    assert made == "CREATE SEQUENCE transaction_id_seq"


def test_big_integers_of_the_application(Base):
    """That transactions are numbered by SQLite is no business of anybody else's integers."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        views: Mapped[int] = mapped_column(BigInteger)

    configure_mappers()
    for table in (Article.__table__, version_table(Article)):
        assert "views BIGINT" in " ".join(ddl(table, "sqlite"))
    assert BigInteger().compile(dialect=DIALECTS["sqlite"]) == "BIGINT"


def test_bases_have_the_same_transaction_table(versioning):
    """Whichever base's tables are made first, transactions can be numbered."""
    bases = build_base(), build_base()
    for Base in bases:
        declare(Base)
    one, two = (Base.metadata.tables["transaction"] for Base in bases)

    for dialect in DIALECTS:
        assert ddl(one, dialect) == ddl(two, dialect)


@pytest.mark.options(
    plugins=[ActivityPlugin(), PropertyModTrackerPlugin(), TransactionChangesPlugin()],
    issued_at_column_name="issued_at",
    db_user_column_name="db_user",
    operation_type_format="code",
    transaction_columns=[Column("reason", String(50), default="import")],
)
def test_metadata_pickles(Base):
    """Tables go through pickle with all that versioning adds, and are made the same."""
    declare(Base)
    configure_mappers()

    again = pickle.loads(pickle.dumps(Base.metadata))
    assert "activity" in again.tables
    for dialect in DIALECTS:
        for name, table in Base.metadata.tables.items():
            try:
                made = ddl(table, dialect)
            except CompileError:
                # SQLAlchemy 2.0 knows no JSON for Oracle, which activities are kept in.
                assert (name, dialect) == ("activity", "oracle")
            else:
                assert ddl(again.tables[name], dialect) == made
