"""What a version object can do: its neighbours, its changes, the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    Mapper,
    Session,
    configure_mappers,
    make_transient_to_detached,
    object_session,
)
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import DetachedInstanceError

from .. import changes as change_records
from .. import revert as reverting
from .._typing import MAPPING
from ..database.sessions import awaited_as, sync_session
from ..exc import ImproperlyConfigured, InvalidArgumentType
from ..model.arguments import check_number
from ..model.counterparts import version_class
from ..model.lookup import ensure_bound, find_spec, spec_of
from ..model.operation import Operation
from ..model.spec import ClassSpec
from ..query.history import (
    FRESH,
    count_versions_before,
    select_masks,
    select_next,
    select_previous,
    select_version_at,
    select_versions,
    select_with_previous,
    transaction_id_of,
)
from .changeset import difference

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Version", "VersionAPI", "version_api"]

# Of Any, checkers would make list[Unknown].
_SEVERAL: Any = (tuple, list)


class VersionAPI:
    """All that can be asked of a version, whatever the columns of its class are called.

    A model with a column ``index`` or ``next`` gets its own values under these names; what the
    version has to say is then found at ``version.version_api.index``.
    """

    __slots__ = ("_version",)

    def __init__(self, version: Any) -> None:
        self._version = version

    @property
    @awaited_as("previous(…)")
    def previous(self) -> Any | None:
        """The version before this one, or ``None`` for the oldest."""
        return self._first(select_previous)

    @property
    @awaited_as("next(…)")
    def next(self) -> Any | None:
        """The version after this one, or ``None`` for the newest."""
        return self._first(select_next)

    @property
    @awaited_as("index(…)")
    def index(self) -> int:
        """The place of this version among those of its object, from 0."""
        session = self._session()
        return session.scalar(count_versions_before(self._spec, *self._place())) or 0

    @property
    @awaited_as("transaction(…)")
    def transaction(self) -> Any | None:
        """The transaction that made this version."""
        return self._session().get(self._spec.transaction_class, self._place()[1][0])

    @property
    @awaited_as("version_parent(…)")
    def version_parent(self) -> Any | None:
        """The live object, or ``None`` if it is deleted."""
        return self._session().get(self._spec.parent_class, self._place()[0])

    @property
    @awaited_as("operation_type(…)")
    def operation_type(self) -> int:
        """What this version records, as an :class:`.Operation` value."""
        operation: int = getattr(self._version, self._spec.operation_key)
        return operation

    @property
    @awaited_as("is_delete(…)")
    def is_delete(self) -> bool:
        """Whether this version records that its object was deleted."""
        return self.operation_type == Operation.DELETE

    @property
    @awaited_as("changeset(…)")
    def changeset(self) -> dict[str, list[Any]]:
        """What this version changed, as ``{name: [old, new]}``."""
        previous, masked = self._read_previous(), self._spec.masked.items()
        flagged = [k for k, flag in masked if previous is None or getattr(self._version, flag)]
        changes = difference(self._spec, previous, self._version, flagged)
        for hook in getattr(self._spec.version_class, "__changeset_hooks__", ()):
            hook(self._version, changes)
        return changes

    @awaited_as("diff(…)")
    def diff(self, other: Any, relations: Any = ()) -> dict[str, list[Any]]:
        """Return in what *other* differs from this version, as ``{name: [this, other]}``.

        :param relations: names of relationships to compare as well.
        :raises ImproperlyConfigured: if *other* is a version of another class.
        """
        if find_spec(other) is not self._spec or type(other) is not type(self._version):
            raise ImproperlyConfigured(
                f"a version of {self._spec.parent_class.__name__} cannot be compared with "
                f"{other!r}; give a version of the same class"
            )
        found = difference(self._spec, self._version, other, self._masked_until(other))
        if relations:
            found |= change_records.difference_of_relations(
                self._session(), self._version, other, relations
            )
        return found

    def _masked_until(self, other: Any) -> list[str]:
        """Return the masked attributes that were changed between this version and another."""
        if not self._spec.masked:
            return []
        identity, place = self._place()
        asked = select_masks(self._spec, identity, place, VersionAPI(other)._place()[1])
        row = self._session().execute(asked).one()
        return [key for key, flag in zip(self._spec.masked, row, strict=True) if flag]

    @awaited_as("to_dict(…)")
    def to_dict(self) -> dict[str, Any]:
        """Return the values of this version by attribute name, bookkeeping included."""
        spec = self._spec
        end = () if spec.end_key is None else (spec.end_key,)
        keys = (*spec.columns, *spec.place, *end, spec.operation_key, *spec.context)
        return {key: getattr(self._version, key) for key in keys}

    @awaited_as("revert(…)")
    def revert(self, relations: Any = (), on_missing: str = "raise") -> Any | None:
        """Put the object, and the named relations, back to this version."""
        return reverting.revert(self._version, relations=relations or (), on_missing=on_missing)

    @property
    def _spec(self) -> ClassSpec:
        return spec_of(self._version)

    def _place(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the primary key of the object and the place of the version in its history.

        What the session knows of them is not asked for.
        """
        version, spec = self._version, self._spec
        known = _known_key(version)

        def values(keys: Iterable[str]) -> tuple[Any, ...]:
            return tuple(known[k] if k in known else getattr(version, k) for k in keys)

        return values(spec.key), values(spec.place)

    def _read_previous(self) -> Any | None:
        """Return the version before, having read this one with it if it is expired."""
        if not inspect(self._version).expired:
            return self.previous
        both = select_with_previous(self._spec, *self._place())
        found = list(self._session().scalars(both, execution_options=FRESH))
        return next((version for version in found if version is not self._version), None)

    def _first(self, select: Callable[..., Any]) -> Any | None:
        session = self._session()
        statement = select(self._spec, *self._place())
        return session.scalars(statement, execution_options=FRESH).first()

    def _session(self) -> Session:
        session = object_session(self._version)
        if session is None:
            raise DetachedInstanceError(
                f"{self._version!r} is in no session, so nothing around it can be read; "
                "add it to one"
            )
        ensure_bound(session, self._spec)
        return session


def version_api(version: Any) -> VersionAPI:
    """Return what can be asked of *version*, for classes whose columns take the usual names.

    :raises ImproperlyConfigured: if it is no version.

    >>> version_api(article.versions[0]).index
    0
    """
    if not isinstance(version, Version):
        raise ImproperlyConfigured(
            f"{version!r} is no version; give one, such as article.versions[-1]"
        )
    return VersionAPI(version)


class Version:
    """The base of version classes.

    >>> version = article.versions[1]
    >>> version.changeset
    {'name': ['Draft', 'Final']}
    >>> version.previous.name, version.index
    ('Draft', 1)
    """

    def __init__(self, **values: Any) -> None:
        for key, value in values.items():
            setattr(self, key, value)

    @property
    def version_api(self) -> VersionAPI:
        """Everything below, under a name that no column is likely to take."""
        return VersionAPI(self)

    @property
    def previous(self) -> Self | None:
        """The version before this one, or ``None`` for the oldest."""
        return VersionAPI(self).previous

    @property
    def next(self) -> Self | None:
        """The version after this one, or ``None`` for the newest."""
        return VersionAPI(self).next

    @property
    def index(self) -> int:
        """The place of this version among those of its object, from 0."""
        return VersionAPI(self).index

    @hybrid_property
    def is_delete(self) -> bool:
        """Whether this version records that its object was deleted; a condition in queries.

        >>> statement = select(version_class(Article)).where(~version_class(Article).is_delete)
        >>> [version.name for version in session.scalars(statement)]
        ['Draft', 'Final']
        """
        return VersionAPI(self).is_delete

    @is_delete.inplace.expression
    @classmethod
    def _is_delete_expression(cls) -> ColumnElement[bool]:
        operation: ColumnElement[Any] = getattr(cls, spec_of(cls).operation_key)
        return operation == Operation.DELETE

    @property
    def changeset(self) -> dict[str, list[Any]]:
        """What this version changed, as ``{name: [old, new]}``; one query."""
        return VersionAPI(self).changeset

    def diff(self, other: Self, relations: Any = ()) -> dict[str, list[Any]]:
        """Return in what *other* differs from this version, as ``{name: [this, other]}``.

        :param relations: names of relationships to compare as well, each as of the transaction of
            its version; one statement for each that is recorded in other rows.  Of one with many
            members, each side lists the primary keys that the other has not.
        :raises ImproperlyConfigured: if *other* is a version of another class.
        :raises InvalidArgument: if a name is no relationship of the class.
        :raises RelationshipNotVersioned: if history does not tell of a relationship.

        >>> article.versions[0].diff(article.versions[1], relations=["tags"])
        {'name': ['Draft', 'Final']}
        """
        return VersionAPI(self).diff(other, relations)

    def to_dict(self) -> dict[str, Any]:
        """Return the values of this version by attribute name, bookkeeping included.

        >>> article.versions[0].to_dict()["name"]
        'Draft'
        """
        return VersionAPI(self).to_dict()

    def revert(self, relations: Any = (), on_missing: str = "raise") -> Any | None:
        """Put the object, and the named relations, back to this version.

        Nothing is flushed; the next flush records what has changed.

        :param relations: relationship keys, or dotted paths of them, to put back as well.
        :param on_missing: what to do about a foreign key whose target no longer exists:
            ``'raise'``, ``'null'`` to leave it empty, or ``'restore'`` to bring the target back.
        :returns: the live object, or ``None`` if this version is a deletion.
        :raises ReverterException: if a path is no relationship, or a target is missing.
        :raises IncompleteHistory: if history does not tell what there was.

        >>> article.versions[0].revert().name
        'Draft'
        """
        return VersionAPI(self).revert(relations, on_missing)

    @classmethod
    @awaited_as("version_at(…)")
    def version_at(
        cls, session: Session, primary_key_values: Any, transaction_id: Any
    ) -> Self | None:
        """Return the version of one object that was the newest at a transaction.

        That is a deletion if the object was deleted by then.

        :param primary_key_values: the primary key: by attribute name, as a tuple, or the value
            of its one column.
        :param transaction_id: a Transaction, its id, or an aware ``datetime``.  An id that no
            transaction has stands for the last one before it.
        :raises ImproperlyConfigured: if *session* is no session.
        :raises InvalidArgumentType: if *primary_key_values* is no primary key of the class.
        :raises VersioningError: if *transaction_id* is no point in history.

        >>> version_class(Article).version_at(session, {"id": 1}, first.id).name
        'Draft'
        """
        spec, session = spec_of(cls), sync_session(session)
        identity = _identity(spec, primary_key_values)
        at = transaction_id_of(session, spec.transaction_class, transaction_id)
        if at is None:
            return None
        statement = select_version_at(spec, identity, at)
        ensure_bound(session, spec)
        return session.scalars(statement, execution_options=FRESH).first()

    @classmethod
    @awaited_as("all_versions(…)")
    def all_versions(
        cls,
        session: Session,
        primary_key_values: Any,
        limit: int | None = None,
        offset: int | None = None,
        desc: bool = True,
        link: bool = True,
    ) -> list[Self]:
        """Return the versions of one object, newest first unless *desc* is false.

        :param primary_key_values: as for :meth:`version_at`.
        :param link: taken for compatibility; neighbours are always looked up.
        :raises ImproperlyConfigured: if *session* is no session.
        :raises InvalidArgument: if *limit* or *offset* is negative.
        :raises InvalidArgumentType: if one of them is no number, or *primary_key_values* is no
            primary key of the class.

        >>> [v.name for v in version_class(Article).all_versions(session, {"id": 1}, limit=1)]
        ['Final']
        """
        spec, session = spec_of(cls), sync_session(session)
        check_number("limit", limit, least=0, or_none=True)
        check_number("offset", offset, least=0, or_none=True)
        statement = select_versions(spec, _identity(spec, primary_key_values), newest_first=desc)
        statement = statement.limit(limit).offset(offset)
        ensure_bound(session, spec)
        return list(session.scalars(statement, execution_options=FRESH))

    def __copy__(self) -> Self:
        """Return a detached copy; the ordinary way would make two objects share one state."""
        copied: Self = _copy(self, lambda value: value)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied: Self = _copy(self, lambda value: deepcopy(value, memo))
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The version class is found by its parent: a process that loads the pickle may not have
        # configured its mappers yet, and the class is made when it does.
        spec = find_spec(self)
        if spec is None or type(self) is not spec.version_class:
            return super().__reduce_ex__(protocol)
        return _new_version, (spec.parent_class,), self.__dict__

    def __repr__(self) -> str:
        if inspect(self, raiseerr=False) is None or find_spec(self) is None:
            return object.__repr__(self)
        spec = spec_of(self)
        known = {**_known_key(self), **self.__dict__}
        names = (*spec.key, *spec.place, spec.operation_key)
        shown = ", ".join(f"{name}={known[name]!r}" for name in names if name in known)
        return f"<{type(self).__name__} {shown}>"


def _known_key(version: Any) -> dict[str, Any]:
    """Return the primary key of *version* by attribute, as far as its session knows it."""
    state = inspect(version)
    if state.key is None:
        return {}
    mapper: Mapper[Any] = state.mapper
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    return dict(zip(keys, state.key[1], strict=True))


def _new_version(parent_class: type[Any]) -> Any:
    """Return an empty version of *parent_class*, for pickle to fill."""
    configure_mappers()
    cls: Any = version_class(parent_class)
    return cls.__new__(cls)


def _copy(version: Any, copied: Callable[[Any], Any]) -> Any:
    """Return a version of no session with the values that *version* has loaded."""
    mapper: Mapper[Any] = inspect(version).mapper
    twin = mapper.class_manager.new_instance()
    values = {**_known_key(version), **version.__dict__}
    for prop in mapper.column_attrs:
        if prop.key in values:
            set_committed_value(twin, prop.key, copied(values[prop.key]))
    if inspect(version).key is not None:
        make_transient_to_detached(twin)
    return twin


def _identity(spec: ClassSpec, given: Any) -> tuple[Any, ...]:
    values: tuple[Any, ...]
    names: tuple[Any, ...]
    if isinstance(given, MAPPING):
        values = tuple(given[key] for key in spec.key if key in given)
        names = tuple(given)
    else:
        values = names = tuple(given) if isinstance(given, _SEVERAL) else (given,)
    is_whole = len(values) == len(spec.key) == len(names)
    if not is_whole or all(value is None for value in values) or any(map(_is_object, values)):
        raise InvalidArgumentType(
            f"{spec.parent_class.__name__} has the primary key {', '.join(spec.key)}; "
            f"{', '.join(map(repr, names)) or 'nothing'} was given"
        )
    return values


def _is_object(value: Any) -> bool:
    """Tell whether something is of a mapped class, or one itself, and so no value of a key."""
    return inspect(value, raiseerr=False) is not None
