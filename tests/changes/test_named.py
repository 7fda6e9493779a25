"""Change records by attributes that an application has named: of the object, and of who did it."""

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    Table,
    delete,
    insert,
    text,
    update,
)
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    InvalidArgument,
    InvalidArgumentType,
    get_changes,
    transaction_class,
    transaction_context,
    version_table,
    versioned,
    versioned_table,
)
from sqlalchemy_versioned.maintenance import redact
from sqlalchemy_versioned.plugins import NullDeletePlugin
from tests.models import Models


def to_order():
    """Return a foreign key to orders."""
    return ForeignKeyConstraint(["shop", "place"], ["purchase.shop", "purchase.place"])


def build_orders(Base):
    """Declare orders that are called by their number, express ones by a code, and items."""

    class Order(Base):
        __tablename__ = "purchase"
        __versioned__ = {"object_id_attribute": "number"}
        shop: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        number: Mapped[str] = mapped_column("nr", String(20))
        kind: Mapped[str] = mapped_column(String(20))
        items: Mapped[list["Item"]] = relationship()
        __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "order"}

    class Express(Order):
        __tablename__ = "express"
        __versioned__ = {"object_id_attribute": "code"}
        __table_args__ = (to_order(),)
        shop: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        code: Mapped[str] = mapped_column(String(20))
        __mapper_args__ = {"polymorphic_identity": "express"}

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __table_args__ = (to_order(),)
        id: Mapped[int] = mapped_column(primary_key=True)
        shop: Mapped[int | None]
        place: Mapped[int | None]

    return Models(Base, Order, Express, Item)


@pytest.mark.strategies
@pytest.mark.options(plugins=[NullDeletePlugin()])
class TestObjects:
    """What objects are called by, if not by their primary key."""

    @pytest.fixture
    def models(self, Base):
        """Orders and their items."""
        return build_orders(Base)

    @pytest.fixture
    def orders(self, models, session):
        """An order that gets an item and is deleted, and an express one that is called anew."""
        one = models.Order(shop=1, place=1, number="C")
        two = models.Express(shop=1, place=2, number="A", code="x")
        for change in (
            lambda: session.add_all([one, two]),
            lambda: two.__setattr__("number", "B"),
            lambda: one.items.append(models.Item(id=1)),
            lambda: (session.delete(one.items[0]), session.delete(one)),
        ):
            change()
            session.commit()
        return one, two

    def test_records_tell_it(self, models, session, orders):
        """It is what the object was called then, of deletions what it was called last."""

        def found(*asked, **more):
            records = get_changes(*asked[:1], session, descending=False, **more)
            return [f"{record.object_id}{record.operation.code}" for record in records]

        assert found(models.Order, fields=["number"]) == ["CI", "AI", "BU", "CD"]
        assert found(models.Express) == ["xI", "xU"]
        by_name = found(models.Order, fields=["number"], sort_by="object_id")
        assert by_name == ["AI", "BU", "CI", "CD"]
        with_items = found(models.Order, relations=["items"], fields=[], sort_by="object_id")
        assert [each[0] for each in with_items] == ["C", "C"]

    def test_objects_are_asked_for_by_it(self, models, session, orders):
        """All that happened to objects that are, or once were, called so; objects as ever."""

        def found(object_ids, model=models.Order):
            records = get_changes(model, session, object_ids=object_ids, relations=["items"])
            return {record.object_id for record in records}

        _, express = orders
        assert found("A") == found("B") == found(express) == {"A", "B"}
        assert found(["B", "none"]) == found({"shop": 1, "place": 2}) == {"A", "B"}
        assert found(["C", express]) == {"A", "B", "C"}
        assert found("x", models.Express) == {"x"}
        assert found([]) == found("none") == set()
        for wrong in (1, (1, 2), models.Item()):
            with pytest.raises(InvalidArgumentType, match="object_ids has"):
                found(wrong)

    def test_nothing_is_redacted_by_mistake(self, models, session, orders):
        """What may be a name of one object and the key of another is neither."""
        for given in ("C", (1, 1), [(1, 1)]):
            with pytest.raises((InvalidArgument, InvalidArgumentType), match="object_ids has"):
                redact(session, models.Order, object_ids=given, columns="number")
        one = {"shop": 1, "place": 2}

        assert redact(session, models.Order, object_ids=one, columns="number") == 1


def test_a_table_without_a_class_calls_rows_by_a_column(versioning, engine, Base, open_session):
    """The option is that of classes, and the column has an index."""
    columns = [Column("id", Integer, primary_key=True), Column("nr", String(20), key="number")]
    page = versioned_table(Table("page", Base.metadata, *columns), object_id_attribute="number")
    session = open_session(Base)
    session.execute(insert(page), [{"id": 1, "number": "a"}, {"id": 2, "number": "b"}])
    session.commit()
    session.execute(delete(page).where(page.c.id == 1))
    session.commit()

    records = get_changes(page, session, object_ids=["a"])

    assert [f"{record.object_id}{record.operation.code}" for record in records] == ["aD", "aI"]
    indexed = [index.columns[0].name for index in version_table(page).indexes]
    assert "nr" in indexed


@pytest.mark.parametrize("name", ["object_id_attribute", "user_id_attribute"])
def test_attributes_that_are_not_kept_are_refused(name, versioning, Base):
    """When they are declared, with those that there are."""

    def declare(wrong, **more):
        return type(
            "Page",
            (Base,),
            {
                "__tablename__": "page",
                "__versioned__": {name: wrong, **more},
                "id": mapped_column(Integer, primary_key=True),
                "title": mapped_column(String(20)),
            },
        )

    message = f"{name} is 'titel', which is no column that is kept in history; those are id"
    table = Table("leaf", Base.metadata, Column("id", Integer, primary_key=True))
    with pytest.raises(ImproperlyConfigured, match=message):
        versioned_table(table, **{name: "titel"})
    assert list(Base.metadata.tables) == ["leaf"]
    page = declare("title", exclude=["title"])
    with pytest.raises(InvalidArgument, match=r"names 'titel'.*attributes are id, title"):
        versioned(**{name: "titel"})(page)
    with pytest.raises(ImproperlyConfigured, match=f"{name} is 'title', which is no column"):
        configure_mappers()
    page.__versioned__ = {}
    configure_mappers()


class Answer:
    """What the application answers when it is asked for the user."""

    user = None


def build_letters(Base):
    """Declare users, letters that name who has written them, and stamps of letters."""

    class User(Base):
        __tablename__ = "user"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Letter(Base):
        __tablename__ = "letter"
        __versioned__ = {"user_id_attribute": "writer"}
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(String(20))
        writer: Mapped[int | None] = mapped_column("written_by")
        stamps: Mapped[list["Stamp"]] = relationship()

    class Stamp(Base):
        __tablename__ = "stamp"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        letter_id: Mapped[int | None] = mapped_column(ForeignKey("letter.id"))

    return Models(Base, User, Letter, Stamp)


@pytest.mark.strategies
@pytest.mark.options(current_user=lambda: Answer.user)
class TestUsers:
    """Who has written something, if the object says so."""

    @pytest.fixture
    def models(self, Base):
        """Letters, their stamps and users."""
        Answer.user = None
        return build_letters(Base)

    def test_what_is_said_comes_first_then_the_object(self, models, session):
        """A context, then the attribute, then the function that is asked, then nobody."""
        letters = [models.Letter(id=n, text="a", writer=n) for n in (1, 2, 3)]
        letters[2].writer = None
        session.add_all(letters)
        session.commit()
        Answer.user = 5
        for letter in letters:
            letter.text = "b"
        session.commit()
        for said in (8, None):
            with transaction_context(user=said):
                letters[0].text = f"of {said}"
                session.commit()
        session.delete(letters[1])
        session.commit()

        def found(**asked):
            records = get_changes(models.Letter, session, **asked)
            return {(r.object_id, r.operation.code, r.user_id) for r in records}

        everything = {
            *[(1, "I", 1), (2, "I", 2), (3, "I", None)],
            *[(1, "U", 1), (2, "U", 2), (3, "U", 5)],
            *[(1, "U", 8), (1, "U", None), (2, "D", 5)],
        }
        assert found() == everything
        for user in (1, 2, 5, 8, None):
            assert found(user_ids=[user]) == {each for each in everything if each[2] == user}

    def test_statements_name_users_row_by_row(self, models, session):
        """One transaction has one user, and its rows may have others."""
        session.add_all([models.Letter(id=1, text="a"), models.Letter(id=2, text="a")])
        session.commit()
        Answer.user = 5
        session.execute(update(models.Letter).values(text="b", writer=models.Letter.id + 10))
        session.commit()

        records = get_changes(models.Letter, session, operations="U", sort_by="object_id")

        assert [(record.object_id, record.user_id) for record in records] == [(2, 12), (1, 11)]
        transaction = session.get(transaction_class(models.Letter), records[0].transaction)
        assert (transaction.user_id, transaction.user_is_said) == (5, False)
        assert "user_is_said" not in records[0].context

    def test_history_that_is_older_than_the_option(self, models, session):
        """Of transactions that do not know whether somebody has said it, the user is believed."""
        Answer.user = 5
        session.add(models.Letter(id=1, text="a", writer=1))
        session.commit()
        Answer.user = None
        session.add(models.Letter(id=2, text="a", writer=2))
        session.commit()
        session.execute(update(transaction_class(models.Letter)).values(user_is_said=None))

        records = get_changes(models.Letter, session, sort_by="object_id", descending=False)

        assert [record.user_id for record in records] == [5, 2]

    def test_what_members_tell_is_not_by_the_attribute(self, models, session):
        """It says who has written the row, and nobody has when a member comes or goes."""
        letter = models.Letter(id=1, text="a", writer=1)
        session.add(letter)
        session.commit()
        Answer.user = 5
        letter.stamps.append(models.Stamp(id=1))
        session.commit()

        def found(**asked):
            asked |= {"relations": ["stamps"], "fields": []}
            return [record.user_id for record in get_changes(models.Letter, session, **asked)]

        assert found() == found(user_ids=5) == found(user_ids=5, limit=1) == [5]
        assert found(user_ids=1) == []


@pytest.mark.needs("triggers")
@pytest.mark.options(native=True, current_user=lambda: Answer.user)
def test_triggers_leave_it_to_the_attribute(versioning, Base, open_session):
    """What nobody has been asked about is of whom the row names."""
    models = build_letters(Base)
    session = open_session(Base)
    Answer.user = 5
    session.add(models.Letter(id=1, text="a", writer=1))
    session.commit()
    session.execute(text("UPDATE letter SET text = 'b', written_by = 2"))
    session.commit()

    assert [r.user_id for r in get_changes(models.Letter, session)] == [2, 1]


def test_users_that_transactions_do_not_know_are_refused(versioning, Base):
    """There must be a user class, with keys of the kind, before the first class is configured."""

    def declare(name, **more):
        namespace = {"__tablename__": name, "id": mapped_column(Integer, primary_key=True), **more}
        return type(name.title(), (Base,), namespace)

    wanted = {"user_id_attribute": "by"}
    page = declare("page", __versioned__=wanted, by=mapped_column(String(20)))
    with pytest.raises(ImproperlyConfigured, match=r"Page: .*give make_versioned.. a user_cls"):
        configure_mappers()
    declare("user")
    with pytest.raises(ImproperlyConfigured, match="key of users is of type Integer"):
        configure_mappers()
    page.__versioned__ = {}
    configure_mappers()
    late = declare("late", __versioned__=wanted, by=mapped_column(Integer))
    with pytest.raises(ImproperlyConfigured, match=r"Late: .* no column 'user_is_said'"):
        configure_mappers()
    late.__versioned__ = {}
    configure_mappers()
