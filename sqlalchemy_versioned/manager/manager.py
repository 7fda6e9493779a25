"""The composition root: options in, everything else put together and taken apart again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import MetaData, Table, event, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session, configure_mappers

from .. import _sqlalchemy
from .._typing import mapper_of
from ..build.home import check_transaction_class, first_class_in, settle_transaction_class
from ..build.pipeline import Round
from ..build.registry import Registry, forget
from ..build.transaction import DefaultName
from ..capture.immutable import guard_versions
from ..capture.tracking import Tracker
from ..context.transaction_context import UNSAID
from ..exc import ClassNotVersioned, ImproperlyConfigured
from ..hooks import Plugin, PluginCollection
from ..model.counterparts import is_switched_on
from ..model.spec import ClassSpec
from ..recording.surroundings import Surroundings
from ..said_options import build_options, check_option_names
from .cores import CoreTables
from .late_attributes import LateAttributes
from .late_settings import (
    check_late_options,
    check_late_plugins,
    check_late_user_class,
    check_mapped,
)
from .late_tables import LateTables
from .native_versioning import NativeVersioning
from .recorded_sessions import RecordedSessions
from .scope import Scope

__all__ = ["VersioningManager"]

#: The user class that is linked to if there is one.
DEFAULT_USER = DefaultName("User")


class VersioningManager(RecordedSessions):
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
        super().__init__(transaction_cls, user_cls, plugins, options)
        self._said_transaction_cls: Any = None
        self._registry = Registry()
        self._scope = Scope(self)
        self._sessions: list[Any] = []
        self._first = None
        self._is_building = False
        self._surroundings = Surroundings(
            transaction_class=self._known_transaction_class,
            plugins=self._plugins,
            versioned=self.bind_arguments,
            options=self._options_in_use,
            current_user=lambda: self._current_user,
            is_native=lambda: self._native.has_tables,
        )
        self._cores = CoreTables(
            self, lambda: self._registry, self._begin_round, scope=self._scope, is_on=self._is_on
        )
        self._native = NativeVersioning(
            registry=lambda: self._registry,
            cores=self._cores,
            plugins=lambda: self.plugins,
            options=self._build_options,
        )
        self._late_tables = LateTables(awaits=self._awaits, build=self._build_what_waits)
        self._completing = threading.RLock()
        self._tracker = Tracker(
            self._surroundings,
            is_on=self._is_recorded_now,
            are_links_on=self._is_on,
            build_late=self._build_before_write,
        )
        self._late_attributes = LateAttributes(lambda: self._registry)

    def _is_recorded_now(self, spec: ClassSpec) -> bool:
        if not is_switched_on(spec):
            return False
        self._late_attributes.check(spec)
        return True

    # -- tables without a class ----------------------------------------------------------------

    def add_table(self, table: Table, said: Mapping[str, Any]) -> None:
        """Version a table; see :func:`.versioned_table`."""
        self._cores.add(table, said)
        self._build_cores()

    def _build_cores(self) -> None:
        if not self._scope or not self.options.get("versioning", True):
            return
        unfinished = self._cores.unfinished()
        if not unfinished:
            return
        try:
            for table in unfinished:
                self._cores.build(table)
        finally:
            # Those before one that cannot be built are.
            self._surroundings.forget()
            self._tracker.track_tables(self._cores.targets, immutable=self._cores.immutable)
        self._native.install()

    def _after_attached(self, table: Table, metadata: MetaData) -> None:
        """Version a table that has just been made, if its info says so."""
        self._cores.settle()
        if self._cores.find(table):
            self._build_cores()

    def build_transaction_table(self, metadata: MetaData) -> Table:
        """Make a transaction table, before there is a Transaction class."""
        return self.transaction_cls.build_table(metadata, self.context_columns)  # type: ignore[no-any-return]

    def spec_of_table(self, table: Table) -> ClassSpec:
        """Return the spec by which the versions of a table without a class are read.

        :raises ClassNotVersioned: if it has a class.
        """
        self.complete()
        if not self.has_core_table(table):
            names = [s.parent_class.__name__ for s in self._exposed() if s.has_table(table)]
            raise ClassNotVersioned(
                f"Table {table.fullname!r} is versioned by "
                f"{', '.join(names) or 'a relationship'}; give a class"
            )
        return self._cores.reader(table, self.transaction_cls)

    def complete(self) -> None:
        """Make the Transaction class, if tables without a class have done without it so far."""
        configure_mappers()
        self._complete()

    def _complete(self) -> None:
        with self._completing:
            if self._registry.transaction_class is None and self._cores.tables:
                self._make_transaction_class()

    def _make_transaction_class(self) -> None:
        mark = self._registry.mark()
        self._is_building = True
        try:
            self._prepare([])
            self.plugins.call("after_build_tx_class", self)
            self.plugins.call("after_build_models", self)
            configure_mappers()
        except BaseException:
            self._undo_round(mark)
            raise
        finally:
            self._is_building = False

    def _known_transaction_class(self) -> type[Any]:
        if not isinstance(self.transaction_cls, type):
            self.complete()
        return self.transaction_cls  # type: ignore[no-any-return]

    # -- on and off --------------------------------------------------------------------------

    def take(
        self,
        said: Mapping[str, Any],
        *,
        plugins: Iterable[Plugin] = (),
        user_cls: Any = UNSAID,
        current_user: Any = UNSAID,
    ) -> None:
        """Take what is said to :func:`.make_versioned`; nothing is taken of what is refused.

        :raises UnknownOption: if an option does not exist.
        :raises ImproperlyConfigured: if something comes too late.
        """
        new = PluginCollection(self.plugins.new(plugins))
        also = self.plugins.option_names | new.option_names
        check_option_names(said, owner="make_versioned()", also=also)
        check_late_plugins(self._registry, new)
        self._check_late_options(said, also)
        if user_cls is not UNSAID:
            check_late_user_class(self._registry, user_cls)
            self.user_cls = user_cls
        if current_user is not UNSAID:
            self.current_user = current_user
        self.plugins.add(new)
        self.options.update(said)

    def _check_late_options(self, said: Mapping[str, Any], also: Iterable[str]) -> None:
        if said and (self._registry.tables or self._registry.cores):
            before = build_options(self.options, {}, owner="make_versioned()", also=also)
            after = build_options(self.options, said, owner="make_versioned()", also=also)
            check_late_options(
                self._registry,
                self._cores,
                before,
                said,
                after,
                has_triggers=self._native.has_tables,
            )

    def start(self, *, mapper: Any = Mapper, session: Any = Session) -> None:
        """Version the classes of *mapper* in the sessions of *session*; may be called again.

        :param mapper: ``Mapper`` for all classes and tables, a base class for those derived from
            it, a registry for those mapped by it, or a ``MetaData`` for what is in it.
        :param session: ``Session`` for all sessions, a Session class, factory or session; an
            asynchronous one stands for the Session class it uses.
        :raises ImproperlyConfigured: if either is something else.
        """
        if self._registry.transaction_class is not None:
            self._check_transaction_class()
        self._scope.add(mapper)
        for listened, name, listener in self._class_listeners():
            if not event.contains(listened, name, listener):
                event.listen(listened, name, listener)
        target = _sqlalchemy.sync_target(session)
        if not any(known is target for known in self._sessions):
            self._listen_to(target)
        self._cores.find()
        self._build_cores()
        if any(mapper_of(cls).configured for cls in self._pending()):
            configure_mappers()
            self._after_configured()

    def _class_listeners(self) -> list[tuple[Any, str, Any]]:
        return [
            (Mapper, "after_configured", self._after_configured),
            (Table, "after_parent_attach", self._after_attached),
            *self._late_tables.listeners,
        ]

    def reset(self) -> None:
        """Undo everything: listeners, options, plugins, version classes and tables."""
        for listened, name, listener in self._class_listeners():
            if event.contains(listened, name, listener):
                event.remove(listened, name, listener)
        self._take_apart()
        self._cores.forget()
        self._scope.clear()
        self._tracker.stop()
        self._native.stop()
        self._sessions.clear()
        self._forget_settings()

    def _take_apart(self) -> None:
        """Undo what was built; what was said stays."""
        self._surroundings.forget()
        self.plugins.call("before_take_apart", self)
        forget(self._registry)
        if self.transaction_cls is self._registry.transaction_class:
            self.transaction_cls = self._said_transaction_cls
        self._registry = Registry()
        self._late_attributes.forget()
        self._first = None

    # -- building ----------------------------------------------------------------------------

    def _build_what_waits(self) -> None:
        configure_mappers()
        # It does nothing if no class is new, also if one has got a relationship since.
        self._after_configured()

    def _build_before_write(self) -> None:
        """Build what waits: a statement may be the first that is heard of it.

        :raises ImproperlyConfigured: if mappers cannot be configured.
        """
        if not _sqlalchemy.has_new_mappers() or not self._is_on():
            return
        if next(self._pending(), None) is None:
            return
        try:
            configure_mappers()
        except SQLAlchemyError as error:
            raise ImproperlyConfigured(
                "a statement writes before mappers are configured, so that nobody knows whether it "
                f"is to be recorded; to configure them has failed: {error}; declare or import all "
                "models before"
            ) from error

    def _after_configured(self) -> None:
        """Build versioning for classes that were declared since, and what they add to others."""
        if self._is_building or not self.options.get("versioning", True):
            return
        pending = list(self._pending())
        if not pending and not self._late_attributes.are_relationships():
            # Nobody else may configure mappers before tables are created.
            self._complete()
            return
        self._is_building = True
        try:
            specs = self._build(pending)
        finally:
            self._is_building = False
        self._late_attributes.know(specs)
        for spec in specs:
            if spec.exposed:
                self._tracker.track_class(spec)
            if spec.options.immutable_versions:
                guard_versions(spec)
        self._tracker.track_associations(
            {t: h for t, h in self._registry.associations.items() if self._is_kept(t)},
            are_immutable=bool(self.options.get("immutable_versions", False)),
        )
        self._native.install()

    def _begin_round(self) -> Round:
        if isinstance(self.transaction_cls, type) and self._registry.transaction_class is None:
            # Whether it is fit is looked at when mappers are configured.
            self._said_transaction_cls = self._registry.transaction_class = self.transaction_cls
        return Round(self._registry, options=self.options, plugins=self.plugins, manager=self)

    def _build(self, pending: list[type[Any]]) -> list[ClassSpec]:
        is_first, mark = self._first is None, self._registry.mark()
        try:
            check_option_names(
                self.options, owner="make_versioned()", also=self.plugins.option_names
            )
            self._native.check_plugins()
            check_mapped(self._registry)
            self._prepare(pending)
            specs = self._begin_round().run(pending)
            self._native.check()
            configure_mappers()
        except BaseException:
            # Let the mistake surface again wherever mappers are used next, as SQLAlchemy does.
            if is_first and not self._cores.tables:
                self._take_apart()
            else:
                self._undo_round(mark)
            reg = mapper_of(pending[0]).registry if pending else self._home.registry
            _sqlalchemy.configure_again(reg)
            raise
        self._surroundings.forget()
        return specs

    def _undo_round(self, mark: dict[str, set[Any]]) -> None:
        """Undo what was built since *mark*."""
        forget(self._registry.split(mark))
        if self._registry.transaction_class is None:
            self.transaction_cls = self._said_transaction_cls or self.transaction_cls
            self._first = None

    def _prepare(self, pending: list[type[Any]]) -> None:
        """Find or make the Transaction class."""
        if self._first is None:
            tables = self._cores.tables
            self._first = inspect(pending[0]) if pending else first_class_in(tables[0].metadata)
        if self._registry.transaction_class is None or not self._registry.makes_transactions:
            self._find_transaction_class(pending)
            self._check_transaction_class()

    def _check_transaction_class(self) -> None:
        needs_user = self._current_user is not None
        check_transaction_class(self.transaction_cls, self.context_columns, needs_user=needs_user)
        self._cores.check_users(self.transaction_cls)

    def _find_transaction_class(self, pending: list[type[Any]]) -> None:
        self._said_transaction_cls = said = self.transaction_cls
        if isinstance(said, type):
            self._registry.transaction_class = said
            return
        self.transaction_cls = cls = said(self)
        owner = self.declarative_base or (pending[0] if pending else None)
        if settle_transaction_class(self._registry, cls, owner=owner):
            self._tracker.track_tables(self._cores.targets, immutable=self._cores.immutable)
            self._native.install()
