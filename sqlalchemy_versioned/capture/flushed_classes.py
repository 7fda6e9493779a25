"""Which classes of a flush are recorded by the session, and what reads their objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import InstanceState, Mapper, Session

from .. import _sqlalchemy
from ..model.spec import ClassSpec, VersionSpec
from ..recording.paused import is_paused
from ..recording.surroundings import Surroundings
from .flush_refusals import refuse_shards
from .flush_work import find_switched
from .flushes import Flush
from .touched import ClassReader
from .tracked import Tracked

__all__ = ["FlushedClasses", "Readers"]

#: What reads the objects of classes, by mapper.
Readers = Mapping[Mapper[Any], ClassReader]


class FlushedClasses:
    """Finds what reads the objects of flushes."""

    def __init__(self, surroundings: Surroundings, tracked: Tracked) -> None:
        self._surroundings = surroundings
        self._tracked = tracked

    def readers(self, flush: Flush) -> Readers:
        """Return what reads the objects of a flush that are recorded.

        Asked once: which mappers it concerns is settled when it executes its first statement.
        """
        if flush.readers is None:
            flush.readers = self._find(flush)
        return flush.readers

    def of_hierarchy(self, flush: Flush, base_mapper: Mapper[Any]) -> Readers:
        """Return those of the objects of one hierarchy."""
        readers = self.readers(flush)
        return {m: reader for m, reader in readers.items() if m.base_mapper is base_mapper}

    def due(self, flush: Flush) -> Readers:
        """Return those of the objects of which images are still to be taken."""
        readers = self.readers(flush)
        if not flush.imaged:
            return readers
        return {mapper: reader for mapper, reader in readers.items() if flush.is_due(mapper)}

    def switched(
        self, flush: Flush, base_mapper: Mapper[Any]
    ) -> Mapping[InstanceState[Any], ClassSpec]:
        """Return the objects of a hierarchy that are deleted and leave their rows to new ones.

        Each comes with the class of the new one, which SQLAlchemy tells of as if it were inserted.
        """
        if base_mapper not in flush.switched:
            readers = self.of_hierarchy(flush, base_mapper)
            flush.switched[base_mapper] = find_switched(flush.context, readers)
        return flush.switched[base_mapper]

    def _find(self, flush: Flush) -> Readers:
        readers: dict[Mapper[Any], ClassReader] = {}
        known, mappers = self._tracked.readers, _sqlalchemy.flushed_mappers(flush.context)
        if known.keys().isdisjoint(mappers) or is_paused(flush.session):
            return readers
        for mapper in mappers:
            reader = known.get(mapper)
            if reader is None or not self._tracked.is_on(reader.spec):
                continue
            if not self._leaves_to_triggers(flush.session, mapper, reader.spec.root):
                readers[mapper] = reader
        if readers and flush.session.connection_callable is not None:
            refuse_shards(readers)
            return {}
        return readers

    def _leaves_to_triggers(self, session: Session, mapper: Mapper[Any], root: VersionSpec) -> bool:
        # Asking a session for its database takes longer than all the rest.
        return root.is_native and self._surroundings.leaves_to_triggers(
            session.get_bind(mapper).dialect, root
        )
