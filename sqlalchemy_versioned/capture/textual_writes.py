"""SQL text that writes versioned tables, recognised by looking through it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sqlalchemy import Table

__all__ = ["TextualWrites", "begins_like_write"]

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
        names = sorted({re.escape(str(table.name)) for table in tables})
        self._mention = re.compile("|".join(names) or "(?!)", re.IGNORECASE)
        self._patterns = [re.compile(each, re.IGNORECASE) for each in _patterns("|".join(names))]

    def find(self, text: str) -> str | None:
        """Return the name of a versioned table that *text* writes, if there is one."""
        if not self._mention.search(text):
            return None
        for plain in {" ".join(scan.sub(_kept, text).split()) for scan in _SCANS}:
            plain = _without_trigger(plain)
            for pattern in self._patterns:
                found = pattern.search(plain)
                if found is not None:
                    return found.group("name")
        return None


def _scan(literal: str, comment: str) -> re.Pattern[str]:
    """Return what matches quoted names, which are kept, and literals and comments, which are not.

    Comments that start with an exclamation mark are executed by MySQL.
    """
    kept = r'(?P<kept>"(?:[^"]|"")*"|`[^`]*`)'
    dropped = rf"{literal}|(?P<dollar>\$\w*\$).*?(?P=dollar)|/\*(?!!).*?\*/|{comment}"
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


def _patterns(names: str) -> Iterator[str]:
    """Yield what matches writes to tables, in text with single spaces."""
    name = rf'(?:[`"\[]?[\w$]+[`"\]]? ?\. ?)*[`"\[]?(?<!\w)(?P<name>{names})(?!\w)(?![`"\]]? ?\.)'
    modifiers = r"(?: (?:low_priority|high_priority|delayed|quick|ignore|or \w+))*"
    yield rf"\b(?:insert|replace){modifiers}(?: into)? {name}"
    yield rf"\bmerge(?: into)?(?: only)? {name}"
    yield rf"\bdelete{modifiers}(?: from)?(?: only)? {name}"
    yield rf"\btruncate(?: table)?(?: only)? (?:[^;]*, ?)?(?:only )?{name}"
    yield rf"\bcopy {name}[^;]* from\b"
    yield rf"\bload (?:data|xml)\b[^;]* into table {name}"
    # MySQL may change any of the tables that it names before SET, and deletes by aliases.
    yield rf"(?<!\bfor )(?<!\bkey )(?<!\bon )\bupdate\b(?:(?!\bset\b)[^;])*?{name}[^;]*?\bset\b"
    yield rf"\bdelete{modifiers} (?!from\b)[^;]*? from [^;]*?{name}"
    yield rf"\bdelete{modifiers} from (?P<alias>\w+) using [^;]*?{name} (?:as )?(?P=alias)\b"
