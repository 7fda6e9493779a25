"""Writes that cannot be recorded: refused, or let through as the option ``capture`` says.

What is text, writes several tables, or has its tables elsewhere than versions are written, is known
by what it says, before it is executed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.sql.dml import UpdateBase

from .. import _sqlalchemy
from ..exc import CaptureError
from .recorder import Recorder, Target, UnrecordedWrite
from .targets import Targets

__all__ = ["ALIASED", "COMPILED", "UNSEEN", "Refusals", "follow_policy", "give_up"]

#: Why a statement is refused that has an alias of a table in the place of it.
ALIASED = "it is made with an alias; name the table itself"

#: Why one is refused that another one has in itself.
NESTED = "it stands within another statement, in its WITH or in from_statement(); execute it alone"

#: Why one is refused that was not heard of before the database is to execute it.
UNSEEN = (
    "it is the first on a connection that its engine opened before that was recorded, or that "
    "comes from execution_options() of before; call versioning_manager.record_engine(engine) first"
)

#: Why one is refused that is compiled already.
COMPILED = "it was compiled before it is executed; execute the statement itself"

#: What can be followed.
STATEMENTS = "insert(), update() or delete()"


class Refusals:
    """Refuses statements that write versioned tables in a way that cannot be followed."""

    def __init__(self, recorder: Recorder, targets: Targets) -> None:
        self._recorder = recorder
        self._targets = targets

    def check_text(self, connection: Connection, text: str, reason: str | None = None) -> None:
        """Refuse SQL text that writes a versioned table, itself or by foreign keys.

        :param reason: why it cannot be followed, if it comes from a statement.
        """
        written = self._targets.written_by_text(text)
        for target in written or self._targets.behind_text(text):
            said = "it is text" if written else "foreign keys may do so along with text"
            shown = repr(" ".join(text.split())[:80])
            followed = f"{said}: {shown}; write it with {STATEMENTS}"
            self._refuse(connection, target, reason or followed)

    def check_schemas(
        self, connection: Connection, target: Target, options: Mapping[str, Any]
    ) -> None:
        """Refuse a statement that has its tables elsewhere than its connection has them."""
        if _moves_schemas(connection, target, options):
            self._refuse(
                connection,
                target,
                "its schema_translate_map is not that of its connection, by which versions are "
                "written; give it to the connection or to the engine",
            )

    def check_name(self, connection: Connection, table: Any) -> None:
        """Refuse a statement that knows a versioned table by an object that is not its own."""
        meant = _sqlalchemy.unaliased(table)
        named = self._targets.called_like(meant)
        if not named or self._targets.get(table) is not None:
            return
        schema = _schema_of(connection, getattr(meant, "schema", None))
        reason = "it is made with another Table object of that name; name the one that is versioned"
        if meant is not table:
            reason = ALIASED
        for target in named:
            if _schema_of(connection, target.spec.parent_table.schema) == schema:
                self._refuse(connection, target, reason)

    def check_other_tables(self, connection: Connection, statement: Any) -> None:
        """Refuse an UPDATE that sets columns of several tables."""
        for table in _sqlalchemy.other_written_tables(statement):
            target = self._targets.get(table)
            if target is not None and target.is_on():
                self._refuse(connection, target, "it updates several tables; give each one its own")

    def check_nested(self, connection: Connection, nested: Iterable[Any]) -> None:
        """Refuse statements within another one that write a versioned table."""
        for each in nested:
            if isinstance(each, UpdateBase) and (target := self._targets.written_by(each)):
                self._refuse(connection, target, NESTED)

    def _refuse(self, connection: Connection, target: Target, reason: str) -> None:
        session = self._recorder.session_of(connection)
        if session is None or self._recorder.is_paused(session):
            return
        if self._recorder.is_stored_on(session, connection, target.spec.parent_table):
            give_up(target, reason)


def give_up(target: Target, reason: str) -> None:
    """Refuse a write, warn of it or let it through, as is said of its table."""
    message = (
        f"a statement writes {target.spec.parent_table.fullname} in a way that cannot be "
        f"recorded: {reason}. To leave it unrecorded, let it through with paused(session) or the "
        "option capture='ignore'"
    )
    follow_policy(target.policy, message)


def follow_policy(policy: str, message: str) -> None:
    """Raise, warn or say nothing, as the option ``capture`` has it."""
    if policy == "raise":
        raise CaptureError(message)
    if policy == "warn":
        warnings.warn(message, UnrecordedWrite, stacklevel=4)


def _schema_of(connection: Connection, schema: str | None) -> str | None:
    """Return the schema in the database that is meant by a schema in the metadata."""
    mapped = _sqlalchemy.translated_schema(connection.get_execution_options(), schema)
    return mapped or connection.dialect.default_schema_name


def _moves_schemas(connection: Connection, target: Target, options: Mapping[str, Any]) -> bool:
    """Tell whether a statement has tables elsewhere than its connection has them."""
    own, name = connection.get_execution_options(), "schema_translate_map"
    if options.get(name) == own.get(name):
        return False
    spec = target.spec
    return any(
        _sqlalchemy.translated_schema(options, table.schema)
        != _sqlalchemy.translated_schema(own, table.schema)
        for table in (spec.parent_table, spec.version_table, spec.transaction_table)
    )
