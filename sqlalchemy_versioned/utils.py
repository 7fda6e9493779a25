"""Small helpers under the names that applications moving over from other libraries import.

Nothing in the package uses this module.  New code finds the same in :func:`.version_class`,
:func:`.versions_of` and the other names of the package itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.orm import ColumnProperty, Mapper, RelationshipProperty

from ._typing import COLUMN, replaced
from .exc import ClassNotVersioned, UnknownOption
from .maintenance.vacuum import vacuum
from .model.counterparts import (
    end_tx_column_name,
    is_versioned,
    parent_class,
    transaction_class,
    tx_column_name,
    version_class,
    version_table,
)
from .model.lookup import TABLES, get_versioning_manager, spec_of
from .options import KNOWN
from .reading.changeset import (
    changeset,
    is_modified,
    is_modified_or_deleted,
    is_session_modified,
    versioned_objects,
)
from .reading.collection import count_versions, versions_of

__all__ = [
    "adapt_columns",
    "changeset",
    "count_versions",
    "end_tx_attr",
    "end_tx_column_name",
    "get_versioning_manager",
    "is_internal_column",
    "is_modified",
    "is_modified_or_deleted",
    "is_session_modified",
    "is_table_column",
    "is_versioned",
    "option",
    "parent_class",
    "transaction_class",
    "tx_column_name",
    "vacuum",
    "version_class",
    "version_obj",
    "version_table",
    "versioned_column_properties",
    "versioned_objects",
    "versioned_relationships",
]


def option(subject: Any, name: str) -> Any:
    """Return an option of a parent or version class, or of an object.

    :raises ClassNotVersioned: if the class is not versioned.
    :raises UnknownOption: if there is no such option; it is a ``KeyError``, too.

    >>> option(Article, "strategy"), option(Article, "exclude")
    ('validity', [])
    """
    options = spec_of(subject).options
    if name in options.extra:
        return options.extra[name]
    if name not in KNOWN:
        known = ", ".join(sorted(KNOWN))
        raise UnknownOption(f"there is no option {name!r}; known options: {known}")
    value = getattr(options, name)
    keys: Any = frozenset
    if isinstance(value, keys):
        return sorted(value)
    return value.value if isinstance(value, Enum) else value


def end_tx_attr(version: Any) -> Any:
    """Return the attribute of a version class that holds the end transaction's id.

    >>> end_tx_attr(article.versions[0]).key
    'end_transaction_id'
    """
    return getattr(spec_of(version).version_class, end_tx_column_name(version))


def version_obj(session: Any, parent_obj: Any) -> Any | None:
    """Return the version that the current transaction of *session* has made of an object.

    >>> version_obj(session, article) is None
    True
    """
    unit = get_versioning_manager(parent_obj).unit_of_work(session)
    transaction = unit.current_transaction
    if transaction is None:
        return None
    made: Any = versions_of(parent_obj).filter_by(**{tx_column_name(parent_obj): transaction.id})
    return made.first()


def versioned_column_properties(subject: Any) -> Iterator[ColumnProperty[Any]]:
    """Yield the column properties of a class that versions keep.

    >>> [prop.key for prop in versioned_column_properties(Article)][:2]
    ['id', 'name']
    """
    spec = spec_of(subject)
    mapper: Mapper[Any] = inspect(spec.parent_class)
    return (mapper.column_attrs[key] for key in spec.columns)


def versioned_relationships(
    subject: Any, keys: Iterable[str]
) -> Iterator[RelationshipProperty[Any]]:
    """Yield the relationships of a class that start from one of the columns *keys*.

    >>> [each.key for each in versioned_relationships(Article, ["author_id"])]
    ['author']
    """
    spec, wanted = spec_of(subject), set(keys)
    mapper: Mapper[Any] = inspect(spec.parent_class)
    for relationship in mapper.relationships:
        columns = relationship.local_columns
        if wanted & {mapper.get_property_by_column(column).key for column in columns}:
            yield relationship


def is_table_column(column: Any) -> bool:
    """Tell whether *column* is a column of a table, and no expression.

    >>> is_table_column(Article.__table__.c.name)
    True
    """
    return isinstance(column, Column)


def is_internal_column(model: Any, name: str) -> bool:
    """Tell whether versions of a class have *name* for their own bookkeeping.

    >>> is_internal_column(Article, "transaction_id"), is_internal_column(Article, "name")
    (True, False)
    """
    return name in spec_of(model).options.bookkeeping_names


def adapt_columns(expression: Any) -> Any:
    """Return *expression* with the columns of versioned tables replaced by version columns.

    :raises ClassNotVersioned: if a column is not kept.

    >>> str(adapt_columns(Article.name == "x"))
    'article_version.name = :name_1'
    """

    def replace(element: Any, **_: Any) -> Any:
        if not isinstance(element, COLUMN) or element.table is None:
            return None
        specs = element.table.metadata.info.get(TABLES, {}).values()
        kept = {pair.parent: pair.version for spec in specs for pair in spec.pairs}
        if element not in kept:
            raise ClassNotVersioned(f"{element} is kept by no version table")
        return kept[element]

    return replaced(expression, replace)
