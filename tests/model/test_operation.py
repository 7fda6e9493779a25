"""How two operations on one row in one transaction merge."""

import pytest

from sqlalchemy_versioned.model.operation import Operation, merge

I, U, D = Operation  # noqa: E741


@pytest.mark.parametrize(
    ("recorded", "new", "remains"),
    [
        (None, I, I),
        (None, U, U),
        (None, D, D),
        (I, U, I),
        (I, D, None),
        (I, I, I),
        (U, U, U),
        (U, D, D),
        (U, I, U),
        (D, I, U),
        (D, U, U),
        (D, D, D),
    ],
)
def test_operations_merge(recorded, new, remains):
    """One operation per row and transaction says what became of the row."""
    assert merge(recorded, new) is remains


def test_operations_are_stored_as_numbers():
    """The numbers and letters are those of existing databases."""
    assert [(int(each), each.code) for each in Operation] == [(0, "I"), (1, "U"), (2, "D")]
