"""What an application is asked that has moved; run in a process of its own, like it.

``python -m tests.moving.questions URL JOURNAL [native]``, with ``moved``, the copy of the
application whose imports are changed, to be found.  The answers come out as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import moved
import sqlalchemy as sa
from sqlalchemy.orm import Session

from sqlalchemy_versioned import Operation, as_of, version_class
from sqlalchemy_versioned.maintenance import repair, verify
from sqlalchemy_versioned.triggers import install_triggers

#: The columns that versions of each class are asked for, as the journal has them.
COLUMNS = {
    "Article": ("id", "name", "status", "settings", "score"),
    "Tag": ("id", "name"),
    "Comment": ("id", "body", "article_id"),
    "Animal": ("id", "kind", "name", "breed", "lives"),
    "Price": ("country", "product", "amount"),
}
RELATIONS = {"Article": ("tags", "comments"), "Tag": ("articles",)}


def main(url: str, journal: str) -> None:
    """Ask everything."""
    kept = json.loads(Path(journal).read_text())
    told = {int(number): each for number, each in kept["transactions"].items()}
    engine = moved.connect(url)
    if "native" in sys.argv:
        _change_triggers(engine)
    with Session(engine) as session:
        answers = {
            "faults": [_plain_fault(fault) for fault in verify(session)],
            "past": _differing_past(session, told),
            "transactions": _differing_transactions(session, told),
            "activities": _differing_activities(session, kept["activities"]),
            "versions": _differing_versions(session, told),
            "reverted": _reverted_otherwise(session, told),
            "mended": _mend(session),
            "past of mended": _differing_past(session, told),
            "continued": _continue(session, told),
        }
    print(json.dumps(answers))


def _change_triggers(engine: sa.Engine) -> None:
    """Do what the guide says: take the former triggers off, and let ours record."""
    tables = ("article", "tag", "comment", "animal", "dog", "price")
    statements = [f"DROP FUNCTION {table}_audit() CASCADE" for table in tables]
    with engine.begin() as connection:
        for statement in [*statements, "DROP FUNCTION transaction_temp_table_generator() CASCADE"]:
            connection.execute(sa.text(statement))
    install_triggers(moved.Base.metadata, engine)


def _plain_fault(fault: Any) -> list[Any]:
    return [fault.kind.value, fault.table, list(fault.key)]


def _differing_past(session: Session, told: Any) -> list[int]:
    """Return the transactions after which something reads otherwise than it did then."""
    return [tx for tx, (_, state) in told.items() if _state_at(session, tx) != state]


def _state_at(session: Session, tx: int) -> Any:
    # Rows that were added without a trace are there all the time.
    with as_of(session, tx, on_incomplete="ignore") as past:
        return _plain(moved.state_of(past))


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _differing_transactions(session: Session, told: Any) -> list[Any]:
    cls = moved.versioning_manager.transaction_cls
    found = {
        each.id: (each.user.name, each.remote_addr)
        for each in session.scalars(sa.select(cls).where(cls.id.in_(told)))
    }
    return [tx for tx, (user, _) in told.items() if found.get(tx) != (user, "::1")]


def _differing_activities(session: Session, told: list[list[int]]) -> list[Any]:
    """Return what was told of activities, and what they are, if that differs."""
    cls = moved.activities.activity_cls
    found = session.scalars(sa.select(cls).order_by(cls.id)).all()
    was = [[*each.data, each.object_id] for each in found]
    right = all(each.object is session.get(moved.Article, each.object_id) for each in found)
    return [] if was == told and right else [told, was]


def _differing_versions(session: Session, told: Any) -> list[Any]:
    """Return the objects whose versions are not the states that were told of."""
    differing = []
    for name in COLUMNS:
        cls = getattr(moved, name)
        for obj in session.scalars(sa.select(cls)):
            key = list(sa.inspect(obj).identity)
            if (states := _states_of(told, name, key)) and states != _versions_of(obj, name, told):
                differing.append([name, key, states, _versions_of(obj, name, told)])
    return differing


def _states_of(told: Any, name: str, key: list[Any]) -> list[Any]:
    """Return what was told of an object, each time its columns had changed; ``None`` if gone."""
    states: list[Any] = []
    size, last = len(COLUMNS[name]), None
    for tx, (_, state) in told.items():
        row = next((row for row in state[name] if row[: len(key)] == key), None)
        if (row and row[:size]) != last:
            states.append([tx, row])
            last = row and row[:size]
    return states


def _versions_of(obj: Any, name: str, told: Any) -> list[Any]:
    found = [v for v in obj.versions if v.transaction_id in told]
    return [[version.transaction_id, _row_of(version, name)] for version in found]


def _row_of(version: Any, name: str) -> Any:
    """Return a version as the journal has its object."""
    if version.operation_type == Operation.DELETE:
        return None
    values = [getattr(version, key, None) for key in COLUMNS[name]]
    values = [value.name if isinstance(value, moved.Status) else value for value in values]
    related = [sorted(each.id for each in getattr(version, key)) for key in RELATIONS.get(name, ())]
    return _plain([*values, *related])


def _reverted_otherwise(session: Session, told: Any) -> list[Any]:
    """Put each article back to its first and its last state; return those that came out wrong."""
    wrong = []
    cls = version_class(moved.Article)
    for key in session.scalars(sa.select(cls.id).distinct().order_by(cls.id)).all():
        states = [each for each in _states_of(told, "Article", [key]) if each[1] is not None]
        for tx, row in {each[0]: each for each in (states[:1] + states[-1:])}.values():
            version = session.scalars(sa.select(cls).filter_by(id=key, transaction_id=tx)).one()
            version.revert(relations=["tags", "comments"])
            session.flush()
            found = [each for each in moved.state_of(session)["Article"] if each[0] == key]
            if _plain(found) != [row]:
                wrong.append([tx, row, found])
            session.rollback()
    return wrong


def _continue(session: Session, told: Any) -> Any:
    """Go on with an article that has a history; return what its versions are then."""
    article = session.scalars(sa.select(moved.Article).order_by(moved.Article.id)).first()
    assert article is not None
    before = list(article.versions)
    article.name = "continued"
    article.tags = []
    session.commit()
    last, new = article.versions[-2:]
    session.delete(article)
    session.commit()
    assert last is before[-1]
    assert new.index == len(before)
    return {
        "ends": last.end_transaction_id == new.transaction_id > max(told),
        "changeset": new.changeset,
        "previous": new.previous is last,
        "operations": [new.operation_type, new.next.operation_type],
        "tags": [bool(last.tags), bool(new.tags)],
        "faults": [f for f in map(_plain_fault, verify(session)) if f[2][0] == new.id],
    }


def _mend(session: Session) -> Any:
    """Repair history; return what was wrong with it, and what is so still."""
    mended = repair(session)
    session.commit()
    faults = sorted(map(_plain_fault, mended.mended))
    return [faults, [*map(_plain_fault, mended.left), *map(_plain_fault, verify(session))]]


if __name__ == "__main__":
    main(*sys.argv[1:3])
