"""Statements that are compiled in another way than their dialect would."""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnClause,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Over,
    Select,
    TextClause,
    TextualSelect,
    UnaryExpression,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import FromStatement
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import IdentifierPreparer, SQLCompiler
from sqlalchemy.sql.elements import _label_reference
from sqlalchemy.sql.lambdas import StatementLambdaElement
from sqlalchemy.sql.visitors import InternalTraversal

__all__ = [
    "Check",
    "Recompiled",
    "as_executed",
    "columns_in",
    "group_by_of",
    "identity_token",
    "is_text",
    "is_within_nested",
    "nested_statements",
    "recompile",
    "resolved",
    "returned_columns",
    "schema_shown",
    "selected_expressions",
    "shown_of_groups",
    "text_of",
    "with_order",
    "without_schema",
]


# Of Any, checkers would make FromStatement[Unknown].
_FROM_STATEMENT: Any = FromStatement
_FROM: Any = FromClause
_COLUMN: Any = ColumnElement

#: Is called with a compiler and the schemas that stand for others, before a statement is sent.
Check: TypeAlias = Callable[[SQLCompiler, Mapping[Any, Any]], None]


def as_executed(text: str, preparer: IdentifierPreparer) -> str:
    """Return what a database gets of the text of a compiler, of which no parameter is written.

    Uses ``IdentifierPreparer._double_percents``.
    """
    return text.replace("%%", "%") if preparer._double_percents else text


class Recompiled:
    """A statement that a mixin of its dialect's compiler compiles; see :func:`recompile`.

    Uses ``ClauseElement._compiler()`` and ``._compile_w_cache()``.
    """

    #: Part of the cache key, so that its value may differ between executions of one text.
    versioned_parameter: BindParameter[Any]
    #: Part of the cache key as well.
    versioned_scope: Hashable
    #: Called before anything is sent, whether the compiled statement was cached or not.
    versioned_check: Check
    _versioned_mixin: type[Any]

    def _compiler(self, dialect: Dialect, **kw: Any) -> SQLCompiler:
        base: Any = dialect.statement_compiler
        mixin: Any = self._versioned_mixin
        compiler: SQLCompiler = _compiler_class(mixin, base)(dialect, self, **kw)
        return compiler

    def _compile_w_cache(self, *args: Any, **kw: Any) -> Any:
        base: Any = super()
        found: Any = base._compile_w_cache(*args, **kw)
        self.versioned_check(found[0], kw.get("schema_translate_map") or {})
        return found


def recompile(
    statement: Any,
    mixin: Any,
    *,
    parameter: BindParameter[Any],
    scope: Hashable,
    check: Check,
) -> Any:
    """Return a copy of *statement* that *mixin* and the dialect's compiler compile together.

    It is found again in the caches of compiled statements, apart from *statement* itself.
    Uses ``HasMemoized._memoized_keys``, ``HasTraverseInternals._traverse_internals`` and
    ``HasCacheKey._cache_key_traversal``.

    :param mixin: overrides what ``SQLCompiler`` does; its ``statement`` is the copy.
    :param parameter: a parameter that *mixin* may render.
    :param scope: what else than the statement and the parameter decides what *mixin* makes of it.
    :param check: called with the compiler and the ``schema_translate_map`` before each execution;
        it outlives the statement in the caches, so it must hold nothing that should end.
    """
    cls = statement.__class__
    if not issubclass(cls, Recompiled):
        cls = _statement_class(cls, mixin)
    copied: Any = cls.__new__(cls)
    # What it remembers, such as its cache key, is not true of the copy.
    remembered = statement._memoized_keys
    said: dict[str, Any] = statement.__dict__
    copied.__dict__.update({k: v for k, v in said.items() if k not in remembered})
    copied.versioned_parameter = parameter
    copied.versioned_scope = scope
    copied.versioned_check = check
    return copied


@cache
def _statement_class(cls: Any, mixin: Any) -> Any:
    # The cache key has more than what is traversed: loads of some attributes differ by it alone.
    keyed = cls._cache_key_traversal or cls._traverse_internals
    parameter = ("versioned_parameter", InternalTraversal.dp_clauseelement)
    scope = ("versioned_scope", InternalTraversal.dp_plain_obj)
    return type(
        f"Recompiled{cls.__name__}",
        (Recompiled, cls),
        {
            "_traverse_internals": [*cls._traverse_internals, parameter],
            "_cache_key_traversal": [*keyed, parameter, scope],
            "inherit_cache": False,
            "_versioned_mixin": mixin,
        },
    )


@cache
def _compiler_class(mixin: Any, base: Any) -> Any:
    return type(f"{mixin.__name__}{base.__name__}", (mixin, base), {})


def resolved(statement: Any) -> Any:
    """Return the statement that a ``lambda_stmt()`` stands for, or *statement* itself.

    Uses ``StatementLambdaElement._resolved``.
    """
    untyped = statement
    return untyped._resolved if isinstance(statement, StatementLambdaElement) else statement


def identity_token(execution_options: Mapping[str, Any]) -> Any:
    """Return the identity token of the objects that a statement with these options loads.

    Uses ``QueryContext.default_load_options._identity_token``.
    """
    options: Any = execution_options.get("_sa_orm_load_options")
    return None if options is None else options._identity_token


def is_text(statement: Any) -> bool:
    """Tell whether *statement* is SQL text.  Uses ``ClauseElement._is_text_clause``."""
    return bool(getattr(statement, "_is_text_clause", False))


def text_of(statement: Any) -> str | None:
    """Return the SQL text that a statement is; ``None`` if it is made of expressions."""
    statement = resolved(statement)
    if isinstance(statement, _FROM_STATEMENT):
        return text_of(statement.element)
    clause: Any = statement.element if isinstance(statement, TextualSelect) else statement
    text: str | None = clause.text if isinstance(clause, TextClause) else None
    return text


def nested_statements(compiled: Any) -> list[Any]:
    """Return the statements within a compiled one: in its ``WITH``, and by ``from_statement()``.

    Uses ``SQLCompiler.ctes``.
    """
    statement = resolved(compiled.statement)
    nested = [each.element for each in getattr(compiled, "ctes", None) or ()]
    return [*nested, statement.element] if isinstance(statement, _FROM_STATEMENT) else nested


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
    wrappers: tuple[Any, ...] = (UnaryExpression, _label_reference)

    def adapted(element: Any) -> Any:
        if isinstance(element, wrappers):
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


def returned_columns(statement: Any) -> Iterator[Any]:
    """Yield the columns of tables that a SELECT returns whole, and not as objects.

    Uses ``Select._raw_columns`` and ``ClauseElement._annotations``.
    """
    if isinstance(statement, CompoundSelect):
        for each in statement.selects:
            yield from returned_columns(getattr(each, "element", each))
    selected: Any = statement._raw_columns if isinstance(statement, Select) else ()
    for raw in selected:
        is_table = isinstance(raw, _FROM) and not isinstance(raw, _COLUMN)
        if is_table and "parententity" not in raw._annotations:
            yield from raw.c


def columns_in(element: Any) -> Iterator[Any]:
    """Yield the columns of tables that an expression comes down to."""
    for each in visitors.iterate(element):
        if isinstance(each, ColumnClause):
            yield from (base for base in each.base_columns if isinstance(base, ColumnClause))


def schema_shown(preparer: IdentifierPreparer, table: FromClause) -> str | None:
    """Return the schema that a table is written with, if with one.

    Uses ``IdentifierPreparer.schema_for_object``.
    """
    untyped: Any = preparer
    schema: str | None = untyped.schema_for_object(table)
    return schema


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
