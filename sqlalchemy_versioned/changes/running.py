"""Executing the statements of change records in a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from ..model.spec import ClassSpec
from .queries import ChangeQuery
from .records import ChangeRecord

__all__ = ["read_records", "read_rows"]


def read_rows(
    session: Session, spec: ClassSpec, statement: Any, parameters: Mapping[str, Any]
) -> Sequence[Any]:
    """Execute a statement where the versions of a class are."""
    # The mapper alone would not do: a statement that reads Transactions looks where those are.
    where = {"bind": session.get_bind(inspect(spec.version_class))}
    return session.execute(statement, parameters, bind_arguments=where).all()


def read_records(session: Session, spec: ClassSpec, query: ChangeQuery) -> list[ChangeRecord]:
    """Execute the statements that change records of a class are made of."""
    rows = read_rows(session, spec, query.statement, query.parameters)
    member_rows = {
        name: read_rows(session, spec, statement, parameters)
        for name, statement, parameters in query.member_queries(rows)
    }
    further = query.context_query(rows)
    context_rows = () if further is None else read_rows(session, spec, *further)
    return query.records(rows, member_rows, context_rows)
