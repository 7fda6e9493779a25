"""Every error this library raises.

All of them derive from :class:`VersioningError`.  A message says what was asked, what was
found and what to do about it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError

__all__ = [
    "CaptureError",
    "ClassNotVersioned",
    "HistoryIsAppendOnly",
    "ImproperlyConfigured",
    "IncompleteHistory",
    "InvalidArgument",
    "InvalidArgumentType",
    "MissingSessionVariable",
    "NoChangesAttribute",
    "ReadOnlyRelationship",
    "ReadOnlySnapshot",
    "RelationshipNotVersioned",
    "ReverterException",
    "UnknownOption",
    "VersionIsImmutable",
    "VersionIsImmutableDelete",
    "VersionIsImmutableUpdate",
    "VersioningError",
]


class VersioningError(Exception):
    """The root of everything this library raises.

    >>> issubclass(ClassNotVersioned, VersioningError)
    True
    """


class ClassNotVersioned(VersioningError):
    """A version class, spec or manager was asked for that does not exist."""


class ImproperlyConfigured(VersioningError):
    """Models or options contradict each other; raised when mappers are configured."""


class UnknownOption(ImproperlyConfigured, KeyError):
    """An option was given that nothing reads."""

    # KeyError shows the repr of its argument, which makes a sentence hard to read.
    __str__ = Exception.__str__


class InvalidArgument(VersioningError, ValueError):
    """A function was given a value that it cannot do anything with; a ``ValueError``, too."""


class InvalidArgumentType(VersioningError, TypeError):
    """A function was given a value of the wrong kind; a ``TypeError``, too."""


class MissingSessionVariable(VersioningError, IntegrityError):
    """Something was about to be written without a value that must be said; nothing was.

    As it would be by the column that is not nullable, it is an ``IntegrityError``, too.

    >>> str(MissingSessionVariable("'reason' is not said"))
    "'reason' is not said"
    """

    def __init__(self, message: str) -> None:
        super().__init__(None, None, ValueError(message))
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message,)


class IncompleteHistory(VersioningError):
    """History does not reach as far as the question."""


class ReverterException(VersioningError):
    """A revert was asked for something that cannot be reverted."""


class CaptureError(VersioningError):
    """A write to a versioned table cannot be recorded, and therefore was refused."""


class ReadOnlySnapshot(VersioningError):
    """Something tried to write through a session that shows the past."""


class VersionIsImmutable(VersioningError):
    """A version object was about to be changed although versions are immutable."""


class VersionIsImmutableUpdate(VersionIsImmutable):
    """A version object was about to be updated."""


class VersionIsImmutableDelete(VersionIsImmutable):
    """A version object was about to be deleted."""


class HistoryIsAppendOnly(VersionIsImmutable, DBAPIError):
    """The database has refused to change history, as the option ``append_only`` asks for.

    >>> raise HistoryIsAppendOnly("UPDATE is refused", "UPDATE article_version", (), ValueError())
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.HistoryIsAppendOnly: UPDATE is refused
    """

    def __init__(self, message: str, statement: Any, params: Any, orig: BaseException) -> None:
        super().__init__(statement, params, orig)
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.statement, self.params, self.orig)


class NoChangesAttribute(VersioningError, AttributeError):
    """``entity_names`` was read from a transaction whose session is gone."""


class RelationshipNotVersioned(VersioningError, AttributeError):
    """A relationship was read from a version that cannot be followed into the past."""


class ReadOnlyRelationship(VersioningError, AttributeError):
    """A relationship of a version was about to be changed; it is read from history."""
