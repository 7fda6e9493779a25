"""SQL text that writes versioned tables, recognised by looking through it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from sqlalchemy import Table

from ..database.foreign_keys import referring_tables

__all__ = ["TextualActs", "TextualWrites", "Truncations", "begins_like_write"]

#: Words that statements begin with which write rows themselves.
_WRITING = re.compile(
    r"\s*(?:insert|replace|merge|update|delete|truncate|copy|load|with)\b", re.IGNORECASE
)


def begins_like_write(text: str) -> bool:
    """Tell whether SQL text begins as one that writes rows itself, and makes nothing that will.

    >>> begins_like_write("TRUNCATE article"), begins_like_write("CREATE TRIGGER ...")
    (True, False)
    """
    return _WRITING.match(text) is not None


class TextualWrites:
    """Finds versioned tables that a piece of SQL text writes.

    Text is looked through, not understood: what only looks like a write is found as well.

    :param tables: the versioned tables.
    """

    def __init__(self, tables: Iterable[Table]) -> None:
        self._find = _Finder(tables, _patterns)

    def find(self, text: str) -> str | None:
        """Return the name of a versioned table that *text* writes, if there is one."""
        return self._find(text)


class TextualActs:
    """Finds tables by which SQL text may have foreign keys do something to rows of others.

    :param deleted: tables of which a database does so when rows are deleted.
    :param updated: the names of the columns that it does so for when they are changed, by table.
    """

    def __init__(self, deleted: Iterable[Table], updated: Mapping[Table, Collection[str]]) -> None:
        self._deletions = _Finder(deleted, _deleting_patterns)
        self._updates = [
            _Finder([table], _updating_patterns, _assignments(names))
            for table, names in updated.items()
        ]

    def find(self, text: str) -> Iterator[str]:
        """Yield the names of such tables."""
        for finder in (self._deletions, *self._updates):
            name = finder(text)
            if name is not None:
                yield name


class Truncations:
    """Finds what SQL text empties along with other tables, by ``TRUNCATE … CASCADE``.

    That asks no foreign key what it says of deletions.

    :param tables: the versioned tables.
    """

    def __init__(self, tables: Collection[Table]) -> None:
        self._referring = referring_tables(tables)
        self._find = _Finder(self._referring, _truncating_patterns)

    def emptied(self, text: str) -> list[Table]:
        """Return the tables that refer to one that *text* empties, in the order of their names."""
        name = (self._find(text) or "").lower()
        waiting = [table for table in self._referring if table.name.lower() == name]
        found: set[Table] = set()
        while waiting:
            new = self._referring.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        # Rows are locked in this order, in every process.
        return sorted(found, key=str)


class _Finder:
    """Finds one of some tables in text, where a pattern has its name.

    :param patterns: makes the patterns of what matches the names.
    :param further: what must be in the text as well.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        patterns: Callable[[str], Iterable[str]],
        further: str = "",
    ) -> None:
        names = sorted({re.escape(str(table.name)) for table in tables})
        self._mention = re.compile("|".join(names) or "(?!)", re.IGNORECASE)
        self._patterns = [re.compile(each, re.IGNORECASE) for each in patterns("|".join(names))]
        self._further = re.compile(further, re.IGNORECASE)

    def __call__(self, text: str) -> str | None:
        if not self._mention.search(text):
            return None
        scanned = {" ".join(scan.sub(_kept, text).split()) for scan in _SCANS}
        if _EXECUTING.match(text):
            scanned.add(" ".join(text.split()))
        for plain in scanned:
            plain = _SETTINGS.sub("", _without_trigger(plain))
            for pattern in self._patterns:
                found = pattern.search(plain)
                if found is not None and self._further.search(plain):
                    return found.group("name")
        return None


def _scan(literal: str, comment: str) -> re.Pattern[str]:
    """Return what matches quoted names, which are kept, and literals and comments, which are not.

    Comments that start with an exclamation mark are executed by MySQL, with an M before by MariaDB.
    """
    kept = r'(?P<kept>"(?:[^"]|"")*"|`[^`]*`)'
    dropped = rf"{literal}|(?P<dollar>\$\w*\$).*?(?P=dollar)|/\*(?!M?!).*?\*/|{comment}"
    return re.compile(f"{kept}|{dropped}", re.DOTALL)


#: Whether a backslash escapes a quote, and whether a hash begins a comment, differs between
#: databases and their settings; what is a write in any of these ways is one.
_SCANS = [
    _scan(literal, comment)
    for literal in (r"'(?:[^']|'')*'", r"'(?:[^'\\]|''|\\.)*'")
    for comment in (r"--[^\n]*", r"(?:--|#)[^\n]*")
]


def _kept(match: re.Match[str]) -> str:
    return match["kept"] or " '' "


#: What executes a literal.
_EXECUTING = re.compile(r"\s*(?:do|execute\s+immediate)\b", re.IGNORECASE)
#: What MariaDB sets for one statement, which follows it.
_SETTINGS = re.compile(r"^(?:'' )*set statement [^;]*? for (?=\w)", re.IGNORECASE)

#: The beginning of a trigger that has its statements in it, and what blocks begin and end with.
_TRIGGER = re.compile(
    r"^(?:'' )*create (?:or replace )?(?:temp(?:orary)? )?trigger\b[^;]*?\bbegin\b", re.I
)
_BLOCKS = re.compile(r"(?<![\"`])\b(begin|case|end)\b(?![\"`])", re.I)


def _without_trigger(text: str) -> str:
    """Leave out the body of a trigger that *text* makes, which is not executed yet."""
    made = _TRIGGER.match(text)
    depth = 1
    for each in _BLOCKS.finditer(text, made.end()) if made else ():
        depth += -1 if each[1].lower() == "end" else 1
        if not depth:
            return text[each.end() :]
    return text


#: What may stand between the first word of a statement and the table.
_MODIFIERS = r"(?: (?:low_priority|high_priority|delayed|quick|ignore|or \w+))*"


def _name(names: str) -> str:
    return rf'(?:[`"\[]?[\w$]+[`"\]]? ?\. ?)*[`"\[]?(?<!\w)(?P<name>{names})(?!\w)(?![`"\]]? ?\.)'


def _patterns(names: str) -> Iterator[str]:
    """Yield what matches writes to tables, in text with single spaces."""
    name = _name(names)
    yield rf"\b(?:insert|replace){_MODIFIERS}(?: into)? {name}"
    yield rf"\bmerge(?: into)?(?: only)? {name}"
    yield rf"\btruncate(?: table)?(?: only)? (?:[^;]*, ?)?(?:only )?{name}"
    yield rf"\bcopy {name}[^;]* from\b"
    yield rf"\bload (?:data|xml)\b[^;]* into table {name}"
    yield _update(name)
    yield from _deletes(name)


def _update(name: str) -> str:
    # MySQL may change any of the tables that it names before SET.
    return rf"(?<!\bfor )(?<!\bkey )(?<!\bon )\bupdate\b(?:(?!\bset\b)[^;])*?{name}[^;]*?\bset\b"


def _deletes(name: str) -> Iterator[str]:
    yield rf"\bdelete{_MODIFIERS}(?: from)?(?: only)? {name}"
    # MySQL deletes by aliases.
    yield rf"\bdelete{_MODIFIERS} (?!from\b)[^;]*? from [^;]*?{name}"
    yield rf"\bdelete{_MODIFIERS} from (?P<alias>\w+) using [^;]*?{name} (?:as )?(?P=alias)\b"


def _deleting_patterns(names: str) -> Iterator[str]:
    """Yield what matches statements that may delete rows of tables."""
    name = _name(names)
    yield from _deletes(name)
    yield rf"\breplace{_MODIFIERS}(?: into)? {name}"
    yield rf"\binsert or replace(?: into)? {name}"
    yield rf"\bmerge(?: into)?(?: only)? {name}[^;]* then delete\b"


def _truncating_patterns(names: str) -> Iterator[str]:
    """Yield what matches statements that empty tables, and those that refer to them."""
    yield rf"\btruncate(?: table)?(?: only)? (?:[^;]*, ?)?(?:only )?{_name(names)}[^;]* cascade\b"


def _updating_patterns(names: str) -> Iterator[str]:
    """Yield what matches statements that may change rows of tables."""
    name = _name(names)
    yield _update(name)
    yield rf"\bmerge(?: into)?(?: only)? {name}[^;]* then update\b"
    yield rf"\binsert{_MODIFIERS}(?: into)? {name}[^;]* (?:do|key) update\b"


def _assignments(columns: Iterable[str]) -> str:
    """Return what matches an assignment to one of some columns, by itself or in a row."""
    names = "|".join(sorted(map(re.escape, columns)))
    column = rf'(?:[`"\[]?[\w$]+[`"\]]? ?\. ?)*[`"\[]?(?<!\w)(?:{names})(?!\w)[`"\]]?'
    one = rf"(?:\bset|\bkey update|,) ?{column} ?="
    return rf"{one}|(?:\bset|,) ?\((?:[^()]*, ?)?{column} ?(?:,[^()]*)?\) ?="
