"""What the introduction of sqlalchemy-postgresql-audit promises, done with this library.

PostgreSQL itself records a table without a primary key, one row for each change, with the layout
and the names that the introduction shows. Settings of the transaction say who has made it; without
the one that must be said nothing is written. ::

    python examples/from_sqlalchemy_postgresql_audit.py postgresql://user@host/database
"""

from __future__ import annotations

import sys
from uuid import UUID

from sqlalchemy import Column, MetaData, String, Table, Uuid, create_engine, select, text
from sqlalchemy.exc import IntegrityError

from sqlalchemy_versioned import (
    make_versioned,
    set_session_variables,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.triggers import check_triggers, trigger_ddl

make_versioned(
    native=True,
    strategy="append",
    record_unchanged=True,
    operation_type_column_name="audit_operation",
    operation_type_format="code",
    issued_at_column_name="audit_operation_timestamp",
    db_user_column_name="audit_current_user",
    session_variable_prefix="audit_",
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "version.table": "%(table_name)s_audr",
        "version.function": "%(schema)s_%(table_name)s_audit",
        "version.trigger": "%(schema)s_%(table_name)s_audit",
    }
)

foo = Table("foo", metadata, Column("bar", String), schema="public")
versioned_table(
    foo,
    session_variables=[Column("username", String, nullable=False), Column("app_uuid", Uuid)],
)


def main(url: str) -> None:
    """Write the table in several ways, and print what was recorded."""
    engine = create_engine(url, plugins=["versioned"])
    metadata.create_all(engine)
    print(f"Faults of triggers: {check_triggers(metadata, engine)}")
    print(f"Statements that make them: {len(trigger_ddl(foo)[0])}")

    with engine.begin() as connection:
        set_session_variables(connection, username="O'Brien", app_uuid=UUID(int=7))
        connection.execute(foo.insert(), [{"bar": "a"}, {"bar": "b"}])
    with engine.begin() as connection:
        # As psql would: no part of it is known to the library.
        connection.execute(text("SELECT set_config('audit.username', 'psql', true)"))
        connection.execute(text("UPDATE foo SET bar = 'c' WHERE bar = 'b'"))
        connection.execute(text("DELETE FROM foo WHERE bar = 'a'"))

    try:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO foo VALUES ('d')"))
    except IntegrityError as error:
        print(f"Refused: {str(error.orig).splitlines()[0]}")

    audit = version_table(foo)
    print(f"Columns of {audit.fullname}: {', '.join(column.name for column in audit.c)}")
    with engine.connect() as connection:
        shown = [audit.c.audit_operation, audit.c.bar, audit.c.username, audit.c.app_uuid]
        rows = connection.execute(select(*shown).order_by(audit.c.version_id))
        for operation, *values in rows:
            print(operation.code, *values)
    metadata.drop_all(engine)
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
