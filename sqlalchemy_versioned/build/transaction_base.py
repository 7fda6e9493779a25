"""What every Transaction can do: name itself, and tell what it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import object_session
from sqlalchemy.orm.exc import DetachedInstanceError

from .._typing import mapper_of, type_of
from ..database.sessions import awaited_as, flush
from ..exc import NoChangesAttribute
from ..model.lookup import MANAGER, ensure_bound
from ..query.entities import families, is_of_classes, select_changed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from ..model.spec import ClassSpec

__all__ = ["TransactionBase"]


class TransactionBase:
    """What every Transaction can do, also one of the application's own making.

    >>> isinstance(first, TransactionBase)
    True
    """

    id: Any
    issued_at: Any

    @property
    @awaited_as("changed_entities(…)")
    def changed_entities(self) -> dict[type[Any], list[Any]]:
        """The versions this transaction made, by version class; one query for each class.

        A version is listed under its own class only, and classes without one are left out. Where
        no column tells the classes of a hierarchy apart, it is listed under the base-most.

        :raises ~sqlalchemy.orm.exc.DetachedInstanceError: if the transaction was taken out of its
            session.

        >>> {cls.__name__: len(found) for cls, found in last.changed_entities.items()}
        {'ArticleVersion': 1}
        """
        return {cls: found for cls, found in self._changes() if found}

    @property
    @awaited_as("entity_names(…)")
    def entity_names(self) -> list[str]:
        """The names of the classes of which this transaction changed objects, sorted.

        No versions are loaded; a hierarchy of classes takes one query.

        :raises NoChangesAttribute: if the transaction belongs to no session.

        >>> last.entity_names
        ['Article']
        """
        session = object_session(self)
        if session is None:
            raise NoChangesAttribute(
                f"{self!r} belongs to no session, so what it changed cannot be read; add it to one"
            )
        recorded = self._recorded_names()
        if recorded is None:
            # Its id may be known, or change, with what waits to be written.
            flush(session)
            recorded = {spec.parent_class.__name__ for spec in self._changed_classes(session)}
        return sorted(recorded)

    def _recorded_names(self) -> set[str] | None:
        """Return the names of the classes of changed objects, if a plugin has recorded them."""
        return None

    def _changed_classes(self, session: Session) -> Iterator[ClassSpec]:
        for family in self._families():
            ensure_bound(session, family[0])
            row = session.execute(
                select_changed(family, self.id),
                bind_arguments={"mapper": mapper_of(family[0].version_class)},
            ).one()
            yield from (spec for spec, is_changed in zip(family, row, strict=True) if is_changed)

    def _families(self) -> Iterator[list[ClassSpec]]:
        parents = getattr(type(self), MANAGER).parent_class_map
        return families([cls.__version_spec__ for cls in parents])

    def _changes(self) -> Iterator[tuple[type[Any], list[Any]]]:
        session = object_session(self)
        if session is None:
            if inspect(self).detached:
                raise DetachedInstanceError(
                    f"{self!r} is in no session, so what it changed cannot be read; add it to one"
                )
            return
        recorded = self._recorded_names()
        flush(session)
        for family in self._families():
            if recorded is not None:
                names = {spec.parent_class.__name__ for spec in family}
                if names.isdisjoint(recorded):
                    continue
            known = {spec.version_class for spec in family}
            ensure_bound(session, family[0])
            for spec in family:
                # The query of a superclass finds it, too.
                if known.isdisjoint(spec.superclasses):
                    yield from self._changes_of(spec, family, session).items()

    def _changes_of(
        self, spec: ClassSpec, family: list[ClassSpec], session: Session
    ) -> dict[type[Any], list[Any]]:
        """Return the versions of a class, and of those below it, by class."""
        cls, found = spec.version_class, dict[type[Any], list[Any]]()
        statement = select(cls).where(getattr(cls, spec.transaction_key) == self.id)
        # Rows of classes that are not versioned may be recorded with others of their table.
        if (is_known := is_of_classes(family)) is not None:
            statement = statement.where(is_known)
        for version in session.scalars(statement.order_by(*mapper_of(cls).primary_key)):
            found.setdefault(type_of(version), []).append(version)
        return found

    def __repr__(self) -> str:
        # What is not loaded is left out: it may be shown where no session can load it.
        identity = inspect(self).identity
        known = {**({} if identity is None else {"id": identity[0]}), **self.__dict__}
        names = ("id", "issued_at", "user" if "user" in known else "user_id")
        shown = ", ".join(f"{name}={known[name]!r}" for name in names if name in known)
        return f"<Transaction {shown}>"
