"""Whatever way a table without a versioned class is written, its history equals its rows."""

import pytest

from sqlalchemy_versioned import CaptureError
from tests.writing import (
    CASCADE,
    CORE,
    FIRST_ID,
    FLUSH,
    PATHS,
    assert_history_is_true,
    build_tables,
    seed,
)

#: The others send statements of these kinds.
GROUPS = [FLUSH, CORE, CASCADE]


@pytest.fixture
def models(keep):
    """The press, of which the tables are versioned, and no class."""
    return keep(build_tables)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.split()[0])
def test_history_equals_the_rows(request, session, models, group):
    """Also what flushes of classes write that are not versioned themselves."""
    ids = [FIRST_ID + number for number in range(3)]
    seed(session, models, ids)
    session.commit()
    database = request.node.callspec.params["database"]
    for path in PATHS:
        outcome = path.outcome(database)
        if path.group != group or outcome not in ("recorded", "refused"):
            continue
        # Shown when it fails.
        print(path.name)
        if outcome == "refused":
            with pytest.raises(CaptureError):
                path.write(session, models, ids)
        else:
            path.write(session, models, ids)
            session.flush()
            assert_history_is_true(session, models.metadata)
        session.rollback()
        assert_history_is_true(session, models.metadata)
