"""What triggers cannot record is refused when mappers are configured."""

import pytest
from sqlalchemy import Column, Integer
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import ImproperlyConfigured, Plugin
from sqlalchemy_versioned.plugins import PropertyModTrackerPlugin

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
