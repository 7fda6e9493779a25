"""Whatever way a versioned table is written, its history equals its rows."""

import re

import pytest
from sqlalchemy import select

from sqlalchemy_versioned import paused
from sqlalchemy_versioned.maintenance import FaultKind, verify
from sqlalchemy_versioned.model.lookup import TABLES
from tests.writing import (
    CORE,
    FIRST_ID,
    FLUSH,
    PATHS,
    TABLE,
    assert_history_is_true,
    build_press,
    seed,
    table,
)


@pytest.fixture
def models(keep):
    """The press."""
    return keep(build_press)


def rows_of(session, metadata):
    """Return the rows of each versioned table."""
    return {
        spec: set(map(repr, session.execute(select(*[pair.parent for pair in spec.pairs]))))
        for spec in metadata.info[TABLES].values()
    }


def assert_first_states_are_kept(session, before):
    """Of rows that were there, and have versions by now, the first is what they were."""
    changed = 0
    after = rows_of(session, next(iter(before)).parent_table.metadata)
    for spec, rows in before.items():
        key = [pair.version for pair in spec.key]
        shown = [*[pair.version for pair in spec.pairs], spec.transaction_column]
        places = [shown.index(column) for column in key]
        first = {}
        for row in session.execute(select(*shown).order_by(spec.transaction_column)):
            first.setdefault(tuple(row[n] for n in places), row)
            changed += row[-1] > 0
        kept = {repr(tuple(row[:-1])) for row in first.values() if row[-1] == 0}
        assert kept <= rows, spec.parent_table.name
        gone = rows - after[spec]
        assert gone <= kept, (spec.parent_table.name, gone, kept)
    assert changed
    assert {fault.kind for fault in verify(session)} <= {FaultKind.UNRECORDED}


def by_session(session):
    """Execute by the session itself."""
    return session


def by_another_connection(session):
    """Execute on a connection that no session has."""
    session.rollback()
    return session.bind.connect()


HANDS = [by_session, by_another_connection]

RUNS = [
    pytest.param(
        path,
        hand,
        marks=[pytest.mark.needs(*path.needs)] if path.needs else [],
        id=f"{re.sub(r'[^a-zA-Z]+', '_', path.name).strip('_')}-{hand.__name__}",
    )
    for path in PATHS
    for hand in (HANDS if path.group == CORE else HANDS[:1])
]


@pytest.fixture
def write(session, models, versioning, tables, count_statements):
    """Write by a path; return how many statements that took."""
    versioning.record_engine(tables)

    def run(path, hand, ids, *, commits):
        executing = hand(session)
        with count_statements(tables) as statements:
            path.write(executing, models, ids)
            session.flush()
        ending = executing if hand is by_another_connection else session
        ending.commit() if commits else ending.rollback()
        ending.close()
        own = statements.on("book_version") if path.group == FLUSH else statements
        return own.count

    return run


@pytest.mark.parametrize(("path", "hand"), RUNS)
def test_history_equals_the_rows(request, session, models, write, mode, path, hand):
    """History is true after a write of any kind, by statements whose number is fixed.

    What sessions cannot record they refuse, and then nothing is written.
    """
    many = [FIRST_ID + number for number in range(5)]
    few = many[:3]
    seed(session, models, few)
    session.commit()
    if path.outcome(request.node.callspec.params["database"]) == "refused":
        with mode.escapes():
            write(path, hand, few, commits=True)
        session.commit()
        assert_history_is_true(session, models.metadata)
        return
    write(path, hand, few, commits=False)
    first = write(path, hand, few, commits=False)
    seed(session, models, many[3:])
    session.commit()

    assert write(path, hand, many, commits=True) == first

    assert_history_is_true(session, models.metadata)


GROUPS = dict.fromkeys(path.group for path in PATHS if not path.is_refused)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.split()[0])
def test_first_states_are_kept(request, session, models, versioning, group):
    """Whatever changes rows that have no version, what they were becomes their first one.

    Each database tries every other path, and the next one the others.
    """
    ids = [FIRST_ID + number for number in range(2)]
    with paused(session):
        seed(session, models, ids)
    session.commit()
    database = request.node.callspec.params["database"]
    turn = ("sqlite", "embedded", "postgresql", "mariadb", "mysql").index(database)
    paths = [path for path in PATHS if path.group == group and path.outcome(database) == "recorded"]
    for path in paths[turn % 2 :: 2] if len(paths) > 1 else paths:
        # As when the process is started that versions them.
        versioning._surroundings.look_again()
        before = rows_of(session, models.metadata)
        path.write(session, models, ids)
        session.flush()
        # Shown when it fails.
        print(path.name)
        assert_first_states_are_kept(session, before)
        session.rollback()


def test_the_documentation_tells_every_path():
    """The table in the documentation is made of the paths that are tested here."""
    assert TABLE.read_text() == table()
