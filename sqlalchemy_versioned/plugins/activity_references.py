"""What activities refer to: objects of any class, as of the transactions of their versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, case, func, inspect, not_, null, select
from sqlalchemy.ext.hybrid import Comparator, hybrid_property
from sqlalchemy.orm import object_session

from .._typing import STATE, mapper_of, type_of
from ..database.key_conditions import key_expression
from ..database.keys import bare_key, key_values
from ..exc import InvalidArgumentType
from ..model.lookup import MANAGER, ensure_bound, find_spec
from ..model.mapping import class_named
from ..model.spec import ClassSpec
from ..query.history import FRESH, select_version_at

__all__ = [
    "ASSIGNED",
    "ROLES",
    "ActivityBase",
    "Reference",
    "key_of",
    "reference_of",
    "transactions_of",
]

#: The attribute of an activity that has what was assigned and is not flushed yet.
ASSIGNED = "_assigned"
ROLES = ("object", "target")
#: How many keys are looked up by one statement.
_CHUNK = 500


class Reference(NamedTuple):
    """What an activity refers to."""

    activity: Any
    role: str
    #: The object, if it was assigned and not only named by type and key.
    instance: Any
    spec: ClassSpec | None
    key: Any


def _build_reference(role: str) -> Any:
    """Build ``activity.object``, or what *role* is called."""

    def read(activity: Any) -> Any:
        assigned = activity.__dict__.get(ASSIGNED, {})
        if role in assigned:
            return assigned[role]
        cls = class_named(type_of(activity), getattr(activity, f"{role}_type"))
        key, session = getattr(activity, f"{role}_id"), object_session(activity)
        if cls is None or key is None or session is None:
            return None
        return session.get(cls, key)

    def write(activity: Any, instance: Any) -> None:
        _assign(activity, role, instance)

    def compare(cls: type[Any]) -> Any:
        return _ReferenceComparator(cls, role)

    read.__name__ = role
    make: Any = compare
    built: hybrid_property[Any] = hybrid_property(read, write, custom_comparator=make)
    return built


def _assign(activity: Any, role: str, instance: Any) -> None:
    """Let an activity refer to an object, or to none."""
    name = key = None
    if instance is not None:
        name, key = type(instance).__name__, _key_of_mapped(activity, role, instance)
    setattr(activity, f"{role}_type", name)
    setattr(activity, f"{role}_id", key)
    setattr(activity, f"{role}_tx_id", None)
    assigned = activity.__dict__.setdefault(ASSIGNED, {})
    assigned.pop(role, None)
    if instance is not None:
        assigned[role] = instance
    # No flush is to come that would tell of the object.
    if inspect(activity).persistent:
        activity._calculate_tx_id(role)
        assigned.pop(role, None)


def _key_of_mapped(activity: Any, role: str, instance: Any) -> Any:
    asked = f"{type(activity).__name__}.{role} cannot be {instance!r}"
    if not isinstance(inspect(instance, raiseerr=False), STATE):
        raise InvalidArgumentType(f"{asked}; assign an object of a mapped class, or None")
    spec = find_spec(type_of(instance))
    if spec is not None and isinstance(instance, spec.version_class):
        raise InvalidArgumentType(
            f"{asked}, which is a version; assign its object: the version is known by the "
            "transaction"
        )
    return key_of(instance)


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
        # Several may be in one statement, each with a value of its own.
        key = bindparam(None, key_of(other), type_=self._id.type, unique=True)
        return and_(self._type == type(other).__name__, self._id == key)

    def __ne__(self, other: Any) -> ColumnElement[bool]:  # type: ignore[override]
        same: ColumnElement[bool] = self == other
        return not_(same)

    def is_type(self, cls: type[Any]) -> ColumnElement[bool]:
        """Match what refers to objects of a class or its subclasses."""
        # An activity names the class of the object itself.
        mappers = mapper_of(cls).self_and_descendants
        found: ColumnElement[bool] = self._type.in_([each.class_.__name__ for each in mappers])
        return found


def _build_version(role: str) -> Any:
    """Build ``activity.object_version``."""

    def read(activity: Any) -> Any:
        session, key = object_session(activity), getattr(activity, f"{role}_id")
        cls = class_named(type_of(activity), getattr(activity, f"{role}_type"))
        spec, tx = None if cls is None else find_spec(cls), getattr(activity, f"{role}_tx_id")
        if session is None or spec is None or key is None or tx is None:
            return None
        ensure_bound(session, spec)
        statement = select_version_at(spec, key_values(key), tx)
        return session.scalars(statement, execution_options=FRESH).first()

    return property(read, doc=f"The version of the {role} at the transaction of the activity.")


def _build_version_type(role: str) -> Any:
    """Build ``activity.object_version_type``: the name of the version class."""

    def read(activity: Any) -> str | None:
        cls = class_named(type_of(activity), getattr(activity, f"{role}_type"))
        spec = None if cls is None else find_spec(cls)
        return None if spec is None else spec.version_class.__name__

    def express(cls: type[Any]) -> Any:
        mappers = mapper_of(cls).registry.mappers
        specs = [spec for each in mappers if (spec := find_spec(each.class_)) is not None]
        # Classes come in the order of a set, and statements are kept by what they say.
        names = sorted({(s.parent_class.__name__, s.version_class.__name__) for s in specs})
        kind = getattr(cls, f"{role}_type")
        return case(dict(names), value=kind) if names else null()

    read.__name__ = f"{role}_version_type"
    return hybrid_property(read).expression(express)


def key_of(instance: Any) -> Any:
    """Return the key of an object as far as it is known; ``None`` if it is not."""
    state = inspect(instance)
    identity = state.identity or tuple(state.mapper.primary_key_from_instance(instance))
    return None if None in identity else bare_key(identity)


class ActivityBase:
    """What every activity can do.

    >>> ActivityBase.__name__
    'ActivityBase'
    """

    object: Any = _build_reference("object")
    target: Any = _build_reference("target")
    object_version: Any = _build_version("object")
    target_version: Any = _build_version("target")
    object_version_type: Any = _build_version_type("object")
    target_version_type: Any = _build_version_type("target")

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
        reference = reference_of(self, role)
        if session is None or reference is None or reference.spec is None:
            setattr(self, f"{role}_tx_id", None)
            return
        unit = getattr(type(self), MANAGER).unit_of_work(session)
        found = transactions_of([reference], unit, session)
        setattr(self, f"{role}_tx_id", found.get(reference.key))

    def __repr__(self) -> str:
        shown = inspect(self).dict
        return f"<{type(self).__name__} id={shown.get('id')!r}, verb={shown.get('verb')!r}>"


def reference_of(activity: Any, role: str) -> Reference | None:
    """Return what an activity refers to, or ``None`` if that is nothing."""
    instance = activity.__dict__.get(ASSIGNED, {}).get(role)
    name = inspect(activity).dict.get(f"{role}_type")
    if instance is None and name is None:
        return None
    cls = type_of(instance) if instance is not None else class_named(type_of(activity), name)
    spec = None if cls is None else find_spec(cls)
    key = inspect(activity).dict.get(f"{role}_id") if instance is None else key_of(instance)
    return Reference(activity, role, instance, spec, key)


def transactions_of(references: Sequence[Reference], uow: Any, session: Any) -> dict[Any, int]:
    """Return the newest transactions of objects of one class, by key.

    There are none of a class that has no versions.
    """
    spec = references[0].spec if references else None
    if spec is None:
        return {}
    keys = list(dict.fromkeys(each.key for each in references if each.key is not None))
    recorded = uow.operations(spec.tables[-1])
    found = {key: uow.transaction_id for key in keys if key in recorded}
    wanted = [key for key in keys if key not in found]
    root = spec.root
    columns = [pair.version for pair in root.key]
    connection = session.connection(bind_arguments={"mapper": inspect(spec.parent_class)})
    for start in range(0, len(wanted), _CHUNK):
        part = wanted[start : start + _CHUNK]
        among = key_expression(columns).in_(part)
        statement = select(*columns, func.max(root.transaction_column)).where(among)
        for *key, tx in connection.execute(statement.group_by(*columns)):
            found[bare_key(key)] = tx
    return found
