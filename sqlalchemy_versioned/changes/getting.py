"""Change records of a class, read by one statement: what the package gives away first."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from ..database.sessions import awaited_as, flush, opened_session, sync_session
from ..exc import ImproperlyConfigured
from ..model.lookup import ensure_bound
from ..model.spec import ClassSpec
from .asked import check_class
from .queries import select_changes
from .records import ChangeRecord
from .running import read_records

__all__ = ["get_changes"]


@awaited_as("get_changes(…)")
def get_changes(
    model: Any,
    session: Any = None,
    *,
    object_ids: Any = None,
    fields: Any = None,
    relations: Any = None,
    user_ids: Any = None,
    between: tuple[datetime | None, datetime | None] | None = None,
    transaction: Any = None,
    operations: Any = None,
    sort_by: str = "issued_at",
    descending: bool = True,
    limit: int | None = None,
    offset: int | None = None,
) -> list[ChangeRecord]:
    """Return what changed of the objects of a class, newest first.

    A record tells what one transaction did to one object.  An insertion gives each field that has a
    value its new value, a deletion takes it; an update has the fields that differ.  Versions in
    which nothing differs have no record.  All filters must hold; an empty list matches nothing.

    One statement is sent, and one more for each relationship that is asked for and recorded in
    other rows, and for ``TransactionMetaPlugin``, however many records there are.

    :param model: a versioned class; objects of its subclasses are among the records, with all their
        fields.
    :param session: where to ask; what it has not flushed is flushed, unless autoflush is off.
        Without it, the option ``session_factory`` opens one, which is closed afterwards.
    :param object_ids: one object, primary key (a tuple if it has several columns), or a list.  With
        the option ``object_id_attribute``, values of that attribute instead of keys.
    :param fields: names of columns: records that changed one of them, with only these changes.
    :param relations: names of relationships whose changes are to be told as well: of one with many
        members, whom it lost and gained; of others, the former and the new target, all by their
        primary keys.  An object of which nothing else changed then has a record, too.
    :param user_ids: keys of users (tuples if they have several columns), or users; ``None`` in a
        list matches changes of nobody who is known.
    :param between: first and last moment, both included; ``None`` for either leaves it open.
        Without a time zone they are meant in that of the option ``time_zone``, if there is one.
    :param transaction: a Transaction, its id, or a list.
    :param operations: members of :class:`Operation`, their numbers or letters; one or a list.
    :param sort_by: ``'issued_at'``, ``'transaction_id'``, ``'object_id'`` or ``'operation'``; the
        transaction and the object decide between equals.
    :param descending: ``False`` for oldest, or smallest, first.
    :param limit: how many records at most.
    :param offset: how many records to pass over.
    :raises ClassNotVersioned: if *model* has no version class.
    :raises ImproperlyConfigured: if there is no session, and nothing to open one.
    :raises InvalidArgument: if a value cannot be used; it is a ``ValueError``, too.
    :raises InvalidArgumentType: if a value is of the wrong kind; it is a ``TypeError``, too.
    :raises RelationshipNotVersioned: if history does not tell of a relationship.

    >>> [record.transaction == last.id for record in get_changes(Article, session, fields=["name"])]
    [True, False]
    >>> get_changes(Article, session, object_ids=article, operations="D")
    []
    """

    spec = check_class(model)
    build = partial(
        select_changes,
        model,
        object_ids=object_ids,
        fields=fields,
        relations=relations,
        user_ids=user_ids,
        between=between,
        transaction=transaction,
        operations=operations,
        sort_by=sort_by,
        descending=descending,
        limit=limit,
        offset=offset,
    )
    with _session_for(spec, session) as asked:
        ensure_bound(asked, spec)
        dialect = asked.get_bind(inspect(spec.version_class)).dialect
        query = build(dialect=dialect)
        # Objects may get their keys by it.
        return read_records(asked, spec, build(dialect=dialect) if flush(asked) else query)


def _session_for(spec: ClassSpec, session: Any) -> AbstractContextManager[Session]:
    """Return the session that was given, or one that is opened and closed.

    :raises ImproperlyConfigured: if there is neither.
    """
    if session is not None:
        return nullcontext(sync_session(session))
    factory = spec.options.session_factory
    if factory is None:
        raise ImproperlyConfigured(
            f"get_changes({spec.parent_class.__name__}) has no session, and nothing opens one; "
            "give it a session, or give make_versioned() session_factory=sessionmaker(engine)"
        )
    return opened_session(factory)
