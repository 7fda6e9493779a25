"""The composition root: options in, everything else put together and taken apart again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import iscoroutinefunction
from typing import Any

from sqlalchemy import Column, MetaData, Select, event, inspect
from sqlalchemy.orm import Mapper, Session, configure_mappers
from sqlalchemy.orm import registry as orm_registry

from . import _sqlalchemy
from .build.classes import place_beside
from .build.context_columns import build_transaction_columns, check_columns
from .build.inheritance import declarative_base_of, has_rows
from .build.pipeline import Round
from .build.registry import TRANSACTION_CLASS, Registry, forget
from .build.transaction import DefaultName, TransactionFactory
from .exc import ImproperlyConfigured
from .hooks import Plugin, PluginCollection
from .immutable import guard_versions
from .lookup import MANAGER, SPEC, is_switched_on
from .options import Options, build_options, check_option_names
from .session_variables import build_statement, set_variables
from .spec import ClassSpec
from .tracking import Tracker
from .unit_of_work import Surroundings, UnitOfWork

__all__ = ["VersioningManager"]

#: The user class that is linked to if there is one.
DEFAULT_USER = DefaultName("User")


class VersioningManager:
    """Versions the classes of one application, or of a part of it.

    Several managers can live in one process.  Each has its own options, Transaction class and
    sessions; give each its own base class as ``mapper`` to :func:`.make_versioned`.

    :param transaction_cls: a :class:`.TransactionFactory`, or a mapped class to use.
    :param user_cls: the class of users, its name, or ``None`` for none.
    :param plugins: plugins, in the order in which their hooks are called.
    :param options: options for all classes.

    >>> VersioningManager(options={"strategy": "subquery"}).options["strategy"]
    'subquery'
    """

    def __init__(
        self,
        transaction_cls: Any = None,
        user_cls: Any = DEFAULT_USER,
        plugins: Iterable[Plugin] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._defaults = (transaction_cls or TransactionFactory(), user_cls)
        self.transaction_cls: Any = self._defaults[0]
        self._said_transaction_cls: Any = None
        self.user_cls: Any = user_cls
        self._current_user: Callable[[], Any] | None = None
        self._plugins = PluginCollection(plugins)
        self.options: dict[str, Any] = dict(options or {})
        self._registry = Registry()
        self._mappers: list[Any] = []
        self._sessions: list[Any] = []
        self._first: Mapper[Any] | None = None
        self._is_building = False
        self._surroundings = Surroundings(
            transaction_class=lambda: self.transaction_cls,
            plugins=lambda: self.plugins,
            versioned=lambda: self._registry.classes,
            current_user=lambda: self._current_user,
        )
        self._tracker = Tracker(
            self._surroundings,
            is_on=is_switched_on,
            are_links_on=lambda: bool(self.options.get("versioning", True)),
        )

    # -- what there is -----------------------------------------------------------------------

    @property
    def version_class_map(self) -> dict[type[Any], type[Any]]:
        """Version classes by parent class."""
        return {s.parent_class: s.version_class for s in self._exposed()}

    @property
    def parent_class_map(self) -> dict[type[Any], type[Any]]:
        """Parent classes by version class."""
        return {s.version_class: s.parent_class for s in self._exposed()}

    @property
    def association_tables(self) -> set[Any]:
        """The association tables whose rows are versioned."""
        return set(self._registry.associations)

    @property
    def association_version_tables(self) -> set[Any]:
        """The version tables of :attr:`association_tables`."""
        return {h.root.version_table for h in self._registry.associations.values()}

    @property
    def plugins(self) -> PluginCollection:
        """The plugins; a list of them can be assigned until mappers are configured."""
        return self._plugins

    @plugins.setter
    def plugins(self, plugins: Iterable[Plugin] | None) -> None:
        if not isinstance(plugins, PluginCollection):
            plugins = PluginCollection(plugins)
        self._plugins = plugins

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

    @property
    def declarative_base(self) -> type[Any] | None:
        """The declarative base of the first versioned class; ``None`` if it has none."""
        return None if self._first is None else declarative_base_of(self._first)

    @property
    def registry(self) -> orm_registry:
        """The registry of the first versioned class."""
        return self._home.registry

    @property
    def metadata(self) -> MetaData:
        """The ``MetaData`` of the first versioned class: the transaction table is in it."""
        return next(iter(self._home.tables)).metadata  # type: ignore[attr-defined, no-any-return]

    @property
    def context_columns(self) -> list[Column[Any]]:
        """New columns for what transactions are to keep of the context, as the options say."""
        return build_transaction_columns(self._build_options())

    def _build_options(self) -> Options:
        also = self.plugins.option_names
        return build_options(self.options, owner="make_versioned()", also=also)

    @property
    def _home(self) -> Mapper[Any]:
        if self._first is None:
            raise ImproperlyConfigured(
                "no versioned class is known yet; call configure_mappers() after declaring one"
            )
        return self._first

    def unit_of_work(self, session: Any) -> UnitOfWork:
        """Return the unit of work of a session's current transaction.

        :param session: a Session, a ``scoped_session`` or an ``AsyncSession``.

        >>> versioning_manager.unit_of_work(session)
        <UnitOfWork without a transaction>
        """
        return self._tracker.unit_of_work(session)

    def set_session_variables(self, subject: Any, values: Mapping[str, Any]) -> None:
        """Say *values* for the transaction that a session or connection is in.

        See :func:`sqlalchemy_versioned.set_session_variables`, which does so with the options of
        the default manager.

        >>> versioning_manager.set_session_variables(session, {"reason": "import"})
        """
        namespace = self._build_options().session_variable_namespace
        set_variables(subject, values, namespace=namespace)

    def session_variables_statement(self, values: Mapping[str, Any]) -> Select[Any]:
        """Return a statement that sets session variables on PostgreSQL.

        See :func:`sqlalchemy_versioned.session_variables_statement`.

        >>> statement = versioning_manager.session_variables_statement({"reason": "import"})
        """
        namespace = self._build_options().session_variable_namespace
        return build_statement(values, namespace=namespace)

    def record_engine(self, engine: Any) -> None:
        """Record what any connection of *engine* writes, also those that no session has.

        Needed where an engine is used without sessions, or only with sessions that were not named
        to :func:`.make_versioned`; the engines of the others are found when they begin.

        :param engine: an ``Engine`` or an ``AsyncEngine``.

        >>> versioning_manager.record_engine(engine)
        """
        self._tracker.record_engine(
            _sqlalchemy.root_engine_of(getattr(engine, "sync_engine", engine))
        )

    def look_again(self) -> None:
        """Find out anew, at the next flushes, which tables have rows without versions."""
        self._surroundings.look_again()

    def _exposed(self) -> Iterator[ClassSpec]:
        return (spec for spec in self._registry.classes.values() if spec.exposed)

    # -- on and off --------------------------------------------------------------------------

    def start(self, *, mapper: Any = Mapper, session: Any = Session) -> None:
        """Version the classes of *mapper* in the sessions of *session*; may be called again.

        :param mapper: ``Mapper`` for all classes, a base class for those derived from it, or a
            registry for those mapped by it.
        :param session: ``Session`` for all sessions, a Session class, factory or session; an
            asynchronous one stands for the Session class it uses.
        """
        if not any(known is mapper for known in self._mappers):
            self._mappers.append(mapper)
            if isinstance(mapper, type) and mapper is not Mapper:
                type.__setattr__(mapper, MANAGER, self)
        if not event.contains(Mapper, "after_configured", self._after_configured):
            event.listen(Mapper, "after_configured", self._after_configured)
        target = _sync_target(session)
        if not any(known is target for known in self._sessions):
            self._sessions.append(target)
            self._tracker.listen_to_sessions(target)
        if any(inspect(cls).configured for cls in self._pending()):
            configure_mappers()
            self._after_configured()

    def reset(self) -> None:
        """Undo everything: listeners, options, plugins, version classes and tables."""
        if event.contains(Mapper, "after_configured", self._after_configured):
            event.remove(Mapper, "after_configured", self._after_configured)
        self._take_apart()
        for mapper in self._mappers:
            if isinstance(mapper, type) and vars(mapper).get(MANAGER) is self:
                type.__delattr__(mapper, MANAGER)
        self._tracker.stop()
        self._mappers.clear()
        self._sessions.clear()
        self.transaction_cls, self.user_cls = self._defaults
        self._current_user = None
        self.plugins = PluginCollection()
        self.options.clear()

    def _take_apart(self) -> None:
        """Undo what was built; what was said stays."""
        self._surroundings.forget()
        self.plugins.call("before_take_apart", self)
        forget(self._registry)
        if self.transaction_cls is self._registry.transaction_class:
            self.transaction_cls = self._said_transaction_cls
        self._registry = Registry()
        self._first = None

    # -- building ----------------------------------------------------------------------------

    def _after_configured(self) -> None:
        """Build versioning for the classes that were declared since the last time."""
        if self._is_building or not self.options.get("versioning", True):
            return
        pending = list(self._pending())
        if not pending:
            return
        self._is_building = True
        try:
            specs = self._build(pending)
        finally:
            self._is_building = False
        for spec in specs:
            if spec.exposed:
                self._tracker.track_class(spec)
            if spec.options.immutable_versions:
                guard_versions(spec)
        self._tracker.track_associations(
            self._registry.associations,
            are_immutable=bool(self.options.get("immutable_versions", False)),
        )

    def _build(self, pending: list[type[Any]]) -> list[ClassSpec]:
        is_first, mark = self._first is None, self._registry.mark()
        try:
            check_option_names(
                self.options, owner="make_versioned()", also=self.plugins.option_names
            )
            self._prepare(pending)
            round_ = Round(self._registry, options=self.options, plugins=self.plugins, manager=self)
            specs = round_.run(pending)
            configure_mappers()
        except BaseException:
            # Let the mistake surface again wherever mappers are used next, as SQLAlchemy does.
            if is_first:
                self._take_apart()
            else:
                forget(self._registry.split(mark))
            _sqlalchemy.configure_again(inspect(pending[0]).registry)
            raise
        self._surroundings.forget()
        return specs

    def _pending(self) -> Iterator[type[Any]]:
        for mapper in _sqlalchemy.all_mappers():
            cls = mapper.class_
            if SPEC in vars(cls) or cls is self.transaction_cls or not self._claims(mapper):
                continue
            if _says_versioned(cls) and has_rows(mapper):
                yield cls

    def _claims(self, mapper: Mapper[Any]) -> bool:
        owner = getattr(mapper.class_, MANAGER, self)
        return owner is self and any(_covers(target, mapper) for target in self._mappers)

    def _prepare(self, pending: list[type[Any]]) -> None:
        """Find or make the Transaction class."""
        if self._first is None:
            self._first = inspect(pending[0])
        if self._registry.transaction_class is not None:
            return
        self._said_transaction_cls = said = self.transaction_cls
        if isinstance(said, type):
            self._check_transaction_class(said)
            self._registry.transaction_class = said
            return
        cls = said(self)
        owner = self.declarative_base or pending[0]
        place_beside(cls, owner, attribute=TRANSACTION_CLASS)
        self._registry.transaction_class, self._registry.transaction_owner = cls, owner
        table = inspect(cls).local_table
        self._registry.transaction_tables[table.metadata] = table
        self.transaction_cls = cls
        self._check_transaction_class(cls)

    def _check_transaction_class(self, cls: type[Any]) -> None:
        """Refuse a Transaction class that cannot keep what options ask for."""
        check_columns(cls, self.context_columns)
        if self._current_user is not None and not {"user", "user_id"} & set(
            inspect(cls).attrs.keys()
        ):
            raise ImproperlyConfigured(
                f"make_versioned() has a current_user, and {cls.__name__} no place for users; give "
                "it a user_cls, or transaction_columns=[Column('user_id', …)]"
            )


def _says_versioned(cls: type[Any]) -> bool:
    said = getattr(cls, "__versioned__", None)
    if said is None:
        return False
    if not isinstance(said, Mapping):
        raise ImproperlyConfigured(
            f"{cls.__name__}.__versioned__ is {said!r}; give a dict of options, such as {{}}"
        )
    return bool(said.get("versioning", True))


def _sync_target(session: Any) -> Any:
    """Return what to listen to for sessions: of what is asynchronous, the synchronous part."""
    if hasattr(session, "sync_session"):
        return session.sync_session
    # A factory has its class, and may have been given a Session class for its sessions.
    cls = getattr(session, "class_", session)
    said = getattr(session, "kw", {}).get("sync_session_class")
    return said or getattr(cls, "sync_session_class", session)


def _covers(target: Any, mapper: Mapper[Any]) -> bool:
    if isinstance(target, orm_registry):
        return mapper.registry is target
    if target is Mapper:
        return True
    return isinstance(target, type) and issubclass(mapper.class_, target)
