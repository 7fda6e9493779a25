"""Every error this library raises.

All of them derive from :class:`VersioningError`.  A message says what was asked, what was
found and what to do about it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError, MissingGreenlet

__all__ = [
    "CaptureError",
    "ClassNotVersioned",
    "HistoryIsAppendOnly",
    "ImproperlyConfigured",
    "IncompleteHistory",
    "InvalidArgument",
    "InvalidArgumentType",
    "MissingSessionVariable",
    "MustBeAwaited",
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
    """A version class, spec or manager was asked for that does not exist.

    >>> version_class(int)
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.ClassNotVersioned: int has no version class: give it ...
    """


class ImproperlyConfigured(VersioningError):
    """Models or options contradict each other; raised when mappers are configured.

    >>> make_versioned(strategy="newest")
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.ImproperlyConfigured: make_versioned(): strategy is 'newest'; ...
    """


class UnknownOption(ImproperlyConfigured, KeyError):
    """An option was given that nothing reads.

    >>> make_versioned(strategie="validity")
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.UnknownOption: make_versioned() has no option 'strategie'; known ...
    """

    # KeyError shows the repr of its argument, which makes a sentence hard to read.
    def __str__(self) -> str:
        return Exception.__str__(self)


class InvalidArgument(VersioningError, ValueError):
    """A function was given a value that it cannot do anything with; a ``ValueError``, too.

    >>> get_changes(Article, session, sort_by="mood")
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.InvalidArgument: sort_by is 'mood'; choose from 'issued_at', ...
    """


class InvalidArgumentType(VersioningError, TypeError):
    """A function was given a value of the wrong kind; a ``TypeError``, too.

    >>> get_changes(Article, session, fields=5)
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.InvalidArgumentType: fields has 5; give the names of attributes, ...
    """


class MustBeAwaited(VersioningError, MissingGreenlet):
    """Something that asks a database was not awaited, and the session is an ``AsyncSession``.

    It says which awaitable form there is.  As the error of SQLAlchemy, it is a ``MissingGreenlet``.

    >>> issubclass(MustBeAwaited, VersioningError)
    True
    """


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
    """History does not reach as far as the question.

    >>> from sqlalchemy_versioned.maintenance import prune
    >>> prune(session, Article, keep=1)
    1
    >>> as_of(session, first).get(Article, 1)
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.IncompleteHistory: the history of article ...
    """


class ReverterException(VersioningError):
    """A revert was asked for something that cannot be reverted.

    >>> article.versions[0].revert(relations=["nobody"])
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.ReverterException: relations has 'nobody', but ...
    """


class CaptureError(VersioningError):
    """A write to a versioned table cannot be recorded, and therefore was refused.

    >>> from sqlalchemy import text
    >>> session.execute(text("UPDATE article SET name = 'x'"))
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.CaptureError: a statement writes article in a way that cannot be ...
    """


class ReadOnlySnapshot(VersioningError):
    """Something tried to write through a session that shows the past.

    >>> as_of(session, first).add(Article(name="New"))
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.ReadOnlySnapshot: this session reads what was at transaction ...
    """


class VersionIsImmutable(VersioningError):
    """A version object was about to be changed although ``immutable_versions`` is set.

    >>> issubclass(VersionIsImmutableUpdate, VersionIsImmutable)
    True
    """


class VersionIsImmutableUpdate(VersionIsImmutable):
    """A version object was about to be updated.

    >>> issubclass(VersionIsImmutableUpdate, VersioningError)
    True
    """


class VersionIsImmutableDelete(VersionIsImmutable):
    """A version object was about to be deleted.

    >>> issubclass(VersionIsImmutableDelete, VersionIsImmutable)
    True
    """


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
    """``entity_names`` was read from a transaction whose session is gone.

    >>> session.expunge(last)
    >>> last.entity_names
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.NoChangesAttribute: ...
    """


class RelationshipNotVersioned(VersioningError, AttributeError):
    """A relationship was read from a version that cannot be followed into the past.

    As attributes do that are not there, it lets ``getattr()`` return a default.

    >>> issubclass(RelationshipNotVersioned, AttributeError)
    True
    """


class ReadOnlyRelationship(VersioningError, AttributeError):
    """A relationship of a version was about to be changed; it is read from history.

    >>> issubclass(ReadOnlyRelationship, AttributeError)
    True
    """
