"""What the statements of one table have in common: its keys, and the transaction being written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Update, bindparam, exists, not_, null, or_
from sqlalchemy.engine import Dialect

from ..database.dialects import has_enum_types, writes_past_snapshots
from ..database.key_conditions import KeyConditions
from ..database.keys import Style
from ..model.spec import VersionSpec
from ..query.newest import index_hint
from ..query.rows import same_image_exists, same_key

__all__ = ["TableStatements", "default_of"]


class TableStatements:
    """What all statements for one table need, with sets of keys given in one style.

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
        self.related: tuple[VersionSpec, ...] = tuple(related)
        self.style = style
        # A parameter has one type in a statement, that of the columns of history.
        self.keys: KeyConditions = KeyConditions(
            [pair.version for pair in spec.key], style, spec.prefix, casts=has_enum_types(dialect)
        )
        #: The transaction that is being written.
        named = bindparam(f"{spec.prefix}tx", type_=spec.transaction_column.type)
        self.tx: ColumnElement[int] = named if tx is None else tx
        self._dialect = dialect
        self._keys_may_vary = keys_may_vary

    def _in(self, name: str) -> ColumnElement[bool]:
        return self.keys.member([pair.parent for pair in self.spec.key], name)

    def _in_versions(self) -> ColumnElement[bool]:
        return self.keys.member([pair.version for pair in self.spec.key], "keys")

    def _own(self) -> list[ColumnElement[bool]]:
        return [self.spec.transaction_column == self.tx, self._in_versions()]

    def _through_key(self, statement: Update) -> Update:
        """Have a statement find versions by their key; see :func:`.through_key`."""
        hint = index_hint(self.spec)
        for dialect in ("mysql", "mariadb") if hint else ():
            statement = statement.with_hint(hint, dialect_name=dialect)
        return statement

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

    def _is_first(self) -> ColumnElement[bool]:
        """Match rows of the parent table that have no version."""
        versions = self.spec.version_table.alias()
        return not_(exists().where(same_key(self.spec, versions)))

    @property
    def _new_tx(self) -> ColumnElement[int]:
        return bindparam(f"{self.spec.prefix}new", type_=self.spec.transaction_column.type)

    @property
    def _must_lock(self) -> bool:
        return writes_past_snapshots(self._dialect)

    def _now(self, statement: Select[Any]) -> Select[Any]:
        """Let a statement see what others have committed since this transaction began."""
        return statement.with_for_update(read=True) if self._must_lock else statement


def default_of(column: Column[Any]) -> ColumnElement[Any]:
    """Return what a column of our own is given where nothing else is said."""
    default: Any = column.default
    if default is None:
        return null()
    if default.is_callable:
        return bindparam(None, callable_=lambda: default.arg(None), type_=column.type)
    if default.is_clause_element:
        expression: ColumnElement[Any] = default.arg
        return expression
    return bindparam(None, default.arg, type_=column.type)
