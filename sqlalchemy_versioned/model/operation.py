"""What happened to a row, and how two things that happened in one transaction merge.

The lowest layer of recording: pure rules, no database and no session.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["BEFORE_RECORDING", "Operation", "merge"]

#: The transaction id of the state that a row had before its first recorded change.  There is no
#: transaction with it.
BEFORE_RECORDING = 0


class Operation(IntEnum):
    """What a version records; stored as a small integer.

    >>> Operation.UPDATE.code, int(Operation.UPDATE)
    ('U', 1)
    """

    #: The row came into being.
    INSERT = 0
    #: The row was changed.
    UPDATE = 1
    #: The row ceased to be; the version holds its last stored values.
    DELETE = 2

    @property
    def code(self) -> str:
        """The first letter of the name: ``'I'``, ``'U'`` or ``'D'``."""
        return self.name[0]


def merge(recorded: Operation | None, new: Operation) -> Operation | None:
    """Return what remains of a row when *new* follows *recorded* in one transaction.

    :param recorded: what the transaction has recorded for the row so far, if anything.
    :returns: the operation to record, or ``None`` when nothing remains.

    >>> merge(Operation.INSERT, Operation.UPDATE).name
    'INSERT'
    >>> merge(Operation.INSERT, Operation.DELETE) is None
    True
    >>> merge(Operation.DELETE, Operation.INSERT).name
    'UPDATE'
    """
    if recorded is None:
        return new
    if new is Operation.DELETE:
        return None if recorded is Operation.INSERT else Operation.DELETE
    return Operation.INSERT if recorded is Operation.INSERT else Operation.UPDATE
