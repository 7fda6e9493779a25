"""Who asks, and from where, in Flask applications, with or without Flask-Login."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from sqlalchemy import inspect

from ..exc import ImproperlyConfigured
from ..hooks import Plugin
from ..model.arguments import check_function
from .addresses import address_of, checked_address

__all__ = ["FlaskPlugin"]


class FlaskPlugin(Plugin):
    """Records the user and the address of the Flask request that writes.

    Outside of a request it knows neither.  The user is Flask-Login's ``current_user``, if that is
    installed and the application uses it; an anonymous one is nobody.

    :param current_user_id_factory: gives the user, or their id, in place of Flask-Login; it is
        called outside of requests as well.
    :param remote_addr_factory: gives the address in place of ``request.remote_addr``; likewise.
    :raises ImproperlyConfigured: if Flask is not installed.
    :raises InvalidArgumentType: if one of them is no function, or has to be awaited.

    >>> FlaskPlugin().transaction_args(None, session)
    {}
    """

    is_single = True

    def __init__(
        self,
        current_user_id_factory: Callable[[], Any] | None = None,
        remote_addr_factory: Callable[[], str | None] | None = None,
    ) -> None:
        self._flask = _imported("flask")
        if self._flask is None:
            raise ImproperlyConfigured(
                "FlaskPlugin was asked for, and Flask cannot be imported; install Flask, or use "
                "WSGIMiddleware or ASGIMiddleware with another framework"
            )
        check_function("current_user_id_factory", current_user_id_factory)
        check_function("remote_addr_factory", remote_addr_factory)
        self._login = _imported("flask_login")
        self._find_user = current_user_id_factory
        self._find_address = remote_addr_factory
        self._transaction: Any = None

    def after_build_tx_class(self, manager: Any) -> None:
        """Remember what transactions have to keep it in."""
        self._transaction = inspect(manager.transaction_cls)

    def before_take_apart(self, manager: Any) -> None:
        """Forget the Transaction class."""
        self._transaction = None

    def transaction_args(self, uow: Any, session: Any) -> Mapping[str, Any]:
        """Return what is known of the request that is being served."""
        known = {"user": self._user(), "remote_addr": self._address()}
        return {key: value for key, value in known.items() if value is not None}

    def _user(self) -> Any:
        if self._find_user is not None:
            return self._find_user()
        link = self._kept("user")
        if link is None:
            return None
        found = self._logged_in()
        if found is None or isinstance(found, link.entity.class_):
            return found
        # Flask-Login takes anything for a user; what it knows one by may be text.
        return getattr(found, "id", None) or found.get_id()

    def _logged_in(self) -> Any:
        """Return the user of Flask-Login, unless that is anonymous or not in use."""
        flask, login = self._flask, self._login
        if login is None or not flask.has_request_context():
            return None
        if not hasattr(flask.current_app, "login_manager"):
            return None
        found = login.current_user._get_current_object()
        return found if found.is_authenticated else None

    def _address(self) -> str | None:
        if self._find_address is not None:
            return checked_address(self._find_address())
        if self._kept("remote_addr") is None or not self._flask.has_request_context():
            return None
        return address_of(self._flask.request.remote_addr)

    def _kept(self, name: str) -> Any:
        """Return the attribute that transactions keep something in, if they do."""
        return None if self._transaction is None else self._transaction.attrs.get(name)


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
