"""The relationships that a revert is to follow: dotted paths, checked, as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import BinaryExpression, BooleanClauseList, Column, inspect
from sqlalchemy.orm import MANYTOONE, ONETOMANY, Mapper, RelationshipProperty
from sqlalchemy.sql.visitors import iterate

from .. import _sqlalchemy
from .._typing import ITERABLE, is_column
from ..exc import ReverterException
from ..model.lookup import find_spec
from ..model.mapping import is_union
from ..model.spec import ClassSpec
from .columns import keys_of

__all__ = [
    "Tree",
    "is_never_loaded",
    "is_plain",
    "is_reference",
    "other_sides",
    "pair_keys",
    "parse_paths",
    "relationship_of",
    "remote_keys",
]

#: For each relationship to follow, those to follow from its objects.
Tree = dict[str, Any]

#: Taken for compatibility wherever they are no relationships of the application's own.
_PASSED_OVER = frozenset({"versions", "transaction"})


def parse_paths(spec: ClassSpec, relations: Iterable[str] | str | None) -> Tree:
    """Return *relations* as a tree.

    :param relations: relationship keys or dotted paths of them; a single one may be a string.
    :raises ReverterException: if a segment is no relationship that can be reverted.
    """
    tree: Tree = {}
    mapper: Mapper[Any] = inspect(spec.parent_class)
    paths: Any = [relations] if isinstance(relations, str) else relations or ()
    if not isinstance(paths, ITERABLE):
        raise ReverterException(f"relations is {relations!r}; give a list of relationship keys")
    for path in paths:
        if not isinstance(path, str):
            raise ReverterException(
                f"relations has {path!r}; give relationship keys as strings, such as 'tags' or "
                "'articles.tags'"
            )
        if path not in _PASSED_OVER or path in _known(mapper):
            _add_path(tree, mapper, path)
    return tree


def _add_path(tree: Tree, mapper: Mapper[Any], path: str) -> None:
    branch = tree
    for key in path.split("."):
        relationship = _checked(mapper, key, path)
        branch = branch.setdefault(key, {})
        mapper = relationship.mapper


def _checked(mapper: Mapper[Any], key: str, path: str) -> RelationshipProperty[Any]:
    asked = f"relations has {path!r}, but "
    name = mapper.class_.__name__
    if find_spec(mapper.class_) is None:
        raise ReverterException(f"{asked}{name} is not versioned; end the path before {key!r}")
    relationship = next(
        (each.relationships[key] for each in _family(mapper) if key in each.relationships), None
    )
    known = ", ".join(sorted(_known(mapper))) or "none"
    if relationship is None:
        raise ReverterException(
            f"{asked}{key!r} is no relationship of {name}; its relationships are: {known}"
        )
    if key not in _known(mapper):
        why = "is view-only" if relationship.viewonly else "is excluded from history"
        raise ReverterException(f"{asked}{name}.{key} {why}; choose from: {known}")
    _check_crossing(relationship, f"{asked}{name}.{key}")
    return relationship


def _check_crossing(relationship: RelationshipProperty[Any], said: str) -> None:
    """Refuse a relationship across which nothing can be put back."""
    target = relationship.mapper
    if is_union(target):
        raise ReverterException(
            f"{said} leads to {target.class_.__name__}, a union of concrete classes whose versions "
            "are apart; leave it out, and revert its objects themselves"
        )
    if relationship.direction is ONETOMANY and find_spec(target.class_) is None:
        raise ReverterException(
            f"{said} is recorded in {target.class_.__name__}, which is not versioned; version it, "
            "or leave it out"
        )
    if relationship.direction is not MANYTOONE and is_never_loaded(relationship):
        raise ReverterException(
            f"{said} is never loaded (lazy='noload'), so that nothing could be taken out, and what "
            "is there already would be added again; give it another 'lazy'"
        )


def _family(mapper: Mapper[Any]) -> Iterable[Mapper[Any]]:
    return mapper.self_and_descendants


def _known(mapper: Mapper[Any]) -> set[str]:
    """Return the relationships that can be reverted, those of subclasses included."""
    known: set[str] = set()
    for each in _family(mapper):
        spec = find_spec(each.class_)
        kept = () if spec is None else spec.relationships
        known |= {key for key in kept if not each.relationships[key].viewonly}
    return known


def relationship_of(cls: type[Any], key: str) -> RelationshipProperty[Any] | None:
    """Return a relationship of *cls*, or ``None`` if only other subclasses have it."""
    mapper: Mapper[Any] = inspect(cls)
    return mapper.relationships.get(key)


def is_never_loaded(relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether a relationship seems empty whatever is stored."""
    return relationship.lazy in ("noload", None)


def pair_keys(relationship: RelationshipProperty[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the attributes that a relationship connects: those here and those there."""
    here, there = relationship.parent, relationship.mapper
    pairs: Any = relationship.local_remote_pairs or ()
    return (
        keys_of(here, [local for local, _ in pairs]),
        keys_of(there, [remote for _, remote in pairs]),
    )


def other_sides(
    relationship: RelationshipProperty[Any], mapper: Mapper[Any]
) -> Iterator[RelationshipProperty[Any]]:
    """Yield what leads back, of the relationships that objects of *mapper* have.

    By columns, because nobody has to say ``back_populates``.
    """
    mirrored = {(remote, local) for local, remote in relationship.local_remote_pairs or ()}
    for each in mapper.relationships:
        if {*(each.local_remote_pairs or ())} == mirrored:
            yield each


def remote_keys(relationship: RelationshipProperty[Any]) -> frozenset[str]:
    """Return the attributes of related objects that decide whether they are related."""
    there = relationship.mapper
    columns = [
        element
        for element in iterate(relationship.primaryjoin)
        if is_column(element)
        and element.table in there.tables
        and "local" not in _sqlalchemy.relationship_marks(element)
    ]
    return frozenset(keys_of(there, columns))


def is_plain(join: Any) -> bool:
    """Tell whether a join condition says nothing but that columns are equal."""
    clauses = join.clauses if isinstance(join, BooleanClauseList) else [join]
    return all(
        isinstance(each, BinaryExpression)
        and isinstance(each.left, Column)
        and isinstance(each.right, Column)
        for each in clauses
    )


def is_reference(relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether a relationship stands for a foreign key of its objects, and for no more."""
    if relationship.direction is not MANYTOONE or relationship.viewonly:
        return False
    return is_plain(relationship.primaryjoin)
