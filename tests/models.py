"""The models that tests share: a blog, declared anew for each test."""

from typing import Any

from sqlalchemy import Column, ForeignKey, MetaData, String, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tests.factories import BLOG_DECLARATIONS, Factories


def build_base() -> type[DeclarativeBase]:
    """Return a declarative base of its own registry, with strings of a length MySQL accepts."""

    class Base(DeclarativeBase):
        type_annotation_map = {str: String(255)}

    return Base


class Models:
    """Some classes of one base, as attributes, with their factories and metadata."""

    def __init__(
        self, base: type[DeclarativeBase], *classes: type, declarations: Any = None
    ) -> None:
        self.base = base
        self.classes = classes
        self._declarations = declarations
        self.renew_factories()
        for cls in classes:
            setattr(self, cls.__name__, cls)

    def renew_factories(self) -> None:
        """Make factories that number what they make from 0, and have no session yet."""
        self.factories = Factories(self.classes, self._declarations)

    @property
    def metadata(self) -> MetaData:
        """The metadata of the base."""
        return self.base.metadata

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no class {name!r}; there are {self.classes}")


def build_blog(Base: type[DeclarativeBase]) -> Models:
    """Declare the blog: versioned articles and what hangs on them, unversioned categories."""
    article_tag = Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Category(Base):
        __tablename__ = "category"

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Author(Base):
        __tablename__ = "author"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        articles: Mapped[list["Article"]] = relationship(
            back_populates="author", order_by="Article.id"
        )

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        content: Mapped[str | None] = mapped_column(Text)
        description: Mapped[str | None] = mapped_column(default="No description")
        author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
        category_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))
        author: Mapped[Author | None] = relationship(back_populates="articles")
        category: Mapped[Category | None] = relationship()
        comments: Mapped[list["Comment"]] = relationship(
            back_populates="article", cascade="all, delete-orphan", order_by="Comment.id"
        )
        tags: Mapped[list["Tag"]] = relationship(
            secondary=article_tag, back_populates="articles", order_by="Tag.id"
        )

    class Comment(Base):
        __tablename__ = "comment"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        content: Mapped[str]
        article_id: Mapped[int | None] = mapped_column(ForeignKey("article.id"))
        article: Mapped[Article | None] = relationship(back_populates="comments")

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        articles: Mapped[list[Article]] = relationship(
            secondary=article_tag, back_populates="tags", order_by=Article.id
        )

    classes = (Article, Author, Category, Comment, Tag)
    blog = Models(Base, *classes, declarations=BLOG_DECLARATIONS)
    blog.article_tag = article_tag
    return blog
