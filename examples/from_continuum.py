"""What the introduction of SQLAlchemy-Continuum promises, done with this library.

The first part is its quick start, of which only the import had to be changed; then each of its
features is shown. Versioning by triggers, which it lists as well, is another story. ::

    python examples/from_continuum.py
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session, configure_mappers, declarative_base, relationship

from sqlalchemy_versioned import make_versioned, transaction_class, version_class

make_versioned(user_cls=None)

Base = declarative_base()


class Article(Base):
    """An article, as the quick start has it; and tags, to have something to go back to."""

    __versioned__ = {}
    __tablename__ = "article"

    id = sa.Column(sa.Integer, primary_key=True, autoincrement=True)
    name = sa.Column(sa.Unicode(255))
    content = sa.Column(sa.UnicodeText)
    tags = relationship("Tag", cascade="all, delete-orphan", order_by="Tag.id")


class Tag(Base):
    """A word that tells what an article is about."""

    __versioned__ = {}
    __tablename__ = "tag"

    id = sa.Column(sa.Integer, primary_key=True, autoincrement=True)
    name = sa.Column(sa.Unicode(255))
    article_id = sa.Column(sa.ForeignKey("article.id"))


configure_mappers()

ArticleVersion = version_class(Article)
Transaction = transaction_class(Article)


def quick_start(session: Session) -> Article:
    """Follow the quick start."""
    article = Article(name="Some article", content="Some content")
    session.add(article)
    session.commit()
    print("The first version:", article.versions[0].name)

    article.name = "Updated name"
    session.commit()
    print("The second version:", article.versions[1].name)

    article.versions[0].revert()
    print("Reverted to the first version:", article.name)
    session.commit()
    return article


def leave_unchanged(session: Session, article: Article) -> None:
    """Show that an update which changes nothing is not stored."""
    before = article.versions.count()
    article.name = str(article.name)
    session.commit()
    print("Versions stored for an update that changes nothing:", article.versions.count() - before)


def delete_and_restore(session: Session, article: Article) -> None:
    """Put back an object that was deleted, with its relations."""
    article.tags, article.content = [Tag(name="news")], "Some news"
    session.commit()
    number, tagged = article.id, article.versions[-1].transaction_id
    session.delete(article)
    session.commit()
    print("After the deletion:", session.get(Article, number))

    session.get_one(ArticleVersion, (number, tagged)).revert(relations=["tags"])
    session.commit()
    restored = session.get_one(Article, number)
    print("Restored:", restored.content, [tag.name for tag in restored.tags])


def list_operations(session: Session) -> None:
    """Show that inserts, updates and deletes have made versions."""
    versions = session.scalars(sa.select(ArticleVersion).order_by(ArticleVersion.transaction_id))
    print("Operations:", [each.operation_type.name for each in versions])


def query_transactions(session: Session) -> None:
    """Query transactions as anything else, and what they changed."""
    last = session.scalars(sa.select(Transaction).order_by(Transaction.id.desc()).limit(1)).one()
    changed = {cls.__name__: len(found) for cls, found in last.changed_entities.items()}
    print("Changed by the last transaction:", changed)


def look_at_relations(session: Session) -> None:
    """Show relationships of versions as they were."""
    versions = session.scalars(sa.select(ArticleVersion).order_by(ArticleVersion.transaction_id))
    print("Tags of each version:", [[tag.name for tag in each.tags] for each in versions])


def main() -> None:
    """Show all of it, on a database in memory."""
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        article = quick_start(session)
        leave_unchanged(session, article)
        delete_and_restore(session, article)
        list_operations(session)
        query_transactions(session)
        look_at_relations(session)
    engine.dispose()


if __name__ == "__main__":
    main()
