"""What "valid at", "latest", "previous" and "next" mean, under each strategy."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import aliased

from sqlalchemy_versioned import version_class
from sqlalchemy_versioned.lookup import spec_of
from sqlalchemy_versioned.query import conditions

pytestmark = pytest.mark.strategies()


@pytest.fixture
def spec(session, blog):
    """Two articles: one with versions at 1 (a), 3 (b) and 6 (deleted), one at 2 (x) and 5 (y)."""
    Version = version_class(blog.Article)
    rows = [(1, 1, 3, 0, "a"), (1, 3, 6, 1, "b"), (1, 6, None, 2, "b")]
    rows += [(2, 2, 5, 0, "x"), (2, 5, None, 1, "y")]
    for number, transaction, end, operation, name in rows:
        version = Version(id=number, transaction_id=transaction, name=name)
        version.operation_type = operation
        if hasattr(Version, "end_transaction_id"):
            version.end_transaction_id = end
        session.add(version)
    session.commit()
    return spec_of(blog.Article)


def find(session, entity, *criteria):
    """Return name and transaction of the versions that match, in order."""
    statement = select(entity).where(*criteria).order_by(entity.transaction_id)
    return [f"{v.name}{v.transaction_id}" for v in session.scalars(statement)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0, []),
        (1, ["a1"]),
        (2, ["a1", "x2"]),
        (3, ["x2", "b3"]),
        (4, ["x2", "b3"]),
        (5, ["b3", "y5"]),
        (6, ["y5", "b6"]),
        (99, ["y5", "b6"]),
    ],
)
def test_valid_at(session, spec, at, expected):
    """A version is valid from its own transaction until the next one, a deletion for ever."""
    cls = spec.version_class
    other = aliased(cls)

    assert find(session, cls, conditions.valid_at(spec, cls, at)) == expected
    assert find(session, other, conditions.valid_at(spec, other, at)) == expected


def test_alive(session, spec):
    """Deletions are not alive."""
    cls = spec.version_class

    alive = conditions.valid_at(spec, cls, 9), conditions.is_alive(spec, cls)
    assert find(session, cls, *alive) == ["y5"]


def test_latest(session, spec):
    """Each object has one latest version."""
    cls = aliased(spec.version_class)

    assert find(session, cls, conditions.is_latest(spec, cls)) == ["y5", "b6"]


def test_before_and_after(session, spec):
    """Before and after leave the transaction itself out."""
    cls = spec.version_class
    own = conditions.is_row_of(spec, cls, (1,))

    assert find(session, cls, own, conditions.previous_of(spec, cls, 3)) == ["a1"]
    assert find(session, cls, own, conditions.next_of(spec, cls, 3)) == ["b6"]


def test_rows_need_no_ends(session, spec):
    """Rows of a version table are told by their transactions, whatever their ends say."""
    table = spec.root.version_table
    if spec.end_key is not None:
        session.execute(table.update().values(end_transaction_id=None))
    rows = table.alias()
    statement = select(rows.c.name).where(conditions.rows_current_at(spec.root, rows, 4))

    assert sorted(session.scalars(statement)) == ["b", "x"]
