"""Models that a test leaves as it found them, kept for the next test that wants the same.

Declaring models, configuring their mappers, building their versions and creating the tables takes
several times as long as what most tests do with them. A :class:`Keeper` keeps one set of models,
with versioning on, and for each database the tables, emptied, the rows that tests begin with, and
what was compiled. Whatever a test changed about them, be it a listener, an attribute of a class, an
option of the manager or a column of a table, makes the keeper let go of them, and the next test
gets new ones.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any, Protocol

from sqlalchemy import Engine, MetaData, Table
from sqlalchemy.orm import Mapper, QueryableAttribute, Session, configure_mappers, registry

from tests.asynchronous import open_session
from tests.compiled import CompiledStatements
from tests.databases import Database
from tests.leftovers import (
    Registrations,
    are_registrations_unchanged,
    dispose_registries,
    list_listeners,
    list_registrations,
)
from tests.models import build_base

#: What writes rows: it takes a session and the models.
Write = Callable[[Session, Any], None]


class Models(Protocol):
    """Classes of one base."""

    base: Any

    @property
    def metadata(self) -> MetaData:
        """The metadata of the base."""


@dataclass(frozen=True)
class KeptVersioning:
    """The default manager, switched on."""

    options: Mapping[str, Any]
    #: What listened before it was.
    others: set[Any]
    state: Any


@dataclass(frozen=True)
class ModelsState:
    """What can be compared with what it was earlier."""

    manager: Any
    classes: Any
    tables: Any
    registrations: Registrations


@dataclass(frozen=True)
class KeptModels:
    """Models, and what they were made from."""

    key: Hashable
    models: Models
    listeners: set[Any]
    state: ModelsState


@dataclass(frozen=True)
class KeptTables:
    """Whose tables a database has, and what restores it to them."""

    models: Models
    memory: Any
    #: What functions have written into them.
    rows: dict[Write, Any] = field(default_factory=dict)


class Keeper:
    """Keeps versioning, one set of models, and their tables on each database."""

    def __init__(self) -> None:
        self._versioning: KeptVersioning | None = None
        self._models: KeptModels | None = None
        self._tables: dict[str, KeptTables] = {}
        #: The databases that tests were given rows on, and have not been emptied since.
        self._written: set[str] = set()
        #: For engines on which nothing but kept models is used.
        self.compiled = CompiledStatements()

    # -- models --------------------------------------------------------------------------

    @property
    def listeners(self) -> set[Any]:
        """The listeners that belong to what is kept."""
        return self._models.listeners if self._models else set()

    @property
    def registries(self) -> set[registry]:
        """The registries that belong to what is kept."""
        return {self._models.models.base.registry} if self._models else set()

    def switch_on(self, options: Mapping[str, Any]) -> None:
        """Switch the default manager on with *options*, unless it is on with them."""
        from sqlalchemy_versioned import make_versioned

        if self._versioning is not None and self._versioning.options == options:
            return
        self.let_go()
        others = list_listeners()
        make_versioned(**options)
        self._versioning = KeptVersioning(dict(options), others, _manager_state())

    def models(self, build: FunctionType, *arguments: Hashable) -> Models:
        """Return what ``build(base, *arguments)`` makes, with new factories if it has any.

        The function may be defined in a fixture, anew for each test, if it uses nothing of it.
        """
        assert self._versioning is not None
        # Python 3.14 keeps a name of its own with functions that annotate conditionally.
        used = set(build.__code__.co_freevars) - {"__conditional_annotations__"}
        if "<locals>" in build.__qualname__ and (used or build.__defaults__):
            raise TypeError(f"{build.__qualname__}() must be given all it needs as arguments")
        key = (build.__code__, arguments)
        if self._models is None or self._models.key != key:
            self._make_models(key, lambda: build(build_base(), *arguments))
        elif _manager_state() != self._models.state.manager:
            raise TooLate("versioning was changed before the models were asked for; use Base")
        if hasattr(self._models.models, "renew_factories"):
            self._models.models.renew_factories()
        return self._models.models

    def _make_models(self, key: Hashable, build: Callable[[], Models]) -> None:
        options, others = self._versioning.options, self._versioning.others
        if self._models is not None:
            self.let_go()
            self.switch_on(options)
        if _manager_state() != self._versioning.state:
            raise TooLate("versioning was changed before the models were declared; use Base")
        models = build()
        configure_mappers()
        listeners = list_listeners() - others
        self._models = KeptModels(key, models, listeners, _models_state(models))

    def let_go_if_changed(self) -> None:
        """Switch off what a test has changed something about."""
        if self._versioning is not None and not self._is_unchanged():
            self.let_go()

    def _is_unchanged(self) -> bool:
        if self._models is None:
            return False
        is_same = _is_same(self._models.state, _models_state(self._models.models))
        return is_same and self.listeners <= list_listeners()

    def let_go(self) -> None:
        """Switch versioning off; the tables go when their database is used next."""
        if self._versioning is None:
            return
        from sqlalchemy_versioned import remove_versioning

        remove_versioning()
        dispose_registries(self.registries)
        left = list_listeners() - self._versioning.others
        self._versioning = self._models = None
        self.compiled.clear()
        assert not left, f"listeners left behind: {sorted(map(str, left))}"

    # -- databases -----------------------------------------------------------------------

    def create_engine(self, database: Database) -> Engine:
        """Return a new engine on *database*, which need not compile what earlier ones did."""
        return self.compiled.share(database, database.create_engine())

    def make_tables(self, database: Database, engine: Engine, models: Any) -> None:
        """Create the tables of *models*, unless *database* has kept them."""
        known = self._tables.get(database.name)
        if known is not None and known.models is models:
            return
        engine.dispose()
        self.empty(database)
        models.metadata.create_all(engine)
        if self._models is not None and models is self._models.models:
            memory = database.remember()
            if memory is not None:
                self._tables[database.name] = KeptTables(models, memory)
                engine.dispose()

    def write(self, database: Database, engine: Engine, models: Any, write: Write) -> None:
        """Have ``write(session, models)`` commit rows, or put in those that it wrote before.

        Only kept tables that nobody has used yet get rows that were written before, and have what
        is written kept.
        """
        known = self._tables.get(database.name)
        is_used = engine.pool.checkedin() + engine.pool.checkedout() > 0
        is_used = is_used or database.name in self._written
        self._written.add(database.name)
        if is_used or known is None or known.models is not models:
            known = None
        elif write in known.rows:
            database.load(known.rows[write])
            return
        with open_session(engine) as session:
            write(session, models)
        if known is not None and (rows := database.dump()) is not None:
            known.rows[write] = rows

    def empty(self, database: Database) -> None:
        """Remove kept tables."""
        if self._tables.pop(database.name, None):
            database.wipe()

    def clean(self, database: Database) -> None:
        """Remove what a test left: all there is, or all but kept tables."""
        self._written.discard(database.name)
        known = self._tables.get(database.name)
        if known is None or not database.restore(known.memory):
            self._tables.pop(database.name, None)
            database.wipe()


class TooLate(Exception):
    """Kept models were asked for by a test that wants something else."""


# -- what can be compared ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Exactly:
    """Equal to this very object only, whatever its class thinks of equality."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exactly) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]


def _manager_state() -> Any:
    from sqlalchemy_versioned import versioning_manager

    plugins = [Exactly(plugin) for plugin in versioning_manager.plugins]
    return [_contents(versioning_manager), versioning_manager.version_class_map, plugins]


def _models_state(models: Models) -> ModelsState:
    mappers = sorted(models.base.registry.mappers, key=id)
    tables = list(models.metadata.tables.values())
    watched = [
        models.base,
        models.metadata,
        *tables,
        *(p for each in mappers for p in _parts(each)),
    ]
    return ModelsState(
        manager=_manager_state(),
        classes=[_contents(models.base), *map(_mapper_state, mappers)],
        tables=list(map(_table_state, tables)),
        registrations=list_registrations(watched),
    )


def _is_same(before: ModelsState, now: ModelsState) -> bool:
    known = are_registrations_unchanged(before.registrations, now.registrations)
    return known and replace(before, registrations=now.registrations) == now


def _parts(mapper: Mapper[Any]) -> Iterator[Any]:
    yield from (mapper, mapper.class_, mapper.class_manager)
    for value in vars(mapper.class_).values():
        if isinstance(value, QueryableAttribute):
            yield value


def _mapper_state(mapper: Mapper[Any]) -> Any:
    attributes = [(key, Exactly(prop)) for key, prop in mapper.attrs.items()]
    return [Exactly(mapper), attributes, _contents(mapper.class_)]


def _table_state(table: Table) -> Any:
    parts = (*table.columns, *table.constraints, *table.indexes)
    return [Exactly(table), table.fullname, sorted(map(id, parts))]


def _contents(owner: Any) -> dict[str, Any]:
    """Return the attributes of an object or class; of collections, what is in them."""
    return {name: _content(value) for name, value in vars(owner).items()}


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return [(Exactly(key), Exactly(each)) for key, each in value.items()]
    if isinstance(value, list):
        return [Exactly(each) for each in value]
    return Exactly(value)
