"""What the database does by its foreign keys, however deep, and by triggers."""

from contextlib import nullcontext

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    Table,
    delete,
    select,
    update,
)
from sqlalchemy.exc import SAWarning, StatementError
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column, relationship
from sqlalchemy.orm.exc import FlushError

from sqlalchemy_versioned import Operation, paused, version_class
from sqlalchemy_versioned.maintenance import FaultKind, verify
from sqlalchemy_versioned.model.lookup import spec_of, table_spec_of
from tests.databases import has_capabilities
from tests.models import Models
from tests.scenarios.test_write_paths import (
    assert_first_states_are_kept,
    assert_history_is_true,
    rows_of,
)

ALONG = {"ondelete": "CASCADE", "onupdate": "CASCADE"}


def build_tree(Base):
    """Declare a root, and around it foreign keys of every kind."""

    class Root(Base):
        __tablename__ = "root"
        __versioned__ = {}
        number: Mapped[int] = mapped_column("id", primary_key=True)
        code: Mapped[str] = mapped_column(String(20), unique=True)
        name: Mapped[str | None]

    class Loose(Base):
        """Loses the code of its root; others follow it."""

        __tablename__ = "loose"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        code: Mapped[str | None] = mapped_column(
            ForeignKey("root.code", onupdate="SET NULL", ondelete="SET NULL"), unique=True
        )

    class Under(Base):
        __tablename__ = "under"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        code: Mapped[str | None] = mapped_column(ForeignKey("loose.code", **ALONG))

    class Natural(Base):
        """Has the code of its root, which is not its root's key, in its own key."""

        __tablename__ = "natural_row"
        __versioned__ = {}
        code: Mapped[str] = mapped_column(ForeignKey("root.code", **ALONG), primary_key=True)
        item: Mapped[int] = mapped_column(primary_key=True)

    class Detail(Base):
        __tablename__ = "detail"
        __versioned__ = {}
        __table_args__ = (
            ForeignKeyConstraint(
                ["code", "item"],
                ["natural_row.code", "natural_row.item"],
                onupdate="CASCADE",
                ondelete="SET NULL",
            ),
        )
        id: Mapped[int] = mapped_column(primary_key=True)
        code: Mapped[str | None] = mapped_column(String(20))
        item: Mapped[int | None]

    class Pair(Base):
        """Has two keys that are changed by one statement."""

        __tablename__ = "pair"
        __versioned__ = {}
        left_id: Mapped[int] = mapped_column(ForeignKey("root.id", **ALONG), primary_key=True)
        right_id: Mapped[int] = mapped_column(ForeignKey("root.id", **ALONG), primary_key=True)

    class Worker(Base):
        __tablename__ = "worker"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "worker"}
        id: Mapped[int] = mapped_column(ForeignKey("root.id", **ALONG), primary_key=True)
        kind: Mapped[str]

    class Boss(Worker):
        __tablename__ = "boss"
        __mapper_args__ = {"polymorphic_identity": "boss"}
        id: Mapped[int] = mapped_column(ForeignKey("worker.id", **ALONG), primary_key=True)

    class Badge(Base):
        __tablename__ = "badge"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        boss_id: Mapped[int] = mapped_column(ForeignKey("boss.id", **ALONG))

    class Place(Base):
        """Not versioned, before versioned ones."""

        __tablename__ = "place"
        id: Mapped[int] = mapped_column(primary_key=True)
        code: Mapped[str] = mapped_column(String(20), unique=True)

    class Stay(Base):
        __tablename__ = "stay"
        __versioned__ = {}
        place_id: Mapped[int] = mapped_column(ForeignKey("place.id", **ALONG), primary_key=True)
        code: Mapped[str | None] = mapped_column(ForeignKey("place.code", onupdate="SET NULL"))
        place: Mapped[Place] = relationship(foreign_keys=place_id)

    classes = (Root, Loose, Under, Natural, Detail, Pair, Worker, Boss, Badge, Place, Stay)
    return Models(Base, *classes)


def build_circle(Base):
    """Declare rows that refer to others of their table, and rows that get defaults."""

    class Node(Base):
        __tablename__ = "node"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        code: Mapped[str] = mapped_column(String(20), unique=True)
        up: Mapped[str | None] = mapped_column(ForeignKey("node.code", **ALONG))

    class Fallback(Base):
        __tablename__ = "fallback"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        node_id: Mapped[int] = mapped_column(
            ForeignKey("node.id", ondelete="SET DEFAULT", onupdate="SET DEFAULT"),
            server_default="1",
        )

    class Keyed(Base):
        """Would get another key."""

        __tablename__ = "keyed"
        __versioned__ = {}
        code: Mapped[str] = mapped_column(
            ForeignKey("node.code", ondelete="SET DEFAULT"), primary_key=True, server_default="n1"
        )

    return Models(Base, Node, Fallback, Keyed)


def seed_tree(session, m):
    """Add two of everything."""
    numbers = (1, 2)
    stages = [
        lambda n: [m.Root(number=n, code=f"r{n}"), m.Place(id=n, code=f"p{n}")],
        lambda n: [m.Loose(id=n, code=f"r{n}"), m.Natural(code=f"r{n}", item=n)],
        lambda n: [m.Under(id=n, code=f"r{n}"), m.Detail(id=n, code=f"r{n}", item=n)],
        lambda n: [m.Pair(left_id=n, right_id=3 - n), m.Stay(place_id=n, code=f"p{n}")],
        lambda n: [m.Boss(id=n)],
        lambda n: [m.Badge(id=n, boss_id=n)],
    ]
    for stage in stages:
        session.add_all([row for n in numbers for row in stage(n)])
        session.flush()


def by_objects(cls, **changes):
    """Change or delete objects."""

    def write(s, m):
        for obj in s.scalars(select(getattr(m, cls))):
            for name, change in changes.items():
                setattr(obj, name, change(getattr(obj, name)))
            if not changes:
                s.delete(obj)
        s.flush()

    return write


def by_orm(cls, **changes):
    """Execute an ``update()`` or ``delete()`` of a class."""

    def write(s, m):
        found = getattr(m, cls)
        values = {name: change(getattr(found, name)) for name, change in changes.items()}
        s.execute(update(found).values(values) if values else delete(found))

    return write


def by_core(cls, **changes):
    """Execute statements on a table, for the first row and for all."""

    def write(s, m):
        table = getattr(m, cls).__table__
        names = {"number": "id"}
        for some in (next(iter(table.primary_key)) == 1, next(iter(table.primary_key)) > 0):
            values = {}
            for name, change in changes.items():
                column = table.c[names.get(name, name)]
                values[column.key] = change(column)
            written = update(table).values(values) if values else delete(table)
            s.connection().execute(written.where(some))

    return write


def add(number):
    return lambda value: value + number


TREE = {
    f"{way.__name__} {cls} {' '.join(changes) or 'deleted'}": way(cls, **changes)
    for cls, changes in [
        ("Root", {"number": add(100)}),
        ("Root", {"code": add("x")}),
        ("Root", {"code": add("x"), "number": add(100)}),
        ("Root", {}),
        ("Place", {"id": add(100)}),
        ("Place", {"code": add("x")}),
        ("Place", {}),
    ]
    for way in (by_objects, by_orm, by_core)
}


@pytest.fixture
def models(keep):
    """The tree."""
    return keep(build_tree)


@pytest.mark.shared_out
@pytest.mark.parametrize("write", TREE.values(), ids=TREE)
def test_rows_behind_others(session, models, versioning, write):
    """Rows that go with others, follow them or lose them are recorded, and so is what they were."""
    seed_tree(session, models)
    session.commit()
    before = rows_of(session, models.metadata)
    write(session, models)
    assert rows_of(session, models.metadata) != before
    session.commit()
    assert_history_is_true(session, models.metadata)
    with paused(session):
        for table in reversed(models.metadata.sorted_tables):
            session.execute(delete(table))
        seed_tree(session, models)
    session.commit()
    versioning._surroundings.look_again()

    write(session, models)
    session.commit()

    assert_first_states_are_kept(session, before)


def test_tables_without_history_in_between(Base, open_session):
    """Rows are recorded that go with others, however many tables without versions are between."""
    above = None
    for name in ("house", "room", "shelf"):
        table = Table(name, Base.metadata, Column("id", Integer, primary_key=True))
        if above is not None:
            table.append_column(Column("above", ForeignKey(f"{above}.id", ondelete="CASCADE")))
        above = name

    class Book(Base):
        __tablename__ = "book"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id", ondelete="CASCADE"))

    session, tables = open_session(Base), Base.metadata.tables
    session.execute(tables["house"].insert(), {"id": 1})
    session.execute(tables["room"].insert(), {"id": 1, "above": 1})
    session.execute(tables["shelf"].insert(), {"id": 1, "above": 1})
    session.add(Book(id=1, shelf_id=1))
    session.commit()
    session.execute(delete(tables["house"]))
    session.commit()

    assert session.scalars(select(Book)).all() == []
    assert_history_is_true(session, Base.metadata)


@pytest.mark.needs("full_cascades")
def test_keys_that_tables_without_history_change(Base, open_session, mode):
    """What would give a row another key is refused, also if the table itself has no history."""
    columns = [Column("id", Integer, primary_key=True), Column("code", Integer, unique=True)]
    house = Table("house", Base.metadata, *columns)
    acts = {"ondelete": "SET DEFAULT", "onupdate": "SET DEFAULT"}

    class Door(Base):
        __tablename__ = "door"
        __versioned__ = {}
        code: Mapped[int] = mapped_column(
            ForeignKey("house.code", **acts), primary_key=True, server_default="1"
        )

    session, other = open_session(Base), house.alias()
    session.execute(house.insert(), [{"id": 1, "code": 1}, {"id": 2, "code": 2}])
    session.add(Door(code=2))
    session.commit()
    for statement in (
        delete(house).where(house.c.id == 2),
        update(house).where(house.c.id == 2).values(code=3),
        delete(other).where(other.c.id == 2),
        update(other).where(other.c.id == 2).values(code=3),
    ):
        with mode.escapes("door"):
            session.execute(statement)
        session.rollback()


@pytest.mark.strategies("validity", "append")
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
@pytest.mark.parametrize("is_lacking", [False, True])
def test_rows_that_come_to_refer_to_what_is_deleted(Base, open_session, action, is_lacking):
    """A flush of classes that refer to each other deletes some rows before it changes others.

    Then it deletes what these have come to refer to.  What it has added has no former state.
    """

    class Band(Base):
        __tablename__ = "band"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        hit_id: Mapped[int | None] = mapped_column(
            ForeignKey("song.id", ondelete="SET NULL", use_alter=True, name="hit")
        )
        hit = relationship("Song", foreign_keys=hit_id)

    class Song(Base):
        __tablename__ = "song"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        band_id: Mapped[int | None] = mapped_column(ForeignKey("band.id", ondelete=action))
        next_id: Mapped[int | None] = mapped_column(ForeignKey("song.id", ondelete="SET NULL"))
        band = relationship(Band, foreign_keys=band_id)
        next = relationship("Song", foreign_keys=next_id, remote_side=id)

    session = open_session(Base)
    with paused(session) if is_lacking else nullcontext():
        bands = [Band(id=n) for n in range(1, 6)]
        song, moved, gone = (Song(id=n, band=bands[0]) for n in (1, 2, 3))
        gone.band = bands[2]
        session.add_all([*bands, song, moved, gone])
        session.commit()

    # The second song waits for a new one, and its band for the third song.
    moved.name, moved.band, moved.next = "moved", bands[2], Song(id=4)
    song.band, song.next = bands[3], moved.next
    session.add(Band(id=6, hit=gone))
    for obj in (*bands[1:3], gone):
        session.delete(obj)
    session.commit()

    left = {"CASCADE": [(1, 4), (4, None)], "SET NULL": [(1, 4), (2, None), (4, None)]}[action]
    assert session.execute(select(Song.id, Song.band_id).order_by(Song.id)).all() == left
    kinds = {FaultKind.UNRECORDED} if is_lacking else set()
    assert {fault.kind for fault in verify(session)} <= kinds
    newest = session.scalars(
        select(version_class(Song)).filter_by(id=2).order_by(*spec_of(Song).root.place)
    ).all()[-1]
    assert (newest.name, newest.operation_type == Operation.DELETE) == (
        "moved",
        action == "CASCADE",
    )


def test_new_row_that_comes_back_after_it_went_along(Base, open_session):
    """A row that a transaction adds, changes, loses with another and adds anew, is new."""

    class Node(Base):
        __tablename__ = "node"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        above: Mapped[int | None] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"))
        next_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
        # Lets a flush change rows after it has deleted others, so they are looked at again.
        next = relationship("Node", foreign_keys=next_id, remote_side=id, post_update=True)

    session = open_session(Base)
    root = Node(id=1)
    session.add(root)
    session.commit()

    node = Node(id=2, name="new", above=root.id)
    session.add(node)
    session.flush()
    with session.no_autoflush:
        node.name = "changed"
        session.delete(root)
    session.flush()
    session.expunge_all()
    session.add(Node(id=2, name="anew"))
    session.commit()

    versions = session.scalars(select(version_class(Node)).filter_by(id=2)).all()
    assert [(v.name, v.operation_type) for v in versions] == [("anew", Operation.INSERT)]


def test_new_object_that_goes_with_an_orphan(Base, open_session):
    """SQLAlchemy deletes what was never stored as well; what it says of that is what is raised."""

    class Node(Base):
        __tablename__ = "node"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        above: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
        parts = relationship("Node", cascade="all, delete-orphan")

    session = open_session(Base)
    part = Node(id=2)
    node = Node(id=1, parts=[part])
    session.add(node)
    session.commit()
    with session.no_autoflush:
        part.parts.append(Node())
        node.parts.remove(part)

    # Some drivers take what stands for no value, and no row is found.
    with pytest.raises((FlushError, StatementError, SAWarning)):
        session.flush()
    session.rollback()
    assert_history_is_true(session, Base.metadata)


@pytest.mark.strategies("validity", "append")
def test_row_that_was_given_to_another_object(Base, open_session):
    """A row that an object leaves to a new one may still go with what it refers to."""

    class Band(Base):
        __tablename__ = "band"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Song(Base):
        __tablename__ = "song"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        band_id: Mapped[int | None] = mapped_column(ForeignKey("band.id", ondelete="CASCADE"))
        band = relationship(Band)

    session = open_session(Base)
    band = Band(id=1)
    song = Song(id=1, band=band)
    session.add(song)
    session.commit()
    # SQLAlchemy updates the row, and leaves alone what the new object does not say.
    session.delete(song)
    session.add(Song(id=1))
    session.delete(band)
    session.commit()

    assert session.scalars(select(Song)).all() == []
    assert_history_is_true(session, Base.metadata)


@pytest.mark.strategies("validity", "append")
@pytest.mark.parametrize("has_number", [False, True])
def test_link_that_goes_in_the_flush_that_makes_it(Base, open_session, has_number, mode):
    """A link that is made, and deleted along with what it links, never was.

    Triggers see both happen, and tell of both where nothing is merged.
    """
    options = {"primary_key": not has_number, "nullable": False}
    links = Table(
        "links",
        Base.metadata,
        *([Column("id", Integer, primary_key=True)] if has_number else []),
        Column("song_id", ForeignKey("song.id", ondelete="CASCADE"), **options),
        Column("band_id", ForeignKey("band.id", ondelete="CASCADE"), **options),
    )

    class Band(Base):
        __tablename__ = "band"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Song(Base):
        __tablename__ = "song"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        # The link is written from the side of the band.
        bands = relationship(Band, secondary=links, passive_deletes=True, backref="songs")

    session = open_session(Base)
    song, band = Song(id=1), Band(id=1)
    session.add_all([song, band])
    session.commit()
    song.bands.append(band)
    session.delete(song)
    session.commit()

    spec = table_spec_of(links)
    events = [] if spec.strategy.merges else mode.pick([], [Operation.INSERT, Operation.DELETE])
    told = session.scalars(select(spec.operation_column).order_by(spec.operation_column))
    assert told.all() == events
    assert_history_is_true(session, Base.metadata)


@pytest.mark.strategies("validity", "subquery")
def test_new_row_behind_both_tables_of_an_object(Base, open_session):
    """A row that refers to an object twice goes with it once; if it was new, it never was."""

    class Band(Base):
        __tablename__ = "band"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "band"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))

    class Choir(Band):
        __tablename__ = "choir"
        __mapper_args__ = {"polymorphic_identity": "choir"}
        id: Mapped[int] = mapped_column(ForeignKey("band.id"), primary_key=True)

    class Concert(Base):
        __tablename__ = "concert"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        choir_id: Mapped[int] = mapped_column(ForeignKey("choir.id", ondelete="CASCADE"))
        host_id: Mapped[int] = mapped_column(ForeignKey("band.id", ondelete="CASCADE"))

    session = open_session(Base)
    choir = Choir(id=1)
    session.add(choir)
    session.commit()
    session.add(Concert(id=1, choir_id=1, host_id=1))
    session.flush()
    session.delete(choir)
    session.commit()

    assert session.scalars(select(version_class(Concert))).all() == []
    assert_history_is_true(session, Base.metadata)


def test_tables_that_rows_refer_to_later(Base, open_session):
    """Writing a table is recorded by what refers to it now, not when it was written first."""
    house = Table("house", Base.metadata, Column("id", Integer, primary_key=True))

    class Street(Base):
        __tablename__ = "street"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session(Base)
    session.execute(house.insert(), [{"id": 1}, {"id": 2}])
    session.execute(update(house).where(house.c.id == 2).values(id=3))
    session.execute(delete(house).where(house.c.id == 3))
    session.commit()

    class Room(Base):
        __tablename__ = "room"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        house_id: Mapped[int] = mapped_column(ForeignKey("house.id", **ALONG))

    configure_mappers()
    Base.metadata.create_all(session.connection())
    session.add(Room(id=1, house_id=1))
    session.commit()
    session.execute(update(house).values(id=4))
    session.commit()
    session.execute(delete(house))
    session.commit()

    assert session.scalars(select(version_class(Room).house_id)).all() == [1, 4, 4]
    assert_history_is_true(session, Base.metadata)


# -- circles, and defaults ---------------------------------------------------------------------


def seed_nodes(session, m):
    """Add nodes of which each has the one before above it, and rows that refer to them."""
    for rows in (
        [m.Node(id=1, code="n1")],
        [m.Node(id=2, code="n2", up="n1")],
        [m.Node(id=3, code="n3", up="n2"), m.Node(id=4, code="n4")],
        [m.Fallback(id=1, node_id=3), m.Fallback(id=2, node_id=2)],
    ):
        session.add_all(rows)
        session.flush()
    session.commit()


def set_up(s, m, node, **values):
    s.execute(update(m.Node).where(m.Node.code == node).values(**values))


NODES = {
    "deep deletion": (lambda s, m: s.execute(delete(m.Node).where(m.Node.code == "n2")), ()),
    "flushed deletion": (lambda s, m: s.delete(s.get(m.Node, 2)), ()),
    # InnoDB does not come back to a table that it has updated.
    "code": (lambda s, m: set_up(s, m, "n2", code="x"), ("full_cascades",)),
    "flushed code": (lambda s, m: setattr(s.get(m.Node, 2), "code", "x"), ("full_cascades",)),
    "circle": (
        lambda s, m: (set_up(s, m, "n1", up="n3"), set_up(s, m, "n3", code="x")),
        ("full_cascades",),
    ),
    "circle deleted": (
        lambda s, m: (
            s.execute(delete(m.Fallback)),
            set_up(s, m, "n1", up="n3"),
            s.execute(delete(m.Node).where(m.Node.code == "n2")),
        ),
        (),
    ),
    "key": (
        lambda s, m: s.execute(update(m.Node).where(m.Node.code == "n2").values(id=9)),
        ("full_cascades",),
    ),
}


class TestNodes:
    """Rows that refer to rows of their own table, and rows that fall back to a default."""

    @pytest.fixture
    def models(self, keep):
        """The nodes."""
        return keep(build_circle)

    @pytest.mark.parametrize(
        "write",
        [
            pytest.param(write, marks=pytest.mark.needs(*needs) if needs else (), id=name)
            for name, (write, needs) in NODES.items()
        ],
    )
    def test_circles_and_defaults(self, request, session, models, write):
        """What goes round, and what becomes a default, is recorded."""
        seed_nodes(session, models)
        if not has_capabilities(request.node.callspec.params["database"], ["full_cascades"]):
            session.execute(delete(models.Fallback))
        write(session, models)
        session.commit()

        assert_history_is_true(session, models.metadata)

    @pytest.mark.needs("full_cascades")
    def test_keys_that_become_defaults(self, session, models, mode):
        """A session refuses what would give a row another key so, before anything is deleted."""
        seed_nodes(session, models)
        session.add(models.Keyed(code="n4"))
        session.commit()
        with mode.escapes("keyed"):
            session.execute(delete(models.Node).where(models.Node.id == 4))
        assert_history_is_true(session, models.metadata)
        session.rollback()
        session.delete(session.get(models.Node, 4))
        with mode.escapes("keyed"):
            session.flush()
            assert_history_is_true(session, models.metadata)
        session.rollback()

        assert_history_is_true(session, models.metadata)
