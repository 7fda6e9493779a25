"""A stream of activities: who did what, to which object, and as of which transaction.

An activity refers to an object and a target of any class, and to the transactions at which they
were what they were.  Before a flush each new activity gets its transaction, and what is known of
these references; what only the flush tells, such as the key of a new object, is settled after it.
Activities that are written are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Sequence,
    String,
    Unicode,
    and_,
    bindparam,
    func,
    inspect,
    not_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.hybrid import Comparator, hybrid_property
from sqlalchemy.orm import Mapper, object_session, relationship
from sqlalchemy.orm.attributes import set_committed_value

from .._typing import TUPLE, mapper_of, type_of
from ..build.columns import transaction_id_type
from ..capture.touched import bare_key
from ..exc import InvalidArgumentType
from ..model.lookup import MANAGER, ensure_bound, find_spec
from ..model.naming import cut_name
from ..model.spec import ClassSpec
from ..query.history import FRESH, select_version_at
from ..reading.changeset import is_modified
from .activity_keys import KeyType
from .beside import ModelPlugin

__all__ = ["ActivityBase", "ActivityPlugin"]

#: The attribute of an activity that has what was assigned and is not flushed yet.
_ASSIGNED = "_assigned"
_ROLES = ("object", "target")
#: How many keys are looked up by one statement.
_CHUNK = 500


class _Reference(NamedTuple):
    """What an activity refers to."""

    activity: Any
    role: str
    #: The object, if it was assigned and not only named by type and key.
    instance: Any
    spec: ClassSpec | None
    key: Any


# -- references --------------------------------------------------------------------------------


def _build_reference(role: str) -> Any:
    """Build ``activity.object``, or what *role* is called."""

    def read(activity: Any) -> Any:
        assigned = activity.__dict__.get(_ASSIGNED, {})
        if role in assigned:
            return assigned[role]
        cls = _class_named(type_of(activity), getattr(activity, f"{role}_type"))
        key, session = getattr(activity, f"{role}_id"), object_session(activity)
        if cls is None or key is None or session is None:
            return None
        return session.get(cls, key)

    def write(activity: Any, instance: Any) -> None:
        state = inspect(instance, raiseerr=False) if instance is not None else None
        if instance is not None and not hasattr(state, "mapper"):
            raise InvalidArgumentType(
                f"{type(activity).__name__}.{role} cannot be {instance!r}; assign an object of a "
                "mapped class, or None"
            )
        known = None if state is None else _key_of(instance)
        setattr(activity, f"{role}_type", None if state is None else type(instance).__name__)
        setattr(activity, f"{role}_id", known)
        setattr(activity, f"{role}_tx_id", None)
        assigned = activity.__dict__.setdefault(_ASSIGNED, {})
        assigned.pop(role, None)
        if instance is not None:
            assigned[role] = instance
        if inspect(activity).persistent:
            activity._calculate_tx_id(role)
            assigned.pop(role, None)

    def compare(cls: type[Any]) -> Any:
        return _ReferenceComparator(cls, role)

    read.__name__ = role
    make: Any = compare
    built: hybrid_property[Any] = hybrid_property(read, write, custom_comparator=make)
    return built


class _ReferenceComparator(Comparator[Any]):
    """Compares references with objects and classes."""

    def __init__(self, cls: type[Any], role: str) -> None:
        self._type = getattr(cls, f"{role}_type")
        self._id = getattr(cls, f"{role}_id")
        super().__init__(self._type)

    def __eq__(self, other: Any) -> ColumnElement[bool]:  # type: ignore[override]
        if other is None:
            named: ColumnElement[bool] = self._type.is_(None)
            return named
        key = bindparam(None, _key_of(other), type_=self._id.type, unique=True)
        return and_(self._type == type(other).__name__, self._id == key)

    def __ne__(self, other: Any) -> ColumnElement[bool]:  # type: ignore[override]
        same: ColumnElement[bool] = self == other
        return not_(same)

    def is_type(self, cls: type[Any]) -> ColumnElement[bool]:
        """Match what refers to objects of a class or its subclasses."""
        mappers = mapper_of(cls).self_and_descendants
        found: ColumnElement[bool] = self._type.in_([each.class_.__name__ for each in mappers])
        return found


def _build_version(role: str) -> Any:
    """Build ``activity.object_version``."""

    def read(activity: Any) -> Any:
        session, key = object_session(activity), getattr(activity, f"{role}_id")
        cls = _class_named(type_of(activity), getattr(activity, f"{role}_type"))
        spec, tx = None if cls is None else find_spec(cls), getattr(activity, f"{role}_tx_id")
        if session is None or spec is None or key is None or tx is None:
            return None
        ensure_bound(session, spec)
        identity: tuple[Any, ...] = key if isinstance(key, TUPLE) else (key,)
        statement = select_version_at(spec, identity, tx)
        return session.scalars(statement, execution_options=FRESH).first()

    return property(read, doc=f"The version of the {role} at the transaction of the activity.")


def _build_version_type(role: str) -> Any:
    """Build ``activity.object_version_type``: the name of the version class."""

    def read(activity: Any) -> str | None:
        cls = _class_named(type_of(activity), getattr(activity, f"{role}_type"))
        spec = None if cls is None else find_spec(cls)
        return None if spec is None else spec.version_class.__name__

    def express(cls: type[Any]) -> Any:
        return getattr(cls, f"{role}_type") + "Version"

    read.__name__ = f"{role}_version_type"
    return hybrid_property(read).expression(express)


def _class_named(model: type[Any], name: str | None) -> type[Any] | None:
    mappers = mapper_of(model).registry.mappers if name is not None else ()
    named = (mapper.class_ for mapper in mappers if mapper.class_.__name__ == name)
    return next(named, None)


def _key_of(instance: Any) -> Any:
    """Return the key of an object as far as it is known; ``None`` if it is not."""
    state = inspect(instance)
    identity = state.identity or tuple(state.mapper.primary_key_from_instance(instance))
    return None if None in identity else bare_key(tuple(identity))


class ActivityBase:
    """What every activity can do.

    >>> ActivityBase.__name__
    'ActivityBase'
    """

    object = _build_reference("object")
    target = _build_reference("target")
    object_version = _build_version("object")
    target_version = _build_version("target")
    object_version_type = _build_version_type("object")
    target_version_type = _build_version_type("target")

    def __init__(self, **values: Any) -> None:
        for key, value in values.items():
            setattr(self, key, value)

    @hybrid_property
    def actor(self) -> Any:
        """The user of the transaction."""
        return self.transaction.user  # type: ignore[attr-defined]

    def calculate_object_tx_id(self) -> None:
        """Set the transaction at which the object is what it is now."""
        self._calculate_tx_id("object")

    def calculate_target_tx_id(self) -> None:
        """Set the transaction at which the target is what it is now."""
        self._calculate_tx_id("target")

    def _calculate_tx_id(self, role: str) -> None:
        session = object_session(self)
        reference = _reference(self, role)
        if session is None or reference is None or reference.spec is None:
            setattr(self, f"{role}_tx_id", None)
            return
        unit = getattr(type(self), MANAGER).unit_of_work(session)
        found = _transactions_of([reference], unit, session)
        setattr(self, f"{role}_tx_id", found.get(reference.key))

    def __repr__(self) -> str:
        shown = inspect(self).dict
        return f"<{type(self).__name__} id={shown.get('id')!r}, verb={shown.get('verb')!r}>"


def _reference(activity: Any, role: str) -> _Reference | None:
    """Return what an activity refers to, or ``None`` if that is nothing."""
    instance = activity.__dict__.get(_ASSIGNED, {}).get(role)
    name = inspect(activity).dict.get(f"{role}_type")
    if instance is None and name is None:
        return None
    cls = type_of(instance) if instance is not None else _class_named(type_of(activity), name)
    spec = None if cls is None else find_spec(cls)
    key = inspect(activity).dict.get(f"{role}_id") if instance is None else _key_of(instance)
    return _Reference(activity, role, instance, spec, key)


def _transactions_of(references: Iterable[_Reference], uow: Any, session: Any) -> dict[Any, int]:
    """Return the newest transactions of objects of one class, by key."""
    keys = list(dict.fromkeys(each.key for each in references if each.key is not None))
    spec = next(each.spec for each in references)
    assert spec is not None
    recorded = uow.operations(spec.tables[-1])
    found = {key: uow.transaction_id for key in keys if key in recorded}
    wanted = [key for key in keys if key not in found]
    root = spec.root
    columns = [pair.version for pair in root.key]
    connection = session.connection(bind_arguments={"mapper": inspect(spec.parent_class)})
    for start in range(0, len(wanted), _CHUNK):
        part = wanted[start : start + _CHUNK]
        among = columns[0].in_(part) if len(columns) == 1 else tuple_(*columns).in_(part)
        statement = select(*columns, func.max(root.transaction_column)).where(among)
        for *key, tx in connection.execute(statement.group_by(*columns)):
            found[bare_key(tuple(key))] = tx
    return found


# -- the plugin --------------------------------------------------------------------------------


class ActivityPlugin(ModelPlugin):
    """Gives an application activities, as ``plugin.activity_cls`` and ``manager.activity_cls``.

    :param table_name: the name of their table, for applications that have one of the usual name.
    :param key_type: the type of the columns that hold keys of objects; ``BigInteger()`` continues
        the table of another library.

    >>> ActivityPlugin().table_name
    'activity'
    """

    is_known_to_triggers = True
    name = "Activity"
    table_name = "activity"
    written_as = "activities"

    def __init__(self, table_name: str | None = None, *, key_type: Any = None) -> None:
        super().__init__(table_name)
        self.key_type = key_type or KeyType()

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
        for role in _ROLES:
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
        for role in _ROLES:
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
        for activity in new:
            if activity.transaction_id is None and activity.transaction is None:
                activity.transaction = uow.current_transaction
        tx, sorted_out = uow.transaction_id, self._references(new)
        for spec, references in sorted_out.items():
            waiting = [each for each in references if _is_to_change(each, session)]
            known = [each for each in references if each not in waiting] if spec else []
            found = _transactions_of(known, uow, session) if known else {}
            for each in known:
                setattr(each.activity, f"{each.role}_tx_id", found.get(each.key))
            for each in waiting if spec is not None else ():
                setattr(each.activity, f"{each.role}_tx_id", tx)
            sorted_out[spec] = waiting
        session.info[self] = (tx, new, sorted_out)

    def after_create_version_objects(self, uow: Any, session: Any) -> None:
        """Settle references that only the flush could tell."""
        tx, new, waiting = session.info.pop(self, (None, (), {}))
        if new and tx != uow.transaction_id:
            _renumber(new, tx, uow.transaction_id)
        changed: list[dict[str, Any]] = []
        for spec, references in waiting.items():
            references = [each._replace(key=_key_of(each.instance)) for each in references]
            found = _transactions_of(references, uow, session) if spec and references else {}
            for each in references:
                changed += _settle(each, found.get(each.key))
        for role in _ROLES:
            rows = [row for row in changed if f"{role}_id" in row]
            if rows:
                table = self.model_class.__table__
                names = (f"{role}_id", f"{role}_tx_id")
                values = {name: bindparam(name, type_=table.c[name].type) for name in names}
                own = table.c.id == bindparam("activity")
                self.connection(session).execute(update(table).where(own).values(values), rows)
        for activity in new:
            activity.__dict__.pop(_ASSIGNED, None)

    def _new(self, session: Any) -> Iterable[Any]:
        if self.model_class is None:
            return ()
        return (each for each in session.new if isinstance(each, self.model_class))

    def _references(self, activities: list[Any]) -> dict[ClassSpec | None, list[_Reference]]:
        """Return what activities refer to, by class."""
        found: dict[ClassSpec | None, list[_Reference]] = {}
        for activity in activities:
            for role in _ROLES:
                reference = _reference(activity, role)
                if reference is not None:
                    found.setdefault(reference.spec, []).append(reference)
        return found


def _is_to_change(reference: _Reference, session: Any) -> bool:
    """Tell whether a flush is going to write the object that an activity refers to."""
    instance = reference.instance
    if instance is None or instance in session.deleted:
        return False
    if inspect(instance).identity is None:
        return True
    return reference.spec is not None and instance in session.dirty and is_modified(instance)


def _settle(reference: _Reference, tx: int | None) -> list[dict[str, Any]]:
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
