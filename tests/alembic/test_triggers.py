"""Triggers come, change and go by migrations, where PostgreSQL records."""

from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Integer, String, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, mapped_column

from sqlalchemy_versioned import InvalidArgument, InvalidArgumentType
from sqlalchemy_versioned.alembic.triggers import SCHEMA, Names
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.plugins import TransactionChangesPlugin, TransactionMetaPlugin
from sqlalchemy_versioned.triggers import check_triggers
from sqlalchemy_versioned.triggers.ddl import recorder_body
from sqlalchemy_versioned.triggers.native_tables import transaction_specs, trigger_specs
from sqlalchemy_versioned.triggers.spec import TransactionStep
from sqlalchemy_versioned.triggers.text import Text, unstamped
from sqlalchemy_versioned.triggers.transaction_ddl import transaction_body
from tests.migrations import Migrations, declared

pytestmark = pytest.mark.needs("triggers")

DEFINITIONS = """
    SELECT proname, prosrc FROM pg_proc WHERE strpos(prosrc, '-- sqlalchemy_versioned') > 0
    UNION ALL SELECT tgname, pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger
    WHERE NOT tgisinternal ORDER BY 1
"""


@pytest.fixture
def migrations(engine, tmp_path, unversioned):
    """The migrations of a database that has nothing yet."""
    return Migrations(engine, tmp_path / "migrations")


def article(options: dict[str, Any] | None = None, **columns: Any) -> Any:
    """Return what declares an article with some columns beside its id."""

    def build(Base: Any) -> None:
        body: dict[str, Any] = {"__tablename__": "article", "__versioned__": options or {}}
        body |= columns
        body["id"] = mapped_column(Integer, primary_key=True)
        type("Article", (Base,), body)

    return build


def name(**options: Any) -> Any:
    """Return a column for a short text."""
    return mapped_column(String(50), **options)


def read_definitions(migrations: Migrations) -> Any:
    """Return what the database says of triggers and functions."""
    with migrations.engine.connect() as connection:
        return connection.execute(text(DEFINITIONS)).all()


def execute(migrations: Migrations, statement: str) -> None:
    """Execute a statement as somebody else would."""
    with migrations.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def migrate(migrations: Migrations, Base: Any) -> str:
    """Generate a migration, try it in both directions, and see that nothing is left to do."""
    before = read_definitions(migrations)
    written = migrations.generate(Base.metadata)
    migrations.upgrade()
    after = read_definitions(migrations)
    migrations.downgrade()
    assert read_definitions(migrations) == before
    migrations.upgrade()
    assert read_definitions(migrations) == after
    assert migrations.differences(Base.metadata) == []
    return written


def test_triggers_follow_the_columns_of_their_table(migrations):
    """What they record goes on under new names, and a downgrade brings back what they were."""
    add = "INSERT INTO article ({}) VALUES ('first')"
    with declared(article(name=name()), native=True) as Base:
        written = migrate(migrations, Base)
        assert written.index("op.create_table('article_version'") < written.index(
            "op.create_version_trigger("
        )
        assert check_triggers(Base.metadata, migrations.engine) == []
        execute(migrations, add.format("name"))
    columns = {"title": name(info={"renamed_from": "name"}), "code": name(server_default="x")}
    with declared(article(**columns), native=True) as Base:
        migrate(migrations, Base)
        assert check_triggers(Base.metadata, migrations.engine) == []
        execute(migrations, add.format("title"))
        with Session(migrations.engine) as session:
            assert verify(session) == []
            (cls,) = [m.class_ for m in Base.registry.mappers if m.class_.__name__ == "Article"]
            versions = [each.versions[-1] for each in session.scalars(select(cls))]
            assert [(each.title, each.code) for each in versions] == [("first", "x")] * 2


def test_guards_come_and_go_by_the_option(migrations):
    """History that becomes append-only is guarded, follows other columns, and is let go of."""
    with declared(article(name=name()), native=True) as Base:
        migrate(migrations, Base)
    with declared(article(name=name()), native=True, append_only=True) as Base:
        written = migrate(migrations, Base)
        assert written.count("guards='statements'") == written.count("guards='rows'") == 1
        assert check_triggers(Base.metadata, migrations.engine) == []
        execute(migrations, "INSERT INTO article (name) VALUES ('a')")
    with declared(article(name=name(), code=name()), native=True, append_only=True) as Base:
        migrate(migrations, Base)
        execute(migrations, "UPDATE article SET code = 'x'")
        with pytest.raises(DBAPIError, match="article_version is append-only"):
            execute(migrations, "DELETE FROM article_version")
        with migrations.engine.begin() as connection:
            op = Operations(MigrationContext.configure(connection))
            op.update_end_transaction_ids("article_version")
        execute(migrations, "ALTER TABLE transaction DISABLE TRIGGER ALL")
        assert "op.replace_version_trigger(" in migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []
    with declared(article(name=name(), code=name()), native=True) as Base:
        written = migrate(migrations, Base)
        assert written.count("op.drop_version_trigger(") == 2
        assert check_triggers(Base.metadata, migrations.engine) == []


def test_migrations_write_without_triggers(migrations):
    """Which name columns that are no more, while a column gets back what history holds."""
    with declared(article(name=name(), code=name()), native=True) as Base:
        migrate(migrations, Base)
        execute(migrations, "INSERT INTO article (name, code) VALUES ('a', 'x')")
    columns = {"title": name(info={"renamed_from": "name"}), "code": name()}
    for each in ({"name": name()}, columns):
        with declared(article(**each), native=True) as Base:
            migrate(migrations, Base)
    with migrations.engine.connect() as connection:
        read = "SELECT a.title, a.code, v.code, v.operation_type FROM article a, article_version v"
        assert connection.execute(text(read)).all() == [("a", "x", "x", 0)]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE article DISABLE TRIGGER article_versioned_update",
        "DROP TRIGGER article_versioned_delete ON article",
        "CREATE OR REPLACE FUNCTION article_versioned() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        "-- sqlalchemy_versioned 1 x\nBEGIN RETURN NULL; END $$",
    ],
)
def test_triggers_that_were_changed_are_replaced(migrations, change):
    """A trigger that is missing, does not fire or does something else is found."""
    with declared(article(name=name()), native=True) as Base:
        migrate(migrations, Base)
        before = read_definitions(migrations)
        execute(migrations, change)
        assert "op.replace_version_trigger(" in migrations.generate(Base.metadata)
        migrations.upgrade()
        assert read_definitions(migrations) == before
        assert migrations.differences(Base.metadata) == []


def test_plugins_add_their_tables(migrations):
    """What triggers must know of these tables is in their functions, and not in the migration."""
    options: dict[str, Any] = {"native": True}
    options["plugins"] = [TransactionChangesPlugin(), TransactionMetaPlugin()]
    with declared(article(name=name()), **options) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []
        with Session(migrations.engine) as session:
            session.execute(text("INSERT INTO article (id, name) VALUES (1, 'a')"))
            names = session.execute(text("SELECT entity_name FROM transaction_changes"))
            assert names.scalars().all() == ["Article"]
    with declared(article({"strategy": "append"}, name=name()), **options) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []


def test_functions_of_transactions_are_replaced(migrations):
    """They know the version tables of all classes, so that another class changes them."""

    def build(Base: Any) -> None:
        article(name=name())(Base)
        body = {"__tablename__": "note", "__versioned__": {}}
        type("Note", (Base,), body | {"id": mapped_column(Integer, primary_key=True)})

    with declared(article(name=name()), native=True) as Base:
        migrate(migrations, Base)
    with declared(build, native=True) as Base:
        written = migrate(migrations, Base)
        assert "op.replace_version_function(" in written
        assert check_triggers(Base.metadata, migrations.engine) == []


@pytest.mark.parametrize("native", [True, False])
def test_nothing_is_left_of_triggers(migrations, native):
    """They are taken off first, with versioning and with the mode that needs them."""
    with declared(article(name=name()), native=True) as Base:
        migrate(migrations, Base)
    with declared(article(name=name()), native=False, versioning=not native) as Base:
        written = migrate(migrations, Base)
    assert "op.drop_version_trigger(" in written.split("op.drop_table")[0]
    assert read_definitions(migrations) == []


def test_sql_has_them(migrations):
    """Names that say no schema are those of the schema that tables are made in."""
    with declared(article(name=name()), native=True) as Base:
        migrations.generate(Base.metadata)
    statements = migrations.write_sql("base:head")
    assert "CREATE OR REPLACE FUNCTION public.article_versioned() RETURNS trigger" in statements
    assert "CREATE TRIGGER article_versioned_insert AFTER INSERT ON public.article" in statements


def test_percent_signs_in_names(migrations):
    """They are written once, whether migrations or the models make the triggers."""
    with declared(
        article(__tablename__="a %s", code=mapped_column("%", String(9))), native=True
    ) as Base:
        migrate(migrations, Base)
        assert check_triggers(Base.metadata, migrations.engine) == []
        migrations.downgrade()
        Base.metadata.create_all(migrations.engine)
        assert check_triggers(Base.metadata, migrations.engine) == []
        assert migrations.differences(Base.metadata) == []


def test_functions_are_written_for_any_schema(migrations):
    """A migration makes the same in each schema that tables may be in."""
    compiler = migrations.engine.dialect.ddl_compiler(migrations.engine.dialect, None)
    names = Names(migrations.engine.dialect.identifier_preparer, "My Schema")
    anywhere, there = Text(compiler, SCHEMA), Text(compiler, "My Schema")
    with declared(article(name=name()), native=True) as Base:
        for spec in trigger_specs(Base.metadata):
            written = unstamped(recorder_body(spec, anywhere))
            assert names.body(written) == recorder_body(spec, there)
        (spec,) = transaction_specs(Base.metadata)
        for step in TransactionStep:
            written = unstamped(transaction_body(spec, step, anywhere, compiler))
            assert names.body(written) == transaction_body(spec, step, there, compiler)


def test_what_is_no_event_is_refused(migrations):
    """And what has no name, or does nothing."""
    with migrations.engine.connect() as connection:
        op = Operations(MigrationContext.configure(connection))
        said = {"function": "f", "body": "BEGIN END"}
        with pytest.raises(InvalidArgument, match="no event is called 'insert'"):
            op.create_version_trigger("article", triggers={"insert": "t"}, **said)
        with pytest.raises(InvalidArgumentType, match="give names by event"):
            op.create_version_trigger("article", triggers=["t"], **said)
        with pytest.raises(InvalidArgument, match="guards is 'all'"):
            op.create_version_trigger("article", triggers={}, guards="all", **said)
        with pytest.raises(InvalidArgument, match="has no body"):
            op.create_version_function("f", body="")
