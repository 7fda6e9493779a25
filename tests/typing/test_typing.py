"""What type checkers make of an application."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).with_name("sample.py")


@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="needs mypy")
def test_sample_is_strictly_typed() -> None:
    """An application that uses the library passes mypy --strict, with the types it expects."""
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(SAMPLE)]
    ran = subprocess.run(
        command, cwd=SAMPLE.parents[2], capture_output=True, text=True, check=False, timeout=300
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
