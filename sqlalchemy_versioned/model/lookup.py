"""From a class, object or table to its spec, or to the manager that versions it.

The answers hang on the classes themselves (:data:`SPEC`, :data:`MANAGER`) and on the ``MetaData``
of tables (:data:`TABLES`, :data:`MANAGERS`), put there by :mod:`..build`; nothing here knows a
registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table, inspect
from sqlalchemy.exc import NoInspectionAvailable, UnboundExecutionError
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.util import AliasedInsp

from .. import _sqlalchemy
from .._typing import MAPPING, TABLE, find_mapper, is_table, mapper_of
from ..database.sessions import check_databases
from ..exc import ClassNotVersioned, IncompleteHistory, InvalidArgumentType
from .spec import ClassSpec, VersionSpec

__all__ = [
    "all_specs",
    "bind_arguments_of",
    "check_has_key",
    "check_no_object",
    "class_of",
    "ensure_bound",
    "get_versioning_manager",
    "is_left_out",
    "shared_spec_of",
    "shared_tables",
    "spec_of",
    "spec_telling_of",
    "table_specs",
]

#: The attribute of parent and version classes that holds their :class:`.ClassSpec`.
SPEC = "__version_spec__"
#: The attribute of parent, version and transaction classes that holds their manager.
MANAGER = "__versioning_manager__"
#: The attribute of a Transaction class that holds the table of what the context says beside its
#: columns, if a plugin keeps it: by transaction, key and value.
CONTEXT_TABLE = "__context_table__"
#: The key of ``Table.metadata.info`` under which specs are found by parent table.
TABLES = "sqlalchemy_versioned"
#: The key of ``Table.metadata.info`` under which managers are found by parent table.
MANAGERS = "sqlalchemy_versioned_managers"

#: What ``inspect()`` gives of classes and aliases.
_MAPPED: Any = (Mapper, AliasedInsp)


def class_of(subject: object) -> type[Any]:
    """Return the class behind *subject*: a class, an alias of one, a mapper or an instance.

    >>> class_of(3)
    <class 'int'>
    """
    if isinstance(subject, type):
        return subject
    try:
        inspected: Any = inspect(subject)
    except NoInspectionAvailable:
        return type(subject)
    if isinstance(inspected, _MAPPED):
        cls: type[Any] = inspected.class_
        return cls
    return type(subject)


def spec_of(subject: object) -> ClassSpec:
    """Return the spec of a parent class, version class, or an instance or alias of one.

    That of a table, if it is versioned without a class.

    :raises ClassNotVersioned: if there is none, or only subclasses of the class are versioned.
    """
    spec = shared_spec_of(subject)
    cls = class_of(subject)
    if not spec.exposed and cls is spec.parent_class:
        raise ClassNotVersioned(_not_versioned(cls))
    return spec


def shared_spec_of(subject: object) -> ClassSpec:
    """Return the spec of *subject* as :func:`spec_of` does, also if only subclasses are versioned.

    :raises ClassNotVersioned: if there is none.
    """
    if isinstance(subject, TABLE):
        of_table: ClassSpec = get_versioning_manager(subject).spec_of_table(subject)
        return of_table
    spec = find_spec(subject)
    if spec is None:
        raise ClassNotVersioned(_not_versioned(subject))
    return spec


def check_no_object(model: Any, spec: ClassSpec, instead: str = "") -> None:
    """Refuse an object where its class belongs: others would be meant as well.

    :param spec: what was found for *model*.
    :param instead: what to do about the object, for the message.
    :raises InvalidArgumentType: if it is one.
    """
    if not isinstance(model, type) and isinstance(model, (spec.parent_class, spec.version_class)):
        name = spec.parent_class.__name__
        raise InvalidArgumentType(f"{model!r} is an object; give its class, {name}{instead}")


def find_spec(subject: object) -> ClassSpec | None:
    """Return the spec of *subject*, or ``None``."""
    found: ClassSpec | None = class_of(subject).__dict__.get(SPEC)
    return found


def spec_telling_of(mapper: Mapper[Any] | None) -> ClassSpec | None:
    """Return the spec of the class as which versions are told: the class, if it is versioned.

    Or else its nearest superclass with a table, as one that has none shows nothing of others there.
    """
    above = () if mapper is None else mapper.iterate_to_root()
    specs = (find_spec(each.class_) for each in above if each is mapper or not each.single)
    return next((spec for spec in specs if spec is not None), None)


def is_left_out(mapper: Mapper[Any]) -> bool:
    """Tell whether a class is not versioned, be it that classes below or above are."""
    spec = find_spec(mapper.class_)
    # A superclass has a spec for those below it, even if it is not versioned itself.
    return spec is None or spec.parent_class is not mapper.class_ or not spec.exposed


def shared_tables() -> frozenset[Table]:
    """Return all tables that have rows of a class that is not versioned, told by their values."""
    kinds = (each for each in _sqlalchemy.all_mappers() if each.polymorphic_identity is not None)
    others = (each for each in kinds if is_left_out(each) and not each.polymorphic_abstract)
    return frozenset(table for each in others for table in each.tables if is_table(table))


def all_specs() -> Iterator[ClassSpec]:
    """Yield the specs of all versioned classes, and of the tables without one that have a key."""
    specs = (find_spec(mapper.class_) for mapper in list(_sqlalchemy.all_mappers()))
    yield from dict.fromkeys(spec for spec in specs if spec is not None and not spec.is_core)
    for metadata in _sqlalchemy.all_metadata():
        for table, manager in list(metadata.info.get(MANAGERS, {}).items()):
            if manager.has_core_table(table) and table_spec_of(table).key:
                yield manager.spec_of_table(table)


def table_specs() -> frozenset[VersionSpec]:
    """Return the specs of all versioned tables."""
    found = (metadata.info.get(TABLES, {}) for metadata in _sqlalchemy.all_metadata())
    return frozenset(spec for specs in found for spec in list(specs.values()))


def bind_arguments_of(spec: ClassSpec) -> dict[str, Any]:
    """Return what tells a session the database of the rows of a class, or of a table."""
    if spec.is_core:
        return {"clause": spec.root.parent_table}
    return {"mapper": inspect(spec.parent_class)}


def ensure_bound(session: Session, spec: ClassSpec) -> None:
    """Let *session* look for versions where it looks for their rows.

    Versions are beside their rows, but a session that has a bind for the parent class alone does
    not know that.

    :raises VersioningError: if *session* looks elsewhere for each of the rows.
    """
    check_databases(session)
    bind = session.get_bind(**bind_arguments_of(spec))
    try:
        is_bound = session.get_bind(inspect(spec.version_class)) is bind
    except UnboundExecutionError:
        is_bound = False
    if not is_bound:
        session.bind_mapper(spec.version_class, bind)


def get_versioning_manager(subject: object) -> Any:
    """Return the manager that versions a table, or the class of *subject*.

    >>> get_versioning_manager(Article) is versioning_manager
    True

    :raises ClassNotVersioned: if no manager does, or mappers are not configured yet.
    """
    if is_table(subject):
        spec = table_spec_of(subject)
        return subject.metadata.info[MANAGERS][spec.parent_table]
    manager = getattr(class_of(subject), MANAGER, None)
    if manager is None:
        raise ClassNotVersioned(_not_versioned(subject))
    return manager


def _not_versioned(subject: object) -> str:
    cls = class_of(subject)
    is_mapped = find_mapper(cls, raiseerr=False) is not None
    if cls is type(subject) and not is_mapped and not hasattr(cls, "__versioned__"):
        return f"{subject!r} has no version class: give a versioned class, or an object of one"
    return f"{cls.__name__} has no version class: {_remedy(cls)}"


def _remedy(cls: type[Any]) -> str:
    spec, said = find_spec(cls), getattr(cls, "__versioned__", None)
    if spec is not None:
        below = (find_spec(each.class_) for each in mapper_of(cls).self_and_descendants)
        names = [each.parent_class.__name__ for each in below if each is not None and each.exposed]
        return (
            f"of the classes that share its rows, only {', '.join(names)} is versioned; give one "
            "that is, or version this one, too"
        )
    if said is None:
        return "give it __versioned__ or the Versioned mixin, after make_versioned()"
    mapper = find_mapper(cls, raiseerr=False)
    if mapper is None:
        return "it is not mapped; give a class that is"
    if not mapper.configured:
        return (
            "its mappers are not configured yet; call sqlalchemy.orm.configure_mappers(), and "
            "make_versioned() before, if nothing has called it"
        )
    if isinstance(said, MAPPING) and not said.get("versioning", True):
        return "its __versioned__ says {'versioning': False}"
    return "it says __versioned__, and nothing versions it; call make_versioned(), for its base too"


def table_spec_of(table: Table) -> VersionSpec:
    """Return the spec of a parent table.

    :raises ClassNotVersioned: if the table is not versioned.
    """
    specs: dict[Table, VersionSpec] = table.metadata.info.get(TABLES, {})
    if table not in specs:
        raise ClassNotVersioned(
            f"Table {table.fullname!r} has no version table: no versioned class is mapped to it, "
            "and not both versioned_table() and make_versioned() have been called for it"
        )
    return specs[table]


def check_has_key(spec: VersionSpec) -> None:
    """Refuse to tell what became of rows that nothing tells apart.

    :raises IncompleteHistory: if the table has no key.
    """
    if not spec.key:
        name = spec.parent_table.fullname
        raise IncompleteHistory(
            f"{name} has no primary key, so that nothing tells what became of a row; read its "
            f"events as they are, with select(version_table({name}))"
        )
