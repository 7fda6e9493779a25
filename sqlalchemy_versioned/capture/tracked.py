"""What one manager records: classes, association tables, and the tables of histories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import Mapper

from ..model.spec import ClassSpec
from .flushes import LinkTable
from .touched import ClassReader

__all__ = ["Tracked"]


class Tracked:
    """What is recorded of classes and association tables.

    :param is_on: tells whether recording is switched on for a class.
    :param are_links_on: tells whether it is for association tables.
    """

    def __init__(
        self, *, is_on: Callable[[ClassSpec], bool], are_links_on: Callable[[], bool]
    ) -> None:
        self.is_on = is_on
        self.are_links_on = are_links_on
        self.readers: dict[Mapper[Any], ClassReader] = {}
        self.associations: dict[Table, LinkTable] = {}
        self.mappers: dict[Table, list[Mapper[Any]]] = {}
        #: The classes of which objects have the id of their newest version, with the attribute.
        self.live_ids: dict[type[Any], str] = {}
        #: The tables that only we write.
        self.histories: set[Any] = set()

    def clear(self) -> None:
        """Forget all of it."""
        self.readers.clear()
        self.associations.clear()
        self.mappers.clear()
        self.live_ids.clear()
        self.histories.clear()
