"""Triggers come and go with their tables, by hand, and are checked against the models."""

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    create_engine,
    create_mock_engine,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    CaptureError,
    ClassNotVersioned,
    ImproperlyConfigured,
    InvalidArgument,
    InvalidArgumentType,
    version_class,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.triggers import (
    check_triggers,
    create_trigger,
    drop_trigger,
    inspect_triggers,
    install_triggers,
    sync_trigger,
    sync_triggers,
    trigger_ddl,
    uninstall_triggers,
)
from tests.threads import waiting

pytestmark = [pytest.mark.needs("triggers"), pytest.mark.options(native=True)]

OURS = "SELECT count(*) FROM pg_proc WHERE strpos(prosrc, '-- sqlalchemy_versioned') > 0"


@pytest.fixture
def metadata(tables, blog):
    """The MetaData of the blog, whose tables are there."""
    return blog.metadata


def faults(metadata, bind):
    """Return what is wrong with triggers, as text."""
    return sorted(map(str, check_triggers(metadata, bind)))


def test_create_all_and_drop_all_do_everything(metadata, engine):
    """Triggers and functions come and go with the tables."""
    assert faults(metadata, engine) == []

    metadata.drop_all(engine)

    with engine.connect() as connection:
        assert connection.scalar(text(OURS)) == 0


def test_two_who_install_wait_for_each_other(metadata, engine):
    """Processes that begin together may all see to the triggers."""
    failed = []

    def install():
        try:
            install_triggers(metadata, engine)
        except DBAPIError as error:
            failed.append(error)

    with engine.connect() as connection:
        install_triggers(metadata, connection)
        with waiting(install):
            connection.commit()

    assert failed == []
    assert faults(metadata, engine) == []


def test_statements_are_written_down(metadata):
    """An engine that executes nothing is told of triggers as well, and asked nothing."""
    written = []

    def write(ddl, *_):
        written.append(str(ddl.compile(dialect=mock.dialect)))

    def made_of(kind):
        return sum(statement.startswith(kind) for statement in written)

    mock = create_mock_engine("postgresql://", write)

    metadata.create_all(mock)
    metadata.tables["article_version"].create(mock)
    assert made_of("CREATE TRIGGER") == install_triggers(metadata).count("\nCREATE TRIGGER")

    written.clear()
    metadata.drop_all(mock)
    assert made_of("DROP TRIGGER") == uninstall_triggers(metadata).count("DROP TRIGGER")


def test_one_table_at_a_time(metadata, engine, blog):
    """Tables that are made and dropped alone have their triggers as well."""
    metadata.drop_all(engine)
    for table in metadata.sorted_tables:
        table.create(engine)
    assert faults(metadata, engine) == []

    for table in reversed(metadata.sorted_tables):
        table.drop(engine)

    with engine.connect() as connection:
        assert connection.scalar(text(OURS)) == 0


def test_installing_and_uninstalling(metadata, engine):
    """Both can be repeated; without triggers every one of them is told to be missing."""
    uninstall_triggers(metadata, engine)
    uninstall_triggers(metadata, engine)
    missing = faults(metadata, engine)
    install_triggers(metadata, engine)
    install_triggers(metadata, engine)

    assert len([each for each in missing if each.startswith("missing trigger")]) == 5 * 4
    assert len([each for each in missing if each.startswith("missing function")]) == 5 + 4
    assert faults(metadata, engine) == []


def test_statements_as_text(metadata, engine):
    """Without a bind the statements are returned, to be executed by whoever may."""
    with engine.begin() as connection:
        connection.exec_driver_sql(uninstall_triggers(metadata).replace("%", "%%"))
        assert connection.scalar(text(OURS)) == 0
        connection.exec_driver_sql(install_triggers(metadata).replace("%", "%%"))

    assert faults(metadata, engine) == []


def test_what_is_wrong_is_told(metadata, engine):
    """A trigger that was dropped or disabled, a function that was changed, one too many.

    All of it can be put right at once.
    """
    with engine.begin() as connection:
        body = connection.scalar(
            text("SELECT prosrc FROM pg_proc WHERE proname = 'comment_versioned'")
        )
        for statement in (
            "DROP TRIGGER article_versioned_insert ON article",
            "ALTER TABLE author DISABLE TRIGGER author_versioned_update",
            f"CREATE OR REPLACE FUNCTION tag_versioned() RETURNS trigger LANGUAGE plpgsql "
            f"AS $x${body}$x$",
            "CREATE TABLE gone (id int)",
            f"CREATE FUNCTION gone_versioned() RETURNS trigger LANGUAGE plpgsql AS $x${body}$x$",
            "CREATE TRIGGER gone_versioned_delete AFTER DELETE ON gone "
            "FOR EACH STATEMENT EXECUTE FUNCTION gone_versioned()",
        ):
            connection.exec_driver_sql(statement)

    faults_before = faults(metadata, engine)
    assert faults_before == [
        "disabled trigger public.author_versioned_update on public.author",
        "missing trigger public.article_versioned_insert on public.article",
        "orphan function public.gone_versioned",
        "orphan trigger public.gone_versioned_delete on public.gone",
        "stale function public.tag_versioned",
    ]
    assert sorted(map(str, sync_triggers(metadata, engine))) == faults_before
    assert sync_triggers(metadata, engine) == faults(metadata, engine) == []


def test_what_a_database_has_is_told(metadata, engine, blog):
    """Triggers are reflected as they are there; what is told makes them again."""
    table = blog.Article.__table__
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE article DISABLE TRIGGER article_versioned_delete")

    installed = inspect_triggers(engine, table)
    uninstall_triggers(metadata, engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(installed[0].function_definition.replace("%", "%%"))
        for each in installed:
            connection.exec_driver_sql(each.definition)

    told = {each.events: each.is_enabled for each in installed}
    assert told == {("INSERT",): True, ("UPDATE",): True, ("DELETE",): False, ("TRUNCATE",): True}
    assert {(each.function_schema, each.function) for each in installed} == {
        ("public", "article_versioned")
    }
    again = inspect_triggers(engine, "public.article")
    assert [each.definition for each in again] == [each.definition for each in installed]
    assert not [each for each in faults(metadata, engine) if "article_versioned_" in each]
    assert inspect_triggers(engine, version_class(blog.Article).__table__) == []


def test_tables_that_are_not_there_have_nothing_to_be_told(metadata, engine, blog):
    """A name that is misspelt is no table without triggers."""
    with pytest.raises(InvalidArgument, match="no table 'artcle' in the schema 'public'"):
        inspect_triggers(engine, "artcle")
    with pytest.raises(InvalidArgumentType, match="give a Table"):
        inspect_triggers(engine, blog.Article)


@pytest.mark.options(native=True, create_triggers=False)
def test_triggers_can_be_left_to_migrations(metadata, engine, blog):
    """Tables come and go, and triggers and functions stay as somebody else has made them."""
    table = blog.Article.__table__
    assert inspect_triggers(engine, table) == []

    install_triggers(metadata, engine)
    found = len(inspect_triggers(engine, table))
    metadata.drop_all(engine)

    with engine.connect() as connection:
        assert (found, connection.scalar(text(OURS))) == (4, 5 + 4)
    uninstall_triggers(metadata, engine)
    with engine.connect() as connection:
        assert connection.scalar(text(OURS)) == 0


def test_a_function_that_was_changed_by_hand(metadata, engine):
    """A body that is not what its hash says is stale."""
    change = (
        "DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('tag_versioned'::regproc), "
        "'versioned_left < 0', 'false'); END $do$"
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(change)

    assert faults(metadata, engine) == ["stale function public.tag_versioned"]


def test_one_table_for_migrations(metadata, session, blog):
    """A migration renews the triggers of one table by its name, or takes them off."""
    drop_trigger(session, "article")
    assert len(faults(metadata, session)) == 5
    sync_trigger(session, "article_version")
    assert faults(metadata, session) == []
    drop_trigger(session, "article")
    create_trigger(session, blog.Article.__table__)
    assert faults(metadata, session) == []


def test_one_table_that_no_class_is_mapped_to(versioning, open_session):
    """A table without a class is found by its name, also where no class is beside it."""
    metadata = MetaData()
    table = Table("log", metadata, Column("id", Integer, primary_key=True))
    versioned_table(table)
    session = open_session(metadata)

    drop_trigger(session, "log")
    sync_trigger(session, "log_version")

    assert faults(metadata, session) == []


def test_statements_of_one_table(blog, metadata):
    """Each statement is one, so that every driver takes it."""
    creation, removal = trigger_ddl(blog.Article.__table__)

    words = [each.split()[0] for each in creation]
    assert words == ["CREATE", "REVOKE", *["DROP", "CREATE"] * 4, "DO"]
    assert [each.split()[0] for each in removal] == ["DROP"] * 5


def test_what_is_not_recorded_by_triggers(metadata, session, blog, engine):
    """Tables, names and binds that are of no use are refused."""
    with pytest.raises(ClassNotVersioned):
        trigger_ddl(blog.Category.__table__)
    with pytest.raises(ClassNotVersioned):
        sync_trigger(session, "category_version")
    with pytest.raises(ImproperlyConfigured, match="no table of this MetaData"):
        install_triggers(MetaData(), engine)
    with pytest.raises(ImproperlyConfigured, match="no bind"):
        install_triggers(metadata, "postgresql://")
    with pytest.raises(InvalidArgumentType, match=r"such as Base\.metadata"):
        install_triggers(blog.Article, engine)
    with pytest.raises(InvalidArgumentType, match=r"such as Base\.metadata"):
        sync_trigger(session, "category_version", blog.Article)
    with pytest.raises(InvalidArgumentType, match=r"such as Article\.__table__"):
        trigger_ddl(blog.Article)
    with pytest.raises(ImproperlyConfigured, match="sqlite has no triggers"):
        install_triggers(metadata, create_engine("sqlite://"))


def test_a_table_without_triggers_is_not_written(metadata, session, blog):
    """What nobody would record is refused."""
    uninstall_triggers(metadata, session)
    session.commit()

    session.add(blog.Article(name="a"))

    with pytest.raises(CaptureError, match="install_triggers"):
        session.flush()


def test_another_schema_without_triggers_is_not_written(metadata, session, blog):
    """Where a table is looked for may change from one transaction to the next."""
    session.execute(text("CREATE SCHEMA other"))
    session.execute(text("CREATE TABLE other.article AS SELECT * FROM article"))
    session.add(blog.Article(name="a"))
    session.commit()

    session.execute(text("SET LOCAL search_path TO other"))
    session.add(blog.Article(name="a"))

    with pytest.raises(CaptureError, match="0 of its 4 triggers"):
        session.flush()


def test_names_by_convention(versioning, open_session):
    """A naming convention names the function and, with the event appended, the triggers."""
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        metadata = MetaData(
            naming_convention={
                "ix": "ix_%(column_0_label)s",
                "version.function": "%(table_name)s_audit",
                "version.trigger": "%(table_name)s_watch",
            }
        )

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session(Base)
    session.add(Page(id=1))
    session.commit()

    creation, _ = trigger_ddl(Page.__table__)
    assert "FUNCTION public.page_audit()" in creation[0]
    assert "TRIGGER page_watch_insert" in creation[3]
    assert session.query(version_class(Page)).count() == 1


def test_a_table_without_a_class(versioning, engine, Base):
    """Triggers record tables that no class is mapped to."""
    metadata = MetaData()
    table = Table("plain", metadata, Column("id", Integer, primary_key=True))
    versioned_table(table)
    configure_mappers()
    metadata.create_all(engine)

    with Session(engine) as session:
        session.execute(table.insert(), [{"id": 1}, {"id": 2}])
        session.execute(table.delete().where(table.c.id == 2))
        session.commit()
        assert session.scalars(select(version_table(table).c.id)).all() == [1]
