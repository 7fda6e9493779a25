"""The faults of ``make mutants`` can be put into the package as it is."""

from collections import Counter
from pathlib import Path

import sqlalchemy_versioned
from tests.faults import FAULTS

PACKAGE = Path(sqlalchemy_versioned.__file__).parent
ROOT = Path(__file__).parent.parent


def test_each_fault_finds_its_text():
    """What a fault replaces occurs exactly once; the text that was meant has changed otherwise."""
    texts = {file: (PACKAGE / file).read_text("utf-8") for file in {each.file for each in FAULTS}}

    assert [each.name for each in FAULTS if texts[each.file].count(each.old) != 1] == []


def test_faults_are_told_apart_and_say_where_to_look():
    """Each fault has a name of its own, and the tests that it is looked for in are there."""
    repeated = [name for name, n in Counter(each.name for each in FAULTS).items() if n > 1]
    files = {test.partition("::")[0] for each in FAULTS for test in each.look}
    missing = [file for file in files if not (ROOT / file).exists()]

    assert (repeated, missing) == ([], [])
