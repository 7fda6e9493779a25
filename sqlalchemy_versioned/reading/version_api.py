"""What can be asked of a version: its neighbours, its changes, the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper, Session, object_session
from sqlalchemy.orm.exc import DetachedInstanceError

from .. import changes as change_records
from .. import revert as reverting
from ..database.sessions import awaited_as
from ..exc import ImproperlyConfigured
from ..model.lookup import ensure_bound, find_spec, spec_of
from ..model.operation import Operation
from ..model.spec import ClassSpec
from ..query.history import (
    FRESH,
    count_versions_before,
    select_masks,
    select_next,
    select_previous,
    select_with_previous,
)
from .changeset import difference

__all__ = ["VersionAPI", "known_key"]


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
        # By primary key, so that nothing is sent for one that is loaded.
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
        # Of a masked column only its flag tells; the oldest version has set all of them.
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
        known = known_key(version)

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


def known_key(version: Any) -> dict[str, Any]:
    """Return the primary key of *version* by attribute, as far as its session knows it."""
    state = inspect(version)
    if state.key is None:
        return {}
    mapper: Mapper[Any] = state.mapper
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    return dict(zip(keys, state.key[1], strict=True))
