"""Version objects: their neighbours, their changes, and what they are as objects."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import String, inspect, select, text
from sqlalchemy.orm import (
    Mapped,
    Session,
    aliased,
    configure_mappers,
    mapped_column,
    object_session,
    selectinload,
)
from sqlalchemy.orm.exc import DetachedInstanceError

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    InvalidArgument,
    InvalidArgumentType,
    version_api,
    version_class,
    versions_of,
)
from sqlalchemy_versioned.maintenance import redact, verify
from tests.schemas.animals import build_animals

pytestmark = pytest.mark.strategies()

ROOT = Path(__file__).parents[2]


def write_articles(session, blog):
    """Write an article that is called a, b and c, and another that is changed in between."""
    article, other = (blog.Article(content="Some content") for _ in range(2))
    other.name = "other"
    session.add_all([article, other])
    for name in "abc":
        article.name = other.content = name
        session.commit()


@pytest.fixture
def article(session, blog, write):
    """An article with the versions a, b and c, and another that was changed in between."""
    write(write_articles)
    article = session.get(blog.Article, 1)
    session.expire(article)
    return article


def test_neighbours(article):
    """Each version knows the one before and the one after it."""
    first, second, third = article.versions

    assert (first.previous, first.next) == (None, second)
    assert (second.previous, second.next) == (first, third)
    assert (third.previous, third.next) == (second, None)


def test_index_is_that_of_the_object(article):
    """The place of a version is counted among those of its own object."""
    assert [version.index for version in article.versions] == [0, 1, 2]


def test_changeset_has_old_and_new(article):
    """A changeset tells the old value first; the first version has everything to tell."""
    first, second, _ = article.versions

    assert second.changeset == {"name": ["a", "b"]}
    assert first.changeset["name"] == [None, "a"]
    assert first.changeset["id"] == [None, article.id]
    assert "transaction_id" not in first.changeset


def test_deletion_changes_no_value(article, session):
    """A deletion has the last values, so its changeset is empty."""
    session.delete(article)
    session.flush()

    last = article.versions[-1]
    assert (last.operation_type, last.name, last.changeset) == (2, "c", {})


@pytest.mark.options(operation_type_format="code", operation_type_column_name="done")
def test_deletions_are_told_and_found(article, blog, session):
    """is_delete says whether a version is a deletion, of an object and as a condition."""
    cls = version_class(blog.Article)
    again = aliased(cls)
    session.delete(article)
    session.commit()

    (deletion,) = session.scalars(select(cls).where(cls.is_delete))
    rest = session.scalars(select(again).where(again.id == deletion.id, ~again.is_delete)).all()

    assert (deletion.name, deletion.is_delete) == ("c", True)
    assert [(each.name, each.is_delete) for each in rest] == [(name, False) for name in "abc"]


def test_difference_of_two_versions(article):
    """diff() compares any two versions, without asking the database."""
    first, _, third = article.versions

    assert first.diff(third) == {"name": ["a", "c"]}
    assert third.diff(first) == {"name": ["c", "a"]}
    assert first.diff(first) == {}


def test_difference_needs_one_class(article, blog, session):
    """Versions of different classes, and other objects, cannot be compared."""
    tag = blog.factories.Tag()
    session.flush()

    for other in (tag.versions[0], article, None):
        with pytest.raises(ImproperlyConfigured, match="version of the same class"):
            article.versions[0].diff(other)


def test_links_to_what_is_around(article, session):
    """A version leads to its transaction and to the live object, until that is deleted."""
    version = article.versions[1]

    assert version.transaction.id == version.transaction_id
    assert version.version_parent is article
    session.delete(article)
    session.commit()
    assert version.version_parent is None


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("name", ["previous", "next", "index", "changeset"])
def test_each_question_is_one_statement(article, session, engine, count_statements, name):
    """One statement answers, whether or not the version has been loaded."""
    version = article.versions[1]
    for prepare in (session.refresh, session.expire):
        prepare(version)
        with count_statements(engine) as statements:
            getattr(version, name)

        assert statements.count == 1


def test_expired_version_is_read_with_its_changes(article, session):
    """The changeset of an expired version is that of the database."""
    version = article.versions[1]
    session.expire_all()

    assert version.changeset == {"name": ["a", "b"]}


def test_to_dict_has_all_values(article):
    """to_dict() has the kept columns and the bookkeeping columns."""
    version = article.versions[0]
    values = version.to_dict()

    assert (values["name"], values["operation_type"]) == ("a", 0)
    assert set(values) == {attribute.key for attribute in inspect(type(version)).column_attrs}


@pytest.mark.strategies("validity", "subquery")
def test_repr_never_asks(article, session, engine, count_statements):
    """What a version is can be shown at any time, also when its values are not there."""
    version = article.versions[0]
    shown = repr(version)
    assert shown.startswith("<ArticleVersion id=1, transaction_id=")
    session.expire(version)
    with count_statements(engine) as statements:
        assert repr(version) == shown.replace(", operation_type=<Operation.INSERT: 0>", "")
        session.expunge(version)
        repr(version)
        repr(type(version)())

    assert statements.count == 0


def test_detached_version_is_refused(article, session):
    """Nothing around a version can be read without a session; its own values can."""
    version = article.versions[0]
    session.expunge(version)

    assert version.to_dict()["name"] == "a"
    for name in ("previous", "next", "index", "changeset"):
        for each in (version, type(version)()):
            with pytest.raises(DetachedInstanceError, match="is in no session"):
                getattr(each, name)


def test_version_at_a_transaction(article, session, blog):
    """version_at() gives the newest version of then, which may be a deletion."""
    Version = version_class(blog.Article)
    versions = article.versions.all()
    key = {"id": article.id}
    session.delete(article)
    session.commit()

    for version in versions:
        assert Version.version_at(session, key, version.transaction_id) is version
    assert Version.version_at(session, key, 0) is None
    assert Version.version_at(session, key, 10**6).operation_type == 2
    for same in (key["id"], (key["id"],), [key["id"]]):
        assert Version.version_at(session, same, versions[1].transaction) is versions[1]


@pytest.mark.parametrize("key", [{}, {"name": "a"}, {"id": 1, "name": "a"}, (1, 2), None])
def test_wrong_key_is_refused(article, session, blog, key):
    """A key that is none is no answer of None, and neither is an object."""
    Version = version_class(blog.Article)
    for wrong in (key, article):
        with pytest.raises(InvalidArgumentType, match="has the primary key id"):
            Version.version_at(session, wrong, 1)
        with pytest.raises(InvalidArgumentType, match="has the primary key id"):
            Version.all_versions(session, wrong)


@pytest.mark.parametrize(
    ("page", "error"),
    [
        ({"limit": "x"}, InvalidArgumentType),
        ({"limit": -1}, InvalidArgument),
        ({"offset": 1.5}, InvalidArgumentType),
        ({"offset": -1}, InvalidArgument),
    ],
)
def test_wrong_pages_are_refused(article, session, blog, page, error):
    """A page is said by whole numbers."""
    with pytest.raises(error, match="give "):
        version_class(blog.Article).all_versions(session, article.id, **page)


def test_only_versions_have_an_api(article, blog):
    """What is no version has nothing that could be asked."""
    for wrong in (article, version_class(blog.Article), None):
        with pytest.raises(ImproperlyConfigured, match="is no version; give one"):
            version_api(wrong)


def test_versions_are_read_in_a_session(article, blog):
    """What is no session is called so."""
    Version = version_class(blog.Article)
    for read in (lambda: Version.version_at(None, 1, 1), lambda: Version.all_versions(article, 1)):
        with pytest.raises(ImproperlyConfigured, match="is no session; give a Session"):
            read()


@pytest.mark.parametrize("desc", [True, False])
def test_pages_of_versions(article, session, blog, desc):
    """Pages are parts of one list, and the neighbours at their edges are the true ones."""
    Version, key = version_class(blog.Article), {"id": article.id}
    everything = article.versions.all()[:: -1 if desc else 1]
    pages = [
        Version.all_versions(session, key, limit=1, offset=place, desc=desc) for place in range(4)
    ]

    assert pages == [[version] for version in everything] + [[]]
    assert [page[0].changeset for page in pages[:3]] == [v.changeset for v in everything]
    assert pages[1][0].previous is article.versions[0]
    assert pages[1][0].next is article.versions[2]
    assert Version.all_versions(session, key, offset=1, desc=desc) == everything[1:]


def test_neighbours_are_those_of_now(article, session, blog):
    """Whatever was read along with a version, it is asked anew what comes before and after."""
    Version, key = version_class(blog.Article), {"id": article.id}
    third, second, _ = Version.all_versions(session, key)
    assert (third.previous, third.next) == (second, None)
    article.name = "d"
    session.flush()
    assert third.next.name == "d"
    session.delete(second)
    session.flush()

    assert third.previous is article.versions[0]
    assert third.changeset == {"name": ["a", "c"]}


@pytest.mark.parametrize(
    "read",
    [
        lambda article, oldest, newest: article.versions[1],
        lambda article, oldest, newest: oldest.next,
        lambda article, oldest, newest: newest.previous,
        lambda article, oldest, newest: type(oldest).all_versions(
            object_session(article), article.id
        )[1],
    ],
    ids=["versions", "next", "previous", "all_versions"],
)
def test_loaded_version_is_read_again(article, session, read):
    """A version that a statement has changed since it was loaded is read as it is now."""
    oldest, loaded, newest = article.versions.all()
    table = inspect(type(loaded)).local_table
    session.execute(table.update().values(description="told later"))
    assert loaded.description != "told later"

    found = read(article, oldest, newest)

    assert found is loaded
    assert found.description == "told later"


class TestSubclasses:
    """Classes whose versions are in several tables."""

    @pytest.fixture
    def models(self, keep):
        """Animals, of which cats have a table more."""
        return keep(build_animals)

    def test_subclasses_give_their_own_versions(self, session, models):
        """The versions of a base class are of the classes of their objects."""
        cat = models.factories.Cat(lives=9)
        session.commit()
        cat.lives = 8
        session.commit()
        first, second = cat.versions
        base_class = version_class(models.Animal)

        assert type(first) is version_class(models.Cat)
        assert second.changeset == {"lives": [9, 8]}
        assert (second.index, second.previous, first.next) == (1, first, second)
        assert base_class.all_versions(session, {"id": cat.id}) == [second, first]


def test_names_of_columns_win(Base, engine):
    """A model may use every name of the API; what it hides is found at version_api."""
    taken = ("index", "next", "previous", "changeset", "revert", "transaction", "operation")
    taken += ("versions", "values", "keys", "diff", "to_dict")
    columns = {name: mapped_column(String(20)) for name in taken}

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        locals().update(columns)

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        thing = Thing(**{name: name for name in taken})
        session.add(thing)
        session.commit()
        thing.index = "other"
        session.commit()
        first, second = versions_of(thing)
        api = second.version_api

        assert {name: getattr(first, name) for name in taken} == {name: name for name in taken}
        assert (api.index, api.previous, api.next) == (1, first, None)
        assert api.changeset == api.diff(first) | {"index": ["index", "other"]}
        assert version_api(first).to_dict()["values"] == "values"
        assert (api.transaction.id, api.operation_type) == (second.transaction_id, 1)
        assert api.version_parent is thing
        assert type(first).version_at(session, thing.id, api.transaction) is second
        assert version_api(first).revert() is thing
        assert thing.index == "index"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copy_is_another_object(article, session, copied):
    """A copy has the values of the version, and a state and a life of its own."""
    version = article.versions[1]
    twin = copied(version)
    twin.name = "changed"

    assert (version.name, version in session, twin in session) == ("b", True, False)
    assert twin.to_dict() == version.to_dict() | {"name": "changed"}
    assert session.merge(copied(version), load=False) is version


def test_copy_of_an_expired_version(article, session):
    """A copy of a version that is not loaded can be merged into a session again."""
    version = article.versions[1]
    session.expire(version)

    assert session.merge(copy.copy(version)).name == "b"


MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy_versioned import Versioned, make_versioned

make_versioned(strategy="STRATEGY")

class Base(DeclarativeBase):
    pass

class Page(Versioned, Base):
    __tablename__ = "page"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
"""

SENDER = """
import pickle, sys
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, configure_mappers
from sqlalchemy_versioned import version_class
import pages

configure_mappers()
engine = create_engine("sqlite://")
pages.Base.metadata.create_all(engine)
with Session(engine) as session:
    page = pages.Page(name="a")
    session.add(page)
    session.commit()
    version = page.versions[0]
    session.expunge(version)
    twin = pickle.loads(pickle.dumps(version))
    session.add(twin)
    assert (twin.index, twin.to_dict()) == (0, version.to_dict())
    sent = {"all": page.versions, "version": twin, "class": version_class(pages.Page)}
    sys.stdout.buffer.write(pickle.dumps(sent))
"""

RECEIVER = """
import pickle, sys
got = pickle.load(sys.stdin.buffer)
import pages
assert type(got["version"]) is got["class"] is pages.PageVersion
print(got["version"].name, got["version"], got["all"])
"""


def test_pickles_travel(tmp_path, strategy):
    """A pickled version comes back to its session, and to a process that configured nothing."""
    (tmp_path / "pages.py").write_text(MODELS.replace("STRATEGY", strategy))

    def run(code, sent=b""):
        command = [sys.executable, "-W", "error", "-c", code]
        environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
        return subprocess.run(
            command, input=sent, env=environment, capture_output=True, check=True
        ).stdout

    got = run(RECEIVER, run(SENDER))

    assert got.startswith(b"a <PageVersion id=1, transaction_id=1")
    assert got.endswith(b"<VersionCollection of Page (1,)>\n")


def test_merged_from_a_cache(article, blog, session):
    """Merging what a cache remembers puts nothing back: no end, no live object, no relationship."""
    article.tags.append(blog.Tag(name="t"))
    article.name = "d"
    session.commit()
    version = article.versions[-1]
    assert (version.version_parent.name, len(version.tags)) == ("d", 1)
    cached = select(blog.Article).options(selectinload(blog.Article.versions))
    (remembered,) = session.scalars(cached.where(blog.Article.id == article.id))
    session.expunge_all()

    session.get(blog.Article, article.id).name = "e"
    session.commit()
    merged = session.merge(version)
    session.commit()

    assert (merged.version_parent.name, [tag.name for tag in merged.tags]) == ("e", ["t"])
    assert merged.next.name == "e"
    session.merge(remembered)
    session.commit()
    assert verify(session) == []


def test_what_was_redacted_stays_so(article, blog, session):
    """A copy of a version from before brings back nothing but what the application sets in it."""
    remembered, changed = (copy.deepcopy(article.versions[0]) for _ in range(2))
    changed.description = "set"
    redact(session, blog.Article, object_ids=[article.id], columns=["name"])
    session.commit()

    assert session.merge(remembered).name is None
    merged = session.merge(changed)
    session.commit()
    assert (merged.name, merged.description) == (None, "set")


def test_version_is_an_ordinary_object(blog, session):
    """Version classes can be made and stored like others."""
    Version = version_class(blog.Article)
    session.add(Version(id=7, transaction_id=1, operation_type=0, name="x"))
    session.flush()

    assert session.scalar(text("SELECT name FROM article_version WHERE id = 7")) == "x"
