"""From a class or object to its spec, version class, transaction class and back.

The answers hang on the classes themselves (:data:`SPEC`, :data:`MANAGER`), put there by
:mod:`.build.pipeline`; nothing here knows a registry.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, inspect
from sqlalchemy.exc import NoInspectionAvailable, UnboundExecutionError
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.util import AliasedInsp

from .exc import ClassNotVersioned
from .spec import ClassSpec, VersionSpec

__all__ = [
    "class_of",
    "end_tx_column_name",
    "ensure_bound",
    "get_versioning_manager",
    "is_versioned",
    "parent_class",
    "spec_of",
    "transaction_class",
    "tx_column_name",
    "version_class",
    "version_table",
]

#: The attribute of parent and version classes that holds their :class:`.ClassSpec`.
SPEC = "__version_spec__"
#: The attribute of parent, version and transaction classes that holds their manager.
MANAGER = "__versioning_manager__"
#: The attribute of a Transaction class that holds the table of what the context says beside its
#: columns, if a plugin keeps it: by transaction, key and value.
CONTEXT_TABLE = "__context_table__"
#: The key of ``Table.metadata.info`` under which specs are found by version table.
TABLES = "sqlalchemy_versioned"


def class_of(subject: object) -> type[Any]:
    """Return the class behind *subject*: a class, an alias of one, a mapper or an instance.

    >>> class_of(3)
    <class 'int'>
    """
    if isinstance(subject, type):
        return subject
    try:
        inspected = inspect(subject)
    except NoInspectionAvailable:
        return type(subject)
    if isinstance(inspected, (Mapper, AliasedInsp)):
        cls: type[Any] = inspected.class_
        return cls
    return type(subject)


def spec_of(subject: object) -> ClassSpec:
    """Return the spec of a parent class, version class, or an instance or alias of one.

    :raises ClassNotVersioned: if there is none.
    """
    cls = class_of(subject)
    spec = cls.__dict__.get(SPEC)
    if spec is None:
        raise ClassNotVersioned(_not_versioned(cls))
    found: ClassSpec = spec
    return found


def find_spec(subject: object) -> ClassSpec | None:
    """Return the spec of *subject*, or ``None``."""
    found: ClassSpec | None = class_of(subject).__dict__.get(SPEC)
    return found


def ensure_bound(session: Session, spec: ClassSpec) -> None:
    """Let *session* look for versions where it looks for their rows.

    Versions are beside their rows, but a session that has a bind for the parent class alone does
    not know that.
    """
    bind = session.get_bind(inspect(spec.parent_class))
    try:
        is_bound = session.get_bind(inspect(spec.version_class)) is bind
    except UnboundExecutionError:
        is_bound = False
    if not is_bound:
        session.bind_mapper(spec.version_class, bind)


def get_versioning_manager(subject: object) -> Any:
    """Return the manager that versions the class of *subject*.

    :raises ClassNotVersioned: if no manager does, or mappers are not configured yet.
    """
    cls = class_of(subject)
    manager = getattr(cls, MANAGER, None)
    if manager is None:
        raise ClassNotVersioned(_not_versioned(cls))
    return manager


def _not_versioned(cls: type[Any]) -> str:
    declared = "__versioned__" in vars(cls)
    remedy = (
        "its mappers are not configured yet; call sqlalchemy.orm.configure_mappers()"
        if declared
        else "give it __versioned__ or the Versioned mixin, after make_versioned()"
    )
    return f"{cls.__name__} has no version class: {remedy}"


def version_class(subject: Any) -> type[Any]:
    """Return the version class of a parent class or object.

    A class that has a manager but no version class (``versioning: False`` below a versioned
    superclass, or a version class itself) is returned as it is.

    :raises ClassNotVersioned: if no manager knows the class.

    >>> version_class(Article).__name__
    'ArticleVersion'
    """
    get_versioning_manager(subject)
    spec = find_spec(subject)
    if spec is None or not spec.exposed:
        return class_of(subject)
    return spec.version_class


def parent_class(version_cls: Any) -> type[Any]:
    """Return the class whose versions *version_cls* holds.

    :raises ClassNotVersioned: if no manager knows the class.
    :raises KeyError: if it is no version class.

    >>> parent_class(version_class(Article)).__name__
    'Article'
    """
    get_versioning_manager(version_cls)
    spec = find_spec(version_cls)
    if spec is None or class_of(version_cls) is not spec.version_class:
        raise KeyError(class_of(version_cls))
    return spec.parent_class


def transaction_class(subject: Any) -> type[Any]:
    """Return the Transaction class that the versions of *subject* belong to.

    :raises ClassNotVersioned: if no manager knows the class.

    >>> transaction_class(Article).__name__
    'Transaction'
    """
    cls: type[Any] = get_versioning_manager(subject).transaction_cls
    return cls


def is_versioned(subject: object) -> bool:
    """Tell whether the class of *subject* is versioned, and not switched off; never raises.

    >>> is_versioned(Article), is_versioned(3), is_versioned(version_class(Article))
    (True, False, False)
    """
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
        said = get_versioning_manager(spec.parent_class).options.get("versioning", True)
    return bool(said)


def tx_column_name(subject: Any) -> str:
    """Return the name of the version attribute that holds the transaction id.

    >>> tx_column_name(Article)
    'transaction_id'
    """
    return spec_of(subject).transaction_key


def end_tx_column_name(subject: Any) -> str:
    """Return the name of the version attribute that holds the end transaction's id.

    :raises ClassNotVersioned: if there is no such column under the strategy of the class.

    >>> end_tx_column_name(Article)
    'end_transaction_id'
    """
    spec = spec_of(subject)
    if spec.end_key is None:
        raise ClassNotVersioned(
            f"{spec.parent_class.__name__} has no end transaction column: "
            f"its strategy is {spec.options.strategy.value!r}, which needs none"
        )
    return spec.end_key


def version_table(subject: Any) -> Table:
    """Return the version table of a table, class or object.

    :raises ClassNotVersioned: if there is none.

    >>> version_table(Article.__table__).name
    'article_version'
    """
    if not isinstance(subject, Table):
        return spec_of(subject).tables[-1].version_table
    return table_spec_of(subject).version_table


def table_spec_of(table: Table) -> VersionSpec:
    """Return the spec of a parent table.

    :raises ClassNotVersioned: if the table is not versioned.
    """
    specs: dict[Table, VersionSpec] = table.metadata.info.get(TABLES, {})
    if table not in specs:
        raise ClassNotVersioned(
            f"Table {table.fullname!r} has no version table: no versioned class is mapped to it"
        )
    return specs[table]
