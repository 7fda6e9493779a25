"""Change records by attributes that an application has named: of the object, and of who did it."""

import pytest
from sqlalchemy import Column, ForeignKeyConstraint, Integer, String, Table, delete, insert
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    InvalidArgument,
    InvalidArgumentType,
    get_changes,
    version_table,
    versioned,
    versioned_table,
)
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


@pytest.mark.parametrize("name", ["object_id_attribute"])
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
    page.__versioned__ = {name: "title"}
    configure_mappers()
