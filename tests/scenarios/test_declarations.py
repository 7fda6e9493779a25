"""Whatever is declared, and whatever is written by it, history is what the rows were.

``VERSIONED_TEST_DECLARATIONS`` is how many schemas are declared, and
``VERSIONED_TEST_DECLARATIONS_SEED`` the first of their seeds; ``make soak`` sets both. What fails
prints its seed, the declarations, which can be executed as they are, and the steps of the program.
"""

import os

import pytest

from tests.declarations.runs import SCHEMA, Run, create_schemas

NUMBER = int(os.environ.get("VERSIONED_TEST_DECLARATIONS", "2"))
SEED = int(os.environ.get("VERSIONED_TEST_DECLARATIONS_SEED", "1"))


@pytest.mark.parametrize("seed", range(SEED, SEED + NUMBER))
def test_history_of_random_declarations(database, mode, unversioned, seed):
    """What history tells after each transaction, and of all, is what was read when it was now."""
    engine = database.create_engine()
    has_schemas = database.has("schemas")
    if has_schemas:
        create_schemas(engine)
    options = {"native": True} if mode.is_native else {}
    run = Run(seed, engine, (SCHEMA,) if has_schemas else (), options)
    try:
        run.run()
    except BaseException:
        print(run)
        raise
    finally:
        engine.dispose()
