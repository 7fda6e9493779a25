"""Which schema a connection finds a table in, where one engine leads to several.

A ``schema_translate_map`` tells it by itself.  What a session says by SQL text is asked for, but
only on engines that have been heard to say so.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, cast
from weakref import WeakSet

from sqlalchemy import Connection, Engine, select

from .. import _sqlalchemy
from ..database.dialects import schemas_looked_in
from ..model.spec import VersionSpec
from .ours import OURS

__all__ = ["Schemas"]

#: ``SET search_path`` and the like, and ``USE``.
_CHOOSING = re.compile(r"\bsearch_path\b|^\s*use\b", re.IGNORECASE)
_MAP = "schema_translate_map"


class Schemas:
    """Tells the schemas in which connections find tables."""

    def __init__(self) -> None:
        self._wandering: WeakSet[Engine] = WeakSet()

    def hear(self, connection: Connection, text: str) -> None:
        """Note an engine on which SQL text says where tables are."""
        if _CHOOSING.search(text):
            self._wandering.add(_sqlalchemy.root_engine(connection))

    def found(self, connection: Connection, schema: str | None) -> tuple[str | None, ...]:
        """Return where tables of a schema are looked for; ``None`` is where the engine leads."""
        options = connection.get_execution_options()
        translated = _sqlalchemy.translated_schema(options, schema)
        if translated is None and _sqlalchemy.root_engine(connection) in self._wandering:
            return _ask(connection)
        return (translated,)

    def place(self, connection: Connection, spec: VersionSpec) -> Hashable:
        """Return what differs where the rows of a table, or their versions, are others."""
        if not self._wandering and not connection.get_execution_options().get(_MAP):
            return None
        schemas = dict.fromkeys((spec.parent_table.schema, spec.version_table.schema))
        return tuple(self.found(connection, each) for each in schemas)


def _ask(connection: Connection) -> tuple[str | None, ...]:
    schemas = schemas_looked_in(connection.dialect)
    if schemas is None:
        return (None,)
    found: Any = connection.scalar(select(schemas), execution_options=OURS)
    return tuple(cast("list[str]", found)) if isinstance(found, list) else (found,)
