"""Migrations that tests write and run: an Alembic environment in a directory of its own."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, event, inspect
from sqlalchemy.orm import DeclarativeBase, configure_mappers

from tests.models import build_base

ENV = """
from alembic import context

import sqlalchemy_versioned.alembic

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    dialect_name=attributes["dialect_name"],
    target_metadata=attributes["metadata"],
    render_as_batch=attributes["batch"],
    include_schemas=attributes["schemas"],
    compare_server_default=True,
    literal_binds=context.is_offline_mode(),
)
with context.begin_transaction():
    context.run_migrations()
"""

SCRIPT = '''
"""${message}"""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''


class Migrations:
    """The migrations of one database.

    :param schemas: whether schemas are looked at that are not the default one.
    """

    def __init__(self, engine: Engine, directory: Path, *, schemas: bool = False) -> None:
        self.engine = engine
        # SQLite can change little about a table but by making another.
        self.batch = batch = not engine.dialect.supports_alter
        self.directory = directory
        (directory / "versions").mkdir(parents=True)
        (directory / "env.py").write_text(ENV)
        (directory / "script.py.mako").write_text(SCRIPT)
        self.output = io.StringIO()
        self.config = Config(stdout=io.StringIO(), output_buffer=self.output)
        self.config.set_main_option("script_location", str(directory))
        self.config.attributes |= {"metadata": None, "batch": batch, "connection": None}
        self.config.attributes |= {"dialect_name": engine.dialect.name, "schemas": schemas}
        self.names: list[str] = []

    @contextmanager
    def _connected(self, metadata: MetaData | None = None) -> Iterator[None]:
        with self.engine.connect() as connection:
            self.config.attributes |= {"connection": connection, "metadata": metadata}
            self._enforce(connection, False)
            yield
            connection.commit()
            self._enforce(connection, True)
        self.config.attributes |= {"connection": None, "metadata": None}

    def _enforce(self, connection: Connection, enforced: bool) -> None:
        """Let SQLite drop tables that others refer to, because it makes them anew."""
        if self.batch:
            # Inside of a transaction, SQLite would do nothing.
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA foreign_keys={'ON' if enforced else 'OFF'}")
            cursor.close()

    def generate(self, metadata: MetaData) -> str:
        """Write the next migration; return its text."""
        name = f"r{len(self.names):02}"
        with self._connected(metadata):
            command.revision(self.config, message=name, autogenerate=True, rev_id=name)
        self.names.append(name)
        return (self.directory / "versions" / f"{name}_{name}.py").read_text()

    def upgrade(self, revision: str = "head") -> None:
        """Migrate upwards."""
        with self._connected():
            command.upgrade(self.config, revision)

    def downgrade(self, revision: str = "-1") -> None:
        """Migrate downwards."""
        with self._connected():
            command.downgrade(self.config, revision)

    def write_sql(self, revisions: str) -> str:
        """Return the statements of an upgrade, without a connection: ``base:head``."""
        command.upgrade(self.config, revisions, sql=True)
        return self.output.getvalue()

    def differences(self, metadata: MetaData) -> list[Any]:
        """Return what autogenerate would still do."""
        with self.engine.connect() as connection:
            schemas = self.config.attributes["schemas"]
            options = {"render_as_batch": self.batch, "include_schemas": schemas}
            options["compare_server_default"] = True
            context = MigrationContext.configure(connection, opts=options)
            return list(produce_migrations(context, metadata).upgrade_ops.ops)

    def catalogue(self) -> dict[str, Any]:
        """Return what the database says of its tables and sequences."""
        inspector = inspect(self.engine)
        columns, indexes = inspector.get_multi_columns(), inspector.get_multi_indexes()
        keys, references = inspector.get_multi_pk_constraint(), inspector.get_multi_foreign_keys()
        found: dict[str, Any] = {
            name: {
                "columns": {
                    each["name"]: (str(each["type"]), each["nullable"], each["default"])
                    for each in columns[schema, name]
                },
                "primary key": keys[schema, name],
                "foreign keys": sorted(map(repr, references[schema, name])),
                "indexes": {each["name"]: each["column_names"] for each in indexes[schema, name]},
            }
            for schema, name in columns
            if name != "alembic_version"
        }
        if self.engine.dialect.supports_sequences:
            found[""] = sorted(inspector.get_sequence_names())
        return found


@contextmanager
def declared(build: Any, **options: Any) -> Iterator[type[DeclarativeBase]]:
    """Declare models that are versioned, configure them, and forget them again."""
    from sqlalchemy_versioned import make_versioned, remove_versioning

    make_versioned(**options)
    base = build_base()
    # A base refers to its classes weakly, and what builds them may not hold them until the end.
    held: list[type[Any]] = []
    event.listen(base, "instrument_class", lambda _, cls: held.append(cls), propagate=True)
    try:
        build(base)
        configure_mappers()
        yield base
    finally:
        remove_versioning()
        base.registry.dispose(cascade=True)
