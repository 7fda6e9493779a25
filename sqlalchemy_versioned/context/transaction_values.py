"""What the row of a transaction says: from what is said of it to its columns.

Said are, the later winning: what plugins say, the user that the application tells when asked, the
context and the session variables, and what is given to ``create_transaction()``.  Each goes to a
column, or is left to the next flush, or to a plugin that takes what there is no column for; what
has no place is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty, object_session

from .._typing import MAPPING, mapper_of, new_dict, type_of
from ..exc import ImproperlyConfigured, InvalidArgument, InvalidArgumentType
from ..model.mapping import (
    USER_ID,
    USER_IS_SAID,
    primary_key_attributes,
    stored_key,
    user_reference,
)
from .values import check_given, plain_text, storable

__all__ = ["Places", "TransactionValues"]

#: What the context calls the user.
USER = "user"

#: What the key of a user may be given as, if it has several columns.
_KEYS: Any = (tuple, list)


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
        self._current_user = current_user
        self._variables = frozenset(variables)
        self._takes_further = takes_further
        #: By attribute.
        self._columns: dict[str, Column[Any]] = {
            prop.key: column
            for prop in mapper.column_attrs
            if isinstance(column := prop.columns[0], Column)
        }
        self._user: RelationshipProperty[Any] | None = mapper.relationships.get(USER)
        self._user_reference = user_reference(mapper)
        self._names_of_user = {USER, USER_ID}
        if self._user is not None:
            local = [mapper.get_property_by_column(each).key for each in self._user.local_columns]
            self._names_of_user = {USER, *local}
        #: Where transactions note whether somebody has said who the user is, if they do.
        self._user_is_said = self._columns.get(USER_IS_SAID)
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
        if USER not in said and (user := self._ask_for_user(by_plugins)) is not None:
            said = {**said, USER: user}
        if USER in said:
            by_plugins = {k: v for k, v in by_plugins.items() if k not in self._names_of_user}
        self._split(by_plugins, found, is_flushed=is_flushed)
        for name, value in said.items():
            self._put(name, value, found, dialect, is_flushed=is_flushed)
        self._split(given, found, is_flushed=is_flushed)
        self._note_who_said(found, is_said=not self._names_of_user.isdisjoint({*explicit, *given}))
        for column in self._required if is_checked else ():
            takes_empty = column.key not in self._variables
            check_given(column, found.columns.get(column.key), takes_empty=takes_empty)
        return found

    def has(self, name: str) -> bool:
        """Tell whether transactions have an attribute of a name."""
        return name in self._mapper.all_orm_descriptors

    # -- users -------------------------------------------------------------------------------

    def _ask_for_user(self, by_plugins: Mapping[str, Any]) -> Any:
        """Return the user that the application tells when asked, or else that plugins do."""
        user = None if self._current_user is None else self._current_user()
        if user is None:
            user = by_plugins.get(USER)
        if isawaitable(user):
            getattr(user, "close", lambda: None)()
            raise InvalidArgumentType(
                f"asked for the user, and found {user!r}, which nobody awaits here; give a "
                "function that returns the user, or use transaction_context()"
            )
        return user

    def _note_who_said(self, found: TransactionValues, *, is_said: bool) -> None:
        """Note whether the user was said, or answered; nothing where nobody is known."""
        keys = {column.key for column, _ in self._user_reference} or {USER_ID}
        is_known = USER in found.later or any(found.columns.get(key) is not None for key in keys)
        if self._user_is_said is not None and (is_said or is_known):
            found.columns[self._user_is_said.key] = is_said

    def _put_user(self, user: Any, found: TransactionValues, dialect: Dialect) -> bool:
        """Put the key of a user where it belongs; tell whether there is a place for it."""
        if self._user is None:
            column = self._columns.get(USER_ID)
            if column is not None:
                plain = _plain(USER, user)
                found.columns[column.key] = storable(column, plain, dialect=dialect, name=USER)
            return column is not None
        pairs = self._user_reference
        key = (None,) * len(pairs)
        if user is not None:
            key = self._key_of(user, self._user.mapper.class_, [name for _, name in pairs])
            if None in key:
                # Only what a session is about to write will have a key.
                if object_session(user) is None:
                    raise InvalidArgument(
                        f"user is {user!r:.80}, which is in no session and has no primary key; "
                        "add it to the session first"
                    )
                found.later[USER] = user
                return True
        for (column, _), value in zip(pairs, key, strict=True):
            found.columns[column.key] = storable(column, value, dialect=dialect, name=USER)
        return True

    def _key_of(self, user: Any, cls: type[Any], names: list[str]) -> tuple[Any, ...]:
        """Return the key of a user that is given as an object or a key."""
        is_object = _is_object(user)
        if is_object and isinstance(user, cls):
            return stored_key(user, names)
        if isinstance(user, MAPPING) and set(user) == set(names):
            return tuple(user[name] for name in names)
        key: tuple[Any, ...] = tuple(user) if isinstance(user, _KEYS) else (user,)
        if is_object or isinstance(user, MAPPING) or len(key) != len(names):
            raise InvalidArgumentType(
                f"user is {user!r:.80}; give an object of {cls.__name__}, or its primary key: "
                f"{', '.join(names)}"
            )
        return key

    # -- everything else ---------------------------------------------------------------------

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
        if name == USER and self._put_user(value, found, dialect):
            return
        if column is not None and column.primary_key:
            raise InvalidArgument(
                f"the context says {name}={value!r:.80}, but transactions are numbered by the "
                "database; call it something else"
            )
        if column is not None:
            plain = _plain(name, value)
            found.columns[column.key] = storable(column, plain, dialect=dialect, name=name)
        elif name in self._mapper.all_orm_descriptors:
            self._split({name: value}, found, is_flushed=is_flushed)
        elif value is None or name in self._variables:
            return
        elif self._takes_further():
            found.further[name] = plain_text(name, _plain(name, value), dialect)
        else:
            columns = "a user_cls" if name == USER else f"transaction_columns=[Column({name!r}, …)]"
            raise InvalidArgument(
                f"the context says {name}={value!r:.80}, and transactions have no place for it; "
                f"give make_versioned() {columns}, or the plugin TransactionMetaPlugin(), which "
                "takes everything else"
            )

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
            if name in self._names_of_user:
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


def _plain(name: str, value: Any) -> Any:
    """Return the primary key of what is said by an object; other values are what they are."""
    if not _is_object(value):
        return value
    key = stored_key(value, primary_key_attributes(mapper_of(type_of(value))))
    if len(key) != 1 or None in key:
        raise InvalidArgument(
            f"{name!r} is {value!r:.80}, whose primary key is {key}; say it by a value, or by an "
            "object with a primary key of one column that is flushed"
        )
    return key[0]


def _is_object(value: Any) -> bool:
    return getattr(value, "_sa_instance_state", None) is not None


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
