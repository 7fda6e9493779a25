"""The example ``examples/git_history.py``, run as its users run it: as a program, on SQLite."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "examples" / "git_history.py"
ODD_NAMES = (
    b"with space.txt",
    b"new\nline.md",
    b"caf\xc3\xa9",
    b"latin\xff.bin",
    b"latin\\xff.bin",
    b'"quoted"',
    b"-dash",
    b":colon",
)

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

#: Importing takes longer than what the program then does. One process imports it, and each run is
#: a child of that one, which has seen no other run.
RUNS = """if True:
    import json, os, sys
    from git_history import main
    for line in sys.stdin:
        arguments, *files = json.loads(line)
        child = os.fork()
        if not child:
            for number, name in enumerate(files, 1):
                os.dup2(os.open(name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), number)
            sys.exit(main(arguments))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


class Story:
    """A repository to write commits into."""

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self.path = path
        self._environment = environment
        self._clock = 1_500_000_000
        path.mkdir()
        self.git("init", "-q")
        self.git("symbolic-ref", "HEAD", "refs/heads/main")
        # Not every file system can tell; what counts is what is committed.
        self.git("config", "core.fileMode", "true")

    def git(self, *arguments: str) -> None:
        """Run git here, an hour after the last time."""
        self._clock += 3600
        date = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"{self._clock} +0200")
        subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            check=True,
            capture_output=True,
            env=self._environment | date,
        )

    def write(self, name: str | bytes, content: str) -> None:
        """Write a file below this repository."""
        path = os.path.join(os.fsencode(self.path), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_text(content)

    def commit(self, subject: str, author: str = "Ann <ann@example.org>") -> None:
        """Commit all there is, even if there is nothing."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "--author", author, "-m", subject)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which git knows no repository and no settings but ours."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CEILING_DIRECTORIES": str(tmp_path_factory.getbasetemp()),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@example.org",
        "GIT_COMMITTER_NAME": "Carl",
        "GIT_COMMITTER_EMAIL": "carl@example.org",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(PROGRAM.parent)]),
        "PYTHONWARNINGS": "error",
        "PYTHONIOENCODING": "utf-8",
    }


@pytest.fixture
def story(tmp_path: Path, environment: dict[str, str]) -> Story:
    """Return a repository without a commit."""
    return Story(tmp_path / "repository", environment)


@pytest.fixture(scope="module")
def run(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return the program as a function of its arguments."""
    files = [tmp_path_factory.mktemp("said") / name for name in ("output", "errors")]

    def run_program(*arguments: object) -> subprocess.CompletedProcess[str]:
        process.stdin.write(json.dumps([list(map(str, arguments)), *map(str, files)]) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        said = [path.read_text("utf-8") for path in files]
        return subprocess.CompletedProcess(arguments, code, *said)

    with subprocess.Popen(
        [sys.executable, "-c", RUNS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
    ) as process:
        yield run_program


@pytest.fixture(scope="module")
def replayed(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Return the repository of the short story, and a database that it was replayed into."""
    directory = tmp_path_factory.mktemp("replayed")
    story = Story(directory / "repository", environment)
    write_short_story(story)
    done = subprocess.run(
        [sys.executable, PROGRAM, story.path, "--database", f"sqlite:///{directory}/history.db"],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return story.path, directory / "history.db"


def write_short_story(story: Story) -> None:
    """Write three commits: a file comes, grows and goes."""
    story.write("lib/a.py", "one\n")
    story.commit("first")
    story.write("lib/a.py", "one\ntwo\n")
    story.write("README", "read me\n")
    story.commit("second", "Ben <ben@example.org>")
    story.git("rm", "-q", "lib/a.py")
    story.commit("third", "Annie <ann@example.org>")


def write_files(story: Story) -> None:
    """Write commits that change what files are: their names, modes, sizes and types."""
    story.write("lib/a.py", "print(1)\n")
    story.write("run", "#!/bin/sh\n")
    story.commit("plain files")
    for name in ODD_NAMES:
        story.write(name, name.hex())
    story.commit("odd names", "José <jose@example.org>")
    story.git("mv", "lib/a.py", "lib/b.py")
    (story.path / "run").chmod(0o755)
    story.commit("rename, and make executable", "Nobody <>")
    story.git("rm", "-q", "run", "lib/b.py")
    (story.path / "link").symlink_to("target")
    story.commit("delete, and link")
    (story.path / "link").unlink()
    story.write("link", "x" * 70_000)
    story.write("lib/a.py", "print(2)\n")
    story.commit("another type, large, and one is back")
    story.git("rm", "-q", "link")
    story.write("link/below", "a directory now\n")
    story.commit("a directory in place of a file")


def write_merges(story: Story) -> None:
    """Write commits that are no ordinary ones: empty, merged, a submodule."""
    story.commit("nothing")
    story.write("a", "1")
    story.commit("something")
    for branch in ("one", "two", "three"):
        story.git("checkout", "-q", "-b", branch, "main")
        story.write(branch, branch)
        story.commit(branch)
        story.git("checkout", "-q", "main")
    story.git("merge", "-q", "--no-ff", "-m", "two parents", "one")
    story.git("merge", "-q", "--no-ff", "-m", "three parents", "two", "three")
    for digit in "12":
        story.git("update-index", "--add", "--cacheinfo", f"160000,{digit * 40},vendor/lib")
        story.git("commit", "-q", "-m", "a submodule")


@pytest.mark.parametrize("write", [write_short_story, write_files, write_merges])
def test_history_equals_gits(story: Story, run: Run, write: Callable[[Story], None]) -> None:
    """Whatever happens to files in git, the version tables tell the same."""
    write(story)

    done = run(story.path)

    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stdout + done.stderr
    assert "Everything is as git says." in done.stdout


@pytest.mark.once
@pytest.mark.parametrize("how", [["--bare"], ["--depth", "2"]])
def test_bare_and_shallow_clones_are_replayed(
    story: Story, run: Run, tmp_path: Path, how: list[str]
) -> None:
    """A clone without files, or without the beginning, is a history too."""
    write_short_story(story)
    story.git("clone", "-q", *how, story.path.as_uri(), str(tmp_path / "clone"))

    done = run(tmp_path / "clone")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.once
@pytest.mark.parametrize("content", [None, "the only file"])
def test_one_commit_is_enough(story: Story, run: Run, content: str | None) -> None:
    """A single commit is replayed, even if there is nothing in it."""
    if content is not None:
        story.write("file", content)
    story.commit("only")

    done = run(story.path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.once
def test_empty_repository_is_refused(story: Story, run: Run) -> None:
    """Without a commit there is nothing to replay, and the message says so."""
    done = run(story.path)

    assert done.returncode == 2
    assert "the repository has no commits yet" in done.stderr


@pytest.mark.once
@pytest.mark.parametrize("exists", [True, False])
def test_path_without_repository_is_refused(run: Run, tmp_path: Path, exists: bool) -> None:
    """A directory that is no repository, or not there, gives git's reason and no traceback."""
    path = tmp_path / "elsewhere"
    if exists:
        path.mkdir()

    done = run(path)

    assert done.returncode == 2
    assert ("not a git repository" if exists else "No such file") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.once
def test_history_of_one_file_is_printed(story: Story, run: Run) -> None:
    """Each version is shown with its author, its operation and what it changed."""
    write_short_story(story)

    done = run(story.path, "--file", "lib/a.py")

    assert "History of lib/a.py: 3 versions" in done.stdout
    assert "Ben: second" in done.stdout
    assert "size: 4 -> 8" in done.stdout
    assert "DELETE" in done.stdout


@pytest.mark.once
def test_unknown_file_is_refused(story: Story, run: Run) -> None:
    """The history of a file that never was is no empty list."""
    write_short_story(story)

    done = run(story.path, "--file", "lib/z.py")

    assert done.returncode == 2
    assert "never had a file lib/z.py" in done.stderr


@pytest.mark.once
def test_limit_replays_the_beginning(story: Story, run: Run) -> None:
    """The first commits alone can be replayed and compared."""
    write_short_story(story)

    done = run(story.path, "--limit", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "commit 2 " in done.stdout
    assert "commit 3 " not in done.stdout


def test_database_keeps_the_replay(replayed: tuple[Path, Path], run: Run, tmp_path: Path) -> None:
    """A replay can be checked again later, but not replayed over."""
    path, database = replayed

    codes = [
        run(path, "--database", f"sqlite:///{where}", *options).returncode
        for where, options in (
            (tmp_path / "nothing.db", ["--check-only"]),
            (database, ["--check-only"]),
            (database, []),
        )
    ]

    assert codes == [2, 0, 2]


@pytest.mark.once
@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE file_version SET size = size + 1",
        "UPDATE file_version SET sha = 'f00' WHERE operation_type = 1",
        "UPDATE file_version SET end_transaction_id = NULL",
        "DELETE FROM file_tag_version WHERE transaction_id = 1",
        "UPDATE author_version SET name = 'Mallory'",
        "UPDATE \"transaction\" SET issued_at = '2001-01-01 00:00:00.000000'",
        "UPDATE file SET mode = '100755'",
    ],
)
def test_any_difference_fails(
    replayed: tuple[Path, Path], run: Run, tmp_path: Path, tampering: str
) -> None:
    """A changed row, wherever it is, is found, printed, and makes the exit code 1."""
    path, database = replayed
    copy = shutil.copy(database, tmp_path / "history.db")
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(tampering)

    done = run(path, "--database", f"sqlite:///{copy}", "--check-only")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "git has" in done.stdout
