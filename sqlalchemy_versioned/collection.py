"""``article.versions``: the versions of one object, read when asked for and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

from sqlalchemy import Select, func, inspect, select
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.exc import DetachedInstanceError

from .lookup import spec_of
from .query.history import select_versions, transaction_id_of
from .spec import ClassSpec

__all__ = ["VersionCollection", "VersionsAttribute", "versions_of"]

T = TypeVar("T")

#: What is read again replaces what the session had: versions are closed behind its back.
FRESH = {"populate_existing": True}


class VersionCollection(Sequence[Any], Generic[T]):
    """The versions of one object, oldest first.

    Every use asks the database, for what it needs and no more: an index is one row, ``len()`` a
    count.  :meth:`filter`, :meth:`filter_by` and :meth:`order_by` return narrower collections.

    >>> article.versions[-1].name
    'Second'
    >>> [version.name for version in article.versions]
    ['First', 'Second']
    """

    def __init__(
        self,
        state: InstanceState[Any],
        spec: ClassSpec,
        statement: Select[Any],
        order: tuple[Any, ...] | None = None,
    ) -> None:
        self._state = state
        # The session holds objects weakly; without this, session.get(…).versions would lose one.
        self._object = state.obj()
        self._spec = spec
        self._unordered = statement
        self._order = order

    def select(self) -> Select[Any]:
        """Return the statement of this collection, to be run or refined elsewhere.

        >>> session.scalars(article.versions.select().limit(1)).one().name
        'First'
        """
        order = (self._transaction,) if self._order is None else self._order
        return self._unordered.order_by(*order)

    def all(self) -> list[Any]:
        """Return all versions as a list."""
        return list(self)

    def first(self) -> Any | None:
        """Return the first version, or ``None``."""
        return self._one(self.select())

    def count(self, value: Any = ...) -> int:
        """Return how many versions there are; with *value*, how often it is among them."""
        if value is not ...:
            return sum(1 for version in self if version is value)
        session = self._session()
        if session is None:
            return 0
        counted = select(func.count()).select_from(self._unordered.subquery())
        return session.scalar(counted) or 0

    def at(self, when: Any) -> Any | None:
        """Return the version that was the newest at *when*, or ``None`` if there was none yet.

        :param when: a Transaction, its id, or an aware ``datetime``, which means the last
            transaction issued not later than it.

        >>> article.versions.at(article.versions[0].transaction).name
        'First'
        """
        session = self._session()
        if session is None:
            return None
        at = transaction_id_of(session, self._spec.transaction_class, when)
        if at is None:
            return None
        until = self._unordered.where(self._transaction <= at)
        return self._one(until.order_by(self._transaction.desc()))

    def filter(self, *criteria: Any) -> VersionCollection[T]:
        """Return the versions that match *criteria* as well."""
        return self._with(self._unordered.where(*criteria))

    def filter_by(self, **values: Any) -> VersionCollection[T]:
        """Return the versions with these attribute values."""
        return self._with(self._unordered.filter_by(**values))

    def options(self, *options: Any) -> VersionCollection[T]:
        """Return the collection with loader options applied."""
        return self._with(self._unordered.options(*options))

    def order_by(self, *clauses: Any) -> VersionCollection[T]:
        """Return the versions in another order; ``None`` alone means in none."""
        order = () if clauses == (None,) else clauses
        return VersionCollection(self._state, self._spec, self._unordered, order)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._many(self.select()))

    def __len__(self) -> int:
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
        if index < 0 and self._order is None:
            statement = self._unordered.order_by(self._transaction.desc()).offset(~index or None)
        elif index < 0:
            return self.all()[index]
        else:
            statement = self.select().offset(index or None)
        found = self._one(statement)
        if found is None:
            raise IndexError(
                f"{self._spec.parent_class.__name__} {self._state.identity} has no version "
                f"{index}; it has {self.count()} versions"
            )
        return found

    def __contains__(self, value: object) -> bool:
        return any(version is value for version in self)

    def __repr__(self) -> str:
        return f"<VersionCollection of {self._spec.parent_class.__name__} {self._state.identity}>"

    @property
    def _transaction(self) -> Any:
        return getattr(self._spec.version_class, self._spec.transaction_key)

    def _slice(self, index: slice) -> list[Any]:
        start, stop = index.start or 0, index.stop
        if start < 0 or (stop is not None and stop < 0) or index.step not in (None, 1):
            return self.all()[index]
        if stop is not None and stop <= start:
            return []
        statement = self.select().offset(start or None)
        return self._many(statement if stop is None else statement.limit(stop - start))

    def _one(self, statement: Select[Any]) -> Any | None:
        found = self._many(statement.limit(1))
        return found[0] if found else None

    def _many(self, statement: Select[Any]) -> list[Any]:
        session = self._session()
        if session is None:
            return []
        return list(session.scalars(statement, execution_options=FRESH))

    def _session(self) -> Session | None:
        """Return the session to ask, or ``None`` where there is nothing to be found."""
        if self._state.detached:
            raise DetachedInstanceError(
                f"{self._spec.parent_class.__name__} {self._state.identity} is in no session, so "
                "its versions cannot be read; add it to one, or run "
                "select(version_class(…)) yourself"
            )
        return self._state.session

    def _with(self, statement: Select[Any]) -> VersionCollection[T]:
        return VersionCollection(self._state, self._spec, statement, self._order)


def versions_of(obj: Any) -> VersionCollection[Any]:
    """Return the versions of *obj*; for classes that use the name ``versions`` themselves.

    :raises ClassNotVersioned: if its class is not versioned.

    >>> versions_of(article).count()
    2
    """
    spec, state = spec_of(obj), inspect(obj)
    identity = state.identity or state.mapper.primary_key_from_instance(obj)
    return VersionCollection(state, spec, select_versions(spec, identity).order_by(None))


class VersionsAttribute:
    """The descriptor behind ``Article.versions`` and ``article.versions``."""

    def __init__(self, relationship_key: str) -> None:
        self._relationship_key = relationship_key

    def __get__(self, obj: Any | None, owner: type[Any]) -> Any:
        if obj is None:
            return getattr(owner, self._relationship_key)
        return versions_of(obj)

    def __set__(self, obj: Any, value: Any) -> None:
        raise AttributeError(
            f"{type(obj).__name__}.versions cannot be assigned: versions are recorded by flushes"
        )
