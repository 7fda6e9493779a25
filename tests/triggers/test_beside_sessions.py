"""A program that records by its sessions, where triggers record what it writes."""

from contextlib import contextmanager

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import CaptureError, make_versioned, paused, remove_versioning
from sqlalchemy_versioned.triggers import uninstall_triggers
from tests.models import build_base

pytestmark = [pytest.mark.needs("triggers"), pytest.mark.usefixtures("unversioned")]


@contextmanager
def declared(**options):
    """Declare a class, with versioning on."""
    make_versioned(**options)
    base = build_base()

    class Page(base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    yield Page
    base.registry.dispose(cascade=True)
    remove_versioning()


def test_nothing_is_recorded_twice(engine):
    """Its writes are refused, until the triggers are gone; the history goes on with them."""
    with declared(native=True) as Page, Session(engine) as session:
        Page.metadata.create_all(engine)
        session.add(Page(id=1, name="a"))
        session.commit()
        removal = uninstall_triggers(Page.metadata)
    with declared() as Page, Session(engine) as session:
        page = session.get(Page, 1)
        for write in (
            lambda: setattr(page, "name", "b"),
            lambda: session.delete(page),
            lambda: session.add(Page(id=2, name="b")),
            lambda: session.execute(update(Page).values(name="b")),
        ):
            with pytest.raises(CaptureError, match="page, which has triggers"):
                (write(), session.flush())
            session.rollback()
        with paused(session):
            session.connection().exec_driver_sql(removal)
        session.commit()
    with declared() as Page, Session(engine) as session:
        page = session.get(Page, 1)
        page.name = "b"
        session.commit()
        assert [version.name for version in page.versions] == ["a", "b"]
