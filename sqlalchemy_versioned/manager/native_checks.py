"""What triggers, and guards of history, cannot do: refused when mappers are configured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Table, inspect
from sqlalchemy.orm import Mapper

from ..capture.reach import Reach
from ..database.foreign_keys import ACTS, Edge
from ..exc import ImproperlyConfigured
from ..hooks import PluginCollection
from ..model.spec import Hierarchy, VersionSpec
from ..triggers.flags import list_flags

__all__ = [
    "check_append_only",
    "check_modes",
    "check_plugins",
    "check_spec",
    "check_subclasses",
]

#: Hooks that are told what a session records, or add to it.
_RECORDING_HOOKS = (
    "after_build_version_table_columns",
    "version_values",
    "column_values",
    "before_create_version_objects",
    "after_create_version_objects",
)


def check_plugins(plugins: PluginCollection) -> None:
    """Refuse plugins that take part in recording, which triggers do without them.

    :raises ImproperlyConfigured: if there is one.
    """
    for hook in _RECORDING_HOOKS:
        for plugin in plugins.overriding(hook):
            owner = next(cls for cls in type(plugin).__mro__ if hook in vars(cls))
            if not vars(owner).get("is_known_to_triggers", False):
                raise ImproperlyConfigured(
                    f"{type(plugin).__name__} has the hook {hook}(), and with native=True triggers "
                    "record without plugins; leave the plugin out, or native=True, or let the "
                    "database do what the hook does and set 'is_known_to_triggers' beside it"
                )


def check_spec(spec: VersionSpec) -> None:
    """Refuse a table whose versions triggers cannot write.

    :raises ImproperlyConfigured: if it is one.
    """
    if len(spec.added) > len(spec.stamps) + len(list_flags(spec)):
        raise ImproperlyConfigured(
            f"Table {spec.parent_table.fullname!r} is to be recorded by triggers, which do not "
            "know columns that plugins add yet; leave that out, or native=True"
        )


def check_subclasses(classes: Collection[type[Any]], tables: Collection[Table]) -> None:
    """Refuse classes that are not versioned, and have rows where those of versioned ones are.

    :param classes: those that are versioned.
    :param tables: those that triggers record.
    :raises ImproperlyConfigured: if there is one.
    """
    for cls in classes:
        mapper: Mapper[Any] = inspect(cls)
        for below in mapper.self_and_descendants:
            shared = [str(table) for table in below.tables if table in tables]
            if shared and below.class_ not in classes:
                raise ImproperlyConfigured(
                    f"{below.class_.__name__} is not versioned, and has rows in {min(shared)}, all "
                    "of which are to be recorded by triggers; version it, or leave out native=True"
                )


def check_append_only(table: Table) -> None:
    """Refuse a table of history that foreign keys let the database change.

    :raises ImproperlyConfigured: if it is one.
    """
    for constraint in table.foreign_key_constraints:
        edge = Edge(constraint, table)
        if actions := ACTS.intersection((edge.on_delete, edge.on_update)):
            raise ImproperlyConfigured(
                f"the option append_only is set, and {table.fullname} has a foreign key with "
                f"{min(actions)}, by which the database would change history; leave one of them out"
            )


def check_modes(hierarchies: Mapping[Table, Hierarchy]) -> None:
    """Refuse foreign keys by which what triggers record changes rows that sessions record.

    Sessions would have to notice what others write.

    :param hierarchies: all versioned tables.
    :raises ImproperlyConfigured: if there is one.
    """
    modes = {s.parent_table: (s, h) for h in hierarchies.values() for s in h.tables}
    by_sessions = {table: spec for table, (spec, _) in modes.items() if not spec.is_native}
    if not by_sessions or len(by_sessions) == len(modes):
        return
    keyed = {table: spec for table, spec in by_sessions.items() if spec.key}
    reach = Reach(keyed, lambda spec: modes[spec.parent_table][1].related(spec))
    for table in modes:
        acts = reach.acts_on_delete(table) or reach.acts_on_update(table)
        if table not in by_sessions and acts:
            raise ImproperlyConfigured(
                f"triggers record {table.fullname}, and foreign keys let the database change rows "
                "with it that sessions record, which would not notice; let triggers record them, "
                "by the option native, or leave out ON DELETE and ON UPDATE"
            )
