"""Versions beside the versions before them: what both hold, and which columns differ.

The version before is looked up by the primary key, one step back for each version that is read.
That costs the same wherever a version stands in its history and however long the table is; a
window function would have to read whole histories, and for a page of a whole table all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    String,
    and_,
    cast,
    false,
    func,
    inspect,
    not_,
    or_,
    true,
    types,
)
from sqlalchemy.orm import Mapper

from .._typing import is_column, replaced
from ..database.dialects import is_text, native_type
from ..database.expressions import SameValue
from ..model.lookup import find_spec
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from .named import version_column
from .newest import comes_before, newest_version, of_key, place_in

__all__ = ["Images", "family_of"]

#: What stands for the rows of each table.
Rows = dict[VersionSpec, FromClause]


def family_of(spec: ClassSpec) -> tuple[ClassSpec, ...]:
    """Return the specs of a class and of the subclasses whose objects have rows in its tables."""
    mapper: Mapper[Any] = inspect(spec.version_class)
    found = (find_spec(each.class_) for each in mapper.self_and_descendants)
    return tuple(each for each in found if each is not None and each.root is spec.root)


class Images:
    """The versions of a class and its subclasses, as aliases of their tables.

    Columns are asked for by the column of the version table.  The tables of subclasses are joined
    from the outside: what an object does not have is NULL.

    :param has_subclasses: whether objects of subclasses may be among them.
    """

    def __init__(self, spec: ClassSpec, *, has_subclasses: bool = True) -> None:
        self._spec = spec
        self.family: tuple[ClassSpec, ...] = family_of(spec) if has_subclasses else (spec,)
        tables = dict.fromkeys(table for each in self.family for table in each.tables)
        self._own: Rows = {table: table.version_table.alias() for table in tables}
        self._before: Rows = {table: table.version_table.alias() for table in tables}
        self._specs: dict[FromClause, VersionSpec] = {each.version_table: each for each in tables}
        #: The flags that tell whether a version changed a masked column.
        self._flags = [pair.version for table in tables for pair in table.masked]

    # -- joining -----------------------------------------------------------------------------

    def join_made_by(self, source: FromClause, transaction: ColumnElement[Any]) -> FromClause:
        """Join the versions that *transaction* of each row of *source* has made."""
        root = self._spec.root
        joined = source.join(self._own[root], self.transaction == transaction)
        return self._join_others(joined, self._spec.tables[1:])

    def join_seen_at(
        self,
        source: FromClause,
        key: Sequence[ColumnElement[Any]],
        place: Sequence[ColumnElement[Any]],
    ) -> FromClause:
        """Join the newest versions until a transaction, and those before it, if there are any.

        :param key: the columns of *source* that name the object.
        :param place: the columns of *source* that have the transaction and, where versions have
            ids, that of the version that is meant, if one is.
        """
        root = self._spec.root
        transaction, *number = place
        column = root.transaction_column.key
        newest: ColumnElement[Any] = newest_version(
            root, key, lambda rows: rows.c[column] <= transaction
        )
        if number:
            newest = func.coalesce(*number, newest)
        own = self._own[root]
        is_newest = own.c[root.identifier.key] == newest
        # Outer, because the rows of *source* are kept, such as activities of objects without
        # history.
        joined = source.outerjoin(own, and_(*of_key(root, own, key), is_newest))
        until = self.place if number else [transaction]
        return self._join_others(joined, (), key=key, place=until)

    def versions(self) -> FromClause:
        """Return all versions of the class."""
        return self._join_others(self._own[self._spec.root], self._spec.tables[1:])

    def _join_others(
        self,
        joined: FromClause,
        required: Sequence[VersionSpec],
        *,
        key: Sequence[ColumnElement[Any]] | None = None,
        place: Sequence[ColumnElement[Any]] | None = None,
    ) -> FromClause:
        root = self._spec.root
        for table, rows in self._own.items():
            if table is not root:
                same = _same_version(table, rows, root, self._own[root])
                joined = joined.join(rows, same, isouter=table not in required)
        key = self.key if key is None else key
        until = self.place if place is None else place
        newest = newest_version(root, key, lambda rows: comes_before(place_in(root, rows), until))
        before = self._before[root]
        is_before = before.c[root.identifier.key] == newest
        joined = joined.outerjoin(before, and_(*of_key(root, before, key), is_before))
        for table, rows in self._before.items():
            if table is not root:
                joined = joined.outerjoin(rows, _same_version(table, rows, root, before))
        return joined

    # -- columns -----------------------------------------------------------------------------

    @property
    def key(self) -> list[ColumnElement[Any]]:
        """The primary key of the object, as its base-most table has it."""
        root = self._spec.root
        return [self._own[root].c[pair.version.key] for pair in root.key]

    @property
    def transaction(self) -> ColumnElement[Any]:
        """The transaction of the version."""
        root = self._spec.root
        return self._own[root].c[root.transaction_column.key]

    @property
    def place(self) -> list[ColumnElement[Any]]:
        """What puts the version in order among those of its object."""
        root = self._spec.root
        return place_in(root, self._own[root])

    @property
    def operation(self) -> ColumnElement[Any]:
        """The operation of the version."""
        root = self._spec.root
        return self._own[root].c[root.operation_column.key]

    @property
    def operation_before(self) -> ColumnElement[Any]:
        """The operation of the version before, NULL where there is none."""
        root = self._spec.root
        return self._before[root].c[root.operation_column.key]

    @property
    def discriminator(self) -> ColumnElement[Any] | None:
        """What tells the class of the object, or ``None`` if they are all of one class."""
        mapper: Mapper[Any] = inspect(self._spec.version_class)
        # Concrete classes have tables, and so histories, of their own.
        if mapper.polymorphic_on is None or mapper.concrete:
            return None
        discriminator: ColumnElement[Any] = self._on_own(mapper.polymorphic_on)
        return discriminator

    @property
    def is_of_class(self) -> ColumnElement[bool] | None:
        """Match the objects of a class that shares a table with its superclass."""
        mapper: Mapper[Any] = inspect(self._spec.version_class)
        if not mapper.single or mapper.polymorphic_on is None:
            return None
        identities = [each.polymorphic_identity for each in mapper.self_and_descendants]
        is_of_class: ColumnElement[bool] = self._on_own(mapper.polymorphic_on).in_(identities)
        return is_of_class

    def own(self, column: Column[Any]) -> ColumnElement[Any]:
        """Return what the version holds."""
        return self._own[self._specs[column.table]].c[column.key]

    def before(self, column: Column[Any]) -> ColumnElement[Any]:
        """Return what the version before holds."""
        return self._before[self._specs[column.table]].c[column.key]

    def _on_own(self, expression: Any) -> Any:
        def replace(element: Any, **_: Any) -> Any:
            if is_column(element) and element.table in self._specs:
                return self.own(element)
            return None

        return replaced(expression, replace)

    # -- what differs ------------------------------------------------------------------------

    def is_same(self, column: Column[Any]) -> ColumnElement[bool]:
        """Match versions that hold what the version before holds."""
        own, before = self.own(column), self.before(column)
        # A flag tells by itself: values are not kept, so there is nothing to compare.
        if column in self._flags:
            return own == false()
        same = SameValue(own, before)
        if not _has_other_null(column):
            return same
        # JSON's null and NULL are both loaded as None; who reads records sees no difference.
        return or_(same, and_(not_(has_value(own)), not_(has_value(before))))

    def is_changed(self, columns: Iterable[Column[Any]]) -> ColumnElement[bool]:
        """Match versions that changed the value of any of *columns*.

        An insertion gives a value to what had none, whatever a row of that key was before; a
        deletion takes the values of the version before, or its own if there is none.
        """
        wanted = list(columns)
        if not wanted:
            return false()
        had_any = or_(*[has_value(self.before(column)) for column in wanted])
        has_any = or_(*[has_value(self.own(column)) for column in wanted])
        # After a deletion there were no values, whatever its version holds.
        had_row = self.operation_before != Operation.DELETE
        return or_(
            and_(self.is_first, has_any),
            and_(self.operation == Operation.DELETE, had_row, had_any),
            and_(self.operation == Operation.UPDATE, had_row, self._differs_in(wanted)),
        )

    @property
    def is_a_change(self) -> ColumnElement[bool]:
        """Match versions that changed anything at all; only updates may not have."""
        columns = {version_column(each, key) for each in self.family for key in each.columns}
        ordered = [p.version for table in self._own for p in table.pairs if p.version in columns]
        ordered += self._flags
        is_deletion = self.operation == Operation.DELETE
        return or_(is_deletion, self.is_first, self._differs_in(ordered))

    def _differs_in(self, columns: Iterable[Column[Any]]) -> ColumnElement[bool]:
        same = [self.is_same(column) for column in self.comparable(columns)]
        return not_(and_(true(), *same))

    @property
    def is_first(self) -> ColumnElement[bool]:
        """Match versions that no row was there before."""
        return or_(
            self.operation == Operation.INSERT,
            self.operation_before.is_(None),
            self.operation_before == Operation.DELETE,
        )

    def comparable(self, columns: Iterable[Column[Any]]) -> list[Column[Any]]:
        """Leave out the columns that cannot differ: keys, unless keys that match may differ."""
        keys = {p.version for table in self._own for p in table.key if not is_text(p.version)}
        return [column for column in columns if column not in keys]


def has_value(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Match rows that hold anything but what is loaded as ``None``."""
    if not _has_other_null(column):
        return column.is_not(None)
    return and_(column.is_not(None), cast(column, String) != "null")


def _has_other_null(column: ColumnElement[Any]) -> bool:
    """Tell whether there is a null beside NULL, as in JSON."""
    return isinstance(native_type(column), types.JSON)


def _same_version(
    table: VersionSpec, rows: FromClause, root: VersionSpec, root_rows: FromClause
) -> ColumnElement[bool]:
    """Match what the version in *root_rows* has in another table."""
    key = [root_rows.c[pair.version.key] for pair in root.key]
    same = rows.c[table.identifier.key] == root_rows.c[root.identifier.key]
    return and_(*of_key(table, rows, key), same)
