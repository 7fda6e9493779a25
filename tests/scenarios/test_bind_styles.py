"""However a session comes to its databases, what it writes is recorded where it writes."""

from contextlib import contextmanager

import pytest
from sqlalchemy import (
    Delete,
    ForeignKey,
    StaticPool,
    Update,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.horizontal_shard import ShardedSession
from sqlalchemy.orm import (
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    object_session,
    scoped_session,
    sessionmaker,
)
from sqlalchemy.pool import NullPool

from sqlalchemy_versioned import (
    CaptureError,
    Operation,
    VersioningError,
    as_of,
    blame,
    count_versions,
    get_changes,
    paused,
    transaction_class,
    version_class,
)
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import table_spec_of
from tests.models import build_base

INSERT, UPDATE, DELETE = Operation


# -- one database --------------------------------------------------------------------------------


class Routing(Session):
    """A session that finds databases in a way of its own."""

    def get_bind(self, mapper=None, **arguments):
        """Return the engine that it was given, whatever is asked."""
        return self.info["engine"]


def on(bind, **options):
    """Open a session, from inside of a context manager."""
    with Session(bind, **options) as session:
        yield session


@contextmanager
def on_engine(engine, models):
    """Open a session on an engine."""
    with Session(engine) as session:
        yield session


@contextmanager
def on_engine_given_later(engine, models):
    """Open a session that gets its engine when it is there."""
    with Session() as session:
        session.bind = engine
        yield session


@contextmanager
def on_engine_with_options(engine, models):
    """Open a session on an engine that was made from another."""
    with Session(engine.execution_options(logging_token="x")) as session:
        yield session


@contextmanager
def on_autocommit_engine(engine, models):
    """Open a session on an engine that commits each statement."""
    with Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        yield session


@contextmanager
def on_autocommit_connection(engine, models):
    """Open a session on a connection that commits each statement."""
    options = {"isolation_level": "AUTOCOMMIT"}
    with engine.connect().execution_options(**options) as connection:
        yield from on(connection)


@contextmanager
def on_idle_connection(engine, models):
    """Open a session on a connection that has not begun anything."""
    with engine.connect() as connection, Session(connection) as session:
        yield session


@contextmanager
def on_begun_connection(engine, models):
    """Open a session in a transaction of somebody else, who commits it."""
    with engine.begin() as connection:
        yield from on(connection, join_transaction_mode="create_savepoint")


@contextmanager
def on_connection_in_savepoint(engine, models):
    """Open a session in a savepoint of somebody else."""
    with engine.begin() as connection, connection.begin_nested(), Session(connection) as session:
        yield session


@contextmanager
def on_connection_that_was_asked_for(engine, models):
    """Open a session of which the connection is used before the session is."""
    with Session(engine) as session:
        session.connection().execute(text("SELECT 1"))
        yield session


@contextmanager
def on_connection_with_options(engine, models):
    """Open a session that has asked for its connection with an isolation level."""
    with Session(engine) as session:
        session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        yield session


@contextmanager
def on_binds_of_classes(engine, models):
    """Open a session that has engines for live classes and the association table only."""
    binds = dict.fromkeys([*models.classes, models.article_tag], engine)
    with Session(binds=binds) as session:
        yield session


@contextmanager
def on_binds_of_tables(engine, models):
    """Open a session that has engines for live tables only."""
    live = [cls.__table__ for cls in models.classes]
    with Session(binds=dict.fromkeys([*live, models.article_tag], engine)) as session:
        yield session


@contextmanager
def on_bind_of_the_base(engine, models):
    """Open a session that has an engine for the base of the models."""
    with Session(binds={models.base: engine}) as session:
        session.bind_table(models.article_tag, engine)
        yield session


@contextmanager
def on_own_routing(engine, models):
    """Open a session that finds its engine by itself."""
    with Routing(info={"engine": engine}) as session:
        yield session


@contextmanager
def on_factory(engine, models):
    """Open a session of a factory, without autobegin."""
    with sessionmaker(engine, autobegin=False, autoflush=False)() as session:
        yield session


@contextmanager
def on_scoped_session(engine, models):
    """Open a session behind a proxy."""
    scoped = scoped_session(sessionmaker(engine))
    yield scoped()
    scoped.remove()


STYLES = [value for name, value in globals().items() if name.startswith("on_")]


def history(session, cls, name):
    """Return operation and value of all versions, in order."""
    version = version_class(cls)
    statement = select(version.operation_type, getattr(version, name))
    return [tuple(row) for row in session.execute(statement.order_by(version.transaction_id))]


def links(session, table):
    """Return the operations of all versions of links, in order."""
    spec = table_spec_of(table)
    statement = select(spec.operation_column).order_by(spec.transaction_column)
    return session.scalars(statement).all()


@pytest.mark.shared_out
@pytest.mark.strategies
@pytest.mark.parametrize("open_session", STYLES, ids=lambda style: style.__name__)
def test_styles_of_binding(tables, models, mode, open_session):
    """A life with links is recorded, transaction by transaction, and there for everybody."""
    article, tag = models.Article(id=1, name="a"), models.Tag(id=1, name="t")

    with open_session(tables, models) as session:
        for step in (
            lambda: session.add_all([article, tag]),
            lambda: setattr(article, "name", "b"),
            lambda: article.tags.append(tag),
            lambda: setattr(article, "name", models.Article.name + "c"),
            lambda: article.tags.clear(),
            lambda: session.delete(article),
        ):
            if not session.in_transaction():
                session.begin()
            step()
            session.commit()

    with Session(tables) as session:
        names = [(INSERT, "a"), (UPDATE, "b"), (UPDATE, "bc"), (DELETE, "bc")]
        assert history(session, models.Article, "name") == names
        assert history(session, models.Tag, "name") == [(INSERT, "t")]
        assert links(session, models.article_tag) == [INSERT, DELETE]
        # Where each statement is committed by itself, triggers have it in a transaction of its own.
        several = mode.is_native and "autocommit" in open_session.__name__
        found = session.scalars(select(transaction_class(models.Tag).id)).all()
        assert len(found) == (7 if several else 6)


@pytest.mark.parametrize("pool", [NullPool, StaticPool])
def test_pools(database, tables, models, pool):
    """A connection that is made anew each time, or is always the same, makes no difference."""
    engine = database.create_engine(poolclass=pool)
    for number in (1, 2):
        with Session(engine) as session:
            session.add(models.Tag(id=number, name="t"))
            session.commit()
    engine.dispose()
    with Session(tables) as session:
        assert history(session, models.Tag, "id") == [(INSERT, 1), (INSERT, 2)]


@pytest.mark.options(native=False)
def test_engine_that_returns_nothing_of_several(database, tables, models):
    """Many rows whose keys the database makes are refused, before they are written."""
    engine = database.create_engine(use_insertmanyvalues=False)
    with Session(engine) as session:
        with pytest.raises(CaptureError, match="does not tell the keys of the rows; give them"):
            session.execute(insert(models.Tag), [{"name": "a"}, {"name": "b"}])
        session.execute(insert(models.Tag), [{"id": 7, "name": "a"}, {"id": 8, "name": "b"}])
        session.add_all([models.Tag(name="c"), models.Tag(name="d")])
        session.commit()
        assert len(history(session, models.Tag, "id")) == 4
    engine.dispose()


class Replicated(Session):
    """A session that reads from a replica, as SQLAlchemy's documentation shows it."""

    def get_bind(self, mapper=None, *, clause=None, **arguments):
        """Return the leader for what is known to be a write."""
        is_write = self._flushing or isinstance(clause, (Update, Delete))
        return self.info["leader" if is_write else "replica"]


def test_replica_is_left_alone(tables, models, versioning):
    """Whoever writes a transaction, and however, does it where the rows are written."""
    with Session(tables) as session:
        session.add(models.Tag(id=1, name="a"))
        session.commit()
    # It has no tables, and so nothing that could be read or written.
    replica = create_engine("sqlite://")
    with Replicated(info={"leader": tables, "replica": replica}) as session:
        session.execute(update(models.Tag).values(name="b"))
        session.commit()
        versioning.unit_of_work(session).create_transaction()
        session.execute(delete(models.Tag))
        session.commit()
    replica.dispose()
    with Session(tables) as session:
        assert history(session, models.Tag, "name") == [(INSERT, "a"), (UPDATE, "b"), (DELETE, "b")]


def open_shards(engine):
    """Open a session that finds a database for each object, of which there is one."""
    return ShardedSession(
        shards={"here": engine},
        shard_chooser=lambda *args, **kw: "here",
        identity_chooser=lambda *args, **kw: ["here"],
        execute_chooser=lambda context: ["here"],
    )


@pytest.mark.options(native=False)
def test_session_of_shards(tables, models):
    """Objects of which each may be in another database are refused, or let through."""
    with open_shards(tables) as session:
        session.add(models.Tag(id=1, name="t"))
        with pytest.raises(CaptureError, match="objects of Tag were flushed in a session that"):
            session.commit()
        session.rollback()
        with paused(session):
            session.add(models.Tag(id=2, name="t"))
        session.commit()
    with Session(tables) as session:
        assert session.scalars(select(models.Tag.id)).all() == [2]
        assert history(session, models.Tag, "id") == []


@pytest.mark.parametrize(
    "ask",
    [
        count_versions,
        blame,
        lambda tag: tag.versions.all(),
        lambda tag: get_changes(type(tag), object_session(tag)),
        lambda tag: version_class(type(tag)).all_versions(object_session(tag), {"id": 1}),
        lambda tag: as_of(object_session(tag), 1),
        lambda tag: verify(object_session(tag)),
    ],
)
def test_history_of_shards(tables, models, ask):
    """What one database says of an object that may be in another is no answer."""
    with Session(tables) as session:
        session.add(models.Tag(id=1, name="t"))
        session.commit()
    with open_shards(tables) as session:
        tag = session.get(models.Tag, 1)
        with pytest.raises(VersioningError, match="look at it with a session for each database"):
            ask(tag)


# -- two databases -------------------------------------------------------------------------------


@pytest.fixture
def two_classes(versioning):
    """A class on each of two bases; that of the second must refer to a row there is."""
    bases = build_base(), build_base()

    def declare(base, name, **more):
        body = {
            "__tablename__": name.lower(),
            "__versioned__": {},
            "__annotations__": {"id": Mapped[int], "name": Mapped[str]},
            "id": mapped_column(primary_key=True),
            **more,
        }
        return type(name, (base,), body)

    late = {"deferrable": True, "initially": "DEFERRED"}
    Here = declare(bases[0], "Here")
    There = declare(bases[1], "There", other=mapped_column(ForeignKey("there.id", **late)))
    configure_mappers()
    yield Here, There
    for base in bases:
        base.registry.dispose(cascade=True)


@pytest.fixture
def two_files(two_classes, tmp_path):
    """A database in a file for each class."""
    engines = [create_engine(f"sqlite:///{tmp_path}/{cls.__name__}.db") for cls in two_classes]
    for cls, engine in zip(two_classes, engines, strict=True):
        event.listen(engine, "connect", lambda c, r: c.execute("PRAGMA foreign_keys = ON"))
        cls.metadata.create_all(engine)
    yield engines
    for engine in engines:
        engine.dispose()


def state_of(engine, cls):
    """Return live rows, newest versions and numbers of transactions in one database."""
    with Session(engine) as session:
        spec = table_spec_of(cls.__table__)
        live = dict(session.execute(select(cls.__table__.c.id, cls.__table__.c.name)).all())
        version = spec.version_table
        order = version.c.transaction_id
        rows = session.execute(select(version).order_by(order)).mappings().all()
        newest = {row["id"]: row for row in rows}
        kept = {key: row["name"] for key, row in newest.items() if row["operation_type"] != DELETE}
        known = set(session.scalars(select(spec.transaction_table.c.id)))
        return live, kept, {row["transaction_id"] for row in rows}, known


def assert_whole(engines, classes):
    """Check that each database has a history of its rows, and the transactions of it."""
    for engine, cls in zip(engines, classes, strict=True):
        live, kept, used, known = state_of(engine, cls)
        assert kept == live
        assert used == known


def test_flush_that_fails_on_one_side(two_classes, two_files):
    """An error in one database takes back what was recorded in the other."""
    Here, There = two_classes
    with Session(binds=dict(zip(two_classes, two_files, strict=True))) as session:
        session.add_all([Here(id=1, name="a"), There(id=1, name="a")])
        session.commit()
        session.get(Here, 1).name = "b"
        session.flush()
        session.add(There(id=1, name="again"))
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()
        assert_whole(two_files, two_classes)
        session.get(Here, 1).name = "c"
        session.get(There, 1).name = "c"
        session.commit()

    assert_whole(two_files, two_classes)
    assert [state_of(*pair)[0] for pair in zip(two_files, two_classes, strict=True)] == [
        {1: "c"},
        {1: "c"},
    ]


# SQLAlchemy rolls back what is committed already, and warns of it.
@pytest.mark.filterwarnings("ignore:transaction already deassociated")
def test_commit_that_fails_on_one_side(two_classes, two_files):
    """A database that cannot commit keeps neither rows nor history; the other has both or none."""
    Here, There = two_classes
    binds = dict(zip(two_classes, two_files, strict=True))
    with Session(binds=binds) as session:
        session.add_all([Here(id=1, name="a"), There(id=1, name="a", other=9)])
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        assert_whole(two_files, two_classes)
        session.add_all([Here(id=2, name="b"), There(id=2, name="b")])
        session.commit()

    assert_whole(two_files, two_classes)
