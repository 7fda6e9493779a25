"""Putting an object and its relations back to what a version says."""

from __future__ import annotations

from typing import Any

__all__ = ["revert", "revert_plan"]


def revert_plan(version: Any, relations: Any = (), on_missing: str = "raise") -> Any:
    """Return what reverting would do."""
    raise NotImplementedError


def revert(version: Any, relations: Any = (), on_missing: str = "raise") -> Any:
    """Revert."""
    raise NotImplementedError
