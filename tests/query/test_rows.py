"""Which rows of a version table were valid at a transaction, whether or not their ends are kept."""

import pytest
from sqlalchemy import Column, ForeignKey, Integer, Table, select
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned.model.lookup import table_spec_of
from sqlalchemy_versioned.query.rows import rows_valid_at

pytestmark = pytest.mark.strategies()

#: Transaction, end and operation of the rows of one link: made, removed, made again.
HISTORY = [(1, 3, 0), (3, 5, 2), (5, None, 0)]


def write(session, spec, rows):
    """Write version rows: their values, transactions, ends and operations."""
    for values, transaction, end, operation in rows:
        row = dict(values, transaction_id=transaction, operation_type=operation)
        if spec.end_column is not None:
            row["end_transaction_id"] = end
        session.execute(spec.version_table.insert(), row)


def transactions_at(session, spec, at):
    """Return the transactions of the rows that were valid, in order."""
    rows = spec.version_table.alias()
    found = select(rows.c.transaction_id).where(rows_valid_at(spec, rows, at))
    return sorted(session.scalars(found))


@pytest.mark.parametrize("kept", ["all", "some", "none"])
def test_links_valid_at(session, blog, kept):
    """A link is valid from its own transaction until the next, even if others kept no ends."""
    spec = table_spec_of(blog.article_tag)
    link = {"article_id": 1, "tag_id": 1}
    known = {"all": (1, 3), "some": (3,), "none": ()}[kept]
    write(session, spec, [(link, tx, end if tx in known else None, op) for tx, end, op in HISTORY])
    write(session, spec, [({"article_id": 1, "tag_id": 2}, 4, None, 0)])

    valid = {at: transactions_at(session, spec, at) for at in range(7)}

    assert valid == {0: [], 1: [1], 2: [1], 3: [3], 4: [3, 4], 5: [4, 5], 6: [4, 5]}


def test_rows_of_a_class_valid_at(session, blog):
    """A row is valid from its own transaction until the next."""
    spec = table_spec_of(blog.Tag.__table__)
    write(session, spec, [({"id": 1, "name": "a"}, *rest) for rest in HISTORY])
    write(session, spec, [({"id": 2, "name": "b"}, 2, None, 0)])

    valid = {at: transactions_at(session, spec, at) for at in range(7)}

    assert valid == {0: [], 1: [1], 2: [1, 2], 3: [2, 3], 4: [2, 3], 5: [2, 5], 6: [2, 5]}


def test_link_that_was_moved(Base, engine):
    """A link with a key of its own is in one place at a time, wherever it is moved."""
    membership = Table(
        "membership",
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("club_id", ForeignKey("club.id")),
        Column("person_id", ForeignKey("person.id")),
    )

    class Membership(Base):
        __table__ = membership
        __versioned__ = {}

    class Club(Base):
        __tablename__ = "club"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        people: Mapped[list["Person"]] = relationship(secondary=membership)

    class Person(Base):
        __tablename__ = "person"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)

    configure_mappers()
    Base.metadata.create_all(engine)
    spec = table_spec_of(membership)
    rows = [({"id": 1, "club_id": 1, "person_id": 1}, 1, None, 0)]
    rows += [({"id": 1, "club_id": 1, "person_id": 2}, 2, None, 1)]
    with Session(engine) as session:
        write(session, spec, rows)

        assert [transactions_at(session, spec, at) for at in (1, 2)] == [[1], [2]]
