"""What callers ask for, checked: from arguments to the shape of a statement and its parameters.

Everything that is wrong is said before anything is sent to a database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column
from sqlalchemy.engine import Dialect

from .._typing import TUPLE, new_dict, new_set
from ..database.keys import KeyParameters, Style
from ..exc import ImproperlyConfigured, InvalidArgument, InvalidArgumentType
from ..model.arguments import check_number
from ..model.lookup import check_no_object, spec_of
from ..model.spec import ClassSpec
from ..query.filters import ISSUED_AT, Shape, transaction_facts, user_facts
from ..query.named import name_column
from .names import field_names, relation_names
from .values import (
    aware_moment,
    keys_and_names,
    object_keys,
    operation_of,
    several,
    several_keys,
    sort_key,
    storable_moment,
    transaction_number,
    truth_value,
    user_key,
)

__all__ = [
    "Asked",
    "check_class",
    "key_parameters",
    "value_parameters",
]


@dataclass(slots=True)
class Asked:
    """The shape of a question, and its parameters, while they are being put together."""

    spec: ClassSpec
    dialect: Dialect | None
    filters: set[str] = field(default_factory=new_set)
    parameters: dict[str, Any] = field(default_factory=new_dict)

    def shape(
        self,
        *,
        object_ids: Any,
        fields: Any,
        relations: Any,
        user_ids: Any,
        between: Any,
        transaction: Any,
        operations: Any,
        sort_by: Any,
        descending: Any,
        limit: Any,
        offset: Any,
    ) -> Shape:
        """Check everything that was asked, and return the shape of it."""
        self._add_moments(between)
        self._add_transactions(transaction)
        self._add_operations(operations)
        self._add_users(user_ids)
        self._add_page(limit, offset)
        keys, names = self._add_objects(object_ids)
        return Shape(
            fields=field_names(self.spec, fields),
            relations=relation_names(self.spec, relations),
            keys=keys,
            names=names,
            filters=frozenset(self.filters),
            sort_by=sort_key(sort_by),
            is_descending=truth_value("descending", descending),
        )

    def _add(self, name: str, value: Any) -> None:
        self.filters.add(name)
        self.parameters[name] = value

    def _add_objects(self, object_ids: Any) -> tuple[Style | None, Style | None]:
        """Return how keys of objects are given, and what else they are called."""
        if object_ids is None:
            return None, None
        column = name_column(self.spec)
        if column is None:
            return self._add_keys(object_keys(self.spec, object_ids)), None
        keys, names = keys_and_names(self.spec, column, object_ids)
        # An empty list matches nothing.
        is_by_name = bool(names) or not keys
        return self._add_keys(keys) if keys else None, (
            self._add_set("names", column, names) if is_by_name else None
        )

    def _add_keys(self, keys: list[Any]) -> Style:
        columns = [pair.version for pair in self.spec.root.key]
        style, parameters = key_parameters(columns, keys, self.dialect)
        self.parameters |= parameters
        return style

    def _add_set(self, name: str, column: Column[Any], values: list[Any]) -> Style:
        style, parameters = value_parameters(name, column, values, self.dialect)
        self.parameters |= parameters
        return style

    def _add_moments(self, between: Any) -> None:
        if between is None:
            return
        bounds = self._bounds(between)
        facts = transaction_facts(self.spec)
        if ISSUED_AT not in facts:
            raise ImproperlyConfigured(
                f"between is {between!r}, but {self.spec.transaction_class.__name__} has no "
                "issued_at; ask by transaction, or give it one"
            )
        column = self.spec.root.transaction_table.c[facts[ISSUED_AT]]
        for name, moment in zip(("start", "end"), bounds, strict=True):
            if moment is not None:
                self._add(name, storable_moment(column.type, moment))

    def _bounds(self, between: Any) -> tuple[datetime | None, datetime | None]:
        """Return the earlier and the later moment; ``None`` where there is no bound."""
        if not isinstance(between, (list, TUPLE)) or len(between) != 2:
            raise InvalidArgumentType(
                f"between is {between!r}; give a pair of datetimes with a time zone, either of "
                "which may be None"
            )
        start, end = (aware_moment(moment, self.spec.options.time_zone) for moment in between)
        if start is not None and end is not None and start > end:
            raise InvalidArgument(
                f"between starts at {start} and ends before, at {end}; give the earlier moment "
                "first"
            )
        return start, end

    def _add_transactions(self, transaction: Any) -> None:
        if transaction is not None:
            numbers = [transaction_number(self.spec, each) for each in several(transaction)]
            self._add("transactions", numbers)

    def _add_operations(self, operations: Any) -> None:
        if operations is not None:
            self._add("operations", [operation_of(each) for each in several(operations)])

    def _add_users(self, user_ids: Any) -> None:
        if user_ids is None:
            return
        facts, table = transaction_facts(self.spec), self.spec.root.transaction_table
        columns = [table.c[facts[name]] for name in user_facts(self.spec)]
        if not columns:
            raise ImproperlyConfigured(
                f"user_ids is {user_ids!r}, but transactions do not know who made them; give "
                "make_versioned() a user_cls"
            )
        users = [user_key(columns, each) for each in several_keys(user_ids, size=len(columns))]
        # NULL equals nothing, so who asks for nobody is answered by another condition.
        if None in users:
            self.filters.add("no_user")
        known = [user for user in users if user is not None]
        # An empty list matches nothing, and is no reason to leave the condition out.
        if known or not users:
            self._add("users", known)

    def _add_page(self, limit: Any, offset: Any) -> None:
        for name, number in (("limit", limit), ("offset", offset)):
            check_number(name, number, least=0, or_none=True)
            if number is not None:
                self._add(name, number)
        # Parts of a page are cut where it ends; where it begins is known of the whole only.
        if limit is not None:
            self.parameters["last"] = limit + (offset or 0)


def check_class(model: Any) -> ClassSpec:
    """Return the spec of a versioned class.

    :raises InvalidArgumentType: if *model* is an object.
    :raises ClassNotVersioned: if it has no version class.
    """
    spec = spec_of(model)
    check_no_object(model, spec, ", and the object as object_ids=…")
    return spec


def key_parameters(
    columns: list[Column[Any]], keys: list[Any], dialect: Dialect | None
) -> tuple[Style, dict[str, Any]]:
    """Return how the set ``keys`` is given to a database, and the parameters for it.

    :param dialect: ``None`` for statements that must run on any database.
    """
    if dialect is None:
        return Style.LIST, {"keys": keys}
    given = KeyParameters(columns, dialect, "").sets(keys)
    return given.style, given.parameters()


def value_parameters(
    name: str, column: Column[Any], values: list[Any], dialect: Dialect | None
) -> tuple[Style, dict[str, Any]]:
    """Return how the set *name* is given to a database, and the parameters for it."""
    if dialect is None:
        return Style.LIST, {name: values}
    given = KeyParameters([column], dialect, "").sets([], {name: values})
    return given.style, {name: given.parameters()[name]}
