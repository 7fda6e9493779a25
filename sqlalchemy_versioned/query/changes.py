"""The statement that reads a page of change records.

A page of a whole table is read from its end: transactions by the index on ``issued_at``, their
versions by the index on the transaction, and the version before each by primary key, until there
are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, FromClause, Select, case, func, inspect, null, select
from sqlalchemy.orm import Mapper

from ..model.mapping import USER_IS_SAID
from ..model.operation import Operation
from ..model.spec import ClassSpec
from .filters import ISSUED_AT, Filters, Shape, user_facts
from .images import Images, family_of
from .member_changes import MemberChanges
from .members import Membership, Reference, relations_of
from .named import Writer, name_column, user_column, version_column

__all__ = ["BuiltChanges", "Fields", "Place", "build_changes"]


class Place(NamedTuple):
    """Where a row has what versions hold in a column."""

    own: int
    #: Where it has what the version before held.
    former: int
    #: Where it says that both are the same; ``None`` for columns that cannot differ.
    same: int | None
    #: Whether both are flags that stand for values which are not told.
    is_masked: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """What a row has of an object of one class."""

    spec: ClassSpec
    columns: tuple[tuple[str, Place], ...]
    #: Relationships, with the columns that name the target.
    references: tuple[tuple[str, tuple[Place, ...]], ...]

    @property
    def differing(self) -> tuple[tuple[str, Place], ...]:
        """The columns that an update may have changed."""
        return tuple(each for each in self.columns if each[1].same is not None)


@dataclass(frozen=True, slots=True, eq=False)
class BuiltChanges:
    """A statement that reads changes, and what its rows are made of.

    A row has, in this order: the transaction (id, moment, ``facts``), the key of the object, the
    operation, the operation of the version before, the discriminator, then what ``fields`` say, and
    what the object is called, if that is not its key.
    """

    statement: Select[Any]
    #: Names of what is known of a transaction beside id and moment.
    facts: tuple[str, ...]
    #: Those of them that are the key of the user.
    user: tuple[str, ...]
    key_size: int
    #: The fields of each class by its discriminator.
    fields: Mapping[Any, Fields]
    #: The fields of all other objects.
    others: Fields
    #: The relationships that rows beside the object tell of, and whether they have one member.
    memberships: Mapping[str, bool]
    #: Whether the last column has what the object is called by.
    is_named: bool


def build_changes(spec: ClassSpec, shape: Shape) -> BuiltChanges:
    """Build the statement that reads the change records of a class."""
    return _Changes(spec, shape).build()


class _Changes:
    def __init__(self, spec: ClassSpec, shape: Shape) -> None:
        self._spec = spec
        self._shape = shape
        relations = [each for name in shape.relations for each in relations_of(spec, name)]
        self._references = [each for each in relations if isinstance(each, Reference)]
        self._memberships = [each for each in relations if isinstance(each, Membership)]
        self._filters = Filters(spec, shape)
        self._asked = {each: self._columns_of(each) for each in family_of(spec)}
        # A relationship of this kind is told by its foreign key, which the versions have.
        targets = [column for each in self._references for column in each.target]
        columns = [column for found in self._asked.values() for column in found.values()]
        #: The columns whose values are needed, and those of them that may differ.
        self._columns = list(dict.fromkeys((*columns, *targets)))
        self._differing = Images(spec).comparable(self._columns)
        # Types may compare columns in a way of their own, so that no list finds them.
        self._places = {column: place for place, column in enumerate(self._columns)}
        self._differing_places = {column: place for place, column in enumerate(self._differing)}
        self._name, self._writer = name_column(spec), user_column(spec)

    def build(self) -> BuiltChanges:
        fields = {each: self._fields(each) for each in self._asked}
        images = Images(self._spec)
        statement = self._with_members(images) if self._memberships else self._directly(images)
        mapper: Mapper[Any] = inspect(self._spec.version_class)
        by_class = {each.version_class: found for each, found in fields.items()}
        return BuiltChanges(
            statement,
            facts=self._further_facts,
            user=user_facts(self._spec),
            key_size=len(self._spec.key),
            fields={
                identity: by_class[each.class_]
                for identity, each in mapper.polymorphic_map.items()
                # Subclasses that are not versioned have identities, but no fields.
                if each.class_ in by_class
            },
            others=fields[self._spec],
            memberships={each.key: each.is_scalar for each in self._memberships},
            is_named=self._name is not None,
        )

    @property
    def _further_facts(self) -> tuple[str, ...]:
        """What is known of a transaction beside its id and moment, and of the event itself."""
        known = ("id", ISSUED_AT, USER_IS_SAID, *self._spec.context)
        return (*[name for name in self._filters.facts if name not in known], *self._spec.context)

    def _facts(
        self, images: Images, transactions: FromClause, operation: ColumnElement[Any]
    ) -> Iterator[ColumnElement[Any]]:
        kept = {column.key: column for column in self._spec.root.context_columns}
        users = dict(
            zip(
                user_facts(self._spec),
                self._filters.user(transactions, self._writer_in(images, operation)),
                strict=True,
            )
        )
        for name in self._further_facts:
            if name in kept:
                # Where members tell of an object, its version is of another event.
                yield case((operation.is_not(None), images.own(kept[name])))
            elif name in users:
                yield users[name]
            else:
                yield transactions.c[self._filters.facts[name]]

    def _writer_in(self, images: Images, operation: ColumnElement[Any]) -> Writer | None:
        """Return what versions tell of who has written them, if they do.

        :param operation: NULL where the version is not that of the change.
        """
        return None if self._writer is None else Writer(operation, images.own(self._writer))

    def _columns_of(self, spec: ClassSpec) -> dict[str, Column[Any]]:
        """Return the columns of a class that are asked for, by attribute."""
        asked = self._shape.fields
        known = (*spec.columns, *spec.masked)
        keys = [key for key in known if asked is None or key in asked]
        return {key: version_column(spec, key) for key in keys}

    def _fields(self, spec: ClassSpec) -> Fields:
        references = [
            (each.key, tuple(map(self._place, each.target)))
            for each in self._references
            if issubclass(spec.parent_class, each.spec.parent_class)
        ]
        columns = [
            (key, self._place(column, is_masked=key in spec.masked))
            for key, column in self._asked[spec].items()
        ]
        return Fields(spec, tuple(columns), tuple(references))

    def _place(self, column: Column[Any], *, is_masked: bool = False) -> Place:
        start = 2 + len(self._further_facts) + len(self._spec.key) + 3
        own = start + self._places[column]
        if column not in self._differing_places:
            return Place(own, own, None)
        former = start + len(self._columns) + self._differing_places[column]
        return Place(own, former, former + len(self._differing), is_masked)

    # -- of versions -------------------------------------------------------------------------

    def _directly(self, images: Images) -> Select[Any]:
        """Read versions, where they alone tell what changed."""
        transactions = self._filters.transactions()
        statement = self._select(images, transactions, images.key, images.operation)
        source = images.join_made_by(transactions, self._filters.number_to_join(transactions))
        statement = statement.select_from(source).where(*self._made(images, transactions))
        order = self._filters.order(
            transactions,
            images.key,
            images.operation,
            number=images.place[1:],
            name=next(iter(self._name_in(images)), None),
        )
        return self._filters.page(statement.order_by(*order))

    def _made(self, images: Images, transactions: FromClause) -> Iterator[ColumnElement[bool]]:
        """Yield what must hold of versions."""
        yield from self._filters.conditions(
            transactions,
            images.key,
            images.operation,
            writer=self._writer_in(images, images.operation),
        )
        if images.is_of_class is not None:
            yield images.is_of_class
        if self._shape.fields is None:
            yield images.is_a_change
        else:
            yield images.is_changed(self._columns)

    def _select(
        self,
        images: Images,
        transactions: FromClause,
        key: Sequence[ColumnElement[Any]],
        operation: ColumnElement[Any],
    ) -> Select[Any]:
        discriminator = images.discriminator
        moment = self._filters.moment(transactions)
        return select(
            self._filters.number(transactions),
            null() if moment is None else moment,
            *self._facts(images, transactions, operation),
            *key,
            operation,
            images.operation_before,
            null() if discriminator is None else discriminator,
            *[images.own(column) for column in self._columns],
            *[images.before(column) for column in self._differing],
            *[images.is_same(column) for column in self._differing],
            *self._name_in(images),
        )

    def _name_in(self, images: Images) -> list[ColumnElement[Any]]:
        """Return what objects are called by, if it is not their key."""
        if self._name is None:
            return []
        # A plugin may have emptied what a deletion keeps.
        own, before = images.own(self._name), images.before(self._name)
        is_deletion = images.operation == Operation.DELETE
        return [case((is_deletion, func.coalesce(own, before)), else_=own)]

    # -- of versions and of members ----------------------------------------------------------

    def _with_members(self, images: Images) -> Select[Any]:
        """Read what happened to objects and to their members, in the page where it belongs.

        An object whose members changed need not have a version of its own; then the one it had is
        read, for its class.
        """
        changes = MemberChanges(self._spec, self._filters, self._memberships)
        pages = changes.pages(self._version_changes(changes))
        key = [pages.c[f"key_{place}"] for place in range(len(self._spec.key))]
        transactions = self._filters.transactions()
        place = changes.place_in(pages.c)
        is_own = images.place[-1] == place[-1]
        # The version that was seen is of an earlier transaction, and what was done then is not told
        # here.
        operation = case((is_own, images.operation))
        joined = pages.join(transactions, self._filters.number(transactions) == pages.c.number)
        source = images.join_seen_at(joined, key, place)
        statement = self._select(images, transactions, key, operation)
        return statement.select_from(source).order_by(*changes.order(pages.c))

    def _version_changes(self, changes: MemberChanges) -> Iterator[Select[Any]]:
        """Yield where versions changed what is asked for."""
        # Only members were asked for.
        if not self._columns:
            return
        images, transactions = Images(self._spec), self._filters.transactions()
        source = images.join_made_by(transactions, self._filters.number_to_join(transactions))
        found = changes.place(
            transactions,
            images.key,
            images.operation,
            number=images.place[1:],
            name=changes.name_in_order(images.key, self._filters.number(transactions)),
        )
        yield found.select_from(source).where(*self._made(images, transactions))
