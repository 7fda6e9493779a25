"""PostgreSQL triggers that record what statements do, whoever sends them.

``make_versioned(native=True)`` leaves recording to them; ``create_all()`` and ``drop_all()`` make
and remove them with the tables.  The functions here do it for tables that are there already.
"""

from __future__ import annotations

from .check import TriggerFault, TriggerState, check_triggers
from .install import (
    create_trigger,
    drop_trigger,
    install_triggers,
    sync_trigger,
    trigger_ddl,
    uninstall_triggers,
)
from .reflection import InstalledTrigger, inspect_triggers
from .syncing import sync_triggers

__all__ = [
    "InstalledTrigger",
    "TriggerFault",
    "TriggerState",
    "check_triggers",
    "create_trigger",
    "drop_trigger",
    "inspect_triggers",
    "install_triggers",
    "sync_trigger",
    "sync_triggers",
    "trigger_ddl",
    "uninstall_triggers",
]
