"""The settings of a database transaction by which sessions and triggers know of each other.

Each is set for a transaction only.  Once set on a connection, it is empty in later transactions.
"""

from __future__ import annotations

__all__ = ["EVENT", "MOMENTS", "PAUSED", "SAID", "TRANSACTIONS", "UPKEEP", "VALUES", "WANTED"]

#: The number of the transaction, by the ``oid`` of the table that has its row, as JSON.
TRANSACTIONS = "versioned.transactions"
#: When rows were written of which nobody said it, by the ``oid`` of their table and their number.
MOMENTS = "versioned.moments"
#: What the row is to hold, by column, as JSON; only an application says it.
VALUES = "versioned.values"
#: What versions that are events are to hold of the context, in the same way.
SAID = "versioned.said"
#: That statements are of one flush, and so of one event of each object: where the events of that
#: begin, by the ``oid`` of the table that numbers them, as JSON.
EVENT = "versioned.event"
#: Whether the row is kept although nothing is recorded.
WANTED = "versioned.wanted"
#: Whether nothing is recorded at present.
PAUSED = "versioned.paused"
#: Whether history is looked after, so that more than appending to it is let through.
UPKEEP = "versioned.upkeep"
