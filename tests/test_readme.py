"""The README does what it says."""

import doctest

from examples.quickstart import read_blocks, run


def test_quick_start_prints_what_the_readme_promises(versioning, capsys):
    """The quick start runs as it stands, and its output is the one shown."""
    code, promised = read_blocks()

    names = run(code)
    names["engine"].dispose()

    printed = capsys.readouterr().out
    assert doctest.OutputChecker().check_output(promised, printed, doctest.ELLIPSIS), printed
