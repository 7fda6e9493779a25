"""Plugins: :class:`Plugin` is their contract, :class:`PluginCollection` what a manager holds."""

from __future__ import annotations

from ..hooks import Plugin, PluginCollection

__all__ = ["Plugin", "PluginCollection"]
