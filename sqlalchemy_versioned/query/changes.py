"""The statement that reads a page of change records.

A page of a whole table is read from its end: transactions by the index on ``issued_at``, their
versions by the index on the transaction, and the version before each by primary key, until there
are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Select, case, func, inspect, null, select
from sqlalchemy.orm import Mapper

from ..model.mapping import USER_IS_SAID
from ..model.operation import Operation
from ..model.spec import ClassSpec
from .change_rows import BuiltChanges, Columns, Fields, Layout
from .filters import ISSUED_AT, Filters, Shape, user_facts
from .images import Images, family_of
from .member_changes import MemberChanges
from .members import Membership, Reference, relations_of
from .named import Writer, name_column, user_column, version_column

__all__ = ["build_changes"]


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
        self._name, self._writer = name_column(spec), user_column(spec)
        self._layout = Layout(self._further_facts(), len(spec.key))
        self._columns = self._needed_columns()

    def _needed_columns(self) -> Columns:
        """Return the columns whose values are needed."""
        asked = [column for found in self._asked.values() for column in found.values()]
        # A relationship of this kind is told by its foreign key, which the versions have.
        targets = [column for each in self._references for column in each.target]
        own = list(dict.fromkeys((*asked, *targets)))
        return Columns(self._layout.columns, own, Images(self._spec).comparable(own))

    def build(self) -> BuiltChanges:
        fields = {each: self._fields(each) for each in self._asked}
        images = Images(self._spec)
        statement = self._with_members(images) if self._memberships else self._directly(images)
        mapper: Mapper[Any] = inspect(self._spec.version_class)
        by_class = {each.version_class: found for each, found in fields.items()}
        return BuiltChanges(
            statement,
            self._layout,
            user=user_facts(self._spec),
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
        for name in self._layout.facts:
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
            (each.key, tuple(map(self._columns.place, each.target)))
            for each in self._references
            if issubclass(spec.parent_class, each.spec.parent_class)
        ]
        columns = [
            (key, self._columns.place(column, is_masked=key in spec.masked))
            for key, column in self._asked[spec].items()
        ]
        return Fields(spec, tuple(columns), tuple(references))

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
            yield images.is_changed(self._columns.own)

    def _select(
        self,
        images: Images,
        transactions: FromClause,
        key: Sequence[ColumnElement[Any]],
        operation: ColumnElement[Any],
    ) -> Select[Any]:
        # In the order of its Layout.
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
            *map(images.own, self._columns.own),
            *map(images.before, self._columns.differing),
            *map(images.is_same, self._columns.differing),
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
        if not self._columns.own:
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
