"""Who asks, and from where, in synchronous web applications: Flask, Django, Pyramid, Bottle.

Nothing of these is needed; the middleware speaks WSGI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from contextvars import copy_context
from typing import Any

from ..context.request import serving
from .middleware import Middleware

__all__ = ["WSGIMiddleware"]

#: Calls a function where a request is being served.
Run = Callable[..., Any]


class WSGIMiddleware(Middleware):
    """Records the user and the address of the requests of a WSGI application.

    A request lasts until the server has closed the response, so that one which is made while it is
    sent is recorded as well; what the application has started by itself and leaves behind belongs
    to no request.

    :param app: the application.
    :param user: called with the environment of a request when a transaction is written; returns
        the user, their id, or ``None``.
    :param remote_addr: called likewise; returns the address to record, in place of the client's.
    :param trusted_proxies: addresses and networks whose ``X-Forwarded-For`` is believed.
    :raises ImproperlyConfigured: if an argument cannot be used.

    >>> def app(environ, start_response): ...
    >>> app = WSGIMiddleware(app, user=lambda environ: environ.get("REMOTE_USER"))
    """

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serve what a server tells of."""
        # A server works on other requests between the parts of a response.
        run = copy_context().run
        with ExitStack() as stack:
            served = ExitStack()
            run(served.enter_context, serving(self.request(environ)))
            stack.callback(run, served.close)
            response: Iterable[bytes] = run(self.app, environ, start_response)
            if not _is_complete(response, environ):
                return _Response(response, run, stack.pop_all())
        return response

    def peer(self, said: dict[str, Any]) -> tuple[str | None, str]:
        """Return the address at the other end, and the list of ``X-Forwarded-For``."""
        return said.get("REMOTE_ADDR"), said.get("HTTP_X_FORWARDED_FOR", "")


def _is_complete(response: Any, environ: dict[str, Any]) -> bool:
    """Tell whether nothing of the application runs any more while a response is sent.

    Servers send lists and files in ways of their own, so these must reach them as they are.
    """
    files = environ.get("wsgi.file_wrapper")
    is_file = isinstance(files, type) and isinstance(response, files)
    return is_file or type(response) in (list, tuple)


class _Response:
    """A response whose parts are made while it is sent."""

    def __init__(self, response: Iterable[bytes], run: Run, ending: ExitStack) -> None:
        self._response = response
        self._run = run
        self._ending = ending
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._parts is None:
            self._parts = self._run(iter, self._response)
        part: bytes = self._run(next, self._parts)
        return part

    def close(self) -> None:
        """Let the application clean up; then the request is over."""
        with self._ending:
            self._run(getattr(self._response, "close", _nothing))


def _nothing() -> None:
    """Do nothing."""
