"""Any name that an application gives to attributes, columns, tables and classes stays its own."""

import keyword

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, ForeignKey, Integer, String, Table, inspect
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Session,
    configure_mappers,
    mapped_column,
    relationship,
    synonym,
)

from sqlalchemy_versioned import (
    Operation,
    Version,
    VersionCollection,
    make_versioned,
    remove_versioning,
    version_api,
    version_class,
    versions_of,
)
from sqlalchemy_versioned.model.counterparts import transaction_class
from tests.lives import live
from tests.models import build_base

INSERT, UPDATE, DELETE = Operation

#: Names that an application cannot use: SQLAlchemy's own, and those of columns of versions, for
#: which there are options.
RESERVED = {"metadata", "registry", "transaction_id", "end_transaction_id", "operation_type"}


def api_names(*objects):
    """Return the names that the library gives to something on *objects*."""
    names = {name for each in objects for name in dir(each) if not name.startswith("_")}
    return sorted(names - set(dir(DeclarativeBase)) - RESERVED)


def our_names(Base, engine):
    """Return all names on a version, its class, the live class and the collection of versions."""
    page = type("Page", (Base,), declaration("page"))
    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(page(id=1, name="a"))
        session.commit()
        version = session.get(page, 1).versions[0]
        transaction = version.transaction
        things = (version, version_api(version), page, transaction, VersionCollection, Version)
        return [name for name in api_names(*things) if name not in ("id", "name")]


def declaration(table, **more):
    """Return the body of a class with an id and a name."""
    body = {
        "__tablename__": table,
        "__versioned__": {},
        "id": mapped_column(Integer, primary_key=True),
        "name": mapped_column(String(20)),
    }
    return body | more


@pytest.fixture
def names(engine, unversioned):
    """The names that the library uses itself; ask for them before anything is declared."""
    Base = build_base()
    make_versioned()
    found = our_names(Base, engine)
    Base.metadata.drop_all(engine)
    remove_versioning()
    Base.registry.dispose(cascade=True)
    assert {"previous", "changeset", "versions", "issued_at", "revert", "filter_by"} <= set(found)
    return found


@pytest.fixture
def session_on(engine):
    """Make the tables of a base and open a session on them."""
    opened = []

    def make(base):
        configure_mappers()
        base.metadata.create_all(engine)
        opened.append(Session(engine))
        return opened[-1]

    yield make
    for session in opened:
        session.close()


def check_api(session, obj, **change):
    """Check that all a version has to say can be had, whatever its attributes are called."""
    cls = type(obj)
    first, second, _ = live(session, obj, **change)
    again = cls(id=9, **{key: getattr(first, key) for key in change})
    session.add(again)
    session.commit()
    version = versions_of(again)[0]
    api = version_api(version)
    assert (api.index, api.previous, api.next, api.operation_type) == (0, None, None, INSERT)
    assert api.transaction.id == version.transaction_id
    assert api.version_parent is again
    assert set(change) <= set(api.changeset)
    assert set(version_api(second).changeset) == set(change)
    for key, value in change.items():
        setattr(again, key, value)
    session.commit()
    assert version_api(version).revert() is again
    session.commit()
    assert {key: getattr(again, key) for key in change} == {
        key: getattr(first, key) for key in change
    }


def test_every_name_of_the_library_as_a_column(names, Base, session_on):
    """Data wins over every name that versions have something to say under."""
    columns = {name: mapped_column(String(20)) for name in names}
    Page = type("Page", (Base,), declaration("page", **columns))
    session = session_on(Base)
    page = Page(id=1, **{name: name for name in names})

    check_api(session, page, **{name: f"new {name}"[:20] for name in names})


def test_every_name_of_the_library_as_something_else(names, Base, session_on):
    """Synonyms, hybrids and methods of these names keep what the application says."""
    kinds = [
        lambda: synonym("name"),
        lambda: hybrid_property(lambda self: self.name),
        lambda: property(lambda self: self.name),
        lambda: lambda self: self.name,
    ]
    body = {name: kinds[place % len(kinds)]() for place, name in enumerate(names)}
    Page = type("Page", (Base,), declaration("page", **body))
    session = session_on(Base)
    live_names = {name: vars(Page)[name] for name in names}
    page = Page(id=1, name="a")
    check_api(session, page, name="b")

    assert {name: vars(Page)[name] for name in names} == live_names
    version = versions_of(session.get(Page, 9))[0]
    mirrored = [name for place, name in enumerate(names) if place % len(kinds) < 2]
    assert {name: getattr(version, name) for name in mirrored} == dict.fromkeys(mirrored, "a")


def test_every_name_of_the_library_as_a_relationship(names, Base, session_on):
    """Versions lead to other versions under these names too."""
    Tag = type("Tag", (Base,), declaration("tag"))
    link = Table(
        "link",
        Base.metadata,
        Column("page_id", ForeignKey("page.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )
    body = {name: relationship(Tag, secondary=link, viewonly=True) for name in names}
    body["tags"] = relationship(Tag, secondary=link)
    Page = type("Page", (Base,), declaration("page", **body))
    session = session_on(Base)
    page = Page(id=1, name="a", tags=[Tag(id=1, name="t")])
    session.add(page)
    session.commit()
    page.name = "b"
    session.commit()

    version = versions_of(page)[1]
    tag = versions_of(session.get(Tag, 1))[0]
    for name in names:
        assert getattr(version, name) == [tag], name
    api = version_api(version)
    assert (api.index, api.previous.name, api.changeset) == (1, "a", {"name": ["a", "b"]})
    assert api.transaction.id == version.transaction_id


# -- anything else -----------------------------------------------------------------------------

#: Names that statements of the writer might take for theirs, that need quotes, or mean something
#: to drivers and to the language.
STRANGE = [
    *("tx_", "op_", "versioned_tx", "versioned_keys", "keys", "key_0", "newest", "own", "before"),
    *("one", "touched", "image", "versioned_image", "excluded", "new", "old", "open", "anon_1"),
    *("select", "order", "user", "Group", "camelCase", "a b", "a:b", "a%b", "100 %", "%(a)s"),
    *("d.e", "a'b", "naïve", "名前", "x" * 60, "_a", "__a", "1st", "?", "a-b", "$1", "null"),
]


def test_strange_columns(Base, session_on):
    """Columns of strange names are quoted, bound and told apart."""
    columns = {f"attribute_{n}": mapped_column(name, String(20)) for n, name in enumerate(STRANGE)}
    Page = type("Page", (Base,), declaration("page", **columns))
    session = session_on(Base)
    values = {name: name for name in columns}

    check_api(session, Page(id=1, **values), **{name: f"new {name}" for name in columns})


def test_strange_keys_and_tables(Base, session_on):
    """So are keys and tables of such names, with links between them."""
    classes = []
    for number, name in enumerate(STRANGE[::3]):
        table, key = f"{name} 1"[-50:], f"{name} 2"[-50:]
        body = declaration(table, id=mapped_column(key, Integer, primary_key=True))
        cls = type(f"Page{number}", (Base,), body)
        ends = [
            Column(f"{name} {place}"[-50:], ForeignKey(cls.__table__.c[key]), primary_key=True)
            for place in (3, 4)
        ]
        link = Table(f"{name} 5"[-50:], Base.metadata, *ends)
        one, other = link.c
        cls.others = relationship(
            cls, secondary=link, primaryjoin=cls.id == one, secondaryjoin=cls.id == other
        )
        classes.append(cls)
    session = session_on(Base)
    for cls in classes:
        one, other = cls(id=1, name="a"), cls(id=2, name="b")
        one.others = [other]
        session.add(one)
        session.commit()
        one.others, one.name = [], "c"
        session.commit()
        assert [[v.id for v in version.others] for version in one.versions] == [[2], []]
        one.versions[0].revert(relations=["others"])
        session.commit()
        assert [v.id for v in one.others] == [2]
        one.others = []
        session.flush()
        other.id = 3
        session.commit()
        assert [version.operation_type for version in other.versions] == [INSERT]


identifiers = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: (
        not (keyword.iskeyword(name) or name.startswith("__") or name in RESERVED | {"id", "name"})
    )
)
#: MariaDB takes no letters beyond the first plane.
stored = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["C", "Z"]), min_size=1, max_size=15
)


def test_random_names(engine, unversioned):
    """Attributes, columns and tables of random names are recorded, read and reverted."""
    some = st.lists(stored, min_size=4, max_size=4, unique_by=str.casefold)

    @settings(
        max_examples=3,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.lists(identifiers, min_size=3, max_size=3, unique=True), some)
    def holds(attributes, columns):
        Base = build_base()
        make_versioned()
        body = {a: mapped_column(c, String(40)) for a, c in zip(attributes, columns, strict=False)}
        Page = type("Page", (Base,), declaration(f"t{columns[-1]}", **body))
        configure_mappers()
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            page = Page(id=1, **{name: name for name in attributes})
            check_api(session, page, **{name: f"new {name}" for name in attributes})
        Base.metadata.drop_all(engine)
        remove_versioning()
        Base.registry.dispose(cascade=True)

    holds()


# -- classes -----------------------------------------------------------------------------------


TAKEN = ("Version", "Transaction", "Operation", "ArticleVersion", "VersionCollection", "User")


@pytest.mark.parametrize("module", ["the same", "another"])
def test_classes_called_like_ours(Base, session_on, module):
    """An application may have a Transaction and an ArticleVersion, and go on to mean them."""
    where = {"__module__": __name__ if module == "the same" else "blog.models"}
    classes = {
        name: type(name, (Base,), declaration(f"own_{name}".lower(), **where)) for name in TAKEN
    }
    Article = type("Article", (Base,), declaration("article", __module__=__name__))
    session = session_on(Base)
    for cls in (*classes.values(), Article):
        live(session, cls(name="a"), name="b")
        assert version_class(cls).__name__ == f"{cls.__name__}Version"
    assert not {transaction_class(Article), version_class(Article)} & set(classes.values())
    session.rollback()

    later = {}
    for name, cls in classes.items():
        key = mapped_column(ForeignKey(cls.__table__.c.id))
        body = declaration(f"later_{name}".lower(), key=key, target=relationship(name))
        later[name] = type(f"Later{name}", (Base,), body)
    session_on(Base)
    for name, cls in later.items():
        assert inspect(cls).relationships["target"].mapper.class_ is classes[name]
    remove_versioning()
    for name, cls in classes.items():
        assert Base.registry._class_registry[name] is cls
