"""An application moves in from SQLAlchemy-Continuum: it changes its imports, and nothing else."""

import fcntl
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

ROOT = Path(__file__).parents[2]
MOVING = ROOT / "tests" / "moving"


def run(*arguments, path):
    """Run a program to its end; return what it says."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def move(url, path, *mode):
    """Let the application make its database, and ask it when it has moved."""
    url, journal = url.render_as_string(hide_password=False), str(path / "journal.json")
    run("-W", "ignore", str(MOVING / "blog.py"), url, journal, *mode, path=path)
    program = (MOVING / "blog.py").read_text()
    moved = program.replace("sqlalchemy_continuum", "sqlalchemy_versioned")
    (path / "moved.py").write_text(moved)
    answers = json.loads(
        run("-W", "error", "-m", "tests.moving.questions", url, journal, *mode, path=path)
    )
    return answers | {"made": json.loads((path / "journal.json").read_text())["faults"]}


@pytest.fixture
def answers(database, tmp_path, tmp_path_factory):
    """What is answered by the application that has moved; one process of the run asks it."""
    if not importlib.util.find_spec("sqlalchemy_continuum"):
        if sys.version_info < (3, 11):
            pytest.skip("the peer needs Python 3.11")
        pytest.fail("the peer is not installed; it is in the extra 'test'")
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    shared = directory / f"{database.name}.json"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            shared.write_text(json.dumps(move(database.url, tmp_path)))
    return json.loads(shared.read_text())


@pytest.mark.needs("returning")
def test_past_is_read(answers):
    """After each of a hundred transactions everything reads as it did, relations included."""
    assert answers["past"] == []


@pytest.mark.needs("returning")
def test_versions_are_read(answers):
    """Versions hold what objects were, and the related ones of the time; transactions, who."""
    assert answers["versions"] == []
    assert answers["transactions"] == []


@pytest.mark.needs("returning")
def test_activities_are_read(answers):
    """What users did is there, and leads to the objects, whose keys it has as numbers."""
    assert answers["activities"] == []


@pytest.mark.needs("returning")
def test_articles_are_put_back(answers):
    """Articles can be reverted to what they were, deleted ones and their relations included."""
    assert answers["reverted"] == []


@pytest.mark.needs("returning")
def test_mistakes_are_found(answers):
    """What was recorded wrongly shows as faults, and nothing else does."""
    assert sorted(answers["faults"]) == sorted(answers["made"])


@pytest.mark.needs("returning")
def test_history_goes_on(answers):
    """New versions follow those that were there."""
    continued = answers["continued"]

    assert continued["changeset"]["name"][1] == "continued"
    assert continued["operations"] == [1, 2]
    assert continued["tags"] == [True, False]
    assert continued["ends"]
    assert continued["previous"]
    assert continued["faults"] == []


@pytest.mark.needs("returning")
def test_mistakes_are_mended(answers):
    """What was recorded wrongly is mended, and the past reads as before."""
    mended, left = answers["mended"]

    assert mended == sorted(answers["made"])
    assert left == []
    assert answers["past of mended"] == []


@pytest.mark.needs("hstore")
def test_triggers_are_taken_over(database, engine, tmp_path):
    """Where triggers recorded, ends of joined tables are mended, and ours record from then on."""
    with engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION hstore"))

    answers = move(database.url, tmp_path, "native")
    kinds = {fault[0] for fault in answers["faults"]}
    assert kinds >= {"gap", "closed"}
    assert (answers["versions"], answers["transactions"], answers["reverted"]) == ([], [], [])
    assert answers["mended"] == [sorted(answers["faults"]), []]
    assert answers["past of mended"] == []
    assert answers["continued"]["operations"] == [1, 2]
    assert answers["continued"]["faults"] == []
