"""What a transaction has recorded follows its savepoints."""

import pytest

from sqlalchemy_versioned.model.operation import Operation
from sqlalchemy_versioned.recording.records import Records

SPEC, OTHER = object(), object()


@pytest.fixture
def records():
    """Records of one row that was inserted."""
    records = Records()
    records.layer(None).note(SPEC, [1], Operation.INSERT)
    return records


def test_rolled_back_savepoint_leaves_nothing(records):
    """What was noted since the savepoint is gone with it."""
    records.layer("sp").note(SPEC, [1, 2], Operation.UPDATE)
    dropped = records.ended("sp", around=None)

    assert dropped is not None
    assert records.operations(SPEC) == {1: Operation.INSERT}


def test_released_savepoint_stays(records):
    """What was noted since the savepoint counts for the transaction around."""
    records.layer("sp").note(SPEC, [1], None)
    records.layer("sp").note(OTHER, [2], Operation.DELETE)
    records.released("sp")

    assert records.ended("sp", around=None) is None
    assert records.operations(SPEC) == {}
    assert records.of(OTHER, 2) is Operation.DELETE


def test_released_into_a_savepoint_that_is_rolled_back(records):
    """A savepoint inside another goes with it."""
    records.layer("inner").note(SPEC, [2], Operation.INSERT)
    records.released("inner")
    records.ended("inner", around="outer")
    records.ended("outer", around=None)

    assert records.operations(SPEC) == {1: Operation.INSERT}


def test_transaction_that_is_taken_back_in_a_savepoint(records):
    """It is there again when the savepoint is rolled back, and not when it is released."""
    records.layer(None).transaction = "transaction"
    records.take_back("sp")
    assert records.transaction is None
    records.ended("sp", around=None)
    assert records.transaction == "transaction"
    records.take_back("sp")
    records.released("sp")
    records.ended("sp", around=None)
    assert records.transaction is None


def test_transaction_begun_in_a_savepoint(records):
    """It is current until the savepoint is rolled back."""
    records.layer("sp").transaction = "transaction"
    assert records.transaction == "transaction"
    records.ended("sp", around=None)
    assert records.transaction is None


def test_added_values_follow_savepoints(records):
    """Values of columns that plugins have added are layered like operations."""
    records.layer(None).note_added(SPEC, {1: {"name_mod": True}})
    records.layer("sp").note_added(SPEC, {1: {"name_mod": True, "body_mod": True}})
    records.ended("sp", around=None)

    assert records.added(SPEC, 1) == {"name_mod": True}


def test_nothing_left_of_what_was_recorded(records):
    """Records are empty when every row came to nothing."""
    assert not records.is_empty()
    records.layer(None).note(SPEC, [1], None)
    assert records.is_empty()
