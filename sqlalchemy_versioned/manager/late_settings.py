"""What is said to a manager when it has versioned something already.

Classes and tables are built as options, plugins and the user class were when mappers were
configured.  They do not follow: tables are in databases by then, and objects and sessions in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import inspect

from .._typing import mapper_of
from ..build.core import said_of
from ..build.registry import Registry
from ..exc import ImproperlyConfigured
from ..hooks import Plugin
from ..options import KNOWN, Options
from .cores import CoreTables

__all__ = ["check_late_options", "check_late_plugins", "check_late_user_class", "check_mapped"]

_BEFORE = (
    "say it before mappers are configured, or call remove_versioning(), and make_versioned() with "
    "all of it"
)

#: The option that is asked for whenever something is written.
_ALWAYS_ASKED = "versioning"
#: The one that is asked for whenever something is said, and that triggers were made with.
_KEPT_BY_TRIGGERS = "session_variable_namespace"

#: The hooks that are called while something is built.
_BUILDING = (
    "after_build_version_table_columns",
    "after_build_tx_class",
    "after_version_class_built",
    "after_build_models",
)


def check_late_options(
    registry: Registry,
    cores: CoreTables,
    before: Options,
    said: Mapping[str, Any],
    after: Options,
    *,
    has_triggers: bool,
) -> None:
    """Refuse options that are other ones than what is versioned already has been built with.

    :param before: what holds for all classes; *after*: what would hold with what is *said*.
    :param has_triggers: whether triggers record some of them.
    :raises ImproperlyConfigured: for the first option that classes do not say themselves.
    """
    for name in said:
        old, new = _value(before, name), _value(after, name)
        if old == new or name == _ALWAYS_ASKED:
            continue
        if name == _KEPT_BY_TRIGGERS and not has_triggers:
            continue
        told = getattr(old, "value", old)
        if names := list(_following(registry, cores, name)):
            raise ImproperlyConfigured(
                f"make_versioned() says {name}={said[name]!r}, and {', '.join(names[:5])} "
                f"{'is' if len(names) == 1 else 'are'} versioned with {told!r} "
                f"already; {_BEFORE}, or say it of single classes"
            )


def _value(options: Options, name: str) -> Any:
    return getattr(options, name) if name in KNOWN else options.extra.get(name)


def _following(registry: Registry, cores: CoreTables, name: str) -> Iterator[str]:
    """Yield the names of what is versioned as the manager says about one option."""
    built = set(registry.associations)
    for cls, spec in registry.classes.items():
        built.update(each.parent_table for each in spec.tables)
        if not any(name in (said_of(each) or {}) for each in mapper_of(cls).iterate_to_root()):
            yield cls.__name__
    for table, said in zip(cores.tables, cores.said, strict=False):
        built.add(table)
        if name not in said:
            yield f"the table {table.fullname!r}"
    # Where there are version tables without version classes.
    yield from (f"the table {t.fullname!r}" for t in registry.tables if t not in built)


def check_late_plugins(registry: Registry, plugins: Iterable[Plugin]) -> None:
    """Refuse plugins that would have had something to do when things were built.

    :raises ImproperlyConfigured: for the first of them.
    """
    if not (registry.classes or registry.tables or registry.cores):
        return
    for plugin in plugins:
        for hook in _BUILDING:
            if getattr(type(plugin), hook) is not getattr(Plugin, hook):
                raise ImproperlyConfigured(
                    f"{type(plugin).__name__} is registered when there are versioned classes "
                    f"already, of which {hook}() would have told it; {_BEFORE}"
                )


def check_late_user_class(registry: Registry, user_cls: Any) -> None:
    """Refuse another user class than transactions link to.

    :raises ImproperlyConfigured: if it is another one.
    """
    cls = registry.transaction_class
    if cls is None or not registry.makes_transactions:
        return
    link = mapper_of(cls).relationships.get("user")
    known: type[Any] | None = None if link is None else link.mapper.class_
    if user_cls is known or (known is not None and str(user_cls) == known.__name__):
        return
    raise ImproperlyConfigured(
        f"make_versioned() says user_cls={user_cls!r}, and transactions link to "
        f"{'nobody' if known is None else known.__name__} already; {_BEFORE}"
    )


def check_mapped(registry: Registry) -> None:
    """Refuse to go on with classes that somebody has disposed of.

    :raises ImproperlyConfigured: if one is mapped no longer.
    """
    built = (*registry.classes, registry.transaction_class)
    gone = [cls for cls in built if cls is not None and inspect(cls, raiseerr=False) is None]
    if gone:
        raise ImproperlyConfigured(
            f"{', '.join(cls.__name__ for cls in gone[:5])} had been versioned when its mapper was "
            "disposed of, as by clear_mappers() or registry.dispose(); call remove_versioning() "
            "before that, or now, and make_versioned() again"
        )
