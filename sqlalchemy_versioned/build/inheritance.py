"""Version classes, which derive from each other as the classes do whose versions they hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Column, ColumnElement, Label, Table, and_, inspect, not_
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from .._typing import mapper_of
from ..database.expressions import Holds
from ..model.lookup import spec_telling_of
from ..model.mapping import superclass_mappers
from ..model.masks import MaskedAttribute
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from ..options import Options
from ..reading.version import Version
from .adaption import columns_in
from .attributes import (
    adapt_to_versions,
    copied_descriptors,
    is_hybrid,
    masked_attributes,
    version_properties,
)
from .classes import build_mapped_class

__all__ = [
    "declarative_base_of",
    "has_rows",
    "map_version_class",
    "superclass_versions",
]


def map_version_class(
    mapper: Mapper[Any],
    chain: tuple[VersionSpec, ...],
    columns: Mapping[str, list[Column[Any]]],
    *,
    options: Options,
    known: dict[type[Any], ClassSpec],
) -> type[Any]:
    """Make the version class of a mapped class, below that of the class above.

    :param chain: the specs of its tables, the base-most first.
    :param columns: the columns that are kept, by attribute.
    :param known: the specs of the classes that are versioned already.
    """
    above = _superclass_spec(mapper, known)
    own = chain[-1]
    shares_table = above is not None and not mapper.concrete and above.tables[-1] is own
    base = None if above or options.base_classes else declarative_base_of(mapper)
    properties = version_properties(mapper, chain, columns, above)
    cls = build_mapped_class(
        _version_class_name(mapper.class_, options),
        bases=_version_bases(options) if above is None else (above.version_class,),
        declarative_base=base,
        registry=mapper.registry,
        table=None if shares_table else own.version_table,
        properties=properties,
        module=mapper.class_.__module__,
        # Columns that no property names are those of other classes in the same table.
        exclude_properties=[column.key for column in own.version_table.c],
        **_inheritance_arguments(mapper, chain, above, properties),
    )
    if mapper.concrete and mapper.polymorphic_identity is None:
        # What it was given to be declared with is nothing that a statement can ask for.
        mapper_of(cls).polymorphic_identity = None
    if above is None:
        _sqlalchemy.find_kinds(mapper_of(cls), partial(_stand_in, mapper))
    _copy_descriptors(cls, mapper, chain)
    return cls


def _copy_descriptors(cls: type[Any], mapper: Mapper[Any], chain: tuple[VersionSpec, ...]) -> None:
    """Give a version class what its parent class has beside columns and relationships."""
    masked = dict.fromkeys(masked_attributes(mapper, chain), MaskedAttribute())
    for key, descriptor in (*copied_descriptors(mapper), *masked.items()):
        if _gives_way(cls, key):
            type.__setattr__(cls, key, descriptor)


def _stand_in(mapper: Mapper[Any], identity: Any) -> Mapper[Any] | None:
    """Return how versions are loaded that are of a class without versions: as its superclass's.

    Statements know no classes, and record whatever rows of a table they change.
    """
    spec = spec_telling_of(mapper.polymorphic_map.get(identity))
    return None if spec is None else mapper_of(spec.version_class)


def _gives_way(cls: type[Any], key: str) -> bool:
    """Tell whether a version class has nothing of its own by a name that a model uses.

    What every version has gives way, and so does what a version class above has copied.
    """
    owner = next((each for each in cls.__mro__ if key in vars(each)), Version)
    return owner is Version or (issubclass(owner, Version) and is_hybrid(vars(owner)[key]))


def _version_class_name(cls: type[Any], options: Options) -> str:
    """Return the name of the version class of *cls*, by its options."""
    name = options.class_name % cls.__name__
    if options.use_module_name:
        name = "".join(part.title() for part in cls.__module__.split(".")) + name
    return name


def _version_bases(options: Options) -> tuple[type[Any], ...]:
    """Return the bases of a version class that inherits from no other."""
    return (*(options.base_classes or ()), Version)


def declarative_base_of(mapper: Mapper[Any]) -> type[Any] | None:
    """Return the declarative base of a mapped class, or ``None`` if it has none."""
    bases = [
        cls
        for cls in mapper.class_.__mro__
        if getattr(cls, "registry", None) is mapper.registry
        and inspect(cls, raiseerr=False) is None
    ]
    return bases[-1] if bases else None


def has_rows(mapper: Mapper[Any]) -> bool:
    """Tell whether a class has rows of its own.

    The base of an ``AbstractConcreteBase`` has not: it is mapped to the union of its subclasses.
    """
    if isinstance(mapper.local_table, Table):
        return True
    return not any(heir.concrete for heir in mapper.self_and_descendants)


def _inheritance_arguments(
    mapper: Mapper[Any],
    chain: tuple[VersionSpec, ...],
    above: ClassSpec | None,
    properties: Collection[str],
) -> dict[str, Any]:
    """Return the mapper arguments by which version classes inherit as parent classes do.

    :param properties: the attributes that the version class is given.
    """
    arguments = _loading_arguments(mapper)
    if above is None:
        return arguments | _discriminator(mapper, chain, properties)
    arguments["inherits"] = above.version_class
    if mapper.concrete:
        # Told apart by table; a discriminator above tells those of other classes.
        arguments = {"inherits": above.version_class, "concrete": True}
        if mapper_of(above.version_class).base_mapper.polymorphic_on is not None:
            # SQLAlchemy warns of classes without an identity, and no row has this one.
            identity = mapper.polymorphic_identity
            arguments["polymorphic_identity"] = mapper.class_ if identity is None else identity
        return arguments
    own, upper = chain[-1], above.tables[-1]
    if own is not upper and mapper.inherit_condition is not None:
        same_row = adapt_to_versions(mapper.inherit_condition, chain)
        same_version = [one == other for one, other in zip(own.place, upper.place, strict=True)]
        arguments["inherit_condition"] = and_(same_row, *same_version, _goes_along(own, upper))
    return arguments


def _goes_along(own: VersionSpec, upper: VersionSpec) -> ColumnElement[bool]:
    """Match rows of a table and the one above it unless the object has left the former alone.

    Deleted and added anew as one of another class, it goes on in the tables that both have.
    """
    operation = own.operation_column
    is_deletion = Holds(operation, own.operation(Operation.DELETE))
    return not_(and_(is_deletion, operation != upper.operation_column))


def _loading_arguments(mapper: Mapper[Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {"polymorphic_identity": mapper.polymorphic_identity}
    if mapper.polymorphic_abstract:
        arguments["polymorphic_abstract"] = True
    if mapper.polymorphic_load is not None:
        arguments["polymorphic_load"] = mapper.polymorphic_load
    if mapper.with_polymorphic == ("*", None):
        arguments["with_polymorphic"] = "*"
    return arguments


def _discriminator(
    mapper: Mapper[Any], chain: tuple[VersionSpec, ...], properties: Collection[str]
) -> dict[str, Any]:
    expression = mapper.polymorphic_on
    tables = {spec.parent_table for spec in chain}
    # That of a union of concrete classes is in no table.
    if expression is None or not tables.issuperset(each.table for each in columns_in(expression)):
        return {"polymorphic_identity": None}
    if not isinstance(expression, Label):
        return {"polymorphic_on": adapt_to_versions(expression, chain)}
    key = mapper.get_property_by_column(expression).key
    # The mapper finds it again only under the attribute, or under a name of its own.
    adapted = key if key in properties else adapt_to_versions(expression.element, chain)
    return {"polymorphic_on": adapted}


def _superclass_spec(mapper: Mapper[Any], classes: dict[type[Any], ClassSpec]) -> ClassSpec | None:
    """Return the spec of the class that *mapper* inherits from, if that is versioned."""
    return None if mapper.inherits is None else classes.get(mapper.inherits.class_)


def superclass_versions(
    mapper: Mapper[Any], classes: dict[type[Any], ClassSpec]
) -> tuple[type[Any], ...]:
    """Return the version classes of the superclasses that rows are shared with, nearest first."""
    above = [m.class_ for m in superclass_mappers(mapper)][1:]
    return tuple(classes[cls].version_class for cls in above)
