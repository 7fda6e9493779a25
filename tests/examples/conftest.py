"""The programs of ``examples/``, run by tests as they stand."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def run_example(versioning: Any, Base: Any) -> Callable[[str], dict[str, Any]]:
    """Run a program, which may call ``make_versioned()``, and return its names.

    ``run_example("quickstart.py")`` runs it as a program, ``run_example("quickstart.py", "name")``
    as a module of that name.
    """

    def run(name: str, as_module: str = "__main__") -> dict[str, Any]:
        return runpy.run_path(str(EXAMPLES / name), run_name=as_module)

    return run
