"""Virtual environments for the peers, one each, made when first needed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.libraries import Library

ROOT = Path(__file__).resolve().parent.parent


class NotAvailable(Exception):
    """Raised where a library cannot be installed."""


def python_of(library: Library) -> str:
    """Return the interpreter that *library* is installed for, installing it.

    :raises NotAvailable: if it could not be installed.
    """
    if library.environment is None:
        return sys.executable
    environment = ROOT / library.environment
    python = environment / "bin" / "python"
    finished = environment / "installed"
    if not finished.exists():
        _run([sys.executable, "-m", "venv", str(environment)])
        _install(python, library)
        finished.touch()
    return str(python)


def _install(python: Path, library: Library) -> None:
    """Install *library*, with the SQLAlchemy that we run if it permits that."""
    assert library.requirements is not None
    requirements = str(Path(__file__).with_name(library.requirements))
    install = [str(python), "-m", "pip", "install", "--quiet", "-r", requirements]
    try:
        _run([*install, f"SQLAlchemy=={version('SQLAlchemy')}"])
    except NotAvailable:
        _run(install)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        output = getattr(error, "stderr", "") or str(error)
        raise NotAvailable(output.strip().splitlines()[-1]) from error
