"""The attributes of a version class, each of them like one of the parent class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from sqlalchemy import Column, Label, inspect
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.orm import (
    ColumnProperty,
    CompositeProperty,
    Mapper,
    MapperProperty,
    SynonymProperty,
)
from sqlalchemy.orm import column_property as orm_column_property
from sqlalchemy.orm import composite as orm_composite
from sqlalchemy.orm import synonym as orm_synonym
from sqlalchemy.sql.visitors import iterate

from .._sqlalchemy import composite_arguments, plain_column
from .._typing import is_column, replaced
from ..exc import ImproperlyConfigured
from ..model.mapping import column_properties
from ..model.spec import ClassSpec, VersionSpec
from .generic import build_generic, is_generic
from .merging import KeptProperty

__all__ = [
    "adapt_to_versions",
    "copied_descriptors",
    "is_hybrid",
    "kept_columns",
    "masked_attributes",
    "other_name",
    "synonym_target",
    "version_properties",
]


def kept_columns(
    mapper: Mapper[Any], chain: tuple[VersionSpec, ...]
) -> dict[str, list[Column[Any]]]:
    """Return for each attribute of the version class the version columns it stands for."""
    kept: dict[str, list[Column[Any]]] = {}
    for prop in column_properties(mapper):
        versions = [
            version
            for column in prop.columns
            for spec in chain
            if (version := spec.version_column(column)) is not None
        ]
        if versions:
            kept[prop.key] = versions
    return kept


def masked_attributes(mapper: Mapper[Any], chain: tuple[VersionSpec, ...]) -> dict[str, str]:
    """Return the masked attributes of a class, each with that of its flag."""
    flags = {pair.parent: pair.version.key for spec in chain for pair in spec.masked}
    return {
        prop.key: flags[column]  # type: ignore[index]
        for prop in column_properties(mapper)
        for column in prop.columns
        if column in flags
    }


def version_properties(
    mapper: Mapper[Any],
    chain: tuple[VersionSpec, ...],
    columns: Mapping[str, list[Column[Any]]],
    above: ClassSpec | None = None,
) -> dict[str, Any]:
    """Return the properties of the version class: columns, and names for them.

    :param above: the spec of the superclass, whose version class has some of them for both.
    """
    properties: dict[str, Any] = {
        key: KeptProperty(*group, comparator_factory=mapper.column_attrs[key].comparator_factory)
        for key, group in columns.items()
    }
    # One attribute for the columns of all tables: a condition on it finds the index of any, but
    # what became of the object as a whole tells the base-most, which its versions share.
    for group in zip(*[spec.bookkeeping for spec in chain], strict=False):
        in_order = group[::-1] if group[0] in chain[0].place else group
        properties[group[0].key] = KeptProperty(*in_order)
    for spec in chain:
        properties.update({c.key: KeptProperty(c) for c in (*spec.context_columns, *spec.added)})
    inherited = {} if above is None else _inherited_expressions(mapper, above)
    # Names for others come last, when these are there.
    for prop in sorted(mapper.attrs, key=lambda prop: isinstance(prop, SynonymProperty)):
        if prop.key in properties or prop.key in inherited:
            continue
        mirrored = _mirrored(prop, chain, columns, known={**properties, **inherited})
        if mirrored is not None:
            properties[prop.key] = mirrored
    return properties


def _inherited_expressions(mapper: Mapper[Any], above: ClassSpec) -> dict[str, Any]:
    """Return the expressions that a class has from the one above it, as the versions of that do.

    Made twice, they would be two of one name, which SQLAlchemy does not select together.
    """
    if mapper.concrete:
        return {}
    theirs: Mapper[Any] = inspect(above.version_class)
    return {
        prop.key: theirs.attrs[prop.key]
        for prop in mapper.column_attrs
        if not isinstance(prop.columns[0], Column)
        and prop.parent is not mapper
        and theirs.has_property(prop.key)
    }


def _mirrored(
    prop: MapperProperty[Any],
    chain: tuple[VersionSpec, ...],
    columns: Mapping[str, Any],
    *,
    known: Mapping[str, Any],
) -> Any | None:
    """Return the like of a property made of columns, or ``None`` if it needs what is not kept."""
    if isinstance(prop, SynonymProperty):
        target = synonym_target(prop)
        return other_name(target) if target in known else None
    if isinstance(prop, CompositeProperty):
        keys = [part.key for part in prop.props]
        made_of_kept = all(key in columns for key in keys)
        more = composite_arguments(prop)
        return orm_composite(prop.composite_class, *keys, **more) if made_of_kept else None
    if isinstance(prop, ColumnProperty) and not isinstance(prop.columns[0], Column):
        # Nobody has named it: the mapper has made it of the discriminator, as it does for versions.
        is_made = prop.key == "_sa_polymorphic_on"
        return None if is_made else _mirrored_expression(prop, chain)
    return None


def synonym_target(prop: Any) -> str:
    """Return the key of what a synonym, or a synonym of a synonym, stands for."""
    kind: Any = SynonymProperty
    key: str = prop.name
    while isinstance(target := prop.parent.attrs.get(key), kind):
        prop, key = target, target.name
    return key


def other_name(key: str) -> Any:
    """Return a synonym of the attribute *key*, also under a name that every version has."""

    def write(version: Any, value: Any) -> None:
        setattr(version, key, value)

    # Without a descriptor of its own it would take the one that is there by that name.
    return orm_synonym(key, descriptor=property(attrgetter(key), write))


def _mirrored_expression(prop: ColumnProperty[Any], chain: tuple[VersionSpec, ...]) -> Any | None:
    expression = prop.columns[0]
    if not _is_made_of(expression, chain):
        return None
    # A mapper finds the discriminator by the label that it has made itself.
    bare = expression.element if isinstance(expression, Label) else expression
    return orm_column_property(
        adapt_to_versions(bare, chain),
        deferred=prop.deferred,
        comparator_factory=prop.comparator_factory,
    )


def _is_made_of(expression: Any, chain: tuple[VersionSpec, ...]) -> bool:
    """Tell whether an expression needs nothing but columns that are kept.

    A subquery reads live rows, so it would tell about now and not about then.
    """
    if any(element.__visit_name__ in _SELECTS for element in iterate(expression)):
        return False
    return all(
        is_column(element) and any(spec.version_column(element) is not None for spec in chain)
        for element in iterate(expression)
        if element.__visit_name__ == "column"
    )


_SELECTS = ("select", "compound_select", "table", "alias", "subquery", "cte", "lateral")


def copied_descriptors(mapper: Mapper[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the hybrid attributes of a class: they work on whatever has the same columns.

    Generic relationships do not, and have something in their place.
    """
    for key, descriptor in mapper.all_orm_descriptors.items():
        if is_generic(descriptor):
            yield str(key), build_generic(descriptor, str(key), mapper)
        elif is_hybrid(descriptor):
            yield str(key), descriptor


def is_hybrid(descriptor: Any) -> bool:
    """Tell whether a descriptor is a hybrid attribute."""
    return isinstance(descriptor, (hybrid_property, hybrid_method))


# -- expressions -------------------------------------------------------------------------------


def adapt_to_versions(expression: Any, chain: Iterable[VersionSpec]) -> Any:
    """Return *expression* with parent columns replaced by version columns.

    :raises ImproperlyConfigured: if it needs a column that is not kept.
    """
    specs = {spec.parent_table: spec for spec in chain}

    def replace(element: Any, **_: Any) -> Any:
        if is_column(element) and element.table in specs:
            version = specs[element.table].version_column(plain_column(element))
            if version is None:
                raise ImproperlyConfigured(
                    f"{element} is excluded, but {expression} needs it; take it out of 'exclude'"
                )
            return version
        return None

    return replaced(expression, replace)
