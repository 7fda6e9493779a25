"""The programs that do what the introductions of other libraries promise."""

import re

import pytest


@pytest.fixture
def printed(run_example, capsys):
    """Run a program, and return the lines that it prints."""

    def run(name):
        run_example(name)
        return capsys.readouterr().out.splitlines()

    return run


def test_continuum(printed):
    """Versions are there after each commit, and lead back to what was."""
    assert printed("from_continuum.py") == [
        "The first version: Some article",
        "The second version: Updated name",
        "Reverted to the first version: Some article",
        "Versions stored for an update that changes nothing: 0",
        "After the deletion: None",
        "Restored: Some news ['news']",
        "Operations: ['INSERT', 'UPDATE', 'UPDATE', 'UPDATE', 'DELETE', 'INSERT']",
        "Changed by the last transaction: {'ArticleVersion': 1, 'TagVersion': 1}",
        "Tags of each version: [[], [], [], ['news'], [], ['news']]",
    ]


def test_sqlaudit(printed):
    """Changes of tracked fields tell the old and the new value, the moment and the user."""
    john, jane, *changes = printed("from_sqlaudit.py")

    assert john == "Customer 1 added with name John Doe and email jdoe@example.com."
    assert jane == "Customer 2 added with name Jane Doe and email jane@example.com."
    moment = re.compile(r" CHANGED AT \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00:00")
    assert [moment.sub("", each) for each in changes] == [
        "Customer 2, UPDATE: FIELD: 'name' TO Jane Smith (OLD: Jane Doe) BY USER ID 1",
        "Customer 2, INSERT: FIELD: 'name' TO Jane Doe (OLD: None) BY USER ID 1",
        "Customer 2, INSERT: FIELD: 'email' TO jane@example.com (OLD: None) BY USER ID 1",
        "Customer 2, INSERT: FIELD: 'user_id' TO 1 (OLD: None) BY USER ID 1",
    ]


def test_sqlalchemy_audit(printed):
    """Each change leaves a revision with an id and a moment; that of a deletion has the key."""
    newest, *revisions, refused = printed("from_sqlalchemy_audit.py")

    revision = re.compile(
        r"ReservationRev\(rev_id='[0-9a-f-]{36}', rev_created=\d+\.\d+, rev_isdelete=(\w+), id=1, "
        r"name=(\S+), date=(\S+), time=(\S+), party=(\w+), last_modified=(.+)\)"
    )
    found = [revision.fullmatch(each).groups() for each in revisions]
    assert [each[:5] for each in found] == [
        ("False", "'Steve'", "2015-04-15", "19:00:00", "6"),
        ("False", "'Steve'", "2015-04-15", "19:00:00", "4"),
        ("True", "None", "None", "None", "None"),
    ]
    assert [each[5] == "None" for each in found] == [False, False, True]
    assert newest.removeprefix("The newest revision: ") in revisions[1]
    assert refused == "VersionIsImmutableUpdate"


@pytest.mark.needs("triggers")
def test_sqlalchemy_postgresql_audit(run_example, capsys, database):
    """PostgreSQL records each change, with settings of the session; one that is required is."""
    program = run_example("from_sqlalchemy_postgresql_audit.py", "example")

    program["main"](database.url.render_as_string(hide_password=False))

    assert capsys.readouterr().out.splitlines() == [
        "Faults of triggers: []",
        "Statements that make them: 11",
        "Refused: the session variable audit.username is missing or empty",
        "Columns of public.foo_audr: bar, transaction_id, audit_operation, version_id, "
        "audit_username, audit_app_uuid, audit_operation_timestamp, audit_current_user",
        "I a O'Brien 00000000-0000-0000-0000-000000000007",
        "I b O'Brien 00000000-0000-0000-0000-000000000007",
        "U c psql None",
        "D a psql None",
    ]
