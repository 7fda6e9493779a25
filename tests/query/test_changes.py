"""Change records of random programs are what the live tables say, and filters choose among them."""

from itertools import groupby

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.orm import Session

from sqlalchemy_versioned import Operation, blame, get_changes, paused, version_class
from tests.journal import Journal, entry_of
from tests.statements import count_statements
from tests.zoo import STEPS, Program, build_zoo

# SQLAlchemy warns of some programs, versioned or not.
pytestmark = [
    pytest.mark.strategies,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]

RELATIONS = {"Post": ["tags", "marks", "labels", "notes"], "Tag": ["posts"], "Note": ["post"]}

numbers = st.integers(0, 23)
steps = st.tuples(st.sampled_from([*STEPS, *["link", "note"] * 3]), numbers, numbers)
programs = st.lists(steps, min_size=8, max_size=30)
#: Notes that come to a post, move to another, and are left or deleted there.
MOVES = [
    (name, which, value)
    for value in (0, 1, 0, 2)
    for which in (0, 1)
    for name in ("note", "link", "commit")
] + [("note", 0, 0), ("commit", 0, 0), ("note", 0, 1), ("delete", 20, 0)]

#: Fewer than elsewhere, because each is looked at in many ways.
some = settings(max_examples=4)


@pytest.fixture
def models(keep):
    """One class, or hierarchy of classes, of each shape."""
    return keep(build_zoo)


def run(zoo, session, program):
    """Run a program on empty tables, and return the journal of it."""
    with paused(session):
        for table in reversed(zoo.metadata.sorted_tables):
            session.execute(delete(table), bind_arguments={"bind": session.get_bind()})
        session.commit()
    journal = Journal(zoo, session)
    running = Program(zoo, session, journal.commit)
    running.populate()
    running.run(program)
    return journal


def by_transaction(records):
    """Return what records say, transaction by transaction."""
    groups = groupby(records, key=lambda record: record.transaction)
    return [{record.object_id: entry_of(record) for record in group} for _, group in groups]


@pytest.mark.strategies("validity", "subquery")
def test_records_of_random_programs(models, tables):
    """Each transaction did to each object what its rows, links and children say, and no more.

    Updates are the changesets of versions, and blame names the last record of each field.
    """

    @some
    @given(programs)
    @example(MOVES)
    def holds(program):
        with Session(tables, autoflush=False) as session:
            journal = run(models, session, program)
            for cls in models.roots:
                relations = RELATIONS.get(cls.__name__, [])
                check_records(journal, cls, session, relations, tables)
                records = check_records(journal, cls, session, [], tables)
                check_versions(cls, session, [r for r in records if r.operation == 1])
                check_blame(cls, session, records)

    holds()


def check_records(journal, cls, session, relations, engine):
    """Compare the records of a class with what the journal tells, and return them."""
    with count_statements(engine) as statements:
        records = get_changes(
            cls, session, relations=relations, sort_by="transaction_id", descending=False
        )
    assert by_transaction(records) == journal.told(cls.__name__, relations)
    assert statements.count <= 1 + len(relations)
    return records


def test_filters_choose_among_all_records(models, tables):
    """Whatever is asked for, and in which pages, the records are some of all records."""

    @some
    @given(programs, st.data())
    def holds(program, data):
        with Session(tables, autoflush=False) as session:
            run(models, session, program)
            for _ in range(8):
                cls = data.draw(st.sampled_from(list(models.classes.values())))
                relations = RELATIONS.get(cls.__name__, []) if data.draw(st.booleans()) else []
                check_filters(data, cls, session, relations)

    holds()


def check_filters(data, cls, session, relations):
    """Compare the records that filters leave with those that they should leave."""
    key = data.draw(st.sampled_from(["issued_at", "transaction_id", "object_id", "operation"]))
    descending = data.draw(st.booleans())
    every = get_changes(cls, session, relations=relations, sort_by=key, descending=descending)
    names = sorted({change.field for record in every for change in record.changes} - {*relations})
    keys = [record.object_id for record in every]
    moments = sorted({record.issued_at for record in every}) or [None]
    chosen = {
        "fields": data.draw(st.none() | st.sets(st.sampled_from(names or ["id"]), max_size=2)),
        "object_ids": data.draw(st.none() | st.lists(st.sampled_from(keys or [None]), max_size=4)),
        "operations": data.draw(st.none() | st.sets(st.sampled_from(list(Operation)))),
        "between": data.draw(st.none() | st.tuples(*[st.sampled_from(moments)] * 2).map(ordered)),
    }
    if not keys:
        chosen["object_ids"] = None
    limit, offset = data.draw(st.none() | st.integers(0, 5)), data.draw(st.integers(0, 3))
    expected = [cut for record in every if (cut := left_of(record, chosen, relations))]
    found = get_changes(
        cls,
        session,
        relations=relations,
        sort_by=key,
        descending=descending,
        limit=limit,
        offset=offset or None,
        **chosen,
    )
    end = None if limit is None else offset + limit
    assert [place_and_entry(record) for record in found] == expected[offset:end]


def ordered(moments):
    """Return two moments, the earlier one first, of which one may be None."""
    return moments if None in moments else tuple(sorted(moments))


def left_of(record, chosen, relations):
    """Return what filters leave of a record, or None."""
    start, end = chosen["between"] or (None, None)
    if (start and record.issued_at < start) or (end and record.issued_at > end):
        return None
    for name, value in (("object_ids", record.object_id), ("operations", record.operation)):
        if chosen[name] is not None and value not in chosen[name]:
            return None
    place, entry = place_and_entry(record)
    if chosen["fields"] is not None:
        wanted = {*chosen["fields"], *relations}
        kept = {name: change for name, change in entry.changes.items() if name in wanted}
        entry = entry._replace(changes=kept)
    return (place, entry) if entry.changes else None


def place_and_entry(record):
    """Return where a record belongs, and what it says."""
    return (record.transaction, record.object_id), entry_of(record)


def check_versions(cls, session, updates):
    """Compare some records with the changesets of the versions they were made from."""
    for record in updates[:6]:
        version = version_class(cls).version_at(session, record.object_id, record.transaction)
        changes = {change.field: [change.old, change.new] for change in record.changes}
        assert version.changeset == changes


def check_blame(cls, session, records):
    """Compare who is to blame with the records of some live objects."""
    for obj in session.query(cls).limit(3):
        identity = obj.__mapper__.primary_key_from_instance(obj)
        key = tuple(identity) if len(identity) > 1 else identity[0]
        own = [record for record in records if record.object_id == key]
        born = max(at for at, record in enumerate(own) if record.operation == 0)
        found = dict.fromkeys(blame(obj), own[born].transaction)
        for record in own[born:]:
            found |= {change.field: record.transaction for change in record.changes}
        assert {name: transaction.id for name, transaction in blame(obj).items()} == found
