"""Looking after versions: vacuum()."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    ClassNotVersioned,
    ImproperlyConfigured,
    InvalidArgumentType,
    vacuum,
    version_class,
)
from tests.schemas.animals import build_animals

pytestmark = pytest.mark.strategies()


def write(session, Model, *rows):
    """Write versions of object 1: transaction, operation, and values, with stale ends."""
    Version = version_class(Model)
    for transaction, operation, values in rows:
        bookkeeping = {"transaction_id": transaction, "operation_type": operation}
        session.add(Version(**{"id": 1} | bookkeeping | values))
    session.commit()


def story(session, Model):
    """Return what is left: transaction and name of each version, checking the ends."""
    Version = version_class(Model)
    versions = session.scalars(select(Version).order_by(Version.id, Version.transaction_id)).all()
    if hasattr(Version, "end_transaction_id"):
        ends = [v.end_transaction_id for v in versions]
        assert ends == [*[v.transaction_id for v in versions[1:]], None]
    return [(version.transaction_id, version.name) for version in versions]


def test_version_like_the_one_before_is_removed(session, blog):
    """Repetitions go; what is left is joined."""
    rows = [(1, 0, "a"), (2, 1, "a"), (3, 1, "b"), (5, 1, "b"), (6, 1, "b"), (9, 1, "c")]
    write(session, blog.Article, *[(tx, op, {"name": name}) for tx, op, name in rows])

    assert vacuum(session, blog.Article) == 3
    assert story(session, blog.Article) == [(1, "a"), (3, "b"), (9, "c")]


def test_ends_are_no_values(session, blog):
    """Versions that are alike but for where they end are alike."""
    rows = [(1, 0, 2), (2, 1, 3), (3, 1, None)]
    write(session, blog.Article, *[(tx, op, {"name": "a"}) for tx, op, _ in rows])
    Version = version_class(blog.Article)
    if hasattr(Version, "end_transaction_id"):
        for (_, _, end), version in zip(rows, session.scalars(select(Version)), strict=True):
            version.end_transaction_id = end
    session.commit()

    assert vacuum(session, blog.Article) == 2
    assert story(session, blog.Article) == [(1, "a")]


def test_return_to_a_former_state_is_kept(session, blog):
    """Of A, B, A all three say something."""
    rows = [(1, 0, "a"), (2, 1, "b"), (3, 1, "a")]
    write(session, blog.Article, *[(tx, op, {"name": name}) for tx, op, name in rows])

    assert vacuum(session, blog.Article) == 0
    assert len(story(session, blog.Article)) == 3


def test_nothing_is_equal_only_to_itself(session, blog):
    """NULL is like NULL, and like nothing else; a letter is not its capital."""
    rows = [None, None, "", "x", "X", "X ", None]
    values = [{"name": "a", "content": content} for content in rows]
    write(session, blog.Article, *[(i, int(i > 1), v) for i, v in enumerate(values, start=1)])

    assert vacuum(session, blog.Article) == 1
    assert [tx for tx, _ in story(session, blog.Article)] == [1, 3, 4, 5, 6, 7]


def test_insertions_and_deletions_are_kept(session, blog):
    """Coming and going is something to tell, though no value changes."""
    operations = [0, 2, 0, 2, 1, 1]
    write(session, blog.Article, *[(i, op, {"name": "a"}) for i, op in enumerate(operations, 1)])

    assert vacuum(session, blog.Article) == 1
    assert [tx for tx, _ in story(session, blog.Article)] == [1, 2, 3, 4, 5]


def test_objects_are_told_apart(session, blog):
    """A version is compared with those of its own object."""
    for _ in range(2):
        blog.factories.Article(name="a")
        session.commit()

    assert vacuum(session, blog.Article) == 0


def test_objects_are_told_apart_by_all_of_their_key(Base, engine):
    """Every column of a key counts, whatever its attribute is called."""

    class Seat(Base):
        __tablename__ = "seat"
        __versioned__ = {}

        row: Mapped[int] = mapped_column("_row", primary_key=True, autoincrement=False)
        id: Mapped[int] = mapped_column("number", primary_key=True, autoincrement=False)
        name: Mapped[str] = mapped_column("_name")

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        Version = version_class(Seat)
        rows = [(1, 1, "a"), (1, 2, "b"), (2, 1, "c"), (1, 1, "b"), (1, 2, "c"), (2, 1, "c")]
        for transaction, (row, number, name) in enumerate([*rows, (1, 1, "b")], start=1):
            version = Version(row=row, id=number, name=name, transaction_id=transaction)
            version.operation_type = int(transaction > 3)
            session.add(version)
        session.commit()

        assert vacuum(session, Seat) == 2
        left = session.scalars(select(Version.transaction_id).order_by(Version.transaction_id))
        assert left.all() == [1, 2, 3, 4, 5]


@pytest.mark.options(ignore=["description"])
def test_change_of_any_stored_value_counts(session, blog):
    """A version that keeps another value is kept, even of a column that makes no version."""
    values = [{"name": "a", "description": value} for value in "xyy"]
    write(session, blog.Article, *[(i, int(i > 1), v) for i, v in enumerate(values, start=1)])

    assert vacuum(session, blog.Article) == 1


def test_statements_do_not_grow(session, blog, engine, count_statements):
    """However many versions go, the statements are the same few."""
    rows = [(i, int(i > 1), {"name": "a"}) for i in range(1, 200)]
    write(session, blog.Article, *rows)
    with count_statements(engine) as statements:
        assert vacuum(session, blog.Article) == 198

    assert statements.count <= 5


def test_vacuum_belongs_to_the_transaction(session, blog):
    """Nothing is committed; a rollback brings everything back."""
    write(session, blog.Article, *[(i, int(i > 1), {"name": "a"}) for i in (1, 2, 3)])
    vacuum(session, blog.Article)
    session.rollback()

    assert session.query(version_class(blog.Article)).count() == 3


def test_vacuumed_history_goes_on(session, blog):
    """After a vacuum the last version is closed by the next change."""
    article = blog.factories.Article(name="a")
    session.commit()
    transaction = article.versions[0].transaction_id
    held = article.versions[0]
    same = {"name": "a", "content": held.content, "description": held.description}
    write(session, blog.Article, (transaction + 1, 1, same))
    assert held.next is article.versions[1]
    assert vacuum(session, blog.Article) == 1
    session.commit()
    assert held.next is None
    article.name = "b"
    session.commit()

    assert [name for _, name in story(session, blog.Article)] == ["a", "b"]
    assert held.next is article.versions[1]


def test_what_cannot_be_vacuumed(session, blog):
    """There is nothing to vacuum without versions, and an object does not stand for its class."""
    with pytest.raises(ClassNotVersioned):
        vacuum(session, blog.Category)
    with pytest.raises(InvalidArgumentType, match="is an object; give its class, Article"):
        vacuum(session, blog.Article())
    with pytest.raises(ImproperlyConfigured, match="is no session"):
        vacuum(None, blog.Article)


CATS = [
    (1, 0, {"number": 1, "name": "a", "lives": 9}),
    (2, 1, {"number": 1, "name": "a", "lives": 9}),
    (3, 1, {"number": 1, "name": "a", "lives": 8}),
    (4, 1, {"number": 1, "name": "b", "lives": 8}),
    (5, 1, {"number": 1, "name": "b", "lives": 8}),
    (6, 1, {"number": 1, "name": "b", "lives": 9}),
    (7, 2, {"number": 1, "name": "b", "lives": 9}),
]


class TestSubclasses:
    """Classes whose versions are in several tables, or share one."""

    @pytest.fixture
    def models(self, keep):
        """Animals, of which cats have a table more."""
        return keep(build_animals)

    @pytest.mark.parametrize("name", ["Animal", "Cat"])
    def test_version_of_several_tables_goes_as_a_whole(self, session, models, name):
        """A version is kept if any of its tables has something new."""
        write(session, models.Cat, *CATS)

        assert vacuum(session, getattr(models, name)) == 2
        assert [tx for tx, _ in story(session, models.Cat)] == [1, 3, 4, 6, 7]
        for table in ("animal_version", "cat_version"):
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 5
        assert len(story(session, models.Animal)) == 5

    def test_subclass_is_vacuumed_alone(self, session, models):
        """What was not asked for is not touched."""
        write(session, models.Dog, *[(i, int(i > 1), {"name": "a"}) for i in (1, 2)])
        assert vacuum(session, models.Cat) == 0
        assert vacuum(session, models.Dog) == 1
