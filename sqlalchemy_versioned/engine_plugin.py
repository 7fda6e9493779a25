"""The plugin of engines: ``create_engine(url, plugins=["versioned"])`` or ``?plugin=versioned``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy.engine import CreateEnginePlugin

from . import make_versioned, versioning_manager

__all__ = ["VersionedEnginePlugin"]


class VersionedEnginePlugin(CreateEnginePlugin):
    """Starts versioning, and records whatever the connections of the engine write.

    What was said to :func:`.make_versioned` before stays as it is.

    >>> from sqlalchemy.engine import make_url
    >>> VersionedEnginePlugin(make_url("sqlite://?plugin=versioned"), {}).engine_created(engine)
    """

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        self.url = url

    def update_url(self, url: URL) -> URL:
        """Return the URL without what is for the plugin: it takes nothing."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """Start versioning."""
        make_versioned()
        versioning_manager.record_engine(engine)
