"""Reverting links whose rows have columns of their own."""

import itertools
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    null,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sqlalchemy_versioned import IncompleteHistory, ReverterException, revert_plan
from tests.models import Models

pytestmark = pytest.mark.strategies()


class Numbers:
    """The default of a column: numbers that a test says, or else one after the other."""

    def __init__(self):
        self.reset()

    def reset(self):
        """Begin with one."""
        self.said = []
        self._count = itertools.count(1)

    def take(self):
        """Return the number of the next row."""
        return self.said.pop(0) if self.said else next(self._count)


def numbered(name, **options):
    """Return a column of numbers, which ``column.info["numbers"]`` gives."""
    numbers = Numbers()
    return Column(name, Integer, default=numbers.take, info={"numbers": numbers}, **options)


def build_linked(Base, columns, **options):
    """Declare articles and tags, and a table with some more columns that links them."""
    link = Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), nullable=False),
        Column("tag_id", ForeignKey("tag.id"), nullable=False),
        *columns(),
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    options = {"secondary": link, "order_by": Tag.id, "backref": "articles"} | options
    Article.tags = relationship(Tag, **options)
    models = Models(Base, Article, Tag)
    models.link = link
    return models


def reset(models):
    """Let the numbers of links begin anew."""
    for column in models.link.c:
        if "numbers" in column.info:
            column.info["numbers"].reset()
    return models


def counted():
    """Return a key that says nothing, a number and a role."""
    return (
        Column("id", Integer, primary_key=True),
        numbered("position"),
        Column("role", String(20), default="none"),
    )


def ordered():
    """Return a position among the links of an article, and a token."""
    return (
        numbered("position", nullable=False),
        numbered("token", unique=True),
        PrimaryKeyConstraint("article_id", "tag_id"),
        UniqueConstraint("article_id", "position"),
    )


def rows(session, models, *names):
    """Return columns of all links, as they are stored."""
    columns = [models.link.c[name] for name in names]
    return [tuple(row) for row in session.execute(select(*columns).order_by(*columns))]


class TestPositions:
    """Links that are counted, and have a key of their own."""

    @pytest.fixture
    def models(self, keep):
        """Links with a surrogate key, a number and a role."""
        return reset(keep(build_linked, counted))

    @pytest.fixture
    def article(self, session, models):
        """An article with two tags, committed."""
        article = models.factories.Article(tags=[models.Tag(), models.Tag()])
        session.commit()
        return article

    def test_removed_links(self, session, models, article):
        """A link that was removed comes back with all that its row held."""
        before = rows(session, models, "tag_id", "id", "position", "role")
        article.tags = []
        session.commit()

        article.versions[0].revert(relations=["tags"])
        session.commit()

        assert rows(session, models, "tag_id", "id", "position", "role") == before

    def test_links_made_again(self, session, models, article):
        """A link that was removed and made again gets the values that it had."""
        tags, article.tags = article.tags, []
        session.commit()
        article.tags = tags
        article.name = "changed"
        session.commit()
        assert rows(session, models, "position") == [(3,), (4,)]

        article.versions[0].revert(relations=["tags"])
        session.commit()

        assert rows(session, models, "position") == [(1,), (2,)]

    def test_values_are_recorded(self, session, models, article):
        """What a revert puts into links is history, and can be reverted to."""
        self.test_links_made_again(session, models, article)
        article.name = "end"
        session.commit()

        article.versions[1].revert(relations=["tags"])
        session.commit()
        assert rows(session, models, "position") == [(3,), (4,)]
        article.versions[-2].revert(relations=["tags"])
        session.commit()

        assert rows(session, models, "position") == [(1,), (2,)]

    def test_values_changed_by_statements(self, session, models, article):
        """A link that stayed, with another value, is changed back under its own key."""
        before = rows(session, models, "id", "position", "role")
        session.execute(models.link.update().values(position=9, role="changed"))
        session.commit()

        article.versions[0].revert(relations=["tags"])
        session.commit()

        assert rows(session, models, "id", "position", "role") == before

    def test_other_links_of_the_flush(self, session, models, article):
        """Links that the application makes in the same flush take their defaults."""
        _, second = article.tags
        article.tags = []
        session.commit()

        article.versions[0].revert(relations=["tags"])
        with session.no_autoflush:
            third = models.Tag()
            article.tags = [second, third]
        session.commit()

        assert rows(session, models, "tag_id", "position") == [(second.id, 2), (third.id, 3)]

    def test_deleted_owners(self, session, models, article):
        """An article that is restored has its links as they were."""
        before = rows(session, models, "tag_id", "position", "role")
        version = article.versions[0]
        session.delete(article)
        session.commit()
        assert rows(session, models, "id") == []

        version.revert(relations=["tags"])
        session.commit()

        assert rows(session, models, "tag_id", "position", "role") == before

    def test_from_the_other_side(self, session, models, article):
        """Either side of the relationship puts the row back."""
        tag, _ = article.tags
        article.tags.remove(tag)
        session.commit()

        tag.versions[0].revert(relations=["articles"])
        session.commit()

        assert rows(session, models, "position") == [(1,), (2,)]

    def test_numbers_given_away(self, session, models, article):
        """A row whose number another row has now is numbered anew."""
        (first, _), (second, _) = rows(session, models, "id", "tag_id")
        article.tags = []
        other = models.factories.Article()
        session.commit()
        taken = {"id": first, "article_id": other.id, "tag_id": 1}
        session.execute(models.link.insert(), taken)
        session.commit()

        article.versions[0].revert(relations=["tags"])
        session.commit()

        (_, anew), (_, kept), _ = rows(session, models, "position", "id")
        assert (kept, anew in (first, second)) == (second, False)

    def test_the_plan_says_it(self, session, models, article):
        """What is written into links is part of the plan."""
        article.tags.pop()
        session.commit()

        plan = str(revert_plan(article.versions[0], relations=["tags"]))

        assert plan.splitlines()[-1] == (
            f"link Article {article.id}.tags to Tag 2: id = 2, position = 2, role = 'none'"
        )

    def test_nothing_is_written_before_the_flush(self, session, models, article, engine):
        """A revert that is rolled back leaves nothing to be written later."""
        tags, article.tags = article.tags, []
        session.commit()
        article.tags = tags
        session.commit()
        stored = rows(session, models, "position")

        with session.no_autoflush:
            article.versions[0].revert(relations=["tags"])
            assert rows(session, models, "position") == stored
        session.rollback()
        article.name = "another"
        session.commit()

        assert rows(session, models, "position") == stored

    def test_the_last_revert_counts(self, session, models, article):
        """Reverting again before a flush takes back what the first revert was to write."""
        tags, article.tags = article.tags, []
        session.commit()
        article.tags, article.name = tags, "changed"
        session.commit()
        first, last = article.versions[0], article.versions[-1]
        stored = rows(session, models, "position")

        with session.no_autoflush:
            first.revert(relations=["tags"])
            last.revert(relations=["tags"])
        session.commit()

        assert rows(session, models, "position") == stored


class TestUnique:
    """Links whose values must be unique."""

    @pytest.fixture
    def models(self, keep):
        """Links with a position among the links of their article, and a token."""
        return reset(keep(build_linked, ordered))

    @pytest.fixture
    def article(self, session, models):
        """An article whose three tags are in the order of their keys."""
        article = models.factories.Article(tags=[models.Tag() for _ in range(3)])
        session.commit()
        return article

    def relink(self, session, models, article, tags, positions):
        """Give an article other links, with these positions."""
        article.tags = []
        session.flush()
        models.link.c.position.info["numbers"].said += positions
        article.tags, article.name = tags, f"{article.name}."
        session.commit()

    @pytest.mark.strategies("validity", "subquery")
    def test_positions_that_went_round(self, session, models, article):
        """Links get back the positions that others have, in one transaction."""
        before = rows(session, models, "tag_id", "position", "token")
        self.relink(session, models, article, list(article.tags), [3, 1, 2])
        versions = models.metadata.tables["article_tag_version"]
        stored = len(session.execute(select(versions)).all())

        article.versions[0].revert(relations=["tags"])
        session.commit()

        assert rows(session, models, "tag_id", "position", "token") == before
        assert len(session.execute(select(versions)).all()) == stored + 3

    def test_positions_of_links_that_go(self, session, models, article):
        """A link gets back the position of one that came later."""
        before = rows(session, models, "tag_id", "position", "token")
        first, second, _ = article.tags
        self.relink(session, models, article, [second, models.Tag(), first], [1, 2, 9])

        article.versions[0].revert(relations=["tags"])
        session.commit()

        assert rows(session, models, "tag_id", "position", "token") == before

    def test_the_plan_says_what_goes_first(self, session, models, article):
        """Links that have to go for the time being are part of the plan."""
        self.relink(session, models, article, list(article.tags), [1, 3, 2])

        plan = str(revert_plan(article.versions[0], relations=["tags"]))

        assert [line for line in plan.splitlines() if line.startswith("first")] == [
            f"first unlink Article {article.id}.tags from Tag 2, Tag 3"
        ]

    def test_nothing_is_flushed_without_need(self, session, models, article):
        """Where links only come and go, the flush is left to the application."""
        article.tags.pop()
        session.commit()

        assert revert_plan(article.versions[0], relations=["tags"]).releases == ()

    def test_values_that_others_keep(self, session, models, article):
        """A value that a link of another article has now is refused, and nothing is changed."""
        article.tags = []
        session.commit()
        models.factories.Article(tags=[models.Tag()])
        session.flush()
        session.execute(models.link.update().values(token=1))
        session.commit()
        version = article.versions[0]

        with pytest.raises(ReverterException, match=r"token = 1, which is unique and belongs to"):
            version.revert(relations=["tags"])

        assert (article.tags, list(session.dirty)) == ([], [])

    def test_orphans_would_be_deleted(self, open_session, Base):
        """Where unlinking deletes, links cannot go for the time being."""
        models = build_linked(Base, ordered, cascade="all, delete-orphan", single_parent=True)
        session = open_session(models)
        article = models.Article(tags=[models.Tag() for _ in range(3)])
        session.add(article)
        session.commit()
        link = models.link
        for tag, position in zip(article.tags, (9, 1, 2), strict=True):
            where = link.c.tag_id == tag.id
            session.execute(link.update().where(where).values(position=position))
        session.commit()

        with pytest.raises(ReverterException, match="what it unlinks for that it deletes"):
            article.versions[0].revert(relations=["tags"])


def build_films(Base, nullable):
    """Declare persons and their roles in films; a role is a link, and has to be named.

    :param nullable: whether a column of which no history is kept takes NULL.
    """

    class Person(Base):
        __tablename__ = "person"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Role(Base):
        __tablename__ = "role"
        __versioned__ = {"exclude": ["secret"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        film_id: Mapped[int] = mapped_column(ForeignKey("film.id"))
        person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
        name: Mapped[str]
        facts: Mapped[Any | None] = mapped_column(JSON)
        secret = mapped_column(String(20), nullable=nullable)

    class Film(Base):
        __tablename__ = "film"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str | None]
        people: Mapped[list[Person]] = relationship(
            secondary=Role.__table__, order_by=Person.id, overlaps="roles"
        )
        roles: Mapped[list[Role]] = relationship(overlaps="people", order_by=Role.id)

    models = Models(Base, Film, Person, Role)
    models.link = Role.__table__
    return models


class TestMapped:
    """Links that are objects of a versioned class as well."""

    @pytest.fixture
    def nullable(self):
        """Whether the column of which no history is kept takes NULL."""
        return True

    @pytest.fixture
    def models(self, keep, nullable):
        """Films, persons and roles."""
        return keep(build_films, nullable)

    @pytest.fixture
    def film(self, session, models):
        """A film with three people."""
        people = [models.factories.Person() for _ in range(3)]
        session.flush()
        facts = ({"a": 1}, None, null())
        roles = [
            models.Role(person_id=person.id, name=name, facts=fact, secret="x")
            for person, name, fact in zip(people, "abc", facts, strict=True)
        ]
        film = models.factories.Film(roles=roles)
        session.commit()
        return film

    def test_values_without_default(self, session, models, film):
        """A link is made with a value that the relationship could not do without."""
        before = rows(session, models, "id", "person_id", "name")
        film.people = []
        session.commit()

        film.versions[0].revert(relations=["people"])
        session.commit()

        assert rows(session, models, "id", "person_id", "name") == before

    def test_changed_values(self, session, models, film):
        """What was changed in an object is changed back, and recorded with it."""
        film.roles[0].name, film.roles[1].name = "x", "y"
        session.commit()

        film.versions[0].revert(relations=["people"])
        session.commit()

        assert [role.name for role in film.roles] == ["a", "b", "c"]
        assert [role.versions.count() for role in film.roles] == [3, 3, 1]
        assert film.roles[0].versions[-1].changeset == {"name": ["x", "a"]}

    def test_nulls_of_json(self, session, models, film):
        """NULL and the JSON value null are told apart."""
        is_null = models.link.c.facts.is_(null())
        for role in film.roles:
            role.facts = {}
        session.commit()
        film.people = film.people[2:]
        session.commit()

        film.versions[0].revert(relations=["people"])
        session.commit()

        stored = select(is_null, models.link.c.facts).order_by(models.link.c.person_id)
        assert [tuple(map(bool, row)) for row in session.execute(stored)] == [
            (False, True),
            (False, False),
            (True, False),
        ]

    def test_several_rows_for_a_link(self, session, models, film):
        """Rows that a relationship cannot tell apart are refused, and nothing is changed."""
        film.roles.append(models.Role(person_id=film.people[0].id, name="d", secret="x"))
        session.commit()

        with pytest.raises(ReverterException, match="several rows for the link to Person 1"):
            film.versions[0].revert(relations=["people"])

        film.title = "New"
        session.commit()
        film.versions[-1].revert(relations=["people"])
        assert not session.dirty

    @pytest.mark.parametrize("nullable", [False])
    def test_unknown_values(self, session, models, film):
        """A row is not made where history does not keep what it cannot be without."""
        film.people = []
        session.commit()

        with pytest.raises(IncompleteHistory, match=r"role\.secret takes no NULL"):
            film.versions[0].revert(relations=["people"])

        assert (film.people, list(session.dirty)) == ([], [])


@pytest.mark.parametrize("lazy", ["dynamic", "write_only"])
def test_links_that_are_never_loaded(open_session, Base, lazy):
    """Values of links are put back whose relationship is never in memory."""
    models = build_linked(Base, counted, lazy=lazy)
    session = open_session(models)
    article, tag = models.Article(), models.Tag()
    article.tags.add(tag)
    session.add(article)
    session.commit()
    article.tags.remove(tag)
    session.commit()

    article.versions[0].revert(relations=["tags"])
    session.commit()

    assert rows(session, models, "id", "position") == [(1, 1)]


def test_one_link(open_session, Base):
    """The values of a single link are put back."""
    models = build_linked(Base, counted, uselist=False, order_by=None)
    session = open_session(models)
    tag = models.Tag()
    article = models.Article(tags=tag)
    session.add(article)
    session.commit()
    article.tags = models.Tag()
    session.commit()

    article.versions[0].revert(relations=["tags"])
    session.commit()

    assert rows(session, models, "tag_id", "position") == [(tag.id, 1)]


def test_statements_do_not_grow_with_links(open_session, Base, engine, count_statements):
    """Many links are planned, and written, by as many statements as few."""
    models = build_linked(Base, counted)
    session = open_session(models)
    counts = []
    for number in (2, 20):
        kept = [models.Tag() for _ in range(number)]
        article = models.Article(tags=[*kept, *[models.Tag() for _ in range(number)]])
        session.add(article)
        session.commit()
        article.tags = []
        session.commit()
        article.tags = kept
        session.commit()
        version = article.versions[0]
        with count_statements(engine) as statements:
            version.revert(relations=["tags"])
            session.flush()
        counts.append(statements.count)

    assert counts[0] == counts[1]
