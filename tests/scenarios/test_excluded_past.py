"""Columns that are excluded from history have no past, and no NULL is shown in their place."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Enum,
    ForeignKey,
    Text,
    func,
    inspect,
    literal,
    select,
    union_all,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    Mapped,
    aliased,
    column_property,
    composite,
    defer,
    joinedload,
    load_only,
    mapped_column,
    relationship,
)

from sqlalchemy_versioned import IncompleteHistory, as_of
from tests.models import Models

EXCLUDED = ("secret", "is_open", "weight", "number", "data", "image", "since", "kind", "owner_id")


@dataclass(frozen=True)
class Marking:
    """The value of a composite attribute."""

    name: str
    secret: str | None


def build_vault(Base):
    """Declare boxes of which history keeps little more than the name."""

    class Owner(Base):
        __tablename__ = "owner"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)

    class Box(Base):
        __tablename__ = "box"
        __versioned__ = {"exclude": list(EXCLUDED)}

        id: Mapped[int] = mapped_column(primary_key=True)
        type: Mapped[str] = mapped_column(default="box")
        name: Mapped[str] = mapped_column()
        secret: Mapped[str | None] = mapped_column(Text)
        is_open: Mapped[bool | None]
        weight: Mapped[float | None]
        number: Mapped[int | None] = mapped_column(BigInteger)
        data: Mapped[dict[str, Any] | None] = mapped_column(JSON)
        image: Mapped[bytes | None]
        since: Mapped[datetime | None]
        kind: Mapped[str | None] = mapped_column(Enum("big", "small", name="box_kind"))
        owner_id: Mapped[int | None] = mapped_column(ForeignKey("owner.id"))
        owner: Mapped[Owner | None] = relationship()
        shown = column_property(name.column + literal("!"))
        hidden = column_property(secret.column + name.column)
        marking: Mapped[Marking] = composite("name", "secret")
        __mapper_args__ = {"polymorphic_on": "type", "polymorphic_identity": "box"}

        @hybrid_property
        def hint(self):
            """Tell of an excluded column in other words."""
            return self.secret + "?"

    class SealedBox(Box):
        __tablename__ = "sealed_box"
        __versioned__ = {"exclude": ["seal"]}

        id: Mapped[int] = mapped_column(ForeignKey("box.id"), primary_key=True)
        seal: Mapped[str | None]
        label: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "sealed"}

    return Models(Base, Owner, Box, SealedBox)


@pytest.fixture
def models(keep):
    """Boxes and sealed ones."""
    return keep(build_vault)


@pytest.fixture
def past(session, models):
    """The past of two boxes, before one was renamed."""
    values = {"secret": "x", "is_open": True, "weight": 1.5, "number": 1, "data": {}, "image": b"1"}
    box = models.Box(id=1, name="a", since=datetime(2020, 1, 1), kind="big", **values)
    box.owner = models.Owner(id=1)
    session.add_all([box, models.SealedBox(id=2, name="b", secret="y", seal="s", label="l")])
    session.commit()
    box.name = "c"
    session.commit()
    with as_of(session, 1) as past:
        yield past


is_refused = partial(pytest.raises, IncompleteHistory, match="excluded from history")


def check(box):
    """Check that nothing is told of what is excluded, and all else is."""
    for key in (*EXCLUDED, "hidden", "hint", "marking"):
        with is_refused():
            getattr(box, key)
    assert (box.name, box.shown) == ("a", "a!")


@pytest.mark.strategies
def test_attributes(past, models):
    """Reading an excluded attribute raises; the others are as they were."""
    check(past.get(models.Box, 1))


def test_subclass(past, models):
    """Columns of each table of a hierarchy can be excluded."""
    for cls in (models.Box, models.SealedBox):
        past.expunge_all()
        box = past.get(cls, 2)
        assert (box.label, box.name) == ("l", "b")
        for key in ("seal", "secret", "hidden"):
            with is_refused():
                getattr(box, key)


RELOADS = {
    "refresh": lambda past, box: past.refresh(box),
    "refresh of one": lambda past, box: past.refresh(box, ["secret"]),
    "expire": lambda past, box: past.expire(box),
    "expire of one": lambda past, box: past.expire(box, ["secret"]),
    "expire_all": lambda past, box: past.expire_all(),
    "commit": lambda past, box: past.commit(),
    "get": lambda past, box: past.get(type(box), 1, populate_existing=True),
    "query": lambda past, box: past.scalars(select(type(box))).all(),
    "query of some": lambda past, box: past.scalars(
        select(type(box)).options(load_only(type(box).secret))
    ).all(),
    "query that defers": lambda past, box: past.scalars(
        select(type(box)).options(defer(type(box).secret))
    ).all(),
    "populate_existing": lambda past, box: past.scalars(
        select(type(box)).execution_options(populate_existing=True)
    ).all(),
}


def test_loading_again(past, models):
    """What is loaded again is not told either."""
    box = past.get(models.Box, 1)
    for reload in (*RELOADS.values(), *RELOADS.values()):
        reload(past, box)
        check(box)


STATEMENTS = {
    "column": lambda Box, box: select(Box.secret),
    "column of a table": lambda Box, box: select(box.c.id, box.c.secret),
    "label": lambda Box, box: select(Box.secret.label("name")),
    "function": lambda Box, box: select(func.count(Box.secret)),
    "column property": lambda Box, box: select(Box.hidden),
    "hybrid": lambda Box, box: select(Box.hint),
    "condition": lambda Box, box: select(Box).where(Box.secret.is_(None)),
    "condition on a table": lambda Box, box: select(box.c.id).where(box.c.number == 1),
    "order": lambda Box, box: select(Box).order_by(Box.secret),
    "group": lambda Box, box: select(func.count()).select_from(Box).group_by(Box.secret),
    "alias": lambda Box, box: select(aliased(Box).secret),
    "condition on an alias": lambda Box, box: select(Box.id).where(aliased(Box).number == Box.id),
    "column of a subquery": lambda Box, box: select(select(box.c.secret).subquery()),
    "subquery of all columns": lambda Box, box: select(select(Box).subquery().c.secret),
    "condition on a subquery": lambda Box, box: select(
        (one := select(Box).subquery()).c.name
    ).where(one.c.is_open),
    "in a subquery": lambda Box, box: select(Box.name).where(Box.name.in_(select(Box.secret))),
    "union": lambda Box, box: union_all(select(Box.name), select(Box.secret)),
    "whole rows": lambda Box, box: select(box).where(box.c.id == 1),
    "whole rows of an alias": lambda Box, box: select(Box.name, box.alias()),
    "whole rows of a subquery": lambda Box, box: select(select(Box).subquery()),
    "union of whole rows": lambda Box, box: union_all(select(box), select(box)),
    "join": lambda Box, box: select(Box).join(Box.owner),
    "joined load": lambda Box, box: select(Box).options(joinedload(Box.owner)),
}


def test_statements(past, models, tables, count_statements):
    """A statement that needs an excluded column is refused before it is sent."""
    past.scalars(select(models.Box.name)).all()
    with count_statements(tables) as statements:
        for build in STATEMENTS.values():
            with is_refused():
                past.execute(build(models.Box, models.Box.__table__))
    assert statements == []


WITHIN = {
    "objects": lambda Box, box: select(Box).from_statement(select(box).order_by(box.c.id)),
    "objects of a subquery": lambda Box, box: select(
        one := aliased(Box, select(box).subquery())
    ).order_by(one.id),
    "count": lambda Box, box: select(func.count()).select_from(select(box).subquery()),
    "exists": lambda Box, box: select(Box).where(select(box).exists()).order_by(Box.id),
}


@pytest.mark.parametrize("build", WITHIN.values(), ids=WITHIN)
def test_rows_within_statements(past, models, build):
    """Rows of a table may be read for what does not tell what they hold."""
    found = past.scalars(build(models.Box, models.Box.__table__)).first()
    if found != 2:
        check(found)


def test_relationship_by_an_excluded_column(past, models):
    """An object that an excluded column refers to cannot be told."""
    box = past.get(models.Box, 1)
    with is_refused():
        _ = box.owner


def test_inspection(past, session, models):
    """Looking at the state of an object does not read what is excluded."""
    box = past.get(models.Box, 1)
    assert "secret" in inspect(box).unloaded
    assert inspect(box).attrs.secret.history.empty()
    assert past.is_modified(box) is False


def test_live_objects(past, session, models):
    """Objects of the present keep their excluded attributes."""
    past.get(models.Box, 1)
    box = session.get(models.Box, 1)
    session.refresh(box)
    session.expire(box)
    assert (box.secret, box.hidden, box.owner.id) == ("x", "xc", 1)


def test_rollback_of_what_nobody_holds(past, session, models):
    """A changed object that only its session holds can be rolled back."""
    session.get(models.Box, 2).name = "d"

    session.rollback()

    assert session.get(models.Box, 2).name == "b"
