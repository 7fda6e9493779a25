"""From a class, object or table to what stands for it in history, and back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table

from .._typing import is_table
from ..exc import ClassNotVersioned
from .lookup import (
    MANAGER,
    MANAGERS,
    TABLES,
    class_of,
    find_spec,
    get_versioning_manager,
    spec_of,
    table_spec_of,
)
from .spec import ClassSpec, VersionSpec

__all__ = [
    "end_tx_column_name",
    "is_switched_on",
    "is_versioned",
    "parent_class",
    "parent_table",
    "transaction_class",
    "tx_column_name",
    "version_class",
    "version_table",
]


def version_class(subject: Any) -> type[Any]:
    """Return the version class of a parent class or object.

    A class that has a manager but no version class (``versioning: False`` below a versioned
    superclass, or a version class itself) is returned as it is.

    :raises ClassNotVersioned: if no manager knows the class.

    >>> version_class(Article).__name__
    'ArticleVersion'
    """
    get_versioning_manager(_no_table(subject))
    spec = find_spec(subject)
    if spec is None or not spec.exposed:
        return class_of(subject)
    return spec.version_class


def _no_table(subject: Any) -> Any:
    if isinstance(subject, Table):
        raise ClassNotVersioned(
            f"Table {subject.fullname!r} is no class, and so has neither a version class nor a "
            "parent class; ask version_table() or parent_table(), or give the class"
        )
    return subject


def parent_class(version_cls: Any) -> type[Any]:
    """Return the class whose versions *version_cls* holds.

    :raises ClassNotVersioned: if no manager knows the class.
    :raises KeyError: if it is no version class.

    >>> parent_class(version_class(Article)).__name__
    'Article'
    """
    get_versioning_manager(_no_table(version_cls))
    spec = find_spec(version_cls)
    if spec is None or class_of(version_cls) is not spec.version_class:
        raise KeyError(f"{class_of(version_cls).__name__} is no version class; give one")
    return spec.parent_class


def transaction_class(subject: Any) -> type[Any]:
    """Return the Transaction class that the versions of a class, object or table belong to.

    :raises ClassNotVersioned: if no manager knows the class or table.

    >>> transaction_class(Article).__name__
    'Transaction'
    """
    manager = get_versioning_manager(subject)
    if isinstance(subject, Table):
        # Tables can do without it until something is recorded.
        manager.complete()
    cls: type[Any] = manager.transaction_cls
    return cls


def is_versioned(subject: object) -> bool:
    """Tell whether a table, or the class of *subject*, is versioned and not switched off.

    A table is while one of the classes is that have rows in it. Never raises.

    >>> is_versioned(Article), is_versioned(3), is_versioned(version_class(Article))
    (True, False, False)
    """
    if isinstance(subject, Table):
        manager = subject.metadata.info.get(MANAGERS, {}).get(subject)
        return manager is not None and bool(manager.is_recorded(subject))
    cls = class_of(subject)
    spec = find_spec(cls)
    if spec is None or not spec.exposed or spec.parent_class is not cls:
        return False
    return is_switched_on(spec)


def is_switched_on(spec: ClassSpec) -> bool:
    """Tell whether the option ``versioning`` lets a class be recorded, now.

    Unlike other options it may be changed at any time: on the class, or on its manager for the
    classes that do not say.
    """
    said = spec.parent_class.__versioned__.get("versioning")
    if said is None:
        said = getattr(spec.parent_class, MANAGER).options.get("versioning", True)
    return bool(said)


def tx_column_name(subject: Any) -> str:
    """Return the name of the version attribute, or column, that holds the transaction id.

    >>> tx_column_name(Article)
    'transaction_id'
    """
    if is_table(subject):
        return str(table_spec_of(subject).transaction_column.key)
    return spec_of(subject).transaction_key


def end_tx_column_name(subject: Any) -> str:
    """Return the name of the version attribute, or column, that holds the end transaction's id.

    :raises ClassNotVersioned: if there is no such column under the strategy of the class or table.

    >>> end_tx_column_name(Article)
    'end_transaction_id'
    """
    if is_table(subject):
        table = table_spec_of(subject)
        name, strategy = subject.fullname, table.strategy
        key = None if table.end_column is None else str(table.end_column.key)
    else:
        spec = spec_of(subject)
        name, strategy, key = spec.parent_class.__name__, spec.options.strategy, spec.end_key
    if key is None:
        raise ClassNotVersioned(
            f"{name} has no end transaction column: its strategy is {strategy.value!r}, which "
            "needs none"
        )
    return key


def version_table(subject: Any) -> Table:
    """Return the version table of a table, class or object.

    :raises ClassNotVersioned: if there is none.

    >>> version_table(Article.__table__).name
    'article_version'
    """
    if is_table(subject):
        return table_spec_of(subject).version_table
    return spec_of(subject).tables[-1].version_table


def parent_table(subject: Any) -> Table:
    """Return the table whose versions a version table, version class or version holds.

    :raises ClassNotVersioned: if it holds no versions.

    >>> parent_table(version_table(Article)).name
    'article'
    """
    if not isinstance(subject, Table):
        parent_class(subject)
        return spec_of(subject).tables[-1].parent_table
    specs: dict[Table, VersionSpec] = subject.metadata.info.get(TABLES, {})
    for spec in specs.values():
        if spec.version_table is subject:
            return spec.parent_table
    raise ClassNotVersioned(f"Table {subject.fullname!r} is no version table; give one")
