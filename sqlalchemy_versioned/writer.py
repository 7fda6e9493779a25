"""From changes to statements: a fixed number for each version table, whatever the rows.

A :class:`TableWriter` knows one table on one database.  Images are taken by the database itself
(``INSERT … SELECT`` from the parent table), so that a version is exactly what was stored.  Which
rows, and what happened to them, is decided in :mod:`.unit_of_work`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import Dialect

from . import _sqlalchemy
from ._sqlalchemy import KeyParameter, SameValue
from .operation import Operation
from .spec import VersionSpec

__all__ = ["Image", "TableWriter"]

#: A row's key: the value of its one key column, or a tuple of several.
Key = Any


@dataclass(slots=True)
class Image:
    """Rows of one table that a flush has touched, by what must be written of them."""

    #: Rows that get a new version, by operation.
    fresh: dict[Operation, list[Key]] = field(default_factory=dict)
    #: Rows of which this transaction has a version already, by what it must become.
    again: dict[Operation, list[Key]] = field(default_factory=dict)
    #: Values for columns that plugins have added: column key -> value -> rows.
    added: dict[str, dict[Any, list[Key]]] = field(default_factory=dict)
    #: Deleted rows that consist of nothing but their key.
    given: list[Key] = field(default_factory=list)

    def keys(self) -> list[Key]:
        """Return the keys of all rows."""
        return [key for part in (self.fresh, self.again) for keys in part.values() for key in keys]


class _Shape(NamedTuple):
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


class TableWriter:
    """Writes the versions of one table.

    :param related: the other tables that share objects with it, under joined inheritance: a
        change in any of them makes a version in all.
    """

    def __init__(
        self, spec: VersionSpec, related: Sequence[VersionSpec], dialect: Dialect
    ) -> None:
        self.spec = spec
        self.related = tuple(related)
        self.keys = KeyParameter([pair.parent for pair in spec.key], dialect)
        self.can_replace = spec.key_is_primary and _sqlalchemy.has_upsert(dialect)
        self._dialect = dialect
        self._statements: dict[Any, Executable] = {}

    # -- what can be written -----------------------------------------------------------------

    def insert_new(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Write INSERT versions of rows without history; tell whether that was all of them."""
        shape = _Shape(Operation.INSERT, "unopened", replaces=False, locks=False)
        return self._run(connection, shape, keys, {"tx": tx}) == len(keys)

    def write(self, connection: Connection, image: Image, tx: int, *, locks: bool) -> int:
        """Write the versions of *image* and return how many rows were written.

        :param locks: lock the rows until the transaction ends, for those about to be deleted.
        """
        keys = image.keys()
        if not keys and not image.given:
            return 0
        if image.again and not self.can_replace:
            self.erase(connection, [k for ks in image.again.values() for k in ks], tx)
        if not keys:
            return self._write_given(connection, image.given, tx)
        rows = 0
        shape, lists = self._shape(image, locks=locks)
        if image.given and self.keys.style({"keys": keys, "given": image.given}) == "list":
            rows = self._write_given(connection, image.given, tx)
        elif image.given:
            shape, lists = shape._replace(gives=True), {**lists, "given": image.given}
        if image.added:
            return rows + self._write_added(connection, shape, image, {"tx": tx}, lists)
        return rows + self._run(connection, shape, keys, {"tx": tx}, lists)

    def _write_given(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Write DELETE versions of rows that are their keys."""
        if self.keys.style({"keys": keys}) != "list":
            return self._run(connection, "given", keys, {"tx": tx})
        spec = self.spec
        names = [pair.version.key for pair in spec.key]
        fixed = {
            spec.transaction_column.key: tx,
            spec.operation_column.key: int(Operation.DELETE),
        }
        values = [{**dict(zip(names, key, strict=True)), **fixed} for key in keys]
        connection.execute(spec.version_table.insert(), values)
        return len(keys)

    def depart(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Write DELETE versions of rows that are no longer found under their key."""
        return self._run(connection, "depart", keys, {"tx": tx})

    def mark_deleted(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Turn this transaction's versions into DELETE versions, as they are."""
        return self._run(connection, "mark_deleted", keys, {"tx": tx})

    def close(self, connection: Connection, keys: list[Key], tx: int, *, everyone: bool) -> int:
        """End the versions before those of this transaction; return how many were open.

        :param everyone: whether every row of *keys* has a version of this transaction.
        """
        if self.spec.end_column is None:
            return 0
        return self._run(connection, "close" if everyone else "close_recorded", keys, {"tx": tx})

    def erase(self, connection: Connection, keys: list[Key], tx: int) -> None:
        """Remove this transaction's versions of some rows."""
        self._run(connection, "erase", keys, {"tx": tx})

    def reopen(self, connection: Connection, keys: list[Key], tx: int) -> None:
        """Undo :meth:`close`."""
        if self.spec.end_column is not None:
            self._run(connection, "reopen", keys, {"tx": tx})

    def move(self, connection: Connection, tx: int, new: int) -> None:
        """Give all versions of this transaction another transaction id."""
        if self.spec.end_column is not None:
            connection.execute(self._statement("move_ends"), {"tx": tx, "new": new})
        connection.execute(self._statement("move"), {"tx": tx, "new": new})

    # -- what can be asked -------------------------------------------------------------------

    def recorded(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows have a version of this transaction."""
        return self._ask(connection, "recorded", keys, tx)

    def undone(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows are as they were before this transaction."""
        return self._ask(connection, "undone", keys, tx)

    def is_overtaken(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row has a version of a later transaction."""
        return bool(self._ask(connection, "overtaken", keys, tx))

    # -- running -----------------------------------------------------------------------------

    def _run(
        self,
        connection: Connection,
        what: Any,
        keys: list[Key],
        values: Mapping[str, Any],
        lists: Mapping[str, list[Key]] | None = None,
    ) -> int:
        """Run a statement for *keys*, in chunks where they must be; return the row count."""
        rows = 0
        for chunk in self.keys.chunks(keys, lists or {}):
            style = self.keys.style(chunk)
            statement = self._statement(what, style)
            parameters = {**values, **self.keys.parameters(chunk, style)}
            rows += connection.execute(statement, parameters).rowcount
        return rows

    def _ask(self, connection: Connection, what: str, keys: list[Key], tx: int) -> list[Key]:
        found: list[Key] = []
        for chunk in self.keys.chunks(keys, {}):
            style = self.keys.style(chunk)
            parameters = {"tx": tx, **self.keys.parameters(chunk, style)}
            rows = connection.execute(self._statement(what, style), parameters)
            found.extend(row[0] if len(row) == 1 else tuple(row) for row in rows)
        return found

    def _statement(self, what: Any, style: str = "") -> Any:
        key = (what, style)
        statement = self._statements.get(key)
        if statement is None:
            self.keys.use(style)
            build = getattr(self, f"_build_{what}") if isinstance(what, str) else None
            statement = build() if build else self._build_image(what)
            self._statements[key] = statement
        return statement

    def _shape(self, image: Image, *, locks: bool) -> tuple[_Shape, dict[str, list[Key]]]:
        """Return the statement that *image* needs, and the lists of keys that it takes."""
        operations: dict[Operation, list[Key]] = {}
        for part in (image.fresh, image.again):
            for operation, keys in part.items():
                operations.setdefault(operation, []).extend(keys)
        checked = image.fresh.get(Operation.UPDATE, [])
        lists: dict[str, list[Key]] = {}
        one = next(iter(operations)) if len(operations) == 1 else None
        if one is None:
            lists["inserts"] = operations.get(Operation.INSERT, [])
            lists["deletes"] = operations.get(Operation.DELETE, [])
        condition = ""
        if checked:
            everything = one is Operation.UPDATE and not image.again
            condition = "changed" if everything else "listed"
            if not everything:
                lists["checked"] = checked
        replaces = bool(image.again) and self.can_replace
        return _Shape(one, condition, replaces, locks), lists

    def _write_added(
        self,
        connection: Connection,
        shape: _Shape,
        image: Image,
        values: Mapping[str, Any],
        lists: dict[str, list[Key]],
    ) -> int:
        """Write an image whose rows differ in added columns: still one statement."""
        groups = {
            f"added_{number}": (name, value, keys)
            for number, (name, value, keys) in enumerate(_groups(image.added))
        }
        lists = lists | {name: keys for name, (_, _, keys) in groups.items()}
        rows = 0
        for chunk in self.keys.chunks(image.keys(), lists):
            style = self.keys.style(chunk)
            self.keys.use(style)
            statement = self._build_image(shape, added=groups)
            rows += connection.execute(
                statement, {**values, **self.keys.parameters(chunk, style)}
            ).rowcount
        return rows

    # -- statements --------------------------------------------------------------------------

    def _build_image(
        self, shape: _Shape, added: Mapping[str, tuple[str, Any, list[Key]]] | None = None
    ) -> Executable:
        spec, parent = self.spec, self.spec.parent_table
        operation = self._operation(shape)
        extra = self._added_values(added or {})
        names = [*self._names(), *extra]
        source = select(
            *[pair.parent for pair in spec.pairs],
            _bound_tx(spec).label(spec.transaction_column.name),
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
        return _sqlalchemy.build_upsert(
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
            _bound_tx(self.spec).label("tx_"),
            literal_column(str(int(Operation.DELETE))).label("op_"),
            *[_default_of(column).label(column.name) for column in extra],
            # SQLite takes the ON of an ON CONFLICT that follows for that of a join otherwise.
        ).where(literal_column("1") == literal_column("1"))

    def _build_given(self) -> Executable:
        spec, extra = self.spec, self.spec.added
        names = [*self._names(), *extra]
        return _insert_from(spec, names, self._given_rows("keys", extra))

    def _operation(self, shape: _Shape) -> ColumnElement[Any]:
        if shape.operation is not None:
            return literal_column(str(int(shape.operation)))
        return case(
            (self._in("inserts"), literal_column(str(int(Operation.INSERT)))),
            (self._in("deletes"), literal_column(str(int(Operation.DELETE)))),
            else_=literal_column(str(int(Operation.UPDATE))),
        )

    def _added_values(
        self, groups: Mapping[str, tuple[str, Any, list[Key]]]
    ) -> dict[Column[Any], ColumnElement[Any]]:
        values: dict[Column[Any], ColumnElement[Any]] = {}
        for column in self.spec.added:
            whens = [
                (self._in(name), bindparam(None, value, type_=column.type))
                for name, (key, value, _) in groups.items()
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
        return exists().where(_same_key(spec, other), _is_open(spec, other))

    def _changed(self) -> ColumnElement[bool]:
        changes = [not_(_same_image_exists(self.spec, self.spec.parent_table))]
        for spec in self.related:
            source = spec.parent_table
            joined = [
                theirs.parent == ours.parent
                for theirs, ours in zip(spec.key, self.spec.key, strict=True)
            ]
            changes.append(
                exists()
                .select_from(source)
                .where(*joined, not_(_same_image_exists(spec, source)))
                .correlate(self.spec.parent_table)
            )
        return or_(*changes)

    def _build_depart(self) -> Executable:
        spec = self.spec
        before = spec.version_table.alias("before")
        added = {column: _default_of(column) for column in spec.added}
        names = [*self._names(), *added]
        source = select(
            *[before.c[pair.version.key] for pair in spec.pairs],
            _bound_tx(spec).label("tx_"),
            literal_column(str(int(Operation.DELETE))).label("op_"),
            *[value.label(column.name) for column, value in added.items()],
        ).where(
            self.keys.member([before.c[pair.version.key] for pair in spec.key], "keys"),
            _is_open(spec, before),
            before.c[spec.operation_column.key] != Operation.DELETE,
        )
        return _insert_from(spec, names, source)

    def _own(self) -> list[ColumnElement[bool]]:
        return [self.spec.transaction_column == _bound_tx(self.spec), self._in_versions()]

    def _build_mark_deleted(self) -> Executable:
        values = {self.spec.operation_column: int(Operation.DELETE)}
        return update(self.spec.version_table).where(*self._own()).values(values)

    def _build_erase(self) -> Executable:
        return delete(self.spec.version_table).where(*self._own())

    def _build_close(self) -> Executable:
        spec = self.spec
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(
                self._in_versions(),
                spec.end_column.is_(None),
                spec.transaction_column < _bound_tx(spec),
            )
            .values({spec.end_column: _bound_tx(spec)})
        )

    def _build_close_recorded(self) -> Executable:
        own = self.spec.version_table.alias("own")
        closing: Any = self._build_close()
        return closing.where(
            *[own.c[pair.version.key] == pair.version for pair in self.spec.key],
            own.c[self.spec.transaction_column.key] == _bound_tx(self.spec),
        )

    def _build_reopen(self) -> Executable:
        spec = self.spec
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(
                self._in_versions(),
                spec.end_column == _bound_tx(spec),
                spec.transaction_column < _bound_tx(spec),
            )
            .values({spec.end_column: null()})
        )

    def _build_move(self) -> Executable:
        column = self.spec.transaction_column
        new = bindparam("new", type_=column.type)
        return update(self.spec.version_table).where(column == _bound_tx(self.spec)).values(
            {column: new}
        )

    def _build_move_ends(self) -> Executable:
        spec, own = self.spec, self.spec.version_table.alias("own")
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(
                *[own.c[pair.version.key] == pair.version for pair in spec.key],
                own.c[spec.transaction_column.key] == _bound_tx(spec),
                spec.end_column == _bound_tx(spec),
            )
            .values({spec.end_column: bindparam("new", type_=spec.end_column.type)})
        )

    def _build_recorded(self) -> Executable:
        return select(*[pair.version for pair in self.spec.key]).where(*self._own())

    def _build_overtaken(self) -> Executable:
        spec = self.spec
        later = spec.transaction_column > _bound_tx(spec)
        return select(*[pair.version for pair in spec.key]).where(self._in_versions(), later).limit(1)

    def _build_undone(self) -> Executable:
        spec = self.spec
        own = spec.version_table.alias("own")
        return select(*[own.c[pair.version.key] for pair in spec.key]).where(
            self.keys.member([own.c[pair.version.key] for pair in spec.key], "keys"),
            own.c[spec.transaction_column.key] == _bound_tx(spec),
            own.c[spec.operation_column.key] == Operation.UPDATE,
            _restores_previous(spec, own),
            *[not_(_differs_elsewhere(other, spec, own)) for other in self.related],
        )


# -- conditions ------------------------------------------------------------------------------


def _groups(added: Mapping[str, Mapping[Any, list[Key]]]) -> Iterator[tuple[str, Any, list[Key]]]:
    for name, by_value in added.items():
        for value, keys in by_value.items():
            yield name, value, keys


def _bound_tx(spec: VersionSpec) -> ColumnElement[Any]:
    return bindparam("tx", type_=spec.transaction_column.type)


def _insert_from(spec: VersionSpec, names: Sequence[Column[Any]], source: Any) -> Executable:
    return spec.version_table.insert().from_select(names, source, include_defaults=False)


def _default_of(column: Column[Any]) -> ColumnElement[Any]:
    default = column.default
    if default is not None and default.is_scalar:
        return bindparam(None, default.arg, type_=column.type)  # type: ignore[attr-defined]
    return null()


def _same_key(spec: VersionSpec, rows: FromClause) -> ColumnElement[bool]:
    return and_(*[rows.c[pair.version.key] == pair.parent for pair in spec.key])


def _is_open(
    spec: VersionSpec, rows: FromClause
) -> ColumnElement[bool]:
    """Match the newest row of another transaction than this one."""
    transaction = rows.c[spec.transaction_column.key]
    if spec.end_column is not None:
        return and_(transaction != _bound_tx(spec), rows.c[spec.end_column.key].is_(None))
    other = spec.version_table.alias()
    newest = (
        select(func.max(other.c[spec.transaction_column.key]))
        .where(
            *[other.c[pair.version.key] == rows.c[pair.version.key] for pair in spec.key],
            other.c[spec.transaction_column.key] != _bound_tx(spec),
        )
        .correlate_except(other)
        .scalar_subquery()
    )
    return transaction == newest


def _compared(spec: VersionSpec) -> list[Any]:
    keys = {pair.parent for pair in spec.key}
    return [p for p in spec.pairs if p.parent not in keys and p.parent not in spec.ignored]


def _same_image_exists(spec: VersionSpec, source: FromClause) -> ColumnElement[bool]:
    """Match rows of the parent table whose newest version is just like them."""
    rows = spec.version_table.alias()
    return (
        exists()
        .select_from(rows)
        .where(
            _same_key(spec, rows),
            _is_open(spec, rows),
            rows.c[spec.operation_column.key] != Operation.DELETE,
            *[SameValue(rows.c[p.version.key], p.parent) for p in _compared(spec)],
        )
        .correlate(source)
    )


def _restores_previous(spec: VersionSpec, own: FromClause) -> ColumnElement[bool]:
    """Match own versions that are just like the version before."""
    before = spec.version_table.alias()
    transaction = before.c[spec.transaction_column.key]
    if spec.end_column is not None:
        is_previous = before.c[spec.end_column.key] == _bound_tx(spec)
    else:
        is_previous = _is_open(spec, before)
    return (
        exists()
        .select_from(before)
        .where(
            *[before.c[p.version.key] == own.c[p.version.key] for p in spec.key],
            transaction < _bound_tx(spec),
            is_previous,
            before.c[spec.operation_column.key] != Operation.DELETE,
            *[
                SameValue(before.c[p.version.key], own.c[p.version.key])
                for p in _compared(spec)
            ],
        )
        .correlate(own)
    )


def _differs_elsewhere(
    other: VersionSpec, spec: VersionSpec, own: FromClause
) -> ColumnElement[bool]:
    """Match own versions whose object differs from what it was in another table."""
    theirs = other.version_table.alias()
    return (
        exists()
        .select_from(theirs)
        .where(
            *[
                theirs.c[there.version.key] == own.c[here.version.key]
                for there, here in zip(other.key, spec.key, strict=True)
            ],
            theirs.c[other.transaction_column.key] == _bound_tx(other),
            not_(_restores_previous(other, theirs)),
        )
        .correlate(own)
    )
