"""What triggers cannot record is refused when mappers are configured, or they are installed."""

import pytest
from sqlalchemy import Column, Computed, Integer, text
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import ImproperlyConfigured, Plugin
from sqlalchemy_versioned.plugins import PropertyModTrackerPlugin
from sqlalchemy_versioned.triggers import install_triggers

pytestmark = pytest.mark.options(native=True)


class Listening(Plugin):
    """Wants to hear of versions."""

    def after_create_version_objects(self, uow, session):
        """Do nothing."""


@pytest.mark.options(plugins=[Listening()])
def test_plugins_that_take_part_in_recording(Base):
    """Plugins that triggers would leave out are refused when mappers are configured."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ImproperlyConfigured, match="Listening has the hook"):
        configure_mappers()


class Tracking(PropertyModTrackerPlugin):
    """Has flags of its own making."""

    def version_values(self, spec, state, operation):
        """Set all of them."""
        return {}


@pytest.mark.options(plugins=[Tracking()])
def test_plugins_that_do_it_otherwise(Base):
    """A subclass of a plugin that triggers know is refused if it records by itself."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ImproperlyConfigured, match=r"Tracking has the hook version_values\(\)"):
        configure_mappers()


class Adding(Plugin):
    """Has columns that nobody fills."""

    is_known_to_triggers = True

    def after_build_version_table_columns(self, table_builder, columns):
        """Add one."""
        columns.append(Column("size", Integer))


@pytest.mark.options(plugins=[Adding()])
def test_columns_that_triggers_do_not_know(Base):
    """What triggers could not fill is refused, whatever the plugin says."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ImproperlyConfigured, match="columns that plugins add"):
        configure_mappers()


@pytest.mark.needs("virtual_columns_by_text")
@pytest.mark.parametrize("exclude", [[], ["twice"]])
def test_columns_that_triggers_cannot_read(Base, open_session, exclude):
    """What is computed when it is read must be left out, as triggers see no value of it."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"exclude": exclude}
        id: Mapped[int] = mapped_column(primary_key=True)
        size: Mapped[int]
        twice: Mapped[int] = mapped_column(Computed("size * 2", persisted=True))

    session = open_session(Base)
    session.execute(text("ALTER TABLE page DROP twice"))
    virtual = "ALTER TABLE page ADD twice int GENERATED ALWAYS AS (size * 2) VIRTUAL"
    session.execute(text(virtual))
    if not exclude:
        with pytest.raises(ImproperlyConfigured, match="as twice; say persisted=True"):
            install_triggers(Base.metadata, session)
        return
    install_triggers(Base.metadata, session)
    for statement in ("INSERT INTO page VALUES (1, 1)", "UPDATE page SET size = 2"):
        session.execute(text(statement))
        session.commit()
    assert [version.size for version in session.get(Page, 1).versions] == [1, 2]
