"""What a text declares: the classes, and how history groups their tables."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import JSON, Column, Connection, Table, null, select
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import Mapper, configure_mappers

from tests.images import Image, Watched


class Told(Watched):
    """A table of which it is told where JSON is SQL's NULL, and not its own ``null``."""

    def read(self, connection: Connection) -> Image:
        """Return the rows by key, with more than their columns."""
        found = super().read(connection)
        left_out = self.excluded | self.ignored | self.masked
        kept = [c for c in self.table.c if isinstance(c.type, JSON) and c.name not in left_out]
        if kept:
            nulls = [column.is_(null()).label(f"{column.name} is NULL") for column in kept]
            for row in connection.execute(select(*self.key, *nulls)):
                values = zip([each.name for each in nulls], row[len(self.key) :], strict=True)
                found[tuple(row[: len(self.key)])].update(values)
        return found


class World:
    """Classes that were declared together."""

    def __init__(self, source: str) -> None:
        names: dict[str, Any] = {"__name__": "declared"}
        exec(compile(source, "declared", "exec"), names)
        self.base = names["Base"]
        #: Tables as they are declared, without those of versions.
        self.tables: list[Table] = list(self.base.metadata.tables.values())
        self.classes: list[type] = sorted(
            (mapper.class_ for mapper in self.base.registry.mappers), key=lambda cls: cls.__name__
        )
        self.links = [table for table in self.tables if table.name.startswith("links")]

    @property
    def roots(self) -> list[type]:
        """The classes by which all objects are found, each by one."""
        return [cls for cls in self.classes if is_root(cls.__mapper__)]  # type: ignore[attr-defined]


@contextmanager
def declared(source: str) -> Iterator[World]:
    """Declare what a text says, until the end of the block."""
    with warnings.catch_warnings():
        # Many relationships write the same column, as they may.
        warnings.simplefilter("ignore", SAWarning)
        world = World(source)
        try:
            configure_mappers()
            yield world
        finally:
            world.base.registry.dispose(cascade=True)


def is_root(mapper: Mapper[Any]) -> bool:
    """Tell whether the objects of a class are none of another."""
    return mapper.inherits is None or mapper.concrete


def root_of(mapper: Mapper[Any]) -> Mapper[Any]:
    """Return the class by which the objects of a class are found."""
    while not is_root(mapper):
        assert mapper.inherits is not None
        mapper = mapper.inherits
    return mapper


def watch(world: World) -> tuple[dict[str, Watched], list[list[str]]]:
    """Return the tables that have versions, by name, and which of them share objects."""
    tables: dict[str, Watched] = {}
    groups: dict[Any, dict[str, None]] = {}
    for cls in world.classes:
        mapper: Mapper[Any] = cls.__mapper__  # type: ignore[attr-defined]
        root = root_of(mapper)
        options = getattr(root.class_, "__versioned__", None)
        if options is None:
            continue
        for table in mapper.tables:
            if isinstance(table, Table) and (table in root.tables or not mapper.concrete):
                left_out = {
                    name: frozenset(
                        column.name
                        for key in options.get(name, ())
                        if key in mapper.column_attrs
                        for column in mapper.column_attrs[key].columns
                        if column.table is table
                    )
                    for name in ("exclude", "ignore", "mask")
                }
                tables[table.key] = Told(table, list(table.primary_key), *left_out.values())
                groups.setdefault(root, {})[table.key] = None
        for relationship in mapper.relationships:
            found = relationship.secondary
            if isinstance(found, Table):
                tables[found.key] = Told(found, key_of_links(found))
                groups[found] = {found.key: None}
    return tables, [list(names) for names in groups.values()]


def key_of_links(table: Table) -> list[Column[Any]]:
    """Return the columns that tell a row of links from others, and from what it linked before."""
    return list(dict.fromkeys([*table.primary_key, *(c for c in table.c if c.foreign_keys)]))
