"""Whatever a flush does is recorded, however the session is bound and whoever else listens."""

import contextvars

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Computed,
    ForeignKey,
    Integer,
    String,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    null,
    select,
    text,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import (
    Mapped,
    Session,
    configure_mappers,
    deferred,
    make_transient,
    mapped_column,
    relationship,
)

from sqlalchemy_versioned import CaptureError, paused, transaction_class, version_class
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import table_spec_of
from tests.schemas.animals import build_animals
from tests.schemas.nodes import build_nodes
from tests.threads import run_at_once


def told(session, cls, *names):
    """Return operation and values of all versions, in the order they were made."""
    version = version_class(cls)
    key = version.__mapper__.primary_key
    rows = session.scalars(
        select(version).order_by(version.transaction_id, *key),
        execution_options={"populate_existing": True},
    )
    return [(v.operation_type, *[getattr(v, name) for name in names]) for v in rows]


def links(session, table):
    """Return operation and key of all versions of the rows of an association table."""
    spec = table_spec_of(table)
    version = spec.version_table
    rows = session.execute(select(version).order_by(spec.transaction_column)).mappings()
    return [(row[spec.operation_column], *[row[pair.version] for pair in spec.key]) for row in rows]


# -- what objects are given --------------------------------------------------------------------


def test_none_is_recorded_as_none(session, models):
    """A column with a default that is set to None is None in history."""
    article = models.factories.Article()
    session.commit()
    article.description = None
    session.commit()

    assert told(session, models.Article, "description") == [(0, "No description"), (1, None)]


def test_none_instead_of_a_default_of_the_server(Base, open_session):
    """A column that the database would fill is None in history where the row has no value."""

    class Paper(Base):
        __tablename__ = "paper"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str | None] = mapped_column(server_default="new")

    session = open_session(Base)
    one, other = Paper(id=1), Paper(id=2, status=null())
    session.add_all([one, other])
    session.commit()
    one.status = None
    session.commit()

    assert told(session, Paper, "id", "status") == [(0, 1, "new"), (0, 2, None), (1, 1, None)]


def test_sql_expression_alone(session, models):
    """An attribute set to an SQL expression and nothing else makes a version of the result."""
    article = models.factories.Article(name="a")
    session.commit()
    article.name = models.Article.name + "b"
    session.commit()

    assert told(session, models.Article, "name") == [(0, "a"), (1, "ab")]


@pytest.mark.strategies("validity", "subquery")
def test_change_that_is_undone(session, models):
    """A value that is the former one again at the end makes no version, and no transaction."""
    article = models.factories.Article(name="a")
    session.commit()
    for name in "bca":
        article.name = name
        session.flush()
    session.commit()

    assert told(session, models.Article, "name") == [(0, "a")]
    assert session.query(transaction_class(models.Article)).count() == 1
    assert getattr(article.versions[0], "end_transaction_id", None) is None


def test_expression_that_changes_nothing(session, models):
    """The database tells whether a value differs; if not, there is no version."""
    article = models.factories.Article(name="a")
    session.commit()
    article.name = models.Article.name + ""
    session.commit()

    assert told(session, models.Article, "name") == [(0, "a")]
    assert session.query(transaction_class(models.Article)).count() == 1


@pytest.mark.parametrize("how", ["deleted", "taken out"])
def test_foreign_key_emptied_by_a_flush(Base, open_session, how):
    """A child that only the flush takes from its unversioned parent gets a version."""

    class Box(Base):
        __tablename__ = "box"
        id: Mapped[int] = mapped_column(primary_key=True)
        papers: Mapped[list["Paper"]] = relationship()

    class Paper(Base):
        __tablename__ = "paper"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        box_id: Mapped[int | None] = mapped_column(ForeignKey("box.id"))

    session = open_session(Base)
    box = Box(id=1, papers=[Paper(id=2)])
    session.add(box)
    session.commit()
    if how == "deleted":
        session.delete(box)
    else:
        box.papers.clear()
    session.commit()

    assert told(session, Paper, "box_id") == [(0, 1), (1, None)]
    assert session.query(transaction_class(Paper)).count() == 2


def test_foreign_key_emptied_from_the_other_side(session, models):
    """Taking a child out of a collection makes a version of the child."""
    author = models.factories.Author(id=1)
    models.factories.Article(author=author)
    session.commit()
    session.delete(author)
    session.commit()

    assert told(session, models.Article, "author_id") == [(0, 1), (1, None)]


def test_changes_of_a_later_listener(session, models):
    """What a before_flush listener of the application changes is recorded."""
    article = models.factories.Article(name="a")
    session.commit()

    def listener(session, context, instances):
        article.name = "listener"
        session.add(models.Tag(id=7, name="t"))

    event.listen(session, "before_flush", listener)
    session.add(models.Category(id=1, name="c"))
    session.flush()
    event.remove(session, "before_flush", listener)

    assert told(session, models.Article, "name") == [(0, "a"), (1, "listener")]
    assert told(session, models.Tag, "id") == [(0, 7)]


def test_defaults_that_are_asked_for(Base, open_session):
    """Objects whose defaults a flush looks up in its midst are new ones, or have other keys."""

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {}
        __mapper_args__ = {"eager_defaults": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        # No RETURNING of an INSERT tells it.
        edited: Mapped[str | None] = mapped_column(onupdate=func.lower("EDITED"))

    session = open_session(Base)
    session.add_all([Note(id=1, name="a"), Note(id=2, name="b"), Note(id=4, name="f")])
    session.commit()
    session.get(Note, 4).id = 5
    session.delete(session.get(Note, 2))
    session.get(Note, 1).name = "c"
    session.add_all([Note(id=2, name="d"), Note(id=3, name="e")])
    session.commit()

    assert sorted(told(session, Note, "id", "name", "edited")) == [
        (0, 1, "a", None),
        (0, 2, "b", None),
        (0, 3, "e", None),
        (0, 4, "f", None),
        (0, 5, "f", "edited"),
        (1, 1, "c", "edited"),
        (1, 2, "d", None),
        (2, 4, "f", None),
    ]
    assert verify(session) == []


def test_row_switch(session, models):
    """An object that takes the place of a deleted one is an update, values left alone included."""
    article = models.factories.Article(id=1, name="a", content="kept")
    session.commit()
    session.delete(article)
    session.add(models.Article(id=1, name="b"))
    session.commit()
    stored = session.scalar(select(models.Article.content))

    assert stored == "kept"
    assert told(session, models.Article, "name", "content") == [(0, "a", "kept"), (1, "b", "kept")]


def test_row_switch_of_older_rows(session, models):
    """Rows that were there before their history are kept as they were, and changes of them told."""
    with paused(session):
        session.add_all([models.Article(id=n, name="a") for n in (1, 2)])
        session.commit()
    for number, name in ((1, "a"), (2, "b")):
        session.delete(session.get(models.Article, number))
        session.add(models.Article(id=number, name=name))
    session.commit()

    told_of = told(session, models.Article, "id", "name")
    assert [row for row in told_of if row[1] == 2] == [(0, 2, "a"), (1, 2, "b")]
    # What was left as it was need not have a first state, and has nothing beside it.
    assert {row for row in told_of if row[1] == 1} <= {(0, 1, "a")}


def test_row_switch_to_another_class(Base, open_session, mode):
    """One that would leave a row without an object is refused, unless triggers record that."""
    zoo = build_animals(Base)
    session = open_session(Base)
    session.add_all([zoo.Cat(id=1, lives=9), zoo.Dog(id=2)])
    session.commit()
    session.delete(session.get(zoo.Animal, 2))
    session.add(zoo.Animal(id=2))
    session.commit()
    session.delete(session.get(zoo.Animal, 1))
    session.add(zoo.Dog(id=1))

    with mode.escapes("leaves the row in cat"):
        session.flush()
    session.rollback()
    assert told(session, zoo.Animal, "kind") == [(0, "cat"), (0, "dog"), (1, "animal")]


@pytest.mark.strategies
def test_row_switch_among_objects_that_refer_to_each_other(Base, open_session):
    """SQLAlchemy deletes the row that it has given to the new object, and so history says."""
    Node = build_nodes(Base).Node
    session = open_session(Base)
    session.add_all([Node(id=n, name="a") for n in (1, 2, 3)])
    session.commit()
    session.delete(session.get(Node, 1))
    session.add(Node(id=1, name="b"))
    session.get(Node, 2).parent = session.get(Node, 3)
    session.commit()

    assert session.scalars(select(Node.id).order_by(Node.id)).all() == [2, 3]
    # Where nothing is merged, triggers tell of the update as well.
    newest = {key: (kind, name) for kind, key, name in told(session, Node, "id", "name")}
    assert newest == {1: (2, "b"), 2: (1, "a"), 3: (0, "a")}
    assert verify(session) == []


def test_number_that_is_used_again(session, models):
    """A new row with the number of one that is gone goes on with its history."""
    session.add(models.Article(id=1, name="a"))
    session.commit()
    session.delete(session.get(models.Article, 1))
    session.commit()
    session.add_all([models.Article(id=1, name="b"), models.Article(id=2, name="c")])
    session.commit()

    first = session.get(models.Article, 1).versions.all()
    begins = [version.transaction_id for version in first]
    assert [version.operation_type for version in first] == [0, 2, 0]
    assert [version.end_transaction_id for version in first] == [*begins[1:], None]


def test_changed_key(session, models):
    """A changed key ends one history and begins another."""
    article = models.factories.Article(id=1)
    session.commit()
    article.id = 2
    session.commit()

    assert told(session, models.Article, "id") == [(0, 1), (2, 1), (0, 2)]
    version = version_class(models.Article)
    first, last = session.scalars(select(version).filter_by(id=1).order_by("transaction_id"))
    assert (first.end_transaction_id, last.end_transaction_id) == (last.transaction_id, None)
    assert [v.end_transaction_id for v in article.versions] == [None]


def test_unflushed_values_of_a_deleted_object(session, models):
    """A deletion holds what was stored, not what was about to be."""
    article = models.factories.Article(name="a")
    session.commit()
    with session.no_autoflush:
        article.name = "never stored"
        session.delete(article)
    session.commit()

    assert told(session, models.Article, "name") == [(0, "a"), (2, "a")]


def test_deferred_column_of_a_deleted_object(Base, open_session):
    """A column that was never loaded is in the deletion."""

    class Paper(Base):
        __tablename__ = "paper"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        body = deferred(Column(String(50)))

    session = open_session(Base)
    session.add(Paper(id=1, body="long"))
    session.commit()
    session.delete(session.get(Paper, 1))
    session.commit()

    assert told(session, Paper, "body") == [(0, "long"), (2, "long")]


@pytest.mark.needs("json")
def test_value_mutated_twice(Base, open_session):
    """A mutable value shared between flushes is copied by the database each time."""

    class Paper(Base):
        __tablename__ = "paper"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        data = Column(JSON)

    session = open_session(Base)
    paper = Paper(id=1, data={"n": 1})
    session.add(paper)
    session.flush()
    paper.data = {**paper.data, "n": 2}
    session.flush()
    paper.data = {**paper.data, "n": 3}
    session.commit()

    assert told(session, Paper, "data") == [(0, {"n": 3})]


def test_columns_that_change_by_themselves(Base, open_session):
    """Columns that follow an excluded one are recorded although nobody has set them."""

    class Paper(Base):
        __tablename__ = "paper"
        __versioned__ = {"exclude": ["secret"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        secret: Mapped[int]
        double = Column(Integer, Computed("secret * 2", persisted=True))
        touched = Column(Integer, onupdate=lambda: 7)
        counter = mapped_column(Integer, nullable=False)
        __mapper_args__ = {"version_id_col": counter}

    session = open_session(Base)
    paper = Paper(id=1, secret=1)
    session.add(paper)
    session.commit()
    paper.secret = 2
    session.commit()

    told_ = told(session, Paper, "double", "touched", "counter")
    assert told_ == [(0, 2, None, 1), (1, 4, 7, 2)]


@pytest.mark.parametrize("kind", ["counter", "onupdate"])
def test_column_that_changes_by_itself(Base, open_session, kind):
    """One such column is enough, of those too that Python gives their values."""
    options = {"onupdate": lambda: 2} if kind == "onupdate" else {}

    class Paper(Base):
        __tablename__ = "paper"
        __versioned__ = {"exclude": ["secret"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        secret: Mapped[int]
        own = mapped_column(Integer, default=1, **options)
        __mapper_args__ = {"version_id_col": own} if kind == "counter" else {}

    session = open_session(Base)
    paper = Paper(id=1, secret=1)
    session.add(paper)
    session.commit()
    paper.secret = 2
    session.commit()

    assert told(session, Paper, "own") == [(0, 1), (1, 2)]


def test_ignored_column(Base, open_session):
    """Whoever sets it makes no version; those that other columns make have its value."""

    class Paper(Base):
        __tablename__ = "paper"
        __versioned__ = {"ignore": ["seen"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(9))
        seen: Mapped[int]

    session = open_session(Base)
    paper = Paper(id=1, name="a", seen=1)
    session.add(paper)
    session.commit()
    for value in (2, Paper.seen + 1):
        session.refresh(paper)
        paper.seen = value
        session.commit()
    session.execute(update(Paper).values(seen=4))
    session.commit()
    paper.name = "b"
    session.commit()

    assert told(session, Paper, "name", "seen") == [(0, "a", 1), (1, "b", 4)]


def test_objects_that_refer_to_each_other(Base, open_session):
    """Rows that are updated once more at the end of a flush are recorded as they are then."""

    class Node(Base):
        __tablename__ = "node"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        next_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
        next = relationship("Node", remote_side=[id], post_update=True)

    session = open_session(Base)
    one, two = Node(id=1), Node(id=2)
    one.next, two.next = two, one
    session.add_all([one, two])
    session.commit()
    session.delete(one)
    two.next = None
    session.commit()

    assert told(session, Node, "id", "next_id")[:2] == [(0, 1, 2), (0, 2, 1)]
    assert told(session, Node, "id")[2:] == [(2, 1), (1, 2)]

    three = Node(id=3)
    session.add(three)
    two.next = three
    session.flush()
    session.delete(two)
    session.delete(three)
    session.flush()
    make_transient(three)
    session.add(three)
    session.commit()

    assert told(session, Node, "id")[4:] == [(2, 2), (0, 3)]


@pytest.mark.strategies
def test_rows_that_are_updated_after_others_were_deleted(Base, open_session):
    """Rows that ``post_update`` changes when others of their table are gone are looked at again."""

    class Ball(Base):
        __tablename__ = "ball"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))

    class Company(Base):
        __tablename__ = "company"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
        company: Mapped[Company | None] = relationship()
        balls: Mapped[list[Ball]] = relationship(post_update=True)

    session = open_session(Base)
    session.add_all([Ball(id=1), Ball(id=2)])
    session.commit()
    # That the company comes first puts off the update until the other ball is deleted.
    session.delete(session.get(Ball, 2))
    with session.no_autoflush:
        session.add(Person(id=1, company=Company(id=1), balls=[session.get(Ball, 1)]))
    session.commit()

    assert {*told(session, Ball, "id", "owner_id")[2:]} == {(1, 1, 1), (2, 2, None)}
    assert verify(session) == []


@pytest.mark.filterwarnings("ignore:DELETE statement on table")
def test_deleting_what_is_gone(session, models, mode):
    """A row that somebody else removed is not recorded as deleted, and its history stays whole."""
    article = models.factories.Article(id=1)
    models.factories.Tag()
    session.commit()
    session.refresh(article)
    with paused(session):
        session.execute(text("DELETE FROM article WHERE id = 1"))
    session.delete(article)
    session.flush()
    session.add(models.Article(id=1, name="again"))
    session.commit()

    versions = session.scalars(select(version_class(models.Article)).order_by("transaction_id"))
    versions = versions.all()
    # Triggers were not told that the row was gone.
    assert [v.operation_type for v in versions] == [0, mode.pick(0, 1)]
    assert versions[0].end_transaction_id == versions[1].transaction_id


@pytest.mark.filterwarnings("ignore:The .objects. parameter")
def test_objects_given_to_flush(session, models):
    """Only what is flushed is recorded."""
    one, two = models.factories.Article(id=1), models.factories.Article(id=2)
    with session.no_autoflush:
        session.flush([one])

        assert told(session, models.Article, "id") == [(0, 1)]
    assert two in session.new


# -- links -------------------------------------------------------------------------------------


def test_link_that_is_removed_and_added_again(session, models):
    """In one transaction it is as it was; nothing is recorded."""
    article = models.factories.Article(id=1, tags=[models.factories.Tag(id=2)])
    session.commit()
    (tag,) = article.tags
    article.tags.remove(tag)
    session.flush()
    article.tags.append(tag)
    session.commit()

    assert links(session, models.article_tag) == [(0, 1, 2)]


def test_link_that_is_added_and_removed_again(session, models):
    """In one transaction nothing remains of it."""
    article, tag = models.factories.Article(id=1), models.factories.Tag(id=2)
    session.commit()
    article.tags.append(tag)
    session.flush()
    article.tags.remove(tag)
    session.commit()

    assert links(session, models.article_tag) == []


def test_link_over_several_transactions(session, models):
    """Adding, removing and adding again makes three versions."""
    article, tag = models.factories.Article(id=1), models.factories.Tag(id=2)
    session.commit()
    for tags in ([tag], [], [tag]):
        article.tags = tags
        session.commit()

    assert links(session, models.article_tag) == [(0, 1, 2), (2, 1, 2), (0, 1, 2)]


def test_links_alone(session, models):
    """Links that are all a transaction has done are in it, and no version of either side is."""
    article, tag = models.factories.Article(id=1), models.factories.Tag(id=2)
    session.commit()
    article.tags.append(tag)
    session.commit()

    spec = table_spec_of(models.article_tag)
    (number,) = session.scalars(select(spec.version_table.c.transaction_id))
    newest = session.scalars(select(transaction_class(models.Article)).order_by("id")).all()[-1]
    assert (number, newest.changed_entities) == (newest.id, {})
    assert (len(article.versions), len(tag.versions)) == (1, 1)
    article.name = "next"
    session.commit()
    assert [[t.id for t in version.tags] for version in article.versions] == [[], [2]]


def test_links_that_come_to_nothing(session, models):
    """A link that is added and removed again, and nothing else, leaves no transaction."""
    article, tag = models.factories.Article(id=1), models.factories.Tag(id=2)
    session.commit()
    article.tags.append(tag)
    session.flush()
    article.tags.remove(tag)
    session.commit()

    assert session.query(transaction_class(models.Article)).count() == 1


def test_unversioned_child(Base, open_session):
    """A child without history is no change of its versioned parent, and makes no transaction."""

    class Paper(Base):
        __tablename__ = "paper"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        notes: Mapped[list["Note"]] = relationship(cascade="all, delete-orphan")

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        paper_id: Mapped[int | None] = mapped_column(ForeignKey("paper.id"))

    session = open_session(Base)
    paper = Paper(id=1)
    session.add(paper)
    session.commit()
    for notes in ([Note()], [Note(), Note()], []):
        paper.notes = notes
        session.commit()

    assert told(session, Paper, "id") == [(0, 1)]
    assert session.query(transaction_class(Paper)).count() == 1


@pytest.mark.parametrize("place", ["connection", "session", "flush"])
def test_core_statements_on_an_association_table(session, models, tables, place):
    """Values and conditions may be given in any way, wherever the statement is executed."""
    link = models.article_tag
    article = models.factories.Article(id=1)
    for number in (2, 3):
        models.factories.Tag(id=number)
    session.commit()
    statements = [
        (insert(link), [{"article_id": 1, "tag_id": 2}]),
        (insert(link).values(article_id=1, tag_id=3), None),
        (delete(link).where(link.c.tag_id == bindparam("gone")), {"gone": 2}),
        (update(link).values(tag_id=2).where(link.c.tag_id == 3), None),
    ]
    found = []
    for number, (statement, parameters) in enumerate(statements):
        if place == "connection":
            with tables.begin() as connection:
                connection.execute(statement, parameters)
        elif place == "session":
            session.execute(statement, parameters)
        else:
            execute_in_flush(session, statement, parameters)
        article.name = str(number)
        session.commit()
        found.append([tag.id for tag in article.tags])
        session.rollback()

    assert found == [[2], [2, 3], [3], [2]]
    assert told(session, models.Article, "id") == [(0, 1), *[(1, 1)] * 4]


def execute_in_flush(session, statement, parameters):
    """Execute a statement in the midst of the next flush."""

    def listener(session, context, instances):
        session.connection().execute(statement, parameters)

    event.listen(session, "before_flush", listener, once=True)


@pytest.mark.parametrize("has_number", [True, False])
def test_association_table_that_is_a_class_too(Base, open_session, has_number):
    """Links written by the class and by a relationship share one history."""

    class Membership(Base):
        __tablename__ = "membership"
        __versioned__ = {}
        if has_number:
            id: Mapped[int] = mapped_column(primary_key=True)
        # In another order than the relationship has them.
        group_id = Column(ForeignKey("team.id"), primary_key=not has_number)
        user_id = Column(ForeignKey("person.id"), primary_key=not has_number)
        role = Column(String(10), server_default="guest")

    class Person(Base):
        __tablename__ = "person"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        teams = relationship("Team", secondary="membership")

    class Team(Base):
        __tablename__ = "team"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session(Base)
    person, team = Person(id=1), Team(id=2)
    session.add_all([person, team])
    session.flush()
    session.add(Membership(user_id=1, group_id=2, role="boss"))
    session.commit()
    person.teams = []
    session.commit()
    person.teams = [team]
    session.flush()
    session.commit()
    session.add(Team(id=3))
    session.flush()
    session.add(Membership(user_id=1, group_id=3))
    session.flush()
    session.expire_all()
    person.teams = [team]
    session.commit()

    assert told(session, Membership, "role") == [(0, "boss"), (2, "boss"), (0, "guest")]


# -- sessions ----------------------------------------------------------------------------------


def test_flush_inside_a_flush(session, models, tables):
    """Another session that is flushed by a listener does not disturb the recording of this one."""
    article = models.factories.Article(id=1, tags=[models.factories.Tag(id=1)])

    def listener(flushing, context, instances):
        if flushing is session:
            with Session(tables) as other:
                other.add(models.Tag(id=2, name="other"))
                other.flush()
                other.rollback()

    event.listen(session, "before_flush", listener)
    session.flush()
    event.remove(session, "before_flush", listener)

    assert [v.operation_type for v in article.versions] == [0]
    assert links(session, models.article_tag) == [(0, 1, 1)]


def test_session_that_had_begun_before(Base, engine):
    """What a session is writing is recorded also if nothing was versioned when it began."""
    with Session(engine) as session:
        connection = session.connection()

        class Paper(Base):
            __tablename__ = "paper"
            __versioned__ = {"native": False}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

        configure_mappers()
        Base.metadata.create_all(connection)
        connection.execute(insert(Paper), [{"id": n, "name": "a"} for n in (1, 2)])
        session.get(Paper, 1).name = "b"
        session.delete(session.get(Paper, 2))
        session.commit()

        assert told(session, Paper, "id", "name") == [
            (0, 1, "a"),
            (0, 2, "a"),
            (1, 1, "b"),
            (2, 2, "a"),
        ]


@pytest.mark.parametrize(
    "mode", ["conditional_savepoint", "rollback_only", "control_fully", "create_savepoint"]
)
def test_session_in_an_outer_transaction(tables, models, mode):
    """Each commit of the session is a transaction; rolling back the outer one undoes them all."""
    with tables.connect() as connection, connection.begin() as outer:
        with Session(connection, join_transaction_mode=mode) as session:
            article = models.Article(name="a")
            session.add(article)
            session.commit()
            if mode != "control_fully":
                article.name = "b"
                session.commit()
                assert told(session, models.Article, "name") == [(0, "a"), (1, "b")]
        if outer.is_active:
            outer.rollback()
    with Session(tables) as session:
        expected = [(0, "a")] if mode == "control_fully" else []
        assert told(session, models.Article, "name") == expected


def test_sessions_on_one_connection(tables, models):
    """Sessions that share a connection have transactions of their own."""
    with tables.connect() as connection, connection.begin():
        one = Session(connection, join_transaction_mode="rollback_only")
        two = Session(connection, join_transaction_mode="rollback_only")
        one.add_all([models.Article(id=1, name="a"), models.Article(id=2, name="a")])
        one.flush()
        two.get(models.Article, 1).name = "b"
        two.flush()
        one.get(models.Article, 2).name = "c"
        one.flush()
        versions = told(one, models.Article, "id", "name")
        one.close()
        two.close()

    assert versions == [(0, 1, "a"), (0, 2, "c"), (1, 1, "b")]


def test_overtaken_on_a_shared_connection(tables, models):
    """A session whose transaction is older than the row's version draws a later number."""
    with tables.connect() as connection, connection.begin():
        one = Session(connection, join_transaction_mode="rollback_only")
        two = Session(connection, join_transaction_mode="rollback_only")
        one.add_all([models.Article(id=1, name="a"), models.Article(id=2, name="a")])
        one.commit()
        one.get(models.Article, 1).name = "b"
        one.flush()
        two.get(models.Article, 2).name = "c"
        two.flush()
        one.refresh(one.get(models.Article, 2))
        one.get(models.Article, 2).name = "d"
        one.flush()
        versions = one.scalars(select(version_class(models.Article)).filter_by(id=2)).all()
        versions.sort(key=lambda v: v.transaction_id)
        one.close()
        two.close()

    assert [v.name for v in versions] == ["a", "c", "d"]
    ends = [v.end_transaction_id for v in versions]
    assert ends == [*[v.transaction_id for v in versions[1:]], None]


def test_numbers_that_are_behind(tables, models, mode):
    """Where no number is late enough, the transaction is refused, and is not tried for ever."""
    version = version_class(models.Article)
    with tables.connect() as connection, connection.begin():
        with Session(connection, join_transaction_mode="rollback_only") as session:
            session.add_all([models.Article(id=1, name="a"), models.Article(id=2, name="a")])
            session.commit()
        moved = update(version.__table__).where(version.id == 2)
        connection.execute(moved.values(transaction_id=10**6))
        with Session(connection, join_transaction_mode="rollback_only") as session:
            session.get(models.Article, 1).name = "b"
            session.flush()
            session.get(models.Article, 2).name = "b"
            with mode.is_behind():
                session.flush()


def test_numbers_that_a_restore_has_reset(session, models, mode):
    """No version is put before those that there are, where numbers are behind the history."""
    article = models.Article(name="a")
    session.add(article)
    session.commit()
    version = version_class(models.Article)
    with paused(session):
        session.execute(update(version.__table__).values(transaction_id=10**6))
    session.commit()

    article.name = "b"
    with mode.is_behind():
        session.commit()
    session.rollback()

    assert [each.name for each in article.versions] == ["a"]


def test_key_that_another_row_had(session, models):
    """A row with the key of one that was deleted goes on with its history."""
    first = models.Article(id=7, name="a")
    session.add(first)
    session.commit()
    session.delete(first)
    session.commit()
    second = models.Article(id=7, name="b")
    session.add(second)
    session.commit()

    versions = second.versions.all()
    assert [(v.name, v.operation_type) for v in versions] == [("a", 0), ("a", 2), ("b", 0)]
    ends = [version.end_transaction_id for version in versions]
    assert ends == [*[version.transaction_id for version in versions[1:]], None]


def test_rows_of_an_overtaken_transaction(Base, versioning, engine):
    """Rows that an application hangs on a transaction follow it to its later number."""

    class Revision(Base):
        __tablename__ = "revision"
        id: Mapped[int] = mapped_column(primary_key=True)
        notes: Mapped[list["Note"]] = relationship()

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(9))

    versioning.transaction_cls = Revision
    configure_mappers()
    Base.metadata.create_all(engine)
    with engine.connect() as connection, connection.begin():
        one = Session(connection, join_transaction_mode="rollback_only")
        two = Session(connection, join_transaction_mode="rollback_only")
        one.add(Article(id=1, name="a"))
        one.commit()
        revision = versioning.unit_of_work(one).create_transaction()
        note, number = Note(id=1, revision_id=revision.id), revision.id
        one.add(note)
        one.flush()
        two.get(Article, 1).name = "b"
        two.flush()
        one.get(Article, 1).name = "c"
        one.flush()
        stored = one.scalars(select(Note.revision_id)).all()
        loaded, later = note.revision_id, revision.id
        one.close()
        two.close()

    assert (stored, loaded) == ([later], later)
    assert later > number


def test_autocommit(tables, models):
    """A session whose connection commits each statement is recorded."""
    with Session(tables.execution_options(isolation_level="AUTOCOMMIT")) as session:
        article = models.Article(name="a", tags=[models.Tag(id=1, name="t")])
        session.add(article)
        session.commit()
        article.name = "b"
        article.tags = []
        session.commit()
        session.delete(article)
        session.commit()

        assert told(session, models.Article, "name") == [(0, "a"), (1, "b"), (2, "b")]
        assert [operation for operation, *_ in links(session, models.article_tag)] == [0, 2]


def test_engine_with_options_of_its_own(tables, models):
    """Engines made of one another record links once."""
    for engine in (tables, tables.execution_options(logging_token="x")):
        with Session(engine) as session:
            article = models.Article(name="a", tags=[models.Tag(name="t")])
            session.add(article)
            session.commit()
            count = len(links(session, models.article_tag))
            session.delete(article)
            session.commit()

    assert count == 3


def test_binds_by_class(tables, models):
    """A session that knows a database for the versioned classes only records them."""
    classes = [models.Article, models.Tag]
    binds = dict.fromkeys([*classes, models.article_tag], tables)
    with Session(binds=binds) as session:
        session.add(models.Article(id=1, name="a", tags=[models.Tag(id=1, name="t")]))
        session.commit()
    with Session(tables) as session:
        assert told(session, models.Article, "name") == [(0, "a")]
        assert links(session, models.article_tag) == [(0, 1, 1)]


def test_threads(tables, models):
    """Threads with sessions of their own do not meet."""

    def write(number):
        with Session(tables) as session:
            session.add(models.Article(id=number, name=str(number)))
            session.commit()

    run_at_once(write, range(1, 9))
    with Session(tables) as session:
        versions = session.scalars(select(version_class(models.Article))).all()
        assert len({v.transaction_id for v in versions}) == 8


def test_flush_in_another_context(session, models):
    """A flush may run in a context of its own, as tasks and web servers have them."""
    models.factories.Article(id=1, tags=[models.factories.Tag(id=1)])

    contextvars.copy_context().run(session.flush)

    assert links(session, models.article_tag) == [(0, 1, 1)]


# -- failures ----------------------------------------------------------------------------------


def test_failing_recording_fails_the_flush(session, models, tables, mode):
    """An error of ours is the error of the flush, and the session can go on after a rollback."""
    version_class(models.Article).__table__.drop(tables)
    models.factories.Article()
    error = mode.pick(SQLAlchemyError, CaptureError)
    with pytest.raises(error, match=mode.pick("article_version", "0 of its . triggers")):
        session.flush()
    session.rollback()
    models.factories.Tag(id=1)
    session.commit()

    assert session.scalar(select(func.count(models.Article.id))) == 0
    assert told(session, models.Tag, "id") == [(0, 1)]


def test_flush_that_failed_is_forgotten(session, models):
    """What a failed flush was about to record does not turn up in the next one."""
    models.factories.Article(id=1, tags=[models.factories.Tag(id=1)])
    session.add(models.Comment(id=1, content="c", article_id=99))
    with pytest.raises(SQLAlchemyError):
        session.flush()
    session.rollback()
    models.factories.Tag(id=2)
    session.commit()

    assert links(session, models.article_tag) == []
    assert told(session, models.Tag, "id") == [(0, 2)]


def test_engines_tell_nothing_else(models, tables):
    """An engine is not made to tell of all its events, for which every session would pay."""
    engine = create_engine(tables.url)
    with Session(engine) as session:
        session.add(models.Tag(name="t"))
        session.commit()

        assert told(session, models.Tag, "name") == [(0, "t")]
    assert not engine._has_events
    engine.dispose()


def test_nothing_is_looked_at_after_removal(session, models, tables, versioning, mode):
    """Once versioning is removed, connections execute what they like."""
    models.factories.Article(tags=[models.factories.Tag()])
    session.commit()

    def write():
        with tables.begin() as connection:
            connection.exec_driver_sql("UPDATE article SET name = 'text'")
            connection.execute(update(models.Tag).values(name="t"))

    with mode.escapes():
        write()
    versioning._tracker.stop()
    write()

    assert len(told(session, models.Tag)) == mode.pick(1, 2)
    for name in ("do_execute", "do_executemany", "do_execute_no_params", "handle_error"):
        assert not list(getattr(tables.dialect.dispatch, name))


def test_new_rows_do_not_count_as_unrecorded(session, models, versioning, count_statements):
    """Rows that a flush inserts before it deletes others are not taken for ones from before."""

    def delete_one(*new):
        session.delete(session.scalars(select(models.Article).limit(1)).one())
        session.add_all(new)
        with count_statements(session.get_bind()) as statements:
            session.commit()
        return statements.count

    session.add_all(models.Article(name="a") for _ in range(4))
    session.commit()
    delete_one()
    expected = delete_one()
    # As when the process is started that writes.
    versioning.look_again()
    delete_one(models.Article(name="b"))
    delete_one()

    assert delete_one() == expected
