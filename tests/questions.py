"""Questions about the office: statements of every kind, each a function of a session.

What they return is made comparable by :func:`plain`, which also shows what was loaded with an
object, and what was not.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import (
    Integer,
    String,
    and_,
    bindparam,
    case,
    cast,
    column,
    except_,
    exists,
    false,
    func,
    inspect,
    intersect,
    lambda_stmt,
    lateral,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    table,
    text,
    true,
    tuple_,
    type_coerce,
    union,
    union_all,
    values,
)
from sqlalchemy.exc import InvalidRequestError, NoInspectionAvailable, NoResultFound
from sqlalchemy.orm import (
    Bundle,
    InstanceState,
    Session,
    aliased,
    contains_eager,
    defaultload,
    defer,
    immediateload,
    join,
    joinedload,
    lazyload,
    load_only,
    raiseload,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer,
    with_expression,
    with_loader_criteria,
    with_parent,
    with_polymorphic,
)

from tests.office import Span, State

Question = Callable[[Session], Any]


def plain(value: Any, known: frozenset[Any] = frozenset()) -> Any:
    """Return *value* with objects replaced by what is loaded of them, as far as it goes."""
    if isinstance(value, (str, bytes, Span, State)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {key: plain(each, known) for key, each in value.items()}
    if isinstance(value, Iterable):
        return [plain(each, known) for each in value]
    state = _state(value)
    if state is None:
        return value
    identity = (type(value).__name__, *inspect(value).identity)
    if identity in known:
        return identity
    loaded = set(state.mapper.attrs.keys()).intersection(state.dict)
    known |= {identity}
    return identity, {key: plain(state.dict[key], known) for key in sorted(loaded)}


def _state(value: Any) -> InstanceState[Any] | None:
    try:
        found = inspect(value)
    except NoInspectionAvailable:
        return None
    return found if isinstance(found, InstanceState) else None


def found(s: Session, statement: Any, /, **options: Any) -> list[Any]:
    """Return the first column, without what joined loads repeat."""
    return s.scalars(statement, **options).unique().all()


def refusal(function: Callable[[], Any]) -> str:
    """Return what error a function raises."""
    try:
        return f"no error: {function()}"
    except (InvalidRequestError, NoResultFound) as error:
        return type(error).__name__


def build_questions(m: Any) -> dict[str, Question]:
    """Return all questions, by what they are about."""
    parts = (_loads, _conditions, _aliases, _sets, _numbers, _tables, _sessions)
    return {name: question for part in parts for name, question in part(m).items()}


def build_special_questions(m: Any) -> dict[str, tuple[str, Question]]:
    """Return questions that not every database understands, with the capability they need."""
    Task, Comment, Tag = m.Task, m.Comment, m.Tag
    best = (
        select(Comment.text.label("text"))
        .where(Comment.task_id == Task.id)
        .order_by(Comment.likes.desc(), Comment.id)
        .limit(1)
    )
    return {
        "lateral subquery": (
            "lateral",
            lambda s: s.execute(
                select(Task.title, (x := best.lateral("best")).c.text)
                .outerjoin(x, true())
                .order_by(Task.id)
            ),
        ),
        "lateral()": (
            "lateral",
            lambda s: s.execute(
                select(Task.title, (x := lateral(best)).c.text).join(x, true()).order_by(Task.id)
            ),
        ),
        "array_agg": (
            "arrays",
            lambda s: s.scalar(select(func.array_agg(func.distinct(Tag.name)))),
        ),
        "full join": (
            "full_joins",
            lambda s: s.execute(
                select(Task.id, Comment.id)
                .join(Comment, Comment.task_id == Task.id, full=True)
                .order_by(Task.id, Comment.id)
            ),
        ),
        "yield_per and selectinload": (
            "several_results",
            lambda s: [
                plain(each)
                for each in s.scalars(
                    select(Task)
                    .options(selectinload(Task.tags))
                    .order_by(Task.id)
                    .execution_options(yield_per=1)
                )
            ],
        ),
        "values": (
            "values_as_tables",
            lambda s: s.execute(
                select(Task.title, (v := values(column("n", Integer), name="v").data([(1,)])).c.n)
                .join(v, v.c.n == Task.id)
                .order_by(v.c.n)
            ),
        ),
        "table-valued function": (
            "table_functions",
            lambda s: s.execute(
                select(Task.id, (x := func.json_each(Task.data).table_valued("key")).c.key)
                .join(x, true())
                .order_by(Task.id, x.c.key)
            ),
        ),
    }


def _loads(m: Any) -> dict[str, Question]:
    Task, Bug, Comment, Person, Employee = m.Task, m.Bug, m.Comment, m.Person, m.Employee
    Department, Assignment, Tag = m.Department, m.Assignment, m.Tag
    tasks = select(Task).order_by(Task.id)
    people = select(Person).order_by(Person.id)
    return {
        "entities": lambda s: found(s, tasks),
        "each class": lambda s: [
            sorted(plain(s.scalars(select(cls))), key=str) for cls in m.classes
        ],
        "lazy collection": lambda s: [(t, t.tags, t.comments) for t in found(s, tasks)],
        "lazy many-to-one": lambda s: [
            (c.task, c.author) for c in found(s, select(Comment).order_by(Comment.id))
        ],
        "lazy many-to-one of joined subclasses": lambda s: [
            (a.employee, a.task)
            for a in found(s, select(Assignment).order_by(Assignment.task_id, Assignment.hours))
        ],
        "lazy custom join": lambda s: [t.liked for t in found(s, tasks)],
        "keyed collection": lambda s: [
            (d.notes, dict(d.texts)) for d in found(s, select(Department).order_by(Department.id))
        ],
        "tree": lambda s: [
            (d.parent and d.parent.name, [(c, c.children) for c in d.children])
            for d in found(s, select(Department).order_by(Department.id))
        ],
        "write-only": lambda s: [
            found(s, p.comments.select().where(Comment.likes > 2)) for p in found(s, people)
        ],
        "dynamic": lambda s: [
            (t.entries.count(), t.entries.filter_by(line="begun").all(), t.entries[:1])
            for t in found(s, tasks)
        ],
        "joinedload": lambda s: found(
            s, tasks.options(joinedload(Task.tags), joinedload(Task.category))
        ),
        "joinedload innerjoin": lambda s: found(
            s,
            select(Comment)
            .options(joinedload(Comment.task, innerjoin=True).joinedload(Task.tags, innerjoin=True))
            .order_by(Comment.id),
        ),
        "joinedload with limit": lambda s: found(
            s, tasks.options(joinedload(Task.comments)).limit(2).offset(1)
        ),
        "joinedload of custom join": lambda s: found(s, tasks.options(joinedload(Task.liked))),
        "selectinload": lambda s: found(
            s, tasks.options(selectinload(Task.tags), selectinload(Task.comments))
        ),
        "selectinload many-to-one": lambda s: found(
            s, select(Comment).options(selectinload(Comment.author)).order_by(Comment.id)
        ),
        "subqueryload": lambda s: found(
            s, tasks.options(subqueryload(Task.comments), subqueryload(Task.tags))
        ),
        "subqueryload with limit": lambda s: found(
            s, tasks.options(subqueryload(Task.comments).subqueryload(Comment.author)).limit(2)
        ),
        "immediateload": lambda s: found(s, tasks.options(immediateload(Task.assignments))),
        "lazyload": lambda s: [t.tags for t in found(s, tasks.options(lazyload(Task.tags)))],
        "raiseload": lambda s: [
            refusal(lambda t=t: t.tags) for t in found(s, tasks.options(raiseload("*")))
        ],
        "nested loads": lambda s: found(
            s,
            select(Department)
            .options(
                selectinload(Department.staff)
                .selectinload(Employee.assignments)
                .joinedload(Assignment.task)
                .subqueryload(Task.tags),
                joinedload(Department.parent),
            )
            .order_by(Department.id),
        ),
        "loads of polymorphic relationships": lambda s: found(
            s,
            select(Department)
            .options(
                joinedload(
                    Department.staff.of_type(with_polymorphic(Employee, [m.Manager], flat=True))
                ),
                selectinload(Department.notes),
            )
            .order_by(Department.id),
        ),
        "loads of one subclass": lambda s: found(
            s,
            select(Department)
            .options(selectinload(Department.staff.of_type(m.Manager)))
            .order_by(Department.id),
        ),
        "contains_eager of a polymorphic relationship": lambda s: found(
            s,
            select(Department)
            .join(Department.staff.of_type(every := with_polymorphic(Employee, "*", flat=True)))
            .options(contains_eager(Department.staff.of_type(every)))
            .order_by(Department.id, every.id),
        ),
        "recursive selectinload": lambda s: found(
            s,
            select(Department)
            .where(Department.parent_id.is_(None))
            .options(selectinload(Department.children, recursion_depth=-1))
            .order_by(Department.id),
        ),
        "joinedload of a tree": lambda s: found(
            s,
            select(Department)
            .options(joinedload(Department.children).joinedload(Department.children))
            .order_by(Department.name),
        ),
        "contains_eager": lambda s: found(
            s,
            select(Task)
            .join(Task.comments)
            .where(Comment.likes >= 2)
            .options(contains_eager(Task.comments))
            .order_by(Task.id, Comment.id),
        ),
        "contains_eager of an alias": lambda s: found(
            s,
            select(Task)
            .outerjoin((tag := aliased(Tag)), Task.tags)
            .options(contains_eager(Task.tags.of_type(tag)))
            .order_by(Task.id, tag.id),
        ),
        "criteria of relationships": lambda s: found(
            s,
            tasks.options(
                selectinload(Task.comments.and_(Comment.likes > 2)),
                joinedload(Task.tags.and_(Tag.name != "blue")),
            ),
        ),
        "with_loader_criteria": lambda s: [
            (t, t.comments)
            for t in found(
                s,
                tasks.options(with_loader_criteria(Comment, lambda cls: cls.text != "soon")),
            )
        ],
        "defaultload and load_only": lambda s: found(
            s,
            tasks.options(
                load_only(Task.title),
                selectinload(Task.tags),
                defaultload(Task.tags).load_only(Tag.name),
            ),
        ),
        "defer and undefer": lambda s: [
            (t, t.title, t.description)
            for t in found(s, tasks.options(defer(Task.title), undefer(Task.description)))
        ],
        "deferred column": lambda s: [(t.description, t) for t in found(s, tasks)],
        "deferred column that raises": lambda s: [
            refusal(lambda t=t: t.title)
            for t in found(s, tasks.options(defer(Task.title, raiseload=True)))
        ],
        "column_property": lambda s: [
            (p.shout, p.called, p.nickname, p.kind) for p in found(s, people)
        ],
        "joined inheritance, attribute by attribute": lambda s: [
            (p.name, getattr(p, "salary", 0), getattr(p, "bonus", 0)) for p in found(s, people)
        ],
        "joined subclass": lambda s: found(
            s, select(m.Manager).where(m.Manager.bonus > 1).order_by(m.Manager.name)
        ),
        "with_polymorphic": lambda s: found(
            s,
            select(every := with_polymorphic(Person, "*"))
            .where(or_(every.Employee.salary > 11, every.Manager.bonus > 1, every.name == "Ann"))
            .order_by(every.id),
        ),
        "with_polymorphic, flat": lambda s: found(
            s,
            select(every := with_polymorphic(Person, [m.Manager], flat=True, aliased=True))
            .where(or_(every.Manager.bonus.is_(None), every.Manager.bonus > 4))
            .order_by(every.id),
        ),
        "selectin_polymorphic": lambda s: found(
            s, people.options(selectin_polymorphic(Person, [Employee, m.Manager]))
        ),
        "load of a subclass's relationship": lambda s: found(
            s,
            people.options(
                selectin_polymorphic(Person, [Employee]), selectinload(Employee.department)
            ),
        ),
        "single-table inheritance": lambda s: (
            found(s, select(Bug).order_by(Bug.severity)),
            found(s, select(m.Chore).where(m.Chore.room.is_(None)).order_by(m.Chore.id)),
        ),
        "concrete inheritance with a condition": lambda s: found(
            s, select(m.Contract).where(m.Contract.partner > "B").order_by(m.Contract.id)
        ),
        "concrete inheritance": lambda s: (
            sorted(plain(found(s, select(m.Contract))), key=str),
            found(s, select(m.Lease)),
        ),
        "discriminator by CASE": lambda s: (
            found(s, select(m.Account).order_by(m.Account.bank, m.Account.number)),
            found(s, select(m.Debt)),
        ),
        "association proxies": lambda s: [
            list(t.tag_names) for t in found(s, tasks.where(Task.tag_names.contains("blue")))
        ],
        "populate_existing": lambda s: found(
            s, tasks.options(selectinload(Task.tags)), execution_options={"populate_existing": True}
        ),
    }


def _conditions(m: Any) -> dict[str, Question]:
    Task, Comment, Person, Employee = m.Task, m.Comment, m.Person, m.Employee
    Department, Assignment, Tag = m.Department, m.Assignment, m.Tag
    tasks = select(Task.title).order_by(Task.id)
    return {
        "any": lambda s: s.scalars(tasks.where(Task.tags.any(Tag.name == "blue"))),
        "not any": lambda s: s.scalars(tasks.where(~Task.comments.any())),
        "has": lambda s: s.scalars(
            select(Comment.text).where(Comment.author.has(Person.name < "C")).order_by(Comment.id)
        ),
        "contains": lambda s: [
            s.scalars(tasks.where(Task.tags.contains(tag))).all()
            for tag in found(s, select(Tag).order_by(Tag.id))
        ],
        "compare with an object": lambda s: [
            s.scalars(select(Comment.id).where(Comment.task == t).order_by(Comment.id)).all()
            for t in found(s, select(Task).order_by(Task.id))
        ],
        "with_parent": lambda s: [
            found(s, select(Comment).where(with_parent(t, Task.comments)).order_by(Comment.id))
            for t in found(s, select(Task).order_by(Task.id))
        ],
        "of_type": lambda s: s.scalars(
            select(Department.name)
            .join(Department.staff.of_type(m.Manager))
            .where(m.Manager.bonus > 4)
            .order_by(Department.name)
        ),
        "any of_type": lambda s: s.scalars(
            select(Department.name)
            .where(Department.staff.of_type(m.Manager).any(m.Manager.bonus > 4))
            .order_by(Department.name)
        ),
        "exists": lambda s: s.scalars(
            tasks.where(exists().where(Assignment.task_id == Task.id, Assignment.hours > 3))
        ),
        "select exists": lambda s: s.scalar(select(exists(select(m.Debt)))),
        "in subquery": lambda s: s.scalars(
            tasks.where(Task.id.in_(select(Comment.task_id).where(Comment.likes > 2)))
        ),
        "not in subquery": lambda s: s.scalars(
            tasks.where(Task.id.not_in(select(Assignment.task_id)))
        ),
        "in list": lambda s: s.scalars(tasks.where(Task.id.in_([1, 3, 7]))),
        "in tuples": lambda s: s.scalars(
            select(m.Account.balance).where(
                tuple_(m.Account.bank, m.Account.number).in_([("north", 1), ("south", 1)])
            )
        ),
        "scalar subquery": lambda s: s.execute(
            select(
                Task.title,
                select(func.max(Comment.likes)).where(Comment.task_id == Task.id).scalar_subquery(),
            ).order_by(Task.id)
        ),
        "correlated twice": lambda s: s.scalars(
            tasks.where(
                exists().where(
                    Comment.task_id == Task.id,
                    exists().where(Person.id == Comment.author_id, Person.name > "A"),
                )
            )
        ),
        "all and any of a subquery": lambda s: s.scalars(
            select(Comment.text)
            .where(
                Comment.likes
                >= select(func.coalesce(func.max(Assignment.hours), 0)).scalar_subquery()
            )
            .order_by(Comment.id)
        ),
        "hybrid": lambda s: s.scalars(tasks.where(Task.days > 1)),
        "composite": lambda s: s.scalars(tasks.where(Task.span == Span(3, 30))),
        "synonym": lambda s: s.scalars(
            select(Person.called).where(Person.called.like("%n%")).order_by(Person.called)
        ),
        "aliased column": lambda s: s.execute(
            select(Person.nickname, Person.id).where(Person.nickname.is_not(None)).order_by("id")
        ),
        "column_property in a condition": lambda s: s.scalars(
            tasks.where(Task.comment_count > 0).order_by(Task.comment_count)
        ),
        "enum": lambda s: s.scalars(
            tasks.where(Task.state.in_([State.OPEN, State.DONE]), Task.state != State.DONE)
        ),
        "json": lambda s: s.execute(
            select(Task.data["size"].as_integer(), Task.data[("who", "name")].as_string())
            .where(or_(Task.data["size"].as_integer() > 1, Task.data.is_(None)))
            .order_by(Task.id)
        ),
        "json length": lambda s: s.scalars(
            select(
                func.coalesce(func.length(cast(Task.data["size"].as_string(), String(9))), 0)
            ).order_by(Task.id)
        ),
        "numeric": lambda s: s.scalars(
            select(Employee.salary * 2).where(Employee.salary.between(11, 99)).order_by(Employee.id)
        ),
        "datetime": lambda s: s.execute(
            select(Task.due, func.coalesce(Task.due, None) > Task.due).order_by(Task.due, Task.id)
        ),
        "case and cast": lambda s: s.execute(
            select(
                case((Task.state == State.OPEN, "o"), else_=cast(Task.id, String(5))),
                type_coerce(Task.id, Integer),
                func.coalesce(Task.description, literal("-")),
            ).order_by(Task.id)
        ),
        "text fragments": lambda s: s.execute(
            select(Task.id, text("title")).where(text("id > :low")).order_by(text("title DESC")),
            {"low": 1},
        ),
        "literal columns": lambda s: s.execute(
            select(literal_column("likes * 2").label("twice"), Comment.text)
            .where(literal_column("comment.likes") > 0)
            .order_by(Comment.id)
        ),
        "bound parameters": lambda s: s.scalars(
            tasks.where(Task.id == bindparam("wanted")), {"wanted": 2}
        ),
        "order by enum": lambda s: (
            s.scalars(select(Task.state).order_by(Task.state, Task.id)).all(),
            s.execute(
                select(Task.id, (label := Task.state.label("s"))).order_by(label.desc(), Task.id)
            ).all(),
            s.execute(
                select(Task.id, func.row_number().over(order_by=(Task.state, Task.id))).order_by(
                    Task.id
                )
            ).all(),
            s.scalars(
                select((one := select(Task).subquery()).c.title).order_by(one.c.state, one.c.id)
            ).all(),
        ),
        "expressions in order by": lambda s: s.scalars(
            select(Task.title).order_by(
                case((Task.state == State.DONE, 0), else_=1),
                func.length(Task.title).desc(),
                Task.id,
            )
        ),
        "order by a subquery": lambda s: s.scalars(
            select(Task.title).order_by(
                select(func.count()).where(Comment.task_id == Task.id).scalar_subquery().desc(),
                Task.id,
            )
        ),
        "order by a hybrid": lambda s: s.scalars(
            select(Task.title).order_by(func.coalesce(Task.days, 0).desc(), Task.id)
        ),
        "best by its absence": lambda s: s.scalars(
            select(Comment.text)
            .where(
                ~exists().where(
                    (other := aliased(Comment)).task_id == Comment.task_id,
                    tuple_(other.likes, other.id) > tuple_(Comment.likes, Comment.id),
                )
            )
            .order_by(Comment.id)
        ),
        "patterns": lambda s: s.scalars(
            tasks.where(or_(Task.title.icontains("PLAN"), Task.title.startswith("Sw")))
        ),
        "comparison of columns": lambda s: s.execute(
            select(Comment.id, Assignment.hours)
            .where(Comment.task_id == Assignment.task_id, Comment.likes != Assignment.hours)
            .order_by(Comment.id, Assignment.hours)
        ),
        "and, or, not, null": lambda s: s.scalars(
            tasks.where(
                or_(and_(Task.due.is_(None), not_(Task.category_id.is_(None))), false()),
                Task.description.is_not_distinct_from(null()),
            )
        ),
    }


def _aliases(m: Any) -> dict[str, Question]:
    Task, Comment, Person = m.Task, m.Comment, m.Person
    Department, Employee, Tag = m.Department, m.Employee, m.Tag
    upper, lower = aliased(Department), aliased(Department, name="lower_department")
    best = select(Task).where(Task.days > 1).subquery()
    return {
        "join": lambda s: s.execute(
            select(Task.title, Tag.name).join(Task.tags).order_by(Task.id, Tag.id)
        ),
        "outer join": lambda s: s.execute(
            select(Task.title, Comment.text).outerjoin(Task.comments).order_by(Task.id, Comment.id)
        ),
        "join to an unversioned class": lambda s: s.execute(
            select(Task.title, m.Category.name).join(Task.category).order_by(Task.id)
        ),
        "join of joined subclasses": lambda s: s.execute(
            select(Employee.name, Department.name)
            .join(Employee.department)
            .where(Employee.salary > 11)
            .order_by(Employee.id)
        ),
        "join through an association": lambda s: s.execute(
            select(Task.title, Employee.name, m.Assignment.hours)
            .join(Task.assignments)
            .join(m.Assignment.employee)
            .order_by(Task.id, Employee.id)
        ),
        "self-referential join": lambda s: s.execute(
            select(Department.name, upper.name)
            .join(Department.parent.of_type(upper))
            .order_by(Department.id)
        ),
        "two aliases": lambda s: s.execute(
            select(upper, lower).join(lower, upper.id == lower.parent_id).order_by(lower.id)
        ),
        "alias of a subclass": lambda s: found(
            s, select(boss := aliased(m.Manager)).order_by(boss.bonus.desc(), boss.id)
        ),
        "flat alias of a subclass": lambda s: s.execute(
            select(Department.name, (one := aliased(Employee, flat=True)).name)
            .join(Department.staff.of_type(one))
            .order_by(one.id)
        ),
        "aliased subquery": lambda s: found(
            s, select(few := aliased(Task, best)).order_by(few.id).options(selectinload(few.tags))
        ),
        "join from a subquery": lambda s: s.execute(
            select(best.c.title, Comment.text)
            .join(Comment, Comment.task_id == best.c.id)
            .order_by(Comment.id)
        ),
        "from a subquery of a subquery": lambda s: s.execute(
            select(
                select(
                    (one := select(Person.id, Person.name).subquery()).c.name, one.c.id
                ).subquery()
            ).order_by("id")
        ),
        "bundle": lambda s: [
            (pair.title, pair.state)
            for (pair,) in s.execute(select(Bundle("pair", Task.title, Task.state)).order_by("id"))
        ],
        "entities and columns": lambda s: s.execute(
            select(Task, Comment.text, Person)
            .join(Task.comments)
            .outerjoin(Comment.author)
            .order_by(Comment.id)
        ),
        "with_expression": lambda s: found(
            s,
            select(Person)
            .options(with_expression(Person.size, func.length(Person.name)))
            .order_by(Person.id),
        ),
        "label": lambda s: s.execute(
            select(Person.id, func.length(Person.name).label("size")).order_by("size", "id")
        ),
        "select_from": lambda s: s.execute(
            select(Comment.text).select_from(Person).join(Person.comments).order_by(Comment.id)
        ),
        "orm join": lambda s: s.execute(
            select(Task.title, Comment.text)
            .select_from(join(Task, Comment, Task.comments).join(Person, Comment.author))
            .order_by(Comment.id)
        ),
        "join on a condition": lambda s: s.execute(
            select(Tag.name, Department.name)
            .join(Department, func.length(Department.name) == func.length(Tag.name))
            .order_by(Tag.id, Department.id)
        ),
    }


def _sets(m: Any) -> dict[str, Question]:
    Task, Comment, Person = m.Task, m.Comment, m.Person
    Department, Tag = m.Department, m.Tag
    names = [select(Task.title.label("name")), select(Tag.name), select(Person.name)]

    def descendants(s: Session) -> Any:
        start = (
            select(Department.id, Department.name, literal(0).label("depth"))
            .where(Department.parent_id.is_(None))
            .cte("descendants", recursive=True)
        )
        every = start.union_all(
            select(Department.id, Department.name, start.c.depth + 1).join(
                start, Department.parent_id == start.c.id
            )
        )
        return s.execute(select(every.c.name, every.c.depth).order_by(every.c.id))

    def entities_of_tree(s: Session) -> Any:
        start = select(Department).where(Department.id == 3).cte("branch", recursive=True)
        every = start.union(select(Department).join(start, Department.parent_id == start.c.id))
        return found(s, select(one := aliased(Department, every)).order_by(one.id))

    def several_ctes(s: Session) -> Any:
        one = select(Comment.task_id, func.sum(Comment.likes).label("likes")).group_by(
            Comment.task_id
        )
        likes = one.cte("likes")
        liked = select(Task.id, likes.c.likes).join(likes, likes.c.task_id == Task.id).cte("liked")
        return s.execute(
            select(Task.title, liked.c.likes).join(liked, liked.c.id == Task.id).order_by(Task.id)
        )

    return {
        "union": lambda s: s.scalars(union(*names).order_by("name")),
        "union all": lambda s: s.scalars(union_all(*names).order_by("name")),
        "intersect": lambda s: s.scalars(
            intersect(select(Comment.task_id), select(m.Assignment.task_id)).order_by("task_id")
        ),
        "except": lambda s: s.scalars(
            except_(select(Task.id), select(Comment.task_id)).order_by("id")
        ),
        "union of entities": lambda s: found(
            s,
            select(Task).from_statement(
                union_all(select(Task).where(Task.id == 1), select(Task).where(Task.id > 2))
            ),
        ),
        "alias of a union": lambda s: found(
            s,
            select(
                one := aliased(
                    Task,
                    union_all(
                        select(Task).where(Task.id == 1), select(Task).where(Task.id == 2)
                    ).subquery(),
                )
            ).order_by(one.id),
        ),
        "from_statement": lambda s: found(
            s, select(Task).from_statement(select(Task.__table__).order_by(Task.__table__.c.id))
        ),
        "from_statement with loads": lambda s: found(
            s,
            select(Task)
            .options(selectinload(Task.tags))
            .from_statement(select(Task).where(Task.id < 3).order_by(Task.id)),
        ),
        "cte": lambda s: s.scalars(
            select((some := select(Task.id, Task.title).where(Task.id > 1).cte()).c.title).order_by(
                some.c.id
            )
        ),
        "cte of entities": lambda s: found(
            s,
            select(
                one := aliased(Task, select(Task).where(Task.id != 2).cte("some_tasks"))
            ).order_by(one.id),
        ),
        "alias of a cte": lambda s: s.execute(
            select(
                (one := select(Tag.id, Tag.name).cte("tags")).c.name, (two := one.alias()).c.name
            )
            .where(one.c.id < two.c.id)
            .order_by(one.c.id, two.c.id)
        ),
        "nested cte": lambda s: s.scalars(
            select(
                select((few := select(Tag.name, Tag.id).cte("few", nesting=True)).c.name, few.c.id)
                .where(few.c.id > 1)
                .subquery()
                .c.name
            ).order_by("name")
        ),
        "ctes of ctes": several_ctes,
        "recursive cte": descendants,
        "recursive cte of entities": entities_of_tree,
        "distinct": lambda s: s.scalars(
            select(Comment.task_id).distinct().order_by(Comment.task_id)
        ),
        "distinct entities": lambda s: sorted(
            found(s, select(Person.id).distinct().join(Person.comments))
        ),
        "limit and offset": lambda s: s.scalars(
            select(Person.name).order_by(Person.name.desc()).limit(2).offset(1)
        ),
    }


def _numbers(m: Any) -> dict[str, Question]:
    Task, Comment, Person, Employee = m.Task, m.Comment, m.Person, m.Employee
    return {
        "count": lambda s: s.scalar(select(func.count()).select_from(Task)),
        "function": lambda s: s.scalar(func.count(Task.id)),
        "aggregates": lambda s: s.execute(
            select(
                func.count(Employee.id),
                func.sum(Employee.salary),
                func.min(Employee.name),
                func.max(Employee.salary),
            )
        ).one(),
        "group by": lambda s: s.execute(
            select(
                Comment.task_id, func.sum(Comment.likes), func.count(func.distinct(Comment.text))
            )
            .group_by(Comment.task_id)
            .order_by(Comment.task_id)
        ),
        "having": lambda s: s.execute(
            select(Task.state, func.count())
            .group_by(Task.state)
            .having(func.count() > 1)
            .order_by(func.count(), func.min(Task.id))
        ),
        "group by the primary key": lambda s: s.execute(
            select(Person, func.count(Comment.id))
            .outerjoin(Person.comments)
            .group_by(Person.id)
            .order_by(Person.id)
        ),
        "group by the primary key of an alias": lambda s: s.execute(
            select((one := aliased(Person)).name, one.nickname, func.count(Comment.id))
            .outerjoin(one.comments)
            .group_by(one.id)
            .order_by(one.name)
        ),
        "group by the primary key of a class with JSON": lambda s: s.execute(
            select(Task, func.count(Comment.id), func.length(Task.title))
            .outerjoin(Task.comments)
            .group_by(Task.id)
            .having(func.length(Task.title) > 1)
            .order_by(Task.title, Task.id)
        ),
        "group by an expression": lambda s: s.execute(
            select((size := func.length(Person.name)).label("size"), func.count())
            .group_by(size)
            .order_by("size")
        ),
        "window": lambda s: s.execute(
            select(
                Comment.id,
                func.row_number().over(
                    partition_by=Comment.task_id, order_by=(Comment.likes.desc(), Comment.id)
                ),
                func.sum(Comment.likes).over(order_by=Comment.id),
            ).order_by(Comment.id)
        ),
        "best of each": lambda s: found(
            s,
            select(one := aliased(Comment, (ranked := _ranked(Comment))))
            .where(ranked.c.place == 1)
            .order_by(one.id),
        ),
        "filtered aggregate": lambda s: s.scalar(
            select(func.sum(case((Comment.likes > 2, 1), else_=0)))
        ),
    }


def _ranked(Comment: Any) -> Any:
    place = func.row_number().over(
        partition_by=Comment.task_id, order_by=(Comment.likes.desc(), Comment.id)
    )
    return select(Comment, place.label("place")).subquery()


def _tables(m: Any) -> dict[str, Question]:
    task, comment, tag, link = (
        m.Task.__table__,
        m.Comment.__table__,
        m.Tag.__table__,
        m.task_tag,
    )
    person, employee, account = m.Person.__table__, m.Employee.__table__, m.Account.__table__
    return {
        "table": lambda s: s.execute(select(task).order_by(task.c.id)),
        "table.select()": lambda s: s.execute(task.select().where(task.c.id > 1).order_by("id")),
        "columns": lambda s: s.execute(select(task.c.title, task.c.data).order_by(task.c.id)),
        "association table": lambda s: s.execute(select(link).order_by(*link.c)),
        "composite key": lambda s: s.execute(select(account).order_by(*account.c)),
        "join of tables": lambda s: s.execute(
            select(task.c.title, tag.c.name)
            .select_from(task.join(link).join(tag))
            .order_by(task.c.id, tag.c.id)
        ),
        "outer join of tables": lambda s: s.execute(
            select(person.c.name, employee.c.salary)
            .select_from(person.outerjoin(employee))
            .order_by(person.c.id)
        ),
        "alias of a table": lambda s: s.execute(
            select((one := task.alias("one")).c.title, (two := task.alias()).c.title)
            .where(one.c.id < two.c.id)
            .order_by(one.c.id, two.c.id)
        ),
        "subquery of tables": lambda s: s.execute(
            select(task.c.id)
            .where(task.c.id.in_(select(comment.c.task_id).where(comment.c.likes > 1)))
            .order_by(task.c.id)
        ),
        "another table of that name": lambda s: s.execute(
            select((t := table("comment", column("text"), column("id"))).c.text).order_by(t.c.id)
        ),
        "alias of another table of that name": lambda s: s.execute(
            select((t := table("comment", column("text"), column("id")).alias("c")).c.text)
            .where(t.c.id == comment.c.id)
            .order_by(t.c.id)
        ),
        "tables and entities": lambda s: s.execute(
            select(m.Task, comment.c.text)
            .join(comment, comment.c.task_id == m.Task.id)
            .order_by(comment.c.id)
        ),
        "scalar subquery of a table": lambda s: s.scalar(
            select(select(func.count()).select_from(tag).scalar_subquery() + 1)
        ),
        "unversioned table": lambda s: s.execute(select(m.Category.__table__).order_by("id")),
        "no table": lambda s: s.execute(select(literal(1), literal("x"))).one(),
    }


def _sessions(m: Any) -> dict[str, Question]:
    Task, Comment, Person, Tag = m.Task, m.Comment, m.Person, m.Tag
    Assignment, Account = m.Assignment, m.Account
    tasks = select(Task).order_by(Task.id)

    def reloaded(s: Session) -> Any:
        every = found(s, tasks)
        for task in every:
            s.refresh(task)
        for task in every:
            s.expire(task, ["title"])
        titles = [task.title for task in every]
        s.expire_all()
        return titles, [(task.title, task.tags) for task in every]

    def refreshed_collection(s: Session) -> Any:
        every = found(s, tasks.options(selectinload(Task.tags)))
        for task in every:
            s.refresh(task, ["tags", "comments"])
        return every

    def reloaded_people(s: Session) -> Any:
        every = found(s, select(Person).order_by(Person.id))
        s.expire_all()
        return [(p.name, p) for p in every]

    def by_lambda(s: Session, low: int) -> Any:
        statement = lambda_stmt(lambda: select(Task))
        statement += lambda each: each.where(Task.id > low)
        statement += lambda each: each.order_by(Task.id)
        return found(s, statement)

    return {
        "get": lambda s: [s.get(Task, n) for n in (1, 2, 3, 9)],
        "get by composite key": lambda s: [
            s.get(Account, key) for key in (("north", 1), ("south", 1), ("north", 2))
        ],
        "get with options": lambda s: s.get(Task, 1, options=[joinedload(Task.tags)]),
        "get and populate_existing": lambda s: (
            s.get(Task, 1),
            s.get(Task, 1, populate_existing=True),
        ),
        "get twice": lambda s: s.get(Task, 1) is s.get(Task, 1),
        "get of a subclass": lambda s: [
            s.get(m.Bug, 1),
            s.get(m.Bug, 2),
            s.get(m.Manager, 3),
            s.get(Person, 3),
        ],
        "get_one": lambda s: [refusal(lambda n=n: plain(s.get_one(Tag, n))) for n in (1, 9)],
        "many-to-one from the identity map": lambda s: (
            found(s, select(Person)) and [c.author for c in found(s, select(Comment))] and None
        ),
        "refresh and expire": reloaded,
        "refresh of collections": refreshed_collection,
        "reload of joined subclasses": reloaded_people,
        "yield_per": lambda s: [
            plain(each) for each in s.scalars(tasks.execution_options(yield_per=2))
        ],
        "partitions": lambda s: [
            plain(each)
            for each in s.scalars(tasks, execution_options={"stream_results": True}).partitions(2)
        ],
        "mappings": lambda s: s.execute(
            select(Task.id, Task.title.label("t")).order_by(Task.id)
        ).mappings(),
        "lambda statement": lambda s: (by_lambda(s, 0), by_lambda(s, 2)),
        "query": lambda s: s.query(Task).order_by(Task.id).all(),
        "query.count": lambda s: (s.query(Task).count(), s.query(Comment.id).distinct().count()),
        "query.filter_by": lambda s: s.query(Tag).filter_by(name="blue").order_by(Tag.id).all(),
        "query.first": lambda s: s.query(Task).order_by(Task.id).first(),
        "query.join": lambda s: (
            s.query(Task, Tag.name).join(Task.tags).order_by(Task.id, Tag.id).all()
        ),
        "query.union": lambda s: (
            s.query(Tag).filter_by(id=1).union(s.query(Tag).filter(Tag.id > 2)).count(),
            s.query(Task).filter_by(id=1).union_all(s.query(Task).filter_by(id=3)).all(),
        ),
        "query.enable_eagerloads": lambda s: (
            s.query(Task).options(joinedload(Task.tags)).enable_eagerloads(False).order_by(Task.id)
        ),
        "query.exists": lambda s: s.query(s.query(Comment).filter_by(likes=2).exists()).scalar(),
        "query.options": lambda s: (
            s.query(Task).options(subqueryload(Task.comments)).order_by(Task.id).limit(2).all()
        ),
        "query.subquery": lambda s: (
            s.query(Person.name)
            .join(few := s.query(Comment.author_id).subquery(), few.c.author_id == Person.id)
            .distinct()
            .count()
        ),
        "query.from_statement": lambda s: s.query(Task).from_statement(tasks).all(),
        "query.with_entities": lambda s: (
            s.query(Task).with_entities(Task.id).order_by(Task.id).all()
        ),
        "query.slice and values": lambda s: (
            s.query(Task).order_by(Task.id)[1:3],
            [tuple(row) for row in s.query(Assignment.hours).order_by(Assignment.hours)],
        ),
        "query.yield_per": lambda s: [plain(t) for t in s.query(Tag).order_by(Tag.id).yield_per(1)],
        "one_or_none": lambda s: s.scalars(select(Tag).where(Tag.id == 4)).one_or_none(),
    }
