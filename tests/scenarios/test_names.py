"""Columns and tables that are called like what statements of the library use."""

import re

import pytest
from sqlalchemy import Column, ForeignKey, String, Table, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, configure_mappers, joinedload, mapped_column, relationship

from sqlalchemy_versioned import Operation, as_of, get_changes, vacuum, version_class
from sqlalchemy_versioned.database.keys import Style
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import spec_of, table_spec_of
from sqlalchemy_versioned.recording.statements import StatementBuilder

pytestmark = pytest.mark.strategies()

SETS = ("keys", "checked", "inserts", "deletes", "given", "added_0")
ALIASES = ("own", "before", "open", "touched", "image", "newest", "transaction_", "next_", "key_0")
WORDS = ("tx", "new", *SETS, *(f"{name}_0" for name in SETS), *ALIASES)
#: Names that columns are given: the words, alone and behind every prefix that could be chosen.
COLUMNS = [
    *WORDS,
    *(f"versioned_{word}" for word in WORDS),
    *("k0", "k1", "value", "param_1", "versioned__tx", "anon_1", "tx_", "op_", "previous_"),
]
KEYS = ("keys", "versioned_keys_0", "next_")
PLAIN = [name for name in COLUMNS if name not in KEYS]
TABLES = ("own", "before", "open", "touched", "versioned_before", "versioned_touched", "anon_1")


def declare(Base, name, keys, columns, **options):
    """Return a class of a table of this name: text columns, some of them its primary key."""
    body = {column: mapped_column(column, String(20), primary_key=True) for column in keys}
    body |= {c: mapped_column(c, String(20), nullable=True) for c in columns if c not in keys}
    return type(name.title(), (Base,), {"__tablename__": name, "__versioned__": options, **body})


def history(session, cls, value):
    """Return the key, the operation and a value of each version, in order, as one word."""
    found = version_class(cls)
    key = getattr(found, next(column.key for column in found.__table__.primary_key))
    rows = session.scalars(select(found).order_by(found.transaction_id, key)).all()
    code = [Operation(row.operation_type).code for row in rows]
    return [f"{getattr(row, key.key)}{c}{value(row)}" for row, c in zip(rows, code, strict=True)]


def fill(obj, letter):
    """Give every column but those of the key a value of its own, which starts with a letter."""
    for number, name in enumerate(PLAIN):
        setattr(obj, name, f"{letter}{number}")
    return obj


def letter_of(obj):
    """Return the letter that an object was filled with."""
    (letter,) = {getattr(obj, name).removesuffix(str(n)) for n, name in enumerate(PLAIN)}
    return letter


@pytest.fixture
def oddity(Base, engine):
    """A class of which every column is called like something of ours."""
    cls = declare(Base, "oddity", KEYS, COLUMNS)
    configure_mappers()
    Base.metadata.create_all(engine)
    return cls


@pytest.mark.strategies("validity")
def test_key_with_a_long_name(Base, engine):
    """A key may be called as long as a database takes, where its rows come and where they go."""
    cls = declare(Base, "thing", ["k" * 63], ["name"])
    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        thing = cls(**{"k" * 63: "x"}, name="a")
        session.add(thing)
        session.commit()
        thing.name = "b"
        session.commit()
        session.delete(thing)
        session.commit()

        assert history(session, cls, lambda v: v.name) == ["xIa", "xUb", "xDb"]


@pytest.mark.parametrize("letter", ["ж", "名"])
def test_tables_with_long_names(Base, engine, letter):
    """PostgreSQL counts bytes of names: what tells aliases of one table apart is not cut off."""
    # Names that have the most bytes there may be, by themselves or with "_version".
    long, count = letter * 21, len(letter.encode())
    Part = declare(Base, long[: 54 // count] + "p", ["id"], ["name"])
    Whole = declare(Base, long[: 61 // count] + "w", ["id"], ["name"])
    Part.whole_id = mapped_column(ForeignKey(Whole.id))
    Whole.parts = relationship(Part, order_by=Part.id)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        whole = Whole(id="w", name="a", parts=[Part(id="p", name="a"), Part(id="q", name="a")])
        session.add(whole)
        session.commit()
        first = whole.versions[0].transaction
        whole.name = whole.parts[0].name = "b"
        session.commit()

        changes = [version.changeset["name"] for version in whole.versions]
        assert changes == [[None, "a"], ["a", "b"]]
        with as_of(session, first) as past:
            then = past.scalars(select(Whole).options(joinedload(Whole.parts))).unique().one()
            assert (then.name, [part.name for part in then.parts]) == ("a", ["a", "a"])
        assert len(get_changes(Part, session)) == 3
        assert verify(session) == []


@pytest.mark.strategies("validity", "subquery")
def test_columns_called_like_parameters(oddity, engine):
    """Their values go their way, whatever happens to the rows in however many flushes."""
    with Session(engine) as session:
        one, two, three = (fill(oddity(**dict.fromkeys(KEYS, key)), "a") for key in "xyz")
        session.add_all([one, two, three])
        session.flush()
        fill(one, "b")
        session.flush()
        fill(one, "a")
        session.commit()
        assert history(session, oddity, letter_of) == ["xIa", "yIa", "zIa"]

        fill(one, "b"), fill(two, "b")
        session.flush()
        session.delete(two)
        three.keys = "q"
        session.add(fill(oddity(**dict.fromkeys(KEYS, "p")), "c"))
        session.flush()
        three.keys = "z"
        session.commit()
        assert history(session, oddity, letter_of)[3:] == ["pIc", "xUb", "yDb"]

        session.delete(one)
        session.commit()
        assert history(session, oddity, letter_of)[6:] == ["xDb"]


@pytest.mark.strategies("validity", "subquery")
def test_statements_that_set_columns_called_like_parameters(oddity, engine):
    """They set these columns of the rows that their condition finds, whatever else it takes."""
    with Session(engine) as session:
        one, two = (fill(oddity(**dict.fromkeys(KEYS, key)), "a") for key in "xy")
        session.add_all([one, two])
        session.commit()
        said = {name: f"b{number}" for number, name in enumerate(PLAIN)}

        session.execute(update(oddity).where(oddity.next_ < "y").values(said))
        session.commit()

        assert letter_of(one) == "b"
        assert history(session, oddity, letter_of) == ["xIa", "yIa", "xUb"]


@pytest.mark.strategies("validity", "subquery")
def test_vacuum_of_columns_called_like_parameters(oddity, engine):
    """A version that says nothing new is found by columns of any name."""
    with Session(engine) as session:
        one = fill(oddity(**dict.fromkeys(KEYS, "x")), "a")
        session.add(one)
        session.commit()
        fill(one, "b")
        session.commit()
        fill(session.scalars(select(version_class(oddity)).filter_by(operation_type=1)).one(), "a")

        assert vacuum(session, oddity) == 1
        assert history(session, oddity, letter_of) == ["xIa"]


def test_verifying_objects_with_keys_called_like_columns_of_ours(Base, open_session):
    """What is wrong about objects of several tables is looked for by keys of any name."""

    class Word(Base):
        __tablename__ = "word"
        __versioned__ = {}
        preceded = mapped_column(String(20), primary_key=True)

    class Verb(Word):
        __tablename__ = "verb"
        preceded = mapped_column(ForeignKey("word.preceded"), primary_key=True)

    session = open_session(Base)
    session.add(Verb(preceded="x"))
    session.commit()

    assert verify(session) == []


@pytest.mark.strategies("validity")
@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("mark_deleted", "operation_type"),
        ("close", "end_transaction_id"),
        ("close_recorded", "end_transaction_id"),
        ("reopen", "end_transaction_id"),
        ("move", "transaction_id"),
        ("move_ends", "end_transaction_id"),
    ],
)
def test_statements_set_one_column(Base, name, column):
    """A statement sets what it is for, and no column that is called like its parameters."""
    cls = declare(Base, "oddity", KEYS, COLUMNS)
    configure_mappers()
    builder = StatementBuilder(spec_of(cls).root, (), postgresql.dialect(), Style.ARRAY)
    statement = getattr(builder, name)()
    parameters = [each for each in statement.compile().params if not each.startswith(column)]

    text = str(statement.compile(column_keys=parameters))

    assert re.search(r" SET (\w+)=(:\w+|NULL)\s+(FROM|WHERE) ", text)[1] == column


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("is_version_table", [False, True], ids=["parent", "version"])
@pytest.mark.parametrize("name", TABLES)
def test_tables_called_like_aliases(Base, engine, name, is_version_table):
    """A table is not mistaken for what stands for another in a statement."""
    table, pattern = (name[1:], f"{name[0]}%s") if is_version_table else (name, "%s_version")
    cls = declare(Base, table, ("id",), ("id", "checked"), table_name=pattern)
    configure_mappers()
    Base.metadata.create_all(engine)
    assert name in (cls.__table__.name, version_class(cls).__table__.name)
    with Session(engine) as session:
        one, two = cls(id="1", checked="a"), cls(id="2", checked="a")
        session.add_all([one, two])
        session.commit()
        one.checked = two.checked = "b"
        session.flush()
        one.checked = "a"
        session.commit()
        one.id = "3"
        session.commit()
        session.delete(two)
        session.commit()
        told = history(session, cls, lambda row: row.checked)
        assert told == ["1Ia", "2Ia", "2Ub", "1Da", "3Ia", "2Db"]
        assert not list(verify(session))


def test_links_called_like_parameters(Base, engine):
    """The rows of an association table that is called so are recorded and read as others are."""
    given = Table(
        "given",
        Base.metadata,
        Column("versioned_keys", ForeignKey("touched.id"), primary_key=True),
        Column("given", ForeignKey("non_1.id"), primary_key=True),
    )
    left = declare(Base, "touched", ("id",), ("id",))
    # Versions are in a table called like what SQLAlchemy does not name: anon_1.
    right = declare(Base, "non_1", ("id",), ("id",), table_name="a%s")
    left.rights = relationship(right, secondary=given)
    configure_mappers()
    Base.metadata.create_all(engine)
    kept = table_spec_of(given).version_table
    with Session(engine) as session:
        one, two, three = (right(id=key) for key in "abc")
        obj = left(id="x", rights=[one, two])
        session.add_all([obj, three])
        session.commit()
        obj.rights = [two, three]
        session.flush()
        obj.rights.remove(two)
        session.commit()
        rows = session.execute(select(kept).order_by(kept.c.transaction_id, kept.c.given))
        told = [(row.given, Operation(row.operation_type).code) for row in rows]
        assert told == [("a", "I"), ("b", "I"), ("a", "D"), ("b", "D"), ("c", "I")]
        session.add(left(id="y", rights=[one]))
        session.commit()
        assert [sorted(each.id for each in v.rights) for v in obj.versions] == [["a", "b"]]
