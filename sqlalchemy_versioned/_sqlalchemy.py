"""Every touch of what SQLAlchemy keeps private or has changed between versions.

Nothing here knows what versioning is.  Each function says which internals it uses, so that a new
SQLAlchemy release is checked by reading one file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    Boolean,
    Column,
    Executable,
    Table,
    any_,
    bindparam,
    func,
    select,
    tuple_,
    types,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
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
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

__all__ = [
    "FlushedState",
    "SameValue",
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
    """Yield every mapper of the process.  Uses ``mapperlib._all_registries()``."""
    for reg in list(mapperlib._all_registries()):
        yield from list(reg.mappers)


def dispose_class(cls: type[Any]) -> None:
    """Unmap *cls*.  Uses ``registry._dispose_manager_and_mapper()``, as ``dispose()`` does."""
    manager = instrumentation.opt_manager_of_class(cls)
    if manager is None or not manager.is_mapped:
        return
    mapper = manager.mapper
    superclass = mapper.inherits
    if superclass is not None and mapper in superclass._inheriting_mappers:
        superclass._inheriting_mappers.remove(mapper)
        for above in mapper.iterate_to_root():
            above._expire_memoizations()
    reg = mapper.registry
    reg._dispose_manager_and_mapper(manager)
    reg._managers.pop(manager, None)


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


# -- flushes ---------------------------------------------------------------------------------


class FlushedState(NamedTuple):
    """What a flush did with one object."""

    state: InstanceState[Any]
    #: Whether the flush deletes the row.
    is_deleted: bool
    #: Whether the object was only looked at, for the sake of others.
    is_bystander: bool


def flushed_states(
    flush_context: UOWTransaction, mapper: Mapper[Any]
) -> Iterator[FlushedState]:
    """Yield the objects of *mapper* that a flush has registered.

    Uses ``UOWTransaction.mappers`` and ``.states``.
    """
    for state in flush_context.mappers[mapper]:
        is_deleted, listonly = flush_context.states[state]
        yield FlushedState(state, is_deleted, listonly)


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


def statement_parameters(
    multiparams: Sequence[Any] | Any, params: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return the parameter sets that ``before_execute`` was given, as a list."""
    if multiparams:
        return list(multiparams)
    return [params] if params else []


# -- comparing stored values -----------------------------------------------------------------


class SameValue(FunctionElement[bool]):
    """Two columns of one type hold exactly the same value, or both hold NULL.

    Stricter than ``IS NOT DISTINCT FROM`` where a collation or a type takes different values
    for equal, and usable where a type has no equality (``json``, ``xml``).
    """

    name = "same_value"
    inherit_cache = True
    type = Boolean()


# Types of which PostgreSQL has an equality that tells every two images apart.
_COMPARABLE = (
    types.Integer,
    types.Numeric,
    types.Boolean,
    types.Date,
    types.Time,
    types.DateTime,
    types.Interval,
    types.LargeBinary,
    types.Uuid,
    postgresql.JSONB,
)


@compiles(SameValue)
def _same_value(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = element.clauses
    return f"({compiler.process(left.is_not_distinct_from(right), **kw)})"


@compiles(SameValue, "sqlite")
def _same_value_sqlite(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({left} COLLATE BINARY IS {right})"


@compiles(SameValue, "postgresql")
def _same_value_postgresql(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    if not all(isinstance(_native(c), _COMPARABLE) for c in element.clauses):
        # Text compares byte by byte under "C"; citext, json, xml and enums need the cast.
        left, right = (f'CAST({side} AS TEXT) COLLATE "C"' for side in (left, right))
    return f"({left} IS NOT DISTINCT FROM {right})"


@compiles(SameValue, "mysql")
@compiles(SameValue, "mariadb")
def _same_value_mysql(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    if any(isinstance(_native(c), (types.String, types.JSON)) for c in element.clauses):
        # The default collations take 'a' and 'A' for equal, and ignore spaces at the end.
        left, right = (f"CAST({side} AS BINARY)" for side in (left, right))
    return f"({left} <=> {right})"


def _native(column: ColumnElement[Any]) -> types.TypeEngine[Any]:
    """Return the type behind decorators."""
    type_: types.TypeEngine[Any] = column.type
    while isinstance(type_, types.TypeDecorator):
        type_ = type_.impl_instance if hasattr(type_, "impl_instance") else type_.impl
    return type_


# -- statements that dialects spell differently ----------------------------------------------


def has_concurrent_writers(dialect: Dialect) -> bool:
    """Tell whether two transactions may write at the same time; SQLite has one writer."""
    return dialect.name != "sqlite"


def has_upsert(dialect: Dialect) -> bool:
    """Tell whether :func:`build_upsert` knows the dialect."""
    return dialect.name in ("sqlite", "postgresql", "mysql", "mariadb")


def build_upsert(
    dialect: Dialect,
    table: Table,
    *,
    names: Sequence[Column[Any]],
    source: Any,
    replaced: Sequence[Column[Any]],
) -> Executable:
    """Build an ``INSERT … SELECT`` that replaces columns of rows that are there already."""
    if dialect.name in ("mysql", "mariadb"):
        statement = mysql.insert(table).from_select(names, source, include_defaults=False)
        new = {column.key: func.values(column) for column in replaced}
        return statement.on_duplicate_key_update(new)
    insert: Any = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).from_select(names, source, include_defaults=False)
    upsert: Executable = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={column.key: statement.excluded[column.key] for column in replaced},
    )
    return upsert


class KeyParameter:
    """Sets of row keys as parameters of a statement: as few of them as the database can take.

    ``array``
        one array for each key column (PostgreSQL);
    ``json``
        one JSON text (SQLite), where every key is a number or text;
    ``list``
        a parameter for each value, in chunks below the driver's limit.

    :param columns: the key columns.
    """

    def __init__(self, columns: Sequence[Column[Any]], dialect: Dialect) -> None:
        self._columns = tuple(columns)
        self._dialect = dialect
        self._style = ""
        self._to_database = [
            c.type.dialect_impl(dialect).bind_processor(dialect) for c in columns
        ]
        limit = getattr(dialect, "insertmanyvalues_max_parameters", 2000)
        self._chunk_size = max(1, (min(limit, 30_000) - 10) // len(columns))

    def use(self, style: str) -> None:
        """Build :meth:`member` conditions in *style* from now on."""
        self._style = style

    def style(self, lists: Mapping[str, list[Any]]) -> str:
        """Return the style in which *lists* of keys can be given."""
        if self._dialect.name == "postgresql" and all(map(_fits_array, self._columns)):
            return "array"
        if self._dialect.name == "sqlite" and all(map(self._fits_json, lists.values())):
            return "json"
        return "list"

    def chunks(
        self, keys: list[Any], lists: Mapping[str, list[Any]]
    ) -> Iterator[dict[str, list[Any]]]:
        """Split *keys*, and the *lists* of some of them, into what one statement can take."""
        everything = {"keys": keys, **lists}
        if not keys:
            return
        if self.style(everything) != "list" or sum(map(len, everything.values())) <= (
            self._chunk_size
        ):
            yield everything
            return
        size = max(1, self._chunk_size // (1 + len(lists)))
        sets = {name: set(some) for name, some in lists.items()}
        for start in range(0, len(keys), size):
            part = keys[start : start + size]
            yield {"keys": part, **{n: [k for k in part if k in s] for n, s in sets.items()}}

    def parameters(self, lists: Mapping[str, list[Any]], style: str) -> dict[str, Any]:
        """Return the statement parameters for *lists* of keys."""
        if style == "json":
            return {name: json.dumps(self._database_keys(keys)) for name, keys in lists.items()}
        if style == "list" or len(self._columns) == 1:
            return dict(lists)
        return {
            f"{name}_{place}": [key[place] for key in keys]
            for name, keys in lists.items()
            for place in range(len(self._columns))
        }

    def member(self, columns: Sequence[ColumnElement[Any]], name: str) -> ColumnElement[bool]:
        """Match rows whose *columns* are among the keys of the list *name*."""
        subject = columns[0] if len(columns) == 1 else tuple_(*columns)
        if self._style == "json":
            return subject.in_(select(*self.rows(name)))
        if self._style == "list":
            return subject.in_(bindparam(name, expanding=True))
        if len(columns) == 1:
            return columns[0] == any_(_array(name, columns[0]))
        return subject.in_(select(*self.rows(name)))

    def rows(self, name: str) -> list[ColumnElement[Any]]:
        """Return the columns of a table that has the keys of a list as its rows."""
        if self._style == "json":
            table = func.json_each(bindparam(name, type_=types.String())).table_valued("value")
            if len(self._columns) == 1:
                return [table.c.value]
            places = range(len(self._columns))
            return [func.json_extract(table.c.value, f"$[{place}]") for place in places]
        single = len(self._columns) == 1
        arrays = [
            _array(name if single else f"{name}_{place}", column)
            for place, column in enumerate(self._columns)
        ]
        names = [f"k{place}" for place in range(len(self._columns))]
        return list(func.unnest(*arrays).table_valued(*names).render_derived().c)

    def _database_keys(self, keys: list[Any]) -> list[Any]:
        if len(self._columns) == 1:
            process = self._to_database[0]
            return keys if process is None else [process(key) for key in keys]
        return [
            [v if p is None else p(v) for v, p in zip(key, self._to_database, strict=True)]
            for key in keys
        ]

    def _fits_json(self, keys: list[Any]) -> bool:
        flat = self._database_keys(keys)
        if len(self._columns) > 1:
            flat = [value for key in flat for value in key]
        return all(type(v) is int or (isinstance(v, str) and v.isprintable()) for v in flat)


def _array(name: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
    type_ = postgresql.ARRAY(column.type)
    return cast_to(bindparam(name, type_=type_), type_)


def _fits_array(column: Column[Any]) -> bool:
    kinds = (types.Integer, types.String, types.Uuid, types.Numeric, types.Date, types.DateTime)
    return isinstance(_native(column), kinds) and not isinstance(_native(column), types.Enum)
