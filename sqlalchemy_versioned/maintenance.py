"""Looking after history: is it true, and is it whole?

:func:`verify` reconciles history with the live rows and changes nothing; :func:`baseline` gives
rows that are older than their history a first version.  Both work on sets, in ranges of keys, and
tell how far they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import MetaData, Table, event, exists, inspect
from sqlalchemy.orm import Mapper, Session

from . import _sqlalchemy
from .exc import ImproperlyConfigured
from .lookup import TABLES, find_spec, get_versioning_manager, spec_of, table_spec_of
from .operation import Operation
from .query.verify import (
    LeftOut,
    Range,
    select_broken_chains,
    select_different_rows,
    select_left_out_versions,
    select_missing_deletions,
    select_orphans,
    select_range_end,
    select_rest,
    select_split_objects,
    select_unrecorded_keys,
)
from .spec import VersionSpec
from .surroundings import sync_session
from .writer import TableWriter

__all__ = ["Fault", "FaultKind", "baseline", "verify"]

#: The key of ``Session.info`` that has the managers of the tables that were given versions.
_BASELINED = "sqlalchemy_versioned_baselined"

#: Called with the name of a table and the number of its rows that were looked at.
Progress = Callable[[str, int], None]


class FaultKind(Enum):
    """What can be wrong with a history."""

    #: A version ends before the next one begins.
    GAP = "gap"
    #: A version ends after the next one begins.
    OVERLAP = "overlap"
    #: A version is open although there is a next one.
    OPEN = "open"
    #: The newest version has ended.
    CLOSED = "closed"
    #: The row is not as its newest version says.
    DIFFERENT = "different"
    #: The row is there, and its newest version is a deletion.
    MISSING_INSERT = "missing insert"
    #: The row is gone, and its newest version is no deletion.
    MISSING_DELETE = "missing delete"
    #: The row has no version.
    UNRECORDED = "unrecorded"
    #: There is no such transaction.
    ORPHAN = "orphan"
    #: The tables of one object do not say the same.
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in history that is not as it must be.

    >>> print(Fault(FaultKind.CLOSED, "article", (1,), transaction_id=7, found=9))
    article 1: closed; version of transaction 7 ends at 9
    """

    kind: FaultKind
    #: The name of the parent table.
    table: str
    key: tuple[Any, ...]
    #: The transaction of the version that is wrong, if there is one.
    transaction_id: int | None = None
    #: The columns that differ.
    columns: tuple[str, ...] = ()
    #: Where the version ends, if that is wrong.
    found: int | None = None
    #: Where it should end.
    expected: int | None = None

    def __str__(self) -> str:
        parts = [f"{self.table} {', '.join(map(str, self.key))}: {self.kind.value}"]
        if self.transaction_id is not None:
            parts.append(f"version of transaction {self.transaction_id}")
        text = "; ".join(parts)
        if self.found is not None or self.expected is not None:
            text += " is open" if self.found is None else f" ends at {self.found}"
        if self.expected is not None:
            text += f", the next begins at {self.expected}"
        return text + (f" in {', '.join(self.columns)}" if self.columns else "")


def verify(
    session: Any, *models: Any, batch_size: int = 10_000, progress: Progress | None = None
) -> list[Fault]:
    """Compare history with the live rows, and with itself; return what is wrong.

    Nothing is changed.  What others write meanwhile may show as a fault; in a transaction of
    isolation level REPEATABLE READ or above it does not.

    :param models: versioned classes, each with all it shares tables with by inheritance, and
        association tables; all that there are unless given.
    :param batch_size: how many rows are looked at by one statement.
    :param progress: called with the name of the table and how many of its rows were looked at.
    :raises ClassNotVersioned: if one of *models* is not versioned.
    :raises ImproperlyConfigured: if *batch_size* is less than 1.

    >>> verify(session, Article)
    []
    """
    found = sync_session(session)
    found.flush()
    faults: list[Fault] = []
    for place in _places(models):
        for within in _ranges(found, place, batch_size, progress):
            faults += _faults_within(found, place, within)
    return faults


def baseline(
    session: Any, model: Any, batch_size: int = 10_000, progress: Progress | None = None
) -> int:
    """Give the rows that have no version one of their present state; return how many there were.

    The versions stand before all transactions, as those that are written when such a row is changed
    for the first time.  Doing it again does nothing; what was done is kept by committing, which
    *progress* may do.  Once it is committed, flushes of this process stop looking for such rows.

    :param model: a versioned class, with all it shares tables with by inheritance, or an
        association table.
    :param batch_size: how many rows are looked at by one statement.
    :param progress: called with the name of the table and how many of its rows were looked at.
    :raises ClassNotVersioned: if *model* is not versioned.
    :raises ImproperlyConfigured: if *batch_size* is less than 1.

    >>> baseline(session, Article)
    0
    """
    found = sync_session(session)
    found.flush()
    made = 0
    for place in _places((model,)):
        for within in _ranges(found, place, batch_size, progress):
            made += _keep_first_states(found, place, within)
            _look_again_when_committed(found, model)
    return made


def _keep_first_states(session: Session, place: _Place, within: Range) -> int:
    """Write the versions that a range lacks; return of how many objects."""
    missing = select_unrecorded_keys(place.spec, within, place.left_out)
    rows = session.execute(missing, **place.where)
    keys = [_bare(row) for row in rows]
    if keys:
        connection = session.connection(bind_arguments=place.bind)
        TableWriter(place.spec, (), connection.dialect).keep_first_state(connection, keys)
    return len(keys) if place.spec is place.first else 0


def _look_again_when_committed(session: Session, model: Any) -> None:
    """Let flushes find out that there are no rows without versions any more.

    Not before they are there to stay: what a flush finds out is kept.
    """
    if _BASELINED not in session.info:
        session.info[_BASELINED] = set()
        event.listen(session, "after_commit", _look_again)
    session.info[_BASELINED].update(_managers(model))


def _look_again(session: Session) -> None:
    if not session.in_nested_transaction():
        for manager in session.info[_BASELINED]:
            manager.look_again()
        session.info[_BASELINED].clear()


def _managers(model: Any) -> Iterator[Any]:
    if not isinstance(model, Table):
        yield get_versioning_manager(model)
        return
    for mapper in _sqlalchemy.all_mappers():
        if find_spec(mapper.class_) is not None:
            manager = get_versioning_manager(mapper.class_)
            if model in manager.association_tables:
                yield manager


@dataclass(frozen=True, slots=True)
class _Place:
    """A versioned table, and where a session finds it."""

    spec: VersionSpec
    #: The base-most table of its objects.
    first: VersionSpec
    mapper: Mapper[Any] | None
    #: Its rows that are not recorded.
    left_out: LeftOut | None = None

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


def _places(models: Sequence[Any]) -> list[_Place]:
    found: dict[VersionSpec, _Place] = {}
    for model in models or _everything():
        if isinstance(model, Table):
            spec = table_spec_of(model)
            found.setdefault(spec, _Place(spec, spec, None))
            continue
        cls = spec_of(model)
        mapper: Mapper[Any] = inspect(cls.parent_class)
        for spec in cls.hierarchy.tables:
            left_out = _left_out(mapper.base_mapper, spec, cls.root)
            found.setdefault(spec, _Place(spec, cls.root, mapper, left_out))
    return list(found.values())


def _left_out(base: Mapper[Any], spec: VersionSpec, first: VersionSpec) -> LeftOut | None:
    """Return which rows of a table belong to subclasses that are not versioned."""
    others = [each for each in base.self_and_descendants if _is_left_out(each)]
    kind: Any = base.polymorphic_on
    if not others or kind is None:
        return None
    identities = tuple(each.polymorphic_identity for each in others)
    live = kind.in_(identities)
    if spec is not first:
        pairs = zip(spec.key, first.key, strict=True)
        same = [ours.parent == theirs.parent for ours, theirs in pairs]
        live = exists().where(*same, live).correlate(spec.parent_table)
    return LeftOut(live, first, first.version_column(kind), identities)


def _is_left_out(mapper: Mapper[Any]) -> bool:
    spec = find_spec(mapper.class_)
    return spec is None or spec.parent_class is not mapper.class_


def _everything() -> Iterator[Any]:
    mapped: set[VersionSpec] = set()
    metadata: dict[MetaData, None] = {}
    for mapper in _sqlalchemy.all_mappers():
        spec = find_spec(mapper.class_)
        if spec is not None and spec.parent_class is mapper.class_:
            mapped.update(spec.tables)
            yield mapper.class_
        if isinstance(mapper.local_table, Table):
            metadata[mapper.local_table.metadata] = None
    for each in metadata:
        for table, table_spec in each.info.get(TABLES, {}).items():
            if table_spec not in mapped:
                yield table


def _ranges(
    session: Session, place: _Place, size: int, progress: Progress | None
) -> Iterator[Range]:
    """Yield the ranges of a table, and tell when each was looked at."""
    if size < 1:
        raise ImproperlyConfigured(f"batch_size is {size!r}; give a number of rows, such as 10_000")
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


def _faults_within(session: Session, place: _Place, within: Range) -> Iterator[Fault]:
    spec, name = place.spec, place.spec.parent_table.fullname
    size = len(spec.key)

    def run(statement: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
        for row in session.execute(statement, **place.where):
            yield tuple(row[:size]), row

    if spec.end_column is not None:
        for key, row in run(select_broken_chains(spec, within)):
            kind = _kind_of_break(row.ended, row.followed)
            yield Fault(kind, name, key, row.began, found=row.ended, expected=row.followed)
    for key, row in run(select_different_rows(spec, within, place.left_out)):
        differing = [
            p.parent.name for p, flag in zip(spec.pairs, row[size + 2 :], strict=True) if flag
        ]
        yield _fault_of_row(name, key, row, tuple(differing))
    for key, row in run(select_missing_deletions(spec, within, place.left_out)):
        yield Fault(FaultKind.MISSING_DELETE, name, key, row.began)
    for key, row in run(select_orphans(spec, within)):
        yield Fault(FaultKind.ORPHAN, name, key, row[size])
    if spec is not place.first:
        for select_faults in (select_split_objects, select_left_out_versions):
            for key, row in run(select_faults(spec, place.first, within)):
                yield Fault(FaultKind.SPLIT, name, key, row[size])


def _kind_of_break(ended: int | None, followed: int | None) -> FaultKind:
    if followed is None:
        return FaultKind.CLOSED
    if ended is None:
        return FaultKind.OPEN
    return FaultKind.GAP if ended < followed else FaultKind.OVERLAP


def _fault_of_row(name: str, key: tuple[Any, ...], row: Any, differing: tuple[str, ...]) -> Fault:
    if row.began is None:
        return Fault(FaultKind.UNRECORDED, name, key)
    if row.operation == Operation.DELETE:
        return Fault(FaultKind.MISSING_INSERT, name, key, row.began)
    return Fault(FaultKind.DIFFERENT, name, key, row.began, differing)


def _bare(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)
