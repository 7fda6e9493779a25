"""Replay a git repository into versioned models, and prove that nothing got lost.

A git repository is a history that somebody else has kept, so it is a good judge of ours.
This program walks the first-parent history of a repository from its first commit on. For each
commit it brings three ordinary models (files, their tags, their authors) to the state of that
commit, in one database transaction that bears the commit's author and date. What makes them
versioned is the ``Versioned`` mixin and nothing else: no line below writes to a version table.

Then it asks both for the past. For 20 commits spread over the history, the files that the version
tables hold at that commit's transaction must be the files that ``git ls-tree`` lists: path, mode,
size, content hash and tags. Any difference is printed, and the exit code is 1. ::

    python examples/git_history.py                          # the clone this file lies in
    python examples/git_history.py ~/src/flask --limit 500  # the first 500 commits
    python examples/git_history.py . --database sqlite:///history.db --file README.rst
    python examples/git_history.py . --database sqlite:///history.db --check-only

What may surprise: a file keeps its ``id`` when it is deleted and comes back, so that its history
is one story; a rename is a deletion and an addition, as it is in git's own trees; a submodule has
no size; in a shallow clone the history starts at the oldest commit that is there.

Exit codes: 0, all is equal; 1, something differs; 2, the question could not be answered.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    and_,
    create_engine,
    func,
    or_,
    select,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    relationship,
)

from sqlalchemy_versioned import (
    Operation,
    Versioned,
    deleted,
    make_versioned,
    transaction_class,
    version_class,
    version_table,
    versioning_manager,
)

# -- the models ----------------------------------------------------------------------------------

make_versioned(user_cls="Author")


class Base(DeclarativeBase):
    """Base of the models of this example."""


file_tag = Table(
    "file_tag",
    Base.metadata,
    Column("file_id", Integer, ForeignKey("file.id"), primary_key=True),
    Column("tag_id", Integer, ForeignKey("tag.id"), primary_key=True),
)


class Author(Versioned, Base):
    """Who wrote a commit: one row for each address, with the name last used with it."""

    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)


class Tag(Versioned, Base):
    """A kind of file; see :func:`tags_of`."""

    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)


class File(Versioned, Base):
    """A file as the replayed commit has it, and the author who touched it last."""

    __tablename__ = "file"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    path: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(String(6))
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha: Mapped[str] = mapped_column(String(64))
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=file_tag, order_by=Tag.name)


class Commit(Base):
    """Which transaction recorded which commit. Not versioned: it is written once."""

    __tablename__ = "git_commit"

    transaction_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    position: Mapped[int]
    sha: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)


configure_mappers()

FileVersion = version_class(File)
TagVersion = version_class(Tag)
AuthorVersion = version_class(Author)
Transaction = transaction_class(File)
file_tag_version = version_table(file_tag)

# -- what git says -------------------------------------------------------------------------------

SUBMODULE = "160000"
KINDS = {"executable": "100755", "symlink": "120000", "submodule": SUBMODULE}


class CannotReplay(Exception):
    """The question cannot be answered; the message says why and what to do."""


@dataclass(frozen=True)
class Entry:
    """One file of one tree."""

    mode: str
    sha: str
    size: int | None
    tags: frozenset[str]


Tree = dict[str, Entry]


@dataclass
class GitCommit:
    """One commit of the first-parent history, with what it changed against its first parent."""

    sha: str
    name: str
    email: str
    date: datetime
    subject: str
    #: Path, mode and hash of each file; mode ``000000`` means that it is gone.
    changes: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])


def text_of(raw: bytes) -> str:
    r"""Write bytes of git as text; no two paths become one: ``\xff`` is a byte, ``\\`` a backslash.

    >>> text_of(b"na\xc3\xafve \xff \\xff")
    'naïve \\xff \\\\xff'
    """
    return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def date_of(seconds: bytes) -> datetime:
    """Read a date; damaged ones, which exist, count as the ends of all time."""
    stamp = int(seconds) if seconds.lstrip(b"-").isdigit() else 0
    return datetime.fromtimestamp(min(max(stamp, 0), 253_402_300_799), timezone.utc)


def tags_of(path: str, mode: str, size: int | None) -> frozenset[str]:
    """Name the kinds of a file: by its place, its name, its mode and its size.

    >>> sorted(tags_of("bin/run.sh", "100755", 70_000))
    ['directory bin', 'executable', 'large', 'suffix .sh']
    """
    pure = PurePosixPath(path)
    tags = {f"directory {pure.parts[0] if len(pure.parts) > 1 else '.'}"}
    tags |= {f"suffix {pure.suffix}"} if pure.suffix else set()
    tags |= {kind for kind, known in KINDS.items() if known == mode}
    tags |= {"large"} if size is not None and size > 64 * 1024 else set()
    return frozenset(tags)


class Repository:
    """Read-only questions to one git repository, bare or not."""

    # A hook of git runs with these set, and then "-C" would not be obeyed.
    _REDIRECTIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")

    # The user's own configuration must not change what is shown: merges against their first
    # parent, root commits against nothing, renames as two changes, paths from the top.
    _LOG = (
        *("-c", "log.showSignature=false", "-c", "log.showRoot=true"),
        *("-c", "log.diffMerges=first-parent", "log", "--encoding=UTF-8", "--no-notes"),
        *("--first-parent", "--reverse", "-m", "--raw", "-z", "--no-abbrev"),
        *("--no-renames", "--no-relative", "--ignore-submodules=none"),
    )

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._git = ["git", "-C", os.fspath(path)]
        self._environment = {k: v for k, v in os.environ.items() if k not in self._REDIRECTIONS}
        self._environment["LC_ALL"] = "C"
        self._output("rev-parse", "--git-dir")
        try:
            self._output("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except CannotReplay:
            raise CannotReplay(f"{path}: the repository has no commits yet") from None

    def count_commits(self) -> int:
        """Count the commits of the first-parent history."""
        return int(self._output("rev-list", "--first-parent", "--count", "HEAD"))

    def commits(self) -> Iterator[GitCommit]:
        """Return the first-parent history, oldest commit first."""
        fields = "--format=tformat:%x02%H%x00%an%x00%ae%x00%ct%x00%s%x00"
        log = self._output(*self._LOG, fields, "HEAD", "--")
        return parse_log(iter(log.split(b"\0")))

    def sizes(self) -> dict[str, int]:
        """Return the size of every object; to ask for each commit would take far longer."""
        listing = self._output(
            *("cat-file", "--batch-all-objects", "--unordered"),
            "--batch-check=%(objectname) %(objectsize)",
        )
        lines = (line.split() for line in listing.decode().splitlines())
        return {name: int(size) for name, size in lines}

    def tree(self, sha: str) -> Tree:
        """List all files of the commit *sha* as ``git ls-tree`` sees them."""
        listing = self._output("ls-tree", "-r", "-z", "--long", "--full-tree", sha)
        tree: dict[str, Entry] = {}
        for line in listing.split(b"\0")[:-1]:
            facts, _, name = line.partition(b"\t")
            mode, _, blob, length = facts.decode().split()
            path, size = text_of(name), int(length) if length.isdigit() else None
            tree[path] = Entry(mode, blob, size, tags_of(path, mode, size))
        return tree

    def signature(self, sha: str) -> tuple[str, str, datetime]:
        """Return name and address of the author of the commit *sha*, and its date."""
        line = self._output(
            "log",
            "--no-show-signature",
            "--encoding=UTF-8",
            "-1",
            "-s",
            "--format=%an%x00%ae%x00%ct",
            sha,
        )
        name, email, date = line.removesuffix(b"\n").split(b"\0")
        return text_of(name), text_of(email), date_of(date)

    def _output(self, *arguments: str) -> bytes:
        command = [*self._git, *arguments]
        try:
            done = subprocess.run(command, env=self._environment, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise CannotReplay("the program 'git' is not installed") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise CannotReplay(f"{self._git[2]}: {said or f'git {arguments[0]} failed'}")
        return done.stdout


def parse_log(fields: Iterator[bytes]) -> Iterator[GitCommit]:
    """Make commits of the fields that ``git log --raw -z`` prints.

    A commit is a mark with its hash, four fields, an empty one, and two fields for each change.
    """
    commit: GitCommit | None = None
    for raw in fields:
        mark = raw.lstrip(b"\n")
        if mark.startswith(b"\x02"):
            if commit is not None:
                yield commit
            name, email, date, subject = islice(fields, 4)
            who = text_of(name), text_of(email), date_of(date)
            commit = GitCommit(mark[1:].decode(), *who, text_of(subject))
        elif mark.startswith(b":") and commit is not None:
            _, mode, _, sha, _ = mark.decode().split()
            commit.changes.append((text_of(next(fields)), mode, sha))
    if commit is not None:
        yield commit


# -- replay: git writes, the models follow -------------------------------------------------------


class Replay:
    """Brings the models from commit to commit, one database transaction each."""

    def __init__(self, session: Session, sizes: dict[str, int]) -> None:
        self._session = session
        self._sizes = sizes
        self._files: dict[str, File] = {}
        self._file_ids: dict[str, int] = {}
        self._tags: dict[str, Tag] = {}
        self._authors: dict[str, Author] = {}

    def apply(self, position: int, commit: GitCommit) -> None:
        """Record *commit*: its changes under its author and its date."""
        session, facts = self._session, {"position": position, "sha": commit.sha}
        with session.begin():
            author = self._author(commit)
            transaction = versioning_manager.unit_of_work(session).create_transaction(
                session, user=author, issued_at=commit.date
            )
            for path, mode, sha in commit.changes:
                self._change(path, mode, sha, author)
            session.add(Commit(transaction_id=transaction.id, subject=commit.subject, **facts))

    def _change(self, path: str, mode: str, sha: str, author: Author) -> None:
        if mode == "000000":
            self._session.delete(self._files.pop(path))
            return
        if path not in self._files:
            number = self._file_ids.setdefault(path, len(self._file_ids) + 1)
            self._files[path] = File(id=number, path=path)
            self._session.add(self._files[path])
        file, size = self._files[path], None if mode == SUBMODULE else self._sizes.get(sha)
        file.mode, file.sha, file.size, file.author = mode, sha, size, author
        names = tags_of(path, mode, size)
        if names != frozenset(tag.name for tag in file.tags):
            file.tags = [self._tag(name) for name in sorted(names)]

    def _tag(self, name: str) -> Tag:
        if name not in self._tags:
            self._tags[name] = Tag(id=len(self._tags) + 1, name=name)
            self._session.add(self._tags[name])
        return self._tags[name]

    def _author(self, commit: GitCommit) -> Author:
        author = self._authors.get(commit.email)
        if author is None:
            author = Author(id=len(self._authors) + 1, email=commit.email)
            self._authors[commit.email] = author
            self._session.add(author)
        author.name = commit.name
        return author


def replay(repository: Repository, session: Session, limit: int | None) -> None:
    """Replay the first *limit* commits of *repository*, or all, into an empty database."""
    with session.begin():
        if count_rows(session, Commit):
            raise CannotReplay("the database already holds a replay; see --check-only")
    total = repository.count_commits()
    total = total if limit is None else max(0, min(limit, total))
    story, started = Replay(session, repository.sizes()), time.monotonic()
    for done, commit in enumerate(islice(repository.commits(), total), start=1):
        story.apply(done, commit)
        show_progress(done, total, time.monotonic() - started)


def show_progress(done: int, total: int, seconds: float) -> None:
    """Say how far it is: in one line that changes on a terminal, elsewhere at each tenth."""
    changing = sys.stderr.isatty()
    if changing or 10 * done // total > 10 * (done - 1) // total:
        line = f"replayed {done} of {total} commits, {done / max(seconds, 1e-9):.0f} a second"
        end = "\r" if changing and done < total else "\n"
        print(line, end=end, file=sys.stderr, flush=True)


# -- check: what the version tables say must be what git says ------------------------------------


def valid_at(version: Any, at: int) -> Any:
    """Match the versions that were current at transaction *at*."""
    ended = version.end_transaction_id
    return and_(
        version.transaction_id <= at,
        or_(ended.is_(None), ended > at),
        version.operation_type != Operation.DELETE,
    )


def tree_of_versions(session: Session, at: int) -> Tree:
    """Read the files as they were at transaction *at*, with the tags they had then."""
    links = select_tag_names(at).subquery()
    file = FileVersion
    statement = (
        select(file.path, file.mode, file.sha, file.size, links.c.name)
        .outerjoin(links, links.c.file_id == file.id)
        .where(valid_at(file, at))
    )
    return tree_of_rows(session.execute(statement))


def select_tag_names(at: int) -> Any:
    """Select each file's id with the name of each tag that it had at transaction *at*."""
    return (
        select(file_tag_version.c.file_id, TagVersion.name)
        .join(TagVersion, TagVersion.id == file_tag_version.c.tag_id)
        .where(valid_at(file_tag_version.c, at), valid_at(TagVersion, at))
    )


def tree_of_live(session: Session) -> Tree:
    """Read the files as they are now."""
    columns = File.path, File.mode, File.sha, File.size, Tag.name
    return tree_of_rows(session.execute(select(*columns).outerjoin(File.tags)))


def tree_of_rows(rows: Iterable[Sequence[Any]]) -> Tree:
    """Gather rows of path, mode, hash, size and one tag, or none, into a tree."""
    files: dict[tuple[str, str, str, int | None], set[str]] = {}
    for path, mode, sha, size, tag in rows:
        files.setdefault((path, mode, sha, size), set()).update([] if tag is None else [tag])
    tree: Tree = {}
    for (path, mode, sha, size), tags in files.items():
        # Two versions of a file that hold at once must not pass for one.
        name = f"{path} (twice)" if path in tree else path
        tree[name] = Entry(mode, sha, size, frozenset(tags))
    return tree


def differences(expected: Tree, found: Tree) -> Iterator[str]:
    """Tell, file by file, where *found* is not what git says."""
    for path in sorted(expected.keys() | found.keys()):
        if (theirs := expected.get(path)) != (ours := found.get(path)):
            yield f"{shown(path)}: git has {theirs}, the database has {ours}"


def check(repository: Repository, session: Session) -> int:
    """Compare 20 commits with git, print each, and return the number of differences."""
    commits = session.scalars(select(Commit).order_by(Commit.position)).all()
    if not commits:
        raise CannotReplay("the database holds no replay; leave --check-only out")
    print("\nCompared with git ls-tree")
    faults = 0
    last = len(commits) - 1
    for commit in [commits[place] for place in sorted({i * last // 19 for i in range(20)})]:
        title = f"commit {commit.position} {commit.sha[:12]}"
        faults += print_findings(title, check_commit(repository, session, commit))
    now = differences(repository.tree(commits[-1].sha), tree_of_live(session))
    return faults + print_findings("live tables", now)


def check_commit(repository: Repository, session: Session, commit: Commit) -> Iterator[str]:
    """Tell where the past at *commit* is not what git says."""
    at = commit.transaction_id
    yield from differences(repository.tree(commit.sha), tree_of_versions(session, at))
    transaction = session.get_one(Transaction, at)
    author = session.scalars(
        select(AuthorVersion).where(
            AuthorVersion.id == transaction.user_id, valid_at(AuthorVersion, at)
        )
    ).one()
    ours = author.name, author.email, transaction.issued_at
    if ours != (theirs := repository.signature(commit.sha)):
        yield f"author and date: git has {theirs}, the database has {ours}"


# -- report --------------------------------------------------------------------------------------


def shown(path: str) -> str:
    """Show a path on one line, whatever is in it."""
    return path if path.isprintable() else ascii(path)


def print_findings(title: str, findings: Iterable[str]) -> int:
    """Print what is wrong with *title*, or that nothing is; return the number of findings."""
    found = list(findings)
    print(f"  {title}: {f'{len(found)} differences' if found else 'equal'}")
    for line in found[:20]:
        print(f"    {line}")
    return len(found)


def count_rows(session: Session, source: Any) -> int:
    """Count the rows of a class, a table or a statement."""
    return session.scalar(select(func.count()).select_from(source)) or 0


def print_summary(session: Session, seconds: float) -> None:
    """Print what the database holds."""
    sources = {
        "commits": Commit,
        "transactions": Transaction,
        "authors": Author,
        "files now": File,
        "deleted files": deleted(File).subquery(),
        "versions of files": FileVersion,
        "versions of links to tags": file_tag_version,
    }
    print("\nSummary")
    for what, source in sources.items():
        print(f"  {what:<26} {count_rows(session, source):>9,}")
    print(f"  {'seconds':<26} {seconds:>9.1f}")


def print_history(session: Session, path: str | None) -> None:
    """Print the versions of the file at *path*, or of the one with most versions."""
    chosen = select(FileVersion.id).group_by(FileVersion.id)
    if path is not None:
        chosen = chosen.where(FileVersion.path == text_of(os.fsencode(path)))
    number = session.scalar(chosen.order_by(func.count().desc(), FileVersion.id).limit(1))
    if number is None and path is not None:
        raise CannotReplay(f"the replayed history never had a file {shown(path)}")
    statement = select(FileVersion).where(FileVersion.id == number)
    versions = session.scalars(statement.order_by(FileVersion.transaction_id)).all()
    if versions:
        print(f"\nHistory of {shown(versions[0].path)}: {len(versions)} versions")
    for version in versions if path is not None else versions[-12:]:
        print_version(version, session.get_one(Commit, version.transaction_id))


def print_version(version: Any, commit: Commit) -> None:
    """Print who made *version*, when, in which commit, and what it changed."""
    operation, transaction = Operation(version.operation_type).name, version.transaction
    when = f"{transaction.issued_at:%Y-%m-%d %H:%M}"
    subject = f"{transaction.user.name}: {commit.subject[:60]}"
    print(f"  {when} {operation:<6} {commit.sha[:12]} {subject}")
    for name, (old, new) in version.changeset.items():
        print(f"      {name}: {old!r} -> {new!r}")


# -- the program ---------------------------------------------------------------------------------


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(
        description="Replay a git repository into versioned models and compare them with git."
    )
    add = parser.add_argument
    add("path", nargs="?", default=here, help="the repository (default: the one of this file)")
    add("--database", default="sqlite://", metavar="URL", help="default: SQLite in memory")
    add("--limit", type=int, metavar="N", help="replay the first N commits only")
    add("--file", metavar="PATH", help="print the history of this file, whole")
    add("--check-only", action="store_true", help="compare a replay the database already holds")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, engine: Engine) -> int:
    """Do what the command line asks for and return the number of differences."""
    repository, started = Repository(options.path), time.monotonic()
    Base.metadata.create_all(engine)
    # Nothing else writes here, so what is loaded stays true from commit to commit.
    with Session(engine, expire_on_commit=False) as session:
        if not options.check_only:
            replay(repository, session, options.limit)
    with Session(engine) as session:
        print_summary(session, time.monotonic() - started)
        faults = check(repository, session)
        print_history(session, options.file)
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = parse_arguments(arguments)
    engine = create_engine(options.database)
    try:
        faults = run(options, engine)
    except CannotReplay as error:
        print(f"git_history: {error}", file=sys.stderr)
        return 2
    finally:
        engine.dispose()
    print(f"\n{faults} differences" if faults else "\nEverything is as git says.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
