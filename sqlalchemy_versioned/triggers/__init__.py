"""PostgreSQL triggers that record what statements do, whoever sends them.

``make_versioned(native=True)`` leaves recording to them; ``create_all()`` and ``drop_all()`` make
and remove them with the tables.  The functions here do it for tables that are there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._on_demand import names_on_demand
from .install import (
    create_trigger,
    drop_trigger,
    install_triggers,
    sync_trigger,
    trigger_ddl,
    uninstall_triggers,
)

# What records needs the triggers that are to be; few programs look which there are.
if TYPE_CHECKING:
    from .check import TriggerFault, TriggerState, check_triggers
    from .reflection import InstalledTrigger, inspect_triggers
    from .syncing import sync_triggers
else:
    __getattr__ = names_on_demand(
        __name__,
        {
            "InstalledTrigger": "reflection",
            "TriggerFault": "check",
            "TriggerState": "check",
            "check_triggers": "check",
            "inspect_triggers": "reflection",
            "sync_triggers": "syncing",
        },
    )

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
