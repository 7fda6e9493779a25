"""Questions to a dialect are answered alike, whichever driver it has."""

from types import SimpleNamespace

import pytest
from sqlalchemy import make_url

from sqlalchemy_versioned.database.dialects import has_rolled_back, state_and_message

DEADLOCK = 1213


class Refused(Exception):
    """What a driver raises."""


class Numbered(Refused):
    """What a driver raises that has the number beside its words."""

    errno = DEADLOCK


@pytest.mark.parametrize(
    ("driver", "error", "expected"),
    [
        ("pymysql", Refused(DEADLOCK, "Deadlock found"), True),
        ("pymysql", Refused(1062, "Duplicate entry"), False),
        ("pymysql", Refused(), False),
        ("mariadbconnector", Numbered("Deadlock found"), True),
        ("mariadbconnector", Refused("not connected"), False),
        ("mysqlconnector", Numbered("1213 (40001): Deadlock found"), True),
        ("mysqlconnector", ValueError("no error of the driver"), False),
    ],
)
def test_deadlock_is_known(driver, error, expected):
    """MariaDB ends a transaction with a deadlock; each driver says so in a way of its own."""
    dialect = make_url(f"mariadb+{driver}://").get_dialect()()
    dialect.dbapi = SimpleNamespace(Error=Refused)
    assert has_rolled_back(SimpleNamespace(dialect=dialect), error) == expected


class Stated(Refused):
    """What a driver raises that has the SQLSTATE beside its words."""

    sqlstate = "VH001"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Stated("refused\nHINT: none"), ("VH001", "refused")),
        (Refused({"S": "ERROR", "C": "VH001", "M": "refused"}), ("VH001", "refused")),
        (Refused("not connected"), (None, "not connected")),
        (Refused(), (None, "")),
    ],
)
def test_what_an_error_says(error, expected):
    """What PostgreSQL refuses is known by its SQLSTATE, beside the error or among its fields."""
    assert state_and_message(error) == expected
