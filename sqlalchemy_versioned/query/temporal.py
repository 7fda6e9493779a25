"""What versioned tables held at a moment, put into statements in their place.

A statement is compiled as it is written.  Where the name of a versioned table is rendered, a CTE
of that name comes into the statement, which selects the columns of the table from its version
table as of one transaction.  A CTE hides the table of its name, so joins, subqueries, and
whatever the ORM adds, read the past.  Only tables that are rendered get one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, Alias, ColumnClause, Label, Select, func
from sqlalchemy.sql.compiler import IdentifierPreparer

from .. import _sqlalchemy
from ..database.dialects import enum_places, groups_by_keys, lacks_equality
from ..exc import IncompleteHistory, ReadOnlySnapshot, VersioningError
from ..model.spec import VersionSpec
from .past_rows import select_rows_at
from .past_tables import find_table_spec, find_unkept, retired_columns
from .texts import may_name_tables

__all__ = ["PastCompiler"]

# Of Any, checkers would make ColumnClause[Unknown] and the like.
_ALIAS: Any = Alias
_COLUMN: Any = ColumnClause
_LABEL: Any = Label


class PastCompiler:
    """What a compiler of statements does differently where they read the past.

    A mixin for the compiler of a dialect; see :func:`._sqlalchemy.recompile`.
    """

    statement: Any
    stack: list[Any]
    dialect: Any
    ctes: Any

    def __init__(self, dialect: Any, statement: Any, *args: Any, **kw: Any) -> None:
        #: The versioned tables of the statement, each with the CTE that hides it.
        self.past: dict[VersionSpec, CTE] = {}
        # Those inside of a CTE that is nested, by how deep.
        self._nested: dict[tuple[VersionSpec, int], CTE] = {}
        self._named: dict[str, Any] = {}
        self._retired: dict[VersionSpec, list[str]] = {}
        self._specs: dict[Any, VersionSpec | None] = {}
        for selected in (
            *_sqlalchemy.selected_expressions(statement),
            *_sqlalchemy.returned_columns(statement),
        ):
            _check_kept(find_unkept(selected))
        # Compiling happens in the constructor, so all that it asks for must be there before.
        super().__init__(dialect, statement, *args, **kw)  # type: ignore[call-arg]

    @property
    def preparer(self) -> IdentifierPreparer:
        """Writes names; those of hidden tables without their schema, as CTEs have none."""
        return self._preparer

    @preparer.setter
    def preparer(self, preparer: IdentifierPreparer) -> None:
        self._preparer = _sqlalchemy.without_schema(
            preparer, lambda obj: self._spec_of(obj) is not None
        )

    # -- tables ------------------------------------------------------------------------------

    def visit_table(self, table: Any, asfrom: bool = False, **kw: Any) -> Any:
        """Bring in what hides a versioned table, wherever one is named."""
        # Elsewhere the table only qualifies a column, whose table is hidden by then.
        if asfrom or kw.get("ashint") or kw.get("within_tstring"):
            self._hide(table, kw.get("visiting_cte"), literal_binds=kw.get("literal_binds", False))
        return super().visit_table(table, asfrom=asfrom, **kw)  # type: ignore[misc]

    def _hide(self, table: Any, visiting: CTE | None, **kw: Any) -> None:
        """Bring the CTE that hides *table* into the statement, if it is versioned."""
        spec = self._spec_of(table)
        if spec is not None or _sqlalchemy.schema_shown(self.preparer, table) is None:
            self._claim_name(str(table.name), spec or table)
        if spec is None:
            return
        self._check_retired(spec, table)
        if spec not in self.past:
            self.past[spec] = self._select_past(spec, table.name)
        past = self.past[spec]
        if _sqlalchemy.is_within_nested(self, visiting):  # type: ignore[arg-type]
            past = self._nest(spec, table.name)
        # Rendered for its effect: the WITH gets it, while the statement goes on with the table's
        # name.
        self.visit_cte(past, asfrom=True, **kw)

    def _check_retired(self, spec: VersionSpec, table: Any) -> None:
        """Note which columns a stand-in of a table has that the table has no more."""
        retired = retired_columns(spec, table)
        known = self._retired.setdefault(spec, retired)
        if not set(retired) <= set(known):
            raise VersioningError(
                f"the statement names {table.name!r} more than once, with columns that it has no "
                f"more in one place only: {', '.join(retired)}; name it in the same way everywhere"
            )

    def _nest(self, spec: VersionSpec, name: str) -> CTE:
        """Return a CTE for the WITH of the innermost SELECT.

        MariaDB looks for the tables of a nested CTE everywhere but in the WITH around it.
        """
        place = (spec, len(self.stack))
        # It goes when the SELECT is rendered.
        if self._nested.get(place) not in self.ctes:
            self._nested[place] = self._select_past(spec, name, nesting=True)
        return self._nested[place]

    def _select_past(self, spec: VersionSpec, name: str, *, nesting: bool = False) -> CTE:
        at = self.statement.versioned_parameter
        past = select_rows_at(spec, at, self._retired[spec]).cte(name, nesting=nesting)
        for dialect in ("postgresql", "sqlite"):
            # Or PostgreSQL would read all of the past before it looks for the rows that are asked
            # for.
            past = past.prefix_with("NOT MATERIALIZED", dialect=dialect)
        return past

    def visit_cte(self, cte: CTE, *args: Any, **kw: Any) -> Any:
        """Claim the name of a CTE of the application, which may be that of a table."""
        if cte not in self.past.values() and cte not in self._nested.values():
            self._claim_name(str(cte.name), cte)
        return super().visit_cte(cte, *args, **kw)  # type: ignore[misc]

    def _claim_name(self, name: str, owner: Any) -> None:
        known = self._named.setdefault(name, owner)
        if known is not owner and (known in self.past or isinstance(owner, VersionSpec)):
            raise VersioningError(
                f"two tables called {name!r} are in one statement, which in the past can only "
                "tell tables by their names; read them by two statements, or give what is no table "
                "another name"
            )

    def _spec_of(self, table: Any) -> VersionSpec | None:
        if table not in self._specs:
            self._specs[table] = find_table_spec(table, self.dialect.default_schema_name)
        return self._specs[table]

    def format_from_hint_text(self, sqltext: str, table: Any, *args: Any) -> Any:
        """Leave out hints about tables that are hidden."""
        if self._spec_of(_bare(table)) is not None:
            # Hints are about indexes and locks of tables.
            return sqltext
        return super().format_from_hint_text(sqltext, table, *args)  # type: ignore[misc]

    # -- groups ------------------------------------------------------------------------------

    def group_by_clause(self, select: Select[Any], **kw: Any) -> str:
        """Group by what is shown of a table, too, where its key would have told the rest."""
        above: Any = super()
        text: str = above.group_by_clause(select, **kw)
        keyed = self._keyed_groups(select)
        shown = _sqlalchemy.shown_of_groups(select) if keyed else ()
        more = [each for each in shown if isinstance(each, _COLUMN) and each.table in keyed]
        return ", ".join([text, *(self._group(each, **kw) for each in dict.fromkeys(more))])

    def _group(self, column: Any, **kw: Any) -> str:
        above: Any = super()
        text: str = above.visit_column(column, **kw)
        return f"CAST({text} AS TEXT)" if lacks_equality(column, self.dialect) else text

    def _as_grouped(self, column: Any, text: str) -> str:
        """Return what is grouped by in the place of a column that cannot be grouped by."""
        if not self.stack or not lacks_equality(column, self.dialect):
            return text
        if column.table not in self._keyed_groups(self.stack[-1]["selectable"]):
            return text
        type_ = self.dialect.type_compiler_instance.process(column.type)
        return f"CAST(CAST({text} AS TEXT) AS {type_})"

    def _keyed_groups(self, select: Any) -> set[Any]:
        """Return the tables, or aliases, of which a SELECT is grouped by the primary key.

        A database that knows that a key decides a row knows it of tables, but not of the CTEs that
        hide them.
        """
        if not groups_by_keys(self.dialect):
            return set()
        grouped: dict[Any, set[Any]] = {}
        for each in _sqlalchemy.group_by_of(select):
            if isinstance(each, ColumnClause):
                grouped.setdefault(each.table, set()).add(each.name)
        return {table for table, names in grouped.items() if self._key_of(table) <= names}

    def _key_of(self, table: Any) -> Any:
        """Return the names of the primary key of a hidden table or of an alias of one."""
        spec = self._spec_of(_bare(table))
        key = {column.name for column in spec.parent_table.primary_key} if spec else ()
        # Without a key, nothing that is grouped by would decide a row.
        return key or {None}

    # -- orders ------------------------------------------------------------------------------

    def order_by_clause(self, select: Any, **kw: Any) -> Any:
        """Order enums as the column of the table would be."""
        ordered = _sqlalchemy.with_order(select, self._as_ordered)
        return super().order_by_clause(ordered, **kw)  # type: ignore[misc]

    def visit_over(self, over: Any, **kw: Any) -> Any:
        """Order the rows of windows likewise."""
        ordered = _sqlalchemy.with_order(over, self._as_ordered)
        return super().visit_over(ordered, **kw)  # type: ignore[misc]

    def _as_ordered(self, element: Any) -> Any:
        """Order enums, which are kept as text, by their places where a database does."""
        column = element.element if isinstance(element, _LABEL) else element
        if not isinstance(column, _COLUMN):
            return element
        places = enum_places(column, self.dialect)
        if not places or not any(self._spec_of(c.table) for c in _sqlalchemy.columns_in(column)):
            return element
        return func.field(column, *places)

    # -- columns and text --------------------------------------------------------------------

    def visit_column(self, column: Any, *args: Any, **kw: Any) -> Any:
        """Refuse columns of which history keeps nothing."""
        if column.is_literal:
            self._check_text(str(column.name))
        # What is selected was checked at the start, where a column that is not kept is told by
        # name.
        elif not kw.get("within_columns_clause"):
            _check_kept(find_unkept(column, self._spec_of))
        above: Any = super()
        text: str = above.visit_column(column, *args, **kw)
        return self._as_grouped(column, text)

    def visit_textclause(self, textclause: Any, *args: Any, **kw: Any) -> Any:
        """Refuse text that may name tables."""
        # Text in the place of a table, or instead of a statement, surely names tables.
        if kw.get("asfrom") or not self.stack:
            self._refuse_text(textclause.text)
        self._check_text(textclause.text)
        return super().visit_textclause(textclause, *args, **kw)  # type: ignore[misc]

    def visit_textual_select(self, taf: Any, *args: Any, **kw: Any) -> Any:
        """Refuse a statement that is text."""
        self._refuse_text(taf.element.text)

    def _check_text(self, text: str) -> None:
        if may_name_tables(text):
            self._refuse_text(text)

    def _refuse_text(self, text: str) -> None:
        raise ReadOnlySnapshot(
            f"the text {text!r} may name tables, which would be read as they are now; write it "
            "with select() and the classes or tables"
        )

    # -- what would write or lock ------------------------------------------------------------

    def visit_insert(self, *args: Any, **kw: Any) -> Any:
        """Refuse whatever writes."""
        self._refuse_writing()

    visit_update = visit_insert
    visit_delete = visit_insert

    def _refuse_writing(self) -> None:
        raise ReadOnlySnapshot(
            "the statement would write, but a session of the past only reads; run it in a session "
            "of the present"
        )

    def for_update_clause(self, *args: Any, **kw: Any) -> Any:
        """Refuse to lock rows of the past."""
        raise ReadOnlySnapshot(
            "rows of the past cannot be locked; leave out with_for_update(), or lock the row in a "
            "session of the present"
        )

    def visit_tablesample(self, tablesample: Any, *args: Any, **kw: Any) -> Any:
        """Refuse samples of tables that are hidden."""
        if self._spec_of(tablesample.element) is not None:
            raise VersioningError(
                f"{tablesample.element.name} cannot be sampled in the past: TABLESAMPLE takes "
                "tables only; order by func.random() and limit"
            )
        return super().visit_tablesample(tablesample, *args, **kw)  # type: ignore[misc]


def _bare(table: Any) -> Any:
    return table.element if isinstance(table, _ALIAS) else table


def _check_kept(unkept: Any) -> None:
    if unkept is not None:
        raise IncompleteHistory(
            f"{unkept.table.name}.{unkept.name} is excluded from history, or masked, so that its "
            "past is not known; leave it out of what is selected, conditions and orders"
        )
