"""Names of packages that are there without being imported, until somebody asks for them.

Most programs that import the library never revert or repair anything; what does so is a third of
it.  Only packages do this, for what is theirs to give away; modules import what they need.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["names_on_demand"]


def names_on_demand(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__()`` of a package, which imports a module when it is needed.

    :param modules: for each name, the module that has it, from the package on.

    >>> find = names_on_demand("sqlalchemy_versioned", {"revert_plan": "revert.reverting"})
    >>> find("revert_plan").__name__
    'revert_plan'
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return load
