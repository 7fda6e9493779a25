"""The programs that do what the introductions of other libraries promise."""

import pytest


@pytest.fixture
def printed(run_example, capsys):
    """Run a program, and return the lines that it prints."""

    def run(name):
        run_example(name)
        return capsys.readouterr().out.splitlines()

    return run


def test_continuum(printed):
    """Versions are there after each commit, and lead back to what was."""
    assert printed("from_continuum.py") == [
        "The first version: Some article",
        "The second version: Updated name",
        "Reverted to the first version: Some article",
        "Versions stored for an update that changes nothing: 0",
        "After the deletion: None",
        "Restored: Some news ['news']",
        "Operations: ['INSERT', 'UPDATE', 'UPDATE', 'UPDATE', 'DELETE', 'INSERT']",
        "Changed by the last transaction: {'ArticleVersion': 1, 'TagVersion': 1}",
        "Tags of each version: [[], [], [], ['news'], [], ['news']]",
    ]
