"""Who writes, and why: what transactions are to say about themselves, kept for the running task.

The context is a :class:`~contextvars.ContextVar`: a thread knows its own only, and a task starts
with that of the task which made it.  What a block has set ends with the block everywhere, so a job
that a request has started does not go on in its name once the request is over.

Nothing is written here; whoever begins a transaction reads :func:`values_in_force`.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..exc import InvalidArgument

__all__ = [
    "UNSAID",
    "clear_transaction_context",
    "get_transaction_context",
    "set_transaction_context",
    "transaction_context",
    "values_in_force",
]

#: The default of what need not be said, where ``None`` would say something.
UNSAID: Any = ...

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class _Life:
    """Whether a block goes on, and which task of which thread is in it."""

    owner: tuple[int, weakref.ref[Any] | None]
    is_over: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """What was said in one place."""

    values: Mapping[str, Any]
    around: _Frame | None
    #: The block that it ends with; ``None`` for what holds until it is cleared.
    life: _Life | None
    #: Whether nothing from around is in force.
    hides: bool = False
    is_block: bool = False

    @property
    def is_over(self) -> bool:
        return self.life is not None and self.life.is_over


_current: ContextVar[_Frame | None] = ContextVar("sqlalchemy_versioned_context", default=None)


def values_in_force() -> Mapping[str, Any]:
    """Return what is in force, not to be changed."""
    frame = _current.get()
    if frame is None:
        return _NOTHING
    found: list[_Frame] = []
    while frame is not None:
        if not frame.is_over:
            found.append(frame)
            if frame.hides:
                break
        frame = frame.around
    if not found:
        return _NOTHING
    merged: dict[str, Any] = {}
    # From the outermost inwards, so that what is said further inside wins.
    for each in reversed(found):
        merged.update(each.values)
    return merged


class transaction_context:  # Used like a function.
    """Say who writes, and why, for every transaction that is written inside the block.

    Blocks nest: an inner one adds to what is said around it, and wins.  At the end everything is as
    it was before, also if it was set inside by :func:`set_transaction_context`; tasks that the
    block has started do not keep what it said.

    :param user: an object of the user class, or its primary key; a tuple if that has several
        columns.  ``None`` means that nobody is known, whatever is said elsewhere.
    :param reason: why.
    :param impersonated_by: who acts for the user.
    :param meta: what else is to be kept; see the options ``transaction_columns`` and
        ``session_variables``, and ``TransactionMetaPlugin``, for where.

    >>> with transaction_context(user=7):
    ...     with transaction_context(reason="typo"):
    ...         get_transaction_context()
    {'user': 7, 'reason': 'typo'}
    >>> get_transaction_context()
    {}
    """

    def __init__(
        self,
        /,
        *,
        user: Any = UNSAID,
        reason: Any = UNSAID,
        impersonated_by: Any = UNSAID,
        **meta: Any,
    ) -> None:
        self._values = _said(user, reason, impersonated_by, meta)
        self._life: _Life | None = None
        self._token: Token[_Frame | None] | None = None

    def __enter__(self) -> None:
        if self._token is not None:
            raise InvalidArgument(
                f"this transaction_context({', '.join(self._values)}) is entered already; "
                "make one for each block"
            )
        self._life = _Life(_here())
        frame = _Frame(self._values, _living(_current.get()), self._life, is_block=True)
        self._token = _current.set(frame)

    def __exit__(self, *details: Any) -> None:
        assert self._token is not None
        assert self._life is not None
        token, self._token, self._life.is_over = self._token, None, True
        try:
            _current.reset(token)
        except ValueError:
            # A generator may be closed elsewhere than where it was begun; being over, the block
            # says nothing there.
            return


def set_transaction_context(
    *,
    user: Any = UNSAID,
    reason: Any = UNSAID,
    impersonated_by: Any = UNSAID,
    **meta: Any,
) -> None:
    """Say who writes, and why, until it is cleared or the :class:`transaction_context` ends.

    What was said before and is not said anew stays in force.

    :param user: as for :class:`transaction_context`, as are the others.

    >>> set_transaction_context(user=7)
    >>> set_transaction_context(reason="import")
    >>> get_transaction_context()
    {'user': 7, 'reason': 'import'}
    >>> clear_transaction_context()
    """
    _replace(_said(user, reason, impersonated_by, meta), hides=False)


def get_transaction_context() -> dict[str, Any]:
    """Return what a transaction would say that was written now.

    >>> get_transaction_context()
    {}
    """
    return dict(values_in_force())


def clear_transaction_context() -> None:
    """Say nothing any more; at the end of a :class:`transaction_context` all is as before it.

    >>> with transaction_context(user=7):
    ...     clear_transaction_context()
    ...     get_transaction_context()
    {}
    """
    _replace({}, hides=True)


def _said(user: Any, reason: Any, impersonated_by: Any, meta: dict[str, Any]) -> dict[str, Any]:
    known = {"user": user, "reason": reason, "impersonated_by": impersonated_by}
    return {**{key: value for key, value in known.items() if value is not UNSAID}, **meta}


def _replace(values: dict[str, Any], *, hides: bool) -> None:
    """Put *values* on top of what is in force, in place of what was put there so before."""
    around = _living(_current.get())
    life = around.life if around is not None else None
    # What a task says itself does not end with a block that it was started in.
    if life is not None and life.owner != _here():
        life = None
    if around is not None and not around.is_block and around.life is life:
        values, hides = ({} if hides else {**around.values, **values}), hides or around.hides
        around = around.around
    _current.set(_Frame(values, None if hides else around, life, hides))


def _living(frame: _Frame | None) -> _Frame | None:
    """Return the innermost frame that is not over."""
    while frame is not None and frame.is_over:
        frame = frame.around
    return frame


def _here() -> tuple[int, weakref.ref[Any] | None]:
    """Return the thread and the task that are running."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    # Weakly: what was said may be remembered longer than a task lives.
    return threading.get_ident(), None if task is None else weakref.ref(task)
