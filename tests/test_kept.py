"""What is kept from one test to the next, and when it is not."""

import pytest
from sqlalchemy import Column, Integer, event, inspect, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler

from sqlalchemy_versioned import Plugin, transaction_class, version_class, versioning_manager
from tests.kept import TooLate
from tests.models import Models, build_blog


@pytest.fixture
def kept(keeper):
    """A blog that is kept."""
    keeper.switch_on({})
    return keeper.models(build_blog)


def declare_another(blog):
    """Declare another versioned class on the same base."""

    class Another(blog.base):
        __tablename__ = "another"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)


CHANGES = {
    "listener of a class": lambda blog: event.listen(blog.Article, "load", repr),
    "listener of a version": lambda blog: event.listen(version_class(blog.Tag), "load", repr),
    "listener of an attribute": lambda blog: event.listen(blog.Article.name, "set", repr),
    "listener of a table": lambda blog: event.listen(blog.Tag.__table__, "before_create", repr),
    "listener taken away": lambda blog: versioning_manager._tracker.stop(),
    "attribute": lambda blog: setattr(blog.Article, "note", "changed"),
    "attribute of a version": lambda blog: setattr(version_class(blog.Tag), "note", "changed"),
    "option": lambda blog: versioning_manager.options.update(strategy="subquery"),
    "plugin": lambda blog: versioning_manager.plugins.append(Plugin()),
    "column": lambda blog: blog.Tag.__table__.append_column(Column("more", Integer)),
    "class": declare_another,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_changed_models_are_let_go(keeper, kept, change):
    """Models are declared anew after a test that changed something about them."""
    change(kept)

    keeper.let_go_if_changed()

    assert not versioning_manager.version_class_map
    keeper.switch_on({})
    assert keeper.models(build_blog) is not kept


def test_used_models_are_kept(keeper, blog, session):
    """Reading, writing and looking around changes nothing about models."""
    blog.factories.Article(name="a", tags=[blog.factories.Tag()])
    session.commit()
    assert session.scalars(select(version_class(blog.Article).name)).all() == ["a"]

    keeper.let_go_if_changed()

    assert keeper.models(build_blog) is blog


def test_factories_are_new(keeper, kept):
    """Each test numbers what it makes from 0."""
    kept.factories.session = Session()
    assert kept.factories.Tag().name == "tag-0"

    again = keeper.models(build_blog).factories

    again.session = Session()
    assert again.Tag().name == "tag-0"


def test_functions_of_fixtures_are_recognized(keeper):
    """A function that each test defines anew makes the same models, if told the same."""

    def make(*arguments):
        def build(Base, name):
            class Thing(Base):
                __tablename__ = name
                id: Mapped[int] = mapped_column(primary_key=True)

            return Models(Base, Thing)

        return keeper.models(build, *arguments)

    keeper.switch_on({})

    assert make("one") is make("one")
    assert make("other").Thing.__tablename__ == "other"


def test_functions_that_know_more_are_refused(keeper):
    """What is declared must depend on nothing but the arguments."""
    name = "thing"

    def build(Base):
        return type(name, (Base,), {})

    keeper.switch_on({})

    with pytest.raises(TypeError, match="all it needs as arguments"):
        keeper.models(build)


def test_options_make_other_models(keeper, kept):
    """Models are kept with the options they were built with."""
    keeper.switch_on({"strategy": "subquery"})

    assert keeper.models(build_blog) is not kept


def test_too_late_for_options(keeper):
    """A fixture that changes versioning before it asks for kept models hears of it."""
    keeper.switch_on({})
    versioning_manager.options["strategy"] = "subquery"

    with pytest.raises(TooLate, match="versioning was changed before"):
        keeper.models(build_blog)


def write(blog, engine):
    """Write an article with a tag; return all the numbers there are of it and its transaction."""
    with Session(engine) as session:
        session.add(blog.Article(name="a", tags=[blog.Tag(name="t")]))
        session.commit()
        columns = (blog.Article.id, blog.Tag.id, transaction_class(blog.Article).id)
        return [list(session.scalars(select(column))) for column in columns]


def test_kept_tables_are_emptied(keeper, database, kept):
    """The next test finds no row, and the numbers begin with 1 again."""
    engine = keeper.create_engine(database)
    for _ in range(3):
        keeper.make_tables(database, engine, kept)
        assert write(kept, engine) == [[1], [1], [1]]
        engine.dispose()
        keeper.clean(database)


DDL = {
    "column": "ALTER TABLE tag ADD COLUMN more INTEGER",
    "index": "CREATE INDEX ix_more ON tag (id, name)",
    "table": "CREATE TABLE more (id INTEGER)",
    "view": "CREATE VIEW more AS SELECT id FROM tag",
}


@pytest.mark.parametrize("statement", DDL.values(), ids=list(DDL))
def test_changed_tables_are_not_kept(keeper, database, kept, statement):
    """The next test finds no table, column or index that this one made."""
    engine = keeper.create_engine(database)
    keeper.make_tables(database, engine, kept)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()

    keeper.clean(database)
    keeper.make_tables(database, engine, kept)

    found = inspect(engine)
    assert set(found.get_table_names()) == {table.name for table in kept.metadata.sorted_tables}
    assert not found.get_view_names()
    assert "more" not in {column["name"] for column in found.get_columns("tag")}
    assert not found.get_indexes("tag")
    engine.dispose()


def test_engines_share_what_was_compiled(monkeypatch, keeper, database):
    """The next engine compiles nothing again, and nobody listens to it."""
    keeper.let_go()
    keeper.switch_on({})
    kept = keeper.models(build_blog)
    compiled = []
    compile_ = SQLCompiler.__init__
    monkeypatch.setattr(
        SQLCompiler,
        "__init__",
        lambda compiler, *args, **kw: compiled.append(args) or compile_(compiler, *args, **kw),
    )
    counts, heard = [], []
    for _ in range(2):
        engine = keeper.create_engine(database)
        keeper.make_tables(database, engine, kept)
        compiled.clear()
        write(kept, engine)
        counts.append(len(compiled))
        assert heard == []
        for name in ("before_execute", "do_execute"):
            event.listen(engine, name, lambda *args: heard.append(args))
        engine.dispose()
        keeper.clean(database)

    assert counts[0] > 5
    assert counts[1:] == [0]


def test_others_find_no_kept_tables(keeper, database, kept):
    """A test that makes tables by itself gets an empty database."""
    engine = keeper.create_engine(database)
    keeper.make_tables(database, engine, kept)
    engine.dispose()

    keeper.empty(database)

    assert not inspect(engine).get_table_names()
    engine.dispose()


def write_articles(session, blog):
    """Write an article that is changed, and one that is deleted."""
    article, other = blog.Article(name="a"), blog.Article(name="other")
    session.add_all([article, other])
    session.commit()
    article.tags.append(blog.Tag(name="t"))
    session.delete(other)
    session.commit()


@pytest.mark.strategies
def test_rows_are_written_once(
    database, session, blog, tables, write, empty_tables, count_statements
):
    """Rows that a function wrote are there again unwritten, and others are numbered from there."""
    found, counts = [], []
    for _ in range(2):
        with count_statements(tables) as statements:
            write(write_articles)
        counts.append(statements.count)
        blog_tables = blog.metadata.sorted_tables
        rows = {each.name: session.execute(select(each)).all() for each in blog_tables}
        session.add(blog.Article(name="b"))
        session.commit()
        version = session.scalars(select(version_class(blog.Article)).filter_by(name="b")).one()
        found.append((rows, version.id, version.transaction_id))
        empty_tables()

    is_kept = database.dump() is not None
    assert (counts[0] > 0, counts[1] == 0) == (True, is_kept)
    assert not is_kept or found[0] == found[1]
    assert found[0][1:] == found[1][1:]


def write_tags(session, blog):
    """Write a tag."""
    session.add(blog.Tag(name="x"))
    session.commit()


def test_rows_are_written_beside_others(session, blog, write, empty_tables):
    """What a second function writes in a test leaves what the first one wrote."""
    for _ in range(2):
        write(write_articles)
        write(write_tags)
        assert session.scalars(select(blog.Tag.name).order_by(blog.Tag.id)).all() == ["t", "x"]
        empty_tables()
        write(write_tags)
        assert session.scalars(select(blog.Tag.name)).all() == ["x"]
        empty_tables()
