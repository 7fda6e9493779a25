"""Sets of keys as parameters: their style, and that each key is converted once."""

import json

import pytest
from sqlalchemy import Column, Integer, LargeBinary, String, TypeDecorator, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import version_class
from sqlalchemy_versioned.database.key_conditions import KeyConditions
from sqlalchemy_versioned.database.keys import KeyParameters, Style


class Counted(TypeDecorator):
    """Text that counts how often it is made ready for the database."""

    impl = String(40)
    cache_ok = True
    calls = 0

    def process_bind_param(self, value, dialect):
        """Count the call."""
        Counted.calls += 1
        return value


@pytest.fixture
def calls():
    """Return how many calls there were since the fixture was made, or asked last."""
    Counted.calls = 0

    def ask():
        number, Counted.calls = Counted.calls, 0
        return number

    return ask


def parameters(dialect, *types):
    """Return what makes sets of keys of columns with these types."""
    columns = [Column(f"c{number}", type_) for number, type_ in enumerate(types)]
    return KeyParameters(columns, dialect.dialect())


@pytest.mark.parametrize(
    ("dialect", "type_", "keys", "style"),
    [
        (sqlite, Integer, [1], Style.ONE),
        (mysql, Integer, [1], Style.ONE),
        (sqlite, Integer, [1, 2], Style.JSON),
        (sqlite, String, ["a", "b"], Style.JSON),
        (sqlite, String, ["a", "\0"], Style.LIST),
        (sqlite, String, ["a", "\ud800"], Style.LIST),
        (sqlite, LargeBinary, [b"a", b"b"], Style.LIST),
        (postgresql, Integer, [1, 2], Style.ARRAY),
        (mysql, Integer, [1, 2], Style.LIST),
    ],
)
def test_style(dialect, type_, keys, style):
    """One key is given plainly, several as the database takes them best and keeps them whole."""
    assert parameters(dialect, type_).sets(keys).style is style


@pytest.mark.parametrize(
    ("driver", "sent"), [("psycopg2", "{1,20,NULL}"), ("asyncpg", [1, 20, None])]
)
def test_numbers_are_one_text(driver, sent):
    """Drivers that take an array as text are given a text, whatever the number of keys."""
    dialect = postgresql.dialect()
    dialect.driver = driver
    column = Column("id", Integer)
    condition = KeyConditions([column], Style.ARRAY).member([column], "keys")
    compiled = condition.compile(dialect=dialect)

    process = compiled._bind_processors.get("keys", list)

    assert process([1, 20, None]) == sent
    assert "ANY" in str(compiled)


def test_keys_are_converted_once(calls):
    """However many sets a key is in, and whoever asks for the style, it is converted once."""
    keys = ["a", "b", "c"]
    sets = parameters(sqlite, Counted).sets(keys, {"checked": keys[1:], "given": ["d"]})

    assert sets.style is Style.JSON
    assert sets.can_be_looked_up
    given = {name: json.loads(text) for name, text in next(sets.chunks()).parameters().items()}
    assert given == {"keys": keys, "checked": ["b", "c"], "given": ["d"]}
    assert sets.without("given").style is Style.JSON
    assert calls() == 4


def test_first_key_that_does_not_fit_decides(calls):
    """Keys that must be given one by one are left to SQLAlchemy, but for a look at the first."""
    sets = parameters(sqlite, Integer, Counted).sets([(1, "\0"), (2, "b"), (3, "c")])

    assert sets.style is Style.LIST
    assert next(sets.chunks()).parameters() == {"keys": [(1, "\0"), (2, "b"), (3, "c")]}
    assert calls() == 1


def test_chunks_are_together_the_whole():
    """What is too much for one statement is split, and other sets with it."""
    keys = list(range(40_000))
    sets = parameters(mysql, Integer).sets(keys, {"checked": [7, 39_999]})

    chunks = [chunk.parameters() for chunk in sets.chunks()]

    assert len(chunks) > 1
    assert [key for chunk in chunks for key in chunk["keys"]] == keys
    assert [key for chunk in chunks for key in chunk["checked"]] == [7, 39_999]
    assert list(parameters(mysql, Integer).sets([]).chunks()) == []


def test_flush_converts_each_key_once_for_each_statement(
    Base, engine, database, mode, calls, count_statements
):
    """A flush converts no key more often than it sends it."""

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {}

        id: Mapped[str] = mapped_column(Counted, primary_key=True)
        text: Mapped[str]

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        notes = [Note(id=name, text="a") for name in "xyz"]
        session.add_all(notes)
        session.commit()
        # Once there is a look for rows without versions.
        notes[0].text = "a"
        session.commit()
        for note in session.scalars(select(Note)):
            note.text = "b"
        calls()
        with count_statements(engine) as statements:
            session.flush()

        # The image, the closing of the version before, which some databases look up first.
        written = statements.on("note_version").count
        assert written == mode.pick(3 if database.has("locked_gaps") else 2, 0)
        # The update, too; and a look at the form of each key, if sessions record.
        assert calls() == mode.pick(2 + written, 1) * len(notes)
        assert len(session.scalars(select(version_class(Note))).all()) == 6
