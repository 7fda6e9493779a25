"""DDL elements on functions and triggers, each of them one statement.

Names are written by the dialect that compiles them, with the schema of each; tables that name no
schema are in the one that the element was given, or the default schema of the connection.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from .text import Text, dollar_quoted, fill

__all__ = ["Element", "write_function"]

CREATE_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}({arguments}) RETURNS {returns}
LANGUAGE plpgsql SECURITY {rights} SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS {body}
"""


class Element(ExecutableDDLElement):
    """A statement on what belongs to one table."""

    def __init__(self, spec: Any, part: Any = None, *, default_schema: str | None = None) -> None:
        self.spec = spec
        self.part = part
        self.default_schema = default_schema

    def text(self, compiler: DDLCompiler) -> Text:
        """Return what writes the names."""
        return Text(compiler, self.default_schema)


def write_function(
    name: str,
    body: str,
    *,
    arguments: str = "",
    returns: str = "trigger",
    acts_for_owner: bool = True,
) -> str:
    """Return the statement that makes a function, or renews it.

    :param name: with its schema, as all names quoted where they must be.
    :param acts_for_owner: whether it has the rights of who has made it.
    """
    rights = "DEFINER" if acts_for_owner else "INVOKER"
    slots = {"function": name, "arguments": arguments, "returns": returns, "rights": rights}
    return fill(CREATE_FUNCTION, **slots, body=dollar_quoted(body))
