"""What a manager is told: options, plugins, users, and the variables of sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from inspect import iscoroutinefunction
from typing import Any

from sqlalchemy import Select

from ..build.transaction import TransactionFactory
from ..context.session_variables import build_statement, set_variables, variables_set
from ..exc import ImproperlyConfigured
from ..hooks import Plugin, PluginCollection
from ..options import DEFAULTS, Options
from ..recording.surroundings import Surroundings
from ..said_options import build_options, check_option_names, said_options

__all__ = ["Settings"]


class SaidOptions(dict[str, Any]):
    """Options as somebody said them, which answers with the default where nobody did.

    >>> options = SaidOptions(table_name="%s_history")
    >>> options["table_name"], options["versioning"], list(options)
    ('%s_history', True, ['table_name'])
    """

    def __missing__(self, name: str) -> Any:
        (in_full,) = said_options({name: None}, owner="versioning")
        check_option_names([in_full], owner="versioning")
        return self.get(in_full, getattr(DEFAULTS, in_full))


class Settings:
    """What a manager is told; :class:`.VersioningManager` tells of the parameters."""

    _surroundings: Surroundings

    def __init__(
        self,
        transaction_cls: Any,
        user_cls: Any,
        plugins: Iterable[Plugin] | None,
        options: dict[str, Any] | None,
    ) -> None:
        self._defaults = (transaction_cls or TransactionFactory(), user_cls)
        self.transaction_cls: Any = self._defaults[0]
        self.user_cls: Any = user_cls
        self._current_user: Callable[[], Any] | None = None
        self._plugins = PluginCollection(plugins)
        #: What was said for all classes; an option that nobody has said is read as its default.
        self.options: dict[str, Any] = SaidOptions(
            said_options(options or {}, owner="VersioningManager()")
        )

    @property
    def plugins(self) -> PluginCollection:
        """The plugins; a list of them can be assigned until mappers are configured."""
        return self._plugins

    @plugins.setter
    def plugins(self, plugins: Iterable[Plugin] | None) -> None:
        if not isinstance(plugins, PluginCollection):
            plugins = PluginCollection(plugins)
        self._plugins = self._surroundings.plugins = plugins

    @property
    def current_user(self) -> Callable[[], Any] | None:
        """What returns the user who writes where the context does not tell, or ``None``."""
        return self._current_user

    @current_user.setter
    def current_user(self, current_user: Callable[[], Any] | None) -> None:
        if current_user is not None and (
            not callable(current_user) or iscoroutinefunction(current_user)
        ):
            raise ImproperlyConfigured(
                f"current_user is {current_user!r}; give a function without arguments that "
                "returns the user, or the key of one, and need not be awaited"
            )
        self._current_user = current_user
        self._surroundings.forget()

    def set_session_variables(self, subject: Any, values: Mapping[str, Any]) -> None:
        """Say *values* for the transaction that a session or connection is in.

        See :func:`sqlalchemy_versioned.set_session_variables`, which does so with the options of
        the default manager.

        >>> versioning_manager.set_session_variables(session, {"reason": "import"})
        """
        namespace = self._build_options().session_variable_namespace
        set_variables(subject, values, namespace=namespace)

    def session_variables(
        self, subject: Any, values: Mapping[str, Any]
    ) -> AbstractContextManager[None]:
        """Say *values* inside a block for the transaction that a session or connection is in.

        See :func:`sqlalchemy_versioned.session_variables`.

        >>> with versioning_manager.session_variables(session, {"reason": "import"}):
        ...     session.commit()
        """
        namespace = self._build_options().session_variable_namespace
        return variables_set(subject, values, namespace=namespace)

    def session_variables_statement(self, values: Mapping[str, Any]) -> Select[Any]:
        """Return a statement that sets session variables on PostgreSQL.

        See :func:`sqlalchemy_versioned.session_variables_statement`.

        >>> statement = versioning_manager.session_variables_statement({"reason": "import"})
        """
        namespace = self._build_options().session_variable_namespace
        return build_statement(values, namespace=namespace)

    def _forget_settings(self) -> None:
        self.transaction_cls, self.user_cls = self._defaults
        self._current_user = None
        self.plugins = PluginCollection()
        self.options.clear()

    def _is_on(self) -> bool:
        return bool(self.options.get("versioning", True))

    def _build_options(self) -> Options:
        also = self._plugins.option_names
        return build_options(self.options, owner="make_versioned()", also=also)
