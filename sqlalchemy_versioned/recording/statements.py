"""The statements that write and compare the versions of one table.

Statements are values: a :class:`StatementBuilder` knows a spec and how sets of keys are given,
and never sees a connection.  Parameters are ``tx`` (and ``new``, where it is given another id), and
the sets of keys by name, all behind the prefix of the spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    FromClause,
    Insert,
    Select,
    String,
    Table,
    Update,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy import Sequence as Numbers
from sqlalchemy.engine import Dialect

from ..database.dialects import (
    StampedUuid,
    build_insert_of_missing,
    build_upsert,
    repeats_subqueries,
    writes_past_snapshots,
)
from ..database.keys import KeyConditions, Style
from ..model.operation import Operation
from ..model.spec import VersionSpec
from ..query.newest import comes_after, index_hint, newest_version, place_in, through_key
from ..query.rows import (
    as_stored,
    compared_columns,
    differs_elsewhere,
    holds_values,
    newest_before,
    newest_other,
    restores_previous,
    same_image_exists,
    same_key,
)

__all__ = ["OURS", "Insertion", "Shape", "StatementBuilder", "is_ours"]

#: Execution options of statements by which the library writes version tables.
OURS = {"sqlalchemy_versioned_ours": True}


def is_ours(options: Mapping[str, Any]) -> bool:
    """Tell by its execution options whether a statement is one of the library."""
    return OURS.keys() <= options.keys()


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
    #: The values given of added columns: the key of the column, and which rows have the value,
    #: as the name of a set of keys, or ``None`` for all.
    added: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Insertion:
    """A row of a table that is about to be written, numbered by the database.

    :param values: what is known of it, defaults included, by the key of the column.
    """

    table: Table
    values: Mapping[str, Any]

    def statement(self, prefix: str) -> Insert:
        """Insert the row, with named parameters."""
        columns = self.table.c
        named: dict[Any, Any] = {
            columns[key]: bindparam(f"{prefix}begun_{key}", type_=columns[key].type)
            for key in self.values
        }
        (number,) = self.table.primary_key
        if isinstance(number.default, Numbers):
            named[number] = number.default.next_value()
        return insert(self.table).values(named)

    def parameters(self, prefix: str) -> dict[str, Any]:
        """Return the parameters that :meth:`statement` needs."""
        return {f"{prefix}begun_{key}": value for key, value in self.values.items()}


class StatementBuilder:
    """Builds statements for one table, with sets of keys given in one style.

    :param related: the other tables that share objects with it, under joined inheritance.
    :param keys_may_vary: whether the database may take two keys for one that differ.
    :param tx: the transaction that is being written, if not a parameter.
    """

    def __init__(
        self,
        spec: VersionSpec,
        related: Sequence[VersionSpec],
        dialect: Dialect,
        style: Style,
        *,
        keys_may_vary: bool = False,
        tx: ColumnElement[int] | None = None,
    ) -> None:
        self.spec = spec
        self.related = tuple(related)
        self.style = style
        self.keys = KeyConditions([pair.parent for pair in spec.key], style, spec.prefix)
        #: The transaction that is being written.
        named = bindparam(f"{spec.prefix}tx", type_=spec.transaction_column.type)
        self.tx: ColumnElement[int] = named if tx is None else tx
        self._dialect = dialect
        self._keys_may_vary = keys_may_vary

    def image(self, shape: Shape, *criteria: ColumnElement[bool]) -> Executable:
        """Take images of rows of the parent table, in the given shape.

        :param criteria: what must hold beside what the shape says.
        """
        spec, parent = self.spec, self.spec.parent_table
        operation = self._operation(shape)
        extra = self._added_values(shape.added)
        names = [*self._names(), *extra]
        source: Any = select(
            *[pair.parent for pair in spec.pairs],
            self.tx.label(spec.transaction_column.name),
            operation.label(spec.operation_column.name),
            *self._numbers([as_stored(pair.parent) for pair in spec.key]),
            *self._said(),
            *extra.values(),
        ).where(self._in("keys"), *criteria)
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
        # The key of a version is that of its row, to the letter.
        keys = [pair.version for pair in spec.key] if self._keys_may_vary else []
        replaced = [c for c in names if not c.primary_key] + keys
        return build_upsert(
            self._dialect, spec.version_table, names=names, source=source, replaced=replaced
        )

    def ends_first(self, shape: Shape) -> bool:
        """Tell whether :meth:`image_and_close` takes no image if it finds no version to end."""
        return shape.condition == "changed" and not self.related

    def image_and_close(self, shape: Shape) -> Insert | Update:
        """Take the image of one row and end the version before it; affects a row if it has."""
        if self.ends_first(shape):
            return self._image_of_ended(shape)
        taken: Any = self.image(shape)
        closing, name = self._close_one(sorts=True), f"{self.spec.prefix}image"
        if shape.operation is Operation.UPDATE and not shape.condition:
            # A row that was just changed is there.
            return closing.add_cte(taken.cte(name))
        image = taken.returning(self.spec.key[0].version).cte(name)
        return closing.where(exists().select_from(image))

    def _image_of_ended(self, shape: Shape) -> Insert:
        """End the version before one row if it differs, and take its image if that is so.

        That is planned in half the time of an image that looks for the difference itself.
        """
        spec = self.spec
        row = {pair.parent: pair.parent for pair in spec.pairs}
        differs = not_(holds_values(spec, spec.version_table, row))
        row_of_it = (self._in("keys"), same_key(spec, spec.version_table))
        ending = self._close_one(sorts=True).where(*row_of_it, differs)
        ended = ending.returning(spec.key[0].version).cte(f"{spec.prefix}ended")
        unconditional = shape._replace(condition="")
        taken: Any = self.image(unconditional, exists().select_from(ended))
        image: Insert = taken
        return image

    def begin_image_and_close(self, shape: Shape, transaction: Insertion) -> Executable:
        """Write a transaction, and what :meth:`image_and_close` does as of it.

        Selects the id of the transaction, and the key of the version that was ended, if any.

        :param transaction: its row.
        """
        spec = self.spec
        row = transaction.statement(spec.prefix)
        numbers = row.returning(*transaction.table.primary_key).cte(f"{spec.prefix}begun")
        tx = select(*numbers.c).scalar_subquery()
        following = StatementBuilder(
            spec,
            self.related,
            self._dialect,
            self.style,
            keys_may_vary=self._keys_may_vary,
            tx=tx,
        )
        closing = following.image_and_close(shape)
        closed = closing.returning(spec.key[0].version).cte(f"{spec.prefix}closed")
        return select(tx, select(*closed.c).scalar_subquery())

    def first_state(self) -> Executable:
        """Take images of rows that have no version, as of a transaction before all others."""
        spec, parent = self.spec, self.spec.parent_table
        versions = spec.version_table.alias()
        recorded = exists().where(same_key(spec, versions)).correlate(parent)
        source = select(
            *[pair.parent for pair in spec.pairs],
            self.tx.label(spec.transaction_column.name),
            spec.operation(Operation.INSERT).label(spec.operation_column.name),
            *self._numbers([as_stored(pair.parent) for pair in spec.key]),
            *[null().label(column.name) for column in spec.context_columns],
            *[_default_of(column).label(column.name) for column in spec.added],
        ).where(self._in("keys"), not_(recorded))
        if parent.primary_key.columns:
            # Others wait here, and not where they find the same version missing.
            source = source.with_for_update()
        names = [*self._names(), *spec.added]
        return build_insert_of_missing(self._dialect, spec.version_table, names, source)

    def lack_of_versions(self, limit: int) -> Executable:
        """Select how many rows there are, up to *limit*, and whether one of them has no version."""
        spec, parent = self.spec, self.spec.parent_table
        rows = select(*[pair.parent for pair in spec.key]).limit(limit).subquery()
        versions = spec.version_table.alias()
        same = [
            versions.c[pair.version.key] == as_stored(rows.c[pair.parent.key]) for pair in spec.key
        ]
        lacking = not_(exists().where(*same).correlate(rows))
        some = select(literal_column("1").label("one")).select_from(parent).limit(limit).subquery()
        return select(
            select(func.count()).select_from(some).scalar_subquery(),
            exists().select_from(rows).where(lacking),
        )

    def _names(self) -> list[Column[Any]]:
        spec = self.spec
        kept = [pair.version for pair in spec.pairs]
        number = () if spec.id_column is None or spec.is_numbered else (spec.id_column,)
        own = [spec.transaction_column, spec.operation_column, *number]
        return [*kept, *own, *spec.context_columns]

    def _said(self) -> list[ColumnElement[Any]]:
        """Return what the context says of the versions that are written."""
        return [
            bindparam(f"{self.spec.prefix}said_{column.key}", type_=column.type).label(column.name)
            for column in self.spec.context_columns
        ]

    def _numbers(self, key: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """Return the ids of versions of the row *key*, where they must be given.

        The tables of a subclass have the id that the base-most table has got just before.
        """
        spec = self.spec
        if spec.id_column is None or spec.is_numbered:
            return []
        if spec.base is not None:
            return [newest_version(spec.base, key).label("id_")]
        digits = bindparam(f"{spec.prefix}stamp", type_=String())
        return [StampedUuid(digits, spec.id_column.type).label("id_")]

    def _given_rows(self, name: str, extra: Iterable[Column[Any]]) -> Any:
        """Select the keys of a list as DELETE versions."""
        values = self.keys.rows(name)
        places = {pair.parent: place for place, pair in enumerate(self.spec.key)}
        return select(
            *[values[places[pair.parent]] for pair in self.spec.pairs],
            self.tx.label("tx_"),
            self.spec.operation(Operation.DELETE).label("op_"),
            *self._numbers(values),
            *self._said(),
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
            return self.spec.operation(shape.operation)
        stored = self.spec.operation
        return case(
            (self._in("inserts"), stored(Operation.INSERT)),
            (self._in("deletes"), stored(Operation.DELETE)),
            else_=stored(Operation.UPDATE),
        )

    def _added_values(
        self, given: Sequence[tuple[str, str | None]]
    ) -> dict[Column[Any], ColumnElement[Any]]:
        values: dict[Column[Any], ColumnElement[Any]] = {}
        for column in self.spec.added:
            value, whens = _default_of(column), []
            for place, (key, rows) in enumerate(given):
                if key == column.key:
                    named = bindparam(f"{self.spec.prefix}value_{place}", type_=column.type)
                    if rows is None:
                        value = named
                    else:
                        whens.append((self._in(rows), named))
            values[column] = (case(*whens, else_=value) if whens else value).label(column.name)
        return values

    def _in(self, name: str) -> ColumnElement[bool]:
        return self.keys.member([pair.parent for pair in self.spec.key], name)

    def _in_versions(self) -> ColumnElement[bool]:
        return self.keys.member([pair.version for pair in self.spec.key], "keys")

    def _open_exists(self) -> ColumnElement[bool]:
        spec, other = self.spec, self.spec.version_table.alias()
        others = other.c[spec.transaction_column.key] != self.tx
        return exists().where(same_key(spec, other), others)

    def _changed(self, *, locks: bool = False) -> ColumnElement[bool]:
        changes = [not_(same_image_exists(self.spec, self.spec.parent_table, self.tx, locks=locks))]
        for spec in self.related:
            source = spec.parent_table
            joined = [
                theirs.parent == ours.parent
                for theirs, ours in zip(spec.key, self.spec.key, strict=True)
            ]
            changes.append(
                exists()
                .select_from(source)
                .where(*joined, not_(same_image_exists(spec, source, self.tx, locks=locks)))
                .correlate(self.spec.parent_table)
            )
        return or_(*changes)

    def unchanged(self) -> Executable:
        """Select the keys of rows that are just like their newest version."""
        key = [pair.parent for pair in self.spec.key]
        return select(*key).where(self._in("keys"), not_(self._changed()))

    def certainly_unchanged(self) -> Executable:
        """Select the same, whatever a snapshot shows."""
        key = [pair.parent for pair in self.spec.key]
        found = select(*key).where(self._in("keys"), not_(self._changed(locks=self._must_lock)))
        return found.with_for_update(read=True) if self._must_lock else found

    def depart(self) -> Executable:
        """Write DELETE versions of rows that are no longer found under their key."""
        spec = self.spec
        before = spec.version_table.alias()
        key = [before.c[pair.version.key] for pair in spec.key]
        added = {column: _default_of(column) for column in spec.added}
        names = [*self._names(), *added]
        source = select(
            *[before.c[pair.version.key] for pair in spec.pairs],
            self.tx.label("tx_"),
            spec.operation(Operation.DELETE).label("op_"),
            *self._numbers(key),
            *self._said(),
            *[value.label(column.name) for column, value in added.items()],
        ).where(
            self.keys.member(key, "keys"),
            before.c[spec.identifier.key] == newest_other(spec, key, self.tx),
            before.c[spec.operation_column.key] != Operation.DELETE,
        )
        return _insert_from(spec, names, source)

    def _own(self) -> list[ColumnElement[bool]]:
        return [self.spec.transaction_column == self.tx, self._in_versions()]

    def mark_deleted(self) -> Executable:
        """Turn this transaction's versions into DELETE versions."""
        values: dict[Any, Any] = {self.spec.operation_column: Operation.DELETE}
        values |= {column: _default_of(column) for column in self.spec.stamps}
        marking = update(self.spec.version_table).where(*self._own()).values(values)
        return self._through_key(marking)

    def erase(self) -> Executable:
        """Remove this transaction's versions."""
        return delete(self.spec.version_table).where(*self._own())

    def show_ids(self) -> Executable:
        """Give rows of the parent table the ids of their newest versions, and nothing else."""
        spec, parent = self.spec, self.spec.parent_table
        newest = newest_version(spec, [as_stored(pair.parent) for pair in spec.key])
        # What would change by itself with an UPDATE stays.
        kept = [
            c for c in parent.columns if c.onupdate is not None or c.server_onupdate is not None
        ]
        values: dict[Any, Any] = {column: column for column in kept}
        return update(parent).where(self._in("keys")).values(values | {spec.live_id_column: newest})

    def erase_deletions(self) -> Executable:
        """Remove this transaction's versions that say that rows are gone, and are the last ones."""
        spec, later = self.spec, self.spec.version_table.alias()
        same = [later.c[pair.version.key] == pair.version for pair in spec.key]
        newer = comes_after(place_in(spec, later), spec.place)
        last = select(spec.identifier).where(
            *self._own(),
            spec.operation_column == Operation.DELETE,
            not_(exists().where(*same, newer).correlate(spec.version_table)),
        )
        # MySQL refuses to read the table that it deletes from, unless it must be read beforehand.
        return delete(spec.version_table).where(spec.identifier.in_(select(*last.subquery().c)))

    def close(self) -> Executable:
        """End the versions before those of this transaction, which every row has."""
        if self.style is Style.ONE:
            return self._close_one()
        rows = self.keys.rows("keys")
        labels = [row.label(f"key_{place}") for place, row in enumerate(rows)]
        touched = select(*labels).subquery(f"{self.spec.prefix}touched")
        return self._close_before(list(touched.c))

    def newest(self) -> Executable:
        """Select the keys with the last transaction before this one that has a version of them."""
        spec = self.spec
        key = [pair.version for pair in spec.key]
        newest = select(*key, func.max(spec.transaction_column)).group_by(*key)
        newest = newest.where(self._in_versions(), spec.transaction_column < self.tx)
        return through_key(spec, spec.version_table, newest)

    def close_found(self) -> Executable:
        """End versions that are known by key and transaction, if they are open."""
        columns = [*[pair.version for pair in self.spec.key], self.spec.transaction_column]
        versions = KeyConditions(columns, self.style, self.spec.prefix)
        return self._through_key(self._end(versions.member(columns, "keys")))

    def _through_key(self, statement: Update) -> Update:
        """Have a statement find versions by their key; see :func:`.through_key`."""
        hint = index_hint(self.spec)
        for dialect in ("mysql", "mariadb") if hint else ():
            statement = statement.with_hint(hint, dialect_name=dialect)
        return statement

    def _close_one(self, *, sorts: bool = False) -> Update:
        spec = self.spec
        newest = newest_before(spec, self.keys.values("keys"), self.tx, sorts=sorts)
        return self._end(self._in_versions(), spec.transaction_column == newest)

    def close_recorded(self) -> Executable:
        """End the versions before those of this transaction, where there are such."""
        own = self.spec.version_table.alias()
        keys = [own.c[pair.version.key] for pair in self.spec.key]
        transaction = own.c[self.spec.transaction_column.key]
        return self._close_before(
            keys, transaction == self.tx, self.keys.member(keys, "keys"), own=own
        )

    def close_changed(self) -> Executable:
        """End the versions before of those rows that are no longer as these say."""
        spec = self.spec
        columns = dict.fromkeys([*[pair.parent for pair in spec.key], *compared_columns(spec)])
        labels = [column.label(f"value_{place}") for place, column in enumerate(columns)]
        key = [as_stored(pair.parent) for pair in spec.key]
        newest = newest_before(spec, key, self.tx).label("newest")
        looked_up = select(*labels, newest).where(self._in("keys"))
        if repeats_subqueries(self._dialect):
            looked_up = looked_up.offset(literal_column("0"))
        found = looked_up.subquery(f"{spec.prefix}rows")
        *values, transaction = found.c
        rows = dict(zip(columns, values, strict=True))
        return self._end(
            *[pair.version == as_stored(rows[pair.parent]) for pair in spec.key],
            spec.transaction_column == transaction,
            not_(holds_values(spec, spec.version_table, rows)),
        )

    def _close_before(
        self,
        rows: Sequence[ColumnElement[Any]],
        *criteria: ColumnElement[bool],
        own: FromClause | None = None,
    ) -> Update:
        """End the versions before those of this transaction, of rows known by key.

        :param own: the alias of the version table that *rows* are columns of, if they are.
        """
        spec = self.spec
        labels = [key.label(f"key_{place}") for place, key in enumerate(rows)]
        newest = newest_before(spec, rows, self.tx).label("newest")
        found = select(*labels, newest).where(*criteria)
        if own is not None:
            found = through_key(spec, own, found)
        before = found.subquery(f"{spec.prefix}before")
        *keys, transaction = before.c
        same = [p.version == key for p, key in zip(spec.key, keys, strict=True)]
        return self._end(*same, spec.transaction_column == transaction)

    def _end(self, *criteria: ColumnElement[bool]) -> Update:
        """End the open versions that match *criteria* at this transaction."""
        spec = self.spec
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(*criteria, spec.end_column.is_(None))
            .values({spec.end_column: self.tx})
        )

    def reopen(self) -> Executable:
        """Undo :meth:`close`."""
        spec = self.spec
        assert spec.end_column is not None
        reopening = (
            update(spec.version_table)
            .where(
                self._in_versions(),
                spec.end_column == self.tx,
                spec.transaction_column < self.tx,
            )
            .values({spec.end_column: null()})
        )
        return self._through_key(reopening)

    @property
    def _new_tx(self) -> ColumnElement[int]:
        return bindparam(f"{self.spec.prefix}new", type_=self.spec.transaction_column.type)

    def move(self) -> Executable:
        """Give this transaction's versions another id."""
        column = self.spec.transaction_column
        return (
            update(self.spec.version_table).where(column == self.tx).values({column: self._new_tx})
        )

    def move_ends(self) -> Executable:
        """Let the versions before end at another id."""
        spec, own = self.spec, self.spec.version_table.alias()
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(
                *[own.c[pair.version.key] == pair.version for pair in spec.key],
                own.c[spec.transaction_column.key] == self.tx,
                spec.end_column == self.tx,
            )
            .values({spec.end_column: self._new_tx})
        )

    def recorded(self) -> Executable:
        """Select the keys of which this transaction has versions."""
        return select(*[pair.version for pair in self.spec.key]).where(*self._own())

    def taken(self) -> Executable:
        """Select the keys of the parent table that are in a set."""
        return select(*[pair.parent for pair in self.spec.key]).where(self._in("keys"))

    def stored_forms(self, keys: Sequence[Any], *, are_recorded: bool) -> Executable:
        """Select the number of each of *keys* and the form that the database has of it."""
        spec = self.spec
        columns = [pair.version if are_recorded else pair.parent for pair in spec.key]
        parts = []
        for number, key in enumerate(keys):
            values = key if len(columns) > 1 else (key,)
            same = [column == value for column, value in zip(columns, values, strict=True)]
            own = [spec.transaction_column == self.tx] if are_recorded else []
            parts.append(select(literal_column(str(number)), *columns).where(*same, *own))
        return union_all(*parts)

    def overtaken(self) -> Executable:
        """Select a key of which a later transaction has a version."""
        spec = self.spec
        later = spec.transaction_column > self.tx
        key = select(*[pair.version for pair in spec.key]).where(self._in_versions(), later)
        return self._now(through_key(spec, spec.version_table, key).limit(1))

    def earlier(self) -> Executable:
        """Select a key of which an earlier transaction has a version."""
        spec = self.spec
        before = spec.transaction_column < self.tx
        keys = select(*[pair.version for pair in spec.key])
        return keys.where(self._in_versions(), before).limit(1)

    def alive(self) -> Executable:
        """Select the keys whose newest version is no deletion."""
        spec, later = self.spec, self.spec.version_table.alias()
        same = [later.c[pair.version.key] == pair.version for pair in spec.key]
        newer = comes_after(place_in(spec, later), spec.place)
        return select(*[pair.version for pair in spec.key]).where(
            self._in_versions(),
            spec.operation_column != Operation.DELETE,
            not_(exists().where(*same, newer).correlate(spec.version_table)),
        )

    def _now(self, statement: Select[Any]) -> Select[Any]:
        """Let a statement see what others have committed since this transaction began."""
        return statement.with_for_update(read=True) if self._must_lock else statement

    @property
    def _must_lock(self) -> bool:
        return writes_past_snapshots(self._dialect)

    def undone(self) -> Executable:
        """Select the keys of rows that are as they were before this transaction."""
        return self._undone(locks=self._must_lock)

    def seemingly_undone(self) -> Executable:
        """Select the same, as far as a snapshot shows."""
        return self._undone(locks=False)

    def _undone(self, *, locks: bool) -> Executable:
        spec = self.spec
        own = spec.version_table.alias()
        return select(*[own.c[pair.version.key] for pair in spec.key]).where(
            self.keys.member([own.c[pair.version.key] for pair in spec.key], "keys"),
            own.c[spec.transaction_column.key] == self.tx,
            own.c[spec.operation_column.key] == Operation.UPDATE,
            restores_previous(spec, own, self.tx, locks=locks),
            *[
                not_(differs_elsewhere(other, spec, own, self.tx, locks=locks))
                for other in self.related
            ],
        )


def _insert_from(spec: VersionSpec, names: Sequence[Column[Any]], source: Any) -> Executable:
    return spec.version_table.insert().from_select(names, source, include_defaults=False)


def _default_of(column: Column[Any]) -> ColumnElement[Any]:
    default: Any = column.default
    if default is None:
        return null()
    if default.is_callable:
        return bindparam(None, callable_=lambda: default.arg(None), type_=column.type)
    if default.is_clause_element:
        expression: ColumnElement[Any] = default.arg
        return expression
    return bindparam(None, default.arg, type_=column.type)
