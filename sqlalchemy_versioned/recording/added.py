"""Values of columns that are no copies, which differ from row to row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..database.keys import Key
from ..model.spec import VersionSpec

__all__ = ["Added", "shared_values"]

#: Values of added columns: the key of the column, the value, the rows that have it or ``None`` for
#: all rows.
Added = list[tuple[str, Any, list[Key] | None]]


def shared_values(added: Mapping[Key, Mapping[str, Any]], spec: VersionSpec) -> Added:
    """Return the values of the columns that are added to one table, each with its rows.

    Most rows have the very same mapping as others: a look at each of those is enough.
    """
    mappings = {id(values): values for values in added.values()}
    rows: dict[int, list[Key]] = {}
    for key, values in added.items():
        rows.setdefault(id(values), []).append(key)
    names = {column.key for column in spec.added}
    having: dict[tuple[str, Any], list[int]] = {}
    told: dict[tuple[str, Any], Any] = {}
    for number, values in mappings.items():
        for name in values.keys() & names:
            mark = (name, _mark(values[name]))
            having.setdefault(mark, []).append(number)
            told[mark] = values[name]
    lists: dict[tuple[int, ...], list[Key] | None] = {tuple(mappings): None}
    shared: Added = []
    for mark, numbers in having.items():
        which = tuple(numbers)
        if which not in lists:
            lists[which] = [key for number in which for key in rows[number]]
        shared.append((mark[0], told[mark], lists[which]))
    return shared


def _mark(value: Any) -> Any:
    """Return what tells a value from others."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value
