"""Names of what is made for a table."""

import pytest
from sqlalchemy import MetaData, Table

from sqlalchemy_versioned import ImproperlyConfigured
from sqlalchemy_versioned.model.naming import FUNCTION, TRIGGER, conventional_name


def test_conventions_name_functions_and_triggers():
    """A convention of the metadata wins over the name by default."""
    conventions = {FUNCTION: "%(schema)s_%(table_name)s_write"}
    table = Table("page", MetaData(naming_convention=conventions), schema="wiki")

    assert conventional_name(table, FUNCTION, default="page_function") == "wiki_page_write"
    beside = Table("page", table.metadata)
    assert conventional_name(beside, FUNCTION, default="page_function") == "public_page_write"
    assert conventional_name(table, TRIGGER, default="page_trigger") == "page_trigger"


def test_convention_that_asks_for_too_much():
    """A convention that asks for what there is not is refused, with what it can have."""
    table = Table("page", MetaData(naming_convention={TRIGGER: "%(column_0_name)s_write"}))

    with pytest.raises(ImproperlyConfigured, match=r"version.trigger.*%\(table_name\)s"):
        conventional_name(table, TRIGGER, default="page_trigger")
