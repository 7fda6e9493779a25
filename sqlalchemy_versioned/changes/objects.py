"""Questions about one object: who set its columns, and to what it was related."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import DetachedInstanceError

from .._typing import mapper_of, type_of
from ..database.sessions import awaited_as, flush
from ..model.arguments import state_of
from ..model.lookup import ensure_bound, spec_of
from ..model.mapping import stored_key
from ..model.spec import ClassSpec
from ..query.blame import build_blame
from ..query.history import LAST
from ..query.member_rows import build_members
from ..query.members import Membership, Reference, relation_of
from .names import relation_names
from .queries import kept
from .reading import identity
from .running import read_rows

__all__ = ["blame", "difference_of_relations"]


@awaited_as("blame(…)")
def blame(obj: Any) -> dict[str, Any]:
    """Return the transaction that last set each column of an object, by attribute.

    One statement is sent, however many versions there are.

    :param obj: an object, or one of its versions: then as of that version.
    :returns: Transaction objects; ``None`` where history does not tell, as for what was set before
        the oldest version, or for a transaction that is not there any more.
    :raises ClassNotVersioned: if its class is not versioned.
    :raises InvalidArgumentType: if it is a class.

    >>> found = blame(article)
    >>> found["name"] is last, found["description"] is first
    (True, True)
    """
    spec = spec_of(obj)
    session = _session_of(obj)
    ensure_bound(session, spec)
    flush(session)
    key = stored_key(obj, spec.key)
    # It was never stored.
    if None in key:
        return {}
    parameters = {f"key_{place}": value for place, value in enumerate(key)}
    is_version = isinstance(obj, spec.version_class)
    place = stored_key(obj, spec.place) if is_version else (LAST, None)
    # Where versions have no ids, the second is not asked for.
    parameters |= dict(zip(("until", "until_version"), place, strict=False))
    names = (*spec.columns, *spec.masked)
    statement = kept(spec, "blame", lambda: build_blame(spec, names))
    rows = read_rows(session, spec, statement, parameters)
    by_id = {row[0].id: row[0] for row in rows if row[0] is not None}
    return {name: by_id.get(each) for name, each in zip(names, rows[0][1:], strict=True)}


def _session_of(obj: Any) -> Session:
    state = state_of(obj)
    if state.session is None:
        raise DetachedInstanceError(
            f"{obj!r} is in no session, so its versions cannot be read; add it to one"
        )
    return state.session


def difference_of_relations(
    session: Session, old: Any, new: Any, relations: Any
) -> dict[str, list[Any]]:
    """Return what two versions were related to, where it differs, as ``{name: [old, new]}``.

    Of a relationship with many members, each side lists the keys that the other has not; of others
    it is the key of the target.  One statement is sent for each relationship that is recorded in
    other rows.

    :param relations: names of relationships.
    :raises InvalidArgument: if one of them is no relationship of the class.
    :raises RelationshipNotVersioned: if history does not tell of a relationship.

    >>> old, new = article.versions
    >>> difference_of_relations(session, old, new, ["author", "tags"])
    {}
    """
    spec = spec_of(old)
    found: dict[str, list[Any]] = {}
    for name in relation_names(spec, relations):
        relation = relation_of(spec, name)
        if relation is None:
            continue
        if isinstance(relation, Reference):
            sides = [_target(relation, version) for version in (old, new)]
        else:
            sides = _differing_members(session, spec, relation, old, new)
        if sides[0] != sides[1]:
            found[name] = sides
    return found


def _target(relation: Reference, version: Any) -> Any:
    mapper = mapper_of(type_of(version))
    keys = [mapper.get_property_by_column(column).key for column in relation.target]
    return identity([getattr(version, key) for key in keys])


def _differing_members(
    session: Session, spec: ClassSpec, membership: Membership, old: Any, new: Any
) -> list[Any]:
    statement = kept(spec, ("members", membership.key), lambda: build_members(membership))
    parameters: dict[str, Any] = {}
    for side, version in (("old", old), ("new", new)):
        *key, parameters[f"{side}_at"] = stored_key(version, [*spec.key, spec.transaction_key])
        parameters |= {f"{side}_key_{place}": value for place, value in enumerate(key)}
    rows = read_rows(session, spec, statement, parameters)
    before, after = ([identity(row[1:]) for row in rows if row[0] == side] for side in (0, 1))
    if membership.is_scalar:
        return [before[0] if before else None, after[0] if after else None]
    return [
        [each for each in before if each not in after],
        [each for each in after if each not in before],
    ]
