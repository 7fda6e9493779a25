"""Tests run with asynchronous drivers where they should."""

from tests.asynchronous import FILES, ROOT, VARIANTS


def test_driver_is_that_of_the_variant(request, database, session):
    """On a variant of a database, the session has the asynchronous driver."""
    is_variant = request.node.callspec.params["database"] in VARIANTS.values()

    assert session.connection().dialect.is_async == is_variant
    assert (session.connection().dialect.driver in ("aiosqlite", "asyncpg")) == is_variant


def test_files_exist():
    """Every file that is to run with asynchronous drivers is there."""
    assert [name for name in FILES if not (ROOT / name).exists()] == []
