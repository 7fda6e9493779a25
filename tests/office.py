"""An office: models of every kind of mapping in one schema, and a history of thirty transactions.

For questions about the past; see ``tests/questions.py``.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Enum,
    ForeignKey,
    Numeric,
    String,
    Table,
    and_,
    case,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    Session,
    WriteOnlyMapped,
    attribute_keyed_dict,
    column_property,
    composite,
    deferred,
    foreign,
    mapped_column,
    polymorphic_union,
    query_expression,
    relationship,
    synonym,
)

from tests.models import Models


class State(enum.Enum):
    """What has become of a task; not in the order of the alphabet."""

    OPEN = "open"
    BUSY = "busy"
    DONE = "done"


@dataclass(frozen=True)
class Span:
    """Two days; the value of a composite attribute."""

    first: int | None
    last: int | None


def build_office(Base: type[DeclarativeBase]) -> Models:
    """Declare the classes of the office; all are versioned but ``Category``."""
    task_tag = Table(
        "task_tag",
        Base.metadata,
        Column("task_id", ForeignKey("task.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Category(Base):
        __tablename__ = "category"

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Department(Base):
        __tablename__ = "department"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]
        parent_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"))
        parent: Mapped["Department | None"] = relationship(
            back_populates="children", remote_side=id
        )
        children: Mapped[list["Department"]] = relationship(
            back_populates="parent", order_by="Department.name"
        )
        notes: Mapped[dict[str, "Note"]] = relationship(
            collection_class=attribute_keyed_dict("key"), cascade="all, delete-orphan"
        )
        staff: Mapped[list["Employee"]] = relationship(
            back_populates="department", order_by="Employee.name.desc()"
        )
        texts = association_proxy("notes", "text")

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        key: Mapped[str]
        text: Mapped[str | None]
        department_id: Mapped[int] = mapped_column(ForeignKey("department.id"))

    class Person(Base):
        __tablename__ = "person"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        kind: Mapped[str]
        name: Mapped[str] = mapped_column()
        nickname: Mapped[str | None] = mapped_column("nick")
        called = synonym("name")
        shout = column_property(func.upper(name.column))
        size: Mapped[int | None] = query_expression()
        comments: WriteOnlyMapped["Comment"] = relationship(
            back_populates="author", order_by="Comment.id", passive_deletes=True
        )
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}

    class Employee(Person):
        __tablename__ = "employee"

        employee_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
        salary: Mapped[float | None] = mapped_column(Numeric(10, 2, asdecimal=False))
        department_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"))
        department: Mapped[Department | None] = relationship(back_populates="staff")
        assignments: Mapped[list["Assignment"]] = relationship(
            back_populates="employee",
            order_by="Assignment.hours, Assignment.task_id",
            cascade="all, delete-orphan",
        )
        __mapper_args__ = {"polymorphic_identity": "employee"}

    class Manager(Employee):
        __tablename__ = "manager"

        manager_id: Mapped[int] = mapped_column(
            ForeignKey("employee.employee_id"), primary_key=True
        )
        bonus: Mapped[int | None]
        __mapper_args__ = {"polymorphic_identity": "manager"}

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]
        tasks: Mapped[list["Task"]] = relationship(
            secondary=task_tag, back_populates="tags", order_by="Task.id"
        )

    class Task(Base):
        __tablename__ = "task"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        kind: Mapped[str]
        title: Mapped[str]
        state: Mapped[State] = mapped_column(Enum(State, name="task_state"))
        data: Mapped[dict[str, Any] | None] = mapped_column(JSON)
        due: Mapped[datetime | None]
        description: Mapped[str | None] = deferred(mapped_column(String(255)))
        first_day: Mapped[int | None]
        last_day: Mapped[int | None]
        span: Mapped[Span] = composite("first_day", "last_day")
        category_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))
        category: Mapped[Category | None] = relationship()
        tags: Mapped[list[Tag]] = relationship(
            secondary=task_tag, back_populates="tasks", order_by="Tag.name, Tag.id"
        )
        assignments: Mapped[list["Assignment"]] = relationship(
            back_populates="task", cascade="all, delete-orphan", order_by="Assignment.employee_id"
        )
        comments: Mapped[list["Comment"]] = relationship(
            back_populates="task",
            cascade="all, delete-orphan",
            order_by="Comment.likes.desc(), Comment.id",
        )
        entries: DynamicMapped["Entry"] = relationship(
            order_by="Entry.id", cascade="all, delete-orphan"
        )
        tag_names = association_proxy("tags", "name")
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "task"}

        @hybrid_property
        def days(self) -> Any:
            """How long it takes."""
            if self.first_day is None or self.last_day is None:
                return None
            return self.last_day - self.first_day

        @days.inplace.expression
        @classmethod
        def _days(cls) -> Any:
            return cls.last_day - cls.first_day

    class Bug(Task):
        severity: Mapped[int | None]
        __mapper_args__ = {"polymorphic_identity": "bug"}

    class Chore(Task):
        room: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "chore"}

    class Assignment(Base):
        __tablename__ = "assignment"
        __versioned__ = {}

        task_id: Mapped[int] = mapped_column(ForeignKey("task.id"), primary_key=True)
        employee_id: Mapped[int] = mapped_column(
            ForeignKey("employee.employee_id"), primary_key=True
        )
        hours: Mapped[int]
        task: Mapped[Task] = relationship(back_populates="assignments")
        employee: Mapped[Employee] = relationship(back_populates="assignments")

    class Comment(Base):
        __tablename__ = "comment"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        text: Mapped[str]
        likes: Mapped[int] = mapped_column(default=0)
        task_id: Mapped[int] = mapped_column(ForeignKey("task.id"))
        author_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
        task: Mapped[Task] = relationship(back_populates="comments")
        author: Mapped[Person | None] = relationship(back_populates="comments")

    class Entry(Base):
        __tablename__ = "entry"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        line: Mapped[str]
        task_id: Mapped[int] = mapped_column(ForeignKey("task.id"))

    class Contract(Base):
        __tablename__ = "contract"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        partner: Mapped[str]
        __mapper_args__ = {"polymorphic_identity": "contract", "concrete": True}

    class Lease(Contract):
        __tablename__ = "lease"

        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        partner: Mapped[str]
        rent: Mapped[int]
        __mapper_args__ = {"polymorphic_identity": "lease", "concrete": True}

    # What ConcreteBase does, for which SQLAlchemy 2.0 listens to all mappers for ever.
    tables = {"contract": Contract.__table__, "lease": Lease.__table__}
    contracts = polymorphic_union(tables, "type", "pjoin")
    inspect(Contract)._set_with_polymorphic(("*", contracts))
    inspect(Contract)._set_polymorphic_on(contracts.c.type)

    class Account(Base):
        __tablename__ = "account"
        __versioned__ = {}

        bank: Mapped[str] = mapped_column(String(20), primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        balance: Mapped[int] = mapped_column()
        __mapper_args__ = {
            "polymorphic_on": case((balance.column < 0, "debt"), else_="account"),
            "polymorphic_identity": "account",
        }

    class Debt(Account):
        __mapper_args__ = {"polymorphic_identity": "debt"}

    Task.liked = relationship(
        Comment,
        primaryjoin=and_(Task.id == foreign(Comment.task_id), Comment.likes > 1),
        order_by=Comment.text,
        viewonly=True,
    )
    Task.comment_count = column_property(
        select(func.count(Comment.id))
        .where(Comment.task_id == Task.id)
        .correlate_except(Comment)
        .scalar_subquery()
    )
    classes = (Category, Department, Note, Person, Employee, Manager, Tag, Task, Bug, Chore)
    more = (Assignment, Comment, Entry, Contract, Lease, Account, Debt)
    office = Models(Base, *classes, *more)
    office.task_tag = task_tag
    return office


def work(s: Session, m: Any) -> Iterator[None]:
    """Do what happens in the office; each transaction ends with a ``yield``."""
    s.add_all([m.Category(id=1, name="inner"), m.Category(id=2, name="outer")])
    head = m.Department(id=1, name="head")
    s.add(head)
    yield
    s.add_all([m.Department(id=2, name="sales", parent_id=1), m.Department(id=3, name="lab")])
    head.notes["aim"] = m.Note(id=1, key="aim", text="growth")
    yield
    s.add_all(
        [
            m.Person(id=1, name="Ann", nickname="A"),
            m.Employee(id=2, name="Bob", salary=10.5, department_id=2),
            m.Manager(id=3, name="Cyd", salary=99.25, bonus=5, department_id=1),
            m.Employee(id=4, name="Dan", salary=12, department_id=2),
        ]
    )
    yield
    s.add_all([m.Tag(id=n, name=name) for n, name in enumerate(("red", "green", "blue"), 1)])
    yield
    red, green, blue = (s.get_one(m.Tag, n) for n in (1, 2, 3))
    s.add_all(
        [
            m.Task(
                id=1,
                title="Plan",
                state=State.OPEN,
                data={"size": 3, "who": {"name": "Ann"}},
                tags=[red, blue],
                span=Span(1, 4),
                category_id=1,
            ),
            m.Bug(
                id=2,
                title="Crash",
                state=State.BUSY,
                severity=9,
                tags=[red],
                due=datetime(2024, 5, 6, 7, 8, 9),
                data={"size": 1},
                span=Span(2, 3),
            ),
            m.Chore(id=3, title="Sweep", state=State.OPEN, room="attic", description="dust"),
        ]
    )
    yield
    plan, crash, sweep = (s.get_one(m.Task, n) for n in (1, 2, 3))
    s.add_all(
        [
            m.Comment(id=1, text="soon", likes=2, task=plan, author_id=1),
            m.Comment(id=2, text="never", likes=5, task=plan, author_id=2),
            m.Comment(id=3, text="maybe", task=crash, author_id=3),
        ]
    )
    yield
    bob, cyd, dan = (s.get_one(m.Person, n) for n in (2, 3, 4))
    s.add_all(
        [
            m.Assignment(task=plan, employee=bob, hours=4),
            m.Assignment(task=plan, employee=cyd, hours=1),
            m.Assignment(task=crash, employee=bob, hours=2),
        ]
    )
    yield
    plan.entries.add_all([m.Entry(id=1, line="begun"), m.Entry(id=2, line="stuck")])
    yield
    s.add_all(
        [
            m.Contract(id=1, partner="Acme"),
            m.Lease(id=2, partner="Bricks", rent=700),
            m.Account(bank="north", number=1, balance=50),
            m.Account(bank="north", number=2, balance=-7),
        ]
    )
    yield
    plan.title, crash.state, sweep.room = "Plan B", State.DONE, None
    yield
    plan.tags = [green, blue]
    sweep.tags.append(red)
    yield
    s.get_one(m.Department, 3).parent_id = 1
    bob.department_id = 3
    yield
    s.get_one(m.Comment, 2).task = crash
    yield
    green.name, red.name = "amber", "scarlet"
    yield
    plan.data = {"size": 8, "list": [1, 2]}
    plan.span = Span(3, 30)
    crash.data = None
    yield
    s.get_one(m.Account, ("north", 2)).balance = 12
    s.get_one(m.Account, ("north", 1)).bank = "south"
    s.get_one(m.Lease, 2).rent = 750
    yield
    head.notes["motto"] = m.Note(id=2, key="motto", text=None)
    head.notes["aim"].text = "rest"
    s.add(m.Department(id=4, name="annex", parent_id=3))
    yield
    s.delete(plan.assignments[0])
    s.add(m.Assignment(task=sweep, employee=cyd, hours=6))
    yield
    cyd.bonus, cyd.salary, cyd.nickname = 15, 100, "C"
    s.add(m.Manager(id=5, name="Eve", salary=80, department_id=3))
    yield
    s.execute(update(m.Comment).where(m.Comment.task_id == 2).values(likes=m.Comment.likes + 3))
    yield
    s.get_one(m.Department, 2).parent_id = 3
    s.get_one(m.Department, 4).parent_id = 2
    yield
    s.delete(crash)
    yield
    s.execute(insert(m.Tag), [{"id": 4, "name": "teal"}, {"id": 5, "name": "blue"}])
    s.execute(insert(m.task_tag).values(task_id=1, tag_id=4))
    yield
    del head.notes["aim"]
    s.delete(s.get_one(m.Contract, 1))
    yield
    s.add(m.Bug(id=2, title="Crash again", state=State.OPEN, severity=1, tags=[blue]))
    yield
    s.get_one(m.Note, 2).key = "song"
    sweep.description, sweep.due = "mops", datetime(2025, 1, 1)
    yield
    s.delete(dan)
    s.get_one(m.Person, 1).nickname = None
    yield
    s.execute(delete(m.Comment).where(m.Comment.likes < 3))
    s.add(m.Comment(id=9, text="late", likes=4, task_id=2, author_id=5))
    yield
    plan.tags.clear()
    plan.entries.remove(s.get_one(m.Entry, 2))
    s.get_one(m.Account, ("north", 2)).balance = -1
    yield
    s.add(m.Person(id=7, name="Fay"))
    plan.state, plan.category_id = State.BUSY, 2
    yield
