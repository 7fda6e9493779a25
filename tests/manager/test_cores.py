"""Tables that are versioned without a class: how they are declared, and what belongs to them."""

from datetime import datetime, timezone

import pytest
from sqlalchemy import (
    Column,
    DateTime,
    Enum,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    inspect,
    select,
)
from sqlalchemy.orm import Session, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import (
    ClassNotVersioned,
    ImproperlyConfigured,
    InvalidArgumentType,
    TransactionBase,
    UnknownOption,
    VersioningManager,
    count_versions,
    end_tx_column_name,
    get_versioning_manager,
    is_versioned,
    make_versioned,
    parent_class,
    parent_table,
    remove_versioning,
    transaction_class,
    tx_column_name,
    version_class,
    version_table,
    versioned_table,
)
from tests.models import build_base


@pytest.fixture
def metadata(versioning):
    """A MetaData that no class is mapped in."""
    return MetaData()


def page(metadata, **arguments):
    """Return a table."""
    columns = [number(), Column("name", String(50))]
    return Table("page", metadata, *columns, **arguments)


def number():
    """Return a primary key."""
    return Column("id", Integer, primary_key=True)


def test_version_table_is_there_at_once(metadata):
    """Tables are ready to be created before any mapper is configured."""
    table = versioned_table(page(metadata))

    assert set(metadata.tables) == {"page", "page_version", "transaction"}
    assert parent_table(version_table(table)) is table
    assert not version_table(table).foreign_keys


def test_lookups(metadata, versioning):
    """A table is as good as a class, but where a class is asked for."""
    table = versioned_table(page(metadata), strategy="validity")

    assert is_versioned(table)
    assert not is_versioned(version_table(table))
    assert get_versioning_manager(table) is versioning
    assert (tx_column_name(table), end_tx_column_name(table)) == (
        "transaction_id",
        "end_transaction_id",
    )
    assert transaction_class(table) is versioning.transaction_cls
    assert transaction_class(table).__table__ is metadata.tables["transaction"]
    for look_up in (version_class, parent_class):
        with pytest.raises(ClassNotVersioned, match="is no class"):
            look_up(table)


def test_tables_of_classes(blog):
    """The tables of versioned classes and of their relationships are looked up as well."""
    configure_mappers()
    for table in (blog.Article.__table__, blog.article_tag):
        assert is_versioned(table)
        assert parent_table(version_table(table)) is table
        assert transaction_class(table) is transaction_class(blog.Article)
    assert parent_table(version_class(blog.Article)) is blog.Article.__table__
    assert not is_versioned(blog.metadata.tables["transaction"])
    with pytest.raises(ClassNotVersioned, match="no version table"):
        parent_table(blog.Article.__table__)


@pytest.mark.parametrize(
    ("said", "is_wanted"),
    [({}, True), (True, True), (False, False), (None, False), ({"versioning": False}, False)],
)
def test_info(metadata, said, is_wanted):
    """What the info of a table says is followed as soon as the table is made, and stays there."""
    table = page(metadata, info={"versioned": said, "other": 1})

    assert is_versioned(table) == ("page_version" in metadata.tables) == is_wanted
    assert table.info == {"versioned": said, "other": 1}


def test_nothing_of_ours_is_in_the_info_of_tables(metadata):
    """What tools render of tables is what applications wrote."""
    table = versioned_table(page(metadata))
    transaction_class(table)

    assert [each.info for each in metadata.tables.values()] == [{}, {}, {}]
    assert all(not column.info for each in metadata.tables.values() for column in each.c)


def test_info_is_no_options(metadata):
    """What is no dict is refused, and the table is not made."""
    with pytest.raises(ImproperlyConfigured, match=r"'page' has 'yes' in info.*give a dict"):
        page(metadata, info={"versioned": "yes"})
    assert not metadata.tables


@pytest.mark.usefixtures("unversioned")
def test_before_versioning_is_on():
    """A table can be declared first; make_versioned() then makes what belongs to it."""
    metadata = MetaData()
    table = versioned_table(page(metadata), table_name="%s_past")
    assert not is_versioned(table)
    try:
        make_versioned(strategy="subquery")
        assert version_table(table).name == "page_past"
        assert "end_transaction_id" not in version_table(table).c
    finally:
        remove_versioning()

    assert (list(metadata.tables), metadata.info) == (["page"], {})


@pytest.mark.usefixtures("unversioned")
def test_mistakes_leave_other_tables_alone():
    """A table that cannot be versioned is refused when versioning begins, and others are."""
    metadata = MetaData()
    table = versioned_table(page(metadata))
    versioned_table(Table("other", metadata, number()), exclude=["nothing"])
    engine = create_engine("sqlite://")
    try:
        with pytest.raises(ImproperlyConfigured, match="nothing"):
            make_versioned()
        make_versioned()
        metadata.create_all(engine)
        with Session(engine) as session:
            session.execute(insert(table).values(id=1))
            assert session.scalars(select(version_table(table).c.id)).all() == [1]
    finally:
        remove_versioning()
        engine.dispose()


@pytest.mark.usefixtures("unversioned")
def test_info_before_versioning_is_on():
    """Tables beside classes are found later, and those in a MetaData that is named."""
    base, metadata = build_base(), MetaData()
    beside, alone = (page(each, info={"versioned": {}}) for each in (base.metadata, metadata))
    base.registry.map_imperatively(type("Other", (), {}), Table("other", base.metadata, number()))
    try:
        make_versioned()
        assert (is_versioned(beside), is_versioned(alone)) == (True, False)
        make_versioned(mapper=metadata)
        assert is_versioned(alone)
    finally:
        remove_versioning()
    assert metadata.info == {}


@pytest.mark.usefixtures("unversioned")
def test_classes_of_a_metadata():
    """A MetaData that is named stands for the classes that are mapped in it, too."""
    bases = [build_base(), build_base()]
    classes = [
        type("Page", (base,), {"__tablename__": "page", "__versioned__": {}, "id": number()})
        for base in bases
    ]
    try:
        make_versioned(mapper=bases[0].metadata)
        configure_mappers()
        assert [is_versioned(cls) for cls in classes] == [True, False]
    finally:
        remove_versioning()


def test_saying_it_again(metadata):
    """The same can be said repeatedly; something else cannot."""
    table = versioned_table(page(metadata), exclude=["name"])
    same = version_table(table)

    assert versioned_table(versioned_table(table, exclude=["name"])) is table
    assert version_table(table) is same
    with pytest.raises(ImproperlyConfigured, match=r"'exclude'.* already"):
        versioned_table(table, ignore=["name"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"exclud": ["name"]}, UnknownOption, r"versioned_table\('page'\) has no option 'exclud'"),
        ({"exclude": "name"}, ImproperlyConfigured, "give a list"),
        ({"exclude": ["nam"]}, ImproperlyConfigured, "'nam', which is no column; .* id, name"),
        ({"exclude": ["id"]}, ImproperlyConfigured, "'id' cannot be excluded"),
        ({"base_classes": (int,)}, ImproperlyConfigured, "about classes"),
        ({"create_models": False}, ImproperlyConfigured, "about classes"),
        ({"table_name": "page"}, ImproperlyConfigured, "it needs '%s'"),
        ({"operation_type_column_name": "name"}, ImproperlyConfigured, "a column 'name'"),
    ],
)
def test_options_that_cannot_be_followed(metadata, options, error, message):
    """They are refused at once; nothing is made, and they can be put right."""
    table = page(metadata)

    with pytest.raises(error, match=message):
        versioned_table(table, **options)
    assert list(metadata.tables) == ["page"]
    assert is_versioned(versioned_table(table))


def test_what_cannot_be_versioned(metadata):
    """A class, a table without a key, and one whose info says no are refused."""
    keyless = Table("log", metadata, Column("line", String(50)))
    with pytest.raises(InvalidArgumentType, match="is no table"):
        versioned_table(object)
    with pytest.raises(ImproperlyConfigured, match="no primary key"):
        versioned_table(keyless)
    with pytest.raises(ImproperlyConfigured, match="says that it is not versioned"):
        versioned_table(page(metadata, info={"versioned": False}))


def test_naming_convention(versioning):
    """The naming convention of the MetaData names version tables."""
    metadata = MetaData(naming_convention={"version.table": "%(table_name)s_audr"})
    table = versioned_table(page(metadata), table_name="%s_past")

    assert version_table(table).name == "page_audr"


def test_types_that_foreign_keys_give(metadata):
    """A column takes its type from a table that is declared later; its versions do, too."""
    line = versioned_table(
        Table(
            "line",
            metadata,
            number(),
            Column("page_id", ForeignKey("page.id")),
            Column("kind", ForeignKey("kind.name")),
        )
    )
    page(metadata)
    Table("kind", metadata, Column("name", Enum("a", "b", name="kinds"), primary_key=True))
    versions = version_table(line)

    assert isinstance(versions.c.page_id.type, Integer)
    assert isinstance(versions.c.kind.type.impl_instance, String)


def test_names_and_keys(metadata):
    """Version columns are called like their columns, and have their keys."""
    columns = [Column("Id", Integer, primary_key=True), Column("Na me", String(9), key="name")]
    versions = version_table(versioned_table(Table("Page", metadata, *columns), ignore=["name"]))

    assert (versions.name, versions.c.name.name, versions.c.Id.name) == (
        "Page_version",
        "Na me",
        "Id",
    )


def test_copies_are_other_tables(metadata):
    """A copy in another MetaData is not versioned until it is said, and then like any."""
    table = page(metadata, info={"versioned": {}})
    copy = table.to_metadata(MetaData())
    assert not is_versioned(copy)
    versioned_table(copy, **table.info["versioned"])

    assert is_versioned(copy)
    assert version_table(copy).metadata is copy.metadata


def test_class_takes_the_history_of_its_table(Base, versioning):
    """A class that is versioned later has the version table that its table has got."""
    table = versioned_table(page(Base.metadata))
    versions = version_table(table)

    class Page(Base):
        __table__ = table
        __versioned__ = {}

    configure_mappers()
    assert version_class(Page).__table__ is version_table(Page) is versions
    assert len([name for name in Base.metadata.tables if "version" in name]) == 1


def test_info_of_a_class(Base, open_session_in_memory):
    """Options in __table_args__ version a class as __versioned__ does."""

    class Page(Base):
        __tablename__ = "page"
        __table_args__ = {"info": {"versioned": {"exclude": ["note"]}}}
        id = mapped_column(Integer, primary_key=True)
        note = mapped_column(String(50))

    assert is_versioned(Page.__table__)
    session = open_session_in_memory(Base)
    page = Page(note="a")
    session.add(page)
    session.commit()

    assert count_versions(page) == 1
    assert not hasattr(version_class(Page), "note")


@pytest.fixture
def open_session_in_memory():
    """Make the tables of a base in a database of its own, and open a session."""
    opened = []

    def make(Base):
        configure_mappers()
        engine = create_engine("sqlite://")
        Base.metadata.create_all(engine)
        opened.append(Session(engine))
        return opened[-1]

    yield make
    for session in opened:
        session.close()
        session.get_bind().dispose()


def test_users_are_linked_to(Base, versioning):
    """Beside mapped classes, the Transaction knows their user class."""

    class User(Base):
        __tablename__ = "user"
        id = mapped_column(Integer, primary_key=True)

    table = versioned_table(page(Base.metadata))
    configure_mappers()

    assert "user_id" in Base.metadata.tables["transaction"].c
    assert transaction_class(table).user.property.mapper.class_ is User


def test_tables_apart_from_classes(Base, metadata, blog_class):
    """Tables in a MetaData of their own have a transaction table there, like that of classes."""
    table = versioned_table(page(metadata))
    blog_class(Base)
    configure_mappers()

    there, home = metadata.tables["transaction"], Base.metadata.tables["transaction"]
    assert there.c.keys() == home.c.keys()
    assert transaction_class(table).__table__ is home


@pytest.fixture
def blog_class():
    """Declare a versioned class, and users."""

    def declare(Base):
        class User(Base):
            __tablename__ = "user"
            id = mapped_column(Integer, primary_key=True)

        class Article(Base):
            __tablename__ = "article"
            __versioned__ = {}
            id = mapped_column(Integer, primary_key=True)

        return Article

    return declare


def test_mistakes_of_classes_leave_tables_alone(Base, versioning):
    """A class that cannot be versioned does not take along what tables have got."""
    table = versioned_table(page(Base.metadata))

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {"exclude": ["nothing"]}
        id = mapped_column(Integer, primary_key=True)

    with pytest.raises(ImproperlyConfigured, match="nothing"):
        configure_mappers()
    assert is_versioned(table)
    Article.__versioned__ = {}
    configure_mappers()

    assert transaction_class(table) is transaction_class(Article)
    assert transaction_class(table).__table__ is Base.metadata.tables["transaction"]


def test_managers_have_tables_of_their_own(versioning):
    """A manager that is for one MetaData has its tables, and the default one the others."""
    manager, own, other = VersioningManager(), MetaData(), MetaData()
    try:
        make_versioned(mapper=own, manager=manager, table_name="%s_past")
        tables = [page(each, info={"versioned": {}}) for each in (own, other)]
        assert [version_table(each).name for each in tables] == ["page_past", "page_version"]
        assert [get_versioning_manager(each) for each in tables] == [manager, versioning]
        with pytest.raises(ImproperlyConfigured, match="by another manager"):
            versioned_table(tables[0], manager=versioning)
        assert version_table(versioned_table(tables[0])).name == "page_past"
    finally:
        remove_versioning(manager=manager)
    assert own.info == {}
    assert list(own.tables) == ["page"]


def test_conventions_that_name_no_indexes(versioning, open_session_in_memory):
    """Where a naming convention has nothing for indexes, ours have names all the same."""
    metadata = MetaData(naming_convention={"version.table": "%(table_name)s_audit"})
    base = type("Base", (), {"metadata": metadata})
    table = versioned_table(page(metadata))
    open_session_in_memory(base)

    assert all(index.name for each in metadata.tables.values() for index in each.indexes)
    assert version_table(table).indexes


def test_transaction_class_of_the_application(Base, versioning):
    """It is used as it is, and nothing is configured before it is needed."""

    class Event(TransactionBase, Base):
        __tablename__ = "event"
        id = mapped_column(Integer, primary_key=True)
        issued_at = mapped_column(DateTime, default=lambda: datetime.now(timezone.utc))
        articles = relationship("Article", primaryjoin="Event.id == foreign(Article.id)")

    versioning.transaction_cls = Event
    table = versioned_table(page(Base.metadata))
    # A base refers to its classes weakly.
    article = declare_article(Base)

    assert transaction_class(table) is Event
    assert inspect(Event).relationships.articles.mapper.class_ is article
    assert set(Base.metadata.tables) == {"page", "page_version", "event", "article"}


def declare_article(Base):
    """Return what another class refers to."""
    return type(
        "Article",
        (Base,),
        {"__tablename__": "article", "id": mapped_column(Integer, primary_key=True)},
    )
