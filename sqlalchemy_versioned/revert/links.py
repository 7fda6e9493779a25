"""What a plan has to write to association tables besides the links that relationships write.

:mod:`.link_values` has it written by the next flush.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import RelationshipProperty, Session

from ..exc import IncompleteHistory, ReverterException
from .associations import Association, Key, Row
from .columns import have_one_of, is_filled, is_same
from .link_values import unwritten
from .live import chunks
from .steps import SetLink, Target, Unlink
from .unique import Unique, can_clash, clash, rows_with, uniques_of

__all__ = ["Link", "plan_links"]


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A link, with the row that it was; of one that is to go, only what it links."""

    association: Association
    relationship: RelationshipProperty[Any]
    owner: Target
    member: Target
    row: Row

    @property
    def key(self) -> Key:
        """What it links."""
        return self.association.key(self.row)


def plan_links(
    session: Session, links: Sequence[Link], removed: Sequence[Link]
) -> tuple[list[SetLink], tuple[Unlink, ...]]:
    """Return what there is to write to association tables, and which links have to go first.

    :param links: the links that are to be, each as often as history has it.
    :param removed: the links that are to go.
    :raises ReverterException: if a relationship cannot write a row as it was.
    :raises IncompleteHistory: if history does not keep all of it.
    """
    steps: list[SetLink] = []
    releases: list[Unlink] = []
    for association in dict.fromkeys(link.association for link in links):
        planner = _Planner(
            session,
            [each for each in links if each.association == association],
            [each for each in removed if each.association == association],
        )
        planner.let_go()
        steps += planner.steps()
        releases += planner.releases()
    return steps, tuple(releases)


@dataclass(slots=True, eq=False)
class _Change:
    """A row that is to be written."""

    link: Link
    #: Whether there is a row of the link.
    is_stored: bool
    #: What it is to have in the other columns; the database fills those that are left out.
    values: Row

    def value(self, unique: Unique) -> Key | None:
        """Return what it is to have of some columns, if that is certain."""
        row = {**dict(zip(self.link.association.link, self.link.key, strict=True)), **self.values}
        value = tuple(row.get(column) for column in unique.columns)
        return value if can_clash(value) else None


class _Planner:
    """What there is to write to one association table."""

    def __init__(self, session: Session, links: Sequence[Link], removed: Sequence[Link]) -> None:
        self._session = session
        self._association = links[0].association
        self._mapper = links[0].relationship.mapper
        self._removed = {each.key: each for each in removed}
        self._changes = self._compare(links)
        #: Links that have to go before others can have their values.
        self._released: set[Key] = set()

    def steps(self) -> Iterator[SetLink]:
        """Yield the steps that write the rows."""
        for key, change in self._changes.items():
            link, values = change.link, {c.key: v for c, v in change.values.items()}
            is_stored = change.is_stored and key not in self._released
            yield SetLink(link.owner, link.relationship.key, link.member, values, is_stored)

    def releases(self) -> Iterator[Unlink]:
        """Yield the steps that remove links for the time being."""
        groups: dict[tuple[Target, str], list[Link]] = {}
        for link in (*[each.link for each in self._changes.values()], *self._removed.values()):
            if link.key in self._released:
                groups.setdefault((link.owner, link.relationship.key), []).append(link)
        for (owner, key), links in groups.items():
            if links[0].relationship.cascade.delete_orphan:
                raise ReverterException(
                    f"{owner}.{key} cannot be reverted: links exchange unique values, and what it "
                    "unlinks for that it deletes; make their constraint INITIALLY DEFERRED"
                )
            yield Unlink(owner, key, tuple(link.member for link in links))

    # -- then and now ------------------------------------------------------------------------

    def _compare(self, links: Sequence[Link]) -> dict[Key, _Change]:
        """Find the rows that are not as they were."""
        then: dict[Key, list[Link]] = {}
        for each in links:
            same = then.setdefault(each.key, [])
            # Another relationship sees the same rows.
            if not same or same[0].relationship is each.relationship:
                same.append(each)
        now = self._read([*then, *self._removed])
        for key, link in self._removed.items():
            # A relationship removes a link by its two ends, and so all of these rows.
            if len(now.get(key, ())) > 1:
                raise _ambiguous(link)
        found = {key: self._change(same, now.get(key, [])) for key, same in then.items()}
        return {key: change for key, change in found.items() if change is not None}

    def _change(self, then: Sequence[Link], now: Sequence[Row]) -> _Change | None:
        """Return how a row is to be written; ``None`` if it is as it was."""
        link, association = then[0], self._association
        if len(then) > 1 or len(now) > 1:
            if not _are_same([each.row for each in then], now):
                raise _ambiguous(link)
            return None
        values = {column: link.row[column] for column in association.more}
        if not now:
            _check_filled(link)
            return _Change(link, False, values)
        # Others may refer to it.
        values |= {column: now[0][column] for column in values if column in association.surrogate}
        return None if _are_same([{**link.row, **values}], now) else _Change(link, True, values)

    def _read(self, keys: Iterable[Key]) -> dict[Key, list[Row]]:
        """Return the rows that there are now, with what reverts have not flushed yet."""
        association, found = self._association, dict[Key, list[Row]]()
        unflushed = unwritten(self._session, association)
        selected = select(*association.expressions(lambda column: column))
        for some in chunks(key for key in keys if None not in key):
            statement = selected.where(have_one_of(association.link, some))
            rows = self._session.execute(statement, bind_arguments={"mapper": self._mapper})
            for row in map(association.row, rows):
                key = association.key(row)
                found.setdefault(key, []).append({**row, **unflushed.get(key, {})})
        return found

    # -- unique values -----------------------------------------------------------------------

    def let_go(self) -> None:
        """Find the links that have to go first, so that others can have their unique values.

        :raises ReverterException: if a value belongs to a link that keeps it.
        """
        table, more = self._association.table, set(self._association.more)
        primary = Unique(self._mapper, table, tuple(table.primary_key.columns))
        for unique in (primary, *uniques_of(self._mapper, table)):
            if not more.isdisjoint(unique.columns):
                self._let_go(unique)

    def _let_go(self, unique: Unique) -> None:
        claims = {
            value: key
            for key, change in self._changes.items()
            if (value := change.value(unique)) is not None
        }
        for value, holder in rows_with(self._session, unique, claims, self._association.link):
            key = claims.get(value)
            if key is not None and key != holder:
                self._take(unique, value, key=key, holder=holder)

    def _take(self, unique: Unique, value: Key, *, key: Key, holder: Key) -> None:
        """Let a link have a value that another has now."""
        change, leaving = self._changes[key], self._removed.get(holder)
        held = self._changes.get(holder)
        if leaving is None and (held is None or held.value(unique) == value):
            self._do_without(change, unique, value, holder)
        # A flush updates links one by one, and whose turn comes first is not said.
        elif change.is_stored:
            self._released.add(key)
        elif leaving is not None and leaving.relationship is not change.link.relationship:
            # Each relationship deletes before it inserts, but which comes first is not said.
            self._released.add(holder)

    def _do_without(self, change: _Change, unique: Unique, value: Key, holder: Key) -> None:
        """Have the database number a row anew whose number was given away."""
        is_number = self._association.surrogate.issuperset(unique.columns)
        if change.is_stored or not is_number or not all(map(is_filled, unique.columns)):
            raise clash(_named(change.link), unique, value, holder)
        for column in unique.columns:
            change.values.pop(column, None)


def _are_same(then: Sequence[Row], now: Sequence[Row]) -> bool:
    """Tell whether there are the same rows, in any order."""
    left = list(now)
    for row in then:
        same = (each for each in left if all(is_same(c, v, each[c]) for c, v in row.items()))
        found = next(same, None)
        if found is None:
            return False
        # Each row counts once, as there may be equal ones.
        left = [each for each in left if each is not found]
    return not left


def _check_filled(link: Link) -> None:
    """Refuse to make a row of which history does not keep all that it cannot be without."""
    association = link.association
    known = {*association.link, *association.more}
    for column in association.table.c:
        if column not in known and not is_filled(column):
            raise IncompleteHistory(
                f"{_named(link)} cannot be reverted: {column} takes no NULL, has no default and is "
                "not kept in history; keep it, or give it a default"
            )


def _ambiguous(link: Link) -> ReverterException:
    return ReverterException(
        f"{_named(link)} cannot be reverted: table {link.association.table.fullname!r} has, or "
        f"had, several rows for the link to {link.member}, which a relationship cannot tell "
        "apart; map the table to a versioned class, and revert a relationship to that"
    )


def _named(link: Link) -> str:
    return f"{link.owner}.{link.relationship.key}"
