"""Migrations with Alembic: one import in ``env.py``, and autogenerate knows what history is.

>>> import sqlalchemy_versioned.alembic

Importing it adds operations to ``op``.  Autogenerate writes all of them; those about versions can
be written by hand as well.
"""

from __future__ import annotations

import sys
from typing import Any

from alembic.autogenerate import comparators

from .autogenerate import amend, configure, configure_late
from .baseline_operations import BaselineVersionsOp
from .operations import AlignVersionsOp, UpdateEndsOp

try:
    from alembic.runtime.plugins import Plugin
    from alembic.util import DispatchPriority
except ImportError:  # pragma: no cover
    Plugin = None  # type: ignore[assignment, misc]
    DispatchPriority: Any = None  # type: ignore[no-redef]

__all__ = ["AlignVersionsOp", "BaselineVersionsOp", "UpdateEndsOp"]

#: Matched by what ``autogenerate_plugins`` is by default.
_NAME = "alembic.autogenerate.sqlalchemy_versioned"


def setup(plugin: Any) -> None:
    """Let autogenerate know of history; Alembic calls it.

    :param plugin: the ``Plugin`` that Alembic has made for it.
    """
    plugin.add_autogenerate_comparator(configure, "autogenerate", priority=DispatchPriority.FIRST)
    plugin.add_autogenerate_comparator(amend, "autogenerate", priority=DispatchPriority.LAST)


def _amend_late(autogen_context: Any, upgrade_ops: Any, schemas: Any) -> None:
    """Do what Alembic's plugins do, where there are none: before 1.18."""
    configure_late(autogen_context)
    amend(autogen_context, upgrade_ops)


if Plugin is None:  # pragma: no cover
    comparators.dispatch_for("schema")(_amend_late)
else:
    Plugin.setup_plugin_from_module(sys.modules[__name__], _NAME)
