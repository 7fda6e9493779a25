"""Every example in a docstring does what it shows.

Each docstring gets a scene of its own: the names of its module, the public names, and a blog with
one ``article`` on an SQLite database, committed as ``'Draft'`` by the transaction ``first`` and
changed to ``'Final'`` by the transaction ``last``, which is ``transaction``, too.  Asynchronous
examples find the same by parameters of the function that they give to ``run()``.
"""

import asyncio
import doctest
import importlib
import inspect
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, Text, create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, configure_mappers, mapped_column

import sqlalchemy_versioned
from sqlalchemy_versioned import asyncio as versioned

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def find_examples():
    """Return the docstrings of the package that have examples."""
    # Three of four modules have none, and reading those is quicker than looking at all they hold.
    root = Path(sqlalchemy_versioned.__file__).parent
    paths = sorted(path for path in root.rglob("*.py") if ">>>" in path.read_text("utf-8"))
    names = [".".join(path.relative_to(root.parent).with_suffix("").parts) for path in paths]
    names = [name.removesuffix(".__init__") for name in names]
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for name in names for test in finder.find(importlib.import_module(name), name)]
    return [test for test in tests if test.examples]


def write(engine, blog):
    """Write what examples find in their database."""
    blog.metadata.create_all(engine)
    with Session(engine) as session:
        article = blog.Article(name="Draft")
        session.add(article)
        session.commit()
        article.name = "Final"
        session.commit()


@pytest.fixture(scope="module")
def written():
    """What has been written, as an SQLite database, by the blog that it was written with."""
    databases = {}
    yield databases
    for each in databases.values():
        each.close()


@pytest.fixture
def scene(blog, keeper, written):
    """The names that examples can use."""
    configure_mappers()
    engine = keeper.compiled.share("scene", create_engine("sqlite://"))
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        if blog.metadata in written:
            written[blog.metadata].backup(driver)
        else:
            write(engine, blog)
            written[blog.metadata] = sqlite3.connect(":memory:")
            driver.backup(written[blog.metadata])
    with Session(engine) as session:
        article = session.scalars(select(blog.Article)).one()
        transaction = sqlalchemy_versioned.transaction_class(blog.Article)
        first, last = session.scalars(select(transaction).order_by(transaction.id))
        names = {cls.__name__: cls for cls in blog.classes}
        names |= {"engine": engine, "session": session, "select": select, "blog": blog}
        names |= {"Base": blog.base, "Integer": Integer, "Text": Text, "Column": Column}
        names |= {"mapped_column": mapped_column, "transaction": last}
        yield names | {"article": article, "first": first, "last": last}
    engine.dispose()


def run(function, blog):
    """Await a function with what its parameters name, on a database of its own."""

    async def main():
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.begin() as connection:
            await connection.run_sync(blog.metadata.create_all)
        async with AsyncSession(engine, expire_on_commit=False) as session:
            article = blog.Article(name="Draft")
            session.add(article)
            await session.commit()
            article.name = "Final"
            await session.commit()
            first = await versioned.transaction(await versioned.versions(article).first())
            names = {"session": session, "article": article, "first": first}
            asked = [names[each] for each in inspect.signature(function).parameters]
            try:
                return await function(*asked)
            finally:
                await session.close()
                await engine.dispose()

    return asyncio.run(main())


@pytest.mark.parametrize("example", find_examples(), ids=lambda test: test.name)
def test_docstring(example, scene):
    """The example prints what it shows."""
    public = {name: getattr(sqlalchemy_versioned, name) for name in sqlalchemy_versioned.__all__}
    if example.name.startswith(versioned.__name__):
        public |= {"versioned": versioned, "run": lambda function: run(function, scene["blog"])}
    example.globs.update(public | scene)
    report = []

    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=report.append)

    assert not failed, "".join(report)


#: The modules that applications import from.
ROOMS = ["", "alembic", "asyncio", "changes", "maintenance", "plugins", "revert", "triggers"]


@pytest.mark.parametrize("room", [*ROOMS, "utils"])
def test_public_names_have_examples(room):
    """Each function shows how it is called; each class does, or one of its methods."""
    module = importlib.import_module(f"sqlalchemy_versioned.{room}".rstrip("."))
    finder = doctest.DocTestFinder()
    lacking = []
    for name in module.__all__:
        subject = getattr(module, name)
        if inspect.isclass(subject) or inspect.isfunction(subject):
            home = inspect.getmodule(subject)
            if not any(test.examples for test in finder.find(subject, name, module=home)):
                lacking.append(name)
    assert lacking == []
