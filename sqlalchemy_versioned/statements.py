"""The statements that write and compare the versions of one table.

Statements are values: a :class:`StatementBuilder` knows a spec and how sets of keys are given,
and never sees a connection.  Parameters are ``versioned_tx`` (and ``versioned_new``), and the sets
of keys by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Select,
    bindparam,
    case,
    delete,
    exists,
    literal_column,
    not_,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Dialect

from .dialects import build_upsert
from .keys import KeySets, Style
from .operation import Operation
from .query.rows import (
    bound_tx,
    differs_elsewhere,
    newest_before,
    newest_other,
    restores_previous,
    same_image_exists,
    same_key,
)
from .spec import VersionSpec

__all__ = ["Added", "Shape", "StatementBuilder"]

#: For columns that plugins have added: name of a set of keys -> (column key, value).
Added = Mapping[str, tuple[str, Any]]


class Shape(NamedTuple):
    """What distinguishes the statements that take images."""

    #: The one operation, or ``None`` for several.
    operation: Operation | None
    #: Which rows are filtered: ``""`` none, ``"changed"``, ``"listed"`` (the changed of some),
    #: ``"unopened"`` (those that no open version is in the way of).
    condition: str
    replaces: bool
    locks: bool
    #: Whether rows that are nothing but their key come along.
    gives: bool = False


class StatementBuilder:
    """Builds statements for one table, with sets of keys given in one style.

    :param related: the other tables that share objects with it, under joined inheritance.
    """

    def __init__(
        self, spec: VersionSpec, related: Sequence[VersionSpec], dialect: Dialect, style: Style
    ) -> None:
        self.spec = spec
        self.related = tuple(related)
        self.style = style
        self.keys = KeySets([pair.parent for pair in spec.key], style)
        self._dialect = dialect

    def image(self, shape: Shape, added: Added | None = None) -> Executable:
        """Take images of rows of the parent table, in the given shape."""
        spec, parent = self.spec, self.spec.parent_table
        operation = self._operation(shape)
        extra = self._added_values(added or {})
        names = [*self._names(), *extra]
        source: Any = select(
            *[pair.parent for pair in spec.pairs],
            bound_tx(spec).label(spec.transaction_column.name),
            operation.label(spec.operation_column.name),
            *extra.values(),
        ).where(self._in("keys"))
        if shape.condition == "unopened":
            source = source.where(not_(self._open_exists()))
        elif shape.condition == "changed":
            source = source.where(self._changed())
        elif shape.condition == "listed":
            source = source.where(or_(not_(self._in("checked")), self._changed()))
        if not spec.parent_table.primary_key.columns:
            source = source.distinct()
        if shape.locks and parent.primary_key.columns:
            source = source.with_for_update(of=parent)
        if shape.gives:
            source = source.union_all(self._given_rows("given", extra))
        if not shape.replaces:
            return _insert_from(spec, names, source)
        keep = [c for c in names if not c.primary_key]
        return build_upsert(
            self._dialect, spec.version_table, names=names, source=source, replaced=keep
        )

    def _names(self) -> list[Column[Any]]:
        spec = self.spec
        kept = [pair.version for pair in spec.pairs]
        return [*kept, spec.transaction_column, spec.operation_column]

    def _given_rows(self, name: str, extra: Iterable[Column[Any]]) -> Any:
        """Select the keys of a list as DELETE versions."""
        values = self.keys.rows(name)
        places = {pair.parent: place for place, pair in enumerate(self.spec.key)}
        return select(
            *[values[places[pair.parent]] for pair in self.spec.pairs],
            bound_tx(self.spec).label("tx_"),
            _literal(Operation.DELETE).label("op_"),
            *[_default_of(column).label(column.name) for column in extra],
            # SQLite takes the ON of an ON CONFLICT that follows for that of a join otherwise.
        ).where(literal_column("1") == literal_column("1"))

    def given(self) -> Executable:
        """Write DELETE versions of rows that are their keys."""
        spec, extra = self.spec, self.spec.added
        names = [*self._names(), *extra]
        return _insert_from(spec, names, self._given_rows("keys", extra))

    def _operation(self, shape: Shape) -> ColumnElement[Any]:
        if shape.operation is not None:
            return _literal(shape.operation)
        return case(
            (self._in("inserts"), _literal(Operation.INSERT)),
            (self._in("deletes"), _literal(Operation.DELETE)),
            else_=_literal(Operation.UPDATE),
        )

    def _added_values(self, groups: Added) -> dict[Column[Any], ColumnElement[Any]]:
        values: dict[Column[Any], ColumnElement[Any]] = {}
        for column in self.spec.added:
            whens = [
                (self._in(name), bindparam(None, value, type_=column.type))
                for name, (key, value) in groups.items()
                if key == column.key
            ]
            default = _default_of(column)
            values[column] = (case(*whens, else_=default) if whens else default).label(column.name)
        return values

    def _in(self, name: str) -> ColumnElement[bool]:
        return self.keys.member([pair.parent for pair in self.spec.key], name)

    def _in_versions(self) -> ColumnElement[bool]:
        return self.keys.member([pair.version for pair in self.spec.key], "keys")

    def _open_exists(self) -> ColumnElement[bool]:
        spec, other = self.spec, self.spec.version_table.alias("open")
        others = other.c[spec.transaction_column.key] != bound_tx(spec)
        return exists().where(same_key(spec, other), others)

    def _changed(self) -> ColumnElement[bool]:
        changes = [not_(same_image_exists(self.spec, self.spec.parent_table))]
        for spec in self.related:
            source = spec.parent_table
            joined = [
                theirs.parent == ours.parent
                for theirs, ours in zip(spec.key, self.spec.key, strict=True)
            ]
            changes.append(
                exists()
                .select_from(source)
                .where(*joined, not_(same_image_exists(spec, source)))
                .correlate(self.spec.parent_table)
            )
        return or_(*changes)

    def depart(self) -> Executable:
        """Write DELETE versions of rows that are no longer found under their key."""
        spec = self.spec
        before = spec.version_table.alias("before")
        added = {column: _default_of(column) for column in spec.added}
        names = [*self._names(), *added]
        source = select(
            *[before.c[pair.version.key] for pair in spec.pairs],
            bound_tx(spec).label("tx_"),
            _literal(Operation.DELETE).label("op_"),
            *[value.label(column.name) for column, value in added.items()],
        ).where(
            self.keys.member([before.c[pair.version.key] for pair in spec.key], "keys"),
            before.c[spec.transaction_column.key]
            == newest_other(spec, [before.c[p.version.key] for p in spec.key], before),
            before.c[spec.operation_column.key] != Operation.DELETE,
        )
        return _insert_from(spec, names, source)

    def _own(self) -> list[ColumnElement[bool]]:
        return [self.spec.transaction_column == bound_tx(self.spec), self._in_versions()]

    def mark_deleted(self) -> Executable:
        """Turn this transaction's versions into DELETE versions."""
        values = {self.spec.operation_column: int(Operation.DELETE)}
        return update(self.spec.version_table).where(*self._own()).values(values)

    def erase(self) -> Executable:
        """Remove this transaction's versions."""
        return delete(self.spec.version_table).where(*self._own())

    def close(self) -> Executable:
        """End the versions before those of this transaction, which every row has."""
        if self.style is Style.ONE:
            return self._close_one()
        touched = select(
            *[
                key.label(pair.version.name)
                for key, pair in zip(self.keys.rows("keys"), self.spec.key, strict=True)
            ]
        ).subquery("touched")
        keys = list(touched.c)
        return self._close_before(select(*keys, newest_before(self.spec, keys, touched)))

    def _close_one(self) -> Executable:
        spec = self.spec
        newest = newest_before(spec, self.keys.values("keys"), spec.version_table)
        return self._end(self._in_versions(), spec.transaction_column == newest)

    def close_recorded(self) -> Executable:
        """End the versions before those of this transaction, where there are such."""
        own = self.spec.version_table.alias("own")
        keys = [own.c[pair.version.key] for pair in self.spec.key]
        recorded = select(*keys, newest_before(self.spec, keys, own)).where(
            own.c[self.spec.transaction_column.key] == bound_tx(self.spec),
            self.keys.member(keys, "keys"),
        )
        return self._close_before(recorded)

    def _close_before(self, before: Any) -> Executable:
        """End the versions that *before* tells by key and transaction."""
        spec = self.spec
        *keys, transaction = before.subquery("before").c
        same = [p.version == key for p, key in zip(spec.key, keys, strict=True)]
        return self._end(*same, spec.transaction_column == transaction)

    def _end(self, *criteria: ColumnElement[bool]) -> Executable:
        """End the open versions that match *criteria* at this transaction."""
        spec = self.spec
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(*criteria, spec.end_column.is_(None))
            .values({spec.end_column: bound_tx(spec)})
        )

    def reopen(self) -> Executable:
        """Undo :meth:`close`."""
        spec = self.spec
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(
                self._in_versions(),
                spec.end_column == bound_tx(spec),
                spec.transaction_column < bound_tx(spec),
            )
            .values({spec.end_column: null()})
        )

    def move(self) -> Executable:
        """Give this transaction's versions another id."""
        column = self.spec.transaction_column
        new = bindparam("versioned_new", type_=column.type)
        return (
            update(self.spec.version_table)
            .where(column == bound_tx(self.spec))
            .values({column: new})
        )

    def move_ends(self) -> Executable:
        """Let the versions before end at another id."""
        spec, own = self.spec, self.spec.version_table.alias("own")
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(
                *[own.c[pair.version.key] == pair.version for pair in spec.key],
                own.c[spec.transaction_column.key] == bound_tx(spec),
                spec.end_column == bound_tx(spec),
            )
            .values({spec.end_column: bindparam("versioned_new", type_=spec.end_column.type)})
        )

    def recorded(self) -> Executable:
        """Select the keys of which this transaction has versions."""
        return select(*[pair.version for pair in self.spec.key]).where(*self._own())

    def overtaken(self) -> Executable:
        """Select a key of which a later transaction has a version."""
        spec = self.spec
        later = spec.transaction_column > bound_tx(spec)
        key = select(*[pair.version for pair in spec.key])
        return self._now(key.where(self._in_versions(), later).limit(1))

    def earlier(self) -> Executable:
        """Select a key of which an earlier transaction has a version."""
        spec = self.spec
        before = spec.transaction_column < bound_tx(spec)
        keys = select(*[pair.version for pair in spec.key])
        return keys.where(self._in_versions(), before).limit(1)

    def _now(self, statement: Select[Any]) -> Select[Any]:
        """Let a statement see what others have committed since this transaction began."""
        # Elsewhere, a row that was changed since then cannot be written by a transaction that
        # does not see the change.
        if self._dialect.name in ("mysql", "mariadb"):
            return statement.with_for_update(read=True)
        return statement

    def undone(self) -> Executable:
        """Select the keys of rows that are as they were before this transaction."""
        spec = self.spec
        own = spec.version_table.alias("own")
        return select(*[own.c[pair.version.key] for pair in spec.key]).where(
            self.keys.member([own.c[pair.version.key] for pair in spec.key], "keys"),
            own.c[spec.transaction_column.key] == bound_tx(spec),
            own.c[spec.operation_column.key] == Operation.UPDATE,
            restores_previous(spec, own),
            *[not_(differs_elsewhere(other, spec, own)) for other in self.related],
        )


def _insert_from(spec: VersionSpec, names: Sequence[Column[Any]], source: Any) -> Executable:
    return spec.version_table.insert().from_select(names, source, include_defaults=False)


def _literal(operation: Operation) -> ColumnElement[int]:
    number: ColumnElement[int] = literal_column(str(int(operation)))
    return number


def _default_of(column: Column[Any]) -> ColumnElement[Any]:
    default = column.default
    if default is not None and default.is_scalar:
        return bindparam(None, default.arg, type_=column.type)  # type: ignore[attr-defined]
    return null()
