"""Every short sequence of operations on a row, flushed in between or not, in one transaction.

What must remain is judged from the live table alone: what it had before, after, and in between.
"""

import itertools

import pytest
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sqlalchemy_versioned import Operation, tx_column_name, version_class
from tests.models import Models

pytestmark = pytest.mark.strategies()

INSERT, UPDATE, DELETE = Operation
STEPS = ("insert", "change", "undo", "rename", "delete")


@pytest.fixture
def models(keep):
    """Pages that are known by a text, which can be changed."""

    def build(Base):
        class Page(Base):
            __tablename__ = "page"
            __versioned__ = {}
            key: Mapped[str] = mapped_column(String(20), primary_key=True)
            text: Mapped[str] = mapped_column(String(20))

        return Models(Base, Page)

    return keep(build)


class Life:
    """One object that steps are done to, and what its rows were after each flush."""

    def __init__(self, session, Page, number, steps, flushes, *, exists):
        self.session, self.Page = session, Page
        self.steps, self.flushes = steps, flushes
        self.keys = [f"{number:04}", f"{number:04}'"]
        self.page = Page(key=self.keys[0], text="a") if exists else None
        self.before = {self.keys[0]: "a"} if exists else {}
        self.seen = dict(self.before)
        self.after = None

    def do(self, place):
        """Do one step; a flush may follow."""
        if place < len(self.steps):
            getattr(self, self.steps[place])(place)

    def insert(self, place):
        self.page = self.Page(key=self.keys[0], text=f"new {place}")
        self.session.add(self.page)

    def change(self, place):
        self.page.text = f"changed {place}"

    def undo(self, place):
        self.page.text = "a"

    def rename(self, place):
        self.page.key = self.keys[self.page.key == self.keys[0]]

    def delete(self, place):
        if self.page in self.session.new:
            self.session.expunge(self.page)
        else:
            self.session.delete(self.page)
        self.page = None

    def look(self, rows):
        """Note what the rows are after a flush."""
        self.after = {key: rows[key] for key in self.keys if key in rows}
        self.seen |= self.after

    def remains(self):
        """Return the version that must remain of each key, as operation and text."""
        found = {}
        for key in self.keys:
            old, new = self.before.get(key), self.after.get(key)
            if old != new:
                operation = INSERT if old is None else DELETE if new is None else UPDATE
                found[key] = (operation, self.seen[key] if new is None else new)
        return found


def is_possible(steps, flushes, *, exists):
    """Tell whether an application can do these steps."""
    renamed = False
    for place, step in enumerate(steps):
        if (step == "insert") is exists:
            return False
        # SQLAlchemy inserts before it updates, so the key is not free in the same flush.
        if step == "insert" and renamed:
            return False
        exists = step != "delete"
        renamed = (renamed or step == "rename") and not (place < len(flushes) and flushes[place])
    return True


def programs(length, *, exists):
    """Yield all sequences of *length* steps with all ways to flush between them."""
    for steps in itertools.product(STEPS, repeat=length):
        for flushes in itertools.product((False, True), repeat=length - 1):
            if is_possible(steps, flushes, exists=exists):
                yield steps, flushes


@pytest.fixture
def live_through(tables, models):
    """Make lives begin, commit them, and check what is recorded of each."""
    Page = models.Page

    def run(some, *, together):
        with Session(tables, autoflush=False) as session:
            lives = [
                Life(session, Page, number, steps, flushes, exists=exists)
                for number, (steps, flushes, exists) in enumerate(some)
            ]
            session.add_all(life.page for life in lives if life.page)
            session.commit()
            groups = group_by_flushes(lives) if together else [[life] for life in lives]
            for group in groups:
                go_through(session, Page, group)
            check(session, Page, lives)

    return run


def group_by_flushes(lives):
    """Return lives that can be led in one transaction together."""
    groups = {}
    for life in lives:
        groups.setdefault(life.flushes, []).append(life)
    return groups.values()


def go_through(session, Page, lives):
    """Do the steps of some lives in one transaction."""
    flushes = lives[0].flushes
    for place in range(len(flushes) + 1):
        for life in lives:
            life.do(place)
        if place == len(flushes) or flushes[place]:
            session.flush()
            keys = [key for life in lives for key in life.keys]
            statement = select(Page.key, Page.text).where(Page.key.in_(keys))
            rows = dict(session.connection().execute(statement).all())
            for life in lives:
                life.look(rows)
    session.commit()


def check(session, Page, lives):
    """Compare what is recorded after the beginning with what must remain."""
    version = version_class(Page)
    found, chains = {}, {}
    rows = session.scalars(select(version).order_by(getattr(version, tx_column_name(Page))))
    for row in rows:
        chains.setdefault(row.key, []).append(row)
    for key, chain in chains.items():
        rest = chain[1:] if key in {k for life in lives for k in life.before} else chain
        found[key] = [(row.operation_type, row.text) for row in rest]
        if hasattr(version, "end_transaction_id"):
            ends = [row.end_transaction_id for row in chain]
            assert ends == [*[row.transaction_id for row in chain[1:]], None], key
    for life in lives:
        expected = life.remains()
        told = {key: found.get(key, []) for key in life.keys}
        wanted = {key: [expected[key]] if key in expected else [] for key in life.keys}
        assert told == wanted, (life.steps, life.flushes, life.before)


@pytest.mark.shared_out
@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
@pytest.mark.parametrize("exists", [False, True], ids=["new", "old"])
def test_all_sequences(live_through, exists, together):
    """One version, or none, remains of up to three operations on a row."""
    some = [
        (*program, exists) for length in (1, 2, 3) for program in programs(length, exists=exists)
    ]

    live_through(some, together=together)
