"""Masked columns: their change is recorded, their value is not."""

import json

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    MASKED,
    ImproperlyConfigured,
    IncompleteHistory,
    as_of,
    blame,
    get_changes,
    is_modified,
    vacuum,
    version_class,
    version_table,
)
from sqlalchemy_versioned.maintenance import verify
from tests.models import Models


def build_accounts(Base):
    """Declare accounts with a secret, and some with another one in a table of their own."""

    class Account(Base):
        __tablename__ = "account"
        __versioned__ = {"mask": ["secret"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str]
        secret: Mapped[str | None] = mapped_column("_secret")
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "account"}

    class Robot(Account):
        __tablename__ = "robot"
        __versioned__ = {"mask": ["secret", "token"]}
        id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
        token: Mapped[str | None]
        model: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "robot"}

    return Models(Base, Account, Robot)


@pytest.fixture
def models(keep):
    """Accounts and robots."""
    return keep(build_accounts)


@pytest.fixture
def account(session, models):
    """An account that was given a secret."""
    account = models.Account(id=1, name="ada", secret="x")
    session.add(account)
    session.commit()
    return account


def changesets(obj):
    """Return what each version of an object changed."""
    return [version.changeset for version in obj.versions]


def test_nothing_is_stored(session, models, account):
    """There is no column for the value, and no version has it."""
    table = version_table(models.Account)

    assert [column.name for column in table.c if "secret" in column.name] == ["_secret_mask"]
    assert account.versions[0].secret is MASKED
    assert "x" not in map(str, session.execute(select(table)).one())


@pytest.mark.strategies
def test_changes_of_objects(session, models, account):
    """A change of a masked column alone makes a version, which tells that it changed."""
    account.secret = "y"
    assert is_modified(account)
    session.commit()
    account.name = "Ada"
    session.commit()
    account.secret = func.upper("z")
    session.commit()
    account.secret = account.secret
    session.commit()

    assert changesets(account) == [
        {
            "id": [None, 1],
            "kind": [None, "account"],
            "name": [None, "ada"],
            "secret": [None, MASKED],
        },
        {"secret": [MASKED, MASKED]},
        {"name": ["ada", "Ada"]},
        {"secret": [MASKED, MASKED]},
    ]
    first, second, third, _ = account.versions
    assert first.diff(third) == {"name": ["ada", "Ada"], "secret": [MASKED, MASKED]}
    assert second.diff(third) == {"name": ["ada", "Ada"]}
    assert vacuum(session, models.Account) == 0
    assert verify(session) == []


@pytest.mark.strategies("validity", "subquery")
def test_changes_in_one_transaction(session, models, account):
    """What was changed stays so, whatever else is written in the transaction."""
    account.name, account.secret = "Ada", "y"
    session.flush()
    account.name = "ada"
    session.flush()
    session.commit()
    account.secret = "z"
    session.flush()
    account.name = "Ada"
    session.flush()
    session.commit()

    assert changesets(account)[1:] == [
        {"secret": [MASKED, MASKED]},
        {"name": ["ada", "Ada"], "secret": [MASKED, MASKED]},
    ]
    assert verify(session) == []


@pytest.mark.strategies
def test_changes_in_tables_of_subclasses(session, models):
    """A masked column of any table of an object makes versions in all of them."""
    robot = models.Robot(id=2, name="r", token="t", model="m")
    session.add(robot)
    session.commit()
    robot.token = "u"
    session.commit()
    robot.secret = "s"
    session.commit()

    assert changesets(robot)[1:] == [{"token": [MASKED, MASKED]}, {"secret": [MASKED, MASKED]}]
    assert verify(session) == []


@pytest.mark.strategies
def test_changes_by_statements(session, models, account):
    """A statement that sets a masked column changes it; what else is set is compared."""
    session.execute(insert(models.Account), [{"id": n, "name": "n"} for n in (2, 3)])
    session.commit()
    session.execute(update(models.Account).values(secret="y", name="n"))
    session.commit()
    session.execute(update(models.Account.__table__).values(_secret="z"))
    session.commit()
    session.bulk_update_mappings(
        models.Account, [{"id": 2, "secret": "a"}, {"id": 3, "secret": "b"}]
    )
    session.commit()
    session.execute(update(models.Account).values(name="n"))
    session.execute(delete(models.Account).where(models.Account.id == 3))
    session.commit()

    found = get_changes(models.Account, session, fields=["name", "secret"], descending=False)
    told = {}
    for record in found:
        changes = {(c.field, c.old, c.new) for c in record.changes}
        told.setdefault(record.object_id, []).append((record.operation.name, changes))
    secret = ("secret", MASKED, MASKED)
    made, gone = ("secret", None, MASKED), ("secret", MASKED, None)
    assert told == {
        1: [
            ("INSERT", {("name", None, "ada"), made}),
            ("UPDATE", {("name", "ada", "n"), secret}),
            ("UPDATE", {secret}),
        ],
        2: [
            ("INSERT", {("name", None, "n"), made}),
            ("UPDATE", {secret}),
            ("UPDATE", {secret}),
            ("UPDATE", {secret}),
        ],
        3: [
            ("INSERT", {("name", None, "n"), made}),
            ("UPDATE", {secret}),
            ("UPDATE", {secret}),
            ("UPDATE", {secret}),
            ("DELETE", {("name", "n", None), gone}),
        ],
    }
    assert verify(session) == []


def test_what_is_told(session, models, account):
    """Records have a mark in the place of values, and filters and blame know of changes."""
    account.secret = "y"
    session.commit()
    account.name = "Ada"
    session.commit()

    second, first = get_changes(models.Account, session, fields="secret")
    assert json.loads(second.to_json())["changes"] == [
        {"field": "secret", "old": "***", "new": "***"}
    ]
    assert [c.old for c in first.changes] == [None]
    assert blame(account)["secret"].id == second.transaction
    assert (repr(MASKED), str(MASKED)) == ("MASKED", "***")


def test_the_past(session, models, account):
    """Its past cannot be read, and reverting leaves it as it is."""
    account.name, account.secret = "Ada", "y"
    session.commit()
    version = account.versions[0]
    with as_of(session, version.transaction_id) as past:
        then = past.get(models.Account, 1)
        assert then.name == "ada"
        with pytest.raises(IncompleteHistory, match="or masked"):
            _ = then.secret
        with pytest.raises(IncompleteHistory, match="or masked"):
            past.scalars(select(models.Account.secret)).all()

    version.revert()
    session.commit()
    assert (account.name, account.secret) == ("ada", "y")


def test_tables_without_a_class(Base, open_session):
    """Columns of tables that no class is mapped to are masked likewise."""
    table = Table(
        "login",
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(20)),
        Column("secret", String(20)),
        info={"versioned": {"mask": ["secret"]}},
    )
    session = open_session(Base)
    session.execute(insert(table).values(id=1, name="ada", secret="x"))
    session.commit()
    session.execute(update(table).values(secret="y"))
    session.commit()

    records = get_changes(table, session, fields=["name", "secret"], descending=False)
    assert [[(c.field, c.old, c.new) for c in record.changes] for record in records] == [
        [("name", None, "ada"), ("secret", None, MASKED)],
        [("secret", MASKED, MASKED)],
    ]
    assert "secret" not in version_table(table).c
    assert verify(session) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": "secret"}, "give a list of attribute keys"),
        ({"mask": ["scret"]}, "'scret', which is no attribute"),
        ({"mask": ["id"]}, "'id' cannot be excluded.*out of 'exclude' or 'mask'"),
        ({"mask": ["owner_id"]}, "'owner_id' cannot be masked, because the database changes"),
        ({"mask": ["seen"]}, "'seen' cannot be masked, because it changes by itself"),
        ({"mask": ["pin"]}, "has a column 'pin_mask', which the flag"),
        ({"mask": ["secret"], "ignore": ["secret"]}, "'secret' is in 'mask'"),
    ],
)
def test_what_cannot_be_masked(Base, options, message):
    """What could change unseen cannot be masked, and contradictions are refused."""

    class Account(Base):
        __tablename__ = "account"
        __versioned__ = options
        id: Mapped[int] = mapped_column(primary_key=True)
        secret: Mapped[str | None]
        pin: Mapped[str | None]
        pin_mask: Mapped[str | None]
        seen: Mapped[int] = mapped_column(onupdate=1)
        owner_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))

    with pytest.raises(ImproperlyConfigured, match=message):
        configure_mappers()


@pytest.mark.options(mask=["secret"])
def test_excluded_wins(Base):
    """What a class excludes is not recorded at all, though it is masked for all classes."""

    class Account(Base):
        __tablename__ = "account"
        __versioned__ = {"exclude": ["secret"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        secret: Mapped[str | None]

    configure_mappers()
    assert not [c for c in version_class(Account).__table__.c if "secret" in c.name]
