"""The order of building: what is there when, and what is shared."""

import pytest
from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Table, select
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import ImproperlyConfigured, Plugin, version_class, version_table
from sqlalchemy_versioned.model.lookup import spec_of
from tests.lives import live
from tests.models import build_blog


class Noting(Plugin):
    """Notes each hook of building with what can be seen then."""

    def __init__(self):
        self.notes = []

    def after_build_tx_class(self, manager):
        """Run before tables."""
        self.notes.append(("transaction", manager.transaction_cls.__name__))

    def after_build_version_table_columns(self, table_builder, columns):
        """Add a column to each table."""
        self.notes.append(("columns", table_builder.parent_table.name, table_builder.model))
        columns.append(Column("checked", Boolean, nullable=False, default=False))

    def after_version_class_built(self, parent_cls, version_cls):
        """Run once classes are mapped."""
        self.notes.append(("class", parent_cls, version_cls))

    def after_build_models(self, manager):
        """Run last."""
        self.notes.append(("models", len(manager.version_class_map)))


def test_order_of_hooks(Base, versioning):
    """Plugins see the Transaction class, then tables, then classes, then all of it."""
    plugin = Noting()
    versioning.plugins = [plugin]
    blog = build_blog(Base)
    configure_mappers()

    steps = [note[0] for note in plugin.notes]
    assert steps == ["transaction", *["columns"] * 5, *["class"] * 4, "models"]
    assert ("columns", "article_tag", None) in plugin.notes
    assert ("class", blog.Article, version_class(blog.Article)) in plugin.notes
    assert plugin.notes[-1] == ("models", 4)


@pytest.mark.options(native=False)
def test_columns_of_plugins(versioning, Base, engine):
    """They come last in the table, are attributes of versions, and have their defaults."""
    versioning.plugins = [Noting()]

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        versions = live(session, Article(name="a"), name="b")
        assert [version.checked for version in versions] == [False] * 3
    assert [c.name for c in version_table(Article).c][-2:] == ["operation_type", "checked"]


def test_spec_says_it_all(blog):
    """What is versioned, and where, is in one place."""
    configure_mappers()
    spec = spec_of(blog.Article)

    assert spec.columns == ("id", "name", "content", "description", "author_id", "category_id")
    assert spec.key == ("id",)
    assert set(spec.relationships) == {"author", "category", "comments", "tags"}
    assert spec.root.version_table is version_table(blog.Article)


def test_mapped_to_a_query(Base):
    """A class that is mapped to something else than tables is refused."""

    class One(Base):
        __tablename__ = "one"
        id: Mapped[int] = mapped_column(primary_key=True)

    rows = select(One.__table__).subquery("rows")

    class View(Base):
        __table__ = rows
        __versioned__ = {}
        __mapper_args__ = {"primary_key": [rows.c.id]}

    with pytest.raises(ImproperlyConfigured, match="only classes mapped to tables can"):
        configure_mappers()


@pytest.mark.parametrize("first", ["link", "class"])
def test_table_of_a_class_and_of_links(first, Base):
    """One table has one history, whether a class or a relationship comes first."""

    def declare(name, **body):
        body |= {"__tablename__": name.lower(), "id": mapped_column(Integer, primary_key=True)}
        return type(name, (Base,), body)

    def declare_link():
        body = {
            "__table__": Base.metadata.tables["link"],
            "__versioned__": {},
        }
        return type("Link", (Base,), body)

    Tag = declare("Tag", __versioned__={})
    table = Table(
        "link",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
        Column("note", String(50)),
    )
    if first == "class":
        Link = declare_link()
    Article = declare("Article", __versioned__={}, tags=relationship(Tag, secondary=table))
    configure_mappers()
    if first == "link":
        Link = declare_link()
        configure_mappers()

    assert version_table(Link) is version_table(table)
    assert version_class(Article).__table__.name == "article_version"
