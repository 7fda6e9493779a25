"""A stream of activities: who did what, to which object, and as of which transaction.

An activity refers to an object and a target of any class, and to the transactions at which they
were what they were.  Before a flush each new activity gets its transaction, and what is known of
these references; what only the flush tells, such as the key of a new object, is settled after it.
Activities that are written are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Integer,
    MetaData,
    Sequence,
    String,
    Unicode,
    bindparam,
    inspect,
    update,
)
from sqlalchemy.orm import Mapper, relationship
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.types import TypeEngine

from ..build.columns import transaction_id_type
from ..exc import ImproperlyConfigured, InvalidArgument
from ..model.lookup import MANAGER
from ..model.naming import cut_name
from ..model.spec import ClassSpec
from ..reading.changeset import is_modified
from .activity_keys import KeyType
from .activity_references import (
    ASSIGNED,
    ROLES,
    ActivityBase,
    Reference,
    key_of,
    reference_of,
    transactions_of,
)
from .beside import ModelPlugin

__all__ = ["ActivityPlugin"]


class ActivityPlugin(ModelPlugin):
    """Gives an application activities, as ``plugin.activity_cls`` and ``manager.activity_cls``.

    :param table_name: the name of their table, for applications that have one of the usual name.
    :param key_type: the type of the columns that hold keys of objects; ``BigInteger()`` continues
        the table of another library.
    :raises ImproperlyConfigured: if *table_name* is no name, or *key_type* no type.

    >>> ActivityPlugin().table_name
    'activity'
    """

    is_known_to_triggers = True
    name = "Activity"
    table_name = "activity"
    written_as: str | None = "activities"

    def __init__(self, table_name: str | None = None, *, key_type: Any = None) -> None:
        super().__init__(table_name)
        self.key_type: Any = KeyType() if key_type is None else key_type
        _check_type(self.key_type)

    @property
    def activity_cls(self) -> Any:
        """The class of activities, once mappers are configured."""
        return self.model_class

    def build_columns(self, transaction: Mapper[Any]) -> list[Column[Any]]:
        """Return the columns of the table."""
        table: Any = transaction.local_table
        metadata: MetaData = table.metadata
        sequence = Sequence(cut_name(f"{self.table_name}_id_seq"), metadata=metadata)
        columns: list[Column[Any]] = [
            Column(
                "id",
                BigInteger().with_variant(Integer(), "sqlite"),
                sequence,
                primary_key=True,
                autoincrement=True,
            ),
            Column("verb", Unicode(255)),
            Column("transaction_id", transaction_id_type(), nullable=False, index=True),
            Column("data", JSON),
        ]
        for role in ROLES:
            columns += [
                Column(f"{role}_type", String(255)),
                Column(f"{role}_id", self.key_type),
                Column(f"{role}_tx_id", transaction_id_type()),
            ]
        return columns

    def bases(self) -> tuple[type[Any], ...]:
        """Return the bases of the class."""
        return (ActivityBase,)

    def attach(self, same: Any) -> None:
        """Give transactions ``activities``."""
        model = self.model_class
        table, number = model.__table__, inspect(self._transaction_class).primary_key[0]
        type.__setattr__(model, MANAGER, self.manager)
        self.add_property(
            "activities",
            relationship(
                model,
                primaryjoin=same,
                foreign_keys=[table.c.transaction_id],
                back_populates="transaction",
                order_by=[table.c.id],
                passive_deletes="all",
            ),
        )
        # By these, references follow a transaction whose id has to be drawn anew.
        for role in ROLES:
            column = table.c[f"{role}_tx_id"]
            joined = relationship(
                model, primaryjoin=column == number, foreign_keys=[column], viewonly=True
            )
            self.add_property(f"_activities_of_{role}", joined)
        self.manager.activity_cls = model

    def before_take_apart(self, manager: Any) -> None:
        """Take the class and all that leads to it away."""
        if self.model_class is not None:
            manager.__dict__.pop("activity_cls", None)
        super().before_take_apart(manager)

    # -- recording -----------------------------------------------------------------------------

    def is_session_modified(self, session: Any) -> bool:
        """Ask for a transaction where there are new activities."""
        session.info.pop(self, None)
        return any(self._new(session))

    def before_flush(self, uow: Any, session: Any) -> None:
        """Give new activities their transaction, and what is known of their references."""
        new = list(self._new(session))
        if not new:
            return
        references = self._references(new)
        _check_stored(references, session)
        for activity in new:
            if activity.transaction_id is None and activity.transaction is None:
                activity.transaction = uow.current_transaction
        waiting: dict[ClassSpec | None, list[Reference]] = {}
        for spec, some in references.items():
            waiting[spec] = [each for each in some if _is_to_change(each, session)]
            if spec is not None:
                known = [each for each in some if each not in waiting[spec]]
                _foretell(known, waiting[spec], uow, session)
        # Until the flush has given keys and versions to those who wait.
        session.info[self] = (uow.transaction_id, new, waiting)

    def after_create_version_objects(self, uow: Any, session: Any) -> None:
        """Settle references that only the flush could tell."""
        tx, new, waiting = session.info.pop(self, (None, (), {}))
        if new and tx != uow.transaction_id:
            _renumber(new, tx, uow.transaction_id)
        changed: list[dict[str, Any]] = []
        for some in waiting.values():
            references = [each._replace(key=key_of(each.instance)) for each in some]
            found = transactions_of(references, uow, session)
            for each in references:
                changed += _settle(each, found.get(each.key))
        for role in ROLES:
            self._write(session, role, [row for row in changed if f"{role}_id" in row])
        for activity in new:
            activity.__dict__.pop(ASSIGNED, None)

    def _write(self, session: Any, role: str, rows: list[dict[str, Any]]) -> None:
        """Write what a flush has told of references that are inserted already."""
        if not rows:
            return
        table = self.model_class.__table__
        names = (f"{role}_id", f"{role}_tx_id")
        values = {name: bindparam(name, type_=table.c[name].type) for name in names}
        own = table.c.id == bindparam("activity")
        self.connection(session).execute(update(table).where(own).values(values), rows)

    def _new(self, session: Any) -> Iterable[Any]:
        if self.model_class is None:
            return ()
        return (each for each in session.new if isinstance(each, self.model_class))

    def _references(self, activities: list[Any]) -> dict[ClassSpec | None, list[Reference]]:
        """Return what activities refer to, by class."""
        found: dict[ClassSpec | None, list[Reference]] = {}
        for activity in activities:
            for role in ROLES:
                reference = reference_of(activity, role)
                if reference is not None:
                    found.setdefault(reference.spec, []).append(reference)
        return found


def _check_type(given: Any) -> None:
    # Of Any, checkers would make TypeEngine[Unknown].
    kind: Any = TypeEngine
    if not isinstance(given, kind) and not (isinstance(given, type) and issubclass(given, kind)):
        raise ImproperlyConfigured(
            f"key_type is {given!r}; give a type of columns, such as BigInteger()"
        )


def _check_stored(references: dict[ClassSpec | None, list[Reference]], session: Any) -> None:
    """Refuse objects that nobody will give a key."""
    for each in (each for some in references.values() for each in some):
        if each.instance is not None and each.key is None and each.instance not in session:
            raise InvalidArgument(
                f"{type(each.activity).__name__}.{each.role} is {each.instance!r}, which has no "
                "primary key and is not in the session of the activity; add it to that"
            )


def _is_to_change(reference: Reference, session: Any) -> bool:
    """Tell whether a flush is going to write the object that an activity refers to."""
    instance = reference.instance
    if instance is None or instance in session.deleted:
        return False
    # A new object gets its key, and its first version, by this very flush.
    if inspect(instance).identity is None:
        return True
    return reference.spec is not None and instance in session.dirty and is_modified(instance)


def _foretell(known: list[Reference], waiting: list[Reference], uow: Any, session: Any) -> None:
    """Set the transactions of objects of one class, some of which wait for this very flush."""
    # One statement for all objects of a class, however many activities refer to them.
    found = transactions_of(known, uow, session)
    for each in known:
        setattr(each.activity, f"{each.role}_tx_id", found.get(each.key))
    for each in waiting:
        setattr(each.activity, f"{each.role}_tx_id", uow.transaction_id)


def _settle(reference: Reference, tx: int | None) -> list[dict[str, Any]]:
    """Set what a flush has told of a reference; return what must be written of it."""
    activity, role = reference.activity, reference.role
    values = {f"{role}_id": reference.key, f"{role}_tx_id": tx}
    loaded = inspect(activity).dict
    if all(loaded.get(key) == value for key, value in values.items()):
        return []
    for key, value in values.items():
        set_committed_value(activity, key, value)
    return [{"activity": activity.id, **values}]


def _renumber(activities: list[Any], old: int, new: int) -> None:
    """Let new activities, whose rows have followed their transaction, do so too."""
    for activity in activities:
        for key in ("transaction_id", "object_tx_id", "target_tx_id"):
            if inspect(activity).dict.get(key) == old:
                set_committed_value(activity, key, new)
