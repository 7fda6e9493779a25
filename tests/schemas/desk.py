"""A desk: users, and the notes that they write for web applications."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, configure_mappers, mapped_column

from tests.models import Models


def build_desk(Base: type[DeclarativeBase]) -> Models:
    """Declare notes, which are versioned, and users, whom transactions refer to."""

    class User(Base):
        __tablename__ = "user"

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]

    return Models(Base, User, Note)


class Desk:
    """The tables, as web applications use them: by a session for each request."""

    def __init__(self, engine: Engine, models: Models) -> None:
        self.engine = engine
        self.models = models

    @classmethod
    def at(cls, path: Path, models: Models) -> "Desk":
        """Make a desk in a file: what web applications ask for is the same on every database."""
        configure_mappers()
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        models.metadata.create_all(engine)
        return cls(engine, models)

    def hire(self, *numbers: int) -> None:
        """Add users."""
        with Session(self.engine) as session:
            session.add_all([self.models.User(id=each, name=f"user {each}") for each in numbers])
            session.commit()

    def write(self, text: str = "a") -> None:
        """Write a note, in a transaction of its own."""
        with Session(self.engine) as session:
            session.add(self.models.Note(text=text))
            session.commit()

    def writers(self) -> list[tuple[Any, Any, Any]]:
        """Return text, user and address of each version, in order."""
        from sqlalchemy_versioned import transaction_class, version_class

        version, transaction = version_class(self.models.Note), transaction_class(self.models.Note)
        with Session(self.engine) as session:
            wanted = select(version.text, transaction.user_id, transaction.remote_addr)
            joined = wanted.join(transaction, transaction.id == version.transaction_id)
            return [tuple(row) for row in session.execute(joined.order_by(transaction.id))]

    def transactions(self) -> list[dict[str, Any]]:
        """Return the rows of transactions."""
        from sqlalchemy_versioned import transaction_class

        transaction = transaction_class(self.models.Note)
        with Session(self.engine) as session:
            rows = session.execute(select(transaction.__table__).order_by(transaction.id))
            return [dict(row) for row in rows.mappings()]
