"""What change records of a zoo must say, judged from its live tables around each commit."""

from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from tests.images import read_rows
from tests.zoo import Zoo, zoo_tables

#: The tables that objects of each class have rows in, other than its own.
UPPER = {"Dog": ["animal"], "Puppy": ["animal", "dog"], "Car": []}
KINDS = {"animal": "Animal", "dog": "Dog", "puppy": "Puppy", "vehicle": "Vehicle", "car": "Car"}
#: Relationships of posts, by the table that tells of them.
LINKS = {"tags": "post_tag", "marks": "post_mark", "labels": "post_label"}

Place = tuple[str, Any]


class Entry(NamedTuple):
    """What one commit did to one object."""

    operation: str
    #: Old and new value of each field; of collections, who was lost and who was gained.
    changes: dict[str, tuple[Any, Any]]


class Journal:
    """What the commits of a session did, in order."""

    def __init__(self, zoo: Zoo, session: Session) -> None:
        self._zoo = zoo
        self._session = session
        self._before = self._read()
        self.commits: list[dict[Place, Entry]] = []

    def commit(self) -> None:
        """Note what the commit did that has just been made."""
        before, self._before = self._before, self._read()
        entries = {}
        for place in before.keys() | self._before.keys():
            old, new = before.get(place), self._before.get(place)
            changes = {
                name: change
                for name in {**(old or {}), **(new or {})}
                if (change := _change((old or {}).get(name), (new or {}).get(name)))
            }
            if changes:
                operation = "INSERT" if old is None else "DELETE" if new is None else "UPDATE"
                entries[place] = Entry(operation, changes)
        if entries:
            self.commits.append(entries)

    def told(self, root: str, relations: Any) -> list[dict[Any, Entry]]:
        """Return what is told of the objects of one hierarchy, commit by commit."""
        others = {"tags", "marks", "labels", "notes", "post", "posts"} - set(relations)
        found = []
        for entries in self.commits:
            wanted = {
                key: Entry(
                    entry.operation, {n: c for n, c in entry.changes.items() if n not in others}
                )
                for (name, key), entry in entries.items()
                if name == root
            }
            found.append({key: entry for key, entry in wanted.items() if entry.changes})
        return [each for each in found if each]

    def _read(self) -> dict[Place, dict[str, Any]]:
        """Return the fields of all objects, relationships included."""
        connection = self._session.connection()
        tables = {
            name: read_rows(connection, table, key)
            for name, (table, key) in zoo_tables(self._zoo).items()
        }
        objects: dict[Place, dict[str, Any]] = {}
        for name, cls in self._zoo.classes.items():
            if name in ("Dog", "Puppy", "Car"):
                continue
            for key, row in tables[cls.__table__.name].items():
                objects[name, _plain(key)] = self._fields(tables, name, key, row)
        return objects

    def _fields(self, tables: Any, name: str, key: Any, row: Any) -> dict[str, Any]:
        if name == "Vehicle" and row["kind"] == "vehicle":
            return {each: value for each, value in row.items() if each != "breed"}
        fields = dict(row)
        for table in ("dog", "puppy") if name == "Animal" else ():
            fields |= tables[table].get(key, {})
        (number,) = key if len(key) == 1 else (None,)
        if name == "Post":
            for relation, table in LINKS.items():
                fields[relation] = frozenset(
                    tag for *_, post, tag in tables[table] if post == number
                )
            notes = tables["note"].items()
            fields["notes"] = frozenset(note for (note,), row in notes if row["post_id"] == number)
        if name == "Tag":
            fields["posts"] = frozenset(post for post, tag in tables["post_tag"] if tag == number)
        if name == "Note":
            fields["post"] = row["post_id"]
        return fields


def _plain(key: Any) -> Any:
    return key[0] if len(key) == 1 else key


def _change(old: Any, new: Any) -> tuple[Any, Any] | None:
    if isinstance(old, frozenset) or isinstance(new, frozenset):
        lost, gained = (old or frozenset()) - (new or frozenset()), frozenset()
        gained = (new or frozenset()) - (old or frozenset())
        return (lost, gained) if lost or gained else None
    return None if old == new else (old, new)


def entry_of(record: Any) -> Entry:
    """Return what a change record says, to be compared with an entry."""
    changes = {c.field: (_frozen(c.old), _frozen(c.new)) for c in record.changes}
    assert len(changes) == len(record.changes)
    return Entry(record.operation.name, changes)


def _frozen(value: Any) -> Any:
    return frozenset(value) if isinstance(value, list) else value
