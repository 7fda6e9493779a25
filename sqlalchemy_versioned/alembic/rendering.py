"""How operations are written into migrations: each knows its own text."""

from __future__ import annotations

from typing import Any, Protocol

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext

__all__ = ["render_by_itself"]


class _Rendered(Protocol):
    def render(self, prefix: str) -> str:
        """Return the call."""
        ...


def render_by_itself(*operations: Any) -> None:
    """Let Alembic ask operations of these classes what they are in a migration."""
    for each in operations:
        renderers.dispatch_for(each)(_render)


def _render(autogen_context: AutogenContext, operation: _Rendered) -> str:
    return operation.render(autogen_context.opts["alembic_module_prefix"] or "")
