"""What the row of a transaction says: from what is said of it to its columns.

Said are, the later winning: what plugins say, the user that the application tells when asked, the
context and the session variables, and what is given to ``create_transaction()``.  Each goes to a
column, or is left to the next flush, or to a plugin that takes what there is no column for; what
has no place is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import InstanceState, Mapper

from .._typing import new_dict
from ..exc import ImproperlyConfigured, InvalidArgument
from .users import USER, Users, plain_value
from .values import check_given, plain_text, storable

__all__ = ["Places", "TransactionValues"]


@dataclass(slots=True)
class TransactionValues:
    """What one transaction says."""

    #: By the key of the column.
    columns: dict[str, Any] = field(default_factory=new_dict)
    #: Attributes that only a flush can write.
    later: dict[str, Any] = field(default_factory=new_dict)
    #: What is left to plugins.
    further: dict[str, str] = field(default_factory=new_dict)


class Places:
    """Where the transactions of a manager keep what is said of them.

    :param current_user: returns the user where the context has none, if it is not ``None``.
    :param variables: names of session variables: they must not be empty where they must be said,
        and what transactions have no column for versions have.
    :param takes_further: tells whether a plugin takes what there is no place for.
    """

    def __init__(
        self,
        mapper: Mapper[Any],
        *,
        current_user: Callable[[], Any] | None = None,
        variables: Iterable[str] = (),
        takes_further: Callable[[], bool] = bool,
    ) -> None:
        self._mapper = mapper
        self._variables = frozenset(variables)
        self._takes_further = takes_further
        #: By attribute.
        self._columns: dict[str, Column[Any]] = {
            prop.key: column
            for prop in mapper.column_attrs
            if isinstance(column := prop.columns[0], Column)
        }
        self._users = Users(mapper, self._columns, current_user)
        self._required = [column for column in self._columns.values() if _is_required(column)]
        #: Whether there is something to do although nothing is said.
        self.asks: bool = current_user is not None or bool(self._required)

    def values(
        self,
        said: Mapping[str, Any],
        dialect: Dialect,
        *,
        by_plugins: Mapping[str, Any],
        given: Mapping[str, Any],
        is_flushed: bool,
        is_checked: bool = True,
    ) -> TransactionValues:
        """Return what a transaction says.

        :param said: the context, and the session variables.
        :param by_plugins: attributes of the transaction that plugins say; a user may be a key.
        :param given: attributes that were given to ``create_transaction()``.
        :param is_flushed: whether objects that are new have their rows by now.
        :param is_checked: whether what must be said is looked for here, and not by triggers, which
            read settings of the database as well.
        :raises InvalidArgument: if there is no place for what is said.
        :raises MissingSessionVariable: if a column that is not nullable has no value.
        """
        found, explicit = TransactionValues(), said
        if USER not in said and (user := self._users.ask(by_plugins)) is not None:
            said = {**said, USER: user}
        if USER in said:
            by_plugins = {k: v for k, v in by_plugins.items() if k not in self._users.names}
        self._split(by_plugins, found, is_flushed=is_flushed)
        for name, value in said.items():
            self._put(name, value, found, dialect, is_flushed=is_flushed)
        self._split(given, found, is_flushed=is_flushed)
        is_said = not self._users.names.isdisjoint({*explicit, *given})
        found.columns.update(
            self._users.noted(found.columns, is_later=USER in found.later, is_said=is_said)
        )
        for column in self._required if is_checked else ():
            takes_empty = column.key not in self._variables
            check_given(column, found.columns.get(column.key), takes_empty=takes_empty)
        return found

    def has(self, name: str) -> bool:
        """Tell whether transactions have an attribute of a name."""
        return name in self._mapper.all_orm_descriptors

    def _put(
        self,
        name: str,
        value: Any,
        found: TransactionValues,
        dialect: Dialect,
        *,
        is_flushed: bool,
    ) -> None:
        """Put what is said where it belongs."""
        column = self._columns.get(name)
        if name == USER and self._users.have_place:
            values = self._users.values(value, dialect)
            if values is None:
                found.later[USER] = value
            else:
                found.columns.update(values)
        elif column is not None:
            if column.primary_key:
                raise _no_number(name, value)
            plain = plain_value(name, value)
            found.columns[column.key] = storable(column, plain, dialect=dialect, name=name)
        elif name in self._mapper.all_orm_descriptors:
            self._split({name: value}, found, is_flushed=is_flushed)
        elif value is not None and name not in self._variables:
            self._put_further(name, value, found, dialect)

    def _put_further(
        self, name: str, value: Any, found: TransactionValues, dialect: Dialect
    ) -> None:
        """Leave what there is no place for to a plugin.

        :raises InvalidArgument: if none takes it.
        """
        if not self._takes_further():
            columns = "a user_cls" if name == USER else f"transaction_columns=[Column({name!r}, …)]"
            raise InvalidArgument(
                f"the context says {name}={value!r:.80}, and transactions have no place for it; "
                f"give make_versioned() {columns}, or the plugin TransactionMetaPlugin(), which "
                "takes everything else"
            )
        found.further[name] = plain_text(name, plain_value(name, value), dialect)

    def _split(
        self, attributes: Mapping[str, Any], found: TransactionValues, *, is_flushed: bool
    ) -> None:
        """Put attributes of a transaction to its columns, or leave them to a flush.

        :raises ImproperlyConfigured: if the class has no such attribute.
        """
        mapper = self._mapper
        for name, value in attributes.items():
            if name not in mapper.all_orm_descriptors:
                known = ", ".join(sorted(mapper.all_orm_descriptors.keys()))
                raise ImproperlyConfigured(
                    f"{mapper.class_.__name__} has no attribute {name!r}; it has {known}"
                )
            if name in self._users.names:
                found.later.pop(USER, None)
            if name in mapper.column_attrs:
                column: Any = mapper.column_attrs[name].columns[0]
                found.columns[column.key] = value
                continue
            foreign = _foreign_values(mapper, name, value, is_flushed=is_flushed)
            if foreign is not None:
                found.columns.update(foreign)
            else:
                found.later[name] = value


def _no_number(name: str, value: Any) -> InvalidArgument:
    return InvalidArgument(
        f"the context says {name}={value!r:.80}, but transactions are numbered by the "
        "database; call it something else"
    )


def _is_required(column: Column[Any]) -> bool:
    """Tell whether nobody but who writes can tell the value of a column."""
    has_default = column.default is not None or column.server_default is not None
    return not (column.nullable or column.primary_key or has_default or column.computed is not None)


def _foreign_values(
    mapper: Mapper[Any], name: str, value: Any, *, is_flushed: bool
) -> dict[str, Any] | None:
    """Return the foreign key that a relationship to *value* means, if it is known already."""
    relationship = mapper.relationships.get(name)
    if relationship is None or relationship.direction.name != "MANYTOONE":
        return None
    pairs = relationship.local_remote_pairs or ()
    if value is None:
        return {str(local.key): None for local, _ in pairs}
    state: InstanceState[Any] = inspect(value)
    if not (is_flushed or state.has_identity):
        return None
    found: dict[str, Any] = {}
    for local, remote in pairs:
        prop = relationship.mapper.get_property_by_column(remote)
        found[str(local.key)] = getattr(value, prop.key)
    return None if None in found.values() else found
