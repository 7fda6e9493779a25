"""What "valid at", "latest", "previous" and "next" mean, under each strategy."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, Session, aliased, configure_mappers, mapped_column

from sqlalchemy_versioned import version_class
from sqlalchemy_versioned.model.lookup import spec_of
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


def test_latest_of_a_changed_class(Base, engine):
    """What became an object of another class has no latest version in its former class."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}

        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Book(Item):
        __mapper_args__ = {"polymorphic_identity": "book"}

    configure_mappers()
    Base.metadata.create_all(engine)
    spec = spec_of(Book)
    rows = spec.root.version_table.insert()
    ended = {} if spec.end_key is None else {"end_transaction_id": 2}
    with Session(engine) as session:
        session.execute(
            rows, {"id": 1, "kind": "book", "transaction_id": 1, "operation_type": 0} | ended
        )
        session.execute(rows, {"id": 1, "kind": "item", "transaction_id": 2, "operation_type": 1})
        cls = spec.version_class
        count = select(func.count()).select_from(cls)

        assert session.scalar(count.where(conditions.valid_at(spec, cls, 1))) == 1
        assert session.scalar(count.where(conditions.is_latest(spec, cls))) == 0


def test_before_and_after(session, spec):
    """Before and after leave the transaction itself out."""
    cls = spec.version_class
    own = conditions.is_row_of(spec, cls, (1,))
    middle = session.scalars(select(cls).where(own, cls.transaction_id == 3)).one()
    place = [getattr(middle, key) for key in spec.place]

    assert find(session, cls, own, conditions.previous_of(spec, cls, place)) == ["a1"]
    assert find(session, cls, own, conditions.until_of(spec, cls, place)) == ["a1", "b3"]
    assert find(session, cls, own, conditions.next_of(spec, cls, place)) == ["b6"]


@pytest.mark.strategies("append")
def test_order_within_a_transaction(session, blog):
    """Versions of one transaction come one after the other, and only the last is valid then."""
    cls = version_class(blog.Article)
    for name in "abc":
        session.add(cls(id=1, transaction_id=7, name=name, operation_type=1))
        session.flush()
    spec = spec_of(blog.Article)
    first, middle, last = session.scalars(select(cls).order_by(cls.version_id))
    place = (middle.transaction_id, middle.version_id)

    def find_one(criterion):
        return session.scalars(select(cls).where(criterion)).one()

    assert find_one(conditions.previous_of(spec, cls, place)) is first
    assert find_one(conditions.next_of(spec, cls, place)) is last
    assert find_one(conditions.valid_at(spec, cls, 7)) is last
