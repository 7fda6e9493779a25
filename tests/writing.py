"""Every way of writing versioned tables: the models, and :data:`PATHS`, the list of ways.

The tests write by each of them and compare history with the rows; the table in the documentation
is made of the same list. ``python -m tests.writing`` writes that table anew.
"""

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from sqlalchemy import (
    DDL,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    lambda_stmt,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    aliased,
    attributes,
    mapped_column,
    relationship,
    selectinload,
    with_loader_criteria,
)
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import JSON

from sqlalchemy_versioned import Operation, versioned_table
from sqlalchemy_versioned.model.lookup import TABLES
from tests.databases import has_capabilities
from tests.models import Models

TABLE = FilePath(__file__).parent.parent / "docs" / "write-paths-table.rst"

#: The numbers of seeded rows; those that databases give themselves begin at 1.
FIRST_ID = 1001


class random_text(FunctionElement[str]):
    """A key that the database makes."""

    type = String()
    inherit_cache = True


@compiles(random_text)
def _random_text(element: Any, compiler: Any, **_: Any) -> str:
    return "md5(CAST(random() AS TEXT) || CAST(clock_timestamp() AS TEXT))"


@compiles(random_text, "sqlite")
def _random_text_sqlite(element: Any, compiler: Any, **_: Any) -> str:
    return "(lower(hex(randomblob(16))))"


@compiles(random_text, "mysql")
@compiles(random_text, "mariadb")
def _random_text_mysql(element: Any, compiler: Any, **_: Any) -> str:
    return "(uuid())"


def assert_history_is_true(session, metadata):
    """The newest versions are the live rows, and each row's versions are one chain."""
    for spec in metadata.info[TABLES].values():
        columns = [pair.version for pair in spec.pairs]
        keys = [columns.index(pair.version) for pair in spec.key]
        ends = () if spec.end_column is None else (spec.end_column,)
        rows = session.execute(
            select(*columns, *ends, spec.transaction_column, spec.operation_column).order_by(
                *[pair.version for pair in spec.key], *spec.place
            )
        ).all()
        live = session.execute(select(*[pair.parent for pair in spec.pairs])).all()
        newest = []
        for _, group in itertools.groupby(rows, key=lambda row, keys=keys: [row[n] for n in keys]):
            versions = list(group)
            if ends:
                begins = [each[-2] for each in versions]
                assert [each[-3] for each in versions] == [*begins[1:], None], (
                    spec.version_table.name
                )
            assert_operations_follow([each[-1] for each in versions])
            if versions[-1][-1] != Operation.DELETE:
                newest.append(versions[-1][: len(columns)])
        assert sorted(map(repr, newest)) == sorted(map(repr, map(tuple, live)))


def assert_operations_follow(operations):
    """A row begins with INSERT, at first and after a DELETE, and goes on with something else."""
    there = False
    for operation in operations:
        assert (operation == Operation.INSERT) == (not there), operations
        there = operation != Operation.DELETE


def build_press(Base: type[DeclarativeBase]) -> Models:
    """Declare a press: whatever statements and foreign keys can do something to."""
    article_tag = Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        rank: Mapped[int] = mapped_column(default=0, index=True)
        slug: Mapped[str | None] = mapped_column("art_slug", unique=True)
        data: Mapped[dict[str, Any] | None] = mapped_column(JSON)
        touched: Mapped[str | None] = mapped_column(onupdate="python")
        stamp: Mapped[int] = mapped_column(server_default="1", onupdate=literal(7) + 1)
        tags: Mapped[list["Tag"]] = relationship(secondary=article_tag, order_by="Tag.id")

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Staff(Base):
        __tablename__ = "staff"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "staff"}

        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str]

    class Manager(Staff):
        __tablename__ = "manager"
        __mapper_args__ = {"polymorphic_identity": "manager"}

        id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
        bonus: Mapped[int]

    class Temp(Staff):
        __mapper_args__ = {"polymorphic_identity": "temp"}

        days: Mapped[int | None]

    class Author(Base):
        __tablename__ = "author"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        code: Mapped[str] = mapped_column(String(20), unique=True)
        notes: Mapped[list["Note"]] = relationship(passive_deletes=True)
        pseudonyms: Mapped[list["Pseudonym"]] = relationship()

    class Pseudonym(Base):
        __tablename__ = "pseudonym"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int | None] = mapped_column(
            ForeignKey("author.id", ondelete="SET NULL", onupdate="CASCADE")
        )

    class Shelf(Base):
        """Not versioned, between versioned ones."""

        __tablename__ = "shelf"

        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int] = mapped_column(ForeignKey("author.id", ondelete="CASCADE"))

    class Book(Base):
        __tablename__ = "book"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int | None] = mapped_column(
            ForeignKey("shelf.id", ondelete="CASCADE", onupdate="CASCADE")
        )
        code: Mapped[str | None] = mapped_column(
            String(20), ForeignKey("author.code", onupdate="CASCADE", ondelete="SET NULL")
        )
        # Each follows the other: what is deleted comes round to where it began.
        sequel_id: Mapped[int | None] = mapped_column(ForeignKey("book.id", ondelete="CASCADE"))
        sequel: Mapped["Book | None"] = relationship(remote_side=id, post_update=True)

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}

        book_id: Mapped[int] = mapped_column(
            ForeignKey("book.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
        )
        number: Mapped[int] = mapped_column(primary_key=True)
        words: Mapped[int] = mapped_column(default=0)

    class Line(Base):
        __tablename__ = "line"
        __versioned__ = {}
        __table_args__ = (
            ForeignKeyConstraint(
                ["book_id", "page_number"],
                ["page.book_id", "page.number"],
                ondelete="CASCADE",
                onupdate="CASCADE",
            ),
        )

        id: Mapped[int] = mapped_column(primary_key=True)
        book_id: Mapped[int]
        page_number: Mapped[int]

    class Quote(Base):
        __tablename__ = "quote"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        code: Mapped[str | None] = mapped_column(
            ForeignKey("author.code", onupdate="SET NULL", ondelete="SET NULL")
        )
        tag_id: Mapped[int | None] = mapped_column(
            ForeignKey("tag.id", onupdate="SET DEFAULT", ondelete="SET DEFAULT"),
            server_default=str(FIRST_ID),
        )

    class Token(Base):
        __tablename__ = "token"
        __versioned__ = {}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        name: Mapped[str]

    class Ticket(Base):
        __tablename__ = "ticket"
        __versioned__ = {}

        id: Mapped[str] = mapped_column(String(40), primary_key=True, server_default=random_text())
        name: Mapped[str]

    class Price(Base):
        __tablename__ = "price"
        __versioned__ = {}

        currency: Mapped[str] = mapped_column(String(3), primary_key=True)
        item: Mapped[str] = mapped_column(String(20), primary_key=True)
        amount: Mapped[int]

    class Counted(Base):
        __tablename__ = "counted"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        counter: Mapped[int] = mapped_column()
        __mapper_args__ = {"version_id_col": counter}

    classes = (Article, Tag, Staff, Manager, Temp, Author, Pseudonym, Note, Shelf, Book, Page)
    press = Models(Base, *classes, Line, Quote, Token, Ticket, Price, Counted)
    press.article_tag = article_tag
    return press


def build_tables(Base: type[DeclarativeBase]) -> Models:
    """Declare the press, of which the tables are versioned, and no class."""
    press = build_press(Base)
    tables = {press.article_tag}
    for cls in press.classes:
        if "__versioned__" in vars(cls):
            type.__delattr__(cls, "__versioned__")
        tables.add(cls.__table__)
    for table in tables:
        if table.name != "shelf":
            versioned_table(table)
    return press


def seed(session: Any, m: Any, ids: Iterable[int]) -> None:
    """Add a row of everything for each of *ids*."""
    for stage in (_seed_first, _seed_shelves, _seed_books, _seed_pages, _seed_lines):
        session.add_all([row for i in ids for row in stage(m, i)])
        session.flush()


def _seed_first(m: Any, i: int) -> Iterator[Any]:
    yield m.Author(id=i, name=f"a{i}", code=f"A{i}")
    yield m.Article(id=i, name=f"n{i}", tags=[m.Tag(id=i, name=f"t{i}")])
    yield m.Manager(id=i, name=f"m{i}", bonus=1)
    yield m.Temp(id=i + 10_000, name=f"t{i}", days=1)
    yield m.Counted(id=i, name=f"n{i}")
    yield m.Token(name=f"n{i}")
    yield m.Ticket(id=f"k{i}", name=f"n{i}")
    yield m.Price(currency="EUR", item=f"i{i}", amount=1)


def _seed_shelves(m: Any, i: int) -> Iterator[Any]:
    yield m.Shelf(id=i, author_id=i)
    yield m.Note(id=i, author_id=i)
    yield m.Pseudonym(id=i, author_id=i)


def _seed_books(m: Any, i: int) -> Iterator[Any]:
    book, sequel = m.Book(id=i, shelf_id=i, code=f"A{i}"), m.Book(id=i + 10_000)
    book.sequel, sequel.sequel = sequel, book
    yield book


def _seed_pages(m: Any, i: int) -> Iterator[Any]:
    yield m.Page(book_id=i, number=1)


def _seed_lines(m: Any, i: int) -> Iterator[Any]:
    yield m.Line(id=i, book_id=i, page_number=1)


# -- the ways --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Path:
    """A way of writing.

    :param write: writes, by a session or something else that executes, rows with some ids.
    :param needs: capabilities of the database without which it does not exist.
    :param recorded_with: a capability without which it is refused.
    """

    group: str
    name: str
    write: Callable[[Any, Any, list[int]], Any]
    needs: tuple[str, ...] = ()
    recorded_with: str | None = None
    is_refused: bool = False

    def outcome(self, database: str) -> str:
        """Return what comes of it on a database."""
        if not has_capabilities(database, self.needs):
            return "--"
        lacks = self.recorded_with and not has_capabilities(database, [self.recorded_with])
        return "refused" if self.is_refused or lacks else "recorded"


PATHS: list[Path] = []

FLUSH = "Flushes of sessions"
ORM = "ORM-enabled statements and bulk methods: ``session.execute()``, ``session.query()``"
CORE = (
    "Core statements on versioned and association tables: ``session.execute()``, and "
    "``connection.execute()`` on a connection of a session, or on one that no session has"
)
CASCADE = "What the database does by its foreign keys"
UNKNOWN = "What cannot be known beforehand"


def path(group: str, name: str, *needs: str, **options: Any) -> Callable[[Any], Any]:
    """List a function as a way of writing."""

    def note(write: Any) -> Any:
        PATHS.append(Path(group, name, write, needs, **options))
        return write

    return note


def named(ids: list[int], word: str = "new") -> list[dict[str, Any]]:
    """Return values of new rows."""
    return [{"name": f"{word}{i}"} for i in ids]


def objects(s: Any, cls: Any, ids: list[int], *loaded: Any) -> list[Any]:
    """Load objects, with some of their relationships."""
    options = [selectinload(each) for each in loaded]
    return list(s.scalars(select(cls).where(cls.id.in_(ids)).options(*options)))


@path(FLUSH, "objects that are added, changed and deleted")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for article, note in zip(objects(s, m.Article, ids), objects(s, m.Note, ids), strict=True):
        article.name = "changed"
        s.delete(note)
    s.add_all(m.Article(**values) for values in named(ids))


@path(FLUSH, "values that are SQL expressions, server defaults, ``onupdate``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for article in objects(s, m.Article, ids):
        article.rank = m.Article.rank + 5


@path(FLUSH, "``flag_modified()``, values that are changed in place")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for article in objects(s, m.Article, ids):
        article.data = {}
    s.flush()
    for article in objects(s, m.Article, ids):
        article.data["key"] = "value"
        attributes.flag_modified(article, "data")
        attributes.flag_modified(article, "name")


@path(FLUSH, "links of many-to-many relationships")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for article in objects(s, m.Article, ids, m.Article.tags):
        article.tags = [m.Tag(name="another")]


@path(FLUSH, "foreign keys that relationships empty")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for author in objects(s, m.Author, ids, m.Author.pseudonyms):
        author.pseudonyms = []


@path(FLUSH, "``post_update``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for book in objects(s, m.Book, ids, m.Book.sequel):
        book.sequel = None


@path(FLUSH, "primary keys that are changed")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Book).values(sequel_id=None))
    for each in [*objects(s, m.Counted, ids), *objects(s, m.Book, ids)]:
        each.id += 50_000


@path(FLUSH, "rows that are deleted and added again (row switches)")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for note in objects(s, m.Note, ids):
        s.delete(note)
        s.add(m.Note(id=note.id, author_id=None))


@path(ORM, "``update().where()``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    some = update(m.Article).where(m.Article.name.like("n%"))
    assert s.execute(some.values(rank=m.Article.rank + 1)).rowcount == len(ids)


@path(ORM, "``update()``, ``synchronize_session='fetch'``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    statement = update(m.Article).where(m.Article.rank == 0).values(slug=m.Article.name)
    s.execute(statement, execution_options={"synchronize_session": "fetch"})


@path(ORM, "``update()…returning()``, with the key or without", "returning")
def _(s: Any, m: Any, ids: list[int]) -> None:
    statement = update(m.Article).values(name="x")
    assert sorted(s.scalars(statement.returning(m.Article.id))) == ids
    assert s.scalars(statement.values(name="y").returning(m.Article.name)).all() == ["y"] * len(ids)


@path(ORM, "``update()`` by primary key")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Article), [{"id": i, "name": f"x{i}"} for i in ids])


@path(ORM, "``update()`` by primary key of a joined subclass")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Manager), [{"id": i, "name": f"x{i}", "bonus": i} for i in ids])


@path(ORM, "``update()`` of a class under joined inheritance, of its subclass")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Staff).values(name="someone"))
    s.execute(update(m.Manager).values(bonus=m.Manager.bonus + 5))


@path(ORM, "``update()`` and ``delete()`` of a single-table subclass")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Temp).values(days=9))
    s.execute(update(m.Temp).where(m.Temp.id == ids[0]).values(name="a manager's, not matched"))
    s.execute(delete(m.Temp).where(m.Temp.id != ids[0] + 10_000))


@path(ORM, "``update()`` of an ``aliased()`` key, with ``with_loader_criteria()``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    other = aliased(m.Tag)
    same = select(other.id).where(other.id == m.Article.id).exists()
    only = with_loader_criteria(m.Article, m.Article.id != ids[0])
    s.execute(update(m.Article).where(same).values(name="not the first").options(only))


@path(ORM, "``update()`` of the primary key")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Counted).values(id=m.Counted.id + 50_000))


@path(ORM, "``update()`` with a CTE in its conditions", "returning")
def _(s: Any, m: Any, ids: list[int]) -> None:
    some = select(m.Tag.id).cte("some")
    s.execute(update(m.Article).where(m.Article.id.in_(select(some.c.id))).values(name="cte"))


@path(ORM, "``Query.update()``, ``Query.delete()``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.query(m.Article).filter(m.Article.name.like("n%")).update({"rank": 3})
    s.query(m.Note).filter(m.Note.id.in_(ids)).delete()


@path(ORM, "``delete().where()``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(delete(m.Token).where(m.Token.name.like("n%")))
    s.execute(delete(m.Price).where(m.Price.amount == 1))


@path(ORM, "``delete()`` of a joined subclass, of which the superclass's rows stay")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(delete(m.Manager).where(m.Manager.bonus == 1))


@path(ORM, "``delete()…returning()``", "returning")
def _(s: Any, m: Any, ids: list[int]) -> None:
    assert s.scalars(delete(m.Token).returning(m.Token.name)).all()


@path(ORM, "``insert()``, one or many")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(insert(m.Article), named(ids))
    s.execute(insert(m.Token).values(name="one"))
    # A subclass's rows are inserted one by one by SQLAlchemy itself.
    s.execute(insert(m.Manager), [{"name": "m", "bonus": 1}, {"name": "n", "bonus": 2}])


@path(ORM, "``insert()…returning()`` objects or key", "insert_returning")
def _(s: Any, m: Any, ids: list[int]) -> None:
    assert len(s.scalars(insert(m.Article).returning(m.Article), named(ids)).all()) == len(ids)
    assert s.scalar(insert(m.Ticket).returning(m.Ticket.id), {"name": "one"})


@path(ORM, "upserts of classes, with ``returning()`` objects", "partial_indexes")
def _(s: Any, m: Any, ids: list[int]) -> None:
    dialect = sqlite if _dialect(s) == "sqlite" else postgresql
    new = dialect.insert(m.Article)
    upsert = new.on_conflict_do_update(index_elements=["id"], set_={"name": new.excluded.name})
    rows = [{"id": i, "name": "u", "slug": f"s{i}"} for i in [*ids, 9]]
    assert len(s.scalars(upsert.values(rows).returning(m.Article)).all()) == len(rows)
    s.execute(upsert, [{"id": i, "name": "v"} for i in [*ids, 8]])


@path(ORM, "``bulk_save_objects()``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    changed = s.scalars(select(m.Article)).all()
    for each in changed:
        each.name = "bulk"
    s.bulk_save_objects([*changed, *(m.Article(**values) for values in named(ids))])
    s.bulk_save_objects([m.Tag(name="b"), m.Tag(name="c")], return_defaults=True)


@path(ORM, "``bulk_insert_mappings()``, ``bulk_update_mappings()``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.bulk_insert_mappings(m.Article, [*named(ids), {"name": "ranked", "rank": 4}])
    s.bulk_update_mappings(m.Article, [{"id": i, "name": f"bulk{i}"} for i in ids])


@path(CORE, "``insert()`` with values, several of them, executed for many sets")
def _(s: Any, m: Any, ids: list[int]) -> None:
    article = m.Article.__table__
    s.execute(insert(article).values(name="one"))
    s.execute(insert(article), named(ids))
    s.execute(insert(m.article_tag), [{"article_id": i, "tag_id": FIRST_ID} for i in ids[1:]])


@path(CORE, "``insert().values([…])``", recorded_with="insert_returning")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(insert(m.Tag.__table__).values(named(ids)))


@path(
    CORE, "``insert().inline()``, prefixes such as ``OR IGNORE``", recorded_with="insert_returning"
)
def _(s: Any, m: Any, ids: list[int]) -> None:
    tag = m.Tag.__table__
    s.execute(insert(tag).values(name="inline").inline())
    ignore = "OR IGNORE" if _dialect(s) == "sqlite" else "IGNORE"
    if _dialect(s) != "postgresql":
        s.execute(insert(tag).prefix_with(ignore).values(id=ids[0], name="ignored"))


@path(CORE, "``lambda_stmt()``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    article, word = m.Article.__table__, f"word{len(ids)}"
    s.execute(lambda_stmt(lambda: update(article).values(name=word)))


@path(CORE, "``update()`` with subqueries of other classes")
def _(s: Any, m: Any, ids: list[int]) -> None:
    article = m.Article.__table__
    tags = select(func.count()).select_from(m.Tag).scalar_subquery()
    s.execute(update(article).where(article.c.rank < tags).values(rank=9))


@path(CORE, "``insert().from_select()``", recorded_with="insert_returning")
def _(s: Any, m: Any, ids: list[int]) -> None:
    done = s.execute(insert(m.Tag.__table__).from_select(["name"], select(m.Article.name)))
    assert (done.rowcount, done.returns_rows) == (len(ids), False)


@path(CORE, "``insert()`` of keys that the database makes", recorded_with="insert_returning")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(insert(m.Ticket.__table__), named(ids))
    s.execute(insert(m.Ticket.__table__).values(name="one"))
    s.execute(insert(m.Ticket.__table__).values(id=func.lower("KEY"), name="one"))


@path(CORE, "``update()``, for many sets of parameters as well")
def _(s: Any, m: Any, ids: list[int]) -> None:
    article = m.Article.__table__
    some = update(article).where(article.c.name.like("n%"))
    done = s.execute(some.values(rank=article.c.rank + 1))
    assert (done.rowcount, done.returns_rows) == (len(ids), False)
    by_name = update(article).where(article.c.name == bindparam("n")).values(rank=bindparam("r"))
    s.execute(by_name, [{"n": f"n{i}", "r": i} for i in ids])
    by_key = update(article).where(article.c.id == bindparam("n")).values(rank=bindparam("r"))
    s.execute(by_key, [{"n": i, "r": i + 1} for i in [*ids, 9]])
    counted = m.Counted.__table__
    moving = update(counted).where(counted.c.id == bindparam("n")).values(id=bindparam("m"))
    s.execute(moving, [{"n": i, "m": i + 50_000} for i in [*ids, 9]])
    s.execute(update(m.article_tag).values(tag_id=FIRST_ID))


@path(CORE, "``update()`` of several tables: ``UPDATE … FROM``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    article, tag = m.Article.__table__, m.Tag.__table__
    s.execute(update(article).where(article.c.id == tag.c.id).values(name="from"))


@path(CORE, "``delete()``, for many sets of parameters as well")
def _(s: Any, m: Any, ids: list[int]) -> None:
    link, note = m.article_tag, m.Note.__table__
    s.execute(delete(link).where(link.c.article_id == link.c.tag_id))
    s.execute(delete(note).where(note.c.id == bindparam("n")), [{"n": i} for i in [*ids, 9]])
    price = m.Price.__table__
    s.execute(delete(price).where(price.c.item == bindparam("n")), [{"n": f"i{i}"} for i in ids])


@path(CORE, "``delete()`` with other tables: ``DELETE … USING``", "delete_using")
def _(s: Any, m: Any, ids: list[int]) -> None:
    note, tag = m.Note.__table__, m.Tag.__table__
    s.execute(delete(note).where(note.c.id == tag.c.id, tag.c.name.like("t%")))


@path(CORE, "``delete()`` of the tables of joined inheritance, one after the other")
def _(s: Any, m: Any, ids: list[int]) -> None:
    manager, staff = m.Manager.__table__, m.Staff.__table__
    s.execute(delete(manager).where(manager.c.bonus == 1))
    s.execute(delete(staff).where(staff.c.id.in_(ids)))


def _upsert(m: Any, dialect: Any, ids: list[int]) -> Any:
    """Return an INSERT of half old and half new rows, and what it says of old ones."""
    rows = [{"id": i, "name": "upsert"} for n in ids for i in (n, n + 20_000)]
    return dialect.insert(m.Article.__table__).values(rows)


@path(CORE, "``on_conflict_do_update()``", "partial_indexes")
def _(s: Any, m: Any, ids: list[int]) -> None:
    statement = _upsert(m, sqlite if _dialect(s) == "sqlite" else postgresql, ids)
    s.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={"name": statement.excluded.name}
        )
    )


@path(CORE, "``on_conflict_do_nothing()``", "partial_indexes")
def _(s: Any, m: Any, ids: list[int]) -> None:
    statement = _upsert(m, sqlite if _dialect(s) == "sqlite" else postgresql, ids)
    s.execute(statement.on_conflict_do_nothing())


@path(CORE, "``on_duplicate_key_update()``", "stale_writes", recorded_with="insert_returning")
def _(s: Any, m: Any, ids: list[int]) -> None:
    statement = _upsert(m, mysql, ids)
    s.execute(statement.on_duplicate_key_update(name=statement.inserted.name))


@path(
    CORE, "upserts by another unique column, that give rows their keys as well", "partial_indexes"
)
def _(s: Any, m: Any, ids: list[int]) -> None:
    table = m.Author.__table__
    dialect = sqlite if _dialect(s) == "sqlite" else postgresql
    rows = [{"id": i, "name": "u", "code": f"A{i}"} for i in ids]
    new = dialect.insert(table).values([*rows, {"id": 9, "name": "u", "code": "new"}])
    taken = {"code": new.excluded.code + "X", "name": new.excluded.name}
    s.execute(new.on_conflict_do_update(index_elements=["code"], set_=taken))
    article = m.Article.__table__
    s.execute(delete(m.article_tag))
    s.execute(update(article).values(art_slug=article.c.name))
    rows = [{"id": i + 30_000, "name": "moved", "art_slug": f"n{i}"} for i in ids]
    moving = dialect.insert(article).values(rows)
    given = {"id": moving.excluded.id, "art_slug": None, "rank": article.c.rank + 1}
    s.execute(moving.on_conflict_do_update(index_elements=["art_slug"], set_=given))


@path(CORE, "``INSERT OR REPLACE``, of rows that others refer to as well", "or_replace")
def _(s: Any, m: Any, ids: list[int]) -> None:
    author, pseudonym = m.Author.__table__, m.Pseudonym.__table__
    s.execute(delete(pseudonym))
    replacing = insert(author).prefix_with("OR REPLACE")
    # The row itself, another one that has its code, and one that is there twice.
    rows = [{"id": i, "name": "same", "code": f"A{i}"} for i in ids[:1]]
    rows += [{"id": i + 30_000, "name": "other", "code": f"A{i}"} for i in ids[1:]]
    rows += [{"id": i + 40_000, "name": "again", "code": f"A{i}"} for i in ids[1:]]
    s.execute(replacing, rows)
    query = select(author.c.id, literal("copied"), author.c.code)
    s.execute(replacing.from_select(["id", "name", "code"], query))
    s.execute(replacing.values(id=9, name="unlike any", code="nine"))


@path(CORE, "``INSERT IGNORE``, ``INSERT OR IGNORE`` of rows that are there", "ignoring")
def _(s: Any, m: Any, ids: list[int]) -> None:
    ignore = "OR IGNORE" if _dialect(s) == "sqlite" else "IGNORE"
    rows = [{"id": i, "name": "ignored", "code": f"A{i}"} for i in [*ids, 9]]
    s.execute(insert(m.Author.__table__).prefix_with(ignore), rows)


def _dialect(s: Any) -> str:
    bind = s if hasattr(s, "dialect") else s.get_bind()
    return str(bind.dialect.name)


@path(CASCADE, "``ON DELETE CASCADE`` over several levels, in circles, through unversioned tables")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(delete(m.Pseudonym.__table__))
    s.execute(delete(m.Author.__table__).where(m.Author.__table__.c.id.in_(ids)))


@path(CASCADE, "``ON DELETE SET NULL``, with ``passive_deletes``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for author in objects(s, m.Author, ids, m.Author.pseudonyms):
        author.pseudonyms = []
        s.delete(author)


@path(CASCADE, "deletions from an unversioned table")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(delete(m.Shelf))


@path(CASCADE, "``ON UPDATE CASCADE`` of primary keys over several levels")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Book).values(sequel_id=None))
    s.execute(update(m.Book).values(id=m.Book.id + 50_000))


@path(CASCADE, "``ON UPDATE CASCADE`` of other columns")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Author).values(code=m.Author.code + "X"))


@path(CASCADE, "``ON UPDATE SET NULL``")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(insert(m.Quote), [{"id": i, "code": f"A{i}", "tag_id": None} for i in ids])
    s.execute(update(m.Author).values(code=m.Author.code + "X"))


@path(CASCADE, "``ON DELETE SET DEFAULT``, ``ON UPDATE SET DEFAULT``", "full_cascades")
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(insert(m.Quote), [{"id": i, "tag_id": i} for i in ids])
    s.execute(delete(m.article_tag))
    s.execute(delete(m.Tag).where(m.Tag.id == ids[1]))
    s.execute(update(m.Tag).where(m.Tag.id > ids[0]).values(id=m.Tag.id + 50_000))


@path(CASCADE, "primary keys of a table that is not versioned: flushed, and by statements")
def _(s: Any, m: Any, ids: list[int]) -> None:
    shelf = m.Shelf.__table__
    for each in objects(s, m.Shelf, ids):
        each.id += 50_000
    s.flush()
    s.execute(update(m.Shelf).values(id=m.Shelf.id + 60_000))
    s.connection().execute(update(shelf).values(id=shelf.c.id + 50_000))


@path(CASCADE, "``ON UPDATE CASCADE`` of flushed objects")
def _(s: Any, m: Any, ids: list[int]) -> None:
    for author in objects(s, m.Author, ids):
        author.code = f"Y{author.id}"


@path(UNKNOWN, "SQL text: ``text()``", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(text("UPDATE article SET name = 'text'"))


@path(UNKNOWN, "SQL text: ``exec_driver_sql()``", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.connection().exec_driver_sql("DELETE FROM note")


@path(UNKNOWN, "``REPLACE INTO`` as text", "stale_writes", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(text("REPLACE INTO tag (id, name) VALUES (1, 'x')"))


@path(UNKNOWN, "``UPDATE OR REPLACE``", "or_replace", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Author.__table__).prefix_with("OR REPLACE").values(code="A"))


@path(UNKNOWN, "``UPDATE IGNORE`` of primary keys", "ignoring", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    ignore = "OR IGNORE" if _dialect(s) == "sqlite" else "IGNORE"
    s.execute(update(m.Tag.__table__).prefix_with(ignore).values(id=ids[0]))


@path(UNKNOWN, "``UPDATE a, b SET b.x = …``", "stale_writes", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    tag, shelf = m.Tag.__table__, m.Shelf.__table__
    s.execute(update(shelf).where(tag.c.id == shelf.c.id).values({tag.c.name: "second"}))


@path(UNKNOWN, "INSERT, UPDATE or DELETE in a ``WITH``", "writable_ctes", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    made = insert(m.Tag).values(name="cte").returning(m.Tag.id).cte("made")
    s.execute(select(made.c.id))


@path(UNKNOWN, "``mysql_limit``", "stale_writes", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    article = m.Article.__table__
    s.execute(update(article).values(name="limit").with_dialect_options(mysql_limit=1))


@path(UNKNOWN, "``insert()…returning()`` without the key", "insert_returning", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    tag = m.Tag.__table__
    given = insert(tag).values(id=1, name="its key is known").returning(tag.c.name)
    assert s.scalar(given) == "its key is known"
    s.rollback()
    s.execute(insert(tag).values(name="x").returning(tag.c.name))


@path(UNKNOWN, "a second ``Table`` of the same name, in another ``MetaData``", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    from sqlalchemy import MetaData

    other = Table("note", MetaData(), Column("id", primary_key=True), Column("author_id"))
    s.execute(update(other).values(author_id=None))


@path(UNKNOWN, "SQL text: ``text().columns()``", "returning", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    note = m.Note.__table__
    s.execute(text("DELETE FROM note RETURNING id").columns(note.c.id))


@path(UNKNOWN, "SQL text: ``DDL()`` that writes rows itself", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(DDL("DELETE FROM note"))


@path(UNKNOWN, "``from_statement()``, of a write or of text", "returning", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    tag = m.Tag
    changed = update(tag).values(name="x").returning(tag)
    s.execute(lambda_stmt(lambda: select(tag).from_statement(changed)))


@path(UNKNOWN, "``update()`` of an alias", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    s.execute(update(m.Note.__table__.alias("noted")).values(author_id=None))


@path(UNKNOWN, "``update()`` of a join", "stale_writes", is_refused=True)
def _(s: Any, m: Any, ids: list[int]) -> None:
    tag, shelf = m.Tag.__table__, m.Shelf.__table__
    joined = shelf.join(tag, tag.c.id == shelf.c.id)
    s.execute(update(joined).values({shelf.c.author_id: shelf.c.author_id}))
    s.execute(update(joined).values({tag.c.name: "joined"}))


# -- the table in the documentation ----------------------------------------------------------------

DATABASES = {"SQLite": "sqlite", "PostgreSQL": "postgresql", "MariaDB": "mariadb", "MySQL": "mysql"}


def table() -> str:
    """Return the table of all ways of writing, by database."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield ".. Made of tests/writing.py by ``python -m tests.writing``; a test compares the two."
    for group, paths in itertools.groupby(PATHS, key=lambda each: each.group):
        yield from (
            "",
            f".. list-table:: {group}",
            "   :header-rows: 1",
            "   :widths: 60 10 10 10 10",
        )
        yield ""
        yield from _row(["", *DATABASES])
        for each in paths:
            yield from _row([each.name, *map(each.outcome, DATABASES.values())])


def _row(cells: list[str]) -> Iterator[str]:
    for place, cell in enumerate(cells):
        yield f"   {'*' if place == 0 else ' '} - {cell}".rstrip()


if __name__ == "__main__":
    TABLE.write_text(table())
