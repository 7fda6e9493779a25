"""Sessions that take turns: random steps of several transactions that are open at once.

After each commit the live tables say what history must tell of the transaction.
"""

import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from sqlalchemy import Column, Engine, ForeignKey, String, Table, delete, event, select, update
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from sqlalchemy_versioned import Operation, transaction_class, version_table
from tests.images import Row
from tests.models import Models
from tests.storms import CONFLICTS

#: How connections are told not to wait for each other.
IMPATIENCE = {
    "postgresql": "SET lock_timeout = '20ms'",
    "mysql": "SET innodb_lock_wait_timeout = 0",
    "mariadb": "SET innodb_lock_wait_timeout = 0",
}
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
KEYS = range(1, 5)
JOINED = ("visit", "purchase")
#: The rows of all tables, by name of the table and key.
State = dict[tuple[str, Any], Row]


def build_market(Base: type[DeclarativeBase]) -> Models:
    """Declare stalls with a unique name, goods that they link, and visits of two classes."""
    sold = Table(
        "sold",
        Base.metadata,
        Column("stall_id", ForeignKey("stall.id", ondelete="CASCADE"), primary_key=True),
        Column("good_id", ForeignKey("good.id"), primary_key=True),
    )

    class Thing:
        __versioned__: Any = {}
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        number: Mapped[int] = mapped_column(default=0)

    class Stall(Thing, Base):
        __tablename__ = "stall"
        name: Mapped[str | None] = mapped_column(String(20), unique=True)
        goods: Mapped[list["Good"]] = relationship(secondary=sold, passive_deletes=True)

    class Good(Thing, Base):
        __tablename__ = "good"

    class Visit(Thing, Base):
        __tablename__ = "visit"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "visit"}
        kind: Mapped[str] = mapped_column(String(20))
        stall_id: Mapped[int | None] = mapped_column(ForeignKey("stall.id", ondelete="SET NULL"))

    class Purchase(Visit):
        __tablename__ = "purchase"
        __mapper_args__ = {"polymorphic_identity": "purchase"}
        id: Mapped[int] = mapped_column(ForeignKey("visit.id"), primary_key=True)
        price: Mapped[int] = mapped_column(default=0)

    return Models(Base, Stall, Good, Visit, Purchase)


class Turns:
    """Sessions that take turns, each with a transaction of its own.

    :param engine: one whose connections do not wait; see :func:`make_impatient`.
    """

    STEPS = (
        *["add"] * 3 + ["change"] * 5 + ["commit"] * 3,
        *["remove", "link", "savepoint", "go_back", "update", "delete", "upsert", "move", "leave"],
    )

    def __init__(self, engine: Engine, models: Models, seed: int) -> None:
        self.chance = random.Random(seed)
        self.engine, self.models = engine, models
        self.tables = models.metadata.tables
        levels = [self.chance.choice(LEVELS) for _ in range(3)]
        self.sessions = [Session(engine.execution_options(isolation_level=each)) for each in levels]
        self._known: set[int] = set()
        self._changes = 0
        #: What was committed: the new transactions, and the rows that they left.
        self.states: list[tuple[set[int], State]] = []
        #: What was done, to be read when something fails.
        self.log: list[str] = [f"seed {seed}: {', '.join(levels)}"]
        self._look()

    def run(self, steps: int) -> None:
        """Let sessions take steps, and commit what is left at the end."""
        for _ in range(steps):
            self._turn(self.chance.choice(self.sessions), self.chance.choice(self.STEPS))
        for session in self.sessions:
            self._turn(session, "commit")
            session.close()

    def _turn(self, session: Session, step: str) -> None:
        key = self.chance.choice(KEYS)
        self.log.append(f"{self.sessions.index(session)}: {step} {key}")
        take: Callable[[Session, int], None] = getattr(self, f"_{step}")
        try:
            take(session, key)
        except CONFLICTS as error:
            self.log.append(f"   {type(error).__name__}: {error}"[:120])
            session.rollback()

    def _versioned(self) -> list[Table]:
        return [each for name, each in self.tables.items() if f"{name}_version" in self.tables]

    def _look(self) -> None:
        """Note the transactions that are new, and what rows they have left."""
        transactions = transaction_class(self.models.Stall).__table__
        with self.engine.connect() as connection:
            numbers = set(connection.scalars(select(transactions.c.id)))
            state = {
                (table.name, tuple(row[c.name] for c in table.primary_key)): dict(row)
                for table in self._versioned()
                for row in connection.execute(select(table)).mappings()
            }
        self.states.append((numbers - self._known, state))
        self._known = numbers

    def _any(self, session: Session, key: int) -> Any:
        models = self.models
        return session.get(self.chance.choice([models.Stall, models.Good, models.Visit]), key)

    def _add(self, session: Session, key: int) -> None:
        models = self.models
        cls = self.chance.choice([models.Stall, models.Good, models.Visit, models.Purchase])
        named = {"name": self.chance.choice(["u", "v", None])} if cls is models.Stall else {}
        session.add(cls(id=key, number=self.chance.randrange(4), **named))
        session.flush()

    def _change(self, session: Session, key: int) -> None:
        found = self._any(session, key)
        if found is None:
            return
        # What another session has written meanwhile would be no change.
        self._changes += 1
        found.number = 100 * self._changes
        if isinstance(found, self.models.Stall):
            found.name = self.chance.choice(["u", "v", "w", None])
        elif isinstance(found, self.models.Visit):
            found.stall_id = self.chance.choice([None, *KEYS])
        if self.chance.random() < 0.6:
            session.flush()

    def _remove(self, session: Session, key: int) -> None:
        found = self._any(session, key)
        if found is not None:
            session.delete(found)
            session.flush()

    def _link(self, session: Session, key: int) -> None:
        stall = session.get(self.models.Stall, key)
        good = session.get(self.models.Good, self.chance.choice(KEYS))
        if stall is not None and good is not None:
            (stall.goods.remove if good in stall.goods else stall.goods.append)(good)
            session.flush()

    def _update(self, session: Session, key: int) -> None:
        cls = self.chance.choice([self.models.Stall, self.models.Good, self.models.Purchase])
        column = cls.price if cls is self.models.Purchase else cls.number
        session.execute(update(cls).where(column % 100 < 5).values({column: column + 1}))

    def _delete(self, session: Session, key: int) -> None:
        cls = self.chance.choice([self.models.Stall, self.models.Good])
        session.execute(delete(cls).where(cls.id == key))

    def _upsert(self, session: Session, key: int) -> None:
        row = {"id": key, "name": self.chance.choice(["u", None]), "number": 7}
        if self.engine.dialect.name == "postgresql":
            found = postgresql.insert(self.models.Stall).values(row)
            session.execute(found.on_conflict_do_update(index_elements=["id"], set_={"number": 8}))
        else:
            written = mysql.insert(self.models.Stall).values(row)
            session.execute(written.on_duplicate_key_update(number=8))

    def _move(self, session: Session, key: int) -> None:
        good = self.models.Good
        moved = update(good).where(good.id == key).values(id=key + 10)
        session.execute(moved, execution_options={"synchronize_session": False})

    def _savepoint(self, session: Session, key: int) -> None:
        if not session.in_nested_transaction():
            session.begin_nested()

    def _go_back(self, session: Session, key: int) -> None:
        savepoint = session.get_nested_transaction()
        if savepoint is not None:
            (savepoint.rollback if self.chance.random() < 0.5 else savepoint.commit)()

    def _leave(self, session: Session, key: int) -> None:
        session.rollback()

    def _commit(self, session: Session, key: int) -> None:
        savepoint = session.get_nested_transaction()
        if savepoint is not None:
            savepoint.commit()
        try:
            session.commit()
        finally:
            self._look()

    def faults(self) -> Iterator[str]:
        """Say what history tells otherwise than the states that were committed."""
        told, wanted = self._read_history(), set[Any]()
        for (_, old), (numbers, new) in pairwise(self.states):
            changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
            if changed and len(numbers) != 1:
                yield f"{changed} changed in the transactions {numbers}"
            for name, key in changed if len(numbers) == 1 else ():
                version = told.get((name, key, *numbers))
                wanted.add((name, key, *numbers))
                # Objects have a version in each of their tables.
                if name in JOINED:
                    wanted.update((each, key, *numbers) for each in JOINED)
                if version is None:
                    yield f"{name} {key} has no version of {numbers}"
                    continue
                live = new.get((name, key))
                if version["operation_type"] != _operation(old.get((name, key)), live):
                    yield f"{name} {key} in {numbers}: {version}"
                # A deletion tells the last values, which may be of the same transaction.
                if live is not None and not live.items() <= version.items():
                    yield f"{name} {key} was {live} after {numbers}: {version}"
        yield from (f"nothing changed as told: {told[key]}" for key in told.keys() - wanted)

    def _read_history(self) -> dict[Any, Row]:
        found: dict[Any, Row] = {}
        with self.engine.connect() as connection:
            for table in self._versioned():
                key = [column.name for column in table.primary_key]
                # What was there before was told of before.
                version = version_table(table)
                later = version.c.transaction_id.not_in(self.states[0][0])
                for row in connection.execute(select(version).where(later)).mappings():
                    place = table.name, tuple(row[name] for name in key), row["transaction_id"]
                    found[place] = dict(row)
        return found


def _operation(old: Row | None, new: Row | None) -> Operation:
    if old is None:
        return Operation.INSERT
    return Operation.DELETE if new is None else Operation.UPDATE


def make_impatient(engine: Engine) -> None:
    """Let connections of an engine fail rather than wait for each other."""

    @event.listens_for(engine, "connect")
    def tell(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(IMPATIENCE[engine.dialect.name])
        connection.commit()
