"""Awaitable forms: every read has one, and each does what its namesake does."""

import asyncio
import contextlib
import enum
import inspect
from datetime import datetime, timezone

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.exc import DetachedInstanceError

import sqlalchemy_versioned
from sqlalchemy_versioned import (
    ClassNotVersioned,
    ImproperlyConfigured,
    InvalidArgumentType,
    MustBeAwaited,
    Operation,
    Plugin,
    PluginCollection,
    ReverterException,
    as_of,
    get_changes,
    is_modified,
    is_modified_or_deleted,
    is_session_modified,
    maintenance,
    version_class,
    versioned_objects,
)
from sqlalchemy_versioned import asyncio as versioned
from sqlalchemy_versioned.asyncio import AsyncSnapshot, AsyncVersions
from sqlalchemy_versioned.reading.version import VersionAPI
from tests.awaited import LEFT_BEHIND, build_shelf, is_refused, write

pytestmark = [
    pytest.mark.usefixtures("refused_awaits"),
    *LEFT_BEHIND,
]

# -- which forms there are -----------------------------------------------------------------------

#: Public classes of which nothing asks a database by itself.
SILENT_CLASSES = (
    BaseException,
    enum.Enum,
    # What is called by flushes, and while mappers are configured.
    Plugin,
    PluginCollection,
    sqlalchemy_versioned.TransactionFactory,
    sqlalchemy_versioned.Versioned,
    sqlalchemy_versioned.VersioningManager,
    sqlalchemy_versioned.transaction_context,
)

#: Public functions and methods that never ask a database.
SILENT = {
    # They switch versioning on and off, and declare.
    "make_versioned",
    "remove_versioning",
    "versioned",
    "versioned_table",
    # They look up what was built when mappers were configured.
    "end_tx_column_name",
    "get_versioning_manager",
    "is_versioned",
    "parent_class",
    "parent_table",
    "transaction_class",
    "tx_column_name",
    "version_class",
    "version_table",
    # They return statements, for AsyncSession.scalars().
    "deleted",
    "select_changes",
    "session_variables_statement",
    "VersionCollection.select",
    # They look at what is loaded.
    "is_modified",
    "is_modified_or_deleted",
    "is_session_modified",
    "versioned_objects",
    # It looks at records.
    "flatten",
    # They keep what is said for the task; whoever flushes reads it.
    "clear_transaction_context",
    "get_transaction_context",
    "set_transaction_context",
    # They wrap a version; what is then read of it has its own form.
    "version_api",
    "Version.version_api",
    # The object was made when the row was written.
    "UnitOfWork.current_transaction",
    "UnitOfWork.oldest_id",
    "UnitOfWork.session",
    "UnitOfWork.transaction_id",
    # Flushes and the ends of transactions call these, inside of the session's own greenlet.
    "UnitOfWork.announce",
    "UnitOfWork.discard",
    "UnitOfWork.end",
    "UnitOfWork.ended",
    "UnitOfWork.ensure_transaction",
    "UnitOfWork.find_transaction",
    "UnitOfWork.finish",
    "UnitOfWork.lose",
    "UnitOfWork.operations",
    "UnitOfWork.prepare",
    "UnitOfWork.recorded_tables",
    "UnitOfWork.released",
    "UnitOfWork.set_later",
    "UnitOfWork.take_images",
    "UnitOfWork.write_rows",
}

#: Awaitable forms that cannot have the name of what they stand for.
OTHER_NAMES = {
    "versions_of": "versions",
    "VersionCollection.__contains__": "contains",
    "VersionCollection.__getitem__": "get",
    "VersionCollection.__iter__": "__aiter__",
    # Python knows no asynchronous form of these; the same can be asked so.
    "VersionCollection.__bool__": "first",
    "VersionCollection.__len__": "count",
    "VersionCollection.__reversed__": "get",
}

#: Arguments that only callers of other libraries give, and those that Python's sequences have.
OLD_ARGUMENTS = {
    "Version.all_versions": {"link"},
    "UnitOfWork.create_transaction": {"session"},
    "VersionCollection.count": {"value"},
    "vacuum": {"yield_per"},
}


def public_members(cls):
    """Return the functions and properties that a class gives away, with those of operators."""
    asked = ("__bool__", "__contains__", "__getitem__", "__iter__", "__len__", "__reversed__")
    for name, member in vars(cls).items():
        is_member = callable(member) or isinstance(member, (property, classmethod))
        if is_member and (not name.startswith("_") or name in asked):
            yield name, member


def find_reads():
    """Return, by dotted name, everything public that asks a database."""
    found = {}
    public = {
        name: getattr(module, name)
        for module in (sqlalchemy_versioned, maintenance)
        for name in module.__all__
    }
    for name, value in {**public, "VersionAPI": VersionAPI}.items():
        if inspect.isfunction(value):
            found[name] = value
        elif isinstance(value, type) and not issubclass(value, (*SILENT_CLASSES, Session)):
            found |= {f"{name}.{key}": member for key, member in public_members(value)}
    assert set(found) >= SILENT, sorted(SILENT - set(found))
    return {name: value for name, value in found.items() if name not in SILENT}


def find_form(name):
    """Return the awaitable form of what is called *name*, or None."""
    owner = AsyncVersions if name.startswith("VersionCollection.") else versioned
    return getattr(owner, OTHER_NAMES.get(name, name.rpartition(".")[2]), None)


def arguments(value):
    """Return the parameters of a function, without the object that it is about."""
    if isinstance(value, property):
        return {}
    parameters = inspect.signature(getattr(value, "__func__", value)).parameters
    objects = ("self", "cls", "obj", "subject", "version", "model", "transaction", "unit_of_work")
    return {key: each.default for key, each in parameters.items() if key not in objects}


def test_every_read_has_an_awaitable_form():
    """Whatever asks a database can be awaited as well; who adds a read adds its form."""
    assert [name for name in find_reads() if find_form(name) is None] == []
    assert issubclass(AsyncSnapshot, AsyncSession)


def test_everything_in_the_module_is_such_a_form():
    """Nothing is there that is not the form of something."""
    forms = {find_form(name) for name in find_reads()} | {AsyncSnapshot, AsyncVersions}

    assert [name for name in versioned.__all__ if getattr(versioned, name) not in forms] == []


def test_awaitable_forms_take_the_same_arguments():
    """A form takes what its namesake takes, with the same defaults."""
    for name, value in find_reads().items():
        if name in OTHER_NAMES or isinstance(value, property):
            continue
        given = arguments(find_form(name))
        old = OLD_ARGUMENTS.get(name, set())
        if "asked" not in given:
            assert {k: v for k, v in arguments(value).items() if k not in old} == given, name


# -- what they do --------------------------------------------------------------------------------


@pytest.fixture
def models(keep):
    """Authors and articles."""
    return keep(build_shelf)


@pytest.fixture
def run_on_engine(database, tables):
    """Await a function of an asynchronous engine, on a database with the tables."""

    async def main(function):
        engine = database.create_async_engine()
        try:
            await function(engine)
        finally:
            await engine.dispose()

    return lambda function: asyncio.run(main(function))


@pytest.fixture
def run(run_on_engine):
    """Await a function of an ``AsyncSession``."""

    def run(function):
        async def main(engine):
            async with AsyncSession(engine, expire_on_commit=False) as session:
                await function(session)

        run_on_engine(main)

    return run


async def names(versions):
    """Return the names of versions in one word."""
    return "".join([version.name async for version in versions])


@pytest.mark.needs("async")
def test_versions_of_an_object(run, models):
    """Versions are counted, taken by place, searched and iterated."""

    async def read(session):
        article, _ = await write(session, models)
        found = versioned.versions(article)
        first, second = await found.all()
        assert await found.first() is first
        assert (await found.get(-1), await found.get(slice(0, 1))) == (second, [first])
        assert await found.index(second) == 1
        assert await found.contains(second)
        assert not await found.filter_by(name="a").contains(second)
        assert (await found.count(), await versioned.count_versions(article)) == (2, 2)
        assert await names(found) == "ab"
        assert [v.name for v in await session.scalars(found.select().limit(1))] == ["a"]
        with pytest.raises(IndexError):
            await found.get(2)
        with pytest.raises(ValueError, match="not in"):
            await found.index(second, 0, 1)

    run(read)


@pytest.mark.needs("async")
def test_narrower_versions(run, models):
    """Versions are filtered and ordered before they are asked for."""

    async def read(session):
        article, _ = await write(session, models)
        cls = version_class(models.Article)
        found = versioned.versions(article)
        assert await names(found.order_by(cls.name.desc())) == "ba"
        assert await names(found.filter(cls.name > "a")) == "b"
        assert await names(found.filter_by(name="a")) == "a"
        loaded = found.options(selectinload(cls.author))
        assert [version.author.name async for version in loaded] == ["Ada", "Bea"]

    run(read)


@pytest.mark.needs("async")
def test_versions_at_a_moment(run, models):
    """The version that was valid then is found by Transaction, id and moment."""

    async def read(session):
        article, transactions = await write(session, models)
        first, second = transactions
        found = versioned.versions(article)
        assert [(await found.at(when)).name for when in (first, second.id)] == ["a", "b"]
        assert (await found.at(datetime.now(timezone.utc))).name == "b"
        at = await versioned.version_at(session, models.Article, article.id, first)
        assert at is await found.get(0)
        newest = await versioned.all_versions(session, models.Article, article.id, limit=1)
        assert newest == [await found.get(-1)]

    run(read)


@pytest.mark.needs("async")
def test_one_version(run, models):
    """What versions tell of each other can be awaited, also when they are expired."""

    async def read(session):
        article, transactions = await write(session, models)
        first, second = await versioned.versions(article).all()
        session.expire_all()
        assert await versioned.to_dict(second) == {
            "id": 1,
            "name": "b",
            "author_id": 1,
            "transaction_id": 2,
            "end_transaction_id": None,
            "operation_type": Operation.UPDATE,
        }
        for version in (first, second):
            session.expire(version)
        assert await versioned.operation_type(second) == Operation.UPDATE
        assert not await versioned.is_delete(second)
        assert (await versioned.previous(second), await versioned.next(first)) == (first, second)
        assert await versioned.index(second) == 1
        assert await versioned.transaction(second) is list(transactions)[1]
        assert await versioned.version_parent(second) is article
        assert await versioned.changeset(second) == {"name": ["a", "b"]}
        assert await versioned.diff(first, second) == {"name": ["a", "b"]}
        article.author = None
        await session.commit()
        third = await versioned.next(second)
        lost = await versioned.diff(second, third, relations=["author"])
        assert lost == {"author_id": [1, None], "author": [1, None]}

    run(read)


@pytest.mark.needs("async")
def test_relationships_of_versions_are_awaited(run, models):
    """Where the classes of an application have awaitable attributes, their versions do, too."""

    async def read(session):
        article, _ = await write(session, models)
        first = await versioned.versions(article).first()
        assert (await first.awaitable_attrs.author).name == "Ada"

    run(read)


@pytest.mark.needs("async")
def test_attributes_that_ask_are_refused(run, models):
    """Behind an attribute nothing can be awaited, as always with an AsyncSession."""

    async def read(session):
        article, transactions = await write(session, models)
        second = await versioned.versions(article).get(1)
        found, first = await article.awaitable_attrs.versions, next(iter(transactions))
        for ask, form in (
            (lambda: found[0], "versions"),
            (lambda: list(found), "versions"),
            (lambda: len(found), "versions"),
            (lambda: second in found, "versions"),
            (lambda: found.at(datetime.now(timezone.utc)), "versions"),
            (lambda: second.previous, "previous"),
            (lambda: second.changeset, "changeset"),
            (lambda: second.revert(), "revert"),
            (lambda: first.entity_names, "entity_names"),
            (lambda: as_of(session, 1), "as_of"),
            (lambda: get_changes(models.Article, session), "get_changes"),
            (lambda: maintenance.verify(session), "verify"),
        ):
            with pytest.raises(MustBeAwaited, match=rf"asyncio\.{form}\("):
                ask()

    run(read)


@pytest.mark.needs("async")
def test_what_never_asks_needs_no_form(run, models, versioning, mode):
    """What looks only at the session answers at once, whatever is expired or pending."""

    async def read(session):
        article, _ = await write(session, models)
        author = article.author
        session.expire_all()
        assert (is_modified(article), is_session_modified(session)) == (False, False)
        article.name = "c"
        assert is_modified(article)
        assert is_modified_or_deleted(article)
        assert is_session_modified(session)
        assert set(versioned_objects(session)) == {article, author}
        await session.flush()
        unit = versioning.unit_of_work(session)
        assert unit.session is session.sync_session
        session.expire_all()
        # Which transaction triggers have written must be asked for once.
        with mode.pick(contextlib.nullcontext(), is_refused()):
            assert unit.current_transaction in session
        assert await session.run_sync(lambda _: unit.current_transaction) in session
        assert unit.current_transaction in session

    run(read)


@pytest.mark.needs("async")
def test_unflushed_changes(run, models):
    """Old values that were not loaded are read."""

    async def read(session):
        article, _ = await write(session, models)
        session.expire(article)
        article.name = "c"
        assert await versioned.changeset(article) == {"name": ["c", "b"]}

    run(read)


@pytest.mark.needs("async")
def test_reverting(run, models):
    """An object that was deleted is restored, and its relation put back."""

    async def read(session):
        article, _ = await write(session, models)
        author = article.author
        await session.delete(article)
        await session.commit()
        first = await versioned.versions(article).first()
        plan = await versioned.revert_plan(first, relations=["author"])
        assert "set Author 1: name = 'Ada'" in str(plan)
        restored = await versioned.revert(first, relations=["author"])
        await session.commit()
        assert (restored.name, author.name) == ("a", "Ada")
        assert await names(versioned.versions(restored)) == "abba"

    run(read)


@pytest.mark.needs("async")
def test_transactions(run, models, versioning):
    """A transaction is written when it is asked for, and tells what it changed."""

    async def read(session):
        unit = versioning.unit_of_work(session)
        made = await versioned.create_transaction(unit, remote_addr="here")
        assert made is unit.current_transaction
        article, transactions = await write(session, models)
        first, second = transactions
        assert (first, first.remote_addr) == (made, "here")
        session.expire_all()
        assert await versioned.entity_names(second) == ["Article", "Author"]
        changed = await versioned.changed_entities(second)
        assert changed[version_class(models.Article)] == [await versioned.versions(article).get(1)]

    run(read)


@pytest.mark.needs("async")
def test_changes(run, models):
    """Change records are read, and who set which column last."""

    async def read(session):
        article, transactions = await write(session, models)
        first, second = transactions
        asked = {"object_ids": article, "operations": Operation.UPDATE}
        (record,) = await versioned.get_changes(models.Article, session, **asked)
        assert [(c.field, c.old, c.new) for c in record.changes] == [("name", "a", "b")]
        session.expire(article)
        assert await versioned.blame(article) == {"id": first, "name": second, "author_id": first}

    run(read)


@pytest.mark.needs("async")
def test_pausing(run, models):
    """What is written in a block is not recorded; what was pending before it is."""

    async def read(session):
        article, _ = await write(session, models)
        article.name = "c"
        async with versioned.paused(session):
            assert not session.is_modified(article)
            article.name = "d"
        with contextlib.suppress(LookupError):
            async with versioned.paused(session):
                article.name = "e"
                raise LookupError
        assert session.is_modified(article)
        await session.commit()
        assert await names(versioned.versions(article)) == "abe"

    run(read)


@pytest.mark.needs("async")
def test_looking_after_history(run, models):
    """History is verified and mended, and rows that are older get a first version."""

    async def read(session):
        author = models.Author(name="Recorded")
        session.add(author)
        await session.commit()
        async with versioned.paused(session):
            author.name = "Unrecorded"
        assert len((await versioned.repair(session)).mended) == 1
        async with versioned.paused(session):
            session.add(models.Author(name="Unrecorded"))
        await session.commit()
        seen = []
        asked = {"progress": lambda *each: seen.append(each)}
        (fault,) = await versioned.verify(session, models.Author, models.Article, **asked)
        assert fault.kind is maintenance.FaultKind.UNRECORDED
        assert seen[0][0] == "author"
        assert await versioned.baseline(session, models.Author, batch_size=1) == 1
        assert await versioned.verify(session) == []

    run(read)


@pytest.mark.needs("async")
def test_vacuum(run, models):
    """Versions that say nothing new are removed."""

    async def read(session):
        article, _ = await write(session, models)
        first = await versioned.versions(article).first()
        first.name = "b"
        await session.commit()
        assert await versioned.vacuum(session, models.Article) == 1
        assert await names(versioned.versions(article)) == "b"

    run(read)


@pytest.mark.needs("async")
def test_session_of_a_task(run_on_engine, models, versioning):
    """What takes a session takes a registry of sessions, too."""

    async def read(engine):
        factory = async_sessionmaker(engine, expire_on_commit=False)
        session = async_scoped_session(factory, scopefunc=asyncio.current_task)
        unit = versioning.unit_of_work(session)
        made = await versioned.create_transaction(unit, remote_addr="here")
        await write(session, models)
        version = await versioned.version_at(session, models.Article, 1, made)
        assert await versioned.transaction(version) is made
        oldest = await versioned.all_versions(session, models.Article, 1, desc=False, limit=1)
        assert oldest == [version]
        assert await versioned.vacuum(session, models.Article) == 0
        async with versioned.as_of(session, made) as past:
            assert (await past.get(models.Article, 1)).name == "a"
        await session.remove()

    run_on_engine(read)


def test_object_of_no_session(models):
    """Of an object that was never added nothing is asked; one that was detached is refused."""

    async def read():
        assert await versioned.versions(models.Article()).all() == []
        assert await versioned.count_versions(models.Article()) == 0
        assert await versioned.changeset(models.Article(name="a")) == {"name": ["a", None]}
        with pytest.raises(ClassNotVersioned):
            await versioned.count_versions("an article")

    asyncio.run(read())


@pytest.mark.needs("async")
def test_detached_objects(run, models):
    """Without a session nothing can be read, and that is said as it is without asyncio."""

    async def read(session):
        article, transactions = await write(session, models)
        first = await versioned.versions(article).first()
        transaction = transactions.first()
        session.expunge_all()
        for ask in (
            versioned.versions(article).all,
            lambda: versioned.previous(first),
            lambda: versioned.changed_entities(transaction),
        ):
            with pytest.raises(DetachedInstanceError, match="is in no session"):
                await ask()
        with pytest.raises(ReverterException, match="is in no session"):
            await versioned.revert(first)

    run(read)


@pytest.mark.needs("async")
def test_connection_that_is_closed(run, models):
    """What is executed on a connection that is lost fails with an error of the database."""

    async def read(session):
        article, _ = await write(session, models)
        held = await (await session.connection()).get_raw_connection()
        await held.driver_connection.close()
        article.name = "c"
        with pytest.raises(DBAPIError):
            await session.flush()
        await session.rollback()
        article = await session.get(models.Article, 1)
        article.name = "d"
        await session.commit()
        assert await names(versioned.versions(article)) == "abd"

    run(read)


@pytest.mark.needs("async")
def test_objects_of_a_synchronous_session(session, models, versioning):
    """Who gives an object of a synchronous session is told where to find what is meant."""
    article = models.Article(name="a")
    session.add(article)
    session.commit()
    version = article.versions[0]
    unit = versioning.unit_of_work(session)

    async def read(ask):
        with pytest.raises(ImproperlyConfigured, match="synchronous session"):
            await ask()

    for ask in (
        lambda: versioned.versions(article).first(),
        lambda: versioned.previous(version),
        lambda: versioned.entity_names(version.transaction),
        lambda: versioned.create_transaction(unit),
    ):
        asyncio.run(read(ask))


@pytest.mark.needs("async")
def test_what_is_no_asynchronous_session(session, models):
    """Only an AsyncSession, or a registry of them, is taken for one."""

    async def read(given):
        for ask in (
            lambda: versioned.as_of(given, 1),
            lambda: versioned.version_at(given, models.Article, 1, 1),
            lambda: versioned.all_versions(given, models.Article, 1),
            lambda: versioned.vacuum(given, models.Article),
        ):
            with pytest.raises(ImproperlyConfigured, match="no asynchronous session"):
                await ask()

    for given in (session, async_sessionmaker(), None, models.Article, models.Article()):
        asyncio.run(read(given))


@pytest.mark.needs("async")
def test_what_is_no_version(run, models):
    """Who asks an object what only its versions or transactions know is told so."""

    async def read(session):
        article, _ = await write(session, models)
        for ask in (versioned.previous, versioned.to_dict, versioned.operation_type):
            with pytest.raises(ImproperlyConfigured, match="is no version"):
                await ask(article)
        for ask in (versioned.entity_names, versioned.create_transaction):
            with pytest.raises(InvalidArgumentType, match=r"is no (transaction|unit of work);"):
                await ask(article)

    run(read)
