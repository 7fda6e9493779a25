"""Run the quick start of the README, and show what it does.

The README is the only copy of that code: this script reads the block from there, prints it and
executes it. The tests use :func:`read_blocks` to hold the README to what it says.
"""

import sys
import textwrap
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parent.parent / "README.rst"


def read_blocks(readme: Path = README) -> tuple[str, str]:
    """Return the code of the quick start, and the output the README promises."""
    text = readme.read_text(encoding="utf-8")
    code = _indented_after(text, ".. code-block:: python\n")
    output = _indented_after(text, "It prints::\n")
    return code, output


def run(code: str) -> dict[str, Any]:
    """Execute *code* as a program and return its names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, str(README), "exec"), names)
    return names


def _indented_after(text: str, marker: str) -> str:
    lines = text.partition(marker)[2].splitlines()
    end = next(
        (number for number, line in enumerate(lines) if line and not line.startswith(" ")),
        len(lines),
    )
    return textwrap.dedent("\n".join(lines[:end])).strip("\n") + "\n"


def main() -> int:
    """Show the quick start, then what it prints."""
    code, _ = read_blocks()
    print("The quick start of the README:\n")
    print(textwrap.indent(code, "    "))
    print("prints:\n")
    sys.stdout.flush()
    run(code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
