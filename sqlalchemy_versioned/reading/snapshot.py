"""The past as a session: :func:`as_of` and the session that it returns.

A :class:`Snapshot` sends its statements over the connections of the session it was taken of, has
its statements compiled by :mod:`..query.temporal`, and keeps an identity map of its own.  It
writes nothing, and says so at once when it is asked to.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Any, NoReturn, TypeAlias, TypeVar

from sqlalchemy import BigInteger, Connection, FunctionElement, Table, bindparam, event, inspect
from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState, Session

from .. import _sqlalchemy
from ..database.sessions import awaited_as, check_databases, sync_session
from ..exc import IncompleteHistory, ReadOnlySnapshot, VersioningError
from ..model.lookup import shared_tables, table_specs
from ..model.spec import VersionSpec
from ..query.past_rows import select_reach
from ..query.temporal import PastCompiler
from .moments import (
    Moment,
    find_moment,
    find_oldest,
    histories,
    transaction_class_of,
    transaction_tables,
)
from .past_objects import name_of, past_options, refuse_together

__all__ = ["Snapshot", "as_of"]

T = TypeVar("T")

#: A method that raises, whatever it is given.
_Refusal: TypeAlias = Callable[..., NoReturn]
# Of Any, checkers would make FunctionElement[Unknown].
_FUNCTION: Any = FunctionElement

_ON_INCOMPLETE = ("raise", "ignore")
#: The key of ``Connection.info`` under which tables are noted whose history is complete.
_REACH = "sqlalchemy_versioned_reach"


@awaited_as("as_of(…)")
def as_of(session: Any, when: Any, *, on_incomplete: str = "raise") -> Snapshot:
    """Return a read-only session in which every versioned table reads as it stood at *when*.

    Statements written for the live classes run unchanged, and give instances of the live classes
    with the values of that time; relationships load as of that time too.  Tables that are not
    versioned read as they are now.

    :param session: the session whose database, connection and transaction are used; its objects
        are left alone.
    :param when: a Transaction, its id, or a ``datetime`` with a time zone, which means the last
        transaction issued not later.
    :param on_incomplete: what to do about a table of whose rows history does not tell what they
        were: ``'raise'``, or ``'ignore'`` to read what there is.
    :raises VersioningError: if *when* is no point in history.
    :raises IncompleteHistory: if *when* is before history begins; and when a statement reads a
        table whose history does not reach back so far, or at the end of the block, if it was pruned
        meanwhile.

    >>> with as_of(session, first) as past:
    ...     past.get(Article, 1).name
    'Draft'
    """
    if on_incomplete not in _ON_INCOMPLETE:
        raise VersioningError(
            f"on_incomplete is {on_incomplete!r}; choose {' or '.join(map(repr, _ON_INCOMPLETE))}"
        )
    live = sync_session(session)
    if isinstance(live, Snapshot):
        live = live.live
    check_databases(live)
    classes = histories()
    cls = transaction_class_of(when, classes)
    moment, horizon = find_moment(live, cls, when, classes[cls], on_incomplete)
    find = partial(find_oldest, live, cls, classes[cls])
    return Snapshot(live, moment, transaction_tables(classes[cls]), horizon, on_incomplete, find)


class Snapshot(_sqlalchemy.BorrowingSession):
    """A session that reads the past; see :func:`as_of`.

    >>> with as_of(session, first) as past:
    ...     past.get(Article, 1).name
    'Draft'

    :param live: the session whose connections are used.
    :param tables: the transaction tables in which *moment* is a number.
    :param horizon: the oldest transaction there is.
    :param find_horizon: looks up which it is by now.
    """

    def __init__(
        self,
        live: Session,
        moment: Moment,
        tables: frozenset[Table],
        horizon: int | None,
        on_incomplete: str,
        find_horizon: Callable[[], int | None],
    ) -> None:
        options = _sqlalchemy.session_options(live)
        super().__init__(autoflush=False, info=_noted_by_others(live), **options)
        self.live = live
        self.moment = moment
        self._tables = tables
        # A statement may name tables by table(), or ones that were not versioned when it was
        # compiled: it alone does not tell what to read for them.
        self._versioned = table_specs()
        self._horizon = horizon
        self._find_horizon = find_horizon
        #: What was found complete, with the schemas it was read in and the connection.
        self._read: dict[Any, tuple[VersionSpec, Mapping[Any, Any], Connection]] = {}
        self._is_lenient = on_incomplete == "ignore"
        self._connection: Connection | None = None
        self._check = _weakly(self)
        self._follow(live)
        _sqlalchemy.guard_attached(self, partial(refuse_together, moment))
        # Last, so that it gets the statement that the others leave.
        event.listen(self, "do_orm_execute", self._read_past)
        event.listen(self, "before_attach", self._refuse_attaching)
        _sqlalchemy.guard_modified(self, self._refuse_changing)

    def _follow(self, live: Session) -> None:
        """Let what filters the statements of the live session filter these as well."""
        own = set(self.dispatch.do_orm_execute)
        for listener in live.dispatch.do_orm_execute:
            if listener not in own:
                event.listen(self, "do_orm_execute", listener)

    # -- reading -----------------------------------------------------------------------------

    def get_bind(self, mapper: Any = None, *, clause: Any = None, **kw: Any) -> Connection:
        """Return the connection on which the live session would read the same."""
        arguments = {"mapper": mapper, "clause": clause, **kw}
        known = {key: value for key, value in arguments.items() if value is not None}
        self._connection = self.live.connection(bind_arguments=known)
        return self._connection

    def get(self, entity: type[T] | Mapper[T], ident: Any, **kw: Any) -> T | None:
        """Return an object as it was, by its primary key, or ``None`` if it was not there."""
        options: dict[str, Any] = {"identity_token": self.moment, **kw}
        return super().get(entity, ident, **options)

    def get_one(self, entity: type[T] | Mapper[T], ident: Any, **kw: Any) -> T:
        """Return an object as it was, by its primary key."""
        options: dict[str, Any] = {"identity_token": self.moment, **kw}
        return super().get_one(entity, ident, **options)

    def exec(self, statement: Any, **options: Any) -> Any:
        """Execute a statement as sessions of SQLModel do, for functions that are given one."""
        result = self.execute(statement, **options)
        return result.scalars() if _selects_scalars(statement) else result

    def _identity_lookup(self, *args: Any, **kw: Any) -> Any:
        # As ShardedSession does: lazy loads look here first.
        return super()._identity_lookup(*args, **{**kw, "identity_token": self.moment})

    def _read_past(self, state: ORMExecuteState) -> None:
        statement = _sqlalchemy.resolved(state.statement)
        if isinstance(statement, _FUNCTION):
            statement = statement.select()
        if not (statement.is_select or _sqlalchemy.is_text(statement)):
            self._refuse_writing()
        at = bindparam("versioned_at", self.moment.transaction_id, BigInteger(), unique=True)
        state.update_execution_options(**past_options(self.moment))
        state.statement = _sqlalchemy.recompile(
            statement, PastCompiler, parameter=at, scope=self._versioned, check=self._check
        )

    # -- how far history reaches ---------------------------------------------------------------

    def check_reach(self, specs: Iterable[VersionSpec], schemas: Mapping[Any, Any]) -> None:
        """Make sure that history tells of tables what was in them.

        :param schemas: the schemas that stand for others, by their names.
        :raises IncompleteHistory: if it does not.
        """
        for spec in specs:
            if spec.transaction_table not in self._tables:
                raise VersioningError(
                    f"{spec.parent_table.fullname} has a history of its own, numbered by "
                    f"{spec.transaction_table.fullname}; take another snapshot for it"
                )
            why = None if self._is_lenient else self._why_silent(spec, schemas)
            if why is not None:
                raise IncompleteHistory(
                    f"the history of {spec.parent_table.fullname} does not tell of all its rows "
                    f"what they were at {self.moment}: {why}, or pass on_incomplete='ignore' to "
                    "read what there is"
                )

    def _why_silent(self, spec: VersionSpec, schemas: Mapping[Any, Any]) -> str | None:
        """Return why history does not tell of some rows of a table, and what to do; or ``None``."""
        if not self._is_whole(spec):
            return "some may be of a class that is not versioned; version the class"
        if not self._reaches(spec, schemas):
            return (
                "some were there before they were recorded, or what they were has been pruned; "
                "choose a later moment"
            )
        return None

    def _is_whole(self, spec: VersionSpec) -> bool:
        """Tell whether flushes record all rows of a table that they write."""
        return spec.parent_table not in self._shared

    @cached_property
    def _shared(self) -> frozenset[Table]:
        return shared_tables()

    def _reaches(self, spec: VersionSpec, schemas: Mapping[Any, Any]) -> bool:
        """Look once for each connection: what is complete stays so, unless history is pruned."""
        assert self._connection is not None
        known = _sqlalchemy.info_of(self._connection).setdefault(_REACH, {})
        schema = spec.version_table.schema
        place = (spec.version_table, schemas.get(schema, schema))
        self._read[place] = (spec, schemas, self._connection)
        horizon, since = known.get(place, (None, None))
        at = self.moment.transaction_id
        if horizon == self._horizon and since is not None and since <= at:
            return True
        options = {"schema_translate_map": dict(schemas)} if schemas else {}
        found = self._connection.execute(select_reach(spec, at), execution_options=options)
        is_silent = any(found.one())
        if not is_silent:
            known[place] = (self._horizon, at)
        return not is_silent

    def check_unpruned(self) -> None:
        """Make sure that history was not pruned while it was read.

        ``with`` does so at its end: under READ COMMITTED statements see what others commit
        meanwhile.  It is one statement, however much was read.

        :raises IncompleteHistory: if it was, so that what was read may not be all there was.
        """
        read = [each for each in self._read.values() if not each[2].closed]
        # What the live session has ended since is not begun again for it.
        if not read or not self.live.in_transaction():
            return
        horizon, self._horizon = self._horizon, self._find_horizon()
        for spec, schemas, connection in read if self._horizon != horizon else ():
            self._connection = connection
            self.check_reach([spec], schemas)

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        try:
            if kind is None:
                self.check_unpruned()
        finally:
            super().__exit__(kind, value, traceback)

    # -- refusing ----------------------------------------------------------------------------

    def _refuse_changing(self, state: InstanceState[Any]) -> NoReturn:
        # Composite values are set before their columns; they are made of these again.
        for composite in state.mapper.composites:
            state.dict.pop(composite.key, None)
        # Values that tell of changes do so after the change; they are read again.
        changed = [key for key, value in state.dict.items() if _sqlalchemy.is_mutable(value)]
        if changed:
            self.expire(state.obj(), changed)
        raise ReadOnlySnapshot(
            f"{name_of(state)} is shown as it was at {self.moment} and cannot be changed; change "
            "the object of a session of the present, or revert() it to a version"
        )

    def _refuse_attaching(self, session: Session, instance: Any) -> NoReturn:
        raise ReadOnlySnapshot(
            f"{name_of(inspect(instance))} cannot be added to the past, which is read as it was at "
            f"{self.moment}; add it to a session of the present"
        )

    def _refuse_writing(self, *args: Any, **kw: Any) -> NoReturn:
        raise ReadOnlySnapshot(
            f"this session reads what was at {self.moment}, and writes nothing; write in a session "
            "of the present"
        )

    add: _Refusal = _refuse_writing
    add_all: _Refusal = _refuse_writing
    merge: _Refusal = _refuse_writing
    merge_all: _Refusal = _refuse_writing
    delete: _Refusal = _refuse_writing
    delete_all: _Refusal = _refuse_writing
    begin_nested: _Refusal = _refuse_writing
    prepare: _Refusal = _refuse_writing
    bulk_save_objects: _Refusal = _refuse_writing
    bulk_insert_mappings: _Refusal = _refuse_writing
    bulk_update_mappings: _Refusal = _refuse_writing

    def connection(self, *args: Any, **kw: Any) -> NoReturn:
        """Refuse: what is sent over a connection reads and writes the present."""
        raise ReadOnlySnapshot(
            "a connection knows nothing of the past; use execute() of this session, or the "
            "connection of a session of the present"
        )

    def rollback(self) -> None:
        """Expire all objects; the transaction is that of the live session."""
        self.expire_all()

    def expunge_all(self) -> None:
        """Let go of all objects."""
        super().expunge_all()
        _sqlalchemy.guard_modified(self, self._refuse_changing)

    def __repr__(self) -> str:
        return f"<Snapshot as of {self.moment}>"


def _selects_scalars(statement: Any) -> bool:
    """Tell whether SQLModel's ``select()`` was given one thing; ``exec()`` gives scalars of it."""
    module = sys.modules.get("sqlmodel.sql.expression")
    kind = getattr(module, "SelectOfScalar", None)
    return kind is not None and isinstance(statement, kind)


def _weakly(snapshot: Snapshot) -> _sqlalchemy.Check:
    # Compiled statements are cached with the statement, and this with them.
    reference = weakref.ref(snapshot)

    def check(compiler: Any, schemas: Mapping[Any, Any]) -> None:
        found = reference()
        if found is not None:
            found.check_reach(compiler.past, schemas)

    return check


def _noted_by_others(live: Session) -> dict[Any, Any]:
    """Return what applications noted in a session; what we noted ends with that session."""
    package = __name__.partition(".")[0]
    return {key: value for key, value in live.info.items() if not _owner(key).startswith(package)}


def _owner(key: Any) -> str:
    return key if isinstance(key, str) else type(key).__module__
