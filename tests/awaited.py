"""Models whose attributes can be awaited, and what the tests of asynchronous sessions write."""

import pytest
from sqlalchemy import ForeignKey, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from sqlalchemy_versioned import transaction_class
from tests.models import Models

#: Drivers leave behind what nobody could wait for.  Python cannot even warn of it where it is
#: collected in code that has no builtins, such as that of named tuples.
LEFT_BEHIND = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <coroutine object :pytest.PytestUnraisableExceptionWarning"
    ),
]


def build_shelf(_):
    """Declare authors and articles whose attributes can be awaited."""

    class Base(AsyncAttrs, DeclarativeBase):
        pass

    class Author(Base):
        __tablename__ = "author"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        articles: Mapped[list["Article"]] = relationship(back_populates="author")

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
        author: Mapped[Author | None] = relationship(back_populates="articles")

    return Models(Base, Author, Article)


async def write(session, models):
    """Write an article by an author, change both, and return the article and two transactions."""
    author = models.Author(name="Ada")
    article = models.Article(name="a", author=author)
    session.add(article)
    await session.commit()
    article.name, author.name = "b", "Bea"
    await session.commit()
    return article, await session.scalars(select(transaction_class(models.Article)).order_by("id"))


def is_refused():
    """Expect that asking is refused where nothing can wait for the answer."""
    return pytest.raises(SQLAlchemyError, match="greenlet_spawn has not been called")
