"""Plugins: :class:`Plugin` is their contract, :class:`PluginCollection` what a manager holds.

The others are ready to use: give instances of them to :func:`.make_versioned`.
"""

from __future__ import annotations

from ..hooks import Plugin, PluginCollection
from .activity import ActivityPlugin
from .null_delete import NullDeletePlugin
from .property_mod_tracker import PropertyModTrackerPlugin
from .transaction_changes import TransactionChangesPlugin
from .transaction_meta import TransactionMetaPlugin

__all__ = [
    "ActivityPlugin",
    "NullDeletePlugin",
    "Plugin",
    "PluginCollection",
    "PropertyModTrackerPlugin",
    "TransactionChangesPlugin",
    "TransactionMetaPlugin",
]
