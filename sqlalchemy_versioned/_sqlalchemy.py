"""Every touch of what SQLAlchemy keeps private or has changed between versions.

Nothing here knows what versioning is.  Each function says which internals it uses, so that a new
SQLAlchemy release is checked by reading one file.
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, NoReturn, TypeAlias, cast

from sqlalchemy import (
    CTE,
    BindParameter,
    Column,
    ColumnClause,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    MetaData,
    NestedTransaction,
    Over,
    Select,
    Table,
    UnaryExpression,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.cursor import _NO_RESULT_METADATA, FullyBufferedCursorFetchStrategy
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    ORMExecuteState,
    Session,
    UOWTransaction,
    clsregistry,
    instrumentation,
    mapperlib,
    registry,
)
from sqlalchemy.orm.mapped_collection import _AttrGetter, _PlainColumnGetter
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql import ClauseElement, visitors
from sqlalchemy.sql.compiler import IdentifierPreparer, SQLCompiler
from sqlalchemy.sql.dml import ValuesBase
from sqlalchemy.sql.elements import _label_reference, _truncated_label
from sqlalchemy.sql.lambdas import StatementLambdaElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = [
    "all_mappers",
    "all_metadata",
    "column_of",
    "copy_of_column",
    "dispose_class",
    "flushed_states",
    "forget_class_name",
    "is_flushing",
    "named_class",
    "own_name",
    "register_class_name",
    "remove_property",
]


# -- columns ---------------------------------------------------------------------------------


def copied_column(column: Column[Any]) -> Column[Any]:
    """Return a column like another, of no table.

    Uses ``Column._copy()``.
    """
    return column._copy()


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


def all_metadata() -> list[MetaData]:
    """Return every ``MetaData`` that a registry has, or a mapped table is in.

    Uses ``mapperlib._mapper_registries``.
    """
    own = [reg.metadata for reg in list(mapperlib._mapper_registries)]
    return list(dict.fromkeys([*own, *mapped_metadata()]))


def mapped_metadata() -> list[MetaData]:
    """Return every ``MetaData`` that a mapped table is in."""
    tables = [mapper.local_table for mapper in all_mappers()]
    return list(dict.fromkeys(table.metadata for table in tables if isinstance(table, Table)))


def forget_registry(reg: registry) -> None:
    """Dispose a registry, and let :func:`all_metadata` not know it any more."""
    reg.dispose()
    mapperlib._mapper_registries.pop(reg, None)


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


def compile_ddl(
    element: ExecutableDDLElement, dialect: Dialect, translated: Mapping[Any, Any] | None
) -> str:
    """Return the text of a DDL element as a connection would execute it.

    Uses ``render_schema_translate`` of ``Compiled``.
    """
    compiled: Any = element.compile(
        dialect=dialect,
        schema_translate_map=translated,
        render_schema_translate=bool(translated),
    )
    return str(compiled)


def own_name(name: str) -> str:
    """Return *name* as one that SQLAlchemy made, and so cuts to what a database takes.

    Uses ``elements._truncated_label``.
    """
    return _truncated_label(name)


def has_bind_expression(type_: TypeEngine[Any]) -> bool:
    """Tell whether values of a type are put into an expression.

    Uses ``TypeEngine._has_bind_expression``.
    """
    return type_._has_bind_expression


def converts_value(type_: TypeDecorator[Any]) -> tuple[bool, bool]:
    """Tell whether a decorator converts what goes into the database, and what comes out of it."""
    kind = type(type_)
    return (
        kind.process_bind_param is not TypeDecorator.process_bind_param,
        kind.process_result_value is not TypeDecorator.process_result_value,
    )


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


def is_expression(value: Any) -> bool:
    """Tell whether an attribute is set to something that the database is to compute."""
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


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
    return root_engine_of(connection.engine)


def root_engine_of(engine: Engine) -> Engine:
    """Return the engine behind one that was made by ``execution_options()``."""
    while hasattr(engine, "_proxied"):
        engine = engine._proxied
    return engine


def info_of(connection: Connection) -> dict[Any, Any]:
    """Return ``Connection.info``; of a connection that is lost, an empty one."""
    if connection.closed or connection.invalidated:
        return {}
    return connection.info


def savepoints_of(connection: Connection) -> list[str]:
    """Return the names of the savepoints that a connection is in, outermost first.

    Uses ``NestedTransaction._savepoint`` and ``_previous_nested``.
    """
    names, nested = [], connection.get_nested_transaction()
    while nested is not None:
        names.append(nested._savepoint)
        nested = nested._previous_nested
    return names[::-1]


def commits_by_itself(connection: Connection) -> bool:
    """Tell whether a connection commits each statement.

    Uses ``Connection._is_autocommit_isolation()``.
    """
    return connection._is_autocommit_isolation()


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


# -- statements compiled in another way --------------------------------------------------------


#: Is called with a compiler and the schemas that stand for others, before a statement is sent.
Check: TypeAlias = Callable[[SQLCompiler, Mapping[Any, Any]], None]


class Recompiled:
    """A statement that a mixin of its dialect's compiler compiles; see :func:`recompile`.

    Uses ``ClauseElement._compiler()`` and ``._compile_w_cache()``.
    """

    #: Part of the cache key, so that its value may differ between executions of one text.
    versioned_parameter: BindParameter[Any]
    #: Called before anything is sent, whether the compiled statement was cached or not.
    versioned_check: Check
    _versioned_mixin: type[Any]

    def _compiler(self, dialect: Dialect, **kw: Any) -> SQLCompiler:
        base: Any = dialect.statement_compiler
        mixin: Any = self._versioned_mixin
        compiler: SQLCompiler = _compiler_class(mixin, base)(dialect, self, **kw)
        return compiler

    def _compile_w_cache(self, *args: Any, **kw: Any) -> Any:
        found = super()._compile_w_cache(*args, **kw)  # type: ignore[misc]
        self.versioned_check(found[0], kw.get("schema_translate_map") or {})
        return found


def recompile(
    statement: Any,
    mixin: Any,
    *,
    parameter: BindParameter[Any],
    check: Check,
) -> Any:
    """Return a copy of *statement* that *mixin* and the dialect's compiler compile together.

    It is found again in the caches of compiled statements, apart from *statement* itself.
    Uses ``HasMemoized._memoized_keys``, ``HasTraverseInternals._traverse_internals`` and
    ``HasCacheKey._cache_key_traversal``.

    :param mixin: overrides what ``SQLCompiler`` does; its ``statement`` is the copy.
    :param parameter: a parameter that *mixin* may render.
    :param check: called with the compiler and the ``schema_translate_map`` before each execution;
        it outlives the statement in the caches, so it must hold nothing that should end.
    """
    cls: Any = type(statement)
    if not isinstance(statement, Recompiled):
        cls = _statement_class(cls, mixin)
    copied = cls.__new__(cls)
    # What it remembers, such as its cache key, is not true of the copy.
    remembered = statement._memoized_keys
    vars(copied).update({k: v for k, v in vars(statement).items() if k not in remembered})
    copied.versioned_parameter = parameter
    copied.versioned_check = check
    return copied


@cache
def _statement_class(cls: Any, mixin: Any) -> Any:
    # The cache key has more than what is traversed: loads of some attributes differ by it alone.
    keyed = cls._cache_key_traversal or cls._traverse_internals
    parameter = ("versioned_parameter", InternalTraversal.dp_clauseelement)
    return type(
        f"Recompiled{cls.__name__}",
        (Recompiled, cls),
        {
            "_traverse_internals": [*cls._traverse_internals, parameter],
            "_cache_key_traversal": [*keyed, parameter],
            "inherit_cache": False,
            "_versioned_mixin": mixin,
        },
    )


@cache
def _compiler_class(mixin: Any, base: Any) -> Any:
    return type(f"{mixin.__name__}{base.__name__}", (mixin, base), {})


def is_lambda(statement: Any) -> bool:
    """Tell whether a statement was made by ``lambda_stmt()``."""
    return isinstance(statement, StatementLambdaElement)


def resolved(statement: Any) -> Any:
    """Return the statement that a ``lambda_stmt()`` stands for, or *statement* itself.

    Uses ``StatementLambdaElement._resolved``.
    """
    return statement._resolved if isinstance(statement, StatementLambdaElement) else statement


def identity_token(state: ORMExecuteState) -> Any:
    """Return the identity token of the objects that a statement loads.

    Uses ``QueryContext.default_load_options._identity_token``.
    """
    options: Any = state.execution_options.get("_sa_orm_load_options")
    return None if options is None else options._identity_token


def is_text(statement: Any) -> bool:
    """Tell whether *statement* is SQL text.  Uses ``ClauseElement._is_text_clause``."""
    return bool(getattr(statement, "_is_text_clause", False))


def is_within_nested(compiler: SQLCompiler, cte: CTE | None) -> bool:
    """Tell whether *cte*, which is being compiled, stands in a WITH that is not the outermost.

    Uses ``SQLCompiler.level_name_by_cte`` and ``CTE._get_reference_cte()``.
    """
    if cte is None:
        return False
    level, *_ = compiler.level_name_by_cte[cte._get_reference_cte()]
    return level > 1


def group_by_of(select: Any) -> tuple[Any, ...]:
    """Return what a SELECT is grouped by.  Uses ``GenerativeSelect._group_by_clauses``."""
    clauses: tuple[Any, ...] = select._group_by_clauses
    return clauses


def with_order(clause: Any, adapt: Callable[[Any], Any]) -> Any:
    """Return a copy of a SELECT, or of a window, with *adapt* applied to what it is ordered by.

    Uses ``GenerativeSelect._order_by_clauses``, ``Over.order_by`` and ``_label_reference``.
    """

    def adapted(element: Any) -> Any:
        if isinstance(element, UnaryExpression | _label_reference):
            copied = element._clone()
            copied.element = adapted(element.element)
            return copied
        return adapt(element)

    copied = clause._clone()
    if not isinstance(clause, Over):
        copied._order_by_clauses = tuple(map(adapted, clause._order_by_clauses))
    elif clause.order_by is not None:
        copied.order_by = clause.order_by._clone()
        copied.order_by.clauses = list(map(adapted, clause.order_by.clauses))
    return copied


def shown_of_groups(select: Any) -> Iterator[Any]:
    """Yield every expression in what a grouped SELECT shows of its groups.

    Uses ``Select._raw_columns``, ``._having_criteria`` and ``._order_by_clauses``.
    """
    for part in (*select._raw_columns, *select._having_criteria, *select._order_by_clauses):
        yield from visitors.iterate(part)


def selected_expressions(statement: Any) -> Iterator[Any]:
    """Yield what the SELECTs in a statement name one by one, and not as a class or table.

    Uses ``Select._raw_columns``.
    """
    for each in visitors.iterate(statement):
        for raw in each._raw_columns if isinstance(each, Select) else ():
            # Functions are both.
            if not isinstance(raw, FromClause) or isinstance(raw, ColumnElement):
                yield raw


def columns_in(element: Any) -> Iterator[Any]:
    """Yield the columns of tables that an expression comes down to."""
    for each in visitors.iterate(element):
        if isinstance(each, ColumnClause):
            yield from (base for base in each.base_columns if isinstance(base, ColumnClause))


def without_schema(
    preparer: IdentifierPreparer, is_hidden: Callable[[Any], bool]
) -> IdentifierPreparer:
    """Return a copy of *preparer* that leaves the schema off some tables.

    Made as ``IdentifierPreparer._with_schema_translate()`` makes one.
    """
    copied = preparer.__class__.__new__(preparer.__class__)
    vars(copied).update(vars(preparer))
    schema_of = preparer.schema_for_object

    def schema_for_object(obj: Any) -> str | None:
        return None if is_hidden(obj) else schema_of(obj)

    copied.schema_for_object = schema_for_object  # type: ignore[assignment]
    return copied


# -- sessions --------------------------------------------------------------------------------


class BorrowingSession(Session):
    """A session on connections of others: it begins, commits and rolls back nothing on them.

    Its ``get_bind()`` returns connections.  Overrides ``Session._connection_for_bind()``, where a
    transaction of the session would become that of the connection.
    """

    def _connection_for_bind(self, engine: Any, *args: Any, **kw: Any) -> Any:
        return engine


def session_options(session: Session) -> dict[str, Any]:
    """Return the arguments by which another session treats statements like *session*.

    Uses ``Session._query_cls``; ``execution_options`` are new in SQLAlchemy 2.1.
    """
    options: dict[str, Any] = {"query_cls": session._query_cls}
    if said := getattr(session, "execution_options", None):
        options["execution_options"] = said
    return options


def guard_modified(session: Session, guard: Callable[[InstanceState[Any]], None]) -> None:
    """Call *guard* before an attribute of an object of *session* is changed.

    Replaces ``WeakInstanceDict._modified``, to which a changed object is added just before.  Uses
    ``InstanceState.modified`` and ``.committed_state``.
    """
    session.identity_map._modified = _GuardedStates(guard)


class _GuardedStates(set[InstanceState[Any]]):
    """The changed objects of a session: none, because *guard* raises."""

    def __init__(self, guard: Callable[[InstanceState[Any]], None]) -> None:
        super().__init__()
        self._guard = guard

    def add(self, state: InstanceState[Any]) -> None:
        # What was noted of the change so far.
        state.modified = False
        state.committed_state.clear()
        self._guard(state)


def guard_attached(session: Session, refuse: Callable[[], NoReturn]) -> None:
    """Call *refuse* when an object of *session* is added to another one, or the other way round.

    There is no event for that: SQLAlchemy raises before it sends any.  What it says has
    ``Session.hash_key`` of both sessions in it, and this one raises when it is shown.
    """
    key = session.hash_key = _GuardedKey(session.hash_key)
    key.refuse = refuse


class _GuardedKey(int):
    """The number by which objects know their session; showing it raises.

    Objects have it, so it must not hold their session.
    """

    refuse: Callable[[], NoReturn]

    def __str__(self) -> NoReturn:
        self.refuse()


def is_mutable(value: Any) -> bool:
    """Tell whether a value is of ``sqlalchemy.ext.mutable``.

    That listens to all mappers once it is imported, so it is not imported here.
    """
    mutable = sys.modules.get("sqlalchemy.ext.mutable")
    return mutable is not None and isinstance(value, mutable.MutableBase)


def refuse_reading(state: InstanceState[Any], key: str, refuse: Callable[..., Any]) -> None:
    """Let *refuse* be called when an attribute of one object is read.

    Uses ``InstanceState.callables`` and ``.expired_attributes``.
    """
    state.dict.pop(key, None)
    state.expired_attributes.discard(key)
    state.callables = {**(state.callables or {}), key: refuse}


# -- statements that write ---------------------------------------------------------------------


def written_table(statement: Any) -> Any:
    """Return the table that a statement writes.

    Of an ORM-enabled one, the table of the class that it is about at present.  Uses the annotations
    ``_emit_insert_table`` and ``_emit_update_table``.
    """
    said = statement._annotations
    return said.get("_emit_insert_table", said.get("_emit_update_table", statement.table))


def subject_of(statement: Any) -> Mapper[Any] | None:
    """Return the mapper of the class that an ORM-enabled statement is about.

    Uses ``ClauseElement._propagate_attrs``.
    """
    subject: Any = statement._propagate_attrs.get("plugin_subject")
    mapper: Mapper[Any] | None = getattr(subject, "mapper", None)
    # A Core statement may have it of a class in one of its subqueries.
    return mapper if mapper is not None and written_table(statement) in mapper.tables else None


def narrows_by_itself(statement: Any) -> bool:
    """Tell whether more than its conditions decides which rows a statement is about.

    Uses ``Mapper._single_table_criterion``, ``Executable._with_options`` and dialect options,
    such as MySQL's limit.
    """
    mapper = subject_of(statement)
    if mapper is not None and mapper._single_table_criterion is not None:
        return True
    return bool(statement._with_options) or is_limited(statement)


def is_limited(statement: Any) -> bool:
    """Tell whether a statement stops at some number of rows, as MySQL's can."""
    return any(str(name).endswith("_limit") for name in statement.dialect_kwargs)


def with_options_of(statement: Any, other: Any) -> Any:
    """Return *statement* with the options of another.  Uses ``Executable._with_options``."""
    return statement.options(*other._with_options) if other._with_options else statement


def assigned_values(statement: Any, sets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a statement assigns, by column key; of several sets, the first.

    Uses ``ValuesBase._values``, ``Update._ordered_values`` and ``Insert._multi_values``.
    """
    assigned: dict[Any, Any] = dict(sets[0]) if sets else {}
    if not isinstance(statement, ValuesBase):
        return {}
    for multiple in statement._multi_values:
        assigned.update(multiple[0] if isinstance(multiple[0], Mapping) else {})
    assigned.update(statement._values or {})
    assigned.update(getattr(statement, "_ordered_values", None) or ())
    return {key if isinstance(key, str) else key.key: value for key, value in assigned.items()}


def has_prefix(statement: Any, word: str) -> bool:
    """Tell whether a statement has a prefix with a word in it.  Uses ``HasPrefixes._prefixes``."""
    said = " ".join(str(getattr(each, "text", each)) for each, _ in statement._prefixes)
    return word in said.upper().split()


def _column_of(statement: Any, name: Any) -> Column[Any] | None:
    """Return the column that a statement means by what it names, if there is one."""
    table, mapper = written_table(statement), subject_of(statement)
    if isinstance(name, Column) and _bare(name).table is table:
        return _bare(name)  # type: ignore[no-any-return]
    name = name if isinstance(name, str) else name.key
    if mapper is not None and name in mapper.column_attrs:
        for column in mapper.column_attrs[name].columns:
            if column.table is table:
                return _bare(column)  # type: ignore[no-any-return]
    return table.c.get(name)  # type: ignore[no-any-return]


def _by_column(statement: Any, values: Iterable[tuple[Any, Any]]) -> dict[Column[Any], Any]:
    named = ((_column_of(statement, name), value) for name, value in values)
    return {column: value for column, value in named if column is not None}


def assigned_columns(statement: Any, sets: Sequence[Mapping[str, Any]]) -> dict[Column[Any], Any]:
    """Return what a statement assigns, by column; of several sets, the first."""
    return _by_column(statement, assigned_values(statement, sets).items())


def translated_schema(options: Mapping[str, Any], schema: str | None) -> str | None:
    """Return what a ``schema_translate_map`` in execution options makes of a schema."""
    mapped: str | None = (options.get("schema_translate_map") or {}).get(schema, schema)
    return mapped


def other_written_tables(statement: Any) -> set[Any]:
    """Return the tables that an UPDATE sets columns of besides its own, as MySQL's can.

    Uses ``ValuesBase._values`` and ``Update._ordered_values``.
    """
    said = [*(statement._values or ()), *(getattr(statement, "_ordered_values", None) or ())]
    names = [each[0] if isinstance(each, tuple) else each for each in said]
    tables = {name.table for name in map(_bare, names) if isinstance(name, Column)}
    return tables - {written_table(statement)}


def inserted_values(
    statement: Any, sets: Sequence[Mapping[str, Any]]
) -> list[dict[Column[Any], Any]]:
    """Return what an INSERT says of each row, by column.

    Uses ``ValuesBase._values`` and ``Insert._multi_values``.
    """
    rows: list[Any] = []
    columns = list(written_table(statement).columns)
    for multiple in statement._multi_values:
        for row in multiple:
            is_named = isinstance(row, Mapping)
            rows.append(row.items() if is_named else zip(columns, row, strict=False))
    if not rows:
        fixed = dict(statement._values or {})
        rows = [[*fixed.items(), *each.items()] for each in sets or [{}]]
    return [_by_column(statement, row) for row in rows]


def inserted_columns(statement: Any, sets: Sequence[Mapping[str, Any]]) -> set[Column[Any]]:
    """Return the columns that an INSERT says something of."""
    selected = inserted_select(statement)
    if selected is None:
        return {column for row in inserted_values(statement, sets) for column in row}
    return {c for name in selected[0] if (c := _column_of(statement, name)) is not None}


def inserted_select(statement: Any) -> tuple[list[str], Any] | None:
    """Return the columns of an ``INSERT … SELECT``, and the SELECT.

    Uses ``Insert._select_names``.
    """
    if statement.select is None:
        return None
    return list(statement._select_names), statement.select


def columns_on_conflict(statement: Any) -> set[Column[Any]] | None:
    """Return the columns that an INSERT changes of rows that are there, if it changes any.

    Uses ``Insert._post_values_clause``, ``OnConflictDoUpdate.update_values_to_set`` and
    ``OnDuplicateClause.update``.
    """
    clause = statement._post_values_clause
    said: Any = getattr(clause, "update_values_to_set", None)
    if said is None:
        said = getattr(clause, "update", None)
    if said is None:
        return None
    names = [each[0] if isinstance(each, tuple) else each for each in said]
    return {column for name in names if (column := _column_of(statement, name)) is not None}


def may_meet_rows(statement: Any) -> bool:
    """Tell whether an INSERT goes on where a row is there already.

    ``ON CONFLICT`` and the like say so, or a prefix such as ``OR IGNORE``.  Uses
    ``Insert._post_values_clause`` and ``HasPrefixes._prefixes``.
    """
    return statement._post_values_clause is not None or bool(statement._prefixes)


def is_inline(statement: Any) -> bool:
    """Tell whether an INSERT does not ask for the key.  Uses ``Insert._inline``."""
    return bool(statement._inline)


def returns_columns(statement: Any, columns: Iterable[Column[Any]]) -> bool:
    """Tell whether the RETURNING of a statement has *columns*.

    Uses ``UpdateBase._all_selected_columns``.
    """
    return set(map(_bare, statement._all_selected_columns)).issuperset(columns)


def returned_keys(result: Any, key: Sequence[Column[Any]]) -> list[Any] | None:
    """Return the keys among the rows of a RETURNING, which the application gets nevertheless.

    Uses ``FullyBufferedCursorFetchStrategy``.

    :returns: ``None`` if the key is not among what is returned.
    """
    found = _places_of(result, key)
    if found is None:
        return None
    dialect = result.dialect
    places = [
        (n, column.type.dialect_impl(dialect).result_processor(dialect, None))
        for n, column in zip(found, key, strict=True)
    ]
    strategy = result.cursor_strategy
    if isinstance(strategy, FullyBufferedCursorFetchStrategy):
        rows = list(strategy._rowbuffer)
    else:
        rows = result.cursor.fetchall()
        result.cursor_strategy = FullyBufferedCursorFetchStrategy(
            result.cursor, initial_buffer=collections.deque(rows)
        )
    if len(places) == 1:
        ((place, process),) = places
        return [process(row[place]) if process else row[place] for row in rows]
    return [tuple(p(row[n]) if p else row[n] for n, p in places) for row in rows]


def defaulted_keys(result: Any, key: Sequence[Column[Any]]) -> list[Any]:
    """Return the keys among what ``return_defaults()`` has returned."""
    rows = result.returned_defaults_rows or []
    places = _places_of(result, key)
    assert places is not None
    get = itemgetter(*places)
    return [get(row) for row in rows]


def _places_of(result: Any, key: Sequence[Column[Any]]) -> list[int] | None:
    """Return where columns stand in what is returned.  Uses ``SQLCompiler._result_columns``."""
    columns = result.context.compiled._result_columns
    places = []
    for column in key:
        found = [n for n, entry in enumerate(columns) if column in map(_bare, entry.objects)]
        if not found:
            return None
        places.append(found[0])
    return places


def hide_returned(result: Any, count: int) -> None:
    """Let a result look like that of a statement without the RETURNING that was added to it.

    Uses ``CursorResult._metadata`` and ``DefaultExecutionContext._rowcount``.

    :param count: how many rows the statement has written.
    """
    result.close()
    result.context._rowcount = count
    result._metadata = _NO_RESULT_METADATA


def _bare(column: Any) -> Any:
    return column._deannotate() if isinstance(column, Column) else column


def savepoint_around(savepoint: Any) -> Any:
    """Return the savepoint in which another was set, of a session or of a connection.

    Uses ``NestedTransaction._previous_nested``.
    """
    if isinstance(savepoint, NestedTransaction):
        return savepoint._previous_nested
    around = savepoint.parent
    while around is not None and not around.nested:
        around = around.parent
    return around


def column_of(rows: FromClause, name: str) -> ColumnClause[Any]:
    """Return a column by a name that only the database knows."""
    found: ColumnClause[Any] = ColumnClause(name, _selectable=rows)
    return found


def copy_of_column(column: Column[Any]) -> Column[Any]:
    """Return a column like another, of no table."""
    copied: Column[Any] = column._copy()
    return copied
