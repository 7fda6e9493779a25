"""Many-to-many relationships of versions: which links stood at the transaction of a version.

A relationship with an association table joins twice, and only the first join knows the version it
starts from.  So the links are joined to the versions in a subquery, which takes the place of the
association table: its rows are the links of every version, each with the version's key and
transaction, and whatever the second join needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Join, Select, Table, and_
from sqlalchemy.orm import RelationshipProperty, foreign

from .. import _sqlalchemy
from .._typing import is_table, select_rows
from ..model.lookup import TABLES
from ..model.spec import Hierarchy, VersionSpec
from .adaption import CannotFollow, Side, adapt, columns_in
from .validity import is_link_alive

__all__ = ["Links", "build_links"]


class Links:
    """The links of all versions of a class, as a subquery.

    :param statement: selects the columns below under their labels.
    :param own: the table of the version class by which its rows are recognised.
    :param labels: the label of each column of the association table that is needed outside.
    """

    def __init__(self, statement: Select[Any], own: VersionSpec, labels: Mapping[Any, str]) -> None:
        # SQLAlchemy numbers its names apart, whether or not a table is called anon_1.
        self.rows: FromClause = statement.subquery(f"{own.prefix}links").alias()
        self._own = own
        self._labels = labels

    @property
    def transaction(self) -> ColumnElement[Any]:
        """The transaction of the version that a link is seen from."""
        return self.rows.c.at

    @property
    def primaryjoin(self) -> ColumnElement[bool]:
        """Join a version to its links."""
        key = [
            pair.version == foreign(self.rows.c[f"own_{place}"])
            for place, pair in enumerate(self._own.key)
        ]
        identifier = self.transaction if self._own.id_column is None else self.rows.c.version
        return and_(*key, self._own.identifier == foreign(identifier))

    def find(self, column: Any) -> Any | None:
        """Return what stands for a column of the association table, or ``None``."""
        label = self._labels.get(column)
        return None if label is None else self.rows.c[label]


def build_links(
    relationship: RelationshipProperty[Any],
    source: Side,
    associations: Mapping[Table, Hierarchy],
    *,
    needed: Iterable[Any],
) -> Links:
    """Build the links of a relationship, as they stood at each version of its class.

    :param needed: columns that are used outside; those of the association table are selected.
    :raises CannotFollow: if the relationship cannot be followed.
    """
    own = _tables_in(source, relationship.primaryjoin)
    versions = {spec: spec.version_table.alias() for spec in own}
    # Links are seen from each version, so they are joined to versions before they are selected.
    at = versions[own[0]].c[own[0].transaction_column.key]
    placed = _Placed(associations, at)
    links = placed.place(relationship.secondary)  # type: ignore[arg-type]
    by_table = {spec.version_table: rows for spec, rows in versions.items()}

    def find(column: Any) -> Any:
        if column in placed.columns:
            return placed.columns[column]
        version = source.find(column)
        kept: Column[Any] = version
        return by_table[version.table].c[kept.key]

    condition = adapt(relationship.primaryjoin, find, keep_marks=False)
    inside = {
        f"own_{i}": by_table[own[0].version_table].c[pair.version.key]
        for i, pair in enumerate(own[0].key)
    }
    wanted = [column for column in dict.fromkeys(needed) if column in placed.columns]
    labels = {column: f"link_{place}" for place, column in enumerate(wanted)}
    statement = select_rows(
        *[column.label(label) for label, column in inside.items()],
        at.label("at"),
        *[versions[own[0]].c[each.key].label("version") for each in own[0].place[1:]],
        *[placed.columns[column].label(label) for column, label in labels.items()],
    ).select_from(_join_tables(own, versions).join(links, and_(condition, *placed.conditions)))
    return Links(statement, own[0], labels)


class _Placed:
    """An association table, or several that are joined, with versions in place of their rows.

    :param at: the transaction as of which rows are wanted.
    """

    def __init__(self, associations: Mapping[Table, Hierarchy], at: ColumnElement[Any]) -> None:
        self._associations = associations
        self._at = at
        #: What stands for each column of the tables.
        self.columns: dict[Any, Any] = {}
        #: What holds of rows that stood at the transaction.
        self.conditions: list[ColumnElement[bool]] = []

    def place(self, clause: FromClause) -> FromClause:
        """Return what stands for a table, or for an inner join of tables."""
        if is_table(clause):
            return self._place_table(clause)
        # A row that an outer join fills up has no version that could be asked about.
        if not isinstance(clause, Join) or clause.isouter or clause.full:
            raise CannotFollow(f"its links come from {clause}, which is no table or join of tables")
        left, right = self.place(clause.left), self.place(clause.right)
        return left.join(right, adapt(clause.onclause, self._find))

    def _place_table(self, table: Table) -> FromClause:
        spec = self._spec_of(table)
        if spec is None:
            # A table without history is read as it is now; there is nothing else to read.
            rows: FromClause = _sqlalchemy.short_alias(table)
            self.columns.update({column: rows.c[column.key] for column in table.c})
            return rows
        rows = spec.version_table.alias()
        self.columns.update({pair.parent: rows.c[pair.version.key] for pair in spec.pairs})
        self.conditions.append(is_link_alive(spec, rows, self._at))
        return rows

    def _spec_of(self, table: Table) -> VersionSpec | None:
        if table in self._associations:
            return self._associations[table].root
        # The table of a versioned class can serve as an association table too.
        specs: Mapping[Table, VersionSpec] = table.metadata.info.get(TABLES, {})
        return specs.get(table)

    def _find(self, column: Any) -> Any:
        if column not in self.columns:
            raise CannotFollow(f"its links are joined on {column}, of which nothing is kept")
        return self.columns[column]


def _tables_in(source: Side, condition: Any) -> list[VersionSpec]:
    """Return the tables of a class that *condition* uses; the first one, if it uses none."""
    parents = {column.table for column in columns_in(condition)}
    used = [spec for spec in source.tables if spec.parent_table in parents]
    return used or [source.tables[0]]


def _join_tables(specs: list[VersionSpec], rows: Mapping[VersionSpec, FromClause]) -> FromClause:
    """Join the rows that versions of one class have in several tables."""
    first, *others = specs
    joined = rows[first]
    for spec in others:
        pairs = [
            (rows[first].c[one.version.key], rows[spec].c[other.version.key])
            for one, other in zip(first.key, spec.key, strict=True)
        ]
        pairs.append((rows[first].c[first.identifier.key], rows[spec].c[spec.identifier.key]))
        joined = joined.join(rows[spec], and_(*[one == other for one, other in pairs]))
    return joined
