"""Recording what an engine sends to its database."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Engine, event

TRANSACTION_CONTROL = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)


class Statement(NamedTuple):
    """One statement, as the driver got it."""

    statement: str
    parameters: Any
    executemany: bool


class Statements(list[Statement]):
    """The statements executed in a block, in order, without transaction control."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self)

    def on(self, table: str) -> "Statements":
        """Return those that name *table*, and not merely a name it is part of."""
        pattern = re.compile(rf"(?<!\w){re.escape(table)}(?!\w)")
        return Statements(each for each in self if pattern.search(each.statement))

    def starting(self, verb: str) -> "Statements":
        """Return those that start with *verb*, such as ``INSERT``."""
        return Statements(each for each in self if each.statement.lstrip().startswith(verb))


@contextmanager
def count_statements(engine: Engine) -> Iterator[Statements]:
    """Record the statements that *engine* executes in the block."""
    statements = Statements()

    def record(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if not TRANSACTION_CONTROL.match(statement):
            statements.append(Statement(statement, parameters, many))

    event.listen(engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", record)
