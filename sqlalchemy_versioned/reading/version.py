"""The base of version classes: what every version object is, and can be asked."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapper, Session, configure_mappers, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from .._typing import MAPPING
from ..database.sessions import awaited_as, sync_session
from ..exc import ImproperlyConfigured, InvalidArgumentType
from ..model.arguments import check_number
from ..model.counterparts import version_class
from ..model.lookup import ensure_bound, find_spec, spec_of
from ..model.operation import Operation
from ..model.spec import ClassSpec
from ..query.history import FRESH, select_version_at, select_versions, transaction_id_of
from .version_api import VersionAPI, known_key

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Version", "VersionAPI", "version_api"]

# Of Any, checkers would make list[Unknown].
_SEVERAL: Any = (tuple, list)


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
        known = {**known_key(self), **self.__dict__}
        names = (*spec.key, *spec.place, spec.operation_key)
        shown = ", ".join(f"{name}={known[name]!r}" for name in names if name in known)
        return f"<{type(self).__name__} {shown}>"


def _new_version(parent_class: type[Any]) -> Any:
    """Return an empty version of *parent_class*, for pickle to fill."""
    configure_mappers()
    cls: Any = version_class(parent_class)
    return cls.__new__(cls)


def _copy(version: Any, copied: Callable[[Any], Any]) -> Any:
    """Return a version of no session with the values that *version* has loaded."""
    mapper: Mapper[Any] = inspect(version).mapper
    twin = mapper.class_manager.new_instance()
    values = {**known_key(version), **version.__dict__}
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
