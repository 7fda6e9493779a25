"""What history must not tell any more: :func:`redact` empties columns of old versions."""

from __future__ import annotations

from typing import Any

from .._typing import MAPPING, mapper_of
from ..changes.asked import check_class
from ..changes.names import column_names
from ..changes.values import object_keys, several
from ..database.keys import KeyParameters
from ..database.sessions import awaited_as
from ..exc import InvalidArgument
from ..model.spec import ClassSpec, ColumnPair, VersionSpec
from ..query.images import family_of
from ..query.named import version_column
from ..query.pruning import build_redaction
from ..reading.loaded import expire_all_versions
from .places import Place, Progress, check_pace, find_places, present_session
from .turns import take_turn

__all__ = ["redact"]


@awaited_as("redact(…)")
def redact(
    session: Any,
    model: Any,
    *,
    object_ids: Any,
    columns: Any,
    batch_size: int = 10_000,
    progress: Progress | None = None,
) -> int:
    """Empty columns of the versions of some objects, and return how many versions had something.

    The versions stay, with NULL in these columns.  The newest version of an object that is there
    keeps what the row has: change the row first, and flush, so that the value is in versions only.
    What was done is kept by committing, which *progress* may do.

    :param model: a versioned class; columns of its subclasses can be named, too.
    :param object_ids: one object, primary key (a tuple if it has several columns), or a list.  With
        the option ``object_id_attribute`` a key is a dict, so that no name is taken for one.
    :param columns: names of attributes, or the attributes of the class: one or a list.
    :param batch_size: how many objects one statement is about.
    :param progress: called with the name of the table and how many objects were gone through.
    :raises ClassNotVersioned: if *model* is not versioned.
    :raises InvalidArgument: if a column is not kept, or tells objects or classes apart, or
        *object_ids* is ``None``, or *batch_size* is less than 1.
    :raises InvalidArgumentType: if an argument is of the wrong kind.
    :raises ReadOnlySnapshot: if *session* reads the past.

    >>> redact(session, Article, object_ids=[1], columns=["description"])
    1
    >>> [version.description for version in article.versions]
    [None, 'No description']
    """
    spec = check_class(model)
    if object_ids is None:
        raise InvalidArgument("object_ids is None; say which objects, so that none is by mistake")
    check_pace(batch_size, progress)
    pairs, keys = _pairs(spec, column_names(spec, columns)), _keys(spec, object_ids)
    found = present_session(session)
    places, redacted = {place.spec: place for place in find_places((model,))}, 0
    for table, emptied in pairs.items():
        for start in range(0, len(keys), batch_size):
            part = keys[start : start + batch_size]
            take_turn(found, spec)
            redacted += _empty(found, places[table], emptied, part)
            if progress is not None:
                progress(str(table.parent_table.fullname), start + len(part))
    expire_all_versions(found)
    return redacted


def _keys(spec: ClassSpec, object_ids: Any) -> list[Any]:
    """Return the keys of the objects that are asked for.

    :raises InvalidArgument: if one may as well be what another object is called.
    """
    keys = object_keys(spec, object_ids)
    for given in several(object_ids) if spec.name_key is not None else ():
        if not isinstance(given, (MAPPING, spec.parent_class, spec.version_class)):
            owner, wanted = spec.parent_class.__name__, ", ".join(f"{k!r}: …" for k in spec.key)
            raise InvalidArgument(
                f"object_ids has {given!r}, and {owner} calls its objects by {spec.name_key!r}; "
                f"say which is meant by its primary key, {{{wanted}}}, or give the object"
            )
    return keys


def _pairs(spec: ClassSpec, names: tuple[str, ...]) -> dict[VersionSpec, list[ColumnPair]]:
    """Return the columns of some attributes, by table."""
    found: dict[VersionSpec, list[ColumnPair]] = {}
    kind = mapper_of(spec.version_class).polymorphic_on
    fixed: set[Any] = set() if kind is None else set(kind.base_columns)
    for name in names:
        owner = next(each for each in family_of(spec) if name in each.columns)
        column = version_column(owner, name)
        table = next(each for each in owner.tables if each.version_table is column.table)
        pair = next(each for each in table.pairs if each.version is column)
        if pair in table.key or column in fixed:
            raise InvalidArgument(
                f"columns has {name!r}, which tells objects of {spec.parent_class.__name__} apart; "
                "without it there would be no telling what a version is of: prune() instead"
            )
        found.setdefault(table, []).append(pair)
    return found


def _empty(session: Any, place: Place, pairs: list[ColumnPair], keys: list[Any]) -> int:
    spec = place.spec
    dialect = session.get_bind(**place.bind).dialect
    known = KeyParameters([pair.version for pair in spec.key], dialect, spec.prefix)
    return sum(
        place.execute(session, build_redaction(spec, pairs, chunk.style), chunk.parameters())
        for chunk in known.sets(keys).chunks()
    )
