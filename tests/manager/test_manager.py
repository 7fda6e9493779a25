"""Turning versioning on, in any order, and off again without a trace."""

import copy
import gc
import pickle
import sys
import types
import weakref

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.orm import (
    Mapped,
    Mapper,
    Session,
    clear_mappers,
    column_property,
    configure_mappers,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)

from sqlalchemy_versioned import (
    ClassNotVersioned,
    ImproperlyConfigured,
    Plugin,
    PluginCollection,
    TransactionFactory,
    UnknownOption,
    VersioningError,
    VersioningManager,
    count_versions,
    is_versioned,
    make_versioned,
    remove_versioning,
    transaction_class,
    transaction_context,
    tx_column_name,
    version_api,
    version_class,
    version_table,
    versioned,
    versioning_manager,
    versions_of,
)
from tests.leftovers import list_listeners
from tests.lives import live
from tests.models import build_base, build_blog
from tests.schemas.animals import build_animals


def declare(Base, name="Article", bases=(), **body):
    """Declare a class with an id and a name, versioned unless told otherwise."""
    namespace = {
        "__tablename__": name.lower(),
        "__versioned__": {},
        "__module__": __name__,
        "id": mapped_column(Integer, primary_key=True),
        "name": mapped_column(String(50)),
    }
    return type(name, (*bases, Base), namespace | body)


@pytest.fixture
def open_session(engine):
    """Make the tables of bases and open a session on them."""
    opened = []

    def open_(*bases, factory=Session):
        configure_mappers()
        for base in bases:
            base.metadata.create_all(engine)
        opened.append(factory(bind=engine))
        return opened[-1]

    yield open_
    for session in opened:
        session.close()


# -- said before mappers are configured --------------------------------------------------------


class Noting(Plugin):
    """Notes which hooks were called."""

    def __init__(self):
        self.called = []

    def after_build_models(self, manager):
        """Note it."""
        self.called.append(manager)


@pytest.mark.parametrize("assign", ["list", "collection", "append", "argument"])
def test_plugins_are_read_when_mappers_are_configured(assign, Base, versioning):
    """Plugins may be assigned, in any form, until then."""
    plugin = Noting()
    if assign == "append":
        versioning.plugins.append(plugin)
    elif assign == "argument":
        make_versioned(plugins=[plugin])
    else:
        versioning.plugins = [plugin] if assign == "list" else PluginCollection([plugin])
    declare(Base)
    configure_mappers()

    assert plugin.called == [versioning]


def test_options_are_read_when_mappers_are_configured(Base, versioning):
    """Options may be assigned until then."""
    versioning.options["table_name"] = "%s_history"
    Article = declare(Base)
    configure_mappers()

    assert version_table(Article).name == "article_history"


def test_user_class_is_read_when_mappers_are_configured(Base, versioning):
    """A user class may be assigned until then, by name or as it is."""
    versioning.user_cls = "Author"
    # Kept, because a base refers to its classes weakly.
    author = declare(Base, "Author", __versioned__=None)
    declare(Base)
    configure_mappers()

    transaction = versioning.transaction_cls
    assert inspect(transaction).relationships["user"].mapper.class_ is author


def test_short_name_of_an_option(Base):
    """What is native for short as an argument and in a class is so among options, too."""
    manager = VersioningManager(options={"native": True})
    assert manager.options == {"native_versioning": True}
    make_versioned(Base, options={"native": False}, manager=manager)
    assert manager.options == {"native_versioning": False}
    remove_versioning(manager=manager)


def test_options_that_nobody_has_said():
    """They are read as what holds, so that they can be put back; unknown ones are refused."""
    options = VersioningManager(options={"table_name": "%s_history"}).options

    assert (options["table_name"], options["native"]) == ("%s_history", False)
    with pytest.raises(UnknownOption, match="no option 'versionning'; known options: "):
        options["versionning"]


def test_other_things_than_engines():
    """Only engines can be recorded."""
    with pytest.raises(ImproperlyConfigured, match="'sqlite://' is no engine; give an Engine"):
        VersioningManager().record_engine("sqlite://")


def test_misspelt_option():
    """An unknown option is refused at once, with the known ones."""
    with pytest.raises(UnknownOption, match=r"'startegy'; known options: append_only, b"):
        make_versioned(startegy="validity", manager=VersioningManager())


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"mapper": 3}, "mapper is 3; give Mapper for all classes"),
        ({"session": 3}, "session is 3; give Session for all"),
        ({"session": create_engine("sqlite://")}, "session is Engine.*; give Session for all"),
        ({"user_cls": 3}, "user_cls is 3, which is no mapped class; give the class"),
        ({"options": 5}, "options is 5; give a dict of options"),
    ],
)
def test_no_class_and_no_session(said, message, Base):
    """What make_versioned() cannot do with anything is refused, and not passed over."""
    manager = VersioningManager()

    def start():
        make_versioned(**{"mapper": Base, **said}, manager=manager)
        declare(Base)
        configure_mappers()

    with pytest.raises(ImproperlyConfigured, match=message):
        start()
    manager.reset()


def test_assigned_option_is_checked_too(Base, versioning):
    """A misspelt option on the manager surfaces when mappers are configured."""
    versioning.options["startegy"] = "validity"
    declare(Base)

    with pytest.raises(UnknownOption, match="'startegy'"):
        configure_mappers()


# -- again, late, and in rounds ----------------------------------------------------------------


def test_make_versioned_is_idempotent(Base, versioning, open_session):
    """Calling it again adds no listener, and takes what is said anew."""
    listeners = list_listeners()
    make_versioned(plugins=[Noting()])
    make_versioned(plugins=[Noting()], strategy="subquery")
    Article = declare(Base)
    session = open_session(Base)

    assert len(versioning.plugins) == 1
    assert list_listeners() == listeners
    assert "end_transaction_id" not in version_table(Article).c
    live(session, Article(name="a"), name="b")


@pytest.mark.usefixtures("unversioned")
def test_late_make_versioned(open_session):
    """Models that are configured already are versioned when versioning is turned on."""
    Base = build_base()
    Article = declare(Base)
    configure_mappers()
    make_versioned()

    assert is_versioned(Article)
    live(open_session(Base), Article(name="a"), name="b")
    remove_versioning()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"strategy": "subquery"}, "says strategy='subquery', and Article is .*'validity' already"),
        ({"native": True}, "says native_versioning=True, and Article"),
        ({"plugins": [Noting()]}, r"Noting is .* already, of which after_build_models\(\) would"),
        ({"user_cls": "Author"}, "user_cls='Author', and transactions link to nobody already"),
    ],
)
def test_too_late_for_what_is_versioned(said, message, Base, versioning):
    """What would have made something else of classes is refused, and nothing is taken of it."""
    Article, Tag = declare(Base), declare(Base, "Tag", __versioned__={"strategy": "append"})
    configure_mappers()
    before = dict(versioning.options), list(versioning.plugins), versioning.user_cls

    with pytest.raises(ImproperlyConfigured, match=message):
        make_versioned(**said, capture="raise")
    assert (dict(versioning.options), list(versioning.plugins), versioning.user_cls) == before
    make_versioned(strategy="validity", versioning=True, user_cls=None)
    assert all(map(is_versioned, (Article, Tag)))


def test_late_option_that_triggers_know(Base, versioning):
    """What session variables begin with stands in triggers; else it is asked for each time."""
    declare(Base, __versioned__={"native_versioning": True})
    configure_mappers()

    with pytest.raises(ImproperlyConfigured, match="session_variable_namespace='app', and Article"):
        make_versioned(session_variable_namespace="app")


def test_late_option_that_classes_say_themselves(Base, versioning):
    """What holds for no class so far can be said to those that come."""
    Article = declare(Base, __versioned__={"strategy": "append"})
    configure_mappers()
    make_versioned(strategy="subquery")
    Tag = declare(Base, "Tag")
    configure_mappers()

    assert {"version_id"} <= set(version_table(Article).c.keys())
    assert "end_transaction_id" not in version_table(Tag).c


def test_models_declared_in_rounds(Base, versioning, open_session):
    """Each configuration takes in what was declared since the last."""
    Article = declare(Base)
    session = open_session(Base)
    Tag = declare(Base, "Tag")
    open_session(Base)

    live(session, Article(name="a"), name="b")
    live(session, Tag(name="a"), name="b")
    assert transaction_class(Article) is transaction_class(Tag)


def test_late_class_with_backrefs(Base, versioning, open_session):
    """Versions that were built before have the relationships that a later class brings along."""
    Article = declare(Base)
    open_session(Base)
    links = Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )
    Note = declare(
        Base,
        "Note",
        article_id=mapped_column(ForeignKey("article.id")),
        article=relationship("Article", backref="notes"),
    )
    Tag = declare(Base, "Tag", articles=relationship("Article", secondary=links, backref="tags"))
    session = open_session(Base)
    article = Article(name="a", notes=[Note(name="n")], tags=[Tag(name="t")])
    session.add(article)
    session.commit()
    article.name, article.notes, article.tags = "b", [], []
    session.commit()

    first, second = article.versions
    assert [note.name for note in first.notes] == ["n"]
    assert [tag.name for tag in first.tags] == ["t"]
    assert (second.notes, second.tags) == ([], [])
    first.revert(relations=["notes", "tags"])
    session.commit()
    assert (len(article.notes), len(article.tags)) == (1, 1)


@pytest.fixture
def links(Base):
    """An association table of articles and tags."""
    return Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )


@pytest.mark.parametrize("how", ["by a class that is not versioned", "by itself"])
def test_late_links(how, Base, versioning, open_session, links):
    """Links that a class gets when it is versioned already are recorded as others are."""
    Article = declare(Base)
    configure_mappers()
    body = {"__versioned__": {"versioning": False}}
    if how != "by itself":
        body["articles"] = relationship("Article", secondary=links, backref="tags")
    Tag = declare(Base, "Tag", **body)
    configure_mappers()
    if how == "by itself":
        Article.tags = relationship(Tag, secondary=links)

    article = Article(name="a", tags=[Tag(name="t")])

    first, second, _ = live(open_session(Base), article, name="b", tags=[])

    assert [len(first.tags), len(second.tags)] == [1, 0]


def test_late_class_of_links(Base, versioning):
    """A class that would tell links by another key than relationships do is to come before them."""
    links = Table(
        "article_tag",
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("article_id", ForeignKey("article.id")),
        Column("tag_id", ForeignKey("tag.id")),
    )
    declare(Base, "Tag")
    declare(Base, tags=relationship("Tag", secondary=links))
    configure_mappers()
    type("Link", (Base,), {"__table__": links, "__versioned__": {}})

    with pytest.raises(ImproperlyConfigured, match=r"tag_id .* and by id had"):
        configure_mappers()


def test_a_late_name_of_a_column(Base, versioning, open_session):
    """A second name for what is kept hinders nothing."""
    Article = declare(Base)
    configure_mappers()
    session = open_session(Base)
    Article.title = column_property(Article.__table__.c.name)

    session.add(Article(title="a"))
    session.commit()

    assert session.scalars(select(version_class(Article).name)).all() == ["a"]


@pytest.mark.parametrize("key", ["mood", "tags"])
def test_late_attributes_that_would_not_be_kept(key, Base, versioning, open_session, links):
    """A class that has got what has no place in history is not written."""
    Article, Tag = declare(Base), declare(Base, "Tag")
    configure_mappers()
    if key == "mood":
        Article.mood = mapped_column(String(9))
    session = open_session(Base)
    if key == "tags":
        Article.tags = relationship(Tag, secondary=links)
    session.add(Article(name="a"))

    with pytest.raises(ImproperlyConfigured, match=f"Article has got {key} since"):
        session.commit()


def test_late_single_table_subclass(Base, versioning, open_session):
    """Columns of a subclass that comes late are added to the version table."""
    Item = declare(
        Base,
        "Item",
        kind=mapped_column(String(20)),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "item"},
    )
    configure_mappers()

    class Article(Item):
        __mapper_args__ = {"polymorphic_identity": "article"}
        body: Mapped[str | None]

    session = open_session(Base)
    first, *_ = live(session, Article(name="a", body="x"), body="y")
    assert (type(first), first.body) == (version_class(Article), "x")
    live(session, Item(name="a"), name="b")


def test_late_joined_subclass(Base, versioning, open_session):
    """A subclass with a table of its own may come after its superclass was configured."""
    Item = declare(
        Base,
        "Item",
        kind=mapped_column(String(20)),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "item"},
    )
    configure_mappers()

    class Article(Item):
        __tablename__ = "article"
        __mapper_args__ = {"polymorphic_identity": "article"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        body: Mapped[str | None]

    first, *_ = live(open_session(Base), Article(name="a", body="x"), body="y")
    assert (first.name, first.body) == ("a", "x")


def test_mistake_surfaces_again(Base, versioning):
    """What is wrong is said whenever mappers are used, not only the first time."""
    declare(Base, __versioned__={"exclude": ["nmae"]})
    for _ in range(2):
        with pytest.raises(ImproperlyConfigured, match="'nmae', which is no attribute"):
            configure_mappers()

    assert set(Base.metadata.tables) == {"article"}


def test_mistake_in_a_later_round(Base, versioning, open_session):
    """A mistake in a class that is declared later leaves the others as they were."""
    Article = declare(Base)
    session = open_session(Base)
    Tag = declare(Base, "Tag", __versioned__={"exclude": ["nmae"]})
    with pytest.raises(ImproperlyConfigured, match="Tag"):
        configure_mappers()
    Tag.__versioned__ = {}
    open_session(Base)

    live(session, Article(name="a"), name="b")
    live(session, Tag(name="a"), name="b")


@pytest.mark.parametrize("said", [True, ["exclude"], "yes"])
def test_versioned_must_be_a_dict(said, Base, versioning):
    """Anything else than options is refused with what to write."""
    declare(Base, __versioned__=said)

    with pytest.raises(ImproperlyConfigured, match="give a dict of options"):
        configure_mappers()


# -- several managers --------------------------------------------------------------------------


def test_managers_with_bases_of_their_own(engine, open_session):
    """Two managers share nothing: not options, transactions, or sessions."""
    managers = VersioningManager(), VersioningManager(options={"strategy": "subquery"})
    bases, factories = (build_base(), build_base()), (sessionmaker(), sessionmaker())
    for manager, base, factory in zip(managers, bases, factories, strict=True):
        make_versioned(mapper=base, session=factory, manager=manager)
    A, B = declare(bases[0], "One"), declare(bases[1], "Two")
    managers[1].transaction_cls = TransactionFactory(table_name="second_transaction")
    one, two = (open_session(base, factory=f) for base, f in zip(bases, factories, strict=True))

    live(one, A(name="a"), name="b")
    one.rollback()
    live(two, B(name="a"), name="b")
    assert transaction_class(A) is not transaction_class(B)
    assert list(managers[1].version_class_map) == [B]
    two.add(A(name="other session"))
    two.commit()
    two.rollback()
    assert one.scalars(select(version_class(A)).filter_by(name="other session")).all() == []
    for manager in managers:
        remove_versioning(manager=manager)


def test_managers_for_one_base(Base):
    """Where two managers would version the same classes, the message tells of them."""
    managers = VersioningManager(), VersioningManager()
    for manager in managers:
        make_versioned(manager=manager)
    declare(Base)

    with pytest.raises(ImproperlyConfigured, match="another manager has made it for the same base"):
        configure_mappers()
    for manager in managers:
        remove_versioning(manager=manager)


@pytest.mark.needs("triggers")
def test_managers_tell_triggers_their_own(engine, open_session):
    """What one manager tells triggers of its transaction is not taken for that of another."""
    managers = VersioningManager(), VersioningManager()
    bases = build_base(), build_base()
    for number, (manager, base) in enumerate(zip(managers, bases, strict=True)):
        reason = Column("reason", String(9))
        make_versioned(mapper=base, manager=manager, native=True, transaction_columns=[reason])
        manager.transaction_cls = TransactionFactory(table_name=f"transaction_{number}")
    classes = [declare(base, name) for base, name in zip(bases, ("One", "Two"), strict=True)]
    session, _ = [open_session(base) for base in bases]

    for reason, cls in zip(("one", "two"), classes, strict=True):
        with transaction_context(reason=reason):
            session.execute(update(cls).values(name="nothing"))
    with session.begin_nested() as savepoint:
        session.add(classes[0](name="a"))
        session.flush()
        savepoint.rollback()
    session.add_all([cls(name="a") for cls in classes])
    session.commit()
    said = [session.scalars(select(transaction_class(cls).reason)).all() for cls in classes]
    assert said == [["one"], ["two"]]
    for manager in managers:
        remove_versioning(manager=manager)


def test_registry_as_mapper(engine, open_session):
    """A manager can be limited to what one registry maps."""
    manager, Base, Other = VersioningManager(), build_base(), build_base()
    make_versioned(mapper=Base.registry, manager=manager)
    Article, Tag = declare(Base), declare(Other, "Tag")
    configure_mappers()

    assert is_versioned(Article)
    assert not is_versioned(Tag)
    remove_versioning(manager=manager)


@pytest.mark.parametrize("kind", ["factory", "class", "session", "scoped"])
def test_sessions_that_are_named(kind, versioning, engine):
    """Asynchronous sessions and factories stand for the Session class behind them."""
    asyncio = pytest.importorskip("sqlalchemy.ext.asyncio")

    class Own(Session):
        """Only its sessions are versioned."""

    named = {
        "factory": asyncio.async_sessionmaker(sync_session_class=Own),
        "class": type("AsyncOwn", (asyncio.AsyncSession,), {"sync_session_class": Own}),
        "session": asyncio.AsyncSession(sync_session_class=Own),
        "scoped": scoped_session(sessionmaker(class_=Own)),
    }[kind]
    manager = VersioningManager()
    make_versioned(mapper=build_base(), session=named, manager=manager)
    target = named.sync_session if kind == "session" else Own

    if kind != "scoped":
        assert event.contains(target, "after_flush", manager._tracker._flushes.after_flush)
    assert not event.contains(Session, "after_flush", manager._tracker._flushes.after_flush)
    remove_versioning(manager=manager)


# -- names that the application uses itself ----------------------------------------------------

API = ["index", "next", "previous", "changeset", "revert", "diff", "to_dict", "transaction"]
API += ["version_parent", "versions", "values", "keys", "version_at", "all_versions", "version"]


@pytest.mark.shared_out
@pytest.mark.parametrize("name", API)
def test_columns_called_like_the_api(name, Base, versioning, open_session):
    """Data wins; what the version has to say is at version_api."""
    Article = declare(Base, **{name: mapped_column(String(20))})
    session = open_session(Base)
    live(session, Article(name="a", **{name: "x"}), **{name: "y"})

    article = Article(id=7, name="a", **{name: "x"})
    session.add(article)
    session.commit()
    version = versions_of(article)[0]
    assert getattr(version, name) == "x"
    assert version_api(version).index == 0
    assert version_api(version).transaction.id == version.transaction_id
    assert version_api(version).version_parent is article


def test_relationship_called_transaction(Base, versioning, open_session):
    """A model's own relationship to a payment keeps its name."""
    Payment = declare(Base, "Payment")
    Article = declare(
        Base,
        payment_id=mapped_column(ForeignKey("payment.id")),
        transaction=relationship(Payment),
    )
    session = open_session(Base)
    session.add(Article(id=1, name="a", transaction=Payment(name="p")))
    session.commit()

    version = session.get(Article, 1).versions[0]
    assert version_api(version).transaction.id == version.transaction_id


def test_own_transaction_class(Base, versioning, open_session):
    """A class of the application that is called Transaction is left alone."""
    Own = declare(Base, "Transaction", __tablename__="payment")
    session = open_session(Base)

    live(session, Own(name="a"), name="b")
    assert transaction_class(Own) is not Own
    assert transaction_class(Own).__table__.name == "transaction"


def test_own_transaction_table(Base, versioning, open_session):
    """A table of that name is refused with what to do, and that works."""
    Own = declare(Base, "Transaction")
    with pytest.raises(ImproperlyConfigured, match=r"TransactionFactory\(table_name=…\)"):
        configure_mappers()

    versioning.transaction_cls = TransactionFactory(table_name="audit_transaction")
    live(open_session(Base), Own(name="a"), name="b")


def test_models_of_equal_names(versioning, open_session):
    """Two models may have one name in two modules, if the module becomes part of the name."""
    Base = build_base()
    A = declare(Base, "Article", __module__="blog.models")
    B = declare(Base, "Article", __module__="shop.models", __tablename__="product")
    session = open_session(Base)

    live(session, A(name="a"), name="b")
    live(session, B(name="a"), name="b")
    assert version_class(A) is not version_class(B)


@pytest.mark.options(class_name="%sRev")
def test_version_classes_are_called_as_options_say(Base):
    """By their name they are found in the registry of their class; the nearer option wins."""
    page = declare(Base, "Page")
    note = declare(Base, "Note", __versioned__={"class_name": "Former%s"})
    configure_mappers()

    names = [version_class(each).__name__ for each in (page, note)]

    assert names == ["PageRev", "FormerNote"]
    found = {mapper.class_.__name__ for mapper in Base.registry.mappers}
    assert found >= {"PageRev", "FormerNote"}


@pytest.mark.options(use_module_name=True)
def test_use_module_name(Base, versioning):
    """The module can be made part of the name."""
    Article = declare(Base, __module__="blog.my_models")
    configure_mappers()

    assert version_class(Article).__name__ == "BlogMy_ModelsArticleVersion"


# -- options -----------------------------------------------------------------------------------


def test_nothing_is_collected_while_off(Base, versioning):
    """With versioning off on the manager nothing is built."""
    versioning.options["versioning"] = False
    Article = declare(Base)
    configure_mappers()

    assert not is_versioned(Article)
    assert set(Base.metadata.tables) == {"article"}


def test_switching_at_runtime(Base, versioning, open_session):
    """Recording follows the switch on the manager, or the nearer one on a class."""
    Article, Tag = declare(Base), declare(Base, "Tag", __versioned__={"versioning": True})
    session = open_session(Base)
    versioning.options["versioning"] = False
    session.add_all([Article(name="a"), Tag(name="a")])
    session.commit()

    assert (is_versioned(Article), is_versioned(Tag)) == (False, True)
    assert session.scalars(select(version_class(Article))).all() == []
    assert len(session.scalars(select(version_class(Tag))).all()) == 1
    versioning.options["versioning"] = True
    live(session, Article(name="b"), name="c")


def test_links_are_switched_off_too(Base, versioning, open_session):
    """Association tables follow the manager."""
    blog = build_blog(Base)
    session = open_session(Base)
    versioning.options["versioning"] = False
    session.add(blog.Article(name="a", tags=[blog.Tag(name="t")]))
    session.commit()

    assert session.execute(select(version_table(blog.article_tag))).all() == []
    assert session.scalars(select(transaction_class(blog.Article))).all() == []


def test_class_can_be_switched_off(Base, versioning, open_session):
    """The class itself may be switched off and on as well."""
    Article = declare(Base)
    session = open_session(Base)
    Article.__versioned__["versioning"] = False
    session.add(Article(id=1, name="a"))
    session.commit()
    Article.__versioned__["versioning"] = True

    assert session.get(Article, 1).versions.count() == 0


@pytest.mark.parametrize("off", ["Animal", "Cat", "Dog"])
def test_table_of_several_classes(Base, open_session, off, mode):
    """A table is recorded while one of the classes is that have rows in it, by statements too."""
    animals = build_animals(Base)
    session, tables = open_session(Base), Base.metadata.tables
    getattr(animals, off).__versioned__["versioning"] = False
    session.execute(insert(tables["animal"]).values(id=1, kind="dog", name="a"))
    with mode.escapes():
        session.execute(text("UPDATE animal SET name = 'b'"))

    assert is_versioned(tables["animal"])
    assert is_versioned(tables["cat"]) is (off != "Cat")
    versions = version_table(tables["animal"])
    assert session.scalars(select(versions.c.name)).one() == mode.pick("a", "b")


@pytest.mark.options(create_models=False)
def test_tables_without_models(Base, versioning):
    """Version tables alone can be had, for tools that fill them."""
    blog = build_blog(Base)
    configure_mappers()

    assert {"article_version", "article_tag_version", "transaction"} <= set(Base.metadata.tables)
    assert versioning.version_class_map == {}
    with pytest.raises(ClassNotVersioned):
        version_class(blog.Article)


@pytest.mark.options(create_models=False)
def test_recording_without_models(Base, open_session, mode):
    """Objects and links are recorded both or, unless triggers do it, neither."""
    blog = build_blog(Base)
    session = open_session(Base)
    session.add(blog.Article(name="a", tags=[blog.Tag(name="t")]))
    session.commit()

    for name in ("article", "article_tag"):
        table = Base.metadata.tables[name]
        assert is_versioned(table) is mode.is_native
        assert len(session.execute(select(version_table(table))).all()) == mode.pick(0, 1)


@pytest.mark.options(create_models=False, create_tables=False)
def test_neither_tables_nor_models(Base, versioning):
    """The Transaction class alone can be had too."""
    declare(Base)
    configure_mappers()

    assert set(Base.metadata.tables) == {"article", "transaction"}


@pytest.mark.parametrize("where", ["manager", "class"])
def test_models_without_tables(where, Base, versioning):
    """Version classes without tables cannot be, which is said when mappers are configured."""
    said = {"create_tables": False}
    if where == "manager":
        versioning.options.update(said)
    declare(Base, __versioned__=said if where == "class" else {})

    with pytest.raises(ImproperlyConfigured, match="create_models=False too"):
        configure_mappers()


def test_models_without_tables_leave_live_classes_alone(Base, versioning, open_session):
    """The relationships of live classes are theirs, also while the mistake is there."""
    blog = build_blog(Base)
    versioning.options["create_tables"] = False
    before = {cls: dict(vars(cls)) for cls in blog.classes}
    with pytest.raises(ImproperlyConfigured, match="create_models=False too"):
        configure_mappers()
    assert {cls: dict(vars(cls)) for cls in blog.classes} == before

    del versioning.options["create_tables"]
    session = open_session(Base)
    article = blog.Article(name="a", tags=[blog.Tag(name="t")])
    session.add(article)
    session.commit()
    assert [tag.name for tag in article.tags] == ["t"]


@pytest.mark.parametrize("name", ["create_models", "use_module_name"])
def test_options_of_the_manager_only(name, Base, versioning):
    """What shapes all classes cannot be said by one."""
    declare(Base, __versioned__={name: True})

    with pytest.raises(ImproperlyConfigured, match=f"{name}.*only make_versioned"):
        configure_mappers()


def test_base_classes(Base, versioning, open_session):
    """Version classes can be given bases, whose methods they then have."""

    class Described:
        def describe(self):
            return f"version of {self.name}"

    Article = declare(Base, __versioned__={"base_classes": (Described,)})
    first, *_ = live(open_session(Base), Article(name="a"), name="b")

    assert first.describe() == "version of a"
    assert first.index == 0
    assert not issubclass(type(first), Base)


@pytest.mark.parametrize("excluded", ["name", ("nmae",), ["name", "nmae"]])
def test_exclude_must_name_attributes(excluded, Base, versioning):
    """A string would match parts of names; a wrong key would exclude nothing."""
    declare(Base, __versioned__={"exclude": excluded})

    with pytest.raises(ImproperlyConfigured, match=r"give a list|which is no attribute"):
        configure_mappers()


@pytest.mark.parametrize("key", ["id", "kind"])
def test_needed_columns_cannot_be_excluded(key, Base, versioning):
    """Keys and discriminators are needed to tell versions apart."""
    declare(
        Base,
        kind=mapped_column(String(20)),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "x"},
        __versioned__={"exclude": [key]},
    )

    with pytest.raises(ImproperlyConfigured, match="cannot be excluded"):
        configure_mappers()


def test_exclude_and_include(Base, versioning, open_session):
    """What a base excludes a class can include; a change of excluded columns is no change."""
    versioning.options["exclude"] = ["secret", "note"]
    Article = declare(
        Base,
        __versioned__={"include": ["note"]},
        secret=mapped_column(String(20)),
        note=mapped_column(String(20)),
    )
    session = open_session(Base)
    session.add(Article(id=1, name="a", secret="x", note="n"))
    session.commit()
    session.get(Article, 1).secret = "y"
    session.commit()

    assert [v.note for v in session.get(Article, 1).versions] == ["n"]
    assert "secret" not in version_table(Article).c


def test_ignored_columns(Base, versioning, open_session):
    """They are stored, but their change alone makes no version."""
    Article = declare(
        Base, __versioned__={"ignore": ["seen"]}, seen=mapped_column(Integer, default=0)
    )
    session = open_session(Base)
    article = Article(id=1, name="a")
    session.add(article)
    session.commit()
    article.seen = 1
    session.commit()
    article.name, article.seen = "b", 2
    session.commit()

    assert [v.seen for v in article.versions] == [0, 2]


@pytest.mark.options(
    transaction_column_name="tx",
    end_transaction_column_name="until",
    operation_type_column_name="op",
)
def test_custom_column_names(Base, versioning, open_session):
    """The bookkeeping columns can be called otherwise."""
    Article = declare(Base)
    _, second, _ = live(open_session(Base), Article(name="a"), name="b")

    assert (second.op, second.until) == (1, second.next.tx)
    assert second.transaction.id == second.tx


def test_column_names_of_one_class(Base, versioning, open_session):
    """A class may call them otherwise than the rest, also in a joined hierarchy."""
    Item = declare(
        Base,
        "Item",
        kind=mapped_column(String(20)),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "item"},
        __versioned__={"transaction_column_name": "tx", "operation_type_column_name": "op"},
    )

    class Article(Item):
        __tablename__ = "article"
        __mapper_args__ = {"polymorphic_identity": "article"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        body: Mapped[str | None]

    first, *_ = live(open_session(Base), Article(name="a"), name="b")
    assert first.transaction.id == first.tx


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("transaction_id", "transaction_column_name"),
        ("end_transaction_id", "end_transaction_column_name"),
        ("operation_type", "operation_type_column_name"),
    ],
)
def test_columns_called_like_ours(name, option, Base, versioning, open_session):
    """A column that has the name of one of ours is kept, with its values, where ours gives way."""
    Article = declare(Base, __versioned__={option: "ours"}, **{name: mapped_column(Integer)})
    session = open_session(Base)
    first, second, _ = live(session, Article(name="a", **{name: 7}), **{name: 8})
    api = version_api(second)

    assert (getattr(first, name), getattr(second, name)) == (7, 8)
    assert (api.changeset, api.index, api.operation_type) == ({name: [7, 8]}, 1, 1)
    assert api.transaction.id == getattr(second, tx_column_name(Article))
    assert getattr(first.revert(), name) == 7
    session.commit()
    assert count_versions(session.get(Article, first.id)) == 4


@pytest.mark.parametrize("where", ["manager", "class"])
def test_custom_table_name_in_a_hierarchy(where, Base, versioning, open_session):
    """The version tables of joined tables, and relationships to and from them, follow it."""
    said = {"table_name": "old_%s"}
    if where == "manager":
        versioning.options.update(said)
    Box = declare(Base, "Box", items=relationship("Item", back_populates="box"))
    Item = declare(
        Base,
        "Item",
        kind=mapped_column(String(20)),
        box_id=mapped_column(ForeignKey("box.id")),
        box=relationship("Box", back_populates="items"),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "item"},
        __versioned__=said if where == "class" else {},
    )

    class Tool(Item):
        __tablename__ = "tool"
        __mapper_args__ = {"polymorphic_identity": "tool"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)

    session = open_session(Base)
    box = Box(name="a", items=[Tool(id=1, name="x")])
    session.add_all([box, Box(name="another", items=[Tool(id=2, name="y")])])
    session.commit()
    box.name, box.items[0].name, (tool,) = "b", "z", box.items
    session.commit()

    assert (version_table(Item).name, version_table(Tool).name) == ("old_item", "old_tool")
    assert [v.box.name for v in tool.versions] == ["a", "b"]
    assert [[i.name for i in v.items] for v in box.versions] == [["x"], ["z"]]


@pytest.mark.options(table_name="history_%s")
def test_custom_table_name_with_links(Base, versioning, open_session):
    """Relationships and association tables follow the names of version tables."""
    blog = build_blog(Base)
    session = open_session(Base)
    article = blog.Article(name="a", tags=[blog.Tag(name="t")])
    session.add(article)
    session.commit()

    assert "history_article_tag" in Base.metadata.tables
    assert [tag.name for tag in article.versions[0].tags] == ["t"]


def test_capture_is_checked(Base, versioning):
    """What to do with writes that cannot be recorded is one of three."""
    declare(Base, __versioned__={"capture": "shout"})

    with pytest.raises(ImproperlyConfigured, match="'raise', 'warn', 'ignore'"):
        configure_mappers()


# -- pickling ----------------------------------------------------------------------------------


@pytest.fixture
def module(Base, versioning):
    """A module that can be imported by name, with a versioned class in it."""
    found = types.ModuleType("blog_of_a_test")
    sys.modules[found.__name__] = found
    found.Base, Base.__module__, Base.__qualname__ = Base, found.__name__, "Base"
    found.Article = declare(Base, __module__=found.__name__)
    yield found
    del sys.modules[found.__name__]


@pytest.mark.parametrize("taken", [False, True])
def test_versions_pickle(taken, module, Base, open_session):
    """Versions, their classes and transactions go through pickle and copy, like models."""
    if taken:
        module.ArticleVersion = module.Transaction = "taken"
    session = open_session(Base)
    session.add(module.Article(id=1, name="a"))
    session.commit()
    version = session.get(module.Article, 1).versions[0]
    assert version.transaction.id == 1

    again = pickle.loads(pickle.dumps(version))
    assert (type(again), again.name, again.transaction.id) == (type(version), "a", 1)
    assert pickle.loads(pickle.dumps(type(version))) is version_class(module.Article)
    assert copy.copy(type(version)) is type(version)
    if taken:
        assert module.ArticleVersion == "taken"
    remove_versioning()
    assert set(vars(module)) & {"ArticleVersion", "Transaction"} == (
        {"ArticleVersion", "Transaction"} if taken else set()
    )


# -- off again ---------------------------------------------------------------------------------


def snapshot(Base, classes):
    """Return all of models that versioning could leave something in."""
    return {
        "classes": [dict(vars(cls)) for cls in classes],
        "base": dict(vars(Base)),
        "tables": dict(Base.metadata.tables),
        "sequences": dict(Base.metadata._sequences),
        "info": dict(Base.metadata.info),
        "names": set(Base.registry._class_registry),
        "mappers": set(Base.registry.mappers),
        "attributes": [set(inspect(cls).attrs.keys()) for cls in classes],
    }


@pytest.mark.usefixtures("unversioned")
def test_remove_versioning_leaves_nothing(engine):
    """Models, tables, registries and listeners are as they were before."""
    Base, listeners = build_base(), list_listeners()
    blog = build_blog(Base)
    said = {"exclude": []}
    blog.Tag.__versioned__ = said
    configure_mappers()
    before = snapshot(Base, blog.classes)
    make_versioned(plugins=[Noting()], strategy="subquery", session=Session)
    assert is_versioned(blog.Article)
    with Session(engine) as session:
        Base.metadata.create_all(engine)
        session.add(blog.Article(name="a", tags=[blog.Tag(name="t")]))
        session.commit()
    remove_versioning()

    after = snapshot(Base, blog.classes)
    for what in before:
        assert after[what] == before[what], what
    assert blog.Tag.__versioned__ is said
    assert list_listeners() == listeners
    assert not list(engine.dialect.dispatch.do_execute)
    assert versioning_manager.options == {}
    assert len(versioning_manager.plugins) == 0


@pytest.mark.usefixtures("unversioned")
def test_what_was_said_is_forgotten():
    """Options, plugins, user and Transaction class are as they were before, each time."""
    said = versioning_manager.transaction_cls, versioning_manager.user_cls
    for options in ({"strategy": "subquery"}, {"table_name": "%s_log"}):
        make_versioned(plugins=[Noting()], user_cls=None, **options)
        Base = build_base()
        declare(Base)
        configure_mappers()
        assert versioning_manager.options == options
        remove_versioning()

        assert (versioning_manager.transaction_cls, versioning_manager.user_cls) == said
        assert versioning_manager.options == {}
        assert list(versioning_manager.plugins) == []
        Base.registry.dispose()


@pytest.mark.usefixtures("unversioned")
def test_models_stay_usable(engine):
    """After removal the same models are written without history."""
    Base = build_base()
    make_versioned()
    Article = declare(Base)
    configure_mappers()
    remove_versioning()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Article(id=1, name="a"))
        session.commit()
        session.get(Article, 1).name = "b"
        session.commit()

    assert inspect(engine).get_table_names() == ["article"]


@pytest.mark.usefixtures("unversioned")
def test_cycles(open_session):
    """It can be made and removed any number of times, with the same models."""
    Base = build_base()
    Article = declare(Base)
    for strategy in ("validity", "subquery", "validity"):
        make_versioned(strategy=strategy)
        configure_mappers()
        session = open_session(Base)
        assert (version_table(Article).c.get("end_transaction_id") is None) == (
            strategy == "subquery"
        )
        remove_versioning()
        assert not is_versioned(Article)
        Base.metadata.drop_all(session.get_bind())
    make_versioned()
    configure_mappers()
    live(open_session(Base), Article(name="a"), name="b")
    remove_versioning()


def test_removal_after_clear_mappers(versioning, Base):
    """It does not matter if the models are gone already."""
    build_blog(Base)
    configure_mappers()
    clear_mappers()
    remove_versioning()

    assert not event.contains(Mapper, "after_configured", versioning._after_configured)


def test_classes_after_disposal(versioning, Base):
    """Others are not versioned beside classes that are gone, until these are forgotten."""
    build_blog(Base)
    configure_mappers()
    clear_mappers()
    Other = build_base()
    Article = declare(Other)

    with pytest.raises(ImproperlyConfigured, match="call remove_versioning"):
        configure_mappers()
    remove_versioning()
    make_versioned()
    configure_mappers()

    assert is_versioned(Article)
    remove_versioning()


def test_one_factory_for_many_cycles():
    """A factory of transactions is used again after removal."""
    factory = TransactionFactory(remote_addr=False)
    for _ in range(2):
        manager = VersioningManager(transaction_cls=factory)
        Base = build_base()
        make_versioned(mapper=Base, session=sessionmaker(), manager=manager)
        declare(Base)
        configure_mappers()
        assert not hasattr(manager.transaction_cls, "remote_addr")
        remove_versioning(manager=manager)
        assert manager.transaction_cls is factory


def test_classes_can_be_collected(versioning):
    """Nothing holds models or version classes after removal."""
    # Without annotations: the caches of typing hold whatever they are made of.
    Base = build_base()
    link = Table("link", Base.metadata, Column("a", ForeignKey("tag.id"), primary_key=True))
    link.append_column(Column("b", ForeignKey("article.id"), primary_key=True))
    Tag = declare(Base, "Tag")
    Article = declare(Base, tags=relationship(Tag, secondary=link))
    configure_mappers()
    held = [weakref.ref(cls) for cls in (Article, Tag, version_class(Article), Base)]
    remove_versioning()
    Base.registry.dispose()
    del Base, Tag, Article, link
    gc.collect()

    assert [ref() for ref in held] == [None] * len(held)


def test_include_alone(Base, versioning, open_session):
    """Where nothing is excluded, what a class includes is all that is kept, beside its key."""
    Article = declare(
        Base,
        __versioned__={"include": ["name"]},
        note=mapped_column(String(20)),
        kind=mapped_column(String(20), default="x"),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "x"},
    )
    session = open_session(Base)
    article = Article(id=1, name="a", note="n")
    session.add(article)
    session.commit()
    article.note = "m"
    session.commit()

    assert count_versions(article) == 1
    kept = [column.key for column in version_table(Article).c][:3]
    assert sorted(kept) == ["id", "kind", "name"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"include": ["nam"]}, ValueError, "names 'nam', which is no attribute; .*id, name"),
        ({"exclude": "name"}, TypeError, "give a list"),
        ({"ignore": [1]}, TypeError, "give a list"),
        ({"mask": ["nam"]}, ValueError, "names 'nam', which is no attribute"),
        ({"include": {"name": True}}, TypeError, "give a list"),
    ],
)
def test_mistakes_of_decorators(Base, options, error, message):
    """Names that a class does not have are refused where they are said."""
    Article = declare(Base, __versioned__=None)

    with pytest.raises(error, match=message) as caught:
        versioned(**options)(Article)
    assert isinstance(caught.value, VersioningError)
    assert not Article.__versioned__
