"""However savepoints nest, and whichever are rolled back, history is that of what was kept."""

import itertools
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, ForeignKey, String, Table, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from sqlalchemy_versioned import CaptureError, Operation, transaction_class, version_class
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import table_spec_of
from tests.models import Models

pytestmark = [pytest.mark.strategies(), pytest.mark.needs("savepoints")]

INSERT, UPDATE, DELETE = Operation

#: Steps by letters: begin a savepoint, release it, roll it back, and what can be written.
BEGIN, RELEASE, UNDO, WRITES = "(", ")", "]", "cuktl"


@pytest.fixture
def models(keep):
    """Pages with tags."""

    def build(Base):
        link = Table(
            "page_tag",
            Base.metadata,
            Column("page_key", String(9), ForeignKey("page.key"), primary_key=True),
            Column("tag_id", ForeignKey("tag.id"), primary_key=True),
        )

        class Tag(Base):
            __tablename__ = "tag"
            __versioned__ = {}
            id: Mapped[int] = mapped_column(primary_key=True)

        class Page(Base):
            __tablename__ = "page"
            __versioned__ = {}
            key: Mapped[str] = mapped_column(String(9), primary_key=True)
            text: Mapped[str]
            tags: Mapped[list[Tag]] = relationship(secondary=link)

        models = Models(Base, Tag, Page)
        models.link = link
        return models

    return keep(build)


class Program:
    """Takes steps in a session and compares history with the live tables after each commit.

    :param flushes: whether each write is flushed at once.
    :param reloads: whether objects are loaded anew after a rollback; SQLAlchemy does not find
        those again whose key was changed at two levels of savepoints.
    """

    def __init__(self, session, models, number, *, flushes, reloads=False):
        self.session, self.models = session, models
        self.flushes, self.reloads = flushes, reloads
        self.numbers = itertools.count()
        self.first = models.Page(key=f"{number}", text="a")
        self.free_keys = f"{number}k", f"{number}l"
        self.free = models.Page(key=self.free_keys[0], text="a")
        self.tag = models.Tag(id=number)
        self.first_key, self.other = f"{number}", f"{number}o"
        session.add_all([self.first, self.free, self.tag])
        session.commit()
        self.savepoints, self.lengths = [], self.look()[1]

    def run(self, steps):
        """Take all steps and commit what is still open."""
        before, lengths = self.look()
        for step in steps:
            self.take(step)
        self.session.commit()
        self.check(before, lengths)

    def take(self, step):
        """Take one step."""
        if step == BEGIN:
            self.savepoints.append(self.session.begin_nested())
        elif step == RELEASE:
            self.savepoints.pop().commit()
        elif step == UNDO:
            self.savepoints.pop().rollback()
            if self.reloads:
                self.reload()
        else:
            getattr(self, f"write_{step}")()
            if self.flushes:
                self.session.flush()

    def reload(self):
        """Find the objects that there are again."""
        self.session.expunge_all()
        Page, Tag = self.models.Page, self.models.Tag
        self.first = self.session.get(Page, self.first_key)
        self.free = self.session.scalars(select(Page).where(Page.key.in_(self.free_keys))).one()
        self.tag = self.session.get(Tag, int(self.first_key))

    def write_c(self):
        """Change a page."""
        self.first.text = f"changed {next(self.numbers)}"

    def write_u(self):
        """Undo the changes of a page."""
        self.first.text = "a"

    def write_k(self):
        """Change the key of a page, there or back."""
        self.free.key = self.free_keys[self.free.key == self.free_keys[0]]

    def write_t(self):
        """Insert another page, or delete it."""
        other = self.session.get(self.models.Page, self.other)
        if other is None:
            self.session.add(self.models.Page(key=self.other, text="o"))
        else:
            self.session.delete(other)

    def write_l(self):
        """Link a tag, or take it off."""
        tags = self.first.tags
        tags.remove(self.tag) if self.tag in tags else tags.append(self.tag)

    # -- looking -------------------------------------------------------------------------------

    def look(self):
        """Return the live rows, and how many versions there are of each, in all tables."""
        rows, lengths = {}, {}
        for table in (self.models.Page.__table__, self.models.link):
            spec = table_spec_of(table)
            execute = self.session.connection().execute
            for row in execute(table.select()).mappings():
                key = table.name, *[row[pair.parent] for pair in spec.key]
                rows[key] = {c.name: row[c] for c in table.c}
            for row in execute(spec.version_table.select()).mappings():
                key = table.name, *[row[pair.version] for pair in spec.key]
                lengths[key] = lengths.get(key, 0) + 1
        return rows, lengths

    def check(self, before, lengths):
        """Check that exactly the rows that differ have one version more, which is as they are."""
        after, longer = self.look()
        differing = {key for key in before | after if before.get(key) != after.get(key)}
        assert {key for key in longer if longer[key] > lengths.get(key, 0)} == differing
        used = set()
        for key, chain in self.chains().items():
            used |= {version["transaction"] for version in chain}
            newest = chain[-1]
            gone = newest["operation"] == DELETE
            assert after.get(key) == (None if gone else newest["row"]), key
            if key in differing:
                expected = INSERT if key not in before else DELETE if key not in after else UPDATE
                assert newest["operation"] == expected
                assert longer[key] == lengths.get(key, 0) + 1
        cls = transaction_class(self.models.Page)
        assert set(self.session.scalars(select(cls.id))) == used | self.tags_used()

    def chains(self):
        """Return the versions of each row, oldest first, checking where they end."""
        found = {}
        for table in (self.models.Page.__table__, self.models.link):
            spec = table_spec_of(table)
            statement = spec.version_table.select().order_by(spec.transaction_column)
            for row in self.session.connection().execute(statement).mappings():
                key = table.name, *[row[pair.version] for pair in spec.key]
                version = {
                    "row": {pair.parent.name: row[pair.version] for pair in spec.pairs},
                    "operation": row[spec.operation_column],
                    "transaction": row[spec.transaction_column],
                    "end": spec.end_column is not None and row[spec.end_column],
                }
                found.setdefault(key, []).append(version)
            if spec.end_column is not None:
                for chain in found.values():
                    begins = [version["transaction"] for version in chain]
                    assert [version["end"] for version in chain] == [*begins[1:], None]
        return found

    def tags_used(self):
        """Return the transactions that made tags."""
        return set(self.session.scalars(select(version_class(self.models.Tag).transaction_id)))


def shapes(length, depth):
    """Yield all ways to nest savepoints around writes, which are given as a ``w``."""
    for steps in itertools.product("w()]", repeat=length):
        level, levels = 0, [0]
        for step in steps:
            level += {"(": 1, "w": 0}.get(step, -1)
            levels.append(level)
        if min(levels) < 0 or max(levels) > depth:
            continue
        if "w" in steps and "(" in steps:
            yield "".join(steps)


#: Trees in which what was recorded comes to nothing, at one level or another.
UNDONE = [
    *("t(t)c", "t(t]c", "(t)tc", "t((t)]c", "t((t))c", "(t(t))c", "(t(t])c", "tt(c]t"),
    *("c(u)c", "c(u]u", "c((u)]u", "(c)u", "(c]u", "c(c]u", "c(c)u", "cu(c)u"),
    *("k(k)k", "k(k]k", "(k)k", "(k]k", "k((k)]c", "l(l)l", "l(l]l", "(l)l", "l((l))c"),
]


@pytest.mark.strategies("validity", "subquery")
def test_trees_that_come_to_nothing(tables, models):
    """What is undone in a savepoint is undone if that is released, and there if it is not."""
    with Session(tables) as session:
        program = Program(session, models, 1, flushes=True)
        for steps in UNDONE:
            program.run(steps)


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("flushes", [True, False], ids=["flushed", "unflushed"])
def test_all_small_trees(tables, models, flushes):
    """Every way to nest up to two savepoints around writes, in four steps; some in five."""
    kinds = itertools.cycle("ccuclkct")
    some = [shape for length in (2, 3, 4) for shape in shapes(length, 2)]
    some += itertools.islice(shapes(5, 2), 0, None, 3)
    with Session(tables) as session:
        for number, shape in enumerate(some, start=1):
            if number % 50 == 1:
                program = Program(session, models, number, flushes=flushes)
            steps = "".join(next(kinds) if step == "w" else step for step in shape)
            program.run(steps)
    assert len(some) > 80


@st.composite
def trees(draw):
    """Draw a deep tree of savepoints."""
    level, steps = 0, []
    for _ in range(draw(st.integers(5, 25))):
        choices = [*WRITES, BEGIN] if level < 4 else [*WRITES]
        step = draw(st.sampled_from(choices + [RELEASE, UNDO, UNDO] * (level > 0)))
        level += {BEGIN: 1, RELEASE: -1, UNDO: -1}.get(step, 0)
        steps.append(step)
    return "".join(steps)


@pytest.mark.strategies("validity", "subquery")
def test_deep_trees(tables, models):
    """Random writes between savepoints that nest up to four deep, in several transactions."""
    numbers = iter(range(1, 10**6))

    @given(st.lists(trees(), min_size=1, max_size=3), st.booleans())
    def holds(several, flushes):
        with Session(tables) as session:
            program = Program(session, models, next(numbers), flushes=flushes, reloads=True)
            for steps in several:
                program.run(steps)

    holds()


def test_errors_inside_savepoints(session, models):
    """A flush that fails inside a savepoint leaves what was recorded before and after."""
    session.add(models.Page(key="a", text="x"))
    session.commit()
    first = session.get(models.Page, "a")
    for number in range(3):
        savepoint = session.begin_nested()
        first.text = f"{number} undone"
        session.flush()
        with pytest.raises(IntegrityError):
            session.connection().execute(models.Page.__table__.insert(), {"key": "a", "text": "y"})
        savepoint.rollback()
        session.add(models.Page(key=f"n{number}", text="kept"))
        session.flush()
    first.text = "kept"
    session.commit()
    version = version_class(models.Page)

    assert [v.text for v in first.versions] == ["x", "kept"]
    assert len(session.scalars(select(version).filter_by(text="kept")).all()) == 4
    assert len(session.scalars(select(version)).all()) == 5


def test_failing_flush_inside_a_savepoint(session, models):
    """A flush that fails rolls back its savepoint only, and its objects are none of history."""
    session.add(models.Page(key="a", text="x"))
    session.commit()
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add_all([models.Page(key="b", text="y"), models.Tag(id=1), models.Tag(id=1)])
    session.add(models.Page(key="b", text="z"))
    session.commit()
    version = version_class(models.Page)

    assert [v.text for v in session.scalars(select(version).filter_by(key="b"))] == ["z"]
    assert session.scalars(select(version_class(models.Tag))).all() == []


@pytest.mark.parametrize("is_empty", [False, True])
def test_savepoints_that_the_session_has_not_set(session, models, mode, is_empty):
    """A session cannot commit when somebody has rolled back behind it what it has recorded."""
    page, table = models.Page(key="one", text="a"), models.Page.__table__
    session.add(page)
    session.commit()
    released = session.connection().begin_nested()
    session.execute(update(table).values(text="b"))
    released.commit()
    savepoint = session.connection().begin_nested()
    if not is_empty:
        session.execute(update(table).values(text="c"))
    savepoint.rollback()
    refused = pytest.raises(CaptureError, match="begin_nested")
    with nullcontext() if is_empty else mode.pick(refused, nullcontext()):
        session.commit()
    session.rollback()

    kept = ["a", "b"] if is_empty else mode.pick(["a"], ["a", "b"])
    assert [version.text for version in page.versions] == kept
    assert verify(session) == []
