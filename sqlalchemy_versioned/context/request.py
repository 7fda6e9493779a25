"""The request that a web application is serving: who asks, and from where.

A middleware says so by :class:`serving`; whoever begins a transaction asks
:func:`current_request`.  Nothing is found out for a request that writes nothing, and of one that is
over nothing is told any more: what it has started, and has outlived it, is not its doing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any

from .transaction_context import transaction_context

__all__ = ["Request", "current_request", "serving"]


@dataclass(slots=True, eq=False)
class Request:
    """A request, and how to find out about it."""

    #: Gives the address to record, if there is one.
    remote_addr: Callable[[], str | None]
    #: Gives the user, or the id of one, if there is one; ``None`` where nobody said how.
    user: Callable[[], Any] | None = None
    #: The same request as an application around this one has it.
    outer: Request | None = None
    is_over: bool = False

    def find(self, is_kept: Callable[[str], bool]) -> dict[str, Any]:
        """Return what is known, as attributes of a transaction.

        :param is_kept: tells whether transactions have an attribute of a name.  The user is told
            all the same if the application said how, so that it is not lost without a word.
        """
        found = {} if self.outer is None else self.outer.find(is_kept)
        own: dict[str, Any] = {}
        if is_kept("remote_addr"):
            own["remote_addr"] = self.remote_addr()
        if self.user is not None:
            own["user"] = self.user()
        return {**found, **{key: value for key, value in own.items() if value is not None}}


_served: ContextVar[Request | None] = ContextVar("sqlalchemy_versioned_request", default=None)


def current_request() -> Request | None:
    """Return the request that is being served here, if there is one."""
    request = _served.get()
    while request is not None and request.is_over:
        request = request.outer
    return request


class serving:  # Used like a function.
    """Serve *request* inside of the block; what is said there of transactions ends with it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._said = transaction_context()
        self._token: Token[Request | None] | None = None

    def __enter__(self) -> None:
        self._said.__enter__()
        self._token = _served.set(self._request)

    def __exit__(self, *details: Any) -> None:
        assert self._token is not None
        self._request.is_over = True
        self._said.__exit__(*details)
        # A task that is never ended is thrown away elsewhere than where it ran.
        with suppress(ValueError):
            _served.reset(self._token)
