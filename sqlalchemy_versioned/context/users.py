"""How transactions name the user, who is given as an object, by its key or by a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

from sqlalchemy import Column
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapper, RelationshipProperty, object_session

from .._typing import MAPPING, mapper_of, type_of
from ..exc import InvalidArgument, InvalidArgumentType
from ..model.mapping import (
    USER_ID,
    USER_IS_SAID,
    primary_key_attributes,
    stored_key,
    user_reference,
)
from .values import storable

__all__ = ["USER", "Users", "plain_value"]

#: What the context calls the user.
USER = "user"

#: What the key of a user may be given as, if it has several columns.
_KEYS: Any = (tuple, list)


class Users:
    """How the transactions of a manager tell who the user is.

    :param columns: the columns of transactions, by attribute.
    :param current_user: returns the user where the context has none, if it is not ``None``.
    """

    def __init__(
        self,
        mapper: Mapper[Any],
        columns: Mapping[str, Column[Any]],
        current_user: Callable[[], Any] | None,
    ) -> None:
        self._current_user = current_user
        self._user: RelationshipProperty[Any] | None = mapper.relationships.get(USER)
        self._reference = user_reference(mapper)
        self._column = columns.get(USER_ID)
        #: Where transactions note whether somebody has said who the user is, if they do.
        self._is_said = columns.get(USER_IS_SAID)
        #: Whether there is a place for the user.
        self.have_place: bool = self._user is not None or self._column is not None
        #: The attributes of transactions that name the user.
        self.names: frozenset[str] = frozenset({USER, USER_ID})
        if self._user is not None:
            local = [mapper.get_property_by_column(each).key for each in self._user.local_columns]
            self.names = frozenset({USER, *local})

    def ask(self, by_plugins: Mapping[str, Any]) -> Any:
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

    def values(self, user: Any, dialect: Dialect) -> dict[str, Any] | None:
        """Return the columns that name a user, or ``None`` if only a flush will know its key.

        :raises InvalidArgument: if the user is an object that nobody is about to write.
        """
        if self._user is None:
            assert self._column is not None
            return _stored([self._column], (plain_value(USER, user),), dialect)
        columns = [column for column, _ in self._reference]
        if user is None:
            return _stored(columns, (None,) * len(columns), dialect)
        key = self._key_of(user, self._user.mapper.class_)
        if None in key:
            _check_waits(user)
            return None
        return _stored(columns, key, dialect)

    def noted(self, columns: Mapping[str, Any], *, is_later: bool, is_said: bool) -> dict[str, Any]:
        """Return what notes whether the user was said, or answered; nothing where none is known.

        :param columns: what a transaction says, by the key of the column.
        :param is_later: whether a flush will write the user.
        """
        if self._is_said is None:
            return {}
        keys = {column.key for column, _ in self._reference} or {USER_ID}
        is_known = is_later or any(columns.get(key) is not None for key in keys)
        return {self._is_said.key: is_said} if is_said or is_known else {}

    def _key_of(self, user: Any, cls: type[Any]) -> tuple[Any, ...]:
        """Return the key of a user that is given as an object or a key."""
        names = [name for _, name in self._reference]
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


def _stored(columns: list[Column[Any]], key: tuple[Any, ...], dialect: Dialect) -> dict[str, Any]:
    return {
        column.key: storable(column, value, dialect=dialect, name=USER)
        for column, value in zip(columns, key, strict=True)
    }


def _check_waits(user: Any) -> None:
    # Only what a session is about to write will have a key.
    if object_session(user) is None:
        raise InvalidArgument(
            f"user is {user!r:.80}, which is in no session and has no primary key; "
            "add it to the session first"
        )


def plain_value(name: str, value: Any) -> Any:
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
