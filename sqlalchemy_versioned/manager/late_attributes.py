"""What versioned classes get when they are versioned already.

A column or a relationship can be added to a class at any time, by ``Article.mood =
mapped_column()``, or by a backref.  Until mappers are configured it is one like the others.
Relationships that come with other classes are taken in along with these.  Of what is added by
itself SQLAlchemy tells nobody, so it is looked for when the class is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy.orm import Mapper

from .._typing import is_column, mapper_of
from ..build.registry import Registry
from ..exc import ImproperlyConfigured
from ..model.mapping import is_many_to_many
from ..model.spec import ClassSpec

__all__ = ["LateAttributes"]


class LateAttributes:
    """Finds what classes have got, and refuses to record those of which it would not be kept.

    :param built: returns what the manager has built.
    """

    def __init__(self, built: Callable[[], Registry]) -> None:
        self._built = built
        #: The attributes that each class had, and how many there were when it was looked at last.
        self._known: dict[type[Any], set[str]] = {}
        self._sizes: dict[type[Any], tuple[Mapper[Any], tuple[int, int]]] = {}

    def know(self, specs: Iterable[ClassSpec]) -> None:
        """Note what classes have when they are versioned."""
        for spec in specs:
            mapper = mapper_of(spec.parent_class)
            self._known[spec.parent_class] = set(mapper.attrs.keys())
            self._sizes[spec.parent_class] = mapper, _size(mapper)

    def are_relationships(self) -> bool:
        """Tell whether versions are to have relationships which they have not."""
        return any(
            key not in spec.relationships and not spec.options.is_excluded(key)
            # A mapper that is asked for its relationships may configure others.
            for spec in list(self._built().classes.values())
            for key in self._new(mapper_of(spec.parent_class).relationships.keys(), spec)
        )

    def check(self, spec: ClassSpec) -> None:
        """Refuse a class that has got something since.

        :raises ImproperlyConfigured: if it has.
        """
        mapper, size = self._sizes[spec.parent_class]
        if _size(mapper) == size:
            return
        if new := list(self._unkept(mapper, spec)):
            name = spec.parent_class.__name__
            raise ImproperlyConfigured(
                f"{name} has got {', '.join(new)} since it was versioned, of which nothing would "
                f"be kept; add it in the class, or before mappers are configured"
            )
        self._sizes[spec.parent_class] = mapper, _size(mapper)

    def forget(self) -> None:
        """Let go of all classes."""
        self._known.clear()
        self._sizes.clear()

    def _unkept(self, mapper: Mapper[Any], spec: ClassSpec) -> Iterator[str]:
        yield from self._unkept_columns(mapper, spec)
        for key in self._new(mapper.relationships.keys(), spec):
            relationship = mapper.relationships[key]
            is_kept = relationship.secondary in self._built().associations
            if is_many_to_many(relationship) and not is_kept:
                yield key

    def _unkept_columns(self, mapper: Mapper[Any], spec: ClassSpec) -> Iterator[str]:
        attributes, new = mapper.column_attrs, self._new(mapper.column_attrs.keys(), spec)
        # Another attribute of a column that is kept changes nothing.
        had = {c for each in attributes if each.key not in new for c in each.columns}
        tables = {each.parent_table for each in spec.tables}
        for key in new:
            column = attributes[key].columns[0]
            if is_column(column) and column.table in tables and column not in had:
                yield key

    def _new(self, keys: Iterable[str], spec: ClassSpec) -> list[str]:
        known = self._known.get(spec.parent_class, ())
        return [key for key in keys if key not in known]


def _size(mapper: Mapper[Any]) -> tuple[int, int]:
    """Tell how many columns and relationships a class has, which can only become more.

    Unlike its ``attrs``, these have no mappers configured in the midst of a flush.
    """
    return len(mapper.columns), len(mapper.relationships)
