"""Masked columns: what stands in the place of values that history does not keep.

The option ``mask`` names columns whose change is recorded, but not their value.  The version table
has a flag for each in place of the value.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

__all__ = ["MASKED", "Masked", "MaskedAttribute", "flag_name"]

#: What is appended to the name of a column, and to that of its attribute, for the flag.
_SUFFIX = "_mask"


class Masked(Enum):
    """What is told of values that are not; its only member is :data:`MASKED`.

    >>> print(MASKED)
    ***
    """

    #: A value that is not told; it may be that there was none.
    MASKED = "***"

    def __repr__(self) -> str:
        return "MASKED"

    def __str__(self) -> str:
        return str(self.value)


#: What is told of a value that is not.
MASKED = Masked.MASKED


class MaskedAttribute:
    """A masked column as an attribute of versions; it tells that there is nothing to tell."""

    def __get__(self, version: Any, owner: type[Any]) -> Any:
        return MASKED


def flag_name(name: str) -> str:
    """Return what the flag for a column or attribute is called."""
    return f"{name}{_SUFFIX}"
