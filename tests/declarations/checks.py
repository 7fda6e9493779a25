"""What history must say after each transaction, and of all of them at the end."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, inspect, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import ObjectDeletedError

from sqlalchemy_versioned import (
    Operation,
    RelationshipNotVersioned,
    as_of,
    is_versioned,
    version_class,
)
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import spec_of, table_spec_of
from tests.declarations.attributes import relationships_of
from tests.declarations.worlds import World, root_of, watch
from tests.images import History, Version

#: The attributes of an object and who it is related to.
Portrait = dict[str, Any]
Portraits = dict[Any, Portrait]


class Unreadable(Exception):
    """Nobody can tell what the objects are now, so nothing can be compared with them."""


@dataclass
class Witness:
    """Who has seen every commit, and knows what history must say."""

    world: World
    session: Session
    engine: Engine
    #: What all objects were after each transaction that history has.
    points: dict[int, Portraits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tables, groups = watch(self.world)
        self._tables = {name: table_spec_of(each.table) for name, each in tables.items()}
        self.history = History(self.session, tables, groups)
        self._last = 0

    @property
    def versioned(self) -> list[type]:
        """The classes that have versions, of those by which all objects are found."""
        return [cls for cls in self.world.roots if is_versioned(cls)]

    def look(self, step: str) -> None:
        """Take notice of a step, and judge history if it was a commit."""
        if step == "commit":
            self._judge()
        else:
            self.history.look()

    def _judge(self) -> None:
        expected: dict[tuple[str, Any], Version] = {}
        for name, key, version in self.history.commit():
            expected[name, key] = version
        connection = self.session.connection()
        news: dict[tuple[str, Any], list[Version]] = {}
        numbers = set()
        for name, spec in self._tables.items():
            statement = select(spec.version_table).where(spec.transaction_column > self._last)
            for row in connection.execute(statement.order_by(*spec.place)).mappings():
                key = tuple(row[spec.version_column(c)] for c in self.history.tables[name].key)
                values = {pair.parent.name: row[pair.version] for pair in spec.pairs}
                values |= {flag_of(pair.parent): row[pair.version] for pair in spec.masked}
                operation = Operation(row[spec.operation_column])
                news.setdefault((name, key), []).append(Version(operation, values))
                numbers.add(row[spec.transaction_column])
        assert len(numbers) <= 1, f"one transaction, recorded as {numbers}"
        self._compare(news, expected)
        faults = verify(self.session)
        assert not faults, [str(fault) for fault in faults]
        if numbers:
            (self._last,) = numbers
            self.points[self._last] = self.portraits_of_now()

    def _compare(self, news: Any, expected: dict[Any, Version]) -> None:
        for place in news.keys() | expected.keys():
            spec, found = self._tables[place[0]], news.get(place, [])
            wanted = expected.get(place)
            if wanted is not None:
                wanted = self._settled(place[0], wanted)
            if spec.strategy.merges:
                found = [self._settled(place[0], version) for version in found]
                if wanted is None and self._says_more(place, news):
                    continue
                assert found == ([] if wanted is None else [wanted]), (place, found, wanted)
            elif wanted is not None:
                # Each write is a row; what they come to is what counts.
                assert found, (place, "was not recorded", wanted)
                is_gone = found[-1].operation == Operation.DELETE
                assert is_gone == (wanted.operation == Operation.DELETE), (place, found, wanted)
                last = self._settled(place[0], found[-1])
                assert last.values == wanted.values, (place, found, wanted)

    def _says_more(self, place: tuple[str, Any], news: Any) -> bool:
        """Tell whether a version is of a masked column that was set, perhaps to what it was."""
        name, key = place
        group = next(each for each in self.history.groups if name in each)
        found = [version for each in group for version in news.get((each, key), ())]
        flags = [flag_of(c) for each in group for c in self.history.tables[each].masked]
        is_update = {version.operation for version in found} == {Operation.UPDATE}
        return is_update and any(version.values.get(flag) for version in found for flag in flags)

    def _settled(self, name: str, version: Version) -> Version:
        """Return a version without what need not be what the row had in the end.

        An ignored column may have changed alone after the version was written.  A flush may let go
        of references before it deletes a row, and with them set what follows an update.
        """
        watched = self.history.tables[name]
        is_gone = version.operation == Operation.DELETE
        values = {
            column.name: version.values[column.name]
            for column in watched.table.c
            if column.name in version.values.keys() - watched.ignored - watched.masked
            if column.primary_key or not (is_gone and follows(column))
        }
        return Version(version.operation, values)

    # -- the whole -----------------------------------------------------------------------

    def portraits_of_now(self) -> Portraits:
        """Return what all objects are, read by a session of its own.

        :raises Unreadable: if a statement has left parts of objects.
        """
        with Session(self.engine) as session:
            try:
                return portraits(session, self.versioned)
            except (ObjectDeletedError, KeyError) as error:
                raise Unreadable from error

    def check_past(self, numbers: Iterable[int]) -> None:
        """Compare what is read of the past with what was read when it was now."""
        for number in numbers:
            with as_of(self.session, number) as past:
                found = portraits(past, self.versioned)
            assert found == self.points[number], (number, differences(found, self.points[number]))

    def check_versions(self) -> None:
        """Compare what versions say of each other, and of what they were related to."""
        for cls in self.versioned:
            if not spec_of(cls).root.strategy.merges:
                continue
            chains: dict[Any, list[Any]] = {}
            model = version_class(cls)
            place = [getattr(model, key) for key in spec_of(cls).place]
            for version in self.session.scalars(select(model).order_by(*place)).unique():
                chains.setdefault(identity_of_version(version), []).append(version)
            for identity, chain in chains.items():
                if len({type(version) for version in chain}) == 1:
                    self._check_chain(chain)
                for version in chain:
                    self._check_version(identity, version)

    def _check_chain(self, chain: list[Any]) -> None:
        for index, version in enumerate(chain):
            api = version.version_api
            before = chain[index - 1] if index else None
            assert api.previous is before
            assert api.next is (chain[index + 1] if index + 1 < len(chain) else None)
            assert api.index == index
            changes = {
                name: [getattr(before, name, None), getattr(version, name)]
                for name in spec_of(version).columns
                if getattr(before, name, None) != getattr(version, name)
            }
            changeset = api.changeset
            assert {k: v for k, v in changeset.items() if k in spec_of(version).columns} == changes

    def _check_version(self, identity: Any, version: Any) -> None:
        spec = spec_of(version)
        if version.version_api.is_delete:
            return
        portrait = self.points[getattr(version, spec.transaction_key)][identity]
        for name in spec.columns:
            if name in portrait:
                assert getattr(version, name) == portrait[name], (identity, name)
        for relationship in readable_relationships(inspect(spec.parent_class)):
            try:
                related = getattr(version, relationship.key)
            except RelationshipNotVersioned:
                continue
            found = members(relationship, related, identity_of_version)
            assert found == portrait[relationship.key], (
                identity,
                relationship.key,
                getattr(version, spec.transaction_key),
                found,
                portrait[relationship.key],
            )


def flag_of(column: Any) -> str:
    """Return by which name a version tells whether a masked column was changed."""
    return f"whether {getattr(column, 'name', column)} was changed"


def follows(column: Any) -> bool:
    """Tell whether a column may change while its row is deleted."""
    is_counter = column.name == "counter"
    is_made = column.onupdate is not None or column.computed is not None
    return is_counter or is_made or bool(column.foreign_keys)


def portraits(session: Any, classes: Iterable[type]) -> Portraits:
    """Return what all objects of some classes are, and what they are related to."""
    found = {}
    for cls in classes:
        for obj in session.scalars(select(cls)).unique():
            found[identity_of(obj)] = portrait_of(obj)
    return found


def portrait_of(obj: Any) -> Portrait:
    """Return what history keeps of an object."""
    spec = spec_of(obj)
    found = {"class": type(obj)}
    found |= {key: getattr(obj, key) for key in spec.columns if key not in spec.options.ignore}
    for relationship in readable_relationships(inspect(type(obj))):
        related = getattr(obj, relationship.key)
        found[relationship.key] = members(relationship, related, identity_of)
    return found


def readable_relationships(mapper: Any) -> list[Any]:
    """Return the relationships of which history tells all, and the database the same each time."""
    return [
        each
        for each in relationships_of(mapper)
        if each.lazy != "write_only" and is_versioned(each.mapper.class_)
        # Of several objects where there should be one, any is loaded.
        if each.uselist or each.direction.name == "MANYTOONE"
    ]


def members(relationship: Any, related: Any, identify: Any) -> Any:
    """Return who is related, in a fixed order."""
    if not relationship.uselist:
        return related and identify(related)
    return sorted((identify(each) for each in related), key=repr)


def identity_of(obj: Any) -> Any:
    """Return what tells an object from all others."""
    mapper = inspect(type(obj))
    return root_of(mapper).class_.__name__, tuple(mapper.primary_key_from_instance(obj))


def identity_of_version(version: Any) -> Any:
    """Return what tells the object of a version from all others."""
    spec = spec_of(version)
    name = root_of(inspect(spec.parent_class)).class_.__name__
    return name, tuple(getattr(version, key) for key in spec.key)


def differences(found: Portraits, wanted: Portraits) -> dict[Any, Any]:
    """Return where two pictures differ."""
    return {
        key: (found.get(key), wanted.get(key))
        for key in found.keys() | wanted.keys()
        if found.get(key) != wanted.get(key)
    }
