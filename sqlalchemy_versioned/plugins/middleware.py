"""What the middlewares share: the arguments they take, and what they know of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from ..context.request import Request, current_request
from ..exc import ImproperlyConfigured
from .addresses import Proxies, checked_address

__all__ = ["Middleware"]


class Middleware:
    """A web application around another one, which says what requests it is serving.

    :param app: the application.
    :param user: called with what the gateway told of the request; returns the user or their id.
    :param remote_addr: called likewise; returns the address to record.
    :param trusted_proxies: whose ``X-Forwarded-For`` is believed.
    :raises ImproperlyConfigured: if an argument cannot be used.
    """

    def __init__(
        self,
        app: Any,
        *,
        user: Callable[[Any], Any] | None = None,
        remote_addr: Callable[[Any], str | None] | None = None,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        self.app = app
        self._user = _checked("user", user)
        self._remote_addr = _checked("remote_addr", remote_addr)
        self._proxies = Proxies(trusted_proxies)
        if not callable(app):
            raise ImproperlyConfigured(
                f"app is {app!r}, which is no web application; give the one to put this around"
            )

    def peer(self, said: Any) -> tuple[str | None, str]:
        """Return the address at the other end, and the list of ``X-Forwarded-For``."""
        raise NotImplementedError

    def request(self, said: Any) -> Request:
        """Return the request that a gateway has told of."""
        return Request(
            remote_addr=partial(self._find_address, said),
            user=None if self._user is None else partial(self._user, said),
            outer=current_request(),
        )

    def _find_address(self, said: Any) -> str | None:
        if self._remote_addr is not None:
            return checked_address(self._remote_addr(said))
        return self._proxies.client(*self.peer(said))


def _checked(name: str, function: Any) -> Any:
    if function is None:
        return None
    if not callable(function) or iscoroutinefunction(function):
        raise ImproperlyConfigured(
            f"{name} is {function!r}, which cannot be called while a transaction is written; "
            "give a plain function that looks where your authentication leaves what it finds"
        )
    return function
