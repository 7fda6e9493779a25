"""Who asks, and from where, in asynchronous web applications: Starlette, FastAPI, Litestar.

Nothing of these is needed; the middleware speaks ASGI.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..context.request import serving
from .middleware import Middleware

__all__ = ["ASGIMiddleware"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ASGIMiddleware(Middleware):
    """Records the user and the address of the requests and websockets of an ASGI application.

    A request lasts until the application has returned from it, background tasks included; what it
    has started by itself and leaves behind belongs to no request.

    :param app: the application.
    :param user: called with the scope of a request when a transaction is written; returns the
        user, their id, or ``None``.
    :param remote_addr: called likewise; returns the address to record, in place of the client's.
    :param trusted_proxies: addresses and networks whose ``X-Forwarded-For`` is believed.
    :raises ImproperlyConfigured: if an argument cannot be used.

    >>> async def app(scope, receive, send): ...
    >>> app = ASGIMiddleware(app, user=lambda scope: scope["user"].id)
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what a server tells of."""
        if scope["type"] in ("http", "websocket"):
            with serving(self.request(scope)):
                await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def peer(self, said: Scope) -> tuple[str | None, str]:
        """Return the address at the other end, and the list of ``X-Forwarded-For``."""
        client = said.get("client")
        headers = said.get("headers") or ()
        lists = [value for name, value in headers if name.lower() == b"x-forwarded-for"]
        return (client[0] if client else None), b",".join(lists).decode("latin-1")
