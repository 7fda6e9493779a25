"""What a work is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from benchmarks.databases import NewEngine, unobserved
from benchmarks.libraries import Models

#: What was measured, by name.
Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """What a work is given: models, databases and how much to do."""

    models: Models
    new_engine: NewEngine
    size: int
    #: Keeps numbers that are to be had should the work not end in time.
    keep: Callable[[Numbers], None]

    def new_database(self) -> Engine:
        """Make a database that holds the empty tables."""
        engine = self.new_engine()
        self.models.Base.metadata.create_all(engine)
        return engine

    def new_warm_database(self) -> Engine:
        """Make a database whose engine has seen every kind of flush before.

        Statements are then compiled and cached, and connections made.
        """
        engine = self.new_database()
        with Session(engine, expire_on_commit=False) as session:
            for _ in range(2):
                _warm_up(session, self.models)
        return engine


def _warm_up(session: Session, models: Models) -> None:
    articles = new_articles(models, 50)
    session.add_all([*articles, note := models.Note(body="warm")])
    session.commit()
    # No more than two links: under one peer, time grows with their square.
    for article in articles[:2]:
        article.tags.append(models.Tag(name="warm"))
    session.commit()
    change_articles(articles, "warmer")
    note.body = "warmer"
    session.commit()
    for article in articles[:2]:
        article.tags.clear()
    session.commit()
    for each in (*articles, note):
        session.delete(each)
    session.commit()


def empty_database(engine: Engine, models: Models) -> None:
    """Take out what warming up has left."""
    with unobserved(engine) as connection:
        for table in reversed(models.Base.metadata.sorted_tables):
            # As text: a library may listen to every engine there is.
            connection.exec_driver_sql(f'DELETE FROM "{table.name}"')


def new_articles(models: Models, count: int) -> list[Any]:
    """Make articles, each with values of its own."""
    return [
        models.Article(name=f"article {n}", content=f"content {n} " * 10, views=n)
        for n in range(count)
    ]


def change_articles(articles: Iterable[Any], name: str) -> None:
    """Give articles other names and counts."""
    for article in articles:
        article.name = f"{name} {article.id}"
        article.views += 1


class NothingToMeasure(Exception):
    """Raised where a work makes no sense without versions."""
