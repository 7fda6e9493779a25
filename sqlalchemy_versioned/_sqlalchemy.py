"""Every touch of what SQLAlchemy keeps private or has changed between versions.

Nothing here knows what versioning is.  Each function says which internals it uses, so that a new
SQLAlchemy release is checked by reading one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Column, Connection, Engine
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    Session,
    UOWTransaction,
    clsregistry,
    instrumentation,
    mapperlib,
    registry,
)
from sqlalchemy.orm.mapped_collection import _AttrGetter, _PlainColumnGetter
from sqlalchemy.sql import ClauseElement

__all__ = [
    "all_mappers",
    "dispose_class",
    "flushed_states",
    "forget_class_name",
    "is_flushing",
    "named_class",
    "register_class_name",
    "remove_property",
]


# -- mappers and registries ------------------------------------------------------------------


def all_mappers() -> Iterator[Mapper[Any]]:
    """Yield every mapper of the process, in the order in which they were made.

    Uses ``mapperlib._mapper_registries`` and ``registry._managers``: what is public of them are
    sets, in which order is lost.
    """
    for reg in list(mapperlib._mapper_registries):
        for manager in list(reg._managers):
            if manager.is_mapped:
                yield manager.mapper


def configure_again(reg: registry) -> None:
    """Let the next ``configure_mappers()`` run its events although nothing is new.

    Uses ``registry._flag_new_mapper()``.
    """
    mapper = next((manager.mapper for manager in list(reg._managers)), None)
    if mapper is not None:
        reg._flag_new_mapper(mapper)


def dispose_class(cls: type[Any]) -> None:
    """Unmap *cls*.  Uses ``registry._dispose_manager_and_mapper()``, as ``dispose()`` does."""
    manager = instrumentation.opt_manager_of_class(cls)
    if manager is None or not manager.is_mapped:
        return
    mapper = manager.mapper
    _disinherit(mapper)
    reg = mapper.registry
    reg._dispose_manager_and_mapper(manager)
    reg._managers.pop(manager, None)


def _disinherit(mapper: Mapper[Any]) -> None:
    """Let the superclass of *mapper* forget it.  Uses ``Mapper._inheriting_mappers``."""
    superclass = mapper.inherits
    if superclass is None:
        return
    heirs: Any = superclass._inheriting_mappers
    heirs._storage[:] = [ref for ref in heirs._storage if ref() is not mapper]
    for above in superclass.iterate_to_root():
        above._expire_memoizations()


def remove_property(mapper: Mapper[Any], key: str) -> None:
    """Take a property off *mapper* and its subclasses; SQLAlchemy can only add them."""
    for each in mapper.self_and_descendants:
        each._props.pop(key, None)
        each._init_properties.pop(key, None)
        _uninstrument(each.class_manager, key)
        each._expire_memoizations()
        each.__dict__.pop("_polymorphic_properties", None)


def _uninstrument(manager: Any, key: str) -> None:
    """Do as ``ClassManager.uninstrument_attribute()``, past declarative's ``__delattr__``."""
    if key in manager.local_attrs:
        del manager.local_attrs[key]
        manager.originals.pop(key, None)
        if key in vars(manager.class_):
            type.__delattr__(manager.class_, key)
    manager.pop(key, None)
    manager._reset_memoizations()


def named_class(reg: registry, name: str) -> type[Any] | None:
    """Return the class that a declarative registry knows as *name*.

    Several classes of one name give the first.  Uses ``registry._class_registry``.
    """
    found = reg._class_registry.get(name)
    if isinstance(found, clsregistry._MultipleClassMarker):
        found = next((ref() for ref in found.contents if ref() is not None), None)
    return found if isinstance(found, type) else None


def register_class_name(reg: registry, name: str, cls: type[Any]) -> None:
    """Let relationships and ``registry`` look-ups find *cls* as *name*."""
    for function in ("add_class", "_add_class"):
        if hasattr(clsregistry, function):
            getattr(clsregistry, function)(name, cls, reg._class_registry)


def forget_class_name(reg: registry, name: str, cls: type[Any]) -> None:
    """Undo :func:`register_class_name`."""
    # Renamed with an underscore in SQLAlchemy 2.1.
    for function in ("remove_class", "_remove_class"):
        if hasattr(clsregistry, function):
            getattr(clsregistry, function)(name, cls, reg._class_registry)


def plain_column(column: Column[Any]) -> Column[Any]:
    """Return the column of a table that an attribute of a class stands for.

    Uses ``Column._deannotate()``.
    """
    plain: Column[Any] = column._deannotate()
    return plain


# -- flushes ---------------------------------------------------------------------------------


def flushed_states(
    flush_context: UOWTransaction, mapper: Mapper[Any]
) -> Iterator[tuple[InstanceState[Any], bool, bool]]:
    """Yield what a flush did with the objects of *mapper*.

    Each is told by its state, whether its row is deleted, and whether it was only looked at for
    the sake of others.  Uses ``UOWTransaction.mappers`` and ``.states``.
    """
    states = flush_context.states
    for state in flush_context.mappers[mapper]:
        yield state, *states[state]


def flushed_mappers(flush_context: UOWTransaction) -> Iterable[Mapper[Any]]:
    """Return the mappers that a flush concerns.  Uses ``UOWTransaction.mappers``."""
    return cast("Mapping[Mapper[Any], Any]", flush_context.mappers)


def has_post_updates(flush_context: UOWTransaction, mapper: Mapper[Any]) -> bool:
    """Tell whether rows were updated once more at the end of a flush (``post_update``)."""
    return bool(flush_context.post_update_states) and any(
        m.base_mapper is mapper.base_mapper for m in flush_context.post_update_states
    )


def is_flushing(session: Session) -> bool:
    """Tell whether *session* is inside a flush.  Uses ``Session._flushing``."""
    return session._flushing


def original_values(state: InstanceState[Any]) -> Mapping[str, Any]:
    """Return the attributes changed since the last flush, with their former values.

    Uses ``InstanceState.committed_state``.
    """
    return state.committed_state


def association_columns(relationship: Any) -> tuple[Column[Any], ...]:
    """Return the columns of the association table that a relationship fills.

    Uses ``RelationshipProperty.synchronize_pairs`` and ``.secondary_synchronize_pairs``.
    """
    pairs = [*relationship.synchronize_pairs, *relationship.secondary_synchronize_pairs]
    columns: list[Column[Any]] = []
    for _, column in pairs:
        if column not in columns:
            columns.append(column)
    return tuple(columns)


def is_of_mapper(execution_options: Mapping[str, Any], mapper: Mapper[Any]) -> bool:
    """Tell whether a statement writes objects of *mapper*, and not links of a relationship.

    Uses ``Mapper._compiled_cache``, which only the former are given.
    """
    cache = execution_options.get("compiled_cache")
    return cache is not None and cache is mapper.base_mapper._compiled_cache


def root_engine(connection: Connection) -> Engine:
    """Return the engine behind those made by ``execution_options()``.

    Uses ``OptionEngine._proxied``.
    """
    engine: Engine = connection.engine
    while hasattr(engine, "_proxied"):
        engine = engine._proxied
    return engine


def statement_parameters(
    multiparams: Sequence[Any] | Any, params: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return the parameter sets that ``before_execute`` was given, as a list."""
    if multiparams:
        return list(multiparams)
    return [params] if params else []


# -- relationships ---------------------------------------------------------------------------


def relationship_marks(column: ClauseElement) -> frozenset[str]:
    """Return which of ``remote``, ``foreign`` and ``local`` a column is in a join condition.

    Uses ``ClauseElement._annotations``.
    """
    return frozenset(column._annotations).intersection(("remote", "foreign", "local"))


def columns_of_keyfunc(keyfunc: Any, mapper: Mapper[Any]) -> tuple[Any, ...] | None:
    """Return the columns that ``column_keyed_dict()`` was given, if *keyfunc* is of its making."""
    if not isinstance(keyfunc, _PlainColumnGetter):
        return None
    return tuple(keyfunc._cols(mapper))


def attribute_of_keyfunc(keyfunc: Any) -> str | None:
    """Return the name that ``attribute_keyed_dict()`` was given, if *keyfunc* is of its making."""
    return keyfunc.attr_name if isinstance(keyfunc, _AttrGetter) else None
