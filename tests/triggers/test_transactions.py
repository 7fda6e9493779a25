"""The row of a transaction: who writes it, what it says, and who may not touch it."""

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, String, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    paused,
    set_session_variables,
    transaction_class,
    transaction_context,
    version_class,
)
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.plugins import TransactionMetaPlugin
from sqlalchemy_versioned.triggers import check_triggers
from tests.models import build_base

pytestmark = [pytest.mark.needs("triggers"), pytest.mark.options(native=True)]

REASON = Column("reason", String(50))
NUMBER = Column("ticket", Integer, nullable=False)
WHO = [Column("db_user", String(64)), Column("application_name", String(64))]


@pytest.fixture
def transactions(session, blog):
    """Return the transactions, oldest first."""

    def read():
        cls = transaction_class(blog.Article)
        return session.scalars(select(cls).order_by(cls.id)).all()

    return read


def write(session, name):
    """Insert an article by SQL text."""
    session.execute(
        text("INSERT INTO article (id, name) SELECT count(*) + 1, :name FROM article"),
        {"name": name},
    )


@pytest.mark.options(native=True, transaction_columns=[REASON])
def test_context_costs_one_statement(session, blog, engine, transactions, count_statements):
    """What the context says is told by one statement before the first write, and by none else."""
    session.add(blog.Author(name="x"))
    session.commit()
    with transaction_context(reason='it\'s\n"so"'):
        session.add_all(blog.Article(name=name) for name in "ab")
        with count_statements(engine) as statements:
            session.flush()
            session.add(blog.Article(name="c"))
            session.flush()
    session.commit()

    told = [each for each in statements if "set_config" in each.statement]
    written = [each for each in statements if each.statement.startswith("INSERT INTO article ")]
    assert (len(told), len(written), transactions()[1].reason) == (1, 2, 'it\'s\n"so"')
    assert "it's" not in told[0].statement


def test_reading_costs_none(session, blog, engine, count_statements):
    """A transaction that only reads tells nothing."""
    with count_statements(engine) as statements:
        session.scalars(select(blog.Article)).all()
        session.commit()

    assert not [each for each in statements if "set_config" in each.statement]


def test_current_transaction_is_that_of_the_triggers(session, blog, versioning):
    """What triggers have written is found, and a row that is asked for first is used by them."""
    unit = versioning.unit_of_work(session)
    article = blog.Article(name="a")
    session.add(article)
    session.flush()
    current = unit.current_transaction
    assert article.versions[0].transaction is current
    session.commit()

    asked = versioning.unit_of_work(session).create_transaction(remote_addr="10.0.0.1")
    article.name = "b"
    session.commit()

    assert article.versions[1].transaction is asked
    assert asked.remote_addr == "10.0.0.1"


SAID = datetime.now(timezone.utc) - timedelta(seconds=10)


def is_issued_later(issued_at, first):
    """Tell whether a moment is not what was said, and not before the other transaction."""
    return SAID < first <= issued_at


MOMENTS = {
    "of triggers": (lambda unit: None, is_issued_later),
    "of the session": (lambda unit: unit.create_transaction(), is_issued_later),
    "said": (lambda unit: unit.create_transaction(issued_at=SAID), lambda said, _: said == SAID),
    "said later": (
        lambda unit: setattr(unit.create_transaction(), "issued_at", SAID),
        lambda said, _: said == SAID,
    ),
}


@pytest.mark.parametrize(("begin", "is_right"), MOMENTS.values(), ids=MOMENTS)
def test_moment_of_an_overtaken_transaction(
    session, blog, engine, versioning, transactions, begin, is_right
):
    """What overtook it was issued before it, unless the application says when it was issued."""
    one, two = blog.Article(id=1, name="a"), blog.Article(id=2, name="a")
    session.add_all([one, two])
    session.commit()
    begin(versioning.unit_of_work(session))
    one.name = "mine"
    session.flush()
    with Session(engine) as other:
        other.get(blog.Article, 2).name = "theirs"
        other.commit()
    session.refresh(two)
    two.name = "mine"
    session.commit()

    _, first, second = transactions()
    assert [version.transaction for version in two.versions][1:] == [first, second]
    assert is_right(second.issued_at, first.issued_at)
    assert verify(session) == []


def test_wanted_transaction_is_kept_when_empty(session, versioning, transactions):
    """A transaction that was asked for stays although nothing is recorded."""
    versioning.unit_of_work(session).create_transaction()
    write(session, "a")
    session.execute(text("DELETE FROM article"))
    session.commit()

    assert len(transactions()) == 1


def test_numbers_beyond_32_bits(session, blog, engine, transactions):
    """Transactions are numbered by 64 bits wherever their number goes."""
    session.execute(text("SELECT setval('transaction_id_seq', 1::bigint << 40)"))
    article, author = blog.Article(id=1, name="a"), blog.Author(name="x")
    session.add_all([article, author])
    session.commit()
    author.name = "y"
    session.flush()
    with Session(engine) as other:
        other.get(blog.Article, 1).name = "theirs"
        other.commit()
    session.refresh(article)
    article.name = "mine"
    session.commit()

    assert [each.id - (1 << 40) for each in transactions()] == [1, 3, 4]
    assert [version.name for version in article.versions] == ["a", "theirs", "mine"]
    assert verify(session) == []


@pytest.mark.options(native=True, transaction_columns=[*WHO, REASON])
def test_write_without_application(blog, session, database, transactions):
    """A transaction of another program says who wrote, and what settings say."""
    engine = database.create_engine()
    with engine.begin() as connection:
        for statement in (
            "SET LOCAL application_name = 'psql'",
            "SELECT set_config('audit.reason', 'O''Brien', true)",
            "INSERT INTO article (id, name) VALUES (1, 'a')",
        ):
            connection.exec_driver_sql(statement)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE article SET name = 'b'")
    engine.dispose()

    first, second = transactions()
    assert (first.db_user, first.application_name) == (database.url.username, "psql")
    assert (first.reason, second.reason) == ("O'Brien", None)
    assert first.issued_at.tzinfo is not None


@pytest.mark.options(native=True, session_variables=[NUMBER])
@pytest.mark.parametrize("is_reused", [False, True])
def test_required_variable(blog, session, engine, transactions, is_reused):
    """Without it nothing is written, on fresh connections and on those that have had it."""
    with Session(engine) as other:
        if is_reused:
            set_session_variables(other, ticket=7)
            write(other, "a")
            other.commit()
        for said in ("", None):
            if said is not None:
                other.execute(text("SELECT set_config('audit.ticket', '', true)"))
            with pytest.raises(IntegrityError, match="ticket"):
                other.execute(text("INSERT INTO article (id, name) VALUES (9, 'x')"))
            other.rollback()

    assert [each.ticket for each in transactions()] == [7] * is_reused
    assert session.scalar(select(func.count()).select_from(blog.Article)) == is_reused


def test_forged_transaction(session, blog, engine):
    """Nobody can write in the name of another transaction."""
    write(session, "a")
    session.commit()
    forge = text(
        "SELECT set_config('versioned.transactions', jsonb_build_object("
        "'transaction'::regclass::oid::text, (SELECT max(id) FROM transaction))::text, true)"
    )

    with Session(engine) as other:
        other.execute(forge)
        with pytest.raises(DBAPIError, match="transaction of others"):
            other.execute(text("UPDATE article SET name = 'b'"))


@pytest.fixture
def as_role(session):
    """Act as a role that may write articles and nothing else: ``as_role()``."""
    grants = "GRANT SELECT, INSERT, UPDATE, DELETE ON article TO versioned_writer"
    session.execute(text("DROP ROLE IF EXISTS versioned_writer"))
    session.execute(text("CREATE ROLE versioned_writer"))
    session.execute(text("GRANT USAGE ON SCHEMA public TO versioned_writer"))
    session.execute(text(grants))
    session.commit()
    yield lambda: session.execute(text("SET LOCAL ROLE versioned_writer"))
    session.rollback()
    session.execute(text("DROP OWNED BY versioned_writer; DROP ROLE versioned_writer"))
    session.commit()


@pytest.mark.options(native=True, transaction_columns=WHO)
def test_role_with_table_rights_only(session, blog, as_role, transactions):
    """Who may write the table writes history through its triggers, and not otherwise."""
    as_role()
    session.add(blog.Article(id=1, name="a"))
    session.commit()
    (transaction,) = transactions()
    assert transaction.db_user == "versioned_writer"

    for forbidden in (
        "UPDATE article_version SET name = 'x'",
        "DELETE FROM transaction",
        "SELECT transaction_versioned_begin()",
        "SELECT transaction_versioned_release(1)",
        "CREATE TEMP TABLE t (LIKE article); CREATE TRIGGER t AFTER DELETE ON t "
        "FOR EACH STATEMENT EXECUTE FUNCTION article_versioned()",
    ):
        session.rollback()
        as_role()
        with pytest.raises(DBAPIError, match="permission denied"):
            session.connection().exec_driver_sql(forbidden)


@pytest.fixture
def owned(Base, engine):
    """A table whose owner is no superuser, and another role that may write it."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]

    configure_mappers()
    roles = "versioned_owner", "versioned_writer"
    with engine.begin() as connection:
        for role in roles:
            connection.execute(text(f"CREATE ROLE {role}"))
        connection.execute(text(f"GRANT CREATE, USAGE ON SCHEMA public TO {', '.join(roles)}"))
        connection.execute(text("SET LOCAL ROLE versioned_owner"))
        Base.metadata.create_all(connection)
        connection.execute(text("GRANT SELECT, INSERT, UPDATE ON page TO versioned_writer"))
    yield Page
    with engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {', '.join(roles)}"))
        connection.execute(text(f"DROP ROLE {', '.join(roles)}"))


def test_rows_that_the_owner_must_not_see(owned, engine):
    """Rows that policies hide from who records are not taken for rows that are gone."""
    with Session(engine) as session:

        def act(role, *statements):
            session.execute(text(f"SET LOCAL ROLE versioned_{role}"))
            for statement in statements:
                session.execute(text(statement))
            session.commit()

        own = "CREATE POLICY own ON page USING (current_user = 'versioned_writer')"
        act("owner", "ALTER TABLE page ENABLE ROW LEVEL SECURITY", own)
        act("writer", "INSERT INTO page VALUES (1, 'a')", "UPDATE page SET name = 'b'")
        act("writer", "UPDATE page SET name = 'c'")
        act("owner", "ALTER TABLE page FORCE ROW LEVEL SECURITY")
        with pytest.raises(DBAPIError, match=r"affected by row-level security(?s:.)*NO FORCE"):
            act("writer", "UPDATE page SET name = 'd'")
        session.rollback()

        version = version_class(owned)
        names = session.scalars(select(version.name).order_by(version.transaction_id))
        assert names.all() == ["b", "c"]


def test_only_the_owner_pauses(session, blog, as_role):
    """A role with table rights cannot have its writes left out."""
    as_role()
    session.execute(text("SELECT set_config('versioned.paused', '1', true)"))

    with pytest.raises(DBAPIError, match="may pause"):
        write(session, "a")


def test_pausing(session, blog):
    """Nothing is recorded inside of the block; what follows is, also after a savepoint."""
    with paused(session):
        session.add(blog.Article(id=1, name="a"))
        session.flush()
        session.begin_nested()
    write(session, "b")
    session.get_nested_transaction().rollback()
    write(session, "c")
    session.commit()

    version = version_class(blog.Article)
    assert session.scalars(select(version.name)).all() == ["c"]


@pytest.mark.options(native=True, plugins=[TransactionMetaPlugin()])
def test_context_that_a_plugin_keeps(session, blog, transactions):
    """What has no column is kept by a plugin, and goes with a transaction that comes to nothing."""
    with transaction_context(ticket="T-1"):
        session.add(blog.Author(id=1, name="a"))
        session.commit()
        session.execute(text("UPDATE author SET name = 'b'"))
        session.execute(text("UPDATE author SET name = 'a'"))
        session.commit()

    assert [dict(each.meta) for each in transactions()] == [{"ticket": "T-1"}]
    assert session.scalar(text("SELECT count(*) FROM transaction_meta")) == 1


def test_bases_that_share_transactions(versioning, open_session, engine):
    """Transactions are kept, and moved, for what the classes of another base have written."""
    one, two = build_base(), build_base()

    def declare(name, base):
        columns = {"id": mapped_column(Integer, primary_key=True)}
        return type(name, (base,), {"__tablename__": name, "__versioned__": {}, **columns})

    First, Second = declare("first", one), declare("second", two)
    session = open_session(one.metadata)
    two.metadata.create_all(engine)
    session.add(First())
    session.flush()
    undone = Second()
    session.add(undone)
    session.flush()
    session.delete(undone)
    session.commit()
    session.add(First())
    session.flush()
    number = versioning.unit_of_work(session).transaction_id
    assert session.scalar(select(func.transaction_versioned_move(number))) > number
    session.commit()

    assert verify(session) == []
    assert check_triggers(one.metadata, engine) == check_triggers(two.metadata, engine) == []
