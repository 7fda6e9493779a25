"""What the package gives away, and what importing it does."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sqlalchemy_versioned

NAMES = {
    "MASKED",
    "CaptureError",
    "ChangeRecord",
    "ClassNotVersioned",
    "FieldChange",
    "FlatChange",
    "HistoryIsAppendOnly",
    "ImproperlyConfigured",
    "IncompleteHistory",
    "InvalidArgument",
    "InvalidArgumentType",
    "Masked",
    "MissingSessionVariable",
    "MustBeAwaited",
    "NoChangesAttribute",
    "Operation",
    "Plugin",
    "PluginCollection",
    "ReadOnlyRelationship",
    "ReadOnlySnapshot",
    "RelationshipNotVersioned",
    "ReverterException",
    "Snapshot",
    "TransactionBase",
    "TransactionFactory",
    "UnitOfWork",
    "UnknownOption",
    "UnrecordedWrite",
    "Version",
    "VersionCollection",
    "VersionIsImmutable",
    "VersionIsImmutableDelete",
    "VersionIsImmutableUpdate",
    "Versioned",
    "VersioningError",
    "VersioningManager",
    "as_of",
    "blame",
    "changeset",
    "clear_transaction_context",
    "count_versions",
    "deleted",
    "end_tx_column_name",
    "flatten",
    "get_changes",
    "get_transaction_context",
    "get_versioning_manager",
    "is_modified",
    "is_modified_or_deleted",
    "is_session_modified",
    "is_versioned",
    "make_versioned",
    "parent_class",
    "parent_table",
    "paused",
    "remove_versioning",
    "revert_plan",
    "select_changes",
    "session_variables",
    "session_variables_statement",
    "set_session_variables",
    "set_transaction_context",
    "transaction_class",
    "transaction_context",
    "tx_column_name",
    "vacuum",
    "version_api",
    "version_class",
    "version_table",
    "versioned",
    "versioned_objects",
    "versioned_table",
    "versioning_manager",
    "versions_of",
}


def test_public_names():
    """The names that applications import are these; adding one is a decision."""
    assert set(sqlalchemy_versioned.__all__) == NAMES
    assert all(hasattr(sqlalchemy_versioned, name) for name in NAMES)


@pytest.mark.parametrize("room", ["", ".maintenance", ".plugins", ".triggers", ".utils"])
def test_reference_has_each_name(room):
    """Whatever can be imported is found in the reference."""
    module = importlib.import_module(f"sqlalchemy_versioned{room}")
    reference = (Path(__file__).parents[1] / "docs" / "reference.rst").read_text()
    told = re.findall(
        r"^\.\. (?:auto)?\w+:: (?:sqlalchemy_versioned[.\w]*\.)?(\w+)$", reference, re.M
    )
    told += re.findall(r"\w+", " ".join(re.findall(r"^   :members: (.*)$", reference, re.M)))

    assert set(module.__all__) - set(told) == set()


def test_reference_has_each_operation_of_migrations():
    """Whatever migrations can call is found in the reference."""
    root = Path(sqlalchemy_versioned.__file__).parent
    texts = (path.read_text("utf-8") for path in (root / "alembic").glob("*.py"))
    made = re.findall(r"register_operation\(\"(\w+)\"\)", "".join(texts))
    reference = (root.parent / "docs" / "reference.rst").read_text("utf-8")
    told = re.findall(
        r"^\.\. automethod:: alembic\.operations\.Operations\.(\w+)$", reference, re.M
    )

    assert sorted(made) == sorted(told)


def run(code):
    """Run a program in a process of its own."""
    root = Path(__file__).parents[1]
    return subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=root, check=False)


def test_import_needs_sqlalchemy_only():
    """A plain installation, which has none of the others, is enough."""
    code = """if True:
        import sys
        missing = ["greenlet", "alembic", "flask", "sqlalchemy_utils"]
        sys.modules |= dict.fromkeys(missing)
        import sqlalchemy_versioned.plugins
    """

    assert run(code).returncode == 0


def test_import_brings_in_nothing_slow():
    """Importing the package takes no dialect with it, nor what most programs never need."""
    code = """if True:
        import sys
        import sqlalchemy_versioned
        rooms = ["revert.", "changes.", "maintenance", "alembic", "asyncio", "plugins"]
        rooms += ["triggers.check", "triggers.reflection", "triggers.syncing"]
        slow = ["sqlalchemy.dialects.", "sqlalchemy_utils"]
        slow += [f"sqlalchemy_versioned.{room}" for room in rooms]
        assert not [name for name in sys.modules if name.startswith(tuple(slow))]
        assert "vacuum" in dir(sqlalchemy_versioned)
        assert sqlalchemy_versioned.vacuum.__name__ == "vacuum"
    """

    assert run(code).returncode == 0


def test_import_changes_nothing():
    """Importing the package listens to nothing and compiles no type of others differently."""
    code = """if True:
        from sqlalchemy import BigInteger
        from sqlalchemy.dialects.sqlite import dialect
        from tests.leftovers import list_listeners
        before = list_listeners()
        import sqlalchemy_versioned
        assert list_listeners() == before
        assert BigInteger().compile(dialect()) == "BIGINT"
    """

    assert run(code).returncode == 0


def test_each_room_is_on_the_map():
    """CONTRIBUTING.rst tells of each room of the package what it is for, and of no other."""
    root = Path(sqlalchemy_versioned.__file__).parent
    rooms = {path.parent.name for path in root.glob("*/__init__.py")}
    text = (root.parent / "CONTRIBUTING.rst").read_text("utf-8")

    table = text.partition("From the highest to the lowest")[2].partition("A module imports")[0]

    assert set(re.findall(r"``(\w+)/``", table)) == rooms
