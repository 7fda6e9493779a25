"""Replay a git repository into versioned models, and prove that nothing got lost.

A git repository is a history that somebody else has kept, so it is a good judge of ours.
This program walks the first-parent history of a repository from its first commit on. For each
commit it brings four ordinary models (files, their tags, their authors) to the state of that
commit, in one database transaction that bears the commit's author and date. What makes them
versioned is the ``Versioned`` mixin and nothing else: no line below writes to a version table.

Then it asks both for the past. For 20 commits spread over the history, the files that the version
tables hold at that commit's transaction must be the files that ``git ls-tree`` lists: path, mode,
size, content hash and tags. Any difference is printed, and the exit code is 1. ::

    python examples/git_history.py                          # the clone this file lies in
    python examples/git_history.py ~/src/flask --limit 500  # the first 500 commits
    python examples/git_history.py . --database sqlite:///history.db --file README.rst
    python examples/git_history.py . --database sqlite:///history.db --check-only

What may surprise:

* A path is bytes to git and text to a database. Backslashes are doubled and bytes that are not
  UTF-8 are written ``\\xff``, so that two paths never become one; see :func:`text_of`.
* A file keeps its ``id`` when it is deleted and comes back later, so that its history is one story.
  A rename is a deletion and an addition, as it is in git's own trees.
* A submodule (mode 160000) has no size here; git keeps only the commit it points to.
* In a shallow clone the history starts at the oldest commit that is there.

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
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    ForeignKey,
    Select,
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
    selectinload,
)

from sqlalchemy_versioned import (
    Operation,
    Versioned,
    as_of,
    deleted,
    make_versioned,
    transaction_class,
    version_class,
    version_table,
    versioning_manager,
)

LARGE = 64 * 1024
SUBMODULE = "160000"
KINDS = {"executable": "100755", "symlink": "120000", "submodule": SUBMODULE}

# ------------------------------------------------------------------------------------------------
# The models
# ------------------------------------------------------------------------------------------------

make_versioned(user_cls="Author")


class Base(DeclarativeBase):
    """Base of the models of this example."""


file_tag = Table(
    "file_tag",
    Base.metadata,
    Column("file_id", ForeignKey("file.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
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


# ------------------------------------------------------------------------------------------------
# git: what the repository says
# ------------------------------------------------------------------------------------------------


class CannotReplay(Exception):
    """The question cannot be answered; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of one tree."""

    mode: str
    sha: str
    size: int | None
    tags: frozenset[str]


Tree = dict[str, Entry]
Signature = tuple[str, str, datetime]


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit did to one path; mode ``000000`` means that it is gone."""

    path: str
    mode: str
    sha: str

    @property
    def is_deletion(self) -> bool:
        """Tell whether the path is gone."""
        return self.mode == "000000"


@dataclass(slots=True)
class GitCommit:
    """One commit of the first-parent history, with its changes against its first parent."""

    sha: str
    name: str
    email: str
    date: datetime
    subject: str
    changes: list[Change] = field(default_factory=list)


def text_of(raw: bytes) -> str:
    r"""Write bytes of git as text, so that different bytes are different texts.

    >>> text_of(b"na\xc3\xafve \xff \\xff")
    'naïve \\xff \\\\xff'
    """
    return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def date_of(raw: bytes) -> datetime:
    """Read git's seconds since 1970; damaged dates, which exist, count as its two ends."""
    latest = 253_402_300_799
    digits = raw.lstrip(b"-")
    seconds = int(raw) if digits.isdigit() else 0
    return datetime.fromtimestamp(min(max(seconds, 0), latest), timezone.utc)


def tags_of(path: str, mode: str, size: int | None) -> frozenset[str]:
    """Name the kinds of a file: by its place, its name, its mode and its size.

    >>> sorted(tags_of("bin/run.sh", "100755", 70_000))
    ['directory bin', 'executable', 'large', 'suffix .sh']
    """
    pure = PurePosixPath(path)
    tags = {f"directory {pure.parts[0] if len(pure.parts) > 1 else '.'}"}
    if pure.suffix:
        tags.add(f"suffix {pure.suffix}")
    tags |= {kind for kind, known in KINDS.items() if known == mode}
    if size is not None and size > LARGE:
        tags.add("large")
    return frozenset(tags)


class Repository:
    """Read-only questions to one git repository, bare or not.

    One long-running ``git log`` and one ``git cat-file`` serve a whole replay: a process for each
    commit would take longer than everything else together.
    """

    # A hook of git runs with these set, and then "-C" would not be obeyed.
    _REDIRECTIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")

    # The user's own configuration must not change what is shown: merges against their first
    # parent, root commits against nothing, renames as two changes, paths from the top.
    _LOG = (
        *("-c", "log.showSignature=false", "-c", "log.showRoot=true"),
        *("-c", "log.diffMerges=first-parent", "log", "--encoding=UTF-8", "--no-notes"),
    )
    _DIFF = (
        *("--first-parent", "--reverse", "-m", "--raw", "-z", "--no-abbrev"),
        *("--no-renames", "--no-relative", "--ignore-submodules=none"),
    )

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Look at *path*.

        :raises CannotReplay: if there is no repository, or no commit in it.
        """
        self._path = os.fspath(path)
        self._environment = {
            name: value for name, value in os.environ.items() if name not in self._REDIRECTIONS
        }
        self._environment["LC_ALL"] = "C"
        self._output("rev-parse", "--git-dir")
        try:
            self._output("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except CannotReplay:
            raise CannotReplay(f"{self._path}: the repository has no commits yet") from None

    def count_commits(self) -> int:
        """Count the commits of the first-parent history."""
        return int(self._output("rev-list", "--first-parent", "--count", "HEAD"))

    def commits(self) -> Iterator[GitCommit]:
        """Yield the first-parent history, oldest commit first."""
        fields = "--format=tformat:%x02%H%x00%an%x00%ae%x00%ct%x00%s%x00"
        with self._running(*self._LOG, *self._DIFF, fields, "HEAD", "--") as process:
            assert process.stdout is not None
            yield from parse_log(nul_separated(process.stdout))

    def tree(self, sha: str) -> Tree:
        """List all files of the commit *sha* as ``git ls-tree`` sees them."""
        listing = self._output("ls-tree", "-r", "-z", "--long", "--full-tree", sha)
        tree = {}
        for line in listing.split(b"\0")[:-1]:
            facts, _, name = line.partition(b"\t")
            mode, _, blob, length = facts.decode().split()
            path, size = text_of(name), int(length) if length.isdigit() else None
            tree[path] = Entry(mode, blob, size, tags_of(path, mode, size))
        return tree

    def signature(self, sha: str) -> Signature:
        """Return who wrote the commit *sha*, and its date."""
        line = self._output(*self._LOG, "-1", "-s", "--format=tformat:%an%x00%ae%x00%ct", sha, "--")
        name, email, date = line.removesuffix(b"\n").split(b"\0")
        return text_of(name), text_of(email), date_of(date)

    @contextmanager
    def sizes(self) -> Iterator[SizeReader]:
        """Open one ``git cat-file`` that tells sizes until the block ends."""
        with self._running("cat-file", "--batch-check=%(objectsize)", asked=True) as process:
            yield SizeReader(process)

    def _command(self, arguments: Iterable[str]) -> list[str]:
        return ["git", "-C", self._path, *arguments]

    def _output(self, *arguments: str) -> bytes:
        """Run a short command and return what it prints."""
        try:
            done = subprocess.run(
                self._command(arguments), env=self._environment, capture_output=True, check=False
            )
        except FileNotFoundError as error:
            raise CannotReplay("the program 'git' is not installed") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise CannotReplay(f"{self._path}: {said or 'git ' + arguments[0] + ' failed'}")
        return done.stdout

    @contextmanager
    def _running(self, *arguments: str, asked: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """Run a long command; leaving early ends it, its own failure raises."""
        process = subprocess.Popen(
            self._command(arguments),
            env=self._environment,
            stdin=subprocess.PIPE if asked else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait()
        if process.returncode:
            raise CannotReplay(f"{self._path}: 'git {' '.join(arguments)}' failed")


class SizeReader:
    """Sizes of blobs, asked of one running ``git cat-file``."""

    # Questions and answers of one round must fit into the pipes, or both sides would wait.
    _ROUND = 500

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def sizes_of(self, changes: Sequence[Change]) -> dict[str, int | None]:
        """Return the size of each blob in *changes*; None where git has no blob."""
        wanted = iter({c.sha for c in changes if not c.is_deletion and c.mode != SUBMODULE})
        sizes: dict[str, int | None] = {}
        while names := list(islice(wanted, self._ROUND)):
            sizes.update(zip(names, self._ask(names), strict=True))
        return sizes

    def _ask(self, names: Sequence[str]) -> Iterator[int | None]:
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        questions.write("".join(f"{name}\n" for name in names).encode())
        questions.flush()
        for _ in names:
            answer = answers.readline().strip()
            yield int(answer) if answer.isdigit() else None


def nul_separated(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the fields of *stream* without ever holding all of it."""
    rest = b""
    while chunk := stream.read(1 << 16):
        *fields, rest = (rest + chunk).split(b"\0")
        yield from fields
    if rest:
        yield rest


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
            commit = GitCommit(
                *(mark[1:].decode(), text_of(name), text_of(email)), date_of(date), text_of(subject)
            )
        elif mark.startswith(b":") and commit is not None:
            _, mode, _, sha, _ = mark.decode().split()
            commit.changes.append(Change(text_of(next(fields)), mode, sha))
    if commit is not None:
        yield commit


# ------------------------------------------------------------------------------------------------
# Replay: git writes, the models follow
# ------------------------------------------------------------------------------------------------


class Replay:
    """Brings the models from commit to commit, one database transaction each."""

    def __init__(self, session: Session, reader: SizeReader) -> None:
        self._session = session
        self._reader = reader
        self._files: dict[str, File] = {}
        self._file_ids: dict[str, int] = {}
        self._tags: dict[str, Tag] = {}
        self._authors: dict[str, Author] = {}
        self._position = 0

    def apply(self, commit: GitCommit) -> None:
        """Record *commit*: its changes under its author and its date."""
        with self._session.begin():
            author = self._author(commit)
            unit_of_work = versioning_manager.unit_of_work(self._session)
            transaction = unit_of_work.create_transaction(
                self._session, user=author, issued_at=commit.date
            )
            sizes = self._reader.sizes_of(commit.changes)
            for change in commit.changes:
                self._change(change, author, sizes.get(change.sha))
            self._session.add(
                Commit(
                    transaction_id=transaction.id,
                    position=self._position,
                    sha=commit.sha,
                    subject=commit.subject,
                )
            )
        self._position += 1

    def _change(self, change: Change, author: Author, size: int | None) -> None:
        if change.is_deletion:
            self._session.delete(self._files.pop(change.path))
            return
        file = self._files.get(change.path)
        if file is None:
            file = self._files[change.path] = self._new_file(change.path)
        file.mode, file.sha, file.size = change.mode, change.sha, size
        file.author = author
        names = tags_of(change.path, change.mode, size)
        if names != {tag.name for tag in file.tags}:
            file.tags = [self._tag(name) for name in sorted(names)]

    def _new_file(self, path: str) -> File:
        number = self._file_ids.setdefault(path, len(self._file_ids) + 1)
        file = File(id=number, path=path)
        self._session.add(file)
        return file

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


class Progress:
    """One line that moves on a terminal; elsewhere a line for each tenth."""

    def __init__(self, total: int, stream: IO[str]) -> None:
        self._total = total
        self._stream = stream
        self._started = time.monotonic()
        self._tenth = 0

    def show(self, done: int) -> None:
        """Tell that *done* commits have been replayed."""
        tenth = 10 * done // self._total
        moving = self._stream.isatty()
        if not moving and tenth == self._tenth:
            return
        self._tenth = tenth
        rate = done / max(time.monotonic() - self._started, 1e-9)
        line = f"replayed {done} of {self._total} commits, {rate:.0f} a second"
        end = "\n" if not moving or done == self._total else ""
        print(f"\r{line}" if moving else line, end=end, file=self._stream, flush=True)


def replay(repository: Repository, engine: Engine, *, limit: int | None = None) -> None:
    """Replay the first *limit* commits of *repository*, or all, into an empty database.

    :raises CannotReplay: if the database already holds a replay.
    """
    total = repository.count_commits()
    total = total if limit is None else min(limit, total)
    progress = Progress(total, sys.stderr)
    # Nothing else writes here, so what is loaded stays true from commit to commit.
    with Session(engine, expire_on_commit=False) as session, repository.sizes() as reader:
        with session.begin():
            if count_rows(session, Commit):
                raise CannotReplay("the database already holds a replay; see --check-only")
        story = Replay(session, reader)
        for done, commit in enumerate(islice(repository.commits(), total), start=1):
            story.apply(commit)
            progress.show(done)


# ------------------------------------------------------------------------------------------------
# Check: what the version tables say must be what git says
# ------------------------------------------------------------------------------------------------


def tree_of_versions(session: Session, at: int) -> Tree:
    """Read the files as of transaction *at* from the version tables, link by link."""
    links = select_tag_names(at).subquery()
    statement = (
        select(FileVersion.path, FileVersion.mode, FileVersion.sha, FileVersion.size, links.c.name)
        .outerjoin(links, links.c.file_id == FileVersion.id)
        .where(*valid_at(FileVersion, at))
    )
    return tree_of_rows(session.execute(statement))


def select_tag_names(at: int) -> Select[tuple[int, str]]:
    """Select each file's id with the name of each tag that it had at transaction *at*."""
    link = file_tag_version.c
    newest = (
        select(link.file_id, link.tag_id, func.max(link.transaction_id).label("newest"))
        .where(link.transaction_id <= at)
        .group_by(link.file_id, link.tag_id)
        .subquery()
    )
    same_link = and_(newest.c.file_id == link.file_id, newest.c.tag_id == link.tag_id)
    return (
        select(link.file_id, TagVersion.name)
        .join(newest, and_(same_link, newest.c.newest == link.transaction_id))
        .join(TagVersion, TagVersion.id == link.tag_id)
        .where(link.operation_type != Operation.DELETE, *valid_at(TagVersion, at))
    )


def valid_at(version: Any, at: int) -> tuple[ColumnElement[bool], ...]:
    """Match the versions that were current at transaction *at*."""
    ended = version.end_transaction_id
    return (
        version.transaction_id <= at,
        or_(ended.is_(None), ended > at),
        version.operation_type != Operation.DELETE,
    )


def tree_of_relationships(session: Session, at: int) -> Tree:
    """Read the files as of transaction *at* as version objects with their tags.

    A version sees its tags as of its own transaction. That is enough here, because whatever
    changes the tags of a file (its mode, its size) makes a version of the file as well.
    """
    statement = select(FileVersion).where(*valid_at(FileVersion, at))
    versions = session.scalars(statement.options(selectinload(FileVersion.tags)))
    return tree_of_rows(
        (file.path, file.mode, file.sha, file.size, name)
        for file in versions
        for name in [tag.name for tag in file.tags] or [None]
    )


def tree_of_snapshot(session: Session, at: int) -> Tree:
    """Read the files as of transaction *at* with the statement that reads today's files."""
    with as_of(session, at) as past:
        return tree_of_live(past)


def tree_of_live(session: Session) -> Tree:
    """Read the files as they are now."""
    statement = (
        select(File.path, File.mode, File.sha, File.size, Tag.name)
        .outerjoin(file_tag, file_tag.c.file_id == File.id)
        .outerjoin(Tag, Tag.id == file_tag.c.tag_id)
    )
    return tree_of_rows(session.execute(statement))


def tree_of_rows(rows: Iterable[Sequence[Any]]) -> Tree:
    """Gather rows of path, mode, hash, size and one tag, or none, into a tree."""
    files: dict[tuple[str, str, str, int | None], set[str]] = {}
    for path, mode, sha, size, tag in rows:
        tags = files.setdefault((path, mode, sha, size), set())
        if tag is not None:
            tags.add(tag)
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


def signature_at(session: Session, at: int) -> Signature | None:
    """Return name and email, as they were then, of the author of transaction *at*, and its date."""
    rows = session.execute(
        select(AuthorVersion.name, AuthorVersion.email, Transaction.issued_at)
        .join(Transaction, Transaction.user_id == AuthorVersion.id)
        .where(Transaction.id == at, *valid_at(AuthorVersion, at))
    )
    found = [(row.name, row.email, row.issued_at) for row in rows]
    return found[0] if len(found) == 1 else None


def spread(count: int, samples: int) -> list[int]:
    """Choose *samples* of *count* positions, evenly, the first and the last among them.

    >>> spread(100, 4), spread(2, 20), spread(5, 1)
    ([0, 33, 66, 99], [0, 1], [4])
    """
    if samples == 1:
        return [count - 1]
    samples = min(samples, count)
    return [i * (count - 1) // max(samples - 1, 1) for i in range(samples)]


def check(repository: Repository, session: Session, samples: int) -> int:
    """Compare *samples* commits with git, print each, and return the number of differences.

    :raises CannotReplay: if the database holds no replay.
    """
    commits = session.scalars(select(Commit).order_by(Commit.position)).all()
    if not commits:
        raise CannotReplay("the database holds no replay; leave --check-only out")
    faults = 0
    for position in spread(len(commits), samples):
        commit = commits[position]
        title = f"commit {position + 1} {commit.sha[:12]}"
        faults += print_findings(title, check_commit(repository, session, commit))
    last = repository.tree(commits[-1].sha)
    return faults + print_findings("live tables", differences(last, tree_of_live(session)))


def check_commit(repository: Repository, session: Session, commit: Commit) -> Iterator[str]:
    """Tell where the past at *commit* is not what git says, whichever way it is read."""
    at, expected = commit.transaction_id, repository.tree(commit.sha)
    readings = {
        "version tables": tree_of_versions,
        "version relationships": tree_of_relationships,
        "as_of": tree_of_snapshot,
    }
    for name, read in readings.items():
        for line in differences(expected, read(session, at)):
            yield f"{name}: {line}"
    if (ours := signature_at(session, at)) != (theirs := repository.signature(commit.sha)):
        yield f"author and date: git has {theirs}, the database has {ours}"


# ------------------------------------------------------------------------------------------------
# Report
# ------------------------------------------------------------------------------------------------


def shown(path: str) -> str:
    """Show a path on one line, whatever is in it."""
    return path if path.isprintable() else ascii(path)


def print_findings(title: str, findings: Iterable[str], *, most: int = 20) -> int:
    """Print what is wrong with *title*, or that nothing is; return the number of findings."""
    found = list(findings)
    print(f"  {title}: {f'{len(found)} differences' if found else 'equal'}")
    for line in found[:most]:
        print(f"    {line}")
    if len(found) > most:
        print(f"    and {len(found) - most} more")
    return len(found)


def count_rows(session: Session, source: Any) -> int:
    """Count the rows of a class, a table or a statement."""
    return session.scalar(select(func.count()).select_from(source)) or 0


def print_summary(session: Session, seconds: float) -> None:
    """Print what the database holds."""
    counts = {
        "commits": count_rows(session, Commit),
        "transactions": count_rows(session, Transaction),
        "authors": count_rows(session, Author),
        "files now": count_rows(session, File),
        "deleted files": count_rows(session, deleted(File).subquery()),
        "versions of files": count_rows(session, FileVersion),
        "versions of links to tags": count_rows(session, file_tag_version),
    }
    print("\nSummary")
    for what, count in counts.items():
        print(f"  {what:<26} {count:>9,}")
    print(f"  {'seconds':<26} {seconds:>9.1f}")


def versions_of_file(session: Session, path: str | None) -> Sequence[Any]:
    """Return the versions of the file at *path*, or of the file with most versions.

    :raises CannotReplay: if there never was a file at *path*.
    """
    statement = select(FileVersion.id).group_by(FileVersion.id)
    if path is not None:
        statement = statement.where(FileVersion.path == text_of(os.fsencode(path)))
    chosen = session.scalar(statement.order_by(func.count().desc(), FileVersion.id).limit(1))
    if chosen is None and path is not None:
        raise CannotReplay(f"the replayed history never had a file {shown(path)}")
    return session.scalars(
        select(FileVersion).where(FileVersion.id == chosen).order_by(FileVersion.transaction_id)
    ).all()


def print_history(session: Session, versions: Sequence[Any], *, most: int | None) -> None:
    """Print the versions of one file with their changes, at most the *most* newest."""
    print(f"\nHistory of {shown(versions[0].path)}: {len(versions)} versions")
    listed = versions if most is None else versions[-most:]
    if len(listed) < len(versions):
        print(f"  ({len(versions) - len(listed)} older ones left out; --file shows all)")
    for version in listed:
        print_version(version, session.get_one(Commit, version.transaction_id))


def print_version(version: Any, commit: Commit) -> None:
    """Print who made *version*, when, in which commit, and what it changed."""
    transaction = version.transaction
    operation = Operation(version.operation_type).name
    print(
        f"  {transaction.issued_at:%Y-%m-%d %H:%M} {operation:<6} {commit.sha[:12]}"
        f" {transaction.user.name}: {commit.subject[:60]}"
    )
    for name, (old, new) in version.changeset.items():
        print(f"      {name}: {old!r} -> {new!r}")


def try_revert(session: Session, first: Any) -> int:
    """Put a file back to *first*, look, undo it all, look again; return the number of faults."""
    before = count_rows(session, FileVersion), tree_of_live(session)
    path, wanted = first.path, tree_of_versions(session, first.transaction_id)[first.path]
    first.revert(relations=["tags"])
    session.flush()
    got = tree_of_live(session).get(path)
    session.rollback()
    after = count_rows(session, FileVersion), tree_of_live(session)
    findings = [] if got == wanted else [f"wanted {wanted}, got {got}"]
    findings += [] if after == before else ["the rollback left something behind"]
    print("\nRevert")
    return print_findings(f"{shown(path)} put back to its first version, rolled back", findings)


# ------------------------------------------------------------------------------------------------
# The program
# ------------------------------------------------------------------------------------------------


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(
        description="Replay a git repository into versioned models and compare them with git."
    )
    add = parser.add_argument
    add("path", nargs="?", default=here, help="the repository (default: the one of this file)")
    add("--database", default="sqlite://", metavar="URL", help="default: SQLite in memory")
    add("--limit", type=positive, metavar="N", help="replay the first N commits only")
    add("--file", metavar="PATH", help="print the history of this file, whole")
    add("--samples", type=positive, default=20, metavar="N", help="commits compared with git")
    add("--check-only", action="store_true", help="compare a replay the database already holds")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """Read a number that is at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def run(options: argparse.Namespace) -> int:
    """Do what the command line asks for and return the number of differences."""
    repository = Repository(options.path)
    engine = create_engine(options.database)
    started = time.monotonic()
    try:
        Base.metadata.create_all(engine)
        if not options.check_only:
            replay(repository, engine, limit=options.limit)
        seconds = time.monotonic() - started
        with Session(engine) as session:
            return report(repository, session, options, seconds)
    finally:
        engine.dispose()


def report(
    repository: Repository, session: Session, options: argparse.Namespace, seconds: float
) -> int:
    """Print everything there is to say and return the number of differences."""
    print_summary(session, seconds)
    print("\nCompared with git ls-tree")
    faults = check(repository, session, options.samples)
    versions = versions_of_file(session, options.file)
    if versions:
        print_history(session, versions, most=12 if options.file is None else None)
        faults += try_revert(session, versions[0])
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        faults = run(parse_arguments(arguments))
    except CannotReplay as error:
        print(f"git_history: {error}", file=sys.stderr)
        return 2
    print(f"\n{faults} differences" if faults else "\nEverything is as git says.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
