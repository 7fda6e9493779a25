"""Twenty migrations in a row, with data: history goes on, and nothing is found twice.

Triggers record where there are some, and sessions elsewhere.
"""

import enum
from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Enum, ForeignKey, Integer, String, Table, Text, func, select
from sqlalchemy import column as name_column
from sqlalchemy import table as name_table
from sqlalchemy.orm import Session, mapped_column, relationship

from sqlalchemy_versioned import as_of
from sqlalchemy_versioned.lookup import TABLES
from sqlalchemy_versioned.maintenance import verify
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
        """Declare the classes."""
        Base.metadata.naming_convention = CONVENTION
        for name, columns in self.columns.items():
            body = {key: build() for key, build in columns.items()}
            body |= {"__tablename__": name.lower()}
            body.setdefault("id", mapped_column(Integer, primary_key=True))
            if name in self.versioned:
                body["__versioned__"] = dict(self.versioned[name])
            if name == "Article" and self.links:
                body["tags"] = relationship("Tag", secondary="article_tag")
            type(name, (Base,), body)
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
RENAMED = {"name": "title"}
#: Of what was excluded for a time, nothing is known from before.
FORGOTTEN = {"article": "rating"}

Rows = dict[int, dict[str, str]]


def read_rows(session: Any, table: Any) -> Rows:
    """Return the rows of a table with an ``id``, with their values as text."""
    rows = session.execute(select(table)).mappings()
    return {row["id"]: {name: str(value) for name, value in row.items()} for row in rows}


def value_of(type_: Any, number: int) -> Any:
    """Return a value that a column can hold, another for each migration."""
    if isinstance(type_, Enum):
        return Mood.BAD
    return number if isinstance(type_, Integer) else str(number)


def work(session: Session, Base: Any, number: int) -> None:
    """Change an object of each class, add one, and delete an article."""
    for cls in (mapper.class_ for mapper in Base.registry.mappers):
        if cls.__name__ not in ("Author", "Article", "Tag"):
            continue
        found = session.scalars(select(cls).order_by(cls.id)).all()
        values = {
            attribute.key: value_of(attribute.columns[0].type, number)
            for attribute in cls.__mapper__.column_attrs
            if attribute.key not in ("id", "author_id")
        }
        session.add(cls(**values))
        if number % 3 == 0 and len(found) > 3 and cls.__name__ == "Article":
            # The others are left alone, and stay what they were through many migrations.
            session.delete(found[1])
        for key, value in values.items():
            for each in found[-1:]:
                setattr(each, key, value)
    session.commit()


def check_past(session: Session, Base: Any, at: int, table: str, recorded: Rows) -> None:
    """Compare what a table was with what was recorded of it then."""
    if not recorded:
        return
    names = [RENAMED.get(name, name) for name in next(iter(recorded.values()))]
    # As a statement may name it that wants columns which are no more.
    stand_in = name_table(table, *[name_column(name) for name in names])
    with as_of(session, at) as past:
        found = read_rows(past, stand_in)
    for key, row in recorded.items():
        expected = {RENAMED.get(name, name): value for name, value in row.items()}
        found[key].pop(FORGOTTEN.get(table), None)
        expected.pop(FORGOTTEN.get(table), None)
        assert found[key] == expected, (at, table, key)
    assert found.keys() == recorded.keys()


def test_history_goes_on_through_twenty_migrations(engine, tmp_path):
    """Each migration is found once, can be undone and done again, and keeps the past."""
    story, migrations = Story(), Migrations(engine, tmp_path / "migrations")
    recorded: list[tuple[int, dict[str, Rows]]] = []
    for number, step in enumerate(STEPS):
        getattr(story, step)()
        options = {"strategy": story.strategy, "native": True}
        with declared(story.build, **options) as Base, Session(engine) as session:
            before = migrations.catalogue()
            migrations.generate(Base.metadata)
            migrations.upgrade()
            after = migrations.catalogue()
            migrations.downgrade()
            assert migrations.catalogue() == before, step
            migrations.upgrade()
            assert migrations.catalogue() == after, step
            assert migrations.differences(Base.metadata) == [], step
            assert verify(session) == [], step
            work(session, Base, number)
            tables = [t for t in Base.metadata.info.get(TABLES, {}) if "id" in t.c]
            if tables:
                last = session.scalar(
                    select(func.max(name_table("transaction", name_column("id")).c.id))
                )
                recorded.append((last, {t.name: read_rows(session, t) for t in tables}))
            if step == STEPS[-1]:
                for at, rows in recorded:
                    check_past(session, Base, at, "article", rows["article"])
