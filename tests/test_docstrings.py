"""Every example in a docstring does what it shows.

Each docstring gets a scene of its own: the names of its module, the public names, and a blog with
one ``article`` on an SQLite database, committed as ``'Draft'`` by the transaction ``first`` and
changed to ``'Final'`` by the transaction ``last``, which is ``transaction``, too.
"""

import doctest
import importlib
import pkgutil

import pytest
from sqlalchemy import Integer, Text, create_engine, select
from sqlalchemy.orm import Session, configure_mappers, mapped_column

import sqlalchemy_versioned

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def find_examples():
    """Return the docstrings of the package that have examples."""
    found = pkgutil.walk_packages(sqlalchemy_versioned.__path__, "sqlalchemy_versioned.")
    names = ["sqlalchemy_versioned", *(module.name for module in found)]
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for name in names for test in finder.find(importlib.import_module(name), name)]
    return [test for test in tests if test.examples]


@pytest.fixture
def scene(blog):
    """The names that examples can use."""
    configure_mappers()
    engine = create_engine("sqlite://")
    blog.metadata.create_all(engine)
    with Session(engine) as session:
        article = blog.Article(name="Draft")
        session.add(article)
        session.commit()
        article.name = "Final"
        session.commit()
        transaction = sqlalchemy_versioned.transaction_class(blog.Article)
        first, last = session.scalars(select(transaction).order_by(transaction.id))
        names = {cls.__name__: cls for cls in blog.classes}
        names |= {"engine": engine, "session": session, "select": select, "blog": blog}
        names |= {"Base": blog.base, "Integer": Integer, "Text": Text}
        names |= {"mapped_column": mapped_column, "transaction": last}
        yield names | {"article": article, "first": first, "last": last}
    engine.dispose()


@pytest.mark.parametrize("example", find_examples(), ids=lambda test: test.name)
def test_docstring(example, scene):
    """The example prints what it shows."""
    public = {name: getattr(sqlalchemy_versioned, name) for name in sqlalchemy_versioned.__all__}
    example.globs.update(public | scene)
    report = []

    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=report.append)

    assert not failed, "".join(report)
