"""``article.versions``: the versions of one object, read when asked for and no more."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from inspect import GEN_CREATED, getgeneratorstate
from operator import index as integer
from typing import Any, Generic, TypeVar, overload

from sqlalchemy import Select, func, inspect, select
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.exc import DetachedInstanceError

from .. import _sqlalchemy
from ..database.sessions import awaited_as
from ..exc import InvalidArgumentType
from ..model.lookup import ensure_bound, spec_of
from ..model.spec import ClassSpec
from ..query.conditions import is_row_of, leads_to, place_of
from ..query.history import FRESH, transaction_id_of

__all__ = ["VersionCollection", "count_versions", "versions_of"]

T = TypeVar("T")

_awaited = awaited_as("versions(…)")


class VersionCollection(Sequence[Any], Generic[T]):
    """The versions of one object, oldest first.

    Every use asks the database, for what it needs and no more: an index is one row, ``len()`` a
    count.  :meth:`filter`, :meth:`filter_by` and :meth:`order_by` return narrower collections.
    Pickled, it is the object that goes along, and no version.

    >>> article.versions[-1].name
    'Final'
    >>> [version.name for version in article.versions]
    ['Draft', 'Final']
    """

    def __init__(
        self,
        obj: Any,
        spec: ClassSpec,
        wanted: Select[Any] | None = None,
        order: tuple[Any, ...] | None = None,
    ) -> None:
        # The object, not only its state: nobody else may hold it, as in get(…).versions[0].
        self._obj = obj
        self._state: InstanceState[Any] = inspect(obj)
        self._spec = spec
        self._is_whole = wanted is None and order is None
        self._wanted = select(spec.version_class) if wanted is None else wanted
        self._order = order
        self._running: tuple[Callable[[], Any], int] = (lambda: None, 0)

    def select(self) -> Select[Any]:
        """Return the statement of this collection, to be run or refined elsewhere.

        >>> session.scalars(article.versions.select().limit(1)).one().name
        'Draft'
        """
        return self._unordered().order_by(*self._clauses())

    def all(self) -> list[Any]:
        """Return all versions as a list."""
        return self._many(self.select)

    def first(self) -> Any | None:
        """Return the first version, or ``None``."""
        return self._one(self.select)

    @_awaited
    def count(self, value: Any = ...) -> int:
        """Return how many versions there are; with *value*, how often it is among them."""
        if value is not ...:
            return int(value in self)
        session = self._session()
        if session is None:
            return 0
        counted = select(func.count()).select_from(self._unordered().subquery())
        return session.scalar(counted) or 0

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the place of *value* among these versions.

        :raises ValueError: if it is not there.
        """
        return self.all().index(value, start, *(() if stop is None else (stop,)))

    @_awaited
    def at(self, when: Any) -> Any | None:
        """Return the version that was the newest at *when*, or ``None`` if there was none.

        :param when: a Transaction, its id, or an aware ``datetime``, which means the last
            transaction issued not later than it.  An id is compared, and not looked up: one that no
            transaction has stands for the last one before it.
        :raises VersioningError: if *when* is anything else.

        >>> article.versions.at(first).name
        'Draft'
        """
        session = self._session()
        if session is None:
            return None
        at = transaction_id_of(session, self._spec.transaction_class, when)
        if at is None:
            return None
        until = leads_to(self._spec, self._spec.version_class, at)
        return self._one(lambda: self._backwards(offset=0).where(until))

    def filter(self, *criteria: Any) -> VersionCollection[T]:
        """Return the versions that match *criteria* as well.

        >>> Version = version_class(Article)
        >>> article.versions.filter(Version.name.like("F%")).count()
        1
        """
        return self._with(self._wanted.where(*criteria))

    def filter_by(self, **values: Any) -> VersionCollection[T]:
        """Return the versions with these attribute values.

        >>> article.versions.filter_by(name="Final")[0].index
        1
        """
        return self._with(self._wanted.filter_by(**values))

    def options(self, *options: Any) -> VersionCollection[T]:
        """Return the collection with loader options applied."""
        return self._with(self._wanted.options(*options))

    def order_by(self, *clauses: Any) -> VersionCollection[T]:
        """Return the versions in another order; ``None`` alone means in none."""
        order = () if len(clauses) == 1 and clauses[0] is None else clauses
        return VersionCollection(self._obj, self._spec, self._wanted, order)

    def __iter__(self) -> Iterator[Any]:
        found = self.all()
        running = (version for version in found)
        self._running = weakref.ref(running), len(found)
        return running

    def __reversed__(self) -> Iterator[Any]:
        return iter(self.all()[::-1])

    def __len__(self) -> int:
        # list(versions) asks for the length between making the iterator and using it, which
        # would count what has just been read.
        running, number = self._running
        iterator = running()
        if iterator is not None and getgeneratorstate(iterator) == GEN_CREATED:
            return number
        return self.count()

    def __bool__(self) -> bool:
        return self.first() is not None

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._slice(index)
        place = self._place(index)
        # In an order of the application's own, nobody knows what its reverse is.
        if place < 0 and self._order is not None:
            return self.all()[place]
        if place < 0:
            # The last is the first of the reverse, which an index gives without counting.
            found = self._one(lambda: self._backwards(offset=~place))
        else:
            found = self._one(lambda: self.select().offset(place or None))
        if found is None:
            raise IndexError(f"{self!r} has no version {place}; it has {self.count()} versions")
        return found

    @_awaited
    def __contains__(self, value: object) -> bool:
        spec = self._spec
        if not isinstance(value, spec.version_class) or not inspect(value).persistent:
            return False
        loaded = inspect(value).dict
        at = [loaded[key] if key in loaded else getattr(value, key) for key in spec.place]
        same = [one == other for one, other in zip(self._places, at, strict=True)]
        found = self._one(lambda: self._unordered().where(*same))
        # The session gives one object for a row, unless it is of another session.
        return found is value

    def __repr__(self) -> str:
        cls, identity = self._spec.parent_class.__name__, self._state.identity
        return f"<VersionCollection of {cls} {identity}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # What the statements of SQLAlchemy refer to is of one process.
        if not self._is_whole:
            raise InvalidArgumentType(
                f"{self!r} was narrowed or ordered, and cannot be pickled; pickle the list of its "
                "versions, all(), or the object"
            )
        return versions_of, (self._obj,)

    # -- statements --------------------------------------------------------------------------

    @property
    def _places(self) -> list[Any]:
        return place_of(self._spec, self._spec.version_class)

    def _clauses(self) -> Sequence[Any]:
        return self._places if self._order is None else self._order

    def _unordered(self) -> Select[Any]:
        spec = self._spec
        return self._wanted.where(is_row_of(spec, spec.version_class, self._identity()))

    def _backwards(self, *, offset: int) -> Select[Any]:
        newest_first = [each.desc() for each in self._places]
        return self._unordered().order_by(*newest_first).offset(offset or None)

    def _identity(self) -> tuple[Any, ...]:
        """Return the primary key by which the versions are found.

        A flush may have given it to the object since this collection was made.
        """
        identity = self._state.identity
        return identity or tuple(self._state.mapper.primary_key_from_instance(self._obj))

    # -- reading -----------------------------------------------------------------------------

    def _slice(self, index: slice) -> list[Any]:
        self._check_edges(index)
        start, stop = index.start or 0, index.stop
        is_run = index.step in (None, 1)
        if is_run and start >= 0 and (stop is None or stop >= 0):
            return self._from_start(start, stop)
        # In an order of the application's own, nobody knows what its reverse is.
        if is_run and self._order is None and _is_counted_from_end(start, stop):
            return self._last(-start, but=-(stop or 0))
        return self.all()[index]

    def _from_start(self, start: int, stop: int | None) -> list[Any]:
        size = None if stop is None else stop - start
        if size is not None and size <= 0:
            return []
        return self._many(lambda: self.select().offset(start or None).limit(size))

    def _check_edges(self, index: slice) -> None:
        for edge in (index.start, index.stop, index.step):
            if edge is not None:
                self._place(edge)

    def _place(self, index: Any) -> int:
        try:
            return integer(index)
        except TypeError as error:
            raise InvalidArgumentType(
                f"{index!r} is no place in {self!r}; give a whole number"
            ) from error

    def _last(self, number: int, *, but: int) -> list[Any]:
        """Return the last *number* versions without the last *but* of them, oldest first."""
        return self._many(lambda: self._backwards(offset=but).limit(number - but))[::-1]

    def _one(self, build: Any) -> Any | None:
        found = self._many(lambda: build().limit(1))
        return found[0] if found else None

    @_awaited
    def _many(self, build: Any) -> list[Any]:
        """Run the statement that *build* returns, once the object is sure to have its key."""
        session = self._session()
        if session is None:
            return []
        return list(session.scalars(build(), execution_options=FRESH))

    def _session(self) -> Session | None:
        """Return the session to ask, or ``None`` where there is nothing to be found."""
        state = self._state
        if state.detached:
            raise DetachedInstanceError(
                f"{self._spec.parent_class.__name__} {state.identity} is in no session, so its "
                "versions cannot be read; add it to one, or run select(version_class(…)) yourself"
            )
        session: Session | None = state.session
        if session is not None and state.pending:
            # A key that the database makes is known after the flush only.
            if session.autoflush and not _sqlalchemy.is_flushing(session):
                session.flush()
            if None in self._identity():
                return None
        if session is not None:
            ensure_bound(session, self._spec)
        return session

    def _with(self, statement: Select[Any]) -> VersionCollection[T]:
        return VersionCollection(self._obj, self._spec, statement, self._order)


def _is_counted_from_end(start: int, stop: int | None) -> bool:
    """Tell whether a slice has the same members however many there are before them."""
    return start < 0 and (stop is None or start < stop < 0)


def versions_of(obj: Any) -> VersionCollection[Any]:
    """Return the versions of *obj*; for classes that use the name ``versions`` themselves.

    :raises ClassNotVersioned: if its class is not versioned.
    :raises InvalidArgumentType: if it is a class, or a version.

    >>> versions_of(article).count()
    2
    """
    spec = spec_of(obj)
    if not isinstance(obj, spec.parent_class):
        name = spec.parent_class.__name__
        raise InvalidArgumentType(f"{obj!r} is no object of {name}; give one, which has versions")
    return VersionCollection(obj, spec)


def count_versions(obj: Any) -> int:
    """Return how many versions *obj* has in the database; nothing is flushed for it.

    :raises ClassNotVersioned: if its class is not versioned.

    >>> count_versions(article), count_versions(Article())
    (2, 0)
    """
    versions = versions_of(obj)
    session = inspect(obj).session
    if session is None:
        return versions.count()
    with session.no_autoflush:
        return versions.count()
