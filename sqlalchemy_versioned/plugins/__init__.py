"""Plugins: :class:`.Plugin` is their contract, :class:`.PluginCollection` what a manager holds.

The other plugins are ready to use: give instances of them to :func:`.make_versioned`.  The two
middlewares go around web applications.
"""

from __future__ import annotations

from ..hooks import Plugin, PluginCollection
from .activity import ActivityPlugin
from .asgi import ASGIMiddleware
from .flask import FlaskPlugin
from .null_delete import NullDeletePlugin
from .property_mod_tracker import PropertyModTrackerPlugin
from .transaction_changes import TransactionChangesPlugin
from .transaction_meta import TransactionMetaPlugin
from .wsgi import WSGIMiddleware

__all__ = [
    "ASGIMiddleware",
    "ActivityPlugin",
    "FlaskPlugin",
    "NullDeletePlugin",
    "Plugin",
    "PluginCollection",
    "PropertyModTrackerPlugin",
    "TransactionChangesPlugin",
    "TransactionMetaPlugin",
    "WSGIMiddleware",
]
