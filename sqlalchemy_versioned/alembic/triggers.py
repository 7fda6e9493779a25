"""Triggers as migrations write them: by names and text, which do not change with the library.

In the text of a function, :data:`SCHEMA` stands for the schema of tables that name none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from .._typing import MAPPING, new_dict
from ..database.dialects import without_doubled_percents
from ..exc import InvalidArgument, InvalidArgumentType
from ..triggers.ddl import write_trigger, write_triggers_of_partitions
from ..triggers.elements import write_function
from ..triggers.guards import write_guard_trigger
from ..triggers.partitions import sentry_name
from ..triggers.spec import Event
from ..triggers.text import STAMP, stamped
from .given import check_name, check_text

__all__ = ["ROWS", "SCHEMA", "STATEMENTS", "Function", "Names", "Place", "TableTriggers"]

#: A schema, which is said in any case, and a name in it.
Place = tuple[str, str]

#: Needs no quotes, and is the name of nothing.
SCHEMA = "versioned_default_schema"

#: What guards of history may look at.
STATEMENTS, ROWS = "statements", "rows"


@dataclass(frozen=True, slots=True)
class Names:
    """Writes names for one database.

    :param default: the schema of tables that name none.
    """

    preparer: IdentifierPreparer
    default: str

    @classmethod
    def of(cls, dialect: Dialect, default: str) -> Names:
        """Return what writes names as the database has them."""
        return cls(without_doubled_percents(dialect).identifier_preparer, default)

    def __call__(self, schema: str | None, name: str) -> str:
        """Return a name with its schema."""
        return f"{self.preparer.quote_schema(schema or self.default)}.{self.preparer.quote(name)}"

    def place(self, schema: str | None, name: str) -> Place:
        """Return where something is that may name no schema."""
        return schema or self.default, name

    def anywhere(self, body: str) -> str:
        """Return the body of a function for any default schema."""
        return body.replace(f"{self.preparer.quote_schema(self.default)}.", f"{SCHEMA}.")

    def body(self, body: str) -> str:
        """Return the body of a function as the database shall keep it."""
        if STAMP in body:
            # It is one that the database has had, to the letter.
            return body
        schema = self.preparer.quote_schema(self.default)
        return stamped(dedent(body).strip("\n").replace(f"{SCHEMA}.", f"{schema}."))


@dataclass(frozen=True, slots=True)
class Function:
    """A function that triggers call."""

    name: str
    body: str = ""
    schema: str | None = None
    arguments: str = ""
    returns: str = "trigger"

    def __post_init__(self) -> None:
        check_name("the function", self.name)
        check_name("schema", self.schema, or_none=True)
        for kind in ("body", "arguments", "returns"):
            check_text(kind, getattr(self, kind))

    def creation(self, names: Names, *, acts_for_owner: bool = True) -> Iterator[str]:
        """Yield the statements that make it, or renew it, for nobody else to call."""
        name = names(self.schema, self.name)
        if not self.body.strip():
            raise InvalidArgument(f"the function {name} has no body; give what it does")
        yield write_function(
            name,
            names.body(self.body),
            arguments=self.arguments,
            returns=self.returns,
            acts_for_owner=acts_for_owner,
        )
        yield f"REVOKE ALL ON FUNCTION {name}({self.arguments}) FROM PUBLIC"

    def removal(self, names: Names) -> Iterator[str]:
        """Yield the statement that removes it, with the triggers of partitions that call it."""
        behaviour = " CASCADE" if self.returns == "trigger" else ""
        name = names(self.schema, self.name)
        yield f"DROP FUNCTION IF EXISTS {name}({self.arguments}){behaviour}"


@dataclass(frozen=True, slots=True)
class TableTriggers:
    """The triggers of one table, and the function that they call.

    :raises InvalidArgumentType: if triggers are not given by event.
    :raises InvalidArgument: if there is no such event.
    """

    table: str
    function: Function
    #: Their names by event.
    triggers: Mapping[str, str] = field(default_factory=new_dict)
    schema: str | None = None
    #: What they refuse, if they guard history: ``"statements"``, or ``"rows"`` of others.
    guards: str = ""

    def __post_init__(self) -> None:
        check_name("table", self.table)
        if self.guards not in ("", STATEMENTS, ROWS):
            raise InvalidArgument(
                f"guards is {self.guards!r}; give {STATEMENTS!r} or {ROWS!r}, or leave it out"
            )
        known = [event.value for event in Event]
        triggers: Any = self.triggers
        if not isinstance(triggers, MAPPING):
            raise InvalidArgumentType(
                f"triggers is {self.triggers!r}; give names by event, such as "
                f"{{{known[0]!r}: {self.table + '_versioned_insert'!r}}}"
            )
        for event, name in triggers.items():
            if event not in known:
                raise InvalidArgument(f"no event is called {event!r}; choose of {', '.join(known)}")
            check_name(f"the trigger for {event}", name)

    def creation(self, names: Names) -> Iterator[str]:
        """Yield the statements that make function and triggers; the latter must not be there."""
        yield from self.function.creation(names, acts_for_owner=not self.guards)
        table, function = names(self.schema, self.table), names(self.schema, self.function.name)
        for event, name in self.triggers.items():
            named = (names.preparer.quote(name), Event(event), table, function)
            if self.guards:
                yield write_guard_trigger(*named, by_row=self.guards == ROWS)
            else:
                yield write_trigger(*named)
        if self.guards:
            return
        quoted = {Event(event): names.preparer.quote(each) for event, each in self.triggers.items()}
        sentry = names.preparer.quote(sentry_name(self.function.name))
        yield write_triggers_of_partitions(table, function, sentry, quoted)

    def removal(self, names: Names) -> Iterator[str]:
        """Yield the statements that remove triggers and function."""
        yield from self.trigger_removal(names)
        yield from self.function.removal(names)

    def trigger_removal(self, names: Names) -> Iterator[str]:
        """Yield the statements that remove triggers."""
        table = names(self.schema, self.table)
        for name in self.triggers.values():
            yield f"DROP TRIGGER IF EXISTS {names.preparer.quote(name)} ON {table}"
