"""What programs ask of mappers: keys, columns that can be set, and who refers to whom."""

from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.orm import Mapper, RelationshipProperty


def key_names(mapper: Mapper[Any]) -> list[str]:
    """Return the attributes of the primary key."""
    return [mapper.get_property_by_column(column).key for column in mapper.primary_key]


def key_columns(mapper: Mapper[Any]) -> list[tuple[str, Column[Any]]]:
    """Return attributes and columns of the primary key."""
    return list(zip(key_names(mapper), mapper.primary_key, strict=True))  # type: ignore[arg-type]


def key_of(obj: Any) -> tuple[Any, ...]:
    """Return the key that an object has by its attributes."""
    return tuple(getattr(obj, name) for name in key_names(inspect(type(obj))))


def columns_of(mapper: Mapper[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return values by the keys of columns in place of attributes."""
    return {mapper.attrs[name].columns[-1].key: value for name, value in values.items()}


def label(obj: Any) -> str:
    """Return how an object is called in a trace."""
    if obj is None:
        return "None"
    values = inspect(obj).dict
    key = tuple(values.get(name) for name in key_names(inspect(type(obj))))
    return f"{type(obj).__name__}{inspect(obj).identity or key}"


def said(values: dict[str, Any]) -> str:
    """Return values as they are given to a class."""
    plain = {name: label(v) if hasattr(v, "__mapper__") else repr(v) for name, v in values.items()}
    return ", ".join(f"{name}={value}" for name, value in plain.items())


def settable_columns(mapper: Mapper[Any]) -> list[tuple[str, Column[Any]]]:
    """Return attributes that an application gives values, but for keys and references."""
    taken = {mapper.polymorphic_on, mapper.version_id_col}
    return [
        (prop.key, column)
        for prop in mapper.column_attrs
        if isinstance(column := prop.columns[0], Column)
        and not (column.primary_key or column.foreign_keys or column.computed)
        and column not in taken
        and not is_discriminator(mapper, column)
    ]


def is_discriminator(mapper: Mapper[Any], column: Column[Any]) -> bool:
    """Tell whether a column says of which class objects are."""
    return any(column is each.polymorphic_on for each in mapper.iterate_to_root())


def relationships_of(mapper: Mapper[Any]) -> list[RelationshipProperty[Any]]:
    """Return the relationships of a class that somebody has declared."""
    return [each for each in mapper.relationships if not each.key.startswith("_")]


def is_in_circle(mapper: Mapper[Any]) -> bool:
    """Tell whether relationships lead from a class back to itself."""
    seen: set[Any] = set()
    waiting = [mapper.base_mapper]
    while waiting:
        for each in waiting.pop().self_and_descendants:
            found = {other.mapper.base_mapper for other in relationships_of(each)} - seen
            seen |= found
            waiting += found
    return mapper.base_mapper in seen


def references(mapper: Mapper[Any]) -> list[RelationshipProperty[Any]]:
    """Return the relationships by which objects refer to one other."""
    return [each for each in writable_relationships(mapper) if each.direction.name == "MANYTOONE"]


def writable_relationships(mapper: Mapper[Any]) -> list[RelationshipProperty[Any]]:
    """Return the relationships of a class by which others can be given to its objects."""
    return [each for each in relationships_of(mapper) if not each.viewonly]
