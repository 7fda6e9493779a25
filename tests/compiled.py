"""What engines have compiled, kept for the next engine of the same kind.

Each test gets an engine of its own, which nobody listens to and the library does not know.  It
finds the statements of earlier ones in their caches, those of mappers included, because their
dialects are equal: SQLAlchemy makes the dialect a part of each key.  Compiling anew took a sixth
of the suite's time.
"""

from collections.abc import Hashable
from functools import cache
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import Dialect


class CompiledStatements:
    """The cache of the engines of each kind; uses ``Engine._compiled_cache``."""

    def __init__(self) -> None:
        self._caches: dict[Hashable, Any] = {}

    def share(self, kind: Hashable, engine: Engine) -> Engine:
        """Let an engine find what others of its kind have compiled; return it."""
        dialect: Any = engine.dialect
        dialect.__class__ = _twin_class(type(dialect))
        dialect.kind = kind
        engine._compiled_cache = self._caches.setdefault(kind, engine._compiled_cache)
        return engine

    def clear(self) -> None:
        """Forget the statements, when the models go that they are about."""
        self._caches.clear()


@cache
def _twin_class(dialect_class: type[Dialect]) -> type[Any]:
    """Return a class of dialects that equal others of the same kind."""
    # Objects that are there already can only change to a class without another base.
    contents = {
        "__eq__": lambda self, other: type(other) is type(self) and other.kind == self.kind,
        "__hash__": lambda self: hash(self.kind),
        # Every class of dialects has to say so for itself.
        "supports_statement_cache": dialect_class.supports_statement_cache,
    }
    return type(dialect_class.__name__, (dialect_class,), contents)
