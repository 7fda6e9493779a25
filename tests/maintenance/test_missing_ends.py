"""Ends and flags that a history lacks are written, and nothing else is."""

import pytest
from sqlalchemy import ForeignKey, inspect, select, update
from sqlalchemy.orm import Mapped, mapped_column

from sqlalchemy_versioned import ImproperlyConfigured, version_class, version_table
from sqlalchemy_versioned.maintenance import update_end_tx_column, update_property_mod_flags, verify
from sqlalchemy_versioned.plugins import PropertyModTrackerPlugin


def images(session, table):
    """Return everything that a version table holds."""
    return session.execute(select(table).order_by(*table.primary_key)).all()


@pytest.mark.strategies("validity")
def test_ends(session, blog):
    """Ends that are missing, or wrong, are made right; those that are right stay."""
    articles = blog.factories.Article.create_batch(3)
    articles[0].tags.append(blog.factories.Tag())
    for name in "ab":
        session.commit()
        for article in articles:
            article.name = name
        articles[0].tags.clear()
    session.commit()
    tables = [version_table(blog.Article), version_table(blog.article_tag)]
    right = [images(session, table) for table in tables]
    for table in tables:
        session.execute(update(table).values(end_transaction_id=None))
    first = update(tables[0]).where(tables[0].c.id == articles[0].id)
    session.execute(first.values(end_transaction_id=10**9))
    seen = []

    def progress(*each):
        seen.append(each)

    mended = update_end_tx_column(session, blog.Article, batch_size=2, progress=progress)
    assert mended == 7
    assert update_end_tx_column(session, blog.article_tag) == 1
    assert [images(session, table) for table in tables] == right
    assert seen == [("article", 2), ("article", 3)]
    assert update_end_tx_column(session, blog.Article) == 0
    assert verify(session) == []


@pytest.mark.options(strategy="subquery")
def test_no_ends(session, blog):
    """Where a strategy has no ends, asking for them is refused."""
    with pytest.raises(ImproperlyConfigured, match="no end column, for its strategy is 'subquery'"):
        update_end_tx_column(session, blog.Article)


def test_no_flags(session, blog):
    """Where there is no plugin, asking for flags is refused."""
    with pytest.raises(ImproperlyConfigured, match="no modification flags"):
        update_property_mod_flags(session, blog.Article)


@pytest.mark.strategies
def test_flags(versioning, Base, open_session):
    """Flags tell what differs from the version before, NULL or not, by whatever name."""
    versioning.plugins.append(PropertyModTrackerPlugin())

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        n: Mapped[str | None] = mapped_column("_n")
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}

    class Dog(Animal):
        __tablename__ = "dog"
        id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
        bark: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "dog"}

    session = open_session(Base)
    dog = Dog(id=1, n="a")
    session.add(dog)
    session.commit()
    for name, value in (("n", None), ("bark", "wau"), ("n", "b")):
        setattr(dog, name, value)
        session.commit()
    session.delete(dog)
    session.commit()
    version = version_class(Dog)
    flags = [prop.key for prop in inspect(version).column_attrs if prop.key.endswith("_mod")]
    for table in inspect(version).tables:
        wrong = {flag: ~flag for flag in table.c if flag.key in flags}
        session.execute(update(table).values(wrong))

    assert update_property_mod_flags(session, Dog) == 10
    versions = session.scalars(select(version).order_by(version.transaction_id)).all()
    assert [[flag for flag in flags if getattr(each, flag)] for each in versions] == [
        ["kind_mod", "n_mod"],
        ["n_mod"],
        ["bark_mod"],
        ["n_mod"],
        ["kind_mod", "n_mod", "bark_mod"],
    ]
    assert update_property_mod_flags(session, Dog) == 0
