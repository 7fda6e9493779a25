"""Whether a fragment of SQL text may name tables."""

from __future__ import annotations

import re

__all__ = ["may_name_tables"]

#: Words by which a fragment of SQL text names tables.
_NAMES_TABLES = re.compile(r"\b(from|join|into|update|table)\b", re.IGNORECASE)
#: Where these words mean something else.
_NAMES_NONE = re.compile(
    r"""'[^']*'|"[^"]*"|`[^`]*`|\bdistinct\s+from\b|\b(extract|overlay|substring|trim)\s*\([^()]*\)""",
    re.IGNORECASE,
)
#: Signs of escapes and comments, after which quotes cannot be told from text.
_ESCAPES = re.compile(r"\\|--|/\*|[#$]")


def may_name_tables(text: str) -> bool:
    """Tell whether a fragment of SQL text may name tables; in doubt, it may."""
    rest = text if _ESCAPES.search(text) else _NAMES_NONE.sub(" ", text)
    return _NAMES_TABLES.search(rest) is not None
