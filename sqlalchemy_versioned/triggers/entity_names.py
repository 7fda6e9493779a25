"""Names of what a transaction changed, kept beside it: what triggers write where sessions do not.

A plugin that wants them says so on the tables, by :data:`NAMES` in ``Table.info``.  The versions of
the transaction tell the names, so that what comes to nothing leaves none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table

from ..model.spec import VersionSpec
from .text import Text, fill

__all__ = ["NAMES", "EntityNames", "entity_names_of", "write_names"]

#: The key of ``Table.info`` of version tables that has their :class:`EntityNames`, and of the table
#: of transactions that has the table of the names; where there is no class, tables are named.
NAMES = "sqlalchemy_versioned.names"

OWN = """
SELECT true AS {here}, v.* FROM {version} AS v
WHERE {v_is_t} AND {v_transaction} = versioned_tx LIMIT 1
"""

#: Names are looked for again where nothing is left of a row, or another table tells its name.
NAMING = """
INSERT INTO {names} ({name_columns})
SELECT DISTINCT versioned_tx, {named} FROM ({touched}) AS t ({keys})
CROSS JOIN LATERAL (
    {own}
) AS own
WHERE {named} IS NOT NULL
ON CONFLICT DO NOTHING;
IF NOT versioned_begun AND ({is_renamed}EXISTS (
    SELECT FROM ({touched}) AS t ({keys})
    LEFT JOIN LATERAL (
        {own}
    ) AS own ON true
    WHERE own.{here} IS NULL
)) THEN
    DELETE FROM {names} AS c
    WHERE {number} = versioned_tx AND {name} = ANY (ARRAY[{all_names}])
        AND {name} <> ALL (ARRAY(
            SELECT DISTINCT {named} FROM {version} AS own
            WHERE {own_transaction} = versioned_tx AND {named} IS NOT NULL
        ));
END IF;
"""

#: Of rows without a key, nothing is ever taken back.
NAMING_ONCE = """
IF versioned_left > 0 THEN
    INSERT INTO {names} ({name_columns}) VALUES (versioned_tx, {named}) ON CONFLICT DO NOTHING;
END IF;
"""


@dataclass(frozen=True, slots=True, eq=False)
class EntityNames:
    """How the rows of a hierarchy are called, and where it is written."""

    table: Table
    #: The base-most table; it has a version of every event.
    root: VersionSpec
    #: All names; the first one is of what nothing else tells.
    names: tuple[str, ...]
    #: The column of its versions that tells names, with the name for each value.
    discriminator: Column[Any] | None = None
    kinds: Mapping[Any, str] | None = None
    #: The tables of subclasses that tell names, the last ones of a hierarchy first.
    tables: tuple[tuple[VersionSpec, str], ...] = ()


def entity_names_of(spec: VersionSpec) -> EntityNames | None:
    """Return how the rows of a table are called, or ``None`` if nobody wants to know."""
    names: EntityNames | None = spec.version_table.info.get(NAMES)
    if names is not None:
        return names
    table: Table | None = spec.transaction_table.info.get(NAMES)
    return None if table is None else EntityNames(table, spec, (spec.parent_table.name,))


def write_names(
    names: EntityNames,
    text: Text,
    *,
    spec: VersionSpec,
    touched: str | None,
    slots: Mapping[str, str],
) -> str:
    """Return the statements that write the names of the rows that a statement has changed.

    :param spec: the table of the rows.
    :param touched: selects their keys; ``None`` if they have none.
    :param slots: what names the versions of the base-most table.
    """
    number, name = names.table.c.transaction_id, names.table.c.entity_name
    slots = {
        **slots,
        "names": text.table(names.table),
        "name_columns": text.columns(None, [number, name]),
        "named": _named(names, text),
    }
    if touched is None:
        return fill(NAMING_ONCE, **slots)
    return fill(
        NAMING,
        touched=touched,
        is_renamed="true OR " if names.tables and spec is not names.root else "",
        own=fill(OWN, **slots),
        number=text.column("c", number),
        name=text.column("c", name),
        all_names=", ".join(text.string(each) for each in names.names),
        own_transaction=text.column("own", names.root.transaction_column),
        **slots,
    )


def _named(names: EntityNames, text: Text) -> str:
    """Return what the object of a version of the base-most table is called."""
    column = names.discriminator
    if column is not None and names.kinds is not None:
        kinds = [
            f"WHEN {text.value(kind, column)} THEN {text.string(name)}"
            for kind, name in names.kinds.items()
        ]
        return f"CASE {text.column('own', column)} {' '.join(kinds)} END"
    first, *_ = names.names
    if not names.tables:
        return text.string(first)
    parts = [
        f"WHEN EXISTS ({_part(names.root, spec, text)}) THEN {text.string(name)}"
        for spec, name in names.tables
    ]
    return f"CASE {' '.join(parts)} ELSE {text.string(first)} END"


def _part(root: VersionSpec, spec: VersionSpec, text: Text) -> str:
    """Select what an object has in the versions of a subclass's table."""
    same = [
        f"{text.column('w', here.version)} = {text.column('own', there.version)}"
        for here, there in zip(spec.key, root.key, strict=True)
    ]
    same.append(f"{text.column('w', spec.transaction_column)} = versioned_tx")
    return f"SELECT FROM {text.table(spec.version_table)} AS w WHERE {' AND '.join(same)}"
