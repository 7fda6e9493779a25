"""The statements that read who members are: those gained and lost, and those of two moments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, bindparam, select, union

from .._typing import select_rows, sql_literal
from ..database.key_conditions import KeyConditions
from ..database.keys import Style
from ..model.operation import Operation
from ..model.spec import ClassSpec
from .member_events import Events, says
from .members import Membership, Reference, relations_of
from .rows import rows_valid_at

__all__ = ["build_events", "build_members"]


def build_events(
    spec: ClassSpec, relation: str, *, keys: Style, transactions: Style
) -> Select[Any]:
    """Build the statement that reads whom owners gained and lost.

    Its parameters are the sets ``keys``, of owners, and ``transactions``.  A row has the key of the
    owner, the transaction, whether it was a gain, and the key of the member.
    """
    key = KeyConditions([pair.version for pair in spec.root.key], keys, "")
    parts: list[Select[Any]] = []
    for membership in relations_of(spec, relation):
        # Subclasses may have another kind of relationship under the name; versions tell of that.
        if isinstance(membership, Reference):
            continue
        number = KeyConditions([membership.spec.transaction_column], transactions, "")
        for is_gain in (True, False):
            events = Events(membership)
            owner = events.columns(membership.owner, is_gain=is_gain)
            member = events.columns(membership.member, is_gain=is_gain)
            event = select_rows(
                *[column.label(f"owner_{place}") for place, column in enumerate(owner)],
                events.transaction.label("number"),
                sql_literal("1" if is_gain else "0").label("is_gain"),
                *[column.label(f"member_{place}") for place, column in enumerate(member)],
            ).select_from(events.rows())
            parts.append(
                event.where(
                    number.member([events.transaction], "transactions"),
                    key.member(owner, "keys"),
                    events.is_gain() if is_gain else events.is_loss(),
                )
            )
    # Several rows may say the same.
    rows = union(*parts).subquery()
    return select(rows).order_by(*rows.c)


def build_members(membership: Membership) -> Select[Any]:
    """Build the statement that reads who belonged to whom at two moments.

    Its parameters are ``key_0`` and so on, and ``at``, each with ``old_`` or ``new_`` before it.
    A row tells which moment it is about, and the key of a member.
    """
    parts: list[Select[Any]] = []
    for place, side in enumerate(("old", "new")):
        rows = membership.spec.version_table.alias()
        at = bindparam(f"{side}_at", type_=membership.spec.transaction_column.type)
        key = [
            rows.c[column.key] == bindparam(f"{side}_key_{number}", type_=column.type)
            for number, column in enumerate(membership.owner)
        ]
        is_alive = rows.c[membership.spec.operation_column.key] != Operation.DELETE
        parts.append(
            select_rows(
                sql_literal(str(place)).label("side"),
                *[rows.c[c.key].label(f"member_{i}") for i, c in enumerate(membership.member)],
            ).where(
                *key, rows_valid_at(membership.spec, rows, at), is_alive, says(membership, rows)
            )
        )
    rows_of_both = union(*parts).subquery()
    return select(rows_of_both).order_by(*rows_of_both.c)
