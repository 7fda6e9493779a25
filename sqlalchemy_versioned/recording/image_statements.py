"""Statements that make versions: images of rows, and what is told of rows that are gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    FromClause,
    Insert,
    String,
    Update,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
)

from .. import _sqlalchemy
from ..database.dialects import counts_rows, hides_changes
from ..database.expressions import StampedUuid
from ..database.upserts import build_insert_of_missing, build_insert_or_mark, build_upsert
from ..model.operation import Operation
from ..model.spec import VersionSpec
from ..query.beginnings import beginning_of
from ..query.newest import newest_version, of_key
from ..query.rows import as_stored, newest_before, newest_other, same_key
from .closing_statements import ClosingStatements
from .shapes import Shape
from .table_statements import default_of

__all__ = ["ImageStatements"]

#: Isolation levels of PostgreSQL under which each statement sees what is committed before it.
_LATEST = ("read committed", "read uncommitted")


class ImageStatements(ClosingStatements):
    """Builds statements that insert versions, some of which end the versions before as well."""

    def image(
        self, shape: Shape, *criteria: ColumnElement[bool], beside: FromClause | None = None
    ) -> Executable:
        """Take images of rows of the parent table, in the given shape.

        :param criteria: what must hold beside what the shape says.
        :param beside: taken once for each row of this.
        """
        spec = self.spec
        names, source = self._images(shape, *criteria, beside=beside)
        if not shape.replaces:
            return _insert_from(spec, names, source)
        # The key of a version is that of its row, to the letter.
        keys = [pair.version for pair in spec.key] if self._keys_may_vary else []
        replaced = [c for c in names if not c.primary_key] + keys
        return build_upsert(
            self._dialect, spec.version_table, names=names, source=source, replaced=replaced
        )

    def _images(
        self, shape: Shape, *criteria: ColumnElement[bool], beside: FromClause | None = None
    ) -> tuple[list[Column[Any]], Any]:
        """Return the columns that images are taken into, and what selects them."""
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
        if beside is not None:
            source = source.select_from(parent.join(beside, true()))
        if shape.condition == "unopened":
            source = source.where(not_(self._open_exists()))
        elif shape.condition == "changed":
            source = source.where(self._changed())
        elif shape.condition == "listed":
            source = source.where(or_(not_(self._in("checked")), self._changed()))
        if self._may_hide_changes and shape.operation is not Operation.INSERT:
            source = source.where(self._is_current())
        # Links without a key may stand there twice, and are one link.
        if not spec.parent_table.primary_key.columns:
            source = source.distinct()
        if shape.locks and parent.primary_key.columns:
            source = source.with_for_update(of=parent)
        if shape.gives:
            # They are gone from the table already; their keys are all there is to them.
            source = source.union_all(self._given_rows("given", extra))
        return names, source

    @property
    def _may_hide_changes(self) -> bool:
        """Whether a snapshot may hide what others have committed to a part of an object.

        Who changes another part of it would meet them at the version that both end, if they did.
        """
        spec = self.spec
        is_part = spec.base is not None and spec.end_column is None
        return is_part and hides_changes(self._dialect)

    def _is_current(self) -> ColumnElement[bool]:
        """Match rows, and fail at one that others have changed since a snapshot was taken."""
        level, parent = func.current_setting("transaction_isolation"), self.spec.parent_table
        locked = _sqlalchemy.short_alias(parent)
        same = [locked.c[pair.parent.key] == pair.parent for pair in self.spec.key]
        met = exists(select(1).where(*same).with_for_update(read=True).correlate(parent))
        return or_(level.in_(_LATEST), met)

    def image_with_end(self, shape: Shape) -> Executable:
        """Take the image of one row, and replace the version before it by the same with an end.

        Affects two rows, or one if there is no open version before, or none if no image is taken.
        For databases where a second statement costs more than a conflict does.
        """
        spec = self.spec
        assert spec.end_column is not None
        names, image = self._images(shape)
        before = spec.version_table.alias()
        taken = [self._changed()] if shape.condition == "changed" else []
        there = exists().select_from(spec.parent_table).where(self._in("keys"), *taken)
        values = self.keys.values("keys")
        ended = select(*[before.c[column.key] for column in names], self.tx.label("end_")).where(
            *of_key(spec, before, values),
            before.c[spec.transaction_column.key] == newest_before(spec, values, self.tx),
            before.c[spec.end_column.key].is_(None),
            there,
        )
        source = image.add_columns(null().label("end_")).union_all(ended)
        return build_insert_or_mark(
            spec.version_table,
            [*names, spec.end_column],
            source,
            mark=spec.end_column,
            required=spec.operation_column,
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
        if shape.operation is Operation.UPDATE and not shape.condition and self._is_noticed:
            # A row that was just changed is there.
            return closing.add_cte(taken.cte(name))
        image = taken.returning(self.spec.key[0].version).cte(name)
        return closing.where(exists().select_from(image))

    @property
    def _is_noticed(self) -> bool:
        """Whether SQLAlchemy notices that one row is gone that it was to change.

        An object may be the only one that has this table, and changed by the same statement as
        others in the table above.
        """
        return self.spec.base is None or counts_rows(self._dialect)

    def _image_of_ended(self, shape: Shape) -> Insert:
        """End the version before one row if it differs, and take its image if that is so.

        That is planned in half the time of an image that looks for the difference itself.
        """
        ending = self._close_one(sorts=True).where(*self._differs())
        ended = ending.returning(self.spec.key[0].version).cte(f"{self.spec.prefix}ended")
        unconditional = shape._replace(condition="")
        taken: Any = self.image(unconditional, exists().select_from(ended))
        image: Insert = taken
        return image

    def first_state(self) -> Executable:
        """Take images of rows that have no version, as of a transaction before all others.

        Where the base-most table tells of the object already, they are of all versions there since
        it came: an object begins, and is changed, in all of its tables at once.  Where that tells
        of another object only, nobody knows since when the row has been there.
        """
        spec, parent = self.spec, self.spec.parent_table
        rows, told, unless_another = self._told_by_base()
        source = (
            select(
                *[pair.parent for pair in spec.pairs],
                *[value.label(column.name) for column, value in told.items()],
                *[null().label(column.name) for column in spec.context_columns],
                *[default_of(column).label(column.name) for column in spec.added],
            )
            .select_from(rows)
            .where(self._in("keys"), self._is_first(), unless_another)
        )
        if parent.primary_key.columns:
            # Others wait here, and not where they find the same version missing.
            source = source.with_for_update(of=parent)
        kept = [pair.version for pair in spec.pairs]
        names = [*kept, *told, *spec.context_columns, *spec.added]
        return build_insert_of_missing(self._dialect, spec.version_table, names, source)

    def _told_by_base(
        self,
    ) -> tuple[FromClause, dict[Column[Any], ColumnElement[Any]], ColumnElement[bool]]:
        """Return where first versions are from, what their bookkeeping is, and for which rows."""
        spec, base, parent = self.spec, self.spec.base, self.spec.parent_table
        key = [as_stored(pair.parent) for pair in spec.key]
        inserted = spec.operation(Operation.INSERT)
        told = {spec.transaction_column: self.tx, spec.operation_column: inserted}
        if base is None:
            if spec.id_column is not None and not spec.is_numbered:
                (told[spec.id_column],) = self._numbers(key)
            return parent, told, true()
        versions, are_of_row, along = beginning_of(spec, base)
        told |= along
        number = told[spec.transaction_column]
        told[spec.transaction_column] = func.coalesce(number, self.tx)
        each = base.version_table.alias()
        told_of = exists().where(*of_key(base, each, key)).correlate_except(each)
        unless_another = or_(number.is_not(None), not_(told_of))
        return parent.outerjoin(versions, are_of_row), told, unless_another

    def given(self) -> Executable:
        """Write DELETE versions of rows that are their keys."""
        spec, extra = self.spec, self.spec.added
        names = [*self._names(), *extra]
        return _insert_from(spec, names, self._given_rows("keys", extra))

    def depart(self) -> Executable:
        """Write DELETE versions of rows that are no longer found under their key."""
        spec = self.spec
        before = spec.version_table.alias()
        key = [before.c[pair.version.key] for pair in spec.key]
        added = {column: default_of(column) for column in spec.added}
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
            # The version of another transaction: this one may have recorded something of the row
            # before.
            before.c[spec.identifier.key] == newest_other(spec, key, self.tx),
            before.c[spec.operation_column.key] != Operation.DELETE,
        )
        return _insert_from(spec, names, source)

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
            *[default_of(column).label(column.name) for column in extra],
            # SQLite takes the ON of an ON CONFLICT that follows for that of a join otherwise.
        ).where(literal_column("1") == literal_column("1"))

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
            # Written base-most first, so the newest there is the one that was just written; others
            # with a later transaction may have written one before.
            return [newest_version(spec.base, key, self._is_own).label("id_")]
        digits = bindparam(f"{spec.prefix}stamp", type_=String())
        return [StampedUuid(digits, spec.id_column.type).label("id_")]

    def _is_own(self, rows: FromClause) -> ColumnElement[bool]:
        """Match versions that this transaction has written."""
        column: ColumnElement[Any] = rows.c[self.spec.transaction_column.key]
        return column == self.tx

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
            value = default_of(column)
            whens: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = []
            for place, (key, rows) in enumerate(given):
                if key == column.key:
                    named = bindparam(f"{self.spec.prefix}value_{place}", type_=column.type)
                    if rows is None:
                        value = named
                    else:
                        whens.append((self._in(rows), named))
            values[column] = (case(*whens, else_=value) if whens else value).label(column.name)
        return values

    def _open_exists(self) -> ColumnElement[bool]:
        spec, other = self.spec, self.spec.version_table.alias()
        # Its own version may be there already, written by a flush before.
        others = other.c[spec.transaction_column.key] != self.tx
        return exists().where(same_key(spec, other), others)


def _insert_from(spec: VersionSpec, names: Sequence[Column[Any]], source: Any) -> Executable:
    return spec.version_table.insert().from_select(names, source, include_defaults=False)
