"""Whatever sessions do in turns, history tells of each transaction what it has left.

``VERSIONED_TEST_STORM`` is how many programs are run, and ``VERSIONED_TEST_STORM_SEED`` the first
of their seeds; ``make soak`` sets both.
"""

import os
import random

import pytest
from sqlalchemy.orm import Session, close_all_sessions

from sqlalchemy_versioned.maintenance import verify
from tests.turns import Turns, build_market, make_impatient

PROGRAMS = int(os.environ.get("VERSIONED_TEST_STORM", "3"))
SEED = int(os.environ.get("VERSIONED_TEST_STORM_SEED", random.randrange(10**6)))

# SQLAlchemy warns of rows that another transaction has deleted by then, and of keys that another
# object has got.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture
def models(keep):
    """The market."""
    return keep(build_market)


@pytest.fixture
def impatient(database, tables):
    """An engine whose connections fail rather than wait for each other."""
    engine = database.create_engine(pool_size=10)
    make_impatient(engine)
    yield engine
    close_all_sessions()
    engine.dispose()


@pytest.mark.needs("isolation_levels")
def test_turns(impatient, models):
    """History tells what each of several transactions has left that were open at once."""
    for seed in range(SEED, SEED + PROGRAMS):
        turns = Turns(impatient, models, seed)
        turns.run(40)
        print("\n".join(turns.log))

        assert list(turns.faults()) == []
        with Session(impatient) as session:
            assert verify(session) == []
