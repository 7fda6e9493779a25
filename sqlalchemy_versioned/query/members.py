"""Who belongs to whom: relationships, as rows of version tables tell of them.

A :class:`Membership` is recorded in rows beside the object: links in an association table, or the
children that point to their parent.  A :class:`Reference` is recorded in the object's own row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy import (
    BinaryExpression,
    BooleanClauseList,
    Column,
    ColumnElement,
    FromClause,
    and_,
    case,
    func,
    not_,
    or_,
)
from sqlalchemy.orm import MANYTOMANY, MANYTOONE, Mapper, RelationshipProperty
from sqlalchemy.sql import operators
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from .. import _sqlalchemy
from .._typing import is_column, is_table, mapper_of, replaced
from ..exc import ClassNotVersioned, RelationshipNotVersioned
from ..model.lookup import find_spec, table_spec_of
from ..model.mapping import is_union
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from .images import family_of
from .newest import comes_before, newest_version, place_in, row_key

__all__ = ["Events", "Membership", "Reference", "relation_of", "relations_of", "says"]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A relationship whose target is named by columns of the object itself."""

    key: str
    #: The class that has it; subclasses do, too.
    spec: ClassSpec
    #: The version columns that hold the primary key of the target, in its order.
    target: tuple[Column[Any], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """A relationship that rows of another table are about."""

    key: str
    #: Whether there is one member at most.
    is_scalar: bool
    #: The table whose rows tell.
    spec: VersionSpec
    #: Its version columns with the primary key of the owner, in the order of that.
    owner: tuple[Column[Any], ...]
    #: Its version columns with the primary key of the member, in the order of that.
    member: tuple[Column[Any], ...]
    #: What else must hold of a row, said of the version table.
    condition: ColumnElement[bool] | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether a row says the same as long as it is there, as plain links do."""
        known = set(row_key(self.spec))
        return self.condition is None and known.issuperset((*self.owner, *self.member))


def relations_of(spec: ClassSpec, key: str) -> list[Membership | Reference]:
    """Return what a class, and its subclasses, have under the name of a relationship.

    :raises RelationshipNotVersioned: if history does not tell of it.
    """
    found: dict[Mapper[Any], RelationshipProperty[Any]] = {}
    for each in family_of(spec):
        if key in each.relationships:
            relationship = mapper_of(each.parent_class).relationships[key]
            found.setdefault(relationship.parent, relationship)
    return [_relation(relationship) for relationship in found.values()]


def relation_of(spec: ClassSpec, key: str) -> Membership | Reference | None:
    """Return what a class itself has under the name of a relationship, if it has it.

    :raises RelationshipNotVersioned: if history does not tell of it.
    """
    if key not in spec.relationships:
        return None
    return _relation(mapper_of(spec.parent_class).relationships[key])


def _relation(relationship: RelationshipProperty[Any]) -> Membership | Reference:
    if relationship.entity.is_aliased_class:
        _refuse(relationship, f"it leads to an alias, {relationship.entity}")
    if is_union(relationship.mapper):
        cls = relationship.mapper.class_.__name__
        _refuse(relationship, f"{cls} is a union of concrete classes")
    if relationship.direction is MANYTOONE:
        return _reference(relationship)
    if relationship.direction is MANYTOMANY:
        return _links(relationship)
    return _children(relationship)


def _refuse(relationship: RelationshipProperty[Any], why: str) -> NoReturn:
    raise RelationshipNotVersioned(
        f"{relationship} cannot be shown in change records: {why}; leave it out of 'relations'"
    )


# -- of each kind ----------------------------------------------------------------------------


def _reference(relationship: RelationshipProperty[Any]) -> Reference:
    spec = find_spec(relationship.parent.class_)
    assert spec is not None
    pairs, rest = _taken_apart(relationship, relationship.primaryjoin)
    if rest:
        _refuse(relationship, "its condition is more than a foreign key")
    # Foreign keys may name the columns of a composite key in another order.
    target = {_position(relationship, relationship.mapper, there): here for here, there in pairs}
    columns = [target.get(place) for place in range(len(relationship.mapper.primary_key))]
    kept = [_kept(relationship, spec.tables, column) for column in columns]
    return Reference(relationship.key, spec, tuple(version for _, version in kept))


def _children(relationship: RelationshipProperty[Any]) -> Membership:
    spec = find_spec(relationship.mapper.class_)
    if spec is None or not spec.exposed:
        name = relationship.mapper.class_.__name__
        _refuse(relationship, f"it is recorded in {name}, which is not versioned")
    pairs, rest = _taken_apart(relationship, relationship.primaryjoin)
    owner = {_position(relationship, relationship.parent, here): there for here, there in pairs}
    columns = [owner.get(place) for place in range(len(relationship.parent.primary_key))]
    kept = [_kept(relationship, spec.tables, column) for column in columns]
    table = kept[0][0]
    conditions = [_condition(relationship, table, each) for each in rest]
    conditions += _is_of_class(relationship, spec, table)
    # One version of one table must tell of a membership, or two would have to be joined.
    if any(each is not table for each, _ in kept):
        _refuse(relationship, "its foreign key is spread over several tables")
    return Membership(
        relationship.key,
        is_scalar=not relationship.uselist,
        spec=table,
        owner=tuple(version for _, version in kept),
        member=tuple(pair.version for pair in table.key),
        condition=and_(*conditions) if conditions else None,
    )


def _links(relationship: RelationshipProperty[Any]) -> Membership:
    table = relationship.secondary
    if not is_table(table):
        _refuse(relationship, f"its links come from {table}, which is no table")
    try:
        spec = table_spec_of(table)
    except ClassNotVersioned:
        _refuse(relationship, f"its links are in {table.fullname!r}, which is not versioned")
    near, rest = _taken_apart(relationship, relationship.primaryjoin)
    far, more = _taken_apart(relationship, relationship.secondaryjoin)
    ends: list[tuple[Any, ...]] = []
    for mapper, pairs in ((relationship.parent, near), (relationship.mapper, far)):
        end = {_position(relationship, mapper, here): there for here, there in pairs}
        columns = [end.get(place) for place in range(len(mapper.primary_key))]
        kept = [_kept(relationship, (spec,), column) for column in columns]
        ends.append(tuple(version for _, version in kept))
    conditions = [_condition(relationship, spec, each) for each in (*rest, *more)]
    return Membership(
        relationship.key,
        is_scalar=not relationship.uselist,
        spec=spec,
        owner=ends[0],
        member=ends[1],
        condition=and_(*conditions) if conditions else None,
    )


# -- parts of join conditions ----------------------------------------------------------------


def _taken_apart(
    relationship: RelationshipProperty[Any], join: Any
) -> tuple[list[tuple[Any, Any]], list[Any]]:
    """Return the pairs of columns that a join sets equal, near and far, and what else it says."""
    is_list = isinstance(join, BooleanClauseList) and join.operator is operators.and_
    pairs: list[tuple[Any, Any]] = []
    rest: list[Any] = []
    for clause in join.clauses if is_list else [join]:
        pair = _pair(clause)
        if pair is None:
            rest.append(clause)
        else:
            pairs.append(pair)
    return pairs, rest


def _pair(clause: Any) -> tuple[Any, Any] | None:
    if not isinstance(clause, BinaryExpression) or clause.operator is not operators.eq:
        return None
    if not isinstance(clause.left, Column) or not isinstance(clause.right, Column):
        return None
    # Applications write either side first.
    sides = sorted((clause.left, clause.right), key=_is_remote)
    if [_is_remote(side) for side in sides] != [False, True]:
        return None
    near, far = map(_sqlalchemy.plain_column, sides)
    return near, far


def _is_remote(column: Any) -> bool:
    return "remote" in _sqlalchemy.relationship_marks(column)


def _position(relationship: RelationshipProperty[Any], mapper: Mapper[Any], column: Any) -> int:
    """Return the place of *column* in the primary key of a class."""
    spec = find_spec(mapper.class_)
    tables = () if spec is None else spec.tables
    # Under joined inheritance a foreign key may lead to the key of any table of the object.
    keys: list[Sequence[Any]] = [[pair.parent for pair in table.key] for table in tables]
    for key in [mapper.primary_key, *keys]:
        for place, each in enumerate(key):
            if each is column:
                return place
    name = mapper.class_.__name__
    _refuse(relationship, f"it joins {column}, which is not the primary key of {name}")


def _kept(
    relationship: RelationshipProperty[Any], tables: Sequence[VersionSpec], column: Any
) -> tuple[VersionSpec, Column[Any]]:
    """Return the column that keeps a foreign key, and its table."""
    if column is None:
        _refuse(relationship, "it does not join the whole primary key")
    for table in tables:
        version = table.version_column(column)
        if version is not None:
            return table, version
    _refuse(relationship, f"it needs {column}, which is excluded from history")


def _condition(relationship: RelationshipProperty[Any], spec: VersionSpec, clause: Any) -> Any:
    """Return what a join says beside its keys; it must be about the rows that tell of members."""
    for column in _columns_in(clause):
        if not _is_remote(column):
            _refuse(relationship, f"its condition needs {column}")
    return _adapted(relationship, spec, clause)


def _adapted(relationship: RelationshipProperty[Any], spec: VersionSpec, expression: Any) -> Any:
    """Return a condition on rows of a table, said of their versions."""
    for column in _columns_in(expression):
        if spec.version_column(_sqlalchemy.plain_column(column)) is None:
            _refuse(relationship, f"its condition needs {column}")

    def replace(element: Any, **_: Any) -> Any:
        if is_column(element):
            return spec.version_column(_sqlalchemy.plain_column(element))
        return None

    return replaced(expression, replace)


def _is_of_class(
    relationship: RelationshipProperty[Any], spec: ClassSpec, table: VersionSpec
) -> Iterator[ColumnElement[bool]]:
    """Yield what tells the members from others that have rows in the same table."""
    mapper: Mapper[Any] = relationship.mapper
    is_own = table is spec.tables[-1] and not mapper.single
    if is_own or mapper.polymorphic_on is None or mapper.inherits is None or mapper.concrete:
        return
    identities = [each.polymorphic_identity for each in mapper.self_and_descendants]
    yield _adapted(relationship, table, mapper.polymorphic_on).in_(identities)


def _columns_in(expression: Any) -> list[Column[Any]]:
    return [element for element in iterate(expression) if isinstance(element, Column)]


# -- rows and what they did ------------------------------------------------------------------


class Events:
    """What the versions of a membership's rows did: who was gained, and who was lost.

    A row is compared with its version before.  Of an update that has none, nothing is said: what
    the row was is not known.
    """

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._spec = membership.spec
        self._own: FromClause = self._spec.version_table.alias()
        self._before: FromClause = self._spec.version_table.alias()

    def join_made_by(self, source: FromClause, transaction: ColumnElement[Any]) -> FromClause:
        """Join the versions that *transaction* of each row of *source* has made."""
        joined = source.join(self._own, self.transaction == transaction)
        return self._join_before(joined)

    def rows(self) -> FromClause:
        """Return all versions."""
        return self._join_before(self._own)

    def _join_before(self, joined: FromClause) -> FromClause:
        if self._membership.is_fixed:
            return joined
        key = [column.key for column in row_key(self._spec)]
        values = [self._own.c[name] for name in key]
        newest = newest_version(
            self._spec,
            values,
            lambda rows: comes_before(place_in(self._spec, rows), place_in(self._spec, self._own)),
            key=row_key(self._spec),
        )
        same = [self._before.c[name] == value for name, value in zip(key, values, strict=True)]
        is_before = self._before.c[self._spec.identifier.key] == newest
        return joined.outerjoin(self._before, and_(*same, is_before))

    @property
    def transaction(self) -> ColumnElement[Any]:
        """The transaction in which it happened."""
        return self._own.c[self._spec.transaction_column.key]

    def columns(self, columns: Sequence[Column[Any]], *, is_gain: bool) -> list[Any]:
        """Return columns of who was gained, or of who was lost."""
        own = [self._own.c[column.key] for column in columns]
        if is_gain or set(columns) <= set(row_key(self._spec)):
            return own
        before = [self._before.c[column.key] for column in columns]
        had_none = self._operation_before.is_(None)
        # A deletion without a version before it holds the last values itself.
        return [case((had_none, one), else_=other) for one, other in zip(own, before, strict=True)]

    def is_gain(self) -> ColumnElement[bool]:
        """Match rows that made someone a member."""
        is_new = self._operation == Operation.INSERT
        if self._membership.is_fixed:
            return is_new
        had_row = self._operation_before != Operation.DELETE
        is_new = or_(is_new, self._operation_before == Operation.DELETE)
        # An update that moves a row to another owner is a gain there and a loss here.
        is_other = not_(and_(self._says(self._before), self._is_same()))
        return and_(
            self._operation != Operation.DELETE,
            self._says(self._own),
            or_(is_new, and_(had_row, is_other)),
        )

    def is_loss(self) -> ColumnElement[bool]:
        """Match rows that ended someone's membership."""
        is_gone = self._operation == Operation.DELETE
        if self._membership.is_fixed:
            return is_gone
        had_none = self._operation_before.is_(None)
        stays = and_(self._says(self._own), self._is_same())
        return or_(
            and_(
                self._operation_before != Operation.DELETE,
                self._operation != Operation.INSERT,
                self._says(self._before),
                or_(is_gone, not_(stays)),
            ),
            and_(is_gone, had_none, self._says(self._own)),
        )

    @property
    def _operation(self) -> ColumnElement[Any]:
        return self._own.c[self._spec.operation_column.key]

    @property
    def _operation_before(self) -> ColumnElement[Any]:
        return self._before.c[self._spec.operation_column.key]

    def _is_same(self) -> ColumnElement[bool]:
        """Match rows that are about the same two as before."""
        ends = (*self._membership.owner, *self._membership.member)
        return and_(*[self._own.c[c.key].is_not_distinct_from(self._before.c[c.key]) for c in ends])

    def _says(self, rows: FromClause) -> ColumnElement[bool]:
        return says(self._membership, rows)


def says(membership: Membership, rows: FromClause) -> ColumnElement[bool]:
    """Match rows that say that someone belongs to someone, and are never NULL about it."""
    ends = [rows.c[column.key].is_not(None) for column in membership.owner]
    if membership.condition is None:
        return and_(*ends)

    def replace(element: Any, **_: Any) -> Any:
        if isinstance(element, Column) and element.table is membership.spec.version_table:
            return rows.c[element.key]
        return None

    # The condition is said of the table; the rows are those of an alias.
    holds = replacement_traverse(membership.condition, {}, replace)
    return and_(*ends, func.coalesce(holds, False))
