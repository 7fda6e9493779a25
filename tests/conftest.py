"""Fixtures for the whole suite.

A test that uses ``database``, or anything built on it, runs once per selected database; a
``needs`` mark deselects the databases that lack a capability. The chain is::

    database -> engine -> tables -> session
    versioning -> Base -> models (``blog`` unless a test module overrides it) -> tables

The library is imported by the fixtures that need it, never at the top.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import URL, Engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Session,
    clear_mappers,
    close_all_sessions,
    configure_mappers,
)

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
from tests.leftovers import find_units_of_work, list_listeners
from tests.models import Models, build_base, build_blog
from tests.statements import count_statements as _count_statements

selected_databases = pytest.StashKey[list[str]]()
embedded_server = pytest.StashKey[EmbeddedServer]()


# -- databases ----------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Find out which databases to run on, before anything is collected."""
    # How long an example takes depends on the database, so it is no sign of a fault.
    settings.register_profile("suite", settings.default, deadline=None)
    settings.load_profile("suite")
    try:
        config.stash[selected_databases] = select_databases()
    except UnknownDatabase as error:
        raise pytest.UsageError(str(error)) from error


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
    """Run a test per database and, where it is marked so, per strategy."""
    if "database" in metafunc.fixturenames:
        names = metafunc.config.stash[selected_databases]
        metafunc.parametrize("database", names, indirect=True)
    if mark := metafunc.definition.get_closest_marker("strategies"):
        strategies = mark.args or ("validity", "subquery")
        metafunc.parametrize("strategy", strategies, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests on databases that lack what they need."""
    deselected = [item for item in items if not _can_run(item)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in set(deselected)]


def _can_run(item: pytest.Item) -> bool:
    needed = [word for mark in item.iter_markers("needs") for word in mark.args]
    if not needed:
        return True
    callspec = getattr(item, "callspec", None)
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

    def look_up(name: str) -> Database:
        if name not in made:
            made[name] = build_database(name, _server_url(request.config, name), label)
        return made[name]

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


@pytest.fixture
def database(
    request: pytest.FixtureRequest, databases: Callable[[str], Database]
) -> Iterator[Database]:
    """An empty database; the test runs once for each that was selected."""
    found = databases(request.param)
    yield found
    close_all_sessions()
    found.wipe()


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """An engine on the test's database."""
    engine = database.create_engine()
    yield engine
    close_all_sessions()
    engine.dispose()


# -- models -------------------------------------------------------------------


@pytest.fixture
def strategy(request: pytest.FixtureRequest) -> str | None:
    """The strategy a test marked ``strategies`` runs with now; otherwise None."""
    return getattr(request, "param", None)


@pytest.fixture
def versioning(request: pytest.FixtureRequest, strategy: str | None) -> Iterator[Any]:
    """The default manager, switched on with the options of the test's ``options`` marks."""
    from sqlalchemy_versioned import make_versioned, remove_versioning, versioning_manager

    options: dict[str, Any] = {"strategy": strategy} if strategy else {}
    for mark in reversed(list(request.node.iter_markers("options"))):
        options |= mark.kwargs
    make_versioned(**options)
    yield versioning_manager
    remove_versioning()


@pytest.fixture
def Base(versioning: Any) -> Iterator[type[DeclarativeBase]]:
    """A new declarative base, with versioning on."""
    base = build_base()
    yield base
    base.registry.dispose()


@pytest.fixture
def blog(Base: type[DeclarativeBase]) -> Models:
    """The blog models, their factories and metadata."""
    return build_blog(Base)


@pytest.fixture
def models(request: pytest.FixtureRequest) -> Any:
    """What ``session`` makes tables for: the blog, unless a test module overrides it.

    Anything with a ``metadata`` will do: a ``Models`` or a declarative base.
    """
    return request.getfixturevalue("blog")


@pytest.fixture
def tables(engine: Engine, models: Any) -> Engine:
    """The engine, with the tables of ``models`` and of their versions made."""
    configure_mappers()
    models.metadata.create_all(engine)
    return engine


@pytest.fixture
def session(tables: Engine, models: Any) -> Iterator[Session]:
    """A session on the tables of ``models``, which the factories of ``models`` use."""
    with Session(tables) as session:
        if hasattr(models, "factories"):
            models.factories.session = session
        yield session


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


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test after which a listener of its own or a versioned class remains."""
    before = list_listeners()
    yield
    close_all_sessions()
    clear_mappers()
    left = list_listeners() - before
    assert not left, f"listeners left behind: {sorted(map(str, left))}"
    if package := sys.modules.get("sqlalchemy_versioned"):
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

    Per module, because walking the heap is slow; not after a failure, whose traceback may
    hold one rightly.
    """
    yield
    if request.session.testsfailed:
        return
    gc.collect()
    left = find_units_of_work()
    assert not left, f"units of work left behind: {left}"
