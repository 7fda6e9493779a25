"""Storms: many writers at a few rows, some of whom lose their connection or are killed.

``python -m tests.storms URL SEED TRANSACTIONS`` is four processes of one writer each.
"""

import multiprocessing
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Engine, delete, insert, make_url, text, update
from sqlalchemy.exc import DBAPIError, InvalidRequestError, PendingRollbackError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from sqlalchemy_versioned import CaptureError
from tests.threads import run_at_once

#: What an application answers by trying again.
CONFLICTS = (DBAPIError, StaleDataError, ObjectDeletedError, PendingRollbackError, CaptureError)
#: The rows that all write.
ROWS = range(1, 6)
#: How a connection finds out its number, and how another ends it; others are just closed.
KILLS = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
    "mysql": ("SELECT connection_id()", "KILL {}"),
    "mariadb": ("SELECT connection_id()", "KILL {}"),
}
#: What lets several read while one writes.
PREPARATIONS = {"sqlite": "PRAGMA journal_mode = WAL"}


@dataclass
class Storm:
    """Some writers of the blog, and what became of their transactions."""

    engine: Engine
    models: Any
    versioning: Any
    #: What writes one transaction.
    writer: "type[Writer]"
    committed: int = 0
    refused: int = 0
    errors: list[BaseException] = field(default_factory=list)
    #: The connections that are written with now, by writer.
    numbers: dict[int, int] = field(default_factory=dict)

    def run(self, seeds: Iterable[int], transactions: int) -> None:
        """Let one thread write for each seed."""
        run_at_once(partial(self._write, transactions=transactions), seeds)
        if self.errors:
            raise self.errors[0]

    def _write(self, seed: int, transactions: int) -> None:
        chance = random.Random(seed)
        try:
            for number in range(transactions):
                self._try(self.writer(self, seed, chance, f"{seed}.{number}"))
        except BaseException as error:
            self.errors.append(error)

    @property
    def _driver_error(self) -> Any:
        """What goes past SQLAlchemy when it prepares a connection that is lost."""
        return self.engine.dialect.dbapi.Error  # type: ignore[union-attr]

    def _try(self, writer: "Writer") -> None:
        for _ in range(3):
            try:
                with Session(self.engine) as session:
                    writer.write(session)
            except (*CONFLICTS, self._driver_error):
                self.refused += 1
            else:
                self.committed += 1
                return


class Writer:
    """Writes one transaction, or tries to."""

    ACTIONS = (
        *["change", "change", "link", "delete"],
        *["update", "update_by_core", "savepoint", "delete_all", "insert", "links"],
    )

    def __init__(self, storm: Storm, seed: int, chance: random.Random, name: str) -> None:
        self.storm, self.models = storm, storm.models
        self.seed, self.chance, self.name = seed, chance, name

    def write(self, session: Session) -> None:
        """Do some things, and commit or give up."""
        self._introduce(session)
        if self.chance.random() < 0.3:
            self.storm.versioning.unit_of_work(session).create_transaction()
        for _ in range(self.chance.randint(1, 3)):
            self._act(session)
        fate = self.chance.random()
        if fate < 0.04:
            self._kill(self.seed)
        elif fate < 0.08:
            self._kill(self.chance.choice([*self.storm.numbers, self.seed]))
        elif fate < 0.12:
            session.connection().connection.dbapi_connection.close()  # type: ignore[union-attr]
        elif fate < 0.17:
            session.rollback()
            return
        session.commit()

    def _introduce(self, session: Session) -> None:
        if (how := KILLS.get(self.storm.engine.dialect.name)) is not None:
            self.storm.numbers[self.seed] = session.scalar(text(how[0]))

    def _kill(self, seed: int) -> None:
        if (how := KILLS.get(self.storm.engine.dialect.name)) is not None:
            with self.storm.engine.connect() as connection:
                connection.execute(text(how[1].format(self.storm.numbers[seed])))

    def _act(self, session: Session) -> None:
        getattr(self, f"_{self.chance.choice(self.ACTIONS)}")(session)

    def _key(self) -> int:
        return self.chance.choice(ROWS)

    def _class(self) -> Any:
        """Return the class of what is written next."""
        return self.models.Article

    def _change(self, session: Session) -> None:
        written = session.get(self._class(), self._key())
        if written is not None:
            written.name = self.name
            session.flush()

    def _insert(self, session: Session) -> None:
        cls, key = self._class(), self._key()
        if session.get(cls, key) is None:
            session.add(cls(id=key, name=self.name))
            session.flush()

    def _delete(self, session: Session) -> None:
        """Delete an object; another may take its place at once."""
        cls, key = self._class(), self._key()
        gone = session.get(cls, key)
        if gone is None:
            return
        session.delete(gone)
        session.flush()
        if self.chance.random() < 0.5:
            session.add(cls(id=key, name=self.name))
            session.flush()

    def _link(self, session: Session) -> None:
        article = session.get(self.models.Article, self._key())
        tag = session.get(self.models.Tag, 1)
        if article is not None:
            article.tags = [] if article.tags else [tag]
            session.flush()

    def _links(self, session: Session) -> None:
        """Link by a statement of its own."""
        table, key = self.models.article_tag, self._key()
        session.execute(delete(table).where(table.c.article_id == key))
        if self.chance.random() < 0.7 and session.get(self.models.Article, key) is not None:
            session.execute(insert(table).values(article_id=key, tag_id=1))

    def _update(self, session: Session) -> None:
        cls, key = self._class(), self._key()
        keys = [key, 1 + key % 5]
        session.execute(update(cls).where(cls.id.in_(keys)).values(name=self.name))

    def _update_by_core(self, session: Session) -> None:
        table = self._class().__table__
        statement = update(table).where(table.c.id >= self._key()).values(content=self.name)
        session.connection().execute(statement)

    def _delete_all(self, session: Session) -> None:
        article, key = self.models.Article, self._key()
        table = self.models.article_tag
        session.execute(delete(table).where(table.c.article_id == key))
        session.execute(delete(article).where(article.id == key))

    def _savepoint(self, session: Session) -> None:
        """Do something in a savepoint, which may be rolled back."""
        savepoint = session.begin_nested()
        try:
            self._act(session)
        except CONFLICTS:
            self._roll_back(savepoint)
            return
        if self.chance.random() < 0.5:
            savepoint.rollback()
        else:
            savepoint.commit()

    def _roll_back(self, savepoint: Any) -> None:
        try:
            savepoint.rollback()
        except InvalidRequestError:
            # The whole transaction was rolled back by the database.
            raise StaleDataError from None


class WriterOfBoth(Writer):
    """Writes one transaction of pages, which triggers record, and notes, which sessions do."""

    ACTIONS = (
        *["change", "change", "insert", "delete", "update", "update_by_core", "savepoint"],
        *["remove", "write_text"],
    )

    def _class(self) -> Any:
        return self.chance.choice([self.models.Page, self.models.Note])

    def _remove(self, session: Session) -> None:
        cls = self._class()
        session.execute(delete(cls).where(cls.id == self._key()))

    def _write_text(self, session: Session) -> None:
        """Change a page as only triggers see it."""
        statement = text("UPDATE page SET content = :name WHERE id = :key")
        session.execute(statement, {"name": self.name, "key": self._key()})


def populate(engine: Engine, models: Any) -> None:
    """Add the rows that the storm is about."""
    if (statement := PREPARATIONS.get(engine.dialect.name)) is not None:
        connection = engine.raw_connection()
        connection.cursor().execute(statement)
        connection.close()
    with Session(engine) as session:
        tag = models.Tag(id=1, name="t")
        session.add_all(models.Article(id=key, name="0", tags=[tag]) for key in ROWS)
        session.commit()


def main(url: str, seed: str, transactions: str, recorder: str) -> None:
    """Write in four processes, recorded by ``sessions`` or ``triggers``, and say how much."""
    from sqlalchemy.orm import configure_mappers

    from sqlalchemy_versioned import make_versioned, versioning_manager
    from tests.databases import connect
    from tests.models import build_base, build_blog

    make_versioned(native=recorder == "triggers")
    models = build_blog(build_base())
    configure_mappers()
    processes = multiprocessing.get_context("fork")
    committed = processes.Value("i", 0)

    def write(number: int) -> None:
        storm = Storm(connect(make_url(url)), models, versioning_manager, Writer)
        storm.run([int(seed) + number], int(transactions))
        with committed.get_lock():
            committed.value += storm.committed

    writers = [processes.Process(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    if any(writer.exitcode for writer in writers):
        sys.exit("a writer has failed")
    print(committed.value)


if __name__ == "__main__":
    main(*sys.argv[1:])
