"""Where the rows of versioned tables are, and going through them in ranges of keys.

What looks after history works on sets, a range at a time, so that neither statements nor locks grow
with the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, inspect
from sqlalchemy.orm import Mapper, Session, configure_mappers
from sqlalchemy.sql.dml import UpdateBase

from .. import _sqlalchemy
from .._typing import is_table
from ..database.sessions import check_databases, sync_session
from ..exc import ReadOnlySnapshot
from ..model.arguments import check_function, check_number
from ..model.lookup import (
    TABLES,
    check_has_key,
    check_no_object,
    find_spec,
    is_left_out,
    spec_of,
    table_spec_of,
)
from ..model.mapping import root_mapper
from ..model.spec import VersionSpec
from ..query.left_out import LeftOut, Others
from ..query.ranges import Range, select_range_end, select_rest
from ..reading.snapshot import Snapshot
from ..recording.ours import OURS
from ..triggers.upkeep import upkeep

__all__ = [
    "Place",
    "Progress",
    "by_object",
    "check_pace",
    "find_places",
    "present_session",
    "ranges",
]

#: Called with the name of a table and the number of its rows that were looked at.
Progress = Callable[[str, int], None]


def present_session(session: Any) -> Session:
    """Return the session to look after history in, with all that waits in it written.

    :raises ReadOnlySnapshot: if it reads the past.
    :raises VersioningError: if it finds a database for each object.
    """
    found = sync_session(session)
    check_databases(found)
    if isinstance(found, Snapshot):
        raise ReadOnlySnapshot(
            f"{found!r} reads the past, and history is looked after in the present; give the "
            "session that it was taken of"
        )
    found.flush()
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """A versioned table, and where a session finds it."""

    spec: VersionSpec
    #: The base-most table of its objects.
    first: VersionSpec
    mapper: Mapper[Any] | None
    #: Its rows that are not recorded.
    left_out: LeftOut | None = None
    #: The objects that have no rows in it, if the base-most table tells them.
    others: Others | None = None

    @property
    def bind(self) -> dict[str, Any]:
        """What tells a session the database."""
        if self.mapper is not None:
            return {"mapper": self.mapper}
        return {"clause": self.spec.parent_table}

    @property
    def where(self) -> dict[str, Any]:
        """The keyword that ``Session.execute()`` takes it by."""
        return {"bind_arguments": self.bind}

    def execute(
        self, session: Session, statement: UpdateBase, parameters: Mapping[str, Any] | None = None
    ) -> int:
        """Execute a statement that changes history, and nothing else; return the row count."""
        # The objects of the session are of live classes; versions are expired by the caller.
        options = {"synchronize_session": False, **OURS}
        table: Any = statement.table
        with upkeep(session.connection(bind_arguments=self.bind), table):
            result: Any = session.execute(
                statement, parameters, execution_options=options, **self.where
            )
        return int(result.rowcount)


def check_pace(batch_size: Any, progress: Any) -> None:
    """Refuse ranges without rows, and progress that cannot be told, before anything is done.

    :raises InvalidArgument: if *batch_size* is less than 1.
    :raises InvalidArgumentType: if it is no number, or *progress* is no function.
    """
    check_number("batch_size", batch_size, least=1)
    check_function("progress", progress)


def find_places(models: Sequence[Any]) -> list[Place]:
    """Return the tables of *models*, of all that is versioned if there are none.

    :raises ClassNotVersioned: if one of them is not versioned.
    :raises IncompleteHistory: if one of them is a table without a key.
    :raises InvalidArgumentType: if one of them is an object.
    """
    # What is not configured would look like what is not versioned, and nothing be wrong with it.
    configure_mappers()
    found: dict[VersionSpec, Place] = {}
    for model in models or _everything():
        if is_table(model):
            spec = table_spec_of(model)
            if model in models:
                check_has_key(spec)
            elif not spec.key:
                # Of such a table nothing could be compared.
                continue
            found.setdefault(spec, Place(spec, spec, None))
            continue
        cls = spec_of(model)
        check_no_object(model, cls)
        mapper: Mapper[Any] = inspect(cls.parent_class)
        family = _family(root_mapper(mapper))
        for spec in cls.hierarchy.tables:
            left_out, others = _left_out(family, spec, cls.root), _others(family, spec, cls.root)
            found.setdefault(spec, Place(spec, cls.root, mapper, left_out, others))
    return list(found.values())


def _family(base: Mapper[Any]) -> list[Mapper[Any]]:
    """Return the classes that share rows with the base-most one, that first."""
    return [each for each in base.self_and_descendants if root_mapper(each) is base]


def _others(family: list[Mapper[Any]], spec: VersionSpec, first: VersionSpec) -> Others | None:
    """Return which objects have no rows in a table."""
    without = [each for each in family if spec.parent_table not in each.tables]
    known = [each.polymorphic_identity for each in without]
    identities = tuple(each for each in known if each is not None)
    if first.kind is None or not identities:
        return None
    return Others(first.kind.version, identities)


def _left_out(family: list[Mapper[Any]], spec: VersionSpec, first: VersionSpec) -> LeftOut | None:
    """Return which rows of a table belong to classes that are not versioned."""
    others = [each for each in family if is_left_out(each)]
    kind: Any = family[0].polymorphic_on
    if not others or kind is None:
        return None
    identities = tuple(each.polymorphic_identity for each in others)
    live = kind.in_(identities)
    if spec is not first:
        pairs = zip(spec.key, first.key, strict=True)
        same = [ours.parent == theirs.parent for ours, theirs in pairs]
        live = exists().where(*same, live).correlate(spec.parent_table)
    return LeftOut(live, first, first.version_column(kind), identities)


def _everything() -> Iterator[Any]:
    mapped: set[VersionSpec] = set()
    for mapper in _sqlalchemy.all_mappers():
        spec = find_spec(mapper.class_)
        if spec is not None and not is_left_out(mapper):
            mapped.update(spec.tables)
            yield mapper.class_
    for each in _sqlalchemy.all_metadata():
        for table, table_spec in each.info.get(TABLES, {}).items():
            if table_spec not in mapped:
                yield table


def by_object(places: Sequence[Place]) -> Iterator[list[Place]]:
    """Yield the tables that objects are in together, base-most first; ranges of keys fit all."""
    groups: dict[Any, list[Place]] = {}
    for place in places:
        groups.setdefault(place.first, []).append(place)
    yield from groups.values()


def ranges(session: Session, place: Place, size: int, progress: Progress | None) -> Iterator[Range]:
    """Yield the ranges of a table, and tell when each was looked at."""
    after: tuple[Any, ...] | None = None
    seen, name = 0, place.spec.parent_table.fullname
    while True:
        row = session.execute(select_range_end(place.spec, after, size), **place.where).first()
        until = None if row is None else tuple(row)
        yield after, until
        if progress is not None:
            if until is None:
                rest = select_rest(place.spec, after, size)
                seen += session.execute(rest, **place.where).scalar_one()
            else:
                seen += size
            progress(name, seen)
        if until is None:
            return
        after = until
