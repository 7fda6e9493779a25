"""Whatever comes over many writers of a few rows, history has no fault.

``VERSIONED_TEST_STORM`` is how many transactions each writer tries, and
``VERSIONED_TEST_STORM_SEED`` what they draw from; ``make soak`` sets both.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from sqlalchemy_versioned.maintenance import verify
from tests.storms import CONFLICTS, Storm, populate

TRANSACTIONS = int(os.environ.get("VERSIONED_TEST_STORM", "8"))
SEED = int(os.environ.get("VERSIONED_TEST_STORM_SEED", random.randrange(10**6)))

servers = pytest.mark.needs("isolation_levels")
LEVELS = [
    pytest.param("READ COMMITTED", marks=servers),
    pytest.param("REPEATABLE READ", marks=servers),
    "SERIALIZABLE",
]

# SQLAlchemy warns of rows that another transaction has deleted by then, and of savepoints that
# the database has rolled back.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture
def models(blog):
    """The blog."""
    return blog


@pytest.fixture
def engine(database):
    """An engine of its own, whose connections may be lost."""
    engine = database.create_engine(pool_size=10)
    yield engine
    engine.dispose()


def check(engine, models):
    """History says what there is, and each row's is one chain."""
    print(f"seed {SEED}")
    with Session(engine) as session:
        assert verify(session, batch_size=3) == []


@pytest.mark.strategies
@pytest.mark.parametrize("level", LEVELS)
def test_threads(tables, models, versioning, level):
    """Eight threads that write, fail, are killed and try again leave a whole history."""
    populate(tables, models)
    engine = tables.execution_options(isolation_level=level)
    storm = Storm(engine, models, versioning)
    storm.run(range(SEED, SEED + 8), TRANSACTIONS)

    check(tables, models)
    assert storm.committed > TRANSACTIONS


def test_processes(tables, models, database):
    """So do four processes."""
    populate(tables, models)
    tables.dispose()
    url = database.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "tests.storms", url, str(SEED), str(2 * TRANSACTIONS)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 0, done.stderr
    check(tables, models)
    assert int(done.stdout) > TRANSACTIONS


@servers
@pytest.mark.strategies
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_deletion_of_what_comes_back(tables, models, level):
    """A deletion that waits for a row to be deleted and added again deletes nothing unrecorded."""
    populate(tables, models)
    with Session(tables) as session:
        session.execute(delete(models.article_tag))
        session.commit()
    engine = tables.execution_options(isolation_level=level)

    def remove():
        with Session(engine) as session, contextlib.suppress(*CONFLICTS):
            session.execute(delete(models.Article).where(models.Article.id == 1))
            session.commit()

    with Session(engine) as first:
        first.delete(first.get(models.Article, 1))
        first.flush()
        first.add(models.Article(id=1, name="again"))
        first.flush()
        waiting = threading.Thread(target=remove)
        waiting.start()
        waiting.join(0.3)
        first.commit()
        waiting.join()

    check(tables, models)
