"""Twenty migrations in a row, with data: history goes on, and nothing is found twice.

Triggers record where there are some, and sessions elsewhere.
"""

import enum
from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Enum, ForeignKey, Integer, String, Table, Text, func, inspect, select
from sqlalchemy import column as name_column
from sqlalchemy import table as name_table
from sqlalchemy.orm import Session, mapped_column, relationship

from sqlalchemy_versioned import as_of
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import TABLES
from tests.migrations import Migrations, declared

CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Mood(enum.Enum):
    """How an author feels."""

    GOOD = 1
    BAD = 2


def short(**options: Any) -> Callable[[], Any]:
    """Return what makes a column of short text."""
    return lambda: mapped_column(String(50), **options)


class Story:
    """What the models are like at some point: their columns, and who is versioned, how."""

    def __init__(self) -> None:
        self.strategy = "validity"
        self.classes: dict[str, Any] = {}
        self.versioned: dict[str, dict[str, Any]] = {}
        self.links = False
        self.columns: dict[str, dict[str, Callable[[], Any]]] = {
            "Author": {"name": short()},
            "Article": {
                "name": short(index=True),
                "code": short(nullable=False),
                "author_id": lambda: mapped_column(ForeignKey("author.id")),
            },
        }

    def build(self, Base: Any) -> None:
        """Declare the classes, and hold them: a registry does not."""
        self.classes.clear()
        Base.metadata.naming_convention = CONVENTION
        for name, columns in self.columns.items():
            body = {key: build() for key, build in columns.items()}
            body |= {"__tablename__": name.lower()}
            body.setdefault("id", mapped_column(Integer, primary_key=True))
            if name in self.versioned:
                body["__versioned__"] = dict(self.versioned[name])
            if name == "Article" and self.links:
                body["tags"] = relationship("Tag", secondary="article_tag")
            self.classes[name] = type(name, (Base,), body)
        if self.links:
            Table(
                "article_tag",
                Base.metadata,
                Column("article_id", ForeignKey("article.id"), primary_key=True),
                Column("tag_id", ForeignKey("tag.id"), primary_key=True),
            )

    # -- what happens to the models, one method for each migration -----------------------------

    def begin(self) -> None:
        """Have tables, without versions."""

    def version_articles(self) -> None:
        """Adopt the library."""
        self.versioned["Article"] = {}

    def add_body(self) -> None:
        """Add a column."""
        self.columns["Article"]["body"] = lambda: mapped_column(Text)

    def add_rating(self) -> None:
        """Add a required column to a table that has rows."""
        self.columns["Article"]["rating"] = lambda: mapped_column(
            Integer, nullable=False, server_default="3"
        )

    def rename_name(self) -> None:
        """Rename a column that has an index."""
        del self.columns["Article"]["name"]
        self.columns["Article"]["title"] = short(index=True, info={"renamed_from": "name"})

    def add_pages(self) -> None:
        """Add numbers as text."""
        self.columns["Article"]["pages"] = short()

    def convert_pages(self) -> None:
        """Make them numbers."""
        self.columns["Article"]["pages"] = lambda: mapped_column(Integer)

    def drop_body(self) -> None:
        """Drop a column."""
        del self.columns["Article"]["body"]

    def drop_code(self) -> None:
        """Drop a required column."""
        del self.columns["Article"]["code"]

    def version_authors(self) -> None:
        """Version a class that another refers to."""
        self.versioned["Author"] = {}

    def tag_articles(self) -> None:
        """Add a class and links to it."""
        self.columns["Tag"] = {"name": short()}
        self.versioned["Tag"] = {}
        self.links = True

    def forget_ends(self) -> None:
        """Change the strategy."""
        self.strategy = "subquery"

    def write_ends(self) -> None:
        """Change the strategy back."""
        self.strategy = "validity"

    def exclude_rating(self) -> None:
        """Exclude a column from history."""
        self.versioned["Article"] = {"exclude": ["rating"]}

    def include_rating(self) -> None:
        """Keep it in history again."""
        self.versioned["Article"] = {}

    def add_mood(self) -> None:
        """Add an enum, which history keeps as text."""
        self.columns["Author"]["mood"] = lambda: mapped_column(
            Enum(Mood, native_enum=False, length=10), server_default="GOOD"
        )

    def bring_body_back(self) -> None:
        """Add a column again that history kept."""
        self.add_body()

    def convert_rating(self) -> None:
        """Make text of numbers."""
        self.columns["Article"]["rating"] = short(nullable=False, server_default="3")

    def leave_out_tags(self) -> None:
        """Drop a class and links to it."""
        del self.columns["Tag"], self.versioned["Tag"]
        self.links = False

    def leave_out_authors(self) -> None:
        """Turn versioning off for a class."""
        del self.versioned["Author"]

    def version_authors_again(self) -> None:
        """Turn it on again."""
        self.version_authors()


STEPS = [name for name in vars(Story) if name[0] != "_" and name != "build"]
#: How columns are called in the end that had another name.
RENAMED = {"article": {"name": "title"}}
#: Of what was excluded for a time, nothing is known from before.
FORGOTTEN = {"article": "rating"}

Rows = dict[tuple[str, ...], dict[str, str]]
#: What tables held after a transaction.
Recorded = list[tuple[int, dict[str, Rows]]]


def read_rows(session: Any, table: str, key: list[str], names: list[str]) -> Rows:
    """Return the rows of a table by their keys, with their values as text.

    As a statement may name it that wants columns which are no more.
    """
    stand_in = name_table(table, *[name_column(name) for name in names])
    rows = session.execute(select(stand_in)).mappings()
    return {
        tuple(str(row[name]) for name in key): {name: str(row[name]) for name in names}
        for row in rows
    }


def keys_of(Base: Any) -> dict[str, list[str]]:
    """Return the keys of the tables that are versioned, links among them."""
    tables = Base.metadata.info.get(TABLES, {})
    return {table.name: [column.name for column in table.primary_key] for table in tables}


def value_of(type_: Any, number: int) -> Any:
    """Return a value that a column can hold, another for each migration."""
    if isinstance(type_, Enum):
        return Mood.BAD
    return number if isinstance(type_, Integer) else str(number)


def work(session: Session, classes: dict[str, Any], number: int) -> None:
    """Change an object of each class, add one, and delete an article."""
    added: dict[str, Any] = {}
    for cls in classes.values():
        found = session.scalars(select(cls).order_by(cls.id)).all()
        values = {
            attribute.key: value_of(attribute.columns[0].type, number)
            for attribute in cls.__mapper__.column_attrs
            if attribute.key not in ("id", "author_id")
        }
        added[cls.__name__] = cls(**values)
        session.add(added[cls.__name__])
        if number % 3 == 0 and len(found) > 3 and cls.__name__ == "Article":
            # The others are left alone, and stay what they were through many migrations.
            session.delete(found[1])
        for key, value in values.items():
            for each in found[-1:]:
                setattr(each, key, value)
    if "Tag" in added:
        added["Article"].tags.append(added["Tag"])
    added["Article"].author_id = max(number, 1)
    session.commit()


def read_all(session: Session, keys: dict[str, list[str]]) -> dict[str, Rows]:
    """Return the rows of tables with all of their columns."""
    inspector = inspect(session.connection())
    columns = {name: [each["name"] for each in inspector.get_columns(name)] for name in keys}
    return {name: read_rows(session, name, keys[name], columns[name]) for name in keys}


def check_past(session: Session, key: list[str], at: int, table: str, recorded: Rows) -> None:
    """Compare what a table was with what was recorded of it then."""
    if not recorded:
        with as_of(session, at) as past:
            assert read_rows(past, table, key, key) == {}, (at, table)
        return
    renamed = RENAMED.get(table, {})
    names = [renamed.get(name, name) for name in next(iter(recorded.values()))]
    with as_of(session, at) as past:
        found = read_rows(past, table, key, names)
    for place, row in recorded.items():
        expected = {renamed.get(name, name): value for name, value in row.items()}
        found[place].pop(FORGOTTEN.get(table), None)
        expected.pop(FORGOTTEN.get(table), None)
        assert found[place] == expected, (at, table, place)
    assert found.keys() == recorded.keys(), (at, table)


def check_all(session: Session, keys: dict[str, list[str]], recorded: Recorded) -> int:
    """Compare what all tables were at all times; return how many times tables had rows."""
    # Statements that name tables are compiled once, here for models that are no more.
    session.get_bind().clear_compiled_cache()
    seen = 0
    for at, tables in recorded:
        for table, rows in tables.items():
            check_past(session, keys[table], at, table, rows)
            seen += bool(rows)
    return seen


def test_history_goes_on_through_twenty_migrations(engine, tmp_path, unversioned):
    """Each migration is found once, can be undone and done again, and keeps the past."""
    story, migrations = Story(), Migrations(engine, tmp_path / "migrations")
    after = migrations.catalogue()
    recorded: Recorded = []
    compared = 0
    for number, step in enumerate(STEPS):
        getattr(story, step)()
        options = {"strategy": story.strategy, "native": True}
        with declared(story.build, **options) as Base, Session(engine) as session:
            before = after
            migrations.generate(Base.metadata)
            migrations.upgrade()
            after = migrations.catalogue()
            migrations.downgrade()
            assert migrations.catalogue() == before, step
            migrations.upgrade()
            assert migrations.catalogue() == after, step
            assert migrations.differences(Base.metadata) == [], step
            assert verify(session) == [], step
            work(session, story.classes, number)
            keys = keys_of(Base)
            # What is left out loses its history, and begins another when it comes back.
            recorded = [(at, {n: t[n] for n in t if n in keys}) for at, t in recorded]
            if keys:
                ids = name_table("transaction", name_column("id")).c.id
                recorded.append((session.scalar(select(func.max(ids))), read_all(session, keys)))
            if step == STEPS[-1] or STEPS[number + 1].startswith("leave_out"):
                compared += check_all(session, keys, recorded)
    assert compared > 60
