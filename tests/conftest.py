"""Fixtures for the whole suite.

A test that uses ``database``, or anything built on it, runs once per selected database; a
``needs`` mark deselects the databases that lack a capability. The chain is::

    database -> engine -> tables -> session
    versioning -> keep -> blog -> models -> tables

A test module overrides ``models`` to have others than the blog: declared on a ``Base`` of their
own, or kept from test to test, as the blog is; see ``tests/kept.py``.

The library is imported by the fixtures that need it, never at the top.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, settings
from sqlalchemy import URL, Engine
from sqlalchemy.orm import DeclarativeBase, Session, close_all_sessions, configure_mappers

from tests.asynchronous import is_asynchronous, is_left_out, list_variants, run_in_greenlet
from tests.asynchronous import open_session as _open_session
from tests.databases import (
    Database,
    EmbeddedServer,
    UnknownDatabase,
    build_database,
    has_capabilities,
    select_databases,
    server_url,
)
from tests.factories import build_factory
from tests.kept import Keeper, Write
from tests.leftovers import all_registries, dispose_registries, find_units_of_work, list_listeners
from tests.models import Models, build_base, build_blog
from tests.modes import Mode
from tests.statements import count_statements as _count_statements

#: What tests that are marked so run with, unless the mark says otherwise.
STRATEGIES = ("validity", "subquery", "append")

selected_databases = pytest.StashKey[list[str]]()
embedded_server = pytest.StashKey[EmbeddedServer]()


# -- databases ----------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests of several strategies, and of both modes, run with one of them."""
    parser.addoption(
        "--strategies",
        choices=("in-turn", "all", *STRATEGIES),
        default="in-turn",
        help="run tests that are marked so with one strategy on each database, the next one on "
        "the next database; or with all; or with the one that is named",
    )
    parser.addoption(
        "--modes",
        choices=("in-turn", "sessions", "triggers"),
        default="sessions",
        help="in databases that can, let triggers record in every other test, those of the next "
        "database in the others; or in none; or in all, as --native does",
    )
    parser.addoption(
        "--drivers",
        choices=("both", "in-turn"),
        default="both",
        help="run tests that have an asynchronous variant with both drivers, or with one of them "
        "on each database, and with the other one on the next",
    )
    parser.addoption("--native", action="store_const", dest="modes", const="triggers")


def pytest_configure(config: pytest.Config) -> None:
    """Find out which databases to run on, before anything is collected."""
    _register_profiles()
    try:
        config.stash[selected_databases] = select_databases()
    except UnknownDatabase as error:
        raise pytest.UsageError(str(error)) from error


def _register_profiles() -> None:
    # Few random programs, because each takes many transactions, but others in every run, and
    # every run of .ci/run is a dozen. --hypothesis-profile=thorough tries many, and finds the
    # smallest one that fails. How long one takes depends on the database and is no fault.
    few = settings(
        max_examples=7,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
    )
    settings.register_profile("suite", few)
    settings.register_profile("soak", few, max_examples=40, phases=list(Phase))
    settings.register_profile("thorough", few, max_examples=300, phases=list(Phase))
    settings.load_profile("suite")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the embedded server, in the one process that started it."""
    if server := config.stash.get(embedded_server, None):
        server.stop()


def pytest_report_header(config: pytest.Config) -> str:
    """Say which databases the suite runs on."""
    return f"databases: {', '.join(config.stash[selected_databases])}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each xdist worker the address of the one embedded server."""
    if "embedded" in node.config.stash[selected_databases]:
        url = _start_embedded(node.config).url
        node.workerinput["embedded_url"] = url.render_as_string(hide_password=False)


def _start_embedded(config: pytest.Config) -> EmbeddedServer:
    if embedded_server not in config.stash:
        config.stash[embedded_server] = EmbeddedServer()
    return config.stash[embedded_server]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test per database and, where it is marked so, with a strategy on each."""
    names: list[str] = []
    if "database" in metafunc.fixturenames:
        names = metafunc.config.stash[selected_databases]
        names = names + list_variants(metafunc.definition.path, names)
    if mark := metafunc.definition.get_closest_marker("strategies"):
        strategies = mark.args or STRATEGIES
        wanted = metafunc.config.getoption("--strategies")
        turn = crc32(f"{metafunc.definition.nodeid} {','.join(names)}".encode())
        pairs = [
            (name, strategy)
            for place, name in enumerate(names or [""])
            for strategy in _pick_strategies(wanted, strategies, turn + place)
        ]
        if names:
            metafunc.parametrize(("database", "strategy"), pairs, indirect=True)
        else:
            metafunc.parametrize("strategy", [strategy for _, strategy in pairs], indirect=True)
    elif names:
        metafunc.parametrize("database", names, indirect=True)


def _pick_strategies(wanted: str, strategies: Sequence[str], turn: int) -> list[str]:
    """Return the strategies that a test runs with on one database."""
    if wanted == "in-turn":
        return [strategies[turn % len(strategies)]]
    return [each for each in strategies if wanted in ("all", each)]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests on databases that lack what they need; put together what shares models."""
    selected, deselected = [], []
    for item in items:
        (selected if _can_run(item) else deselected).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = selected
    for item in items:
        if "database" in getattr(item, "fixturenames", ()):
            item.add_marker("database")
    modules = list(dict.fromkeys(item.path for item in items))
    places = {path: place for place, path in enumerate(modules)}
    items.sort(key=lambda item: (places[item.path], *_what_it_keeps(item)))


def pytest_collection_finish() -> None:
    """Look for garbage less often, and not in what was imported: mappers make a lot of it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


def _marked_options(item: pytest.Item) -> dict[str, Any]:
    """Return the arguments of the ``options`` marks of a test, of which the nearest wins."""
    marks = reversed(list(item.iter_markers("options")))
    return {name: value for mark in marks for name, value in mark.kwargs.items()}


def _keeps_models(item: pytest.Item) -> bool:
    # Options may hold plugins, which remember what they were told, and columns, which get a table.
    are_plain = all(isinstance(each, str | bool | None) for each in _marked_options(item).values())
    return "keep" in getattr(item, "fixturenames", ()) and are_plain


def _keeps_tables(item: pytest.Item) -> bool:
    return _keeps_models(item) and "tables" in item.fixturenames


def _what_it_keeps(item: pytest.Item) -> tuple[bool, bool, str, str]:
    callspec = getattr(item, "callspec", None)
    if callspec is None or not _keeps_models(item):
        return (_keeps_models(item), False, "", "")
    strategy, database = (callspec.params.get(name, "") for name in ("strategy", "database"))
    arguments = callspec.id.replace(strategy, "").replace(database, "")
    options = {"strategy": strategy} | _marked_options(item)
    return (True, _is_native(item), repr(sorted(options.items())), arguments)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run tests of asynchronous drivers where those can wait."""
    if not is_asynchronous(item):
        return None
    run_in_greenlet(item, nextitem)
    return True


def _is_its_turn(item: pytest.Item) -> bool:
    """Tell whether a test that databases share out is one for the database that it runs on."""
    if item.config.getoption("--strategies") != "in-turn":
        return True
    database = item.callspec.params["database"]  # type: ignore[attr-defined]
    place = ("sqlite", "embedded", "postgresql", "mariadb", "mysql").index(
        database.partition("+")[0]
    )
    return (crc32(item.nodeid.replace(database, "").encode()) + place) % 2 == 0


def _is_native(item: pytest.Item) -> bool:
    """Tell whether triggers are to record what a test writes."""
    if "native" in (marked := _marked_options(item)):
        return bool(marked["native"])
    wanted = item.config.getoption("--modes")
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    database = str(parameters.get("database", ""))
    if wanted == "sessions" or not database or not has_capabilities(database, ["triggers"]):
        return False
    if wanted == "triggers":
        return True
    name = item.nodeid.replace(database, "").replace(str(parameters.get("strategy", "")), "")
    turn = crc32(name.encode())
    if item.get_closest_marker("shared_out"):
        # Each variant runs on one of two databases.
        return turn // 2 % 2 == 0
    return (turn + database.startswith("embedded")) % 2 == 0


def _is_its_driver(item: pytest.Item) -> bool:
    """Tell whether a test that each driver could run is one for the driver that it has."""
    if item.config.getoption("--drivers") == "both":
        return True
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    database = str(parameters.get("database", ""))
    variants = list_variants(item.path, [database.partition("+")[0]])
    # Of what runs with several strategies, few have an asynchronous variant.
    if not variants or "strategy" in parameters:
        return True
    # The next database has the other driver.
    turn = crc32(item.nodeid.replace(database, "").encode())
    turn += database.startswith("embedded")
    return (turn + is_asynchronous(item)) % 2 == 0


def _can_run(item: pytest.Item) -> bool:
    if is_left_out(item) or not _is_its_driver(item):
        return False
    callspec = getattr(item, "callspec", None)
    if not isinstance(getattr(callspec, "params", {}).get("strategy", ""), str):
        # None of those that it runs with was asked for.
        return False
    if item.get_closest_marker("shared_out") and not _is_its_turn(item):
        return False
    needed = [word for mark in item.iter_markers("needs") for word in mark.args]
    if not needed:
        return True
    if callspec is None or "database" not in callspec.params:
        raise pytest.UsageError(f"{item.nodeid} is marked 'needs' but uses no database")
    try:
        return has_capabilities(callspec.params["database"], needed)
    except UnknownDatabase as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from error


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Database]]:
    """Look up the database of this process on a server, made when first asked for."""
    made: dict[str, Database] = {}
    label = _process_label(request.config)

    def look_up(wanted: str) -> Database:
        name, _, driver = wanted.partition("+")
        if name not in made:
            made[name] = build_database(name, _server_url(request.config, name), label)
        return made[name].asynchronous if driver else made[name]

    yield look_up
    for each in made.values():
        each.provider.drop()


def _process_label(config: pytest.Config) -> str:
    # The run is part of the name, so that two runs can share a server.
    workerinput = getattr(config, "workerinput", None)
    if workerinput is None:
        return f"versioned_test_main_{os.getpid()}"
    return f"versioned_test_{workerinput['workerid']}_{workerinput['testrunuid'][:8]}"


def _server_url(config: pytest.Config, name: str) -> URL | None:
    if name == "sqlite":
        return None
    if name != "embedded":
        return server_url(name)
    workerinput = getattr(config, "workerinput", None)
    if workerinput is None:
        return _start_embedded(config).url
    return server_url(name, {"VERSIONED_TEST_EMBEDDED_URL": workerinput["embedded_url"]})


@pytest.fixture(scope="session")
def keeper(databases: Callable[[str], Database]) -> Iterator[Keeper]:
    """Keeps models and their tables from one test to the next."""
    keeper = Keeper()
    yield keeper
    keeper.let_go()


@pytest.fixture
def database(
    request: pytest.FixtureRequest, databases: Callable[[str], Database], keeper: Keeper
) -> Iterator[Database]:
    """An empty database; the test runs once for each that was selected."""
    found = databases(request.param)
    if not _keeps_tables(request.node):
        keeper.empty(found)
    yield found
    close_all_sessions()
    keeper.clean(found)


@pytest.fixture
def mode(request: pytest.FixtureRequest, database: Database) -> Mode:
    """Who records, for what the two modes promise differently."""
    return Mode(_is_native(request.node) and database.has("triggers"))


@pytest.fixture
def engine(request: pytest.FixtureRequest, database: Database, keeper: Keeper) -> Iterator[Engine]:
    """An engine on the test's database."""
    keeps = _keeps_tables(request.node)
    engine = keeper.create_engine(database) if keeps else database.create_engine()
    yield engine
    close_all_sessions()
    engine.dispose()


# -- models -------------------------------------------------------------------


@pytest.fixture
def strategy(request: pytest.FixtureRequest) -> str | None:
    """The strategy a test marked ``strategies`` runs with now; otherwise None."""
    return getattr(request, "param", None)


@pytest.fixture
def versioning(
    request: pytest.FixtureRequest, strategy: str | None, keeper: Keeper
) -> Iterator[Any]:
    """The default manager, switched on with the options of the test's ``options`` marks."""
    from sqlalchemy_versioned import make_versioned, remove_versioning, versioning_manager

    options: dict[str, Any] = {"strategy": strategy} if strategy else {}
    if _is_native(request.node):
        options["native"] = True
    options |= _marked_options(request.node)
    if _keeps_models(request.node):
        keeper.switch_on(options)
        yield versioning_manager
        return
    keeper.let_go()
    make_versioned(**options)
    yield versioning_manager
    remove_versioning()


@pytest.fixture
def unversioned(keeper: Keeper) -> None:
    """Nothing is versioned, whatever was kept; for tests that call ``make_versioned()``."""
    keeper.let_go()


@pytest.fixture
def Base(versioning: Any) -> Iterator[type[DeclarativeBase]]:
    """A new declarative base, with versioning on."""
    base = build_base()
    yield base
    base.registry.dispose(cascade=True)


@pytest.fixture
def keep(request: pytest.FixtureRequest, versioning: Any, keeper: Keeper) -> Callable[..., Models]:
    """Keep what a function declares: ``keep(build_blog)``, ``keep(build, "argument")``.

    The function takes a declarative base, and whatever else; it returns a ``Models``. Tests that
    give the same get the same, until one of them changes something about it.
    """
    if _keeps_models(request.node):
        return keeper.models
    # Tests whose options are no mere words, and fixtures asked for by name, have their own models.
    Base = request.getfixturevalue("Base")
    return lambda build, *arguments: build(Base, *arguments)


@pytest.fixture
def blog(keep: Callable[..., Models]) -> Models:
    """The blog models, their factories and metadata."""
    return keep(build_blog)


@pytest.fixture
def models(blog: Models) -> Any:
    """What ``session`` makes tables for: the blog, unless a test module overrides it.

    Anything with a ``metadata`` will do: a ``Models`` or a declarative base.
    """
    return blog


@pytest.fixture
def tables(database: Database, engine: Engine, models: Any, keeper: Keeper) -> Engine:
    """The engine, with the tables of ``models`` and of their versions made."""
    configure_mappers()
    keeper.make_tables(database, engine, models)
    return engine


@pytest.fixture
def empty_tables(
    database: Database, tables: Engine, models: Any, keeper: Keeper
) -> Callable[[], None]:
    """Empty the tables in the middle of a test: ``empty_tables()``, before a random program."""

    def empty() -> None:
        close_all_sessions()
        tables.dispose()
        keeper.clean(database)
        keeper.make_tables(database, tables, models)

    return empty


@pytest.fixture
def session(tables: Engine, models: Any) -> Iterator[Session]:
    """A session on the tables of ``models``, which the factories of ``models`` use."""
    with _open_session(tables) as session:
        if hasattr(models, "factories"):
            models.factories.session = session
        yield session
    if hasattr(models, "factories"):
        models.factories.session = None


@pytest.fixture
def write(
    database: Database, tables: Engine, models: Any, keeper: Keeper
) -> Callable[[Write], None]:
    """Have rows to begin with: ``write(write_history)``, before anything else uses the session.

    The function takes a session of its own and the models, needs nothing else, and commits. What it
    wrote is kept beside the tables, and put into those of the next test that wants the same.
    """
    return lambda function: keeper.write(database, tables, models, function)


@pytest.fixture
def open_session(engine: Engine) -> Iterator[Callable[..., Session]]:
    """Make the tables of what a test declared and open a session: ``open_session(Base)``.

    Anything with a ``metadata`` will do, or a ``MetaData``; options are for the session.
    """
    sessions = []

    def make(declared: Any, **options: Any) -> Session:
        configure_mappers()
        getattr(declared, "metadata", declared).create_all(engine)
        sessions.append(_open_session(engine, **options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def make_factory(session: Session) -> Callable[..., Any]:
    """Make a factory of any mapped class: ``make_factory(Thing, name="x")``."""

    def make(cls: type, /, **declarations: Any) -> Any:
        return build_factory(cls, lambda: session, **declarations)

    return make


@pytest.fixture
def count_statements() -> Callable[..., Any]:
    """Record statements: ``with count_statements(engine) as statements:``."""
    return _count_statements


# -- leftovers ----------------------------------------------------------------


@pytest.fixture(scope="module")
def refused_awaits() -> Iterator[None]:
    """Collect what drivers leave behind that nobody could wait for, before another module runs."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def nothing_left_behind(keeper: Keeper) -> Iterator[None]:
    """Fail a test after which a listener of its own or a versioned class remains."""
    before = list_listeners() - keeper.listeners
    yield
    close_all_sessions()
    keeper.let_go_if_changed()
    dispose_registries(all_registries() - keeper.registries)
    left = list_listeners() - keeper.listeners - before
    assert not left, f"listeners left behind: {sorted(map(str, left))}"
    package = sys.modules.get("sqlalchemy_versioned")
    if package and not keeper.registries:
        assert not package.versioning_manager.version_class_map
        assert not package.versioning_manager.parent_class_map


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let go of what a test was given before its module is looked over."""
    # pytest keeps the arguments until the teardown is over, and with them a unit of work.
    getattr(item, "funcargs", {}).clear()


@pytest.fixture(autouse=True, scope="module")
def no_unit_of_work_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a module after which a unit of work is still in memory.

    Per module, because looking for garbage is slow; not after a failure, whose traceback may
    hold one rightly.
    """
    yield
    # What is found may be garbage in a cycle, most of it not old.
    for generation in (1, 2):
        if request.session.testsfailed or not find_units_of_work():
            return
        gc.collect(generation)
    left = find_units_of_work()
    assert not left, f"units of work left behind: {left}"
