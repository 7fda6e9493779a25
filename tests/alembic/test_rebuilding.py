"""Version tables that get another primary key: history goes on in them, or is left as it is."""

from typing import Any

import pytest
from sqlalchemy import Integer, String, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, mapped_column

from sqlalchemy_versioned import ImproperlyConfigured, IncompleteHistory, Operation, as_of
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.plugins import PropertyModTrackerPlugin
from tests.migrations import Migrations, declared


@pytest.fixture
def migrations(engine, tmp_path, unversioned):
    """The migrations of a database that has nothing yet."""
    return Migrations(engine, tmp_path / "migrations")


def article(key: tuple[str, ...] = ("id",), versioned: Any = None, **columns: Any) -> Any:
    """Return what declares an article with a key."""

    def build(Base: Any) -> None:
        body: dict[str, Any] = {
            "__tablename__": "article",
            "__versioned__": {} if versioned is None else versioned,
            "name": mapped_column(String(50), index=True),
        }
        for column in dict.fromkeys(["id", *key, *columns]):
            # No migration is written that lets go of the primary key of the table itself.
            options = {"nullable": column != "id" and column not in key, **columns.get(column, {})}
            body[column] = mapped_column(
                Integer, primary_key=column in key, autoincrement=False, **options
            )
        Base.article = type("Article", (Base,), body)

    return build


def write(engine: Any, Base: Any, *steps: Any) -> None:
    """Commit steps: each adds articles, or changes or deletes those that are there."""
    with Session(engine) as session:
        for step in steps:
            step(session, Base.article)
            session.commit()


def add(**values: Any) -> Any:
    """Add an article."""
    return lambda session, cls: session.add(cls(**values))


def rename(key: Any, name: str) -> Any:
    """Rename an article."""
    return lambda session, cls: setattr(session.get_one(cls, key), "name", name)


def delete(key: Any) -> Any:
    """Delete an article."""
    return lambda session, cls: session.delete(session.get_one(cls, key))


def names_at(session: Session, Base: Any, at: int) -> list[tuple[int, str]]:
    """Return the articles as they were."""
    return sorted((each.id, each.name) for each in as_of(session, at).scalars(select(Base.article)))


def test_a_column_is_added_to_the_key(migrations):
    """Versions get its value from their rows, or the default if these are gone; and lose it."""
    engine = migrations.engine
    with declared(article(), native=True) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        write(engine, Base, add(id=1, name="a"), add(id=2, name="b"), rename(1, "c"), delete(2))
        before = migrations.catalogue()
    part = {"part": {"server_default": "7"}}
    with declared(article(("id", "part"), **part), native=True) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        key = inspect(engine).get_pk_constraint("article_version")["constrained_columns"]
        assert key == ["id", "part", "transaction_id"]
        assert migrations.differences(Base.metadata) == []
        write(engine, Base, rename((1, 7), "d"), add(id=3, part=8, name="e"))
        with Session(engine) as session:
            assert verify(session) == []
            assert names_at(session, Base, 2) == [(1, "a"), (2, "b")]
            assert as_of(session, 1).get(Base.article, (1, 7)).name == "a"
            found = session.get_one(Base.article, (1, 7)).versions
            assert [each.name for each in found] == ["a", "c", "d"]
    migrations.downgrade()
    assert migrations.catalogue() == before
    with declared(article(), native=True) as Base, Session(engine) as session:
        assert verify(session) == []
        assert names_at(session, Base, 2) == [(1, "a"), (2, "b")]
        assert names_at(session, Base, 6) == [(1, "d"), (3, "e")]


@pytest.mark.needs("triggers")
def test_history_stays_append_only(migrations):
    """What guards the table is made anew with it, and hinders nobody who migrates."""
    options = {"native": True, "append_only": True}
    part = {"part": {"server_default": "7"}}
    for build in (article(), article(("id", "part"), **part)):
        with declared(build, **options) as Base:
            migrations.generate(Base.metadata)
            migrations.upgrade()
            assert migrations.differences(Base.metadata) == []
            write(migrations.engine, Base, add(id=1 + len(migrations.names), name="a"))
    with migrations.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text("DELETE FROM article_version"))
    migrations.downgrade()
    with migrations.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text("DELETE FROM article_version"))


def test_another_column_becomes_the_key(migrations):
    """The key of before stays in history until a later migration drops it."""
    engine, number = migrations.engine, {"number": {"unique": True}}
    with declared(article(**number)) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()

        def take_over(session: Session, cls: Any) -> None:
            session.delete(session.get_one(cls, 1))
            session.flush()
            session.add(cls(id=3, number=9, name="c"))

        steps = (add(id=1, number=9, name="a"), rename(1, "b"), take_over, delete(3))
        write(engine, Base, *steps, add(id=2, number=9, name="d"))
    with declared(article(("number",))) as Base, Session(engine) as session:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []
        assert verify(session) == []
        assert names_at(session, Base, 2) == [(1, "b")]
        assert names_at(session, Base, 3) == [(3, "c")]
        assert names_at(session, Base, 4) == []
        found = session.get_one(Base.article, 9).versions
        assert [(each.id, each.operation_type.name) for each in found] == [
            (1, "INSERT"),
            (1, "UPDATE"),
            (3, "UPDATE"),
            (3, "DELETE"),
            (2, "INSERT"),
        ]


@pytest.mark.shared_out
@pytest.mark.parametrize(
    ("steps", "error", "told"),
    [
        ([add(id=1), delete(1)], IncompleteHistory, "2 versions .* no value .*number"),
        (
            [
                add(id=1, number=1),
                lambda session, cls: setattr(session.get_one(cls, 1), "number", 2),
            ],
            ImproperlyConfigured,
            "1 versions of rows that had another",
        ),
        (
            [add(id=1, number=1), add(id=2, number=1), delete(1)],
            ImproperlyConfigured,
            "2 versions of rows that had the .* of another",
        ),
    ],
)
def test_history_that_another_key_cannot_tell_stays_as_it_is(migrations, steps, error, told):
    """Nothing is written, and nothing is dropped."""
    engine = migrations.engine
    with declared(article(number={})) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        write(engine, Base, *steps)
        before = migrations.catalogue()["article_version"]
    with declared(article(("number",))) as Base:
        migrations.generate(Base.metadata)
    with pytest.raises(error, match=told):
        migrations.upgrade()
    assert migrations.catalogue()["article_version"] == before


def test_events_become_versions_and_versions_events(migrations):
    """Several events of a transaction are one version, with the flags of all of them."""
    engine, tracked = migrations.engine, {"plugins": [PropertyModTrackerPlugin()]}
    events = article(versioned={"strategy": "append"}, size={})
    with declared(events, **tracked) as Base, Session(engine) as session:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        session.add_all([Base.article(id=1, name="a", size=1), Base.article(id=2, name="x")])
        session.flush()
        session.get_one(Base.article, 1).name = "b"
        session.delete(session.get_one(Base.article, 2))
        session.commit()
        found = session.get_one(Base.article, 1)
        for change in ({"name": "c"}, {"size": 2}):
            for key, value in change.items():
                setattr(found, key, value)
            session.flush()
        session.commit()
        before = migrations.catalogue()
        assert session.scalar(text("SELECT count(*) FROM article_version")) == 6
    with declared(article(size={}), **tracked) as Base, Session(engine) as session:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []
        assert verify(session) == []
        versions = session.get_one(Base.article, 1).versions
        assert [(each.name, each.operation_type) for each in versions] == [
            ("b", Operation.INSERT),
            ("c", Operation.UPDATE),
        ]
        assert (versions[1].name_mod, versions[1].size_mod) == (True, True)
        assert session.scalar(text("SELECT count(*) FROM article_version")) == 2
    migrations.downgrade()
    assert migrations.catalogue() == before
    with declared(events, **tracked) as Base, Session(engine) as session:
        assert verify(session) == []
        rename(1, "d")(session, Base.article)
        session.commit()
        versions = session.get_one(Base.article, 1).versions
        assert [each.name for each in versions] == ["b", "c", "d"]


@pytest.mark.shared_out
@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            article(("number",), number={}, more={"info": {"renamed_from": "extra"}}),
            "other names",
        ),
        (article(("number",), number={}, id={"info": {"renamed_from": "old"}}), "lose"),
        (article(versioned={"strategy": "append", "version_id_type": "uuid"}), "UUIDs"),
    ],
)
def test_another_key_is_a_migration_of_its_own(migrations, other, told):
    """What would have to come before or after it is refused beside it."""
    with declared(article(number={}, extra={})) as Base:
        Base.metadata.create_all(migrations.engine)
    with declared(other) as Base, pytest.raises(ImproperlyConfigured, match=told):
        migrations.generate(Base.metadata)
