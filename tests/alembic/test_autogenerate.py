"""What autogenerate finds about history, and what it refuses."""

from typing import Any

import pytest
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Computed, Enum, Integer, String, Table, select
from sqlalchemy import column as name_column
from sqlalchemy import table as name_table
from sqlalchemy.orm import Session, mapped_column

from sqlalchemy_versioned import ImproperlyConfigured, VersioningError, as_of, versioned_table
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.plugins import PropertyModTrackerPlugin
from tests.migrations import Migrations, declared


@pytest.fixture
def migrations(engine, tmp_path, unversioned):
    """The migrations of a database that has nothing yet."""
    return Migrations(engine, tmp_path / "migrations")


def article(versioned: Any = None, **columns: Any) -> Any:
    """Return what declares an article with some columns beside its id."""

    def build(Base: Any) -> None:
        body: dict[str, Any] = {"__tablename__": "article", **columns}
        body.setdefault("id", mapped_column(Integer, primary_key=True))
        body["__versioned__"] = {} if versioned is None else versioned
        type("Article", (Base,), body)

    return build


def name(**options: Any) -> Any:
    """Return a column for a short text."""
    return mapped_column(String(50), **options)


def add_articles(engine: Any, Base: Any, *values: dict[str, Any]) -> None:
    """Commit articles."""
    (cls,) = [m.class_ for m in Base.registry.mappers if m.class_.__name__ == "Article"]
    with Session(engine) as session:
        session.add_all([cls(**each) for each in values])
        session.commit()


def test_migrations_need_nothing_of_the_library(migrations):
    """They name types of SQLAlchemy, and operations that are there by the import in env.py."""
    with declared(article(name=name())) as Base:
        text = migrations.generate(Base.metadata)
    assert "sqlalchemy_versioned" not in text
    assert "op.create_table('article_version'" in text


def test_sql_is_written_without_a_database(migrations):
    """Migrations name the columns that are needed, so that none are looked up."""
    migrations.batch = migrations.config.attributes["batch"] = False

    def without_versions(Base: Any) -> None:
        article({"versioning": False}, name=name())(Base)

    for build in (without_versions, article(name=name())):
        with declared(build) as Base:
            migrations.generate(Base.metadata)
            migrations.upgrade()
    statements = migrations.write_sql("base:head")
    assert "CREATE TABLE article_version" in statements
    assert "INSERT INTO article_version" in statements


def test_options_in_the_info_of_a_table_are_not_written(migrations):
    """They may be anything, and matter to nobody then."""

    def build(Base: Any) -> None:
        columns = [Column("id", Integer, primary_key=True), Column("name", String(50))]
        table = Table("thing", Base.metadata, *columns, info={"versioned": {}, "mine": 1})
        assert versioned_table(table) is not None

    with declared(build) as Base:
        text = migrations.generate(Base.metadata)
    assert "info={'mine': 1}" in text


def test_events_are_kept_in_a_table_that_numbers_them(migrations):
    """The versions of the strategy 'append' have ids, which the database gives."""
    with declared(article({"strategy": "append"}, name=name())) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []
        add_articles(migrations.engine, Base, {"name": "a"})
        with Session(migrations.engine) as session:
            assert verify(session) == []


def test_a_column_that_is_no_more_is_read_by_its_name(migrations):
    """A table that a statement names with it gives it, with the values of that time."""
    with declared(article(name=name(), code=name())) as Base:
        Base.metadata.create_all(migrations.engine)
        add_articles(migrations.engine, Base, {"name": "a", "code": "x"})
    with declared(article(name=name())) as Base, Session(migrations.engine) as session:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []
        before = name_table("article", *map(name_column, ("id", "name", "code")))
        assert as_of(session, 1).execute(select(before)).all() == [(1, "a", "x")]
        assert as_of(session, 1).scalars(select(before.c.code).where(before.c.code == "x")).all()


def test_a_statement_names_a_table_in_one_way(migrations):
    """What one name of a table has, and another has not, cannot be read together."""
    with declared(article(name=name())) as Base, Session(migrations.engine) as session:
        Base.metadata.create_all(migrations.engine)
        add_articles(migrations.engine, Base, {"name": "a"})
        one, other = (name_table("article", name_column(each)) for each in ("name", "code"))
        with pytest.raises(VersioningError, match="in one place only: code"):
            as_of(session, 1).execute(select(one.c.name, other.alias().c.code))


def test_a_required_column_comes_back_with_its_values(migrations):
    """A downgrade takes them from history, and rows need not do without."""
    with declared(article(name=name(), code=name(nullable=False))) as Base:
        Base.metadata.create_all(migrations.engine)
        add_articles(migrations.engine, Base, {"name": "a", "code": "x"}, {"code": "y"})
    with declared(article(name=name())) as Base:
        migrations.generate(Base.metadata)
    migrations.upgrade()
    migrations.downgrade()
    with migrations.engine.connect() as connection:
        codes = connection.execute(select(name_table("article", name_column("code")))).scalars()
        assert sorted(codes) == ["x", "y"]


def test_flags_are_renamed_with_their_columns(migrations):
    """What tells of changes of a column goes on under its name."""
    options = {"plugins": [PropertyModTrackerPlugin()]}
    columns = {"code": name(), "secret": name()}
    with declared(article({"mask": ["secret"]}, **columns), **options) as Base:
        Base.metadata.create_all(migrations.engine)
    columns = {
        "number": name(info={"renamed_from": "code"}),
        "hidden": name(info={"renamed_from": "secret"}),
    }
    with declared(article({"mask": ["hidden"]}, **columns), **options) as Base:
        text = migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []
    assert "add_column" not in text
    assert "'secret_mask'" in text
    assert "'code_mod'" in text


def test_columns_of_ours_get_other_names(migrations):
    """An option renames them, and history goes on; a downgrade gives them back the usual ones."""
    named = {
        "transaction_column_name": "tx_id",
        "end_transaction_column_name": "ends",
        "operation_type_column_name": "kind",
    }
    for options in ({}, named):
        with declared(article(options, name=name()), native=True) as Base:
            migrations.generate(Base.metadata)
            migrations.upgrade()
            assert migrations.differences(Base.metadata) == []
            add_articles(migrations.engine, Base, {"name": "a"})
            with Session(migrations.engine) as session:
                assert verify(session) == []
                names = select(name_table("article", name_column("name")))
                assert as_of(session, 1).execute(names).all() == [("a",)]
    migrations.downgrade()
    with declared(article(name=name()), native=True) as Base:
        assert migrations.differences(Base.metadata) == []


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "option", [{"operation_type_format": "code"}, {"version_id_type": "uuid"}], ids=str
)
def test_what_is_stored_otherwise_is_not_just_another_type(migrations, option, turned):
    """Operations that were numbers are no letters, and ids of events no UUIDs."""
    usual = {"strategy": "append"}
    before, after = (usual | option, usual) if turned else (usual, usual | option)
    with declared(article(before, name=name())) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
    refused = pytest.raises(ImproperlyConfigured, match=f"{next(iter(option))}.*by hand")
    with declared(article(after, name=name())) as Base, refused:
        migrations.generate(Base.metadata)


@pytest.mark.needs("schemas")
def test_history_in_another_schema_goes_on(engine, tmp_path):
    """Names may need quotes, and version tables have those of a convention."""
    migrations = Migrations(engine, tmp_path / "migrations", schemas=True)
    with engine.begin() as connection:
        connection.exec_driver_sql('CREATE SCHEMA "My app"; CREATE SCHEMA history')
    odd = name_table("article", name_column("id"), name_column("Odd one"), schema="My app")
    first = {"Odd one": name(), "name": name()}
    for columns in (first, {"title": name(info={"renamed_from": "name"})}):

        def build(Base: Any, columns: Any = columns) -> None:
            Base.metadata.naming_convention = {"version.table": "%(table_name)s_hist"}
            more = {"__table_args__": {"schema": "My app"}, **columns}
            article({"version_schema": "history"}, **more)(Base)

        with declared(build) as Base:
            migrations.generate(Base.metadata)
            migrations.upgrade()
            assert migrations.differences(Base.metadata) == []
            if columns is first:
                add_articles(engine, Base, {"name": "a", "Odd one": "100%"})
            with Session(engine) as session:
                assert verify(session) == []
                if columns is not first:
                    assert as_of(session, 1).execute(select(odd)).all() == [(1, "100%")]


def test_an_application_can_migrate_itself(migrations):
    """What a migration writes to rows is not taken for a write of the application."""
    with declared(article(name=name())) as Base:
        Base.metadata.create_all(migrations.engine)
        add_articles(migrations.engine, Base, {"name": "a"})
        with migrations.engine.begin() as connection:
            op = Operations(MigrationContext.configure(connection))
            op.align_versions("article", "article_version", columns=["name"])
        with Session(migrations.engine) as session:
            assert verify(session) == []


def test_a_name_that_is_taken_in_history_is_refused(migrations):
    """A column cannot be renamed to what another was called whose values are kept."""
    with declared(article(name=name(), code=name())) as Base:
        Base.metadata.create_all(migrations.engine)
    with declared(article(name=name())) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
    with (
        declared(article(code=name(info={"renamed_from": "name"}))) as Base,
        pytest.raises(ImproperlyConfigured, match=r"'name' cannot be renamed to 'code'"),
    ):
        migrations.generate(Base.metadata)


def test_a_required_column_of_versions_may_lack_values(migrations):
    """Versions of before have none in a column that a plugin adds later."""
    from sqlalchemy_versioned import Plugin, versioning_manager

    class Reasons(Plugin):
        def after_build_version_table_columns(self, table_builder, columns):
            columns.append(Column("reason", String(20), nullable=False))

    with declared(article(name=name())) as Base:
        Base.metadata.create_all(migrations.engine)
        add_articles(migrations.engine, Base, {"name": "a"})
    with declared(article(name=name()), plugins=[Reasons()]) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []
    assert len(versioning_manager.plugins) == 0


@pytest.mark.shared_out
@pytest.mark.parametrize(
    ("where", "guarded"),
    [
        ({"table_name": "old_%s"}, {}),
        pytest.param(
            {"version_schema": "history"},
            {"append_only": True},
            marks=pytest.mark.needs("schemas", "triggers"),
        ),
    ],
)
def test_history_moves_to_another_table(engine, tmp_path, where, guarded):
    """Where an option names another, the table of versions is not dropped; and moves back."""
    migrations = Migrations(engine, tmp_path / "migrations", schemas="version_schema" in where)
    if "version_schema" in where:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA history")
    for options in ({}, where):
        with declared(article(options, name=name()), native=True, **guarded) as Base:
            migrations.generate(Base.metadata)
            migrations.upgrade()
            assert migrations.differences(Base.metadata) == []
            add_articles(engine, Base, {"name": "a"})
    migrations.downgrade()
    build = article(name=name())
    with declared(build, native=True, **guarded) as Base, Session(engine) as session:
        assert migrations.differences(Base.metadata) == []
        assert verify(session) == []
        names = select(name_table("article", name_column("name")))
        assert as_of(session, 1).execute(names).all() == [("a",)]


def test_a_move_is_a_migration_of_its_own(migrations):
    """A table that would be changed as well is not compared; another one's is not taken."""
    with declared(article(name=name())) as Base:
        Base.metadata.create_all(migrations.engine)
    moved = article({"table_name": "%s_old"}, name=name(), code=name())
    with declared(moved) as Base, pytest.raises(ImproperlyConfigured, match=r"has not .* 'code'"):
        migrations.generate(Base.metadata)
    moved = article({"table_name": "%s_old", "exclude": ["name"]}, name=name())
    with (
        declared(moved) as Base,
        pytest.raises(ImproperlyConfigured, match="'name', which are excluded"),
    ):
        migrations.generate(Base.metadata)

    def others(Base: Any) -> None:
        article({"versioning": False}, name=name())(Base)
        columns = {"id": mapped_column(Integer, primary_key=True), "name": name()}
        type("Old", (Base,), {"__tablename__": "old", "__versioned__": {}, **columns})

    with declared(others) as Base:
        assert "move_versions" not in migrations.generate(Base.metadata)


def test_tables_that_are_left_out_are_left_alone(migrations):
    """Neither are they made anew, nor do they lose their triggers."""

    def others(object_: Any, name: str, type_: str, *_: Any) -> bool:
        return not (type_ == "table" and name.startswith("article"))

    with declared(article(name=name()), native=True) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
    changed = article({"strategy": "append"}, name=name(), code=name())
    with declared(changed, native=True) as Base, migrations.engine.connect() as connection:
        assert migrations.differences(Base.metadata) != []
        context = MigrationContext.configure(connection, opts={"include_object": others})
        found = produce_migrations(context, Base.metadata).upgrade_ops.ops
    assert [each.to_diff_tuple()[0] for each in found if "function" not in each.name] == []


def test_a_computed_column_comes_goes_and_comes_back(migrations):
    """Newest versions get its values from rows, which are given none, not by a downgrade either."""
    plain = {"name": name(), "n": mapped_column(Integer)}
    for step in range(3):
        columns = {key: each._copy() for key, each in plain.items()}
        if step == 1:
            columns["twice"] = mapped_column(Integer, Computed("n * 2", persisted=True))
        with declared(article(**columns)) as Base:
            migrations.generate(Base.metadata)
            migrations.upgrade()
            migrations.downgrade("-1" if step else "base")
            migrations.upgrade()
            assert migrations.differences(Base.metadata) == []
            add_articles(migrations.engine, Base, {"name": "a", "n": step})
            with Session(migrations.engine) as session:
                assert verify(session) == []
    versions = name_table("article_version", name_column("n"), name_column("twice"))
    with migrations.engine.connect() as connection:
        found = connection.execute(select(versions).order_by(versions.c.n)).all()
    assert found == [(0, 0), (1, 2), (2, None)]


def test_text_of_enums_keeps_its_room(migrations):
    """A column that has more room than the members of a key need is left as it is."""
    size = mapped_column(Enum("s", "m", native_enum=False), primary_key=True)
    with declared(article(size=size)) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        with migrations.engine.begin() as connection:
            operations = Operations(MigrationContext.configure(connection))
            with operations.batch_alter_table("article_version") as batch:
                batch.alter_column("size", type_=String(300), existing_nullable=False)
        assert migrations.differences(Base.metadata) == []
