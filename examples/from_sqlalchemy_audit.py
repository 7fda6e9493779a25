"""What the introduction of sqlalchemy-audit promises, done with this library: revisions.

Options give version tables the layout that it calls revisions: one row for each change, with an id
of its own, the moment, and nothing but the key where a row was deleted. There is no session to
share, and nothing to call once a class is declared; values that the database makes are in the
revisions as well. ::

    python examples/from_sqlalchemy_audit.py
"""

from __future__ import annotations

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    Versioned,
    VersionIsImmutable,
    make_versioned,
    version_class,
)
from sqlalchemy_versioned.plugins import NullDeletePlugin

make_versioned(
    strategy="append",
    class_name="%sRev",
    table_name="%s_rev",
    version_id_column_name="rev_id",
    version_id_type="uuid",
    revision_id_column_name="rev_id",
    issued_at_column_name="rev_created",
    immutable_versions=True,
    plugins=[NullDeletePlugin()],
)


class Base(DeclarativeBase):
    """Base of the models of this example."""


class Reservation(Versioned, Base):
    """A table that somebody has reserved."""

    __tablename__ = "reservation"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    date: Mapped[date]
    time: Mapped[time]
    party: Mapped[int]
    last_modified: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    rev_id: Mapped[UUID | None] = mapped_column(unique=True)


configure_mappers()

ReservationRev = version_class(Reservation)


def reserve(session: Session) -> None:
    """Reserve a table for six, then for four, then not at all."""
    steve = Reservation(name="Steve", date=date(2015, 4, 15), time=time(19), party=6)
    session.add(steve)
    session.commit()

    steve.party = 4
    session.commit()
    print("The newest revision:", steve.rev_id)

    session.delete(steve)
    session.commit()


def print_revisions(session: Session) -> None:
    """Print what the reservation has been."""
    for each in session.scalars(select(ReservationRev).order_by(ReservationRev.rev_id)):
        print(
            f"ReservationRev(rev_id={str(each.rev_id)!r}, "
            f"rev_created={each.rev_created.timestamp()}, rev_isdelete={each.is_delete}, "
            f"id={each.id}, name={each.name!r}, date={each.date}, time={each.time}, "
            f"party={each.party}, last_modified={each.last_modified})"
        )


def try_to_change_the_past(session: Session) -> None:
    """Show that revisions stay as they are."""
    first = session.scalars(select(ReservationRev).limit(1)).one()
    first.party = 60
    try:
        session.flush()
    except VersionIsImmutable as error:
        print(type(error).__name__)
        session.rollback()


def main() -> None:
    """Follow a reservation, on a database in memory."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        reserve(session)
        print_revisions(session)
        try_to_change_the_past(session)
    engine.dispose()


if __name__ == "__main__":
    main()
