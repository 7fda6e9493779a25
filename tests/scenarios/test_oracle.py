"""History is what a model of it says, for random programs, after every commit.

The model looks at nothing but the live tables.  With versioning off, the same programs leave the
same live tables and raise the same errors.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.orm import Session

from sqlalchemy_versioned import paused
from sqlalchemy_versioned.model.counterparts import transaction_class
from sqlalchemy_versioned.model.lookup import spec_of, table_spec_of
from tests.images import History, Watched, read_rows
from tests.zoo import STEPS, Program, build_zoo, zoo_objects, zoo_tables

# SQLAlchemy warns of some programs, versioned or not.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")

numbers = st.integers(0, 23)
steps = st.tuples(st.sampled_from(STEPS), numbers, numbers)
programs = st.lists(steps, min_size=8, max_size=30)
#: Programs that were recorded wrongly once, or are likely to be.
KNOWN = {
    "deleted and added again": [("delete", 0, 0), ("flush", 0, 0), ("add", 3, 0)],
    # What was committed first makes sure that the rest is a change, and undoes it.
    "changed and undone": [
        ("set", 0, 0),
        ("commit", 0, 0),
        ("set", 0, 1),
        ("flush", 0, 0),
        ("set", 0, 0),
    ],
    "changed and deleted": [
        ("set", 0, 0),
        ("commit", 0, 0),
        ("set", 0, 1),
        ("flush", 0, 0),
        ("delete", 0, 0),
    ],
    "switched": [("switch", 0, 2), ("flush", 0, 0), ("switch", 0, 0)],
    "undone in a savepoint": [
        ("set", 1, 1),
        ("savepoint", 0, 0),
        ("set", 1, 2),
        ("flush", 0, 0),
        ("undo", 0, 0),
        ("set", 1, 0),
    ],
    "renamed twice": [("rename", 1, 3), ("flush", 0, 0), ("rename", 1, 0)],
    "renamed there and back": [("rename", 1, 3), ("flush", 0, 0), ("rename", 1, 2)],
    "linked and unlinked": [("link", 0, n) for n in (0, 1, 2)]
    + [("flush", 0, 0)]
    + [("link", 0, n) for n in (0, 1, 2)],
    "failed and gone on": [("clash", 0, 0), ("flush", 0, 0), ("set", 0, 1)],
}


@pytest.fixture
def models(keep):
    """One class, or hierarchy of classes, of each shape."""
    return keep(build_zoo)


def empty(engine, zoo):
    """Remove all rows, so that the next program starts afresh."""
    with Session(engine) as session, paused(session):
        for table in reversed(zoo.metadata.sorted_tables):
            session.execute(delete(table), bind_arguments={"bind": engine})
        session.commit()


def run(zoo, engine, program):
    """Run a program on empty tables, checking history after every commit."""
    empty(engine, zoo)
    with Session(engine, autoflush=False) as session:
        watched = {name: Watched(*shape) for name, shape in zoo_tables(zoo).items()}
        merges = spec_of(zoo.Plain).root.strategy.merges
        history = History(session, watched, zoo_objects(zoo), merges=merges)

        def after_commit():
            history.commit()
            check(zoo, history)

        running = Program(zoo, session, after_commit)
        running.populate()
        running.run(program)


def check(zoo, history):
    """Compare the version tables with what they must hold."""
    connection = history.session.connection()
    used = set()
    for name, (table, key) in zoo_tables(zoo).items():
        spec = table_spec_of(table)
        found = read_versions(connection, spec)
        told = {key: [version_of(spec, row) for row in rows] for key, rows in found.items()}
        assert told == history.versions.get(name, {})
        check_chains(spec, found)
        live = {key: versions[-1][1] for key, versions in told.items() if versions[-1][0] != 2}
        assert live == read_rows(connection, table, key)
        used |= {row[spec.transaction_column] for rows in found.values() for row in rows}
    transactions = transaction_class(zoo.Plain).__table__
    assert {row.id for row in connection.execute(transactions.select())} == used


def read_versions(connection, spec):
    """Return the rows of a version table by key, oldest first."""
    statement = spec.version_table.select().order_by(*spec.place)
    found = {}
    for row in connection.execute(statement).mappings():
        found.setdefault(tuple(row[pair.version] for pair in spec.key), []).append(row)
    return found


def version_of(spec, row):
    """Return operation and values of a row of a version table."""
    values = {pair.parent.name: row[pair.version] for pair in spec.pairs}
    return row[spec.operation_column], values


def check_chains(spec, found):
    """Check that each version ends where the next begins, and the last one is open."""
    if spec.end_column is None:
        return
    for rows in found.values():
        begins = [row[spec.transaction_column] for row in rows]
        assert [row[spec.end_column] for row in rows] == [*begins[1:], None]


@pytest.mark.strategies
def test_history_of_random_programs(models, tables):
    """Each version table holds what the model says, and nothing else."""

    @given(programs)
    def holds(program):
        run(models, tables, program)

    holds()


@pytest.mark.strategies
@pytest.mark.parametrize("program", KNOWN.values(), ids=KNOWN)
def test_history_of_known_programs(models, tables, program):
    """Programs that are likely to go wrong are recorded as the model says, whatever the object."""
    for offset in range(0, 24, 8):
        run(models, tables, [(name, which + offset, value) for name, which, value in program])
