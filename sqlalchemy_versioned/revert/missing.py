"""What foreign keys refer to and is not there any more: refused, left out, or restored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, inspect, select
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from ..exc import IncompleteHistory, ReverterException
from ..model.lookup import find_spec
from ..query.conditions import valid_at
from .columns import column_of, have_one_of
from .live import chunks
from .nodes import Node, Objects, is_deletion
from .past import subclass_options
from .steps import Target

__all__ = ["ON_MISSING", "Missing", "class_behind"]

#: What can be done, as ``on_missing`` says it.
ON_MISSING = ("raise", "null", "restore")

_Value = tuple[Any, ...]


class Missing:
    """What to do about objects that are not there.

    :param at: the transaction whose state is to be restored.
    :param on_missing: one of :data:`ON_MISSING`.
    """

    def __init__(self, objects: Objects, at: int, on_missing: str) -> None:
        self._objects = objects
        self._session = objects.session
        self._at = at
        self._on_missing = on_missing

    def restore(
        self, cls: type[Any] | None, keys: Sequence[str], values: Sequence[_Value]
    ) -> dict[_Value, Target]:
        """Add the objects of *cls* that had some values to the plan, if that is what to do.

        :param keys: the attributes that had the values.
        :raises ReverterException: if one of them has other values now.
        """
        spec = None if cls is None else find_spec(cls)
        if self._on_missing != "restore" or spec is None or not set(keys) <= set(spec.columns):
            return {}
        entity = spec.version_class
        columns = [getattr(entity, key) for key in keys]
        found: list[Any] = []
        for some in chunks(values):
            had_one = have_one_of(columns, some)
            statement = select(entity).where(had_one, valid_at(spec, entity, self._at))
            # Versions are overwritten by statements the session does not see.
            versions = self._session.scalars(
                statement.options(*subclass_options(inspect(entity))),
                execution_options={"populate_existing": True},
            )
            found += [version for version in versions if not is_deletion(version)]
        nodes = self._objects.add(found, spec, {})
        return {
            tuple(getattr(version, key) for key in keys): self._gone(nodes[id(version)], keys)
            for version in found
        }

    def _gone(self, node: Node, keys: Sequence[str]) -> Target:
        live = node.target.live
        # It was looked for by these values and not found, so it has others now.
        if live is not None and live not in self._session.deleted:
            raise ReverterException(
                f"{node.target} was referred to by its {', '.join(keys)} of then, and has another "
                "now; revert that one first, or pass on_missing='null'"
            )
        return node.target

    def do_without(self, node: Node, keys: Sequence[str], cls: type[Any] | None, name: str) -> None:
        """Leave a foreign key empty.

        :param cls: the class that it refers to, if there is one.
        :raises ReverterException: if that was not asked for, or cannot be.
        :raises IncompleteHistory: if the object was to be restored, and is not known.
        """
        said = (
            f"{node.target} cannot be reverted: {_said(node, keys)} refers to {name}, which is not "
            "there"
        )
        if self._on_missing == "raise":
            raise ReverterException(
                f"{said} any more; revert that one first, name the relationship in relations, or "
                "pass on_missing='restore' to bring it back or on_missing='null' to leave the key "
                "empty"
            )
        if self._on_missing == "restore":
            raise _not_restorable(said, cls)
        empty = _can_be_empty(node, keys)
        if not empty:
            raise ReverterException(
                f"{said} any more, and it takes no NULL; revert that one first, name the "
                "relationship in relations, or pass on_missing='restore'"
            )
        node.overrides.update(dict.fromkeys(empty))

    def refuse_hidden(self, node: Node, keys: Sequence[str], name: str) -> None:
        """Refuse to refer to a row that is there, where the session does not show it.

        :raises ReverterException: unless the foreign key is to be left empty, and can be.
        """
        can_be_empty = bool(_can_be_empty(node, keys))
        if self._on_missing == "null" and can_be_empty:
            return
        other = ", or pass on_missing='null' to leave the key empty" if can_be_empty else ""
        raise ReverterException(
            f"{node.target} cannot be reverted: {_said(node, keys)} refers to {name}, whose row is "
            "there, but this session does not show it, as one with an event do_orm_execute that "
            f"hides rows; revert in a session that shows it{other}"
        )


def _said(node: Node, keys: Sequence[str]) -> str:
    return ", ".join(f"{key} = {node.value(key)!r}" for key in keys)


def _can_be_empty(node: Node, keys: Sequence[str]) -> list[str]:
    mapper: Mapper[Any] = inspect(node.spec.parent_class)
    columns = {key: column_of(mapper, key) for key in keys}
    return [key for key, each in columns.items() if each.nullable and not each.primary_key]


def _not_restorable(said: str, cls: type[Any] | None) -> ReverterException | IncompleteHistory:
    if cls is None or find_spec(cls) is None:
        return ReverterException(
            f"{said} any more, and cannot be restored, because it is not versioned; create it "
            "again, or pass on_missing='null'"
        )
    return IncompleteHistory(
        f"{said} any more, and history does not tell what it was; create it again, or pass "
        "on_missing='null'"
    )


def class_behind(table: Table) -> type[Any] | None:
    """Return the class whose objects have their rows in *table*; a versioned one, if there is."""
    found = [mapper for mapper in _sqlalchemy.all_mappers() if mapper.local_table is table]
    found.sort(key=lambda mapper: (find_spec(mapper.class_) is None, mapper.inherits is not None))
    return found[0].class_ if found else None
