"""Versioning changes nothing about an application but that it has a history."""

from contextlib import nullcontext

import pytest
from hypothesis import given
from sqlalchemy.orm import Session

from sqlalchemy_versioned import paused
from tests.images import read_rows
from tests.models import build_base
from tests.scenarios.test_oracle import empty, programs
from tests.zoo import Program, build_zoo, zoo_tables

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture
def models(keep):
    """One class, or hierarchy of classes, of each shape."""
    return keep(build_zoo)


@pytest.fixture
def unversioned():
    """The same classes, without history."""
    base = build_base()
    yield build_zoo(base, versioned=False)
    base.registry.dispose()


def outcome(zoo, engine, program, *, leave_out=nullcontext):
    """Return the live tables that a program leaves, and the errors that it met."""
    with Session(engine, autoflush=False) as session, leave_out(session):
        running = Program(zoo, session)
        running.populate()
        running.run(program)
        connection = session.connection()
        live = {
            name: read_rows(connection, table, key)
            for name, (table, key) in zoo_tables(zoo).items()
        }
    # Sequences go on counting where tables were emptied.
    labels = live["post_label"].items()
    live["post_label"] = {key[1:]: {**row, "id": None} for key, row in labels}
    return live, running.errors


@pytest.mark.strategies
def test_same_programs_same_tables(models, tables, unversioned):
    """A random program leaves the same rows and raises the same errors with and without it."""

    @given(programs)
    def holds(program):
        empty(tables, models)
        with_history = outcome(models, tables, program)
        empty(tables, models)
        # To a session that is recorded these would be the versioned tables.
        assert outcome(unversioned, tables, program, leave_out=paused) == with_history

    holds()
