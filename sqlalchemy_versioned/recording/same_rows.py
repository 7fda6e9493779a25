"""Which keys are of one row, where only the database can tell.

A collation may take two texts for one, and an expression may change what is stored.  Python would
then record the row twice: under the key that an object has, and under the one that was assigned or
loaded.  :func:`find_known_forms` asks where that can be, and only there.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from ..database.keys import Key
from .records import Records
from .writer import TableWriter

__all__ = ["find_known_forms"]


def find_known_forms(
    writer: TableWriter,
    connection: Connection,
    tx: int,
    *,
    records: Records,
    left: list[Key],
    keys: Iterable[Key],
) -> dict[Key, Key]:
    """Return for some *keys* the form under which their rows are known to this transaction.

    :param left: former keys of rows whose key was changed.
    """
    forms = _left_for_another_form(writer, connection, tx, left=left, keys=keys)
    if not records.knows(writer.spec):
        return forms
    asked = dict.fromkeys(forms.get(key, key) for key in keys)
    strangers = [key for key in asked if records.of(writer.spec, key) is None]
    recorded = writer.recorded(connection, strangers, tx)
    if not recorded:
        return forms
    stored = writer.stored_forms(connection, recorded, tx, are_recorded=True)
    noted = {form: form for form in records.operations(writer.spec)}
    if not noted.keys() >= set(stored.values()):
        as_stored = writer.stored_forms(connection, list(noted), tx, are_recorded=True)
        noted |= {form: key for key, form in as_stored.items()}
    known = {key: noted[form] for key, form in stored.items() if form in noted}
    return {key: known.get(form, form) for key, form in forms.items()} | known


def _left_for_another_form(
    writer: TableWriter, connection: Connection, tx: int, *, left: list[Key], keys: Iterable[Key]
) -> dict[Key, Key]:
    """Return the new keys that the database takes for the keys they replace, with those."""
    if not left or not writer.is_any_taken(connection, left, tx):
        return {}
    former = writer.stored_forms(connection, left, tx, are_recorded=False)
    by_form = {form: key for key, form in former.items()}
    others = [key for key in dict.fromkeys(keys) if key not in former]
    stored = writer.stored_forms(connection, others, tx, are_recorded=False)
    return {key: by_form[form] for key, form in stored.items() if form in by_form}
